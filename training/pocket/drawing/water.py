"""Rivers, bridges, beaches and ponds."""

from __future__ import annotations

import math

from training.pocket.drawing import things
from training.pocket.drawing.canvas import Canvas, Material, Pen, Point, beside, blob, winding
from training.pocket.drawing.layout import (
    WATER_WORDS,
    Random,
    around,
    pick,
    scatter,
    scene,
    start,
    told,
)
from training.pocket.drawing.things import jitter, painted, surface


def _bank(rng: Random) -> str:
    return pick(rng, ("grass", "forest", "soil", "dry grass", "meadow"))


def _waterway(
    rng: Random, size: int, sway: float, wide: float
) -> tuple[Canvas, Pen, list[Point], Material, str, str]:
    """A river on its ground: canvas, pen along it, its path, the water, and the names of water and ground."""
    bank = _bank(rng)
    canvas, pen = start(rng, size, bank)
    name = pick(rng, ("water", "brown water", "green water", "water"))
    water = surface(rng, name)
    path = winding(rng, 360, sway)
    shore = surface(rng, pick(rng, ("sand", "soil", "grass"))).lit(0.9)
    pen.line(path, wide * rng.uniform(1.1, 1.35), shore)
    pen.line(beside(path, wide * 0.08), wide * 1.04, shore.lit(0.82))
    pen.line(path, wide, water, keep=True)
    pen.line(beside(path, -wide * 0.05), wide * 0.6, water.lit(0.95))
    return canvas, pen, path, water, name, bank


def _fields_beside(canvas: Canvas, pen: Pen, count: int) -> None:
    """A few fields and farm buildings wherever the ground is free."""
    rng = canvas.rng
    for x, y in scatter(rng, count, 100):
        w, d = rng.uniform(16, 44), rng.uniform(14, 34)
        at = pen.at(x, y, rng.choice((0, 0.3)))
        if at.free(max(w, d) * 0.62):
            field = surface(rng, pick(rng, ("lawn", "soil", "dry grass", "meadow")), 14)
            at.rect(-w / 2, -d / 2, w / 2, d / 2, field, keep=True)
            for i in range(1, int(w / 3)):
                at.line([(-w / 2 + i * 3, -d / 2), (-w / 2 + i * 3, d / 2)], 0.5, field.lit(0.92))


