"""Baseball fields, playgrounds and stadiums."""

from __future__ import annotations

import math

import numpy as np

from training.pocket.drawing import things
from training.pocket.drawing.canvas import Canvas, Material, Pen, Point
from training.pocket.drawing.layout import (
    Random,
    around,
    pick,
    roads_around,
    scatter,
    scene,
    start,
    told,
)
from training.pocket.drawing.things import jitter, surface


def _courts(canvas: Canvas, pen: Pen, leaf: Material) -> list[str]:
    """Rows of tennis and basketball courts where the ground is free; sentences about them."""
    rng = canvas.rng
    says = []
    for label, drawer in (
        ("tennis court", things.tennis_court),
        ("basketball court", things.basketball_court),
    ):
        if rng.random() < 0.5:
            continue
        colour, length = pick(rng, tuple(things.COURTS)), rng.uniform(26, 34)
        wide = length * (0.5 if label.startswith("tennis") else 0.56) + rng.uniform(0, 2)
        count = int(rng.integers(1, 5))
        for x, y in scatter(rng, 30, 92):
            row = pen.at(x, y)
            spots = [row.at(0, (i - (count - 1) / 2) * wide) for i in range(count)]
            if all(s.free(length * 0.5) and s.fits(length, wide) for s in spots):
                row.rect(
                    -length / 2 - 2,
                    -count * wide / 2 - 2,
                    length / 2 + 2,
                    count * wide / 2 + 2,
                    surface(rng, "asphalt"),
                )
                for s in spots:
                    drawer(s, length, colour)
                says += told(
                    canvas, label, "there {be} {some} beside the field.", "{some} {be} in the picture."
                )
                break
    return says


