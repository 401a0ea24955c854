"""Train what reads where in the picture a reasoning says that a thing lies (tinyrs.sides), and measure it on unseen writers.

    python -m training.sides [--json]        # every lot by a model that was trained on the others
    python -m training.sides --write         # the same, then train on all and write tinyrs/sides.json

sides.jsonl beside this file holds reasonings in lots, each by another hand or in another manner, with what they say of the thing
that is asked for: "x" is left, middle, right or "" for nothing, "y" is top, middle, bottom or "". Those of lot 0 are the sound ones by
which the checks were made, with their "box" instead. The single sentences of sentences.jsonl that say where a thing lies, or
use such words of something else, are learnt from as well, in fourths. A reasoning is found where a box on another side
would be doubted, and an alarm is one on the side that it tells.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinyrs import sides
from tinyrs.example import Box
from tinyrs.parse import split_steps
from tinyrs.prompt import phrase_of
from tinyrs.regions import SIDES
from tinyrs.sides import NOTHING, SURE, WEIGHTS, Telling, lies
from tinyrs.weighing import lead
from training import linear, sentences
from training.tables import grid, percent

DATA = Path(__file__).with_name("sides.jsonl")
PENALTY, SMALLEST = 2.0, 1
"""Of the squares of the weights; and the weight, in steps, that makes a sign worth keeping."""
FOLDS = 4
SHARE = 3
"""How many times a single sentence a whole reasoning counts."""


@dataclass(frozen=True)
class Row:
    """One axis of a reasoning: the signs of every side that is named there, and which of them it may tell: one, or those that fit
    a box."""

    lot: str
    axis: str
    signs: dict[str, set[str]]
    told: frozenset[str]


def read(path: Path = DATA) -> list[dict]:
    """The reasonings, and the single sentences as reasonings without a question: {"lot", "question", "reasoning"} and "x" and "y", or
    "box"."""
    singles = [
        {"lot": f"s{at % FOLDS}", "question": "", "reasoning": row["sentence"], "x": row.get("x") or "", "y": row.get("y") or ""}
        for at, row in enumerate(linear.read(sentences.DATA))
        if row["kind"] in ("place", "elsewhere")
    ]
    return [*({**row, "lot": str(row["lot"])} for row in linear.read(path)), *singles]


def rows_of(row: dict) -> Iterator[Row]:
    """What is learnt from one reasoning: an axis of which no side is named teaches nothing."""
    telling = Telling(split_steps(row["reasoning"]), phrase_of(row["question"]) if row["question"] else "")
    for axis in SIDES:
        if "box" in row:
            told = {NOTHING, *(side for side in SIDES[axis] if lies(Box(*row["box"]), axis, side))}
        else:
            told = {row[axis] or NOTHING}
        signs = telling.signs(axis)
        if told & signs.keys():
            yield Row(row["lot"], axis, signs, frozenset(told & signs.keys()))


def train(rows: Sequence[Row]) -> dict:
    """{"unit", "pieces"}: the weights at which what is told is likeliest."""
    rows = [row for row in rows for _ in range(1 if row.lot.startswith("s") else SHARE)]
    outcomes = [(signs, at, side in row.told) for at, row in enumerate(rows) for side, signs in row.signs.items()]
    return linear.softmax(outcomes, PENALTY, SMALLEST)


def judge(model: dict, row: Row) -> tuple[int, int, bool]:
    """(other sides than the one that is told, of how many the box would be doubted, whether it is doubted where it is told)."""
    weights = model["pieces"], model["unit"]
    weighed = {side: sides.weigh(signs, weights) for side, signs in row.signs.items()}
    opposite = [] if NOTHING in row.told else [side for side in SIDES[row.axis] if side not in row.told]
    found = sum(_doubted(weighed, {side, NOTHING}) for side in opposite)
    return len(opposite), found, _doubted(weighed, {*row.told, NOTHING})


def _doubted(weighed: dict[str, float], fits: set[str]) -> bool:
    return lead(weighed, fits & weighed.keys()) > SURE


def unseen(rows: Sequence[Row]) -> list[dict]:
    """{"lot", "n", "wrong", "found", "alarms"} of every lot, by a model that has not seen it."""
    told = []
    for lot in sorted({row.lot for row in rows}):
        model = train([row for row in rows if row.lot != lot])
        judged = [judge(model, row) for row in rows if row.lot == lot]
        told.append({
            "lot": lot, "n": len(judged), "wrong": sum(wrong for wrong, _, _ in judged), "found": sum(found for _, found, _ in judged),
            "alarms": sum(alarm for _, _, alarm in judged),
        })  # fmt: skip
    return told


def show(found: list[dict]) -> None:
    """What was measured, for people."""
    table = [
        (each["lot"], str(each["n"]), percent(each["found"] / max(each["wrong"], 1)), percent(each["alarms"] / each["n"]))
        for each in found
    ]
    print(grid(("lot", "axes told", "other sides doubted, %", "the side that is told doubted, %"), table))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write if asked to."""
    def rows() -> list[Row]:
        return [each for row in read() for each in rows_of(row)]

    return linear.command(arguments, "training.sides", __doc__, WEIGHTS, rows, unseen, lambda rows, _: linear.keep(train(rows), WEIGHTS), show)


if __name__ == "__main__":
    sys.exit(main())
