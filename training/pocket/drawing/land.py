"""Fields, forests, meadows, deserts, bare land and mountains."""

from __future__ import annotations

import math

import numpy as np

from training.pocket.drawing import things
from training.pocket.drawing.canvas import Canvas, Material, Pen, beside, blob, smooth_noise, winding
from training.pocket.drawing.layout import (
    Random,
    pick,
    scatter,
    scene,
    start,
)
from training.pocket.drawing.things import jitter, surface


@scene("farmland")
def _farmland(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    canvas, pen = start(rng, size, "soil")
    hues = [
        (104, 128, 76),
        (72, 104, 62),
        (150, 140, 92),
        (166, 140, 104),
        (130, 112, 86),
        (190, 176, 130),
        (120, 144, 88),
    ]
    chosen = [hues[int(i)] for i in rng.permutation(len(hues))[: int(rng.integers(2, 6))]]
    y, leaf = -165.0, surface(rng, "tree")
    green = total = 0.0
    while y < 165:
        deep = rng.uniform(34, 80)
        x = -165 + rng.uniform(0, 30)
        while x < 165:
            wide = rng.uniform(20, 84)
            hue = chosen[int(rng.integers(len(chosen)))]
            field = Material(jitter(rng, hue, 7), int(rng.uniform(14, 44)), int(rng.uniform(12, 46)))
            pen.rect(x, y, x + wide - 1.2, y + deep - 1.2, field)
            middle = pen.at(x + wide / 2, y + deep / 2)
            if max(abs(middle.x), abs(middle.y)) < 112:
                total += wide * deep
                green += wide * deep * (hue[1] > hue[0])
            furrow = rng.uniform(2.2, 5)
            tone = field.lit(rng.choice((0.86, 0.92, 0.95, 1.08)))
            if rng.random() < 0.5:
                for at in np.arange(x + furrow, x + wide - 2, furrow).tolist():
                    pen.line([(at, y + 0.5), (at, y + deep - 2)], furrow * 0.38, tone)
            elif rng.random() < 0.8:
                for at in np.arange(y + furrow, y + deep - 2, furrow).tolist():
                    pen.line([(x + 0.5, at), (x + wide - 2, at)], furrow * 0.38, tone)
            x += wide
        y += deep
        if rng.random() < 0.35:
            things.tree_line(
                pen, [(-160, y - 0.6), (160, y - 0.6)], leaf, rng.uniform(5, 12), rng.uniform(2, 3.4)
            )
        elif rng.random() < 0.4:
            pen.line(
                [(-170, y), (170, y)],
                rng.uniform(2, 4),
                surface(rng, pick(rng, ("dirt", "concrete"))),
                keep=True,
            )
    says = [
        "the farmland is divided into rectangular fields.",
        "many fields of different colours lie side by side."
        if len(chosen) > 1
        else "fields lie side by side.",
        "most of the farmland is green." if green * 2 > total else "most of the farmland is brown or yellow.",
    ]
    if rng.random() < 0.3:
        for px, py in scatter(rng, 12, 80):
            at = pen.at(px, py)
            if at.free(16) and at.fits(30, 30):
                things.flat_roof(at, 22, 10, things.ROOFS["white"], 5)
                things.house(at.at(0, 14), 12, 9, things.ROOFS["red"], 4)
                says.append("farm buildings stand between the fields.")
                break
    return canvas, says


def _start_open(
    rng: Random, size: int, ground: Material, relief: np.ndarray | None = None
) -> tuple[Canvas, Pen]:
    canvas = Canvas(rng, size, ground, relief)
    return canvas, canvas.root.at(0, 0, rng.uniform(0, 6.28))


def _shaded(rng: Random, base: tuple[int, int, int], height: np.ndarray, strength: float) -> np.ndarray:
    """A ground lit from one side: `height` (n, n) as relief."""
    dy, dx = np.gradient(height)
    turn = rng.uniform(0, 6.28)
    light = 1 + strength * np.tanh((dx * math.cos(turn) + dy * math.sin(turn)) * 2)
    light += 0.012 * height
    return np.clip(np.array(base, np.float32) * light[..., None], 0, 255).astype(np.uint8)


@scene("forest")
def _forest(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    ground = surface(rng, "forest", 14)
    ground = ground._replace(crowns=int(rng.uniform(90, 190)), patch=int(rng.uniform(20, 60)))
    canvas, pen = _start_open(rng, size, ground)
    canvas.crown_size = rng.uniform(4, 11)
    says = [
        "dense green trees cover the ground.",
        "this is a forest with many dark green trees.",
        "a piece of green forest.",
    ]
    extra = rng.random()
    if extra < 0.25:
        path = winding(rng, 340, 30, 40)
        pen.line(path, rng.uniform(2.5, 5), surface(rng, "dirt"), keep=True)
        says.append("a narrow path leads through the forest.")
    elif extra < 0.5:
        for x, y in scatter(rng, int(rng.integers(1, 5)), 95):
            pen.at(x, y).fill(blob(rng, rng.uniform(8, 24), 24, 0.25), surface(rng, "meadow"))
        says.append("the forest has small clearings.")
    things.trees(canvas.root, 60, ground.lit(1.1), 112, 2, canvas.crown_size * 0.6)
    return canvas, says


@scene("meadow")
def _meadow(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    ground = surface(rng, pick(rng, ("meadow", "grass", "meadow")), 12)
    ground = ground._replace(grain=int(rng.uniform(24, 50)), patch=int(rng.uniform(16, 56)))
    canvas, pen = _start_open(rng, size, ground)
    if rng.random() < 0.5:  # tracks of the mower
        for y in np.arange(-165, 165, rng.uniform(4, 10)).tolist():
            pen.line(
                [(-165, y), (165, y + rng.normal(0, 3))],
                rng.uniform(0.8, 2),
                ground.lit(rng.uniform(0.94, 1.05)),
            )
    says = [
        "a wide green meadow covers the picture.",
        "this is a piece of green meadow.",
        "the meadow is green and open.",
    ]
    extra = rng.random()
    if extra < 0.35:
        things.trees(canvas.root, int(rng.integers(3, 16)), surface(rng, "tree"), 105, 2.5, 5)
        says.append("a few trees stand on the meadow.")
    elif extra < 0.6:
        pen.line(winding(rng, 340, 18, 30), rng.uniform(1.5, 3.5), surface(rng, "dirt"))
        says.append("a narrow path crosses the meadow.")
    return canvas, says


@scene("desert")
def _desert(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    base = jitter(
        rng, [(216, 184, 136), (206, 170, 130), (222, 196, 158), (198, 160, 112)][int(rng.integers(4))], 9
    )
    side = size
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    turn, waves = rng.uniform(0, 6.28), rng.uniform(3, 16)
    bend = smooth_noise(rng, side, (2, 4, 7), 0.6) * 0.09
    across = (x * math.cos(turn) + y * math.sin(turn) + bend) * (2 * math.pi * waves)
    fade = np.clip(0.5 + 0.6 * smooth_noise(rng, side, (3, 6), 0.7), 0, 1.4)
    slope = (np.cos(across) + 0.55 * np.cos(2 * across + 0.9) + 0.2 * np.cos(3 * across + 1.8)) * fade
    slope += (
        0.5 * smooth_noise(rng, side, (4, 9, 20), 0.6) + 0.12 * np.cos(across * 9 + 3 * bend) * rng.random()
    )
    light = 1 - rng.uniform(0.05, 0.16) * np.tanh(0.8 * slope)
    relief = np.clip(np.array(base, np.float32) * light[..., None], 0, 255).astype(np.uint8)
    canvas, pen = _start_open(rng, size, Material(base, 10, 12), relief)
    says = [
        "this is a yellow desert with sand dunes.",
        "waves of sand cover the desert.",
        "the desert is covered by dunes of sand.",
    ]
    if rng.random() < 0.25:
        things.trees(canvas.root, int(rng.integers(6, 30)), surface(rng, "tree").lit(0.9), 110, 0.8, 1.8)
        says.append("small dark shrubs grow on the sand.")
    return canvas, says


@scene("bare land")
def _bare(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    base = jitter(
        rng,
        [(168, 142, 114), (150, 132, 114), (186, 152, 116), (176, 126, 92), (158, 150, 136)][
            int(rng.integers(5))
        ],
        9,
    )
    height = smooth_noise(rng, size, (3, 6, 12, 24, 48), 0.62) * size * 0.02
    canvas, pen = _start_open(rng, size, Material(base, 20, 13), _shaded(rng, base, height, 0.1))
    ground = Material(base, 30, 40)
    for _ in range(int(rng.integers(1, 7))):
        path = pen.at(*rng.uniform(-80, 80, 2).tolist(), rng.uniform(0, 6.28))
        track = winding(rng, 300, 30, 30)
        for off in (-1.6, 1.6):
            path.line(beside(track, off), rng.uniform(0.6, 1.2), ground.lit(1.13))
    for x, y in scatter(rng, int(rng.integers(2, 9)), 110):
        pen.at(x, y).fill(blob(rng, rng.uniform(5, 22), 24, 0.3), ground.lit(rng.uniform(0.88, 1.1)))
    says = [
        "a piece of brown bare land with tracks on it.",
        "this is bare land with hardly any plants.",
        "tracks cross the bare land.",
    ]
    if rng.random() < 0.35:
        things.trees(canvas.root, int(rng.integers(8, 50)), surface(rng, "tree").lit(0.95), 110, 0.8, 2.2)
        says.append("a few small shrubs grow on the bare land.")
    return canvas, says


@scene("mountain")
def _mountain(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    kind = pick(rng, ("green", "brown", "gray"))
    base = jitter(rng, {"green": (82, 98, 68), "brown": (136, 112, 88), "gray": (118, 114, 108)}[kind], 8)
    ridges = np.zeros((size, size), np.float32)
    weight = 1.0
    for cells in (3, 6, 12, 24, 48):
        ridges += weight * (1 - np.abs(smooth_noise(rng, size, (cells,))) * 0.8)
        weight *= 0.52
    height = ridges * size * 0.085
    dy, dx = np.gradient(height)
    turn = rng.uniform(0, 6.28)
    light = 1 + 0.52 * np.tanh((dx * math.cos(turn) + dy * math.sin(turn)) * 0.9)
    relief = np.array(base, np.float32) * light[..., None]
    snow = kind == "gray" and rng.random() < 0.5
    if snow:
        cover = np.clip((ridges - np.quantile(ridges, 0.72)) * 4, 0, 1)[..., None]
        relief = (
            relief * (1 - cover)
            + np.array((226, 230, 236), np.float32) * (0.4 + 0.6 * light[..., None]) * cover
        )
    ground = Material(base, 34, 30, 50 if kind == "green" else 0)
    canvas, _ = _start_open(rng, size, ground, np.clip(relief, 0, 255).astype(np.uint8))
    says = [
        f"{kind} mountains with sharp ridges.",
        f"this is a {kind} mountain area with deep valleys.",
        "ridges and valleys run through the mountains.",
    ]
    if snow:
        says.append("white snow lies on the ridges of the mountains.")
    return canvas, says
