"""Train what reads which part of a box a number tells (tinyrs.coordinates), and measure it on unseen writers.

    python -m training.coordinates [--json]        # every lot by a model that was trained on the others
    python -m training.coordinates --write         # the same, then train on all and write tinyrs/coordinates.json

coordinates.jsonl beside this file holds reasonings in lots, each by another hand, with slots in place of the numbers of the
box: {x1} {y1} {x2} {y2} its edges, {cx} {cy} its middle, {w} {h} its sizes, each with % for percent, and {any} for a number that is
none of these.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tinyrs.coordinates import ROLES, WEIGHTS, Sentence, likely
from tinyrs.parse import split_steps
from tinyrs.prompt import phrase_of
from training import linear
from training.tables import grid, percent

DATA = Path(__file__).with_name("coordinates.jsonl")
PENALTY, SMALLEST = 1.0, 1
"""Of the squares of the weights; and the weight, in steps, that makes a piece worth keeping."""
_SLOT = re.compile(r"\{(" + "|".join(ROLES) + r")%?\}")


def read(path: Path = DATA) -> list[dict]:
    """The rows: {"lot", "question", "reasoning"}."""
    return linear.read(path)


def numbers(row: dict) -> Iterator[tuple[set[str], str]]:
    """(signs, role) of every number of a reasoning; a number that is written out in it is none of the box's."""
    phrase = phrase_of(row["question"])
    wanted = [match[1] for match in _SLOT.finditer(row["reasoning"])]
    # Marked by a value that no sentence needs, so that a number that is written out is told from one that is filled in.
    for step in split_steps(_SLOT.sub("777", row["reasoning"])):
        sentence, before, role = Sentence(step, phrase), None, ""
        for at, value, _ in sentence.values:
            signs = sentence.signs(at, before, role)
            before, role = at, wanted.pop(0) if value == 777 and wanted else "any"
            yield signs, role


def train(rows: Sequence[dict]) -> dict:
    """{"unit", "bias", "pieces"} of a logistic regression over ROLES."""
    import torch
    import torch.nn.functional as F

    made = [each for row in rows for each in numbers(row)]
    truth = torch.tensor([ROLES.index(role) for _, role in made])
    words, weight, bias = linear.fit(
        [signs for signs, _ in made], len(ROLES), lambda sums: F.cross_entropy(sums, truth, reduction="sum"), PENALTY, history=15
    )
    unit = float(weight.abs().max()) / linear.STEPS
    return {"unit": unit, "bias": [round(value, 4) for value in bias], "pieces": linear.whole(words, weight, unit, SMALLEST)}


def unseen(rows: Sequence[dict]) -> list[dict]:
    """{"lot", "n", "right", "sure", "sure_right"} of every lot by a model that has not seen it; `sure` is at 0.7."""
    told = []
    for lot in sorted({row["lot"] for row in rows}):
        model = train([row for row in rows if row["lot"] != lot])
        made = [each for row in rows if row["lot"] == lot for each in numbers(row)]
        read_ = [(likely(signs, model["pieces"], model["unit"], model["bias"]), role) for signs, role in made]
        best = [(max(each, key=each.__getitem__), max(each.values()), role) for each, role in read_]
        sure = [(found, role) for found, chance, role in best if chance > 0.7]
        told.append(
            {
                "lot": lot, "n": len(best), "right": sum(found == role for found, _, role in best), "sure": len(sure),
                "sure_right": sum(found == role for found, role in sure),
            }
        )  # fmt: skip
    return told


def write(model: dict, path: Path = WEIGHTS) -> None:
    """The file that tinyrs.coordinates reads."""
    linear.write(path, {"unit": model["unit"], "bias": model["bias"]}, model["pieces"])


def show(found: list[dict]) -> None:
    """What was measured, for people."""
    table = [
        (str(each["lot"]), str(each["n"]), percent(each["right"] / each["n"]), percent(each["sure"] / each["n"]), percent(each["sure_right"] / max(1, each["sure"])))
        for each in found
    ]
    print(grid(("lot", "n", "right, %", "sure, %", "right of the sure ones, %"), table))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write if asked to."""
    return linear.command(arguments, "training.coordinates", __doc__, WEIGHTS, read, unseen, lambda rows, _: write(train(rows)), show)


if __name__ == "__main__":
    sys.exit(main())
