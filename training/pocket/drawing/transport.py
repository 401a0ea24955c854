"""Airports, ports, car parks and viaducts."""

from __future__ import annotations

import math

import numpy as np

from training.pocket.drawing import things
from training.pocket.drawing.canvas import Canvas, Material, Pen, beside, winding
from training.pocket.drawing.layout import (
    Random,
    around,
    number,
    pick,
    scatter,
    scene,
    start,
    told,
)
from training.pocket.drawing.things import jitter, painted, surface


@scene("airport")
def _airport(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    canvas, pen = start(rng, size, pick(rng, ("grass", "dry grass", "grass")))
    tarmac, apron = surface(rng, pick(rng, ("asphalt", "dark asphalt", "apron"))), surface(rng, "apron")
    white, yellow = surface(rng, "faded paint"), surface(rng, "yellow paint")
    shift = rng.uniform(-12, 20)
    runway, taxi = -72 + shift, -30 + shift
    wide = rng.uniform(18, 26)
    pen.rect(-170, runway - wide * 0.62, 170, runway + wide * 0.62, apron.lit(0.9))
    pen.rect(-170, runway - wide / 2, 170, runway + wide / 2, tarmac, keep=True)
    pen.dashes([(-170, runway), (170, runway)], 0.8, white, 9, 7)
    for side in (-1, 1):
        pen.line([(-170, runway + side * wide * 0.45), (170, runway + side * wide * 0.45)], 0.5, white)
    if rng.random() < 0.6:
        for i in range(-4, 5):
            y = runway + i * wide / 11
            pen.rect(-78, y - wide / 36, -62, y + wide / 36, white)
        pen.rect(-30, runway - wide * 0.3, -14, runway - wide * 0.16, white)
        pen.rect(-30, runway + wide * 0.16, -14, runway + wide * 0.3, white)
    for x in rng.uniform(-110, 110, 2).tolist() + [rng.uniform(-40, 40)]:
        slant = rng.choice((0, 0, 22, -22))
        pen.line([(x + slant, runway), (x, taxi)], 9, tarmac, keep=True)
        pen.line([(x + slant, runway), (x, taxi)], 0.5, yellow)
    pen.line([(-170, taxi), (170, taxi)], 11, tarmac, keep=True)
    pen.line([(-170, taxi), (170, taxi)], 0.6, yellow)
    left, right = -rng.uniform(80, 165), rng.uniform(80, 165)
    top, bottom = taxi + 14, taxi + rng.uniform(62, 78)
    pen.rect(left, taxi, right, bottom, apron, keep=True)
    for x in np.arange(left, right, rng.uniform(9, 14)).tolist():
        pen.line([(x, taxi), (x, bottom)], 0.3, apron.lit(0.9))
    for y in np.arange(taxi, bottom, 11).tolist():
        pen.line([(left, y), (right, y)], 0.3, apron.lit(0.9))
    for x, y in zip(rng.uniform(left, right, 6).tolist(), rng.uniform(taxi, bottom, 6).tolist()):
        pen.line(
            [(x, y), (x + rng.normal(0, 14), y + rng.normal(0, 5))], rng.uniform(0.8, 2.5), apron.lit(0.86)
        )
    roof = pick(rng, ("white", "gray", "white", "dark"))
    deep = rng.uniform(16, 26)
    middle = rng.uniform(-20, 20)
    things.flat_roof(pen.at(middle, bottom + deep / 2), rng.uniform(110, 190), deep, things.ROOFS[roof], 7)
    length = rng.uniform(22, 36)
    step = length * rng.uniform(1.32, 1.6)
    docked = rng.random() < 0.75
    for x in np.arange(left + step / 2, right - step / 2, step).tolist():
        if rng.random() < 0.72:
            y = bottom - length * rng.uniform(0.62, 0.7)
            if y - length / 2 < top - 8:
                y = bottom - length * 0.6
            turn = math.pi / 2 + (0 if docked else rng.choice((0, math.pi))) + rng.normal(0, 0.03)
            plane = pen.at(x + rng.normal(0, 1), y, turn)
            drawn = things.airplane(
                plane, length * rng.uniform(0.85, 1.05), "white" if rng.random() < 0.85 else "gray"
            )
            if drawn and docked and rng.random() < 0.7:
                pen.rect(x + 3, bottom - length * 0.28, x + 5.5, bottom + 1, surface(rng, "metal"), 3)
    rolling = rng.random() < 0.4
    if rolling:
        spot = pen.at(rng.uniform(-60, 60), runway, rng.choice((0, math.pi)))
        things.airplane(spot, length, "white")
    if rng.random() < 0.5:
        things.car_rows(pen.at(middle, bottom + deep + 32), 150, 34, rng.uniform(0.3, 0.8), 6)
    if rng.random() < 0.5:
        things.road(
            pen, [(-180, bottom + deep + 62), (180, bottom + deep + 62)], 9, surface(rng, "dark asphalt")
        )
    things.trees(canvas.root, int(rng.integers(0, 60)), surface(rng, "tree"))
    tone = "dark" if sum(tarmac.colour) < 270 else "gray"
    says = [
        f"a long {tone} runway runs beside a taxiway and a wide apron.",
        f"this is an airport with a runway, a taxiway and a terminal with a {roof} roof.",
        "the runway and the apron of the airport are surrounded by grass.",
    ]
    return canvas, says + told(
        canvas,
        "airplane",
        "{some} {be} on the ground of an airport." if rolling else "{some} {be} parked beside a long runway.",
        "{some} {be} at the airport, near a terminal building.",
        "there {be} {some} at an airport with a long runway.",
        "{some} can be seen at the airport.",
    )


def _stacks(pen: Pen, width: float, depth: float) -> None:
    """Container stacks on a quay."""
    rng = pen.rng
    y = -depth / 2
    while y < depth / 2 - 3:
        x = -width / 2
        while x < width / 2 - 8:
            if rng.random() < 0.85:
                paint = painted(
                    rng, pick(rng, ("red", "blue", "gray", "white", "brown", "green", "yellow")), 12
                )
                pen.rect(x, y, x + 8.4, y + 3.2, paint, rng.choice((1.5, 3, 4)))
            x += 9
        y += 3.4 if rng.random() < 0.7 else 7


@scene("port")
def _port(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    canvas, pen = start(rng, size, pick(rng, ("water", "sea", "water", "green water")))
    quay = surface(rng, pick(rng, ("concrete", "apron", "asphalt")))
    edge = rng.uniform(38, 64)
    pen.rect(-170, edge, 170, 190, quay, 2, keep=True)
    pen.line([(-170, edge + 0.8), (170, edge + 0.8)], 1.4, quay.lit(1.18))
    if rng.random() < 0.6:
        return _marina(canvas, pen, edge, quay)
    return _cargo_port(canvas, pen, edge, quay)


def _marina(canvas: Canvas, pen: Pen, edge: float, quay: Material) -> tuple[Canvas, list[str]]:
    rng = canvas.rng
    deck = surface(rng, "concrete").lit(rng.uniform(0.85, 1.15))
    boat = rng.uniform(11, 18)
    gap = boat * rng.uniform(3.2, 3.8)
    reach = rng.uniform(70, 105)
    for x in np.arange(-110 + rng.uniform(0, 20), 120, gap).tolist():
        far = edge - reach * rng.uniform(0.8, 1)
        outline = [(x - 1.4, far), (x + 1.4, far), (x + 1.4, edge), (x - 1.4, edge)]
        if not pen.at(x, (far + edge) / 2).fits(3, edge - far):
            continue
        pen.fill(outline, deck, 1)
        full = rng.uniform(0.35, 0.9)
        for y in np.arange(far + 4, edge - 4, boat * 0.42).tolist():
            for side in (-1, 1):
                pen.line([(x, y - boat * 0.21), (x + side * boat * 0.7, y - boat * 0.21)], 0.5, deck)
                if rng.random() < full:
                    spot = pen.at(x + side * (2 + boat / 2), y, 0 if side > 0 else math.pi)
                    colour = "white" if rng.random() < 0.85 else pick(rng, ("blue", "gray", "red"))
                    things.ship(spot, boat * rng.uniform(0.8, 1), "boat", colour)
        pen.thing(outline, "harbor", gap=0)
    for _ in range(int(rng.integers(0, 3))):
        spot = pen.at(rng.uniform(-90, 90), edge - reach - rng.uniform(12, 40), rng.uniform(0, 6.28))
        if spot.free(boat):
            things.ship(spot, boat, "boat", "white", wake=True)
    road_y = edge + rng.uniform(14, 20)
    things.road(pen, [(-170, road_y), (170, road_y)], 7, surface(rng, "dark asphalt"))
    for x in np.arange(-120, 130, rng.uniform(26, 44)).tolist():
        roof = things.ROOFS[pick(rng, tuple(things.ROOFS))]
        things.flat_roof(pen.at(x, road_y + 22), rng.uniform(16, 24), rng.uniform(12, 20), roof, 6)
    says = ["a quay with buildings lies along the water.", "this is a port with a road along its quay."]
    says += told(
        canvas,
        "ship",
        "{some} {be} in the port.",
        "there {be} {some} on the water of the harbor.",
        "{some} {be} near the quay of a marina.",
    )
    piers = canvas.count("harbor")
    if piers:
        noun = "a pier reaches" if piers == 1 else f"{number(piers)} piers reach"
        says.append(f"{noun} from the quay into the water.")
    return canvas, says


def _cargo_port(canvas: Canvas, pen: Pen, edge: float, quay: Material) -> tuple[Canvas, list[str]]:
    rng = canvas.rng
    length = rng.uniform(62, 100)
    for x in np.arange(-104 + rng.uniform(0, 30), 104, length * 1.12).tolist():
        spot = pen.at(x + length / 2 - 10, edge - length * 0.1, rng.choice((0, math.pi)))
        things.ship(
            spot, length * rng.uniform(0.8, 1), "cargo", pick(rng, ("red", "black", "blue", "gray", "green"))
        )
    for _ in range(int(rng.integers(0, 4))):
        spot = pen.at(rng.uniform(-90, 90), edge - rng.uniform(45, 120), rng.uniform(0, 6.28))
        if spot.free(34):
            kind = pick(rng, ("boat", "barge", "boat"))
            things.ship(
                spot, rng.uniform(14, 26), kind, pick(rng, ("white", "gray", "red")), wake=kind == "boat"
            )
    rail = Material(jitter(rng, (120, 112, 100)), 14, 8)
    for y in (edge + 4, edge + 16):
        pen.line([(-170, y), (170, y)], 0.6, rail.lit(0.8))
    for x in np.arange(-110, 120, rng.uniform(36, 60)).tolist():
        crane = painted(rng, pick(rng, ("blue", "red", "yellow", "white")))
        for off in (-3, 3):
            pen.line([(x + off, edge - 14), (x + off, edge + 18)], 1.2, crane)
        pen.rect(x - 4, edge + 8, x + 4, edge + 12, crane, 8)
    for x in np.arange(-130, 140, rng.uniform(58, 80)).tolist():
        _stacks(pen.at(x, edge + 46), 48, 42)
    things.flat_roof(pen.at(rng.uniform(-60, 60), edge + 92), 80, 24, things.ROOFS["gray"], 6)
    says = [
        "containers are stacked on the quay of the port.",
        "this is a cargo port with cranes and rows of containers.",
    ]
    return canvas, says + told(
        canvas,
        "ship",
        "{some} {be} in the port, near the containers.",
        "there {be} {some} on the water of the port.",
    )


@scene("parking")
def _parking(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    asphalt = surface(rng, pick(rng, ("asphalt", "dark asphalt", "asphalt", "apron")), 14)
    canvas = Canvas(rng, size, asphalt)
    pen = canvas.root.at(0, 0, rng.choice((0, math.pi / 2)) + rng.choice((0, rng.uniform(-0.8, 0.8))))
    full = rng.uniform(0.15, 0.8)
    length = rng.uniform(12, 16)
    strip = rng.choice((-1, 0, 1))
    leaf = surface(rng, "tree")
    if strip:
        y = strip * rng.uniform(70, 90)
        pen.rect(-170, y, 170, strip * 180, surface(rng, "grass"), keep=True)
        for x in np.arange(-150, 150, rng.uniform(10, 18)).tolist():
            things.tree(pen.at(x, y + strip * 8), rng.uniform(4, 7), leaf)
        depth, middle = abs(y) + 118, strip * (abs(y) - 142) / 2
    else:
        depth, middle = 250, 0.0
    things.car_rows(pen.at(0, middle), 280, depth, full, length)
    for x, y in scatter(rng, 10, 105):
        at = pen.at(x, y)
        if at.free(length * 0.7):
            things.vehicle(at.at(0, 0, rng.choice((0, math.pi))), length)
    for _ in range(12):
        (x, y), r = scatter(rng, 1, 105)[0], rng.uniform(2.4, 4)
        if pen.at(x, y).free(r + 1) and rng.random() < 0.5:
            things.tree(pen.at(x, y), r, leaf)
    fill = (
        "nearly full of cars" if full > 0.68 else "mostly empty" if full < 0.3 else "partly filled with cars"
    )
    says = [
        f"a large parking lot is {fill}.",
        "cars stand in neat rows on the parking lot.",
        "the stalls of the parking lot are marked by lines.",
    ]
    if strip:
        says.append("a row of green trees stands beside the parking lot.")
    return canvas, says + told(
        canvas, "vehicle", "{some} {be} in the parking lot.", "there {be} {some} in the picture."
    )


@scene("viaduct")
def _viaduct(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    canvas, pen = start(rng, size, pick(rng, ("grass", "dry grass", "grass", "soil")))
    asphalt = surface(rng, pick(rng, ("asphalt", "apron", "dark asphalt")))
    rail = surface(rng, "concrete")
    wide = rng.uniform(22, 30)
    for quarter in range(4):
        if rng.random() < 0.7:
            loop = pen.at(0, 0, quarter * math.pi / 2).at(wide * 0.5, wide * 0.5)
            r = rng.uniform(24, 34)
            path = [
                (r + r * math.cos(t), r + r * math.sin(t))
                for t in np.linspace(math.pi * 0.98, math.pi * 2.52, 30)
            ]
            loop.line(path, 9, asphalt.lit(1.04), keep=True)
            loop.line(beside(path, 4), 0.4, rail)
            loop.line(beside(path, -4), 0.4, rail)
        if rng.random() < 0.75:
            ramp = pen.at(0, 0, quarter * math.pi / 2)
            bend = [
                (wide * 0.5 + 112 * (1 - math.sin(t)), wide * 0.5 + 112 * (1 - math.cos(t)))
                for t in np.linspace(0, 1.57, 24)
            ]
            ramp.line(bend, 9, asphalt.lit(0.97), keep=True)
            ramp.dashes(bend, 0.4, rail, 4, 5)
    crossing = rng.uniform(-0.25, 0.25) + math.pi / 2
    levels = [pen, pen.at(0, 0, crossing)]
    if rng.random() < 0.35:
        levels.append(pen.at(0, 0, rng.uniform(0.6, 0.95)))
    car = rng.uniform(5.2, 6.5)
    for level, at in enumerate(levels):
        sway = winding(rng, 340, 7 if level else 14, 14, 1)
        width = wide if level < 2 else wide * 0.6
        if level:  # the deck throws a shadow on what lies below
            k = canvas.scale
            shadow = [(x + canvas.sun[0] * 7 + 112, y + canvas.sun[1] * 7 + 112) for x, y in at.world(sway)]
            canvas.on_shade.line([(x * k, y * k) for x, y in shadow], canvas.darkness, round(width * k))
            canvas.on_shade.line(
                [((x + 112) * k, (y + 112) * k) for x, y in at.world(sway)], 255, round(width * 1.06 * k)
            )
        at.line(sway, width * 1.08, rail.lit(1.1), keep=True)
        at.line(sway, width, asphalt.lit(1 + 0.05 * level), keep=True)
        at.line(sway, width * 0.08, rail)
        for side in (-1, 1):
            lane = beside(sway, side * width * 0.27)
            at.dashes(lane, 0.5, surface(rng, "white paint"), 4, 6)
        if level == len(levels) - 1:
            things.traffic(at, sway, width, rng.uniform(0.1, 0.4), car)
    things.trees(canvas.root, int(rng.integers(20, 120)), surface(rng, "tree"), 112, 2.5, 5)
    around(canvas, pen, pick(rng, ("suburb", "country")), surface(rng, "tree"))  # no car but on the roads
    count = {2: "two", 3: "three"}[len(levels)]
    says = [
        f"{count} wide roads cross above each other at a viaduct.",
        "curved ramps join the roads of the viaduct.",
        "a viaduct with green trees between its roads.",
    ]
    return canvas, says + told(
        canvas, "vehicle", "{some} {be} driving on the viaduct.", "there {be} {some} on the upper road."
    )
