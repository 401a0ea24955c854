"""Where people live and work: streets of houses, industry, storage tanks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from training.pocket.drawing import things
from training.pocket.drawing.canvas import Canvas, Material, Pen, blob, winding
from training.pocket.drawing.layout import (
    ROOF_WORDS,
    Random,
    around,
    pick,
    scatter,
    scene,
    start,
    told,
)
from training.pocket.drawing.things import surface


def _block(
    pen: Pen,
    lot: float,
    setback: float,
    roofs: Sequence[str],
    leaf: Material,
    green: float,
    gaps: Sequence[float],
) -> None:
    """Houses on both sides of a street along x, except where it crosses the streets at the x of `gaps`."""
    rng = pen.rng
    drive = surface(rng, "concrete")
    for side in (-1, 1):
        x = -165.0
        while x < 165:
            wide = lot * rng.uniform(0.9, 1.15)
            middle, back = x + wide / 2, side * (setback + lot * rng.uniform(0.3, 0.36))
            at = pen.at(middle, back, (0 if rng.random() < 0.6 else math.pi / 2) + rng.normal(0, 0.02))
            x += wide
            if max(abs(at.x), abs(at.y)) > 112 + lot or any(abs(middle - gap) < lot * 0.75 for gap in gaps):
                continue
            if rng.random() < 0.07:
                things.tree(at, lot * 0.25, leaf)
                continue
            roof = things.ROOFS[pick(rng, roofs)]
            if lot > 16:
                pen.rect(middle + wide * 0.22, 0, middle + wide * 0.36, back, drive)
            things.house(at, lot * rng.uniform(0.64, 0.82), lot * rng.uniform(0.5, 0.64), roof, lot * 0.22)
            if rng.random() < 0.3:
                wing = at.at(lot * 0.2, lot * 0.22, math.pi / 2)
                things.house(wing, lot * 0.42, lot * 0.36, roof, lot * 0.2)
            for away in (0.1, 0.75, 1.1):
                radius = lot * rng.uniform(0.1, 0.2)
                spot = pen.at(middle - wide / 2, side * (setback + lot * away) + rng.normal(0, 1))
                if rng.random() < green and spot.free(radius * 0.8):
                    things.tree(spot, radius, leaf)


def _suburb(
    rng: Random, size: int, lot: float, setback: float, street: float, green: float
) -> tuple[Canvas, str]:
    """Streets lined with houses: the canvas, and the roof colour of most houses ("" when mixed)."""
    canvas, pen = start(
        rng,
        size,
        pick(rng, ("lawn", "grass", "dry grass", "soil") if lot > 15 else ("soil", "grass", "concrete")),
    )
    asphalt, leaf = surface(rng, pick(rng, ("asphalt", "dark asphalt"))), surface(rng, "tree")
    main = pick(rng, tuple(things.ROOFS)) if rng.random() < 0.6 else ""
    roofs = (main, main, main, "gray") if main else tuple(things.ROOFS)
    avenues = [rng.uniform(-60, 0)]
    avenues.append(avenues[0] + rng.uniform(90, 130))
    pitch = street + 2 * setback + lot * rng.uniform(1.45, 1.7)
    rows = np.arange(-165 + rng.uniform(0, pitch), 165, pitch).tolist()
    for x in avenues:
        things.road(pen, [(x, -180), (x, 180)], street * 1.15, asphalt)
    for y in rows:
        things.road(pen, [(-180, y), (180, y)], street, asphalt)
    for y in rows:
        _block(pen.at(0, y), lot, setback + street / 2, roofs, leaf, green, avenues)
        things.traffic(pen, [(-170, y), (170, y)], street * 1.2, 0.1, max(4.4, lot * 0.28), 0.02)
    things.trees(canvas.root, int(160 * green), leaf, 112, 1.6, lot * 0.2)
    return canvas, main


@scene("dense residential")
def _dense(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    lot = rng.uniform(12, 16.5)
    canvas, roof = _suburb(rng, size, lot, rng.uniform(0.5, 2), rng.uniform(5, 6.5), rng.uniform(0.1, 0.6))
    roof = ROOF_WORDS.get(roof, roof)
    says = [
        "many houses stand close together in a dense residential area.",
        "rows of houses are divided by straight roads.",
        "lots of buildings are packed side by side along the streets.",
    ]
    if roof:
        says.append(f"most houses of the dense residential area have {roof} roofs.")
    return canvas, says + told(canvas, "vehicle", "{some} {be} on the streets.")


@scene("medium residential")
def _medium(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    lot = rng.uniform(23, 30)
    canvas, roof = _suburb(rng, size, lot, rng.uniform(4, 8), rng.uniform(8, 10), rng.uniform(0.5, 0.9))
    roof = ROOF_WORDS.get(roof, roof)
    says = [
        "houses with gardens and trees line the streets of a residential area.",
        "many green trees stand between the houses.",
        "several houses stand along a straight road.",
    ]
    if roof:
        says.append(f"most houses of the medium residential area have {roof} roofs.")
    return canvas, says + told(
        canvas, "vehicle", "{some} {be} on the road.", "there {be} {some} on the streets."
    )


@scene("sparse residential")
def _sparse(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    ground = pick(rng, ("grass", "lawn", "forest", "dry grass"))
    canvas, pen = start(rng, size, ground)
    leaf = surface(rng, "tree")
    y0 = rng.choice((-1, 1)) * rng.uniform(55, 85)
    lane = [(x, y + y0) for x, y in winding(rng, 340, 12, 24, 0.8)]
    things.road(pen, lane, rng.uniform(7, 9), surface(rng, pick(rng, ("asphalt", "dirt", "concrete"))))
    names = tuple(things.ROOFS)
    roof = pick(rng, names)
    homes, pools = 0, 0
    for x, y in scatter(rng, 14, 78):
        at = pen.at(x, y, rng.normal(0, 0.2))
        if homes == 3 or not (at.free(28) and at.fits(50, 50)):
            continue
        homes += 1
        yard = surface(rng, "lawn")
        at.fill(blob(rng, 30, 20, 0.08), yard, keep=True)
        drive = surface(rng, "concrete")
        near = min(lane, key=lambda p: (p[0] - x) ** 2 + (p[1] - y) ** 2)
        pen.line([(x, y), ((x + near[0]) / 2 + 4, (y + near[1]) / 2), near], 3.6, drive, keep=True)
        wide = rng.uniform(20, 27)
        things.house(at, wide, rng.uniform(12, 15), things.ROOFS[roof], 6)
        things.house(at.at(wide * 0.3, 7, math.pi / 2), 16, 10.5, things.ROOFS[roof], 5)
        if rng.random() < 0.45:
            things.pool(at.at(-10, -14), 10)
            pools += 1
        if rng.random() < 0.6:
            things.vehicle(at.at(-wide * 0.2, 13, rng.uniform(0, 6.28)), 7)
        for _ in range(3):
            things.tree(
                at.at(rng.choice((-1, 1)) * rng.uniform(20, 25), rng.uniform(-20, 20)),
                rng.uniform(3, 5),
                leaf,
            )
    court = ""
    for x, y in scatter(rng, 12, 80):
        at = pen.at(x, y, rng.choice((0, 1.57)))
        if not court and rng.random() < 0.2 and at.free(18):
            colour = pick(rng, tuple(things.COURTS))
            court = colour if things.tennis_court(at, 30, colour) else ""
    things.trees(canvas.root, 420 if ground == "forest" else int(rng.integers(60, 260)), leaf, 112, 2.5, 6)
    noun = {1: "a house stands", 2: "two houses stand", 3: "three houses stand"}.get(homes, "a road runs")
    place = {"forest": "among dense trees"}.get(ground, "among trees and lawns")
    says = [
        f"{noun} {place}.",
        "this sparse residential area has a lot of green and a narrow road.",
    ]
    if pools:
        says.append(
            "a blue swimming pool lies beside a house."
            if pools == 1
            else "blue swimming pools lie beside the houses."
        )
    if court:
        says += told(
            canvas,
            "tennis court",
            "there {be} {some} near the houses." if homes > 1 else "there {be} {some} among the trees.",
        )
    return canvas, says + told(
        canvas,
        "vehicle",
        "{some} {be} parked beside the houses." if homes > 1 else "{some} {be} parked on a lawn.",
    )


@scene("industrial")
def _industrial(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    canvas, pen = start(rng, size, pick(rng, ("concrete", "asphalt", "soil", "apron")))
    asphalt = surface(rng, "dark asphalt")
    main = pick(rng, ("white", "gray", "blue", "red", "white"))
    colours = {**things.ROOFS, "blue": (84, 118, 160), "white": (214, 216, 216)}
    wide = rng.uniform(9, 13)
    xs = sorted((-rng.uniform(50, 70), rng.uniform(30, 60)))
    ys = sorted((-rng.uniform(40, 75), rng.uniform(25, 60)))
    for y in ys:
        things.road(pen, [(-180, y), (180, y)], wide, asphalt)
    things.road(pen, [(xs[0], -180), (xs[0], 180)], wide, asphalt)
    columns, rows = [-165, xs[0], xs[1], 165], [-165, *ys, 165]
    green = surface(rng, "grass")
    for x1, x2 in zip(columns, columns[1:]):
        for y1, y2 in zip(rows, rows[1:]):
            w, d = x2 - x1 - wide - 8, y2 - y1 - wide - 8
            if w < 14 or d < 14:
                continue
            at = pen.at((x1 + x2) / 2, (y1 + y2) / 2)
            if rng.random() < 0.15:
                at.rect(-w / 2, -d / 2, w / 2, d / 2, green)
                continue
            across = int(rng.integers(1, 4))
            for i in range(across):
                part = w / across
                roof = colours[main if rng.random() < 0.85 else pick(rng, tuple(colours))]
                spot = at.at(-w / 2 + part * (i + 0.5), 0)
                things.flat_roof(
                    spot, part * rng.uniform(0.8, 0.92), d * rng.uniform(0.6, 0.98), roof, rng.uniform(5, 9)
                )
    for y in ys:
        things.traffic(pen, [(-170, y), (170, y)], wide, 0.22, 6, 0.35)
    for x, y in scatter(rng, 16, 100):
        at = pen.at(x, y, rng.choice((0, 1.57)))
        if at.free(7):
            things.vehicle(at, 6 * (1.9 if (truck := rng.random() < 0.5) else 1), truck=truck)
    tanks = 0
    if rng.random() < 0.35:
        r = rng.uniform(5, 8)
        for x, y in scatter(rng, 20, 98):
            at = pen.at(x, y)
            if tanks < 4 and at.free(r + 1):
                tanks += things.storage_tank(at, r, "white", 6)
    things.trees(canvas.root, 40, surface(rng, "tree"), 112, 2, 3.6)
    says = [
        f"large factory halls, most of them with {main} roofs, stand in an industrial area.",
        "the industrial area has large flat roofs and straight roads.",
        "many big buildings stand side by side along the roads.",
    ]
    says += told(canvas, "storage tank", "there {be} {some} between the halls.")
    return canvas, says + told(canvas, "vehicle", "{some} {be} in the industrial area.")


@scene("storage tanks")
def _tanks(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    ground = pick(rng, ("concrete", "soil", "apron", "grass", "dry grass"))
    canvas, pen = start(rng, size, ground)
    floor = surface(rng, pick(rng, ("concrete", "soil", "dirt", "apron")))
    colour = pick(rng, ("white", "white", "gray", "silver"))
    r = rng.uniform(9, 21)
    pitch = r * rng.uniform(2.6, 3.1)
    columns = int(rng.integers(2, max(3, int(200 / pitch)) + 1))
    rows = int(rng.integers(1, max(2, int(150 / pitch)) + 1))
    asphalt = surface(rng, "asphalt")
    w, d = columns * pitch, rows * pitch
    for y in (-d / 2 - 9, d / 2 + 9):
        things.road(pen, [(-180, y), (180, y)], 8, asphalt)
    things.road(pen, [(-w / 2 - 9, -180), (-w / 2 - 9, 180)], 8, asphalt)
    wall = floor.lit(1.14)
    pipe = surface(rng, "metal")
    for j in range(rows):
        for i in range(columns):
            at = pen.at((i - columns / 2 + 0.5) * pitch, (j - rows / 2 + 0.5) * pitch)
            h = pitch * 0.48
            at.rect(-h, -h, h, h, wall, 1.2)
            at.rect(-h + 1.2, -h + 1.2, h - 1.2, h - 1.2, floor)
    for j in range(rows + 1):
        y = (j - rows / 2) * pitch
        for off in (-0.9, 0, 0.9):
            pen.line([(-w / 2, y + off), (w / 2, y + off)], 0.5, pipe.lit(0.9 + 0.1 * off))
    for j in range(rows):
        for i in range(columns):
            if rng.random() < 0.93:
                at = pen.at(
                    (i - columns / 2 + 0.5) * pitch, (j - rows / 2 + 0.5) * pitch, rng.uniform(0, 6.28)
                )
                things.storage_tank(at, r * rng.uniform(0.9, 1.02), colour, r * rng.uniform(0.5, 0.9))
                at.line([(0, r), (0, pitch * 0.5)], 0.6, pipe.lit(0.8))
    small = rng.uniform(4.5, 7)
    for i in range(int(rng.integers(0, 9))):
        at = pen.at(-w / 2 + 8 + i * small * 2.5, d / 2 + 19 + small)
        if at.free(small):
            things.storage_tank(at, small, colour, 6)
    things.traffic(pen, [(-170, -d / 2 - 9), (170, -d / 2 - 9)], 8, 0.2, 6, 0.4)
    around(canvas, pen, pick(rng, ("town", "country", "town")), surface(rng, "tree"))
    says = [
        f"{colour} storage tanks stand in {'a row' if rows == 1 else 'rows'} beside a road.",
        f"round {colour} tanks are joined by pipes.",
    ]
    return canvas, says + told(
        canvas,
        "storage tank",
        "{some} {be} in the picture.",
        "there {be} {some} with shadows on the ground.",
        "{some} {be} near the road.",
    )