@scene("river")
def _river(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    wide = rng.uniform(22, 52)
    canvas, pen, path, _, name, bank = _waterway(rng, size, rng.uniform(30, 90), wide)
    for _ in range(int(rng.integers(0, 4))):
        i = int(rng.integers(8, 22))
        (x, y), (x2, y2) = path[i], path[i + 1]
        spot = pen.at(x, y, math.atan2(y2 - y, x2 - x))
        if _clear_of_things(canvas, spot, 20):
            barge = rng.random() < 0.4
            things.ship(
                spot,
                min(wide * 0.9, rng.uniform(14, 26)),
                "barge" if barge else "boat",
                "gray" if barge else "white",
                not barge,
            )
    if rng.random() < 0.6:
        _fields_beside(canvas, pen, 26)
    leaf = surface(rng, "tree")
    for side in (-1, 1):
        if rng.random() < 0.5:
            things.tree_line(pen, beside(path, side * wide * rng.uniform(0.7, 0.8)), leaf, 6, 3)
    things.trees(canvas.root, int(rng.integers(80, 240)), leaf, 112, 2, 4.5)
    colour = WATER_WORDS[name]
    ground = {"forest": "forest", "soil": "bare soil"}.get(bank, "grass")
    says = [
        f"a {colour} river winds through {ground}.",
        f"the river with {colour} water has trees on its banks.",
        f"a curved river flows between banks of {ground}.",
    ]
    return canvas, says + told(
        canvas, "ship", "{some} {be} on the river.", f"there {{be}} {{some}} on the {colour} water."
    )


@scene("bridge")
def _bridge(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    wide = rng.uniform(60, 105)
    canvas, pen, _, _, name, bank = _waterway(rng, size, rng.uniform(4, 16), wide)
    asphalt = surface(rng, pick(rng, ("asphalt", "dark asphalt", "apron")))
    rail = surface(rng, "concrete").lit(1.12)
    across = pen.at(rng.uniform(-30, 30), 0, math.pi / 2 + rng.uniform(-0.3, 0.3))
    width, half = rng.uniform(12, 24), wide * rng.uniform(0.6, 0.66) + 6
    car = rng.uniform(5.5, 7.5)
    across.rect(-190, -width * 0.62, 190, width * 0.62, surface(rng, "soil"), keep=True)
    things.road(across, [(-190, 0), (190, 0)], width * 0.96, asphalt, lanes=4 if width > 16 else 2)
    deck = [(-half, -width / 2), (half, -width / 2), (half, width / 2), (-half, width / 2)]
    across.fill(deck, rail, 7)
    things.road(
        across, [(-half, 0), (half, 0)], width * 0.88, asphalt.lit(1.05), lanes=4 if width > 16 else 2
    )
    across.thing(deck, "bridge", gap=0)
    style = rng.random()
    if style < 0.3:
        for x in (-half * 0.5, half * 0.5):
            across.rect(x - 1.2, -width * 0.58, x + 1.2, width * 0.58, rail.lit(0.9), 16)
    things.traffic(across, [(-150, 0), (150, 0)], width * 0.92, rng.uniform(0.15, 0.5), car)
    for _ in range(int(rng.integers(0, 4))):
        spot = pen.at(
            rng.uniform(-100, 100),
            rng.uniform(-0.3, 0.3) * wide,
            rng.choice((0, math.pi)) + rng.normal(0, 0.15),
        )
        size_of = rng.uniform(14, 28)
        if _clear_of_things(canvas, spot, size_of * 0.7):
            things.ship(spot, size_of, "boat", "white", True)
    if rng.random() < 0.7:
        _fields_beside(canvas, pen, 30)
    things.trees(canvas.root, int(rng.integers(40, 130)), surface(rng, "tree"), 112, 2, 4.5)
    colour = WATER_WORDS[name]
    says = [
        f"a bridge crosses a {colour} river.",
        f"a long bridge spans the {colour} water between two banks.",
        "a road leads over the river on a bridge.",
    ]
    says += told(canvas, "vehicle", "{some} {be} on the road and the bridge.")
    return canvas, says + told(canvas, "ship", "{some} {be} on the river beside the bridge.")


def _clear_of_things(canvas: Canvas, spot: Pen, radius: float) -> bool:
    """Is no object within `radius` of the pen's origin?"""
    k = 224 / 1000
    x, y = spot.x + 112, spot.y + 112
    return all(
        x + radius < t.box.x1 * k
        or x - radius > t.box.x2 * k
        or y + radius < t.box.y1 * k
        or y - radius > t.box.y2 * k
        for t in canvas.things
    )


@scene("beach")
def _beach(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    canvas, pen = start(rng, size, "sea")
    sea = surface(rng, "sea")
    shift = rng.uniform(-30, 10)
    line = [(x, y + shift) for x, y in winding(rng, 360, rng.uniform(8, 45), 60, 1)]

    def below(offset: float, wobble: float = 0.0) -> list[Point]:
        extra = winding(rng, 360, wobble, 60, 4) if wobble else line
        return [(x, y + offset + (e[1] if wobble else 0)) for (x, y), e in zip(line, extra)] + [
            (180, 200),
            (-180, 200),
        ]

    shallow = Material(jitter(rng, (74, 148, 152), 10), 10, 16)
    foam, sand = Material(jitter(rng, (226, 234, 234), 6), 30, 30), surface(rng, "sand", 12)
    deep = rng.uniform(20, 48)
    steps = 12
    for i in range(steps):
        t = i / (steps - 1)
        colour = tuple(round(a + (b - a) * t) for a, b in zip(sea.colour, shallow.colour))
        pen.fill(below(-deep * (1 - t) - 10, 1.5), Material(colour, 12, 18))
    for offset in sorted(rng.uniform(-22, 0, int(rng.integers(1, 5))).tolist()):
        pen.fill(below(offset - rng.uniform(0.8, 3), 1.6), foam.lit(0.96))
        pen.fill(below(offset + rng.uniform(0.3, 1.5), 1.6), shallow.lit(1.05))
    pen.fill(below(1, 1.2), foam)
    pen.fill(below(3.5, 1.2), sand.lit(0.8))
    pen.fill(below(9, 1.5), sand)
    inland = rng.uniform(26, 52)
    green = surface(rng, pick(rng, ("forest", "grass", "dry grass", "forest")))
    behind = pick(rng, ("trees", "road", "nothing", "trees"))
    people = rng.random() < 0.5
    if behind != "nothing":
        pen.fill(below(inland, 4), green)
    if behind == "road":
        things.road(pen, [(x, y + inland + 14) for x, y in line[::4]], 7, surface(rng, "asphalt"))
        things.traffic(pen, [(x, y + inland + 14) for x, y in line[::4]], 7, 0.3, 5.5)
    if people:
        for x, y in zip(rng.uniform(-110, 110, 60).tolist(), rng.uniform(10, inland - 4, 60).tolist()):
            base = line[min(59, max(0, int((x + 180) / 6)))][1]
            dot = painted(rng, pick(rng, ("white", "red", "blue", "yellow")))
            pen.disk(x, base + y, rng.uniform(0.8, 1.4), dot, 1)
    boats = int(rng.integers(0, 4))
    for x in rng.uniform(-90, 90, boats).tolist():
        shore = line[min(59, max(0, int((x + 180) / 6)))][1]
        spot = pen.at(x, shore - deep - rng.uniform(30, 60), rng.uniform(0, 6.28))
        if spot.free(14):
            things.ship(spot, rng.uniform(10, 16), "boat", "white", rng.random() < 0.5)
    if behind == "trees":
        leaf = surface(rng, "tree")
        for x in rng.uniform(-150, 150, 120).tolist():
            base = line[min(59, max(0, int((x + 180) / 6)))][1]
            at = pen.at(x, base + inland + abs(rng.normal(0, 22)) + 4)
            if at.free(2):
                things.tree(at, rng.uniform(2, 4.5), leaf)
    says = [
        "white waves break on a sandy beach beside the blue sea.",
        "a yellow beach lies between the sea and the land.",
        "the sea meets a curved strip of sand.",
    ]
    if behind == "trees":
        says.append("green trees stand behind the sandy beach.")
    if behind == "road":
        says.append("a road runs along the beach.")
    if people:
        says.append("small umbrellas are spread over the sand of the beach.")
    return canvas, says + told(canvas, "ship", "{some} {be} on the sea off the beach.")


@scene("pond")
def _pond(rng: Random, size: int) -> tuple[Canvas, list[str]]:
    ground = pick(rng, ("grass", "forest", "meadow", "dry grass"))
    canvas, pen = start(rng, size, ground)
    name = pick(rng, ("water", "green water", "brown water", "water"))
    water = surface(rng, name)
    outline = blob(rng, rng.uniform(48, 74), 48, rng.uniform(0.08, 0.24))
    stretch = rng.uniform(0.75, 1)
    outline = [(x, y * stretch) for x, y in outline]
    shore = surface(rng, pick(rng, ("soil", "sand", "lawn", "concrete")))
    pen.fill([(x * 1.08, y * 1.08) for x, y in outline], shore, keep=True)
    pen.fill(outline, water.lit(0.9))
    pen.fill([(x * 0.93, y * 0.93) for x, y in outline], water)
    if rng.random() < 0.6:
        y = rng.choice((-1, 1)) * rng.uniform(84, 100)
        path = [(x, y + dy) for x, dy in winding(rng, 340, 6, 20)]
        things.road(pen, path, 7, surface(rng, "asphalt"))
        things.traffic(pen, path[::3], 7, 0.25, 6)
        beside_road = True
    else:
        beside_road = False
    if ground != "forest":
        around(canvas, pen, pick(rng, ("suburb", "country", "country")), surface(rng, "tree"))
    things.trees(canvas.root, int(rng.integers(80, 200)), surface(rng, "tree"), 112, 2, 5)
    colour = WATER_WORDS[name]
    land = {"forest": "woodland"}.get(ground, "grass")
    says = [
        f"a pond with {colour} water lies in the middle of {land}.",
        f"a {colour} pond is surrounded by green trees.",
        f"the pond in this picture is {colour}.",
    ]
    if beside_road:
        says.append("a road passes beside the pond.")
    return canvas, says
