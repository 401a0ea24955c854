"""Train what reads the outcome of a reasoning that does not say it (tinyrs.outcomes), and measure it on unseen writers.

    python -m training.outcomes [--json]        # every lot by a model that was trained on the others
    python -m training.outcomes --write         # the same, then train on all and write tinyrs/outcomes.json

outcomes.jsonl beside this file holds sound captions in lots, each by another hand or in another manner: "presence" (is
something there) and "area" (rural or urban). Lot 0 is those of tests/captions*, by which the rules were made. A caption is found
where the checks would doubt it with the other answer, and an alarm where they doubt it as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tinyrs import outcomes
from tinyrs.outcomes import KINDS, WEIGHTS, signs
from tinyrs.parse import split_steps
from tinyrs.yes_no import said_presence
from training import linear
from training.tables import grid, percent

DATA = Path(__file__).with_name("outcomes.jsonl")
POSITIVE = {"presence": "yes", "area": "urban"}
PENALTY, SMALLEST = 2.0, 2
"""Of the squares of the weights; and the weight, in steps, that makes a piece worth keeping."""


def read(path: Path = DATA) -> list[dict]:
    """The rows: {"lot", "kind", "question", "reasoning", "answer"}."""
    return linear.read(path)


def train(rows: Sequence[dict]) -> dict:
    """{"unit", "bias", "pieces"} of a logistic regression for each of KINDS."""
    import torch
    import torch.nn.functional as F

    found = [signs(_asked(row), split_steps(row["reasoning"])) for row in rows]
    truth = torch.tensor([[float(row["answer"] == POSITIVE[kind]) for kind in KINDS] for row in rows])
    asked = torch.tensor([[float(row["kind"] == kind) for kind in KINDS] for row in rows])

    def loss(sums):
        return (F.binary_cross_entropy_with_logits(sums, truth, reduction="none") * asked).sum()

    words, weight, bias = linear.fit(found, len(KINDS), loss, PENALTY)
    unit = float(weight.abs().max()) / linear.STEPS
    return {"unit": unit, "bias": [round(value, 4) for value in bias], "pieces": linear.whole(words, weight, unit, SMALLEST)}


def _asked(row: dict) -> str:
    return row["question"] if row["kind"] == "presence" else ""


def log_odds(model: dict, row: dict) -> float:
    """As tinyrs.outcomes computes them."""
    at = KINDS.index(row["kind"])
    found = signs(_asked(row), split_steps(row["reasoning"]))
    return model["unit"] * sum(model["pieces"][p][at] for p in found if p in model["pieces"]) + model["bias"][at]


def judge(model: dict, row: dict) -> int:
    """1 where the outcome is read as the answer says, -1 where as the other, 0 where none is read."""
    said = said_presence(row["question"], split_steps(row["reasoning"])) if row["kind"] == "presence" else None
    found = outcomes.read(row["kind"], log_odds(model, row), said)
    return 0 if found is None else 1 if found == (row["answer"] == POSITIVE[row["kind"]]) else -1


def unseen(rows: Sequence[dict]) -> list[dict]:
    """{"lot", "kind", "n", "found", "alarms"} of every lot and kind, by a model that has not seen the lot."""
    told = []
    for lot in sorted({row["lot"] for row in rows}):
        model = train([row for row in rows if row["lot"] != lot])
        for kind in KINDS:
            judged = [judge(model, row) for row in rows if (row["lot"], row["kind"]) == (lot, kind)]
            if judged:
                told.append({"lot": lot, "kind": kind, "n": len(judged), "found": judged.count(1), "alarms": judged.count(-1)})
    return told


def write(model: dict, path: Path = WEIGHTS) -> None:
    """The file that tinyrs.outcomes reads."""
    linear.write(path, {"unit": model["unit"], "bias": model["bias"]}, model["pieces"])


def show(found: list[dict]) -> None:
    """What was measured, for people."""
    table = [
        (str(each["lot"]), each["kind"], str(each["n"]), percent(each["found"] / each["n"]), percent(each["alarms"] / each["n"]))
        for each in found
    ]
    print(grid(("lot", "kind", "n", "outcome found, %", "read as the other, %"), table))
    for kind in KINDS:
        mine = [each for each in found if each["kind"] == kind and each["lot"]]
        n = sum(each["n"] for each in mine)
        print(
            f"{kind}, lots 1 and up: {percent(sum(each['found'] for each in mine) / n)} % found, "
            f"{percent(sum(each['alarms'] for each in mine) / n)} % read as the other (n = {n})"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write if asked to."""
    return linear.command(arguments, "training.outcomes", __doc__, WEIGHTS, read, unseen, lambda rows, _: write(train(rows)), show)


if __name__ == "__main__":
    sys.exit(main())
