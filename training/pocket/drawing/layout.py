"""What the drawers of scenes share: their register, the words of captions, and what stands around a place."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from training.pocket.drawing import things
from training.pocket.drawing.canvas import Canvas, Material, Pen
from training.pocket.drawing.things import surface

Random = np.random.Generator
Drawer = Callable[[Random, int], tuple[Canvas, list[str]]]
DRAWERS: dict[str, Drawer] = {}


def scene(label: str) -> Callable[[Drawer], Drawer]:
    def register(drawer: Drawer) -> Drawer:
        DRAWERS[label] = drawer
        return drawer

    return register


NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def number(count: int) -> str:
    """The count as a caption says it: a word up to ten, "many" above."""
    return NUMBERS[count] if count < len(NUMBERS) else "many"


def some(canvas: Canvas, label: str) -> str:
    """The objects of a name in words: "three white airplanes", "a ship", "many vehicles"."""
    found = [thing for thing in canvas.things if thing.box.label == label]
    colours = {thing.colour for thing in found}
    named = len(colours) == 1 and "" not in colours and canvas.rng.random() < 0.75
    noun = f"{colours.pop()} {label}" if named else label
    if len(found) == 1:
        return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
    return f"{number(len(found))} {noun}s"


def be(count: int) -> str:
    """is or are."""
    return "is" if count == 1 else "are"


def told(canvas: Canvas, label: str, *forms: str) -> list[str]:
    """The sentence forms filled in with {some} and {be}; none where there is no such object."""
    count = canvas.count(label)
    return [form.format(some=some(canvas, label), be=be(count)) for form in forms] if count else []


def pick(rng: Random, names: Sequence[str]) -> str:
    return str(names[int(rng.integers(len(names)))])


def start(rng: Random, size: int, ground: str) -> tuple[Canvas, Pen]:
    """A canvas of that ground and a pen turned by any angle."""
    canvas = Canvas(rng, size, surface(rng, ground))
    return canvas, canvas.root.at(0, 0, rng.uniform(0, 2 * math.pi))


def scatter(rng: Random, count: int, reach: float) -> list[tuple[float, float]]:
    return [tuple(spot) for spot in rng.uniform(-reach, reach, (count, 2)).tolist()]


WATER_WORDS = {"water": "dark", "brown water": "brown", "green water": "green"}

ROOF_WORDS = {"dark": "dark gray"}


def around(canvas: Canvas, pen: Pen, kind: str, leaf: Material) -> None:
    """Fill what is still free with what stands around such a place: "town", "suburb" or "country"."""
    rng = canvas.rng
    step = rng.uniform(26, 34)
    full = rng.uniform(0.55, 0.95)
    names = tuple(things.ROOFS)
    pad = surface(rng, "concrete" if kind == "town" else "lawn")
    for x in np.arange(-150, 151, step).tolist():
        for y in np.arange(-150, 151, step).tolist():
            at = pen.at(x + rng.normal(0, 1.5), y + rng.normal(0, 1.5), quarter_turn(rng))
            if max(abs(at.x), abs(at.y)) > 118 or rng.random() > full or not at.free(step * 0.57):
                continue
            h = step * 0.41
            if kind == "country":
                field = surface(rng, pick(rng, ("lawn", "soil", "dry grass", "meadow")), 12)
                at.rect(-h, -h * 0.8, h, h * 0.8, field, keep=True)
                for i in range(-6, 7):
                    at.line([(i * h / 7, -h * 0.8), (i * h / 7, h * 0.8)], 0.6, field.lit(0.92))
            elif kind == "town":
                at.rect(-h, -h, h, h, pad)
                roof = things.ROOFS[pick(rng, names)]
                if rng.random() < 0.75:
                    things.flat_roof(
                        at, h * rng.uniform(1.2, 1.8), h * rng.uniform(0.8, 1.5), roof, rng.uniform(5, 10)
                    )
                else:
                    things.car_rows(at, h * 1.9, h * 1.8, rng.uniform(0.3, 0.9), 6)
            else:
                at.rect(-h, -h, h, h, pad)
                things.house(
                    at,
                    h * rng.uniform(0.9, 1.2),
                    h * rng.uniform(0.7, 0.9),
                    things.ROOFS[pick(rng, names)],
                    5,
                )
    things.trees(canvas.root, int(rng.integers(50, 130)), leaf, 112, 2, 4.4)


def quarter_turn(rng: Random) -> float:
    return float(rng.choice((0, math.pi / 2)))


def roads_around(canvas: Canvas, pen: Pen, x: float, y: float) -> bool:
    """Roads past a place that reaches to `x` and `y` from the origin; whether there is one."""
    rng = canvas.rng
    asphalt = surface(rng, pick(rng, ("asphalt", "dark asphalt")))
    paths = ([(-180, y), (180, y)], [(-180, -y), (180, -y)], [(x, -180), (x, 180)], [(-x, -180), (-x, 180)])
    chosen = [path for path in paths if rng.random() < 0.45]
    for path in chosen:
        things.road(pen, path, 9, asphalt)
    for path in chosen[:1]:  # one road alone carries traffic: crossing cars would lie on each other
        things.traffic(pen, path, 9, 0.25, 6.2)
    return bool(chosen)
