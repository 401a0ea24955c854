"""A canvas for satellite-like pictures: flat shapes in, textured and lit pixels out. Numpy and Pillow only.

Shapes are drawn at twice the wanted size into three layers: colour, texture (how strongly grain, patches and
tree crowns show there) and shade (cast shadows). `Canvas.develop` joins them under noise, haze, blur and
light that differ from picture to picture, so that nothing can be told by a clean edge.

Lengths are in units: the picture is 224 units wide whatever its size in pixels, and (0, 0) is its middle.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tinyrs.example import BOX_SCALE, Box

UNITS = 224
HALF = UNITS / 2
OVERSAMPLE = 2
_STRENGTH = 0.5 / 255  # what a texture value of 1 does to the brightness

Point = tuple[float, float]
Colour = tuple[int, int, int]


class Material(NamedTuple):
    """What a surface looks like: its colour, and 0..255 of fine grain, large patches and tree crowns."""

    colour: Colour
    grain: int = 22
    patch: int = 20
    crowns: int = 0

    def lit(self, factor: float) -> Material:
        """The same surface, `factor` times as bright."""
        return self._replace(colour=tuple(max(0, min(255, round(c * factor))) for c in self.colour))


class Thing(NamedTuple):
    """An object that stands in the picture: where, and in which colour it was painted ("" when mixed)."""

    box: Box
    colour: str


def smooth_noise(
    rng: np.random.Generator, size: int, cells: Iterable[int], falloff: float = 0.65
) -> np.ndarray:
    """(size, size) float32 around 0, spread near 1: octaves of that many cells, each weaker by `falloff`."""
    total, weight, power = np.zeros((size, size), np.float32), 1.0, 0.0
    for count in cells:
        grid = rng.standard_normal((count + 2, count + 2), dtype=np.float32)
        octave = Image.fromarray(grid).resize(
            (size, size), Image.Resampling.BICUBIC, box=(0.5, 0.5, count + 1.5, count + 1.5)
        )
        total += weight * np.asarray(octave)
        power += weight * weight
        weight *= falloff
    return total * (1.6 / math.sqrt(power))


def crowns(rng: np.random.Generator, size: int, across: float, sun: Point) -> np.ndarray:
    """(size, size) float32: a roof of tree crowns, about `across` of them side by side, lit from one side.

    Each pixel belongs to the nearest of the points of a jittered grid (Worley 1996).
    """
    count = max(4, round(across))
    cell = size / count
    middles = rng.random((2, count + 2, count + 2), dtype=np.float32)
    tone = rng.standard_normal((count + 2, count + 2), dtype=np.float32) * 0.35
    place = np.arange(size, dtype=np.float32) / cell
    index = place.astype(np.int32)
    part = place - index
    nearest = np.full((size, size), 9, np.float32)
    shown = np.zeros((size, size), np.float32)
    for row in range(3):
        for column in range(3):
            at = np.ix_(index + row, index + column)
            dx = part[None, :] - middles[0][at] - (column - 1)
            dy = part[:, None] - middles[1][at] - (row - 1)
            distance = dx * dx + dy * dy
            closer = distance < nearest
            np.copyto(nearest, distance, where=closer)
            np.copyto(shown, tone[at] - 1.3 * (dx * sun[0] + dy * sun[1]), where=closer)
    return shown + 0.45 - 1.5 * nearest


class Canvas:
    """One picture being drawn. `things` are the objects in it so far; `rng` decides all about its look."""

    def __init__(
        self, rng: np.random.Generator, size: int, ground: Material, relief: np.ndarray | None = None
    ):
        """`relief`: (n, n, 3) uint8 that takes the place of the ground's plain colour."""
        self.rng, self.size = rng, size
        self.scale = OVERSAMPLE * size / UNITS
        side = OVERSAMPLE * size
        if relief is None:
            self.colour = Image.new("RGB", (side, side), ground.colour)
        else:
            self.colour = Image.fromarray(relief).resize((side, side), Image.Resampling.BICUBIC)
        self.texture = Image.new("RGB", (side, side), tuple(ground[1:]))
        self.shade = Image.new("L", (side, side), 255)
        self.taken = Image.new("L", (UNITS, UNITS), 0)
        self.on_colour, self.on_texture = ImageDraw.Draw(self.colour), ImageDraw.Draw(self.texture)
        self.on_shade, self.on_taken = ImageDraw.Draw(self.shade), ImageDraw.Draw(self.taken)
        angle, length = rng.uniform(0, 2 * math.pi), rng.uniform(0.45, 1.25)
        self.sun = (math.cos(angle) * length, math.sin(angle) * length)
        self.darkness = int(rng.uniform(95, 160))
        self.crown_size = rng.uniform(5.5, 9)
        self.things: list[Thing] = []
        self.root = Pen(self, 1, 0, 0, 0)

    def count(self, label: str) -> int:
        """How many objects of that name stand in the picture."""
        return sum(thing.box.label == label for thing in self.things)

    def develop(self) -> np.ndarray:
        """The finished picture: uint8, (size, size, 3)."""
        rng, size = self.rng, self.size
        pixels = np.asarray(self.colour.reduce(OVERSAMPLE)).astype(np.float32)
        texture = self.texture.reduce(OVERSAMPLE)
        grain, patch, crown = (np.asarray(band).astype(np.float32) * _STRENGTH for band in texture.split())
        fine = smooth_noise(rng, size, (40, 112), 1.2) + 0.35 * rng.standard_normal(
            (size, size), dtype=np.float32
        )
        large = smooth_noise(rng, size, (2, 4, 9, 22), 0.75)
        hue = smooth_noise(rng, size, (3, 9), 0.7) * patch * 0.3
        light = 1 + grain * fine + patch * large
        if crown.any():
            length = math.hypot(*self.sun)
            towards = (self.sun[0] / length, self.sun[1] / length)
            roof = crowns(
                rng, (size + 1) // 2, UNITS / self.crown_size, towards
            )  # no crown needs more pixels
            light += (
                crown * 1.6 * np.asarray(Image.fromarray(roof).resize((size, size), Image.Resampling.BICUBIC))
            )
        shadow = np.asarray(self.shade.reduce(OVERSAMPLE).filter(ImageFilter.BoxBlur(size / 500)))
        light *= shadow.astype(np.float32) / 255
        pixels *= np.maximum(light, 0.08)[..., None]
        pixels[..., 0] *= 1 + hue
        pixels[..., 2] *= 1 - hue
        return self._expose(pixels)

    def _expose(self, pixels: np.ndarray) -> np.ndarray:
        """What air and camera do: colour cast, uneven light, haze, blur, noise, at times a JPEG."""
        rng, size = self.rng, self.size
        pixels *= rng.uniform(0.82, 1.12) * (1 + rng.normal(0, 0.03, 3)).astype(np.float32)
        gray = pixels.mean(axis=2, keepdims=True)
        pixels = gray + rng.uniform(0.55, 0.95) * (pixels - gray)
        ramp = np.linspace(-1, 1, size, dtype=np.float32)
        pixels *= (1 + rng.normal(0, 0.035) * ramp[:, None] + rng.normal(0, 0.035) * ramp)[..., None]
        haze = rng.beta(1.1, 9)
        pixels += haze * (np.array((186, 196, 206), np.float32) - pixels)
        image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.1, 0.75) * math.sqrt(size / UNITS)))
        strength = rng.uniform(1, 6)
        noise = rng.standard_normal((size, size, 1), dtype=np.float32) * strength
        tint = rng.standard_normal((size, size // 2, 3), dtype=np.float32) * (0.5 * strength)
        noise = noise + np.concatenate((tint, tint[::-1, ::-1]), axis=1)[:, :size] if size % 2 == 0 else noise
        image = Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
        if rng.random() < 0.5:
            file = io.BytesIO()
            image.save(file, "JPEG", quality=int(rng.integers(55, 95)))
            image = Image.open(file)
        return np.asarray(image)


class Pen:
    """Draws on a canvas in a frame of its own: (0, 0) where `at` put it, turned and scaled."""

    __slots__ = ("canvas", "a", "b", "x", "y")

    def __init__(self, canvas: Canvas, a: float, b: float, x: float, y: float):
        self.canvas, self.a, self.b, self.x, self.y = canvas, a, b, x, y

    @property
    def rng(self) -> np.random.Generator:
        """The canvas's."""
        return self.canvas.rng

    def at(self, x: float, y: float, angle: float = 0.0, scale: float = 1.0) -> Pen:
        """A pen whose origin lies at (x, y) of this one, turned by `angle` radians."""
        a, b = scale * math.cos(angle), scale * math.sin(angle)
        return Pen(
            self.canvas,
            self.a * a - self.b * b,
            self.a * b + self.b * a,
            self.a * x - self.b * y + self.x,
            self.b * x + self.a * y + self.y,
        )

    def world(self, points: Iterable[Point]) -> list[Point]:
        """Points of this frame in units of the picture."""
        a, b, x0, y0 = self.a, self.b, self.x, self.y
        return [(a * x - b * y + x0, b * x + a * y + y0) for x, y in points]

    def _pixels(self, world: Iterable[Point], dx: float = 0, dy: float = 0) -> list[Point]:
        k = self.canvas.scale
        return [((x + HALF + dx) * k, (y + HALF + dy) * k) for x, y in world]

    def facing(self, nx: float, ny: float) -> float:
        """How far a slope that looks to (nx, ny) of this frame faces the sun: -1..1."""
        sun = self.canvas.sun
        wx, wy = self.a * nx - self.b * ny, self.b * nx + self.a * ny
        return -(wx * sun[0] + wy * sun[1]) / max(1e-6, math.hypot(wx, wy) * math.hypot(*sun))

    def fill(
        self, points: Sequence[Point], material: Material, height: float = 0, keep: bool = False
    ) -> None:
        """A polygon. `height` (units) makes it cast a shadow; `keep` marks its place as taken."""
        canvas, world = self.canvas, self.world(points)
        if not _seen(world, 3 + 1.3 * height):
            return
        if height:
            self._shadow(world, height)
        pixels = self._pixels(world)
        canvas.on_colour.polygon(pixels, material.colour)
        canvas.on_texture.polygon(pixels, tuple(material[1:]))
        if height:
            canvas.on_shade.polygon(pixels, 255)
        if keep:
            canvas.on_taken.polygon([(x + HALF, y + HALF) for x, y in world], 255, 255)

    def _shadow(self, world: list[Point], height: float) -> None:
        canvas = self.canvas
        dx, dy = canvas.sun[0] * height, canvas.sun[1] * height
        k = canvas.scale
        near, far = self._pixels(world), self._pixels(world, dx, dy)
        canvas.on_shade.polygon(far, canvas.darkness)
        if max(abs(dx), abs(dy)) * k > 3:
            for i in range(len(near)):
                canvas.on_shade.polygon((near[i - 1], near[i], far[i], far[i - 1]), canvas.darkness)

    def rect(
        self,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        material: Material,
        height: float = 0,
        keep: bool = False,
    ) -> None:
        """An upright rectangle of this frame."""
        self.fill(((x1, y1), (x2, y1), (x2, y2), (x1, y2)), material, height, keep)

    def disk(
        self, x: float, y: float, r: float, material: Material, height: float = 0, keep: bool = False
    ) -> None:
        """A circle of radius `r` (units of this frame)."""
        canvas = self.canvas
        ((x, y),) = self.world(((x, y),))
        k, r = canvas.scale, r * math.hypot(self.a, self.b)
        if abs(x) > HALF + r + 1.3 * height or abs(y) > HALF + r + 1.3 * height:
            return
        x0, y0, x1, y1 = (x - r + HALF) * k, (y - r + HALF) * k, (x + r + HALF) * k, (y + r + HALF) * k
        if height:
            dx, dy = canvas.sun[0] * height * k, canvas.sun[1] * height * k
            for t in (0.5, 1) if height * k > 4 else (1,):
                canvas.on_shade.ellipse((x0 + dx * t, y0 + dy * t, x1 + dx * t, y1 + dy * t), canvas.darkness)
            canvas.on_shade.ellipse((x0, y0, x1, y1), 255)
        canvas.on_colour.ellipse((x0, y0, x1, y1), material.colour)
        canvas.on_texture.ellipse((x0, y0, x1, y1), tuple(material[1:]))
        if keep:
            canvas.on_taken.ellipse((x - r + HALF, y - r + HALF, x + r + HALF, y + r + HALF), 255)

    def line(self, points: Sequence[Point], width: float, material: Material, keep: bool = False) -> None:
        """A line through the points, `width` units wide (at least a thin pixel)."""
        canvas, world = self.canvas, self.world(points)
        width *= math.hypot(self.a, self.b)
        if not _seen(world, width):
            return
        pixels, wide = self._pixels(world), max(1, round(width * canvas.scale))
        joint = "curve" if wide > 3 and len(points) > 2 else None
        canvas.on_colour.line(pixels, material.colour, wide, joint)
        canvas.on_texture.line(pixels, tuple(material[1:]), wide, joint)
        if keep:
            canvas.on_taken.line([(x + HALF, y + HALF) for x, y in world], 255, round(width) + 2)

    def dashes(
        self, points: Sequence[Point], width: float, material: Material, dash: float = 4, gap: float = 5
    ) -> None:
        """A dashed line through the points."""
        for (x1, y1), (x2, y2) in zip(points, points[1:]):
            length = math.hypot(x2 - x1, y2 - y1)
            if not length:
                continue
            ux, uy, at = (x2 - x1) / length, (y2 - y1) / length, 0.0
            while at < length:
                end = min(length, at + dash)
                self.line(((x1 + ux * at, y1 + uy * at), (x1 + ux * end, y1 + uy * end)), width, material)
                at += dash + gap

    def fits(self, width: float, height: float, margin: float = 1.0) -> bool:
        """Does a rectangle of this size around the origin lie wholly inside the picture?"""
        x, y = width / 2, height / 2
        reach = HALF - margin
        return all(
            abs(px) < reach and abs(py) < reach for px, py in self.world(((-x, -y), (x, -y), (x, y), (-x, y)))
        )

    def free(self, radius: float) -> bool:
        """Is nothing marked as taken within `radius` units of the origin? Outside the picture all is free."""
        r = radius * math.hypot(self.a, self.b)
        x, y = self.x + HALF, self.y + HALF
        area = (
            max(0, int(x - r)),
            max(0, int(y - r)),
            min(UNITS, int(x + r) + 1),
            min(UNITS, int(y + r) + 1),
        )
        if area[0] >= area[2] or area[1] >= area[3]:
            return True
        return self.canvas.taken.crop(area).getbbox() is None

    def take(self, points: Sequence[Point], gap: float = 0.0) -> None:
        """Mark the upright rectangle around `points` as taken, with a gap around it."""
        world = self.world(points)
        xs, ys = [x + HALF for x, _ in world], [y + HALF for _, y in world]
        self.canvas.on_taken.rectangle((min(xs) - gap, min(ys) - gap, max(xs) + gap, max(ys) + gap), 255)

    def thing(self, points: Sequence[Point], label: str, colour: str = "", gap: float = 0.5) -> None:
        """Note that these points are the outline of a `label`; its box is cut at the frame."""
        world = self.world(points)
        xs = [min(HALF, max(-HALF, x)) + HALF for x, _ in world]
        ys = [min(HALF, max(-HALF, y)) + HALF for _, y in world]
        k = BOX_SCALE / UNITS
        box = Box(min(xs) * k, min(ys) * k, max(xs) * k, max(ys) * k, label)
        self.canvas.things.append(Thing(box, colour))
        self.take(points, gap)


def _seen(world: Sequence[Point], margin: float) -> bool:
    """May anything of a shape with these corners lie in the picture?"""
    xs, ys = [x for x, _ in world], [y for _, y in world]
    reach = HALF + margin
    return min(xs) < reach and max(xs) > -reach and min(ys) < reach and max(ys) > -reach


def ring(radius: float, corners: int = 24, x: float = 0, y: float = 0, squash: float = 1) -> list[Point]:
    """The corners of a circle (an ellipse when `squash` is not 1)."""
    step = 2 * math.pi / corners
    return [
        (x + radius * math.cos(i * step), y + radius * squash * math.sin(i * step)) for i in range(corners)
    ]


def blob(rng: np.random.Generator, radius: float, corners: int = 36, rough: float = 0.18) -> list[Point]:
    """A closed wobbly outline of about that radius."""
    angle = np.arange(corners) * (2 * math.pi / corners)
    wobble = sum(
        rng.normal(0, rough / order) * np.cos(order * angle + rng.uniform(0, 2 * math.pi))
        for order in (2, 3, 4, 5, 7)
    )
    r = radius * np.maximum(0.35, 1 + wobble)
    return list(zip((r * np.cos(angle)).tolist(), (r * np.sin(angle)).tolist()))


def winding(
    rng: np.random.Generator, length: float = 340, sway: float = 30, steps: int = 32, waves: float = 1.5
) -> list[Point]:
    """A path from left to right through (0, 0)'s neighbourhood that sways up and down by about `sway`."""
    x = np.linspace(-length / 2, length / 2, steps)
    y = np.zeros(steps)
    for order in (0.5, 1.0, 1.9):
        phase = rng.uniform(0, 2 * math.pi)
        y += (
            sway
            * rng.uniform(0.3, 1)
            / (order + 0.5)
            * np.sin(2 * math.pi * waves * order * x / length + phase)
        )
    return list(zip(x.tolist(), (y - y[steps // 2]).tolist()))


def beside(path: Sequence[Point], offset: float) -> list[Point]:
    """The path shifted sideways by `offset`."""
    moved = []
    for i, (x, y) in enumerate(path):
        (x1, y1), (x2, y2) = path[max(0, i - 1)], path[min(len(path) - 1, i + 1)]
        length = math.hypot(x2 - x1, y2 - y1) or 1
        moved.append((x - (y2 - y1) / length * offset, y + (x2 - x1) / length * offset))
    return moved