@scene("baseball field")
def _baseball(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    canvas, pen = start(rng, size, pick(rng, ("grass", "lawn", "dry grass")))
    lawn, dirt = surface(rng, "lawn"), surface(rng, "dirt", 14)
    leaf = surface(rng, "tree")
    count = int(rng.choice((1, 1, 2, 4)))
    reach = {1: rng.uniform(40, 56), 2: rng.uniform(30, 38), 4: rng.uniform(24, 30)}[count]
    for i in range(count):
        turn = i * 2 * math.pi / count + (rng.normal(0, 0.1) if count < 4 else 0)
        back = rng.uniform(38, 50) if count == 1 else rng.uniform(10, 14)
        home = pen.at(0, 0, turn).at(-back if count == 1 else back, 0)
        if not home.at(reach * 0.42, 0).fits(reach * 1.25, reach * 1.55):
            continue
        far = reach * 1.75
        field = [(-reach * 0.25, 0)] + [
            (far * math.cos(t), far * math.sin(t)) for t in np.linspace(-0.86, 0.86, 18)
        ]
        home.fill([(x * 1.04, y * 1.04) for x, y in field], dirt.lit(0.95), keep=True)
        home.fill(field, lawn, keep=True)
        if rng.random() < 0.6:
            for j in range(0, 8, 2):
                r1, r2 = far * (0.62 + j * 0.045), far * (0.62 + (j + 1) * 0.045)
                arc = [(r2 * math.cos(t), r2 * math.sin(t)) for t in np.linspace(-0.8, 0.8, 12)]
                arc += [(r1 * math.cos(t), r1 * math.sin(t)) for t in np.linspace(0.8, -0.8, 12)]
                home.fill(arc, lawn.lit(1.06))
        things.baseball_diamond(home, reach, dirt, lawn)
        for side in (-1, 1):
            stand = home.at(reach * 0.2, side * reach * 0.62, side * 0.785)
            stand.rect(-reach * 0.2, -1.5, reach * 0.2, 1.5, surface(rng, "metal"), 2, keep=True)
    says = []
    if roads_around(canvas, pen, 100, 102):
        says.append("a road runs beside the baseball field.")
    if count < 4:
        says += _courts(canvas, pen, leaf)
    around(canvas, pen, pick(rng, ("suburb", "town", "country")), leaf)
    says.append("the baseball field has brown soil and green grass.")
    return canvas, says + told(
        canvas,
        "baseball diamond",
        "there {be} {some} on a green lawn.",
        "{some} {be} surrounded by grass and trees.",
        "{some} can be seen from above.",
    )


@scene("playground")
def _playground(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    canvas, pen = start(rng, size, pick(rng, ("grass", "concrete", "lawn", "dry grass")))
    leaf = surface(rng, "tree")
    colour = pick(rng, ("red", "red", "brown", "red", "blue"))
    length = rng.uniform(105, 160)
    at = pen.at(rng.uniform(-8, 8), rng.uniform(-24, 24))
    says = []
    if things.ground_track_field(at, length, colour):
        says += [
            f"a {colour} running track surrounds a green football field.",
            f"a ground track field with a {colour} track is in the picture.",
            "there is a ground track field beside trees.",
        ]
    else:
        lawn = surface(rng, "lawn")
        at.rect(-length / 2, -length * 0.32, length / 2, length * 0.32, lawn, keep=True)
        things.mown(at, length, length * 0.64, lawn, 10)
        things.football_lines(at, length * 0.94, length * 0.58)
        says += [
            "a green football field with white lines is in the picture.",
            "the football field is mown in stripes.",
        ]
    for side in (-1, 1):
        if rng.random() < 0.7:
            stand = at.at(0, side * length * 0.35)
            if stand.free(3):
                w = length * rng.uniform(0.2, 0.45)
                stand.rect(-w / 2, -4, w / 2, 4, surface(rng, "metal"), 4, keep=True)
                for i in range(-3, 4):
                    stand.line([(-w / 2, i), (w / 2, i)], 0.4, surface(rng, "asphalt"))
    if roads_around(canvas, pen, 104, 100):
        says.append("a road runs past the playground.")
    says += _courts(canvas, pen, leaf)
    around(canvas, pen, pick(rng, ("suburb", "town", "town")), leaf)
    return canvas, says


@scene("stadium")
def _stadium(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    canvas, pen = start(rng, size, pick(rng, ("concrete", "asphalt", "grass", "apron")))
    length = rng.uniform(130, 178)
    square = rng.random() < 0.35
    width = length * rng.uniform(0.72, 0.9)
    colour = pick(rng, ("white", "gray", "blue", "red"))
    roof = Material(
        jitter(
            rng,
            {"white": (218, 218, 216), "gray": (150, 152, 154), "blue": (92, 120, 160), "red": (150, 84, 72)}[
                colour
            ],
        ),
        10,
        12,
    )

    def shape(scale: float, corners: int = 48) -> list[Point]:
        a, b, power = length / 2 * scale, width / 2 * scale, 0.35 if square else 0.85
        turn = [i * 2 * math.pi / corners for i in range(corners)]
        return [
            (
                a * math.copysign(abs(math.cos(t)) ** power, math.cos(t)),
                b * math.copysign(abs(math.sin(t)) ** power, math.sin(t)),
            )
            for t in turn
        ]

    pen.fill([(x * 1.1, y * 1.12) for x, y in shape(1)], surface(rng, "concrete"), keep=True)
    outer, ribs = shape(1), shape(0.62)
    pen.fill(outer, roof, 13)
    for i in range(len(outer)):  # each sector of the roof slopes its own way
        nx, ny = outer[i]
        sector = (outer[i - 1], outer[i], ribs[i], ribs[i - 1])
        pen.fill(sector, roof.lit(1 + 0.13 * pen.facing(-nx, -ny)))
        if i % 2:
            pen.line([outer[i], ribs[i]], 0.5, roof.lit(0.85))
    seats = Material(
        jitter(
            rng,
            {
                "white": (120, 124, 132),
                "gray": (110, 74, 70),
                "blue": (112, 118, 130),
                "red": (126, 112, 108),
            }[colour],
        ),
        60,
        20,
    )
    rim = rng.uniform(0.74, 0.88)
    pen.fill(shape(rim), roof.lit(0.45))
    pen.fill(shape(rim - 0.02), seats)
    for i in range(6):
        tier = shape(rim - 0.03 - i * 0.035)
        pen.line(tier + tier[:1], 0.4, seats.lit(0.85 if i % 2 else 1.15))
    track = rng.random() < 0.3
    field, deep = length * 0.44, width * 0.34
    lawn = surface(rng, "lawn")
    pen.rect(-field * 0.58, -deep * 0.66, field * 0.58, deep * 0.66, surface(rng, "lawn").lit(0.88))
    inner = pen.at(0, 0)
    if track:
        things.ground_track_field(inner, length * 0.6, "red")
    else:
        things.mown(pen, field, deep, lawn, int(rng.choice((1, 8, 12))))
        things.football_lines(pen, field * 0.94, deep * 0.92)
    pen.take([(-length / 2, -width / 2), (length / 2, width / 2)], 0)
    roads_around(canvas, pen, length / 2 + 18, width / 2 + 18)
    around(canvas, pen, pick(rng, ("town", "town", "suburb")), surface(rng, "tree"))
    form = "rectangular" if square else "oval"
    says = [
        f"a large {form} stadium with a {colour} roof is in the picture.",
        "the stands of the stadium surround a green football field.",
        f"the {form} stadium has a green field in its middle.",
    ]
    return canvas, says + told(canvas, "vehicle", "{some} {be} around the stadium.")
