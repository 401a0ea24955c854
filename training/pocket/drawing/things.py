"""The objects and furniture of the drawn scenes: airplanes, ships, tanks, courts, houses, trees, roads.

Every function draws around the origin of the pen that it is given, looking along its x axis. Those that
draw one of NWPU VHR-10's objects note its box, and answer False without drawing where it would not fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from training.pocket.drawing.canvas import Colour, Material, Pen, Point, beside, ring

PALETTE: dict[str, Material] = {
    "grass": Material((98, 112, 76), 20, 26),
    "lawn": Material((96, 124, 76), 14, 18),
    "dry grass": Material((140, 134, 98), 22, 28),
    "meadow": Material((98, 122, 86), 22, 26),
    "forest": Material((52, 74, 50), 24, 36, 150),
    "tree": Material((54, 76, 48), 40, 10),
    "soil": Material((152, 128, 102), 24, 28),
    "dirt": Material((184, 142, 106), 16, 18),
    "sand": Material((220, 200, 164), 14, 24),
    "concrete": Material((176, 172, 162), 16, 24),
    "apron": Material((164, 164, 158), 14, 26),
    "asphalt": Material((110, 110, 110), 16, 20),
    "dark asphalt": Material((76, 78, 80), 18, 20),
    "water": Material((52, 82, 86), 12, 24),
    "sea": Material((36, 96, 112), 10, 20),
    "brown water": Material((128, 112, 82), 10, 18),
    "green water": Material((78, 108, 90), 10, 16),
    "roof": Material((150, 148, 144), 18, 8),
    "white paint": Material((236, 236, 230), 8, 4),
    "faded paint": Material((206, 204, 196), 14, 8),
    "yellow paint": Material((214, 186, 84), 10, 4),
    "track": Material((172, 82, 64), 10, 12),
    "metal": Material((198, 200, 202), 8, 6),
    "rock": Material((118, 112, 106), 40, 30),
}

PAINT: dict[str, Colour] = {
    "white": (232, 232, 230),
    "gray": (140, 142, 146),
    "black": (38, 38, 42),
    "red": (170, 52, 46),
    "blue": (56, 92, 158),
    "green": (66, 118, 78),
    "yellow": (212, 180, 70),
    "brown": (128, 92, 66),
    "silver": (190, 194, 198),
}
"""Colours that captions name, as they are painted before light and haze."""

ROOFS: dict[str, Colour] = {
    "red": (152, 80, 60),
    "brown": (124, 98, 80),
    "gray": (134, 134, 134),
    "dark": (82, 82, 86),
    "white": (216, 216, 210),
    "orange": (182, 112, 72),
}


def jitter(rng: np.random.Generator, colour: Colour, spread: float = 7) -> Colour:
    """The colour, a little off: in brightness mostly."""
    shift = rng.normal(0, spread) + rng.normal(0, spread * 0.45, 3)
    return tuple(int(min(255, max(0, c + s))) for c, s in zip(colour, shift))


def surface(rng: np.random.Generator, name: str, spread: float = 9) -> Material:
    """A material of the palette as it looks in this picture."""
    return PALETTE[name]._replace(colour=jitter(rng, PALETTE[name].colour, spread))


def painted(rng: np.random.Generator, name: str, spread: float = 5) -> Material:
    """A surface in a colour that captions can name."""
    return Material(jitter(rng, PAINT[name], spread), 10, 6)


# --- what NWPU VHR-10 names ------------------------------------------------------------------------------


def airplane(pen: Pen, length: float, colour: str = "white") -> bool:
    """A jet airliner or a light plane, nose along x; `length` units from nose to tail."""
    rng = pen.rng
    light = rng.random() < 0.2
    span = length * (rng.uniform(1.05, 1.25) if light else rng.uniform(0.85, 1.02))
    if not pen.fits(length * 1.04, span * 1.04):
        return False
    p = pen.at(0, 0, 0, length)
    half, s = 0.5 * span / length, rng.uniform(0.05, 0.062)
    body = Material(jitter(rng, PAINT[colour], 5), 6, 4)
    wing = body.lit(rng.uniform(0.84, 0.95))
    fuselage = [(0.5, 0), (0.47, s * 0.55), (0.4, s), (-0.25, s), (-0.48, s * 0.3), (-0.5, 0)]
    fuselage += [(x, -y) for x, y in fuselage[-2:0:-1]]
    lead, sweep, chord = (0.17, 0.0, 0.15) if light else (0.13, rng.uniform(0.24, 0.34), 0.2)
    parts: list[tuple[list[Point], Material]] = []
    for side in (1, -1):
        tip = side * half
        parts.append(
            (
                [
                    (lead, side * s * 0.6),
                    (lead - sweep, tip),
                    (lead - sweep - 0.05, tip),
                    (lead - chord, side * s),
                ],
                wing,
            )
        )
        t = side * half * 0.4
        parts.append(([(-0.36, 0), (-0.45, t), (-0.5, t), (-0.47, 0)], wing))
        if not light:
            for part in (0.33, 0.62) if length > 34 and rng.random() < 0.4 else (0.36,):
                y, x = tip * part, lead - sweep * part + 0.03
                parts.append(
                    (
                        [(x, y - 0.02), (x, y + 0.02), (x - 0.09, y + 0.02), (x - 0.09, y - 0.02)],
                        wing.lit(0.7),
                    )
                )
    height = 0.09 * length
    for outline, _ in (*parts, (fuselage, body)):
        p._shadow(p.world(outline), height)
    for outline, material in parts:
        p.fill(outline, material, 0.01)
    p.fill(fuselage, body, 0.01)
    p.line([(0.42, 0), (-0.3, 0)], s * 0.5, body.lit(1.06))
    tail = painted(rng, str(rng.choice(["red", "blue", "gray", "white", "yellow"])))
    p.fill([(-0.33, 0.008), (-0.5, 0.012), (-0.5, -0.012), (-0.33, -0.008)], tail)
    p.fill(
        [(0.46, s * 0.4), (0.44, s * 0.6), (0.44, -s * 0.6), (0.46, -s * 0.4)], Material((50, 54, 62), 4, 0)
    )
    outline = [point for shape, _ in parts for point in shape] + fuselage
    p.thing(outline, "airplane", colour)
    return True


def ship(pen: Pen, length: float, kind: str = "boat", colour: str = "white", wake: bool = False) -> bool:
    """A boat, a cargo ship or a barge, bow along x."""
    rng = pen.rng
    slim = {"boat": rng.uniform(0.26, 0.34), "cargo": rng.uniform(0.14, 0.18), "barge": 0.22}[kind]
    if not pen.fits(length, length * slim):
        return False
    p = pen.at(0, 0, 0, length)
    w = slim / 2
    if kind == "barge":
        hull = [(0.5, -w * 0.6), (0.5, w * 0.6), (0.44, w), (-0.5, w), (-0.5, -w), (0.44, -w)]
    else:
        hull = [(0.5, 0), (0.42, w * 0.55), (0.28, w), (-0.44, w), (-0.5, w * 0.8)]
        hull += [(x, -y) for x, y in hull[:0:-1]]
    if wake:
        foam = Material((196, 208, 208), 70, 30)
        p.fill([(-0.45, w * 0.7), (-1.5, w * 1.6), (-1.5, -w * 1.6), (-0.45, -w * 0.7)], foam.lit(0.72))
        p.fill([(-0.45, w * 0.4), (-0.95, w * 0.6), (-0.95, -w * 0.6), (-0.45, -w * 0.4)], foam)
    paint = painted(rng, colour)
    p.fill(hull, paint, 0.08 * length)
    inner = [(x * 0.9, y * 0.72) for x, y in hull]
    if kind == "cargo":
        p.fill(inner, Material(jitter(rng, (124, 88, 74) if rng.random() < 0.6 else (118, 126, 122)), 14, 10))
        names = ["red", "blue", "gray", "white", "green", "brown", "yellow"]
        rows = int(rng.integers(4, 8))
        for i in range(rows):
            x = -0.24 + i * 0.6 / rows
            if rng.random() < 0.85:
                load = painted(rng, str(rng.choice(names)), 10)
                p.rect(x, -w * 0.68, x + 0.5 / rows, w * rng.uniform(0.1, 0.68), load)
                p.rect(x, w * 0.1, x + 0.5 / rows, w * 0.68, painted(rng, str(rng.choice(names)), 10))
        p.rect(-0.42, -w * 0.75, -0.3, w * 0.75, painted(rng, "white"), 0.08 * length)
    elif kind == "barge":
        p.fill(inner, Material(jitter(rng, (96, 84, 72), 16), 40, 20))
    else:
        p.fill(inner, paint.lit(0.86))
        cabin = (
            painted(rng, "white") if colour != "white" else Material(jitter(rng, (176, 170, 160), 12), 6, 4)
        )
        p.fill(
            [(0.12, -w * 0.5), (0.2, 0), (0.12, w * 0.5), (-0.2, w * 0.55), (-0.2, -w * 0.55)],
            cabin,
            0.05 * length,
        )
        p.rect(0.06, -w * 0.42, 0.12, w * 0.42, Material((48, 58, 68), 4, 0))
        p.rect(-0.42, -w * 0.5, -0.26, w * 0.5, Material(jitter(rng, (138, 112, 86)), 8, 4))
    p.thing(hull, "ship", colour)
    return True


def storage_tank(pen: Pen, radius: float, colour: str = "white", height: float = 8) -> bool:
    """A round tank with a fixed or a floating roof."""
    rng = pen.rng
    if not pen.fits(2 * radius, 2 * radius):
        return False
    side = painted(rng, colour)
    pen.disk(0, 0, radius, side.lit(0.82), height, keep=True)
    pen.disk(0, 0, radius * 0.95, side)
    sun = pen.canvas.sun
    length = math.hypot(*sun)
    ((wx, wy),) = pen.world(((0, 0),))
    plain = pen.canvas.root.at(wx, wy)
    if rng.random() < 0.35:  # a floating roof lies deep: the wall throws a crescent on it
        deep = rng.uniform(0.1, 0.3) * radius
        pen.disk(0, 0, radius * 0.9, side.lit(0.5))
        plain.disk(sun[0] / length * deep, sun[1] / length * deep, radius * 0.9 - deep, side.lit(0.9))
    else:
        dx, dy = sun[0] / length * radius, sun[1] / length * radius
        plain.disk(-dx * 0.12, -dy * 0.12, radius * 0.8, side.lit(1.04))
        for i in range(8 if radius > 9 else 0):
            turn = i * math.pi / 4
            pen.line(
                [(0, 0), (radius * 0.93 * math.cos(turn), radius * 0.93 * math.sin(turn))],
                0.3,
                side.lit(0.92),
            )
        pen.disk(0, 0, max(0.6, radius * 0.08), side.lit(0.7))
    turn = rng.uniform(0, 2 * math.pi)
    arc = [(radius * math.cos(turn + i * 0.12), radius * math.sin(turn + i * 0.12)) for i in range(7)]
    pen.line(arc, 0.6, side.lit(0.6))
    pen.thing(ring(radius, 32), "storage tank", colour, gap=1)
    return True


def baseball_diamond(pen: Pen, reach: float, dirt: Material, lawn: Material) -> bool:
    """An infield whose home plate is the origin, opening along x; `reach` units to the edge of its dirt."""
    quarter = [(reach * math.cos(t), reach * math.sin(t)) for t in np.linspace(-0.82, 0.82, 16)]
    home = [(reach * 0.17 * math.cos(t), reach * 0.17 * math.sin(t)) for t in np.linspace(0.9, 5.38, 12)]
    outline = quarter + home
    middle = pen.at(reach * 0.42, 0)
    if not middle.fits(reach * 1.25, reach * 1.55):
        return False
    pen.fill(outline, dirt)
    base = reach * 0.62
    pen.fill(
        [(base * 0.16, 0), (base * 0.72, -base * 0.56), (base * 1.28, 0), (base * 0.72, base * 0.56)],
        lawn.lit(1.06),
    )
    pen.disk(base * 0.72, 0, reach * 0.075, dirt)
    pen.disk(0, 0, reach * 0.14, dirt.lit(1.05))
    white = surface(pen.rng, "white paint")
    for side in (1, -1):
        pen.line([(0, 0), (reach * 1.7 * math.cos(0.785), side * reach * 1.7 * math.sin(0.785))], 0.5, white)
    pen.thing(outline, "baseball diamond")
    return True


COURTS = {
    "green": ((74, 116, 86), (58, 96, 72)),
    "blue": ((66, 104, 152), (80, 122, 92)),
    "red": ((158, 82, 66), (78, 118, 86)),
    "gray": ((132, 134, 134), (112, 114, 114)),
}


def tennis_court(pen: Pen, length: float, colour: str) -> bool:
    """A court with its surround, the net across its middle."""
    rng, width = pen.rng, length * 0.5
    if not pen.fits(length, width):
        return False
    inner, outer = (Material(jitter(rng, c, 6), 8, 6) for c in COURTS[colour])
    white = surface(rng, "white paint")
    x, y = length / 2, width / 2
    pen.rect(-x, -y, x, y, outer)
    a, b = length * 0.33, width * 0.3
    pen.rect(-a, -b, a, b, inner)
    thin = max(0.45, length * 0.012)
    for py in (-b, b, -b * 0.76, b * 0.76):
        pen.line([(-a, py), (a, py)], thin, white)
    for px in (-a, a):
        pen.line([(px, -b), (px, b)], thin, white)
    for px in (-a * 0.53, a * 0.53):
        pen.line([(px, -b * 0.76), (px, b * 0.76)], thin, white)
    pen.line([(-a * 0.53, 0), (a * 0.53, 0)], thin, white)
    pen.line([(0, -b * 1.1), (0, b * 1.1)], thin * 1.2, outer.lit(0.5))
    pen.thing([(-x, -y), (x, y), (x, -y), (-x, y)], "tennis court", colour)
    return True


def basketball_court(pen: Pen, length: float, colour: str) -> bool:
    """A court with its two keys and circles."""
    rng, width = pen.rng, length * 0.56
    if not pen.fits(length, width):
        return False
    inner, outer = (Material(jitter(rng, c, 6), 10, 8) for c in COURTS[colour])
    white = surface(rng, "white paint")
    key = Material(jitter(rng, (164, 90, 70) if colour != "red" else (80, 116, 150), 8), 8, 6)
    x, y = length / 2, width / 2
    pen.rect(-x, -y, x, y, outer)
    a, b = x * 0.9, y * 0.86
    thin = max(0.45, length * 0.014)
    pen.rect(-a, -b, a, b, white)
    pen.rect(-a + thin, -b + thin, a - thin, b - thin, inner)
    for side in (1, -1):
        arc = [
            (side * (a * 0.98 - a * 0.5 * math.cos(t)), b * 0.86 * math.sin(t))
            for t in np.linspace(-1.57, 1.57, 12)
        ]
        pen.line(arc, thin, white)
        x1, x2 = sorted((side * a * 0.98, side * a * 0.62))
        pen.rect(x1, -b * 0.26, x2, b * 0.26, key)
        pen.line(
            [(x1, -b * 0.26), (x2, -b * 0.26), (x2, b * 0.26), (x1, b * 0.26), (x1, -b * 0.26)], thin, white
        )
    pen.disk(0, 0, b * 0.27 + thin, white)
    pen.disk(0, 0, b * 0.27, key)
    pen.line([(0, -b), (0, b)], thin, white)
    pen.thing([(-x, -y), (x, y), (x, -y), (-x, y)], "basketball court", colour)
    return True


def oval(length: float, width: float, corners: int = 16) -> list[Point]:
    """The outline of a running track: two straights and two half circles."""
    r = width / 2
    straight = length / 2 - r
    right = [
        (straight + r * math.cos(t), r * math.sin(t)) for t in np.linspace(-math.pi / 2, math.pi / 2, corners)
    ]
    return right + [(-x, -y) for x, y in right]


def football_lines(pen: Pen, length: float, width: float) -> None:
    """Mowing stripes and the white lines of a football field."""
    white = surface(pen.rng, "white paint")
    thin = max(0.4, length * 0.007)
    x, y = length / 2, width / 2
    pen.line([(-x, -y), (x, -y), (x, y), (-x, y), (-x, -y)], thin, white)
    pen.line([(0, -y), (0, y)], thin, white)
    pen.line(ring(width * 0.14, 20) + [(width * 0.14, 0)], thin, white)
    for side in (1, -1):
        for deep, half in ((0.16, 0.3), (0.06, 0.14)):
            a, b = side * (x - length * deep), width * half
            pen.line([(side * x, -b), (a, -b), (a, b), (side * x, b)], thin, white)


def mown(pen: Pen, length: float, width: float, lawn: Material, stripes: int) -> None:
    """A lawn mown in stripes across its length."""
    step = length / stripes
    for i in range(stripes):
        x = -length / 2 + i * step
        pen.rect(x, -width / 2, x + step, width / 2, lawn.lit(1.07 if i % 2 else 0.95))


def ground_track_field(pen: Pen, length: float, colour: str = "red") -> bool:
    """A running track around a football field."""
    rng = pen.rng
    width = length * rng.uniform(0.5, 0.6)
    if not pen.fits(length, width):
        return False
    track = Material(
        jitter(rng, {"red": (168, 80, 62), "brown": (160, 122, 92), "blue": (84, 116, 160)}[colour]), 10, 14
    )
    white = surface(rng, "faded paint")
    lawn = surface(rng, "lawn")
    lanes = length * 0.06
    outline = oval(length, width)
    pen.fill(outline, track, keep=True)
    for lane in (0.02, 0.34, 0.67):
        path = oval(length - 2 * lanes * lane, width - 2 * lanes * lane)
        pen.line(path + path[:1], max(0.3, length * 0.003), white)
    pen.fill(oval(length - 2 * lanes, width - 2 * lanes), white)
    pen.fill(oval(length - 2 * lanes - 1, width - 2 * lanes - 1), track if rng.random() < 0.5 else lawn)
    field, deep = length * 0.58, (width - 2 * lanes) * 0.84
    mown(pen, field, deep, lawn, int(rng.choice([1, 8, 10, 12])))
    football_lines(pen, field * 0.96, deep * 0.94)
    pen.thing(outline, "ground track field", colour)
    return True


CARS = ("white", "silver", "gray", "black", "red", "blue", "white", "black")


def vehicle(pen: Pen, length: float, colour: str = "", truck: bool = False) -> bool:
    """A car or a truck. Its box is drawn about the body alone, without its shadow."""
    rng = pen.rng
    width = length * (0.3 if truck else 0.46)
    if not pen.fits(length + 1, width + 1):
        return False
    colour = colour or str(CARS[int(rng.integers(len(CARS)))])
    paint = Material(jitter(rng, PAINT[colour], 10), 4, 0)
    x, y = length / 2, width / 2
    outline = [(-x, -y), (x * 0.9, -y), (x, -y * 0.7), (x, y * 0.7), (x * 0.9, y), (-x, y)]
    pen.fill(outline, paint, 0.22 * length)
    glass = Material((44, 50, 58), 4, 0) if colour != "black" else Material((92, 98, 106), 4, 0)
    if truck:
        pen.rect(-x, -y, x * 0.52, y, Material(jitter(rng, PAINT["white"], 18), 6, 4))
        pen.rect(x * 0.5, -y, x * 0.58, y, glass)
    else:
        pen.rect(x * 0.2, -y * 0.8, x * 0.48, y * 0.8, glass)
        pen.rect(-x * 0.78, -y * 0.76, -x * 0.55, y * 0.76, glass)
    pen.thing(outline, "vehicle", colour, gap=0)
    return True


# --- furniture -------------------------------------------------------------------------------------------


def house(pen: Pen, width: float, depth: float, roof: Colour, height: float = 6) -> None:
    """A house with a gable or a hip roof, its ridge along x."""
    rng = pen.rng
    x, y = width / 2, depth / 2
    tiles = Material(jitter(rng, roof, 9), 20, 10)
    pen.rect(-x, -y, x, y, tiles.lit(1 + 0.24 * pen.facing(0, -1)), height, keep=True)
    if width < 12:  # too small for more than a lit and a dark side
        pen.rect(-x, 0, x, y, tiles.lit(1 + 0.24 * pen.facing(0, 1)))
        return
    inset = 0 if rng.random() < 0.45 else min(x * 0.8, y)
    ridge = [(-x + inset, 0), (x - inset, 0)]
    faces = [
        ([(-x, -y), (x, -y), ridge[1], ridge[0]], (0, -1)),
        ([(-x, y), (x, y), ridge[1], ridge[0]], (0, 1)),
    ]
    if inset:
        faces += [([(-x, -y), ridge[0], (-x, y)], (-1, 0)), ([(x, -y), ridge[1], (x, y)], (1, 0))]
    for outline, normal in faces:
        pen.fill(outline, tiles.lit(1 + 0.24 * pen.facing(*normal)))
    pen.line(ridge, 0.5, tiles.lit(1.15))
    if rng.random() < 0.4:
        at = pen.at(rng.uniform(-x, x) * 0.5, y * 0.4 * rng.choice((-1, 1)))
        at.rect(-0.7, -0.7, 0.7, 0.7, Material((88, 82, 78), 6, 0), 2)


def flat_roof(pen: Pen, width: float, depth: float, roof: Colour, height: float = 8) -> None:
    """A hall: a flat or ribbed roof with a parapet, skylights and machines."""
    rng = pen.rng
    x, y = width / 2, depth / 2
    top = Material(jitter(rng, roof, 6), 14, 16)
    pen.rect(-x, -y, x, y, top.lit(1.12), height, keep=True)
    rim = min(1.2, depth * 0.06)
    pen.rect(-x + rim, -y + rim, x - rim, y - rim, top)
    style = rng.random()
    if style < 0.35 and width > 12:
        ribs = int(width / rng.uniform(3, 7))
        for i in range(1, ribs):
            at = -x + i * width / ribs
            pen.line([(at, -y + rim), (at, y - rim)], 0.6, top.lit(0.88))
    elif style < 0.6:
        half = top.lit(1 + 0.12 * pen.facing(0, 1))
        pen.rect(-x + rim, 0, x - rim, y - rim, half)
    for _ in range(int(rng.integers(0, 2 + int(width * depth / 220)))):
        px, py = rng.uniform(-x * 0.8, x * 0.8), rng.uniform(-y * 0.7, y * 0.7)
        size = rng.uniform(0.8, 2.2)
        pen.rect(px - size, py - size * 0.7, px + size, py + size * 0.7, top.lit(rng.choice((0.7, 1.2))), 1.6)


def tree(pen: Pen, radius: float, leaf: Material) -> None:
    """One tree from above: a dark crown with a lit side."""
    rng = pen.rng
    sun = pen.canvas.sun
    length = math.hypot(*sun)
    ux, uy = sun[0] / length * radius, sun[1] / length * radius
    ((wx, wy),) = pen.world(((0, 0),))
    plain = pen.canvas.root.at(wx, wy)
    tone = leaf.lit(rng.uniform(0.8, 1.15))
    plain.disk(0, 0, radius, tone.lit(0.78), radius * 0.9)
    plain.disk(-ux * 0.22, -uy * 0.22, radius * 0.72, tone)
    plain.disk(-ux * 0.42, -uy * 0.42, radius * 0.34, tone.lit(1.2))


def trees(
    pen: Pen, count: int, leaf: Material, reach: float = 112, low: float = 2.2, high: float = 5
) -> None:
    """Trees in groups and alone, over whatever is free within `reach` units."""
    rng = pen.rng
    groups = rng.uniform(-reach, reach, (max(1, count // 9), 2))
    spots = groups[rng.integers(len(groups), size=count)] + rng.normal(0, 1, (count, 2)) * rng.gamma(
        2, 4.5, (count, 1)
    )
    alone = rng.random(count) < 0.2
    spots[alone] = rng.uniform(-reach, reach, (int(alone.sum()), 2))
    sizes = low + (high - low) * rng.beta(1.3, 2, count)
    for (x, y), radius in zip(spots.tolist(), sizes.tolist()):
        at = pen.at(x, y)
        if at.free(radius + 0.5):
            tree(at, radius, leaf)


def tree_line(pen: Pen, path: Sequence[Point], leaf: Material, step: float = 7, radius: float = 3.2) -> None:
    """Trees along a path, where it is free."""
    rng = pen.rng
    for (x1, y1), (x2, y2) in zip(path, path[1:]):
        length = math.hypot(x2 - x1, y2 - y1)
        for t in np.arange(0, length, step).tolist():
            if rng.random() < 0.85:
                at = pen.at(
                    x1 + (x2 - x1) * t / length + rng.normal(0, 0.6),
                    y1 + (y2 - y1) * t / length + rng.normal(0, 0.6),
                )
                size = radius * rng.uniform(0.75, 1.25)
                if at.free(size + 0.5):
                    tree(at, size, leaf)


def road(
    pen: Pen,
    path: Sequence[Point],
    width: float,
    asphalt: Material,
    shoulder: Material | None = None,
    lanes: int = 2,
) -> None:
    """A road along a path, marked when it is wide enough."""
    rng = pen.rng
    if shoulder:
        pen.line(path, width * 1.3, shoulder, keep=True)
    pen.line(path, width, asphalt, keep=True)
    if width < 5:
        return
    white, yellow = surface(rng, "faded paint"), surface(rng, "yellow paint")
    for side in (-1, 1):
        pen.line(beside(path, side * width * 0.45), 0.35, white)
    for i in range(1, lanes):
        offset = width * 0.9 * (i / lanes - 0.5)
        if i * 2 == lanes and rng.random() < 0.4:
            pen.line(beside(path, offset), 0.4, yellow)
        else:
            pen.dashes(beside(path, offset), 0.4, white, 3, 4)


def traffic(
    pen: Pen, path: Sequence[Point], width: float, chance: float, length: float, trucks: float = 0.1
) -> None:
    """Vehicles along both lanes of a road, right-hand traffic."""
    rng = pen.rng
    for (x1, y1), (x2, y2) in zip(path, path[1:]):
        stretch, angle = math.hypot(x2 - x1, y2 - y1), math.atan2(y2 - y1, x2 - x1)
        at = rng.uniform(0, length * 2)
        while at < stretch:
            truck = rng.random() < trucks
            size = length * (1.9 if truck else rng.uniform(0.9, 1.08))
            back = rng.random() < 0.5
            offset = width * 0.24 * (-1 if back else 1)
            if rng.random() < chance:
                spot = pen.at(x1 + (x2 - x1) * at / stretch, y1 + (y2 - y1) * at / stretch, angle)
                vehicle(spot.at(0, offset, math.pi if back else 0), size, truck=truck)
            at += size * 1.6 + rng.uniform(0, length)


def car_rows(pen: Pen, width: float, depth: float, full: float, length: float = 8) -> None:
    """A car park filling a rectangle: rows of stalls with aisles between them; `full` is the share taken."""
    rng = pen.rng
    white = surface(rng, "yellow paint" if rng.random() < 0.25 else "faded paint")
    stall, bay, aisle = length * 0.62, length * 1.22, length * 1.35
    y = -depth / 2
    while y + 2 * bay <= depth / 2 + 0.1:
        count = int(width / stall)
        left = -count * stall / 2
        pen.line([(left, y + bay), (-left, y + bay)], 0.4, white)
        for i in range(count + 1):
            pen.line([(left + i * stall, y), (left + i * stall, y + 2 * bay)], 0.4, white)
        for side in (0, 1):
            for i in range(count):
                if rng.random() < full:
                    back = rng.random() < 0.5
                    spot = pen.at(
                        left + (i + 0.5) * stall + rng.normal(0, 0.2),
                        y + bay * (0.5 + side) + rng.normal(0, 0.3),
                        math.pi / 2 * (1 if back else -1) + rng.normal(0, 0.03),
                    )
                    vehicle(spot, length * rng.uniform(0.88, 1.02))
        y += 2 * bay + aisle


def pool(pen: Pen, length: float) -> None:
    """A swimming pool with its paved edge."""
    rng = pen.rng
    width = length * rng.uniform(0.45, 0.65)
    x, y = length / 2, width / 2
    pen.rect(-x - 1.5, -y - 1.5, x + 1.5, y + 1.5, surface(rng, "concrete"), keep=True)
    pen.rect(-x, -y, x, y, Material(jitter(rng, (84, 176, 206), 8), 8, 6))
