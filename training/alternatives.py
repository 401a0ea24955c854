"""Train what reads which of several outcomes a reasoning comes to (tinyrs.alternatives), and measure it on unseen writers.

    python -m training.alternatives [--json]        # every lot by a model that was trained on the others
    python -m training.alternatives --write         # the same, then train on all and write tinyrs/alternatives.json

alternatives.jsonl beside this file holds sound captions in lots, each by another hand or in another manner: questions of how
many ("count"), comparisons ("order"), and classes or lettered choices ("offer"). Lot 0 is those of tests/captions*, by which the
rules were made. A caption is found where the model alone would doubt it with one of two other answers, drawn for it, and
an alarm where it doubts it as it is; in the checks the rules have a voice beside it.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinyrs import alternatives
from tinyrs.alternatives import SURE, WEIGHTS
from tinyrs.example import Task
from tinyrs.metrics import equal, label_of, number_of
from tinyrs.orders import compared
from tinyrs.parse import split_steps
from tinyrs.prompt import choices, guess_task
from tinyrs.yes_no import compared_by_rule
from training import linear
from training.tables import grid, percent

DATA = Path(__file__).with_name("alternatives.jsonl")
KINDS = ("count", "order", "offer")
PENALTY, SMALLEST = 2.0, 1
"""Of the squares of the weights; and the weight, in steps, that makes a piece worth keeping."""
SHARE = 2
"""How many times a caption of another lot one of lot 0 counts."""


@dataclass(frozen=True)
class Row:
    """A caption as it is learnt from: the signs of every outcome, which of them its answer leaves, and what the answer might
    have been instead: each a set of outcomes."""

    lot: int
    kind: str
    signs: dict[Hashable, set[str]]
    good: frozenset
    wrong: tuple[frozenset, ...]


def read(path: Path = DATA) -> list[Row]:
    """The rows of a file of {"lot", "question", "reasoning", "answer"}; ValueError names one that asks for none of KINDS."""
    found = []
    for number, row in enumerate(linear.read(path), 1):
        made = row_of(row["question"], row["reasoning"], row["answer"], row["lot"])
        if made is None:
            raise ValueError(f"{path.name}, line {number}: no count, comparison, class or choice is asked for and answered.")
        found.append(made)
    return found


def row_of(question: str, reasoning: str, answer: str, lot: int = 0) -> Row | None:
    """A caption as it is learnt from; None where its question or answer is of none of KINDS."""
    steps, (task, labels) = split_steps(reasoning), guess_task(question)
    draw = random.Random(question + reasoning)
    lettered = choices(question)
    if lettered or len(labels) > 1 and task is Task.CLASSIFICATION:
        letters = tuple(letter for letter, _ in lettered)
        names = tuple(name for _, name in lettered) or labels
        at = label_of(answer, letters or names)
        if at is None:
            return None
        others = [other for other in range(len(names)) if other != at]
        wrong = tuple(frozenset((other,)) for other in draw.sample(others, min(2, len(others))))
        return Row(lot, "offer", alternatives.offer_signs(names, steps, letters), frozenset((at,)), wrong)
    if task is Task.COUNTING and (number := number_of(answer)) is not None and number == int(number):
        number = int(number)
        near = {number + 1, number + 2, 2 * number, *((number - 1,) if number else ())} - {number}
        signs = alternatives.count_signs(question, steps, {number, *near})
        wrong = tuple(frozenset((other,)) for other in draw.sample(sorted(near), 2))
        return Row(lot, "count", signs, frozenset((number,)), wrong)
    asked = compared(question)
    if asked and (equal(answer, "yes") or equal(answer, "no")):
        yes = equal(answer, "yes")
        signs = alternatives.order_signs(asked, steps, compared_by_rule(question, steps))
        return Row(lot, "order", signs, asked.outcomes(yes), (asked.outcomes(not yes),))
    return None


def train(rows: Sequence[Row]) -> dict:
    """{"unit", "pieces"}: for each of KINDS the weights at which the outcomes that the answers leave are likeliest."""
    rows = [row for row in rows for _ in range(1 if row.lot else SHARE)]
    outcomes = [
        ({f"{row.kind} {sign}" for sign in signs}, at, outcome in row.good)
        for at, row in enumerate(rows)
        for outcome, signs in row.signs.items()
    ]
    return linear.softmax(outcomes, PENALTY, SMALLEST)


def judge(model: dict, row: Row) -> tuple[int, int]:
    """(how many of the wrong answers are found, whether the right one is doubted)."""
    weights = model["pieces"], model["unit"]
    weighed = {outcome: alternatives.weigh(row.kind, signs, weights) for outcome, signs in row.signs.items()}
    found = sum(alternatives.lead(weighed, wrong) > SURE[row.kind] for wrong in row.wrong)
    return found, alternatives.lead(weighed, row.good) > SURE[row.kind]


def unseen(rows: Sequence[Row]) -> list[dict]:
    """{"lot", "kind", "n", "wrong", "found", "alarms"} of every lot and kind, by a model that has not seen the lot."""
    told = []
    for lot in sorted({row.lot for row in rows}):
        model = train([row for row in rows if row.lot != lot])
        for kind in KINDS:
            mine = [row for row in rows if (row.lot, row.kind) == (lot, kind)]
            if mine:
                judged = [judge(model, row) for row in mine]
                told.append(
                    {
                        "lot": lot, "kind": kind, "n": len(mine), "wrong": sum(len(row.wrong) for row in mine),
                        "found": sum(found for found, _ in judged), "alarms": sum(doubted for _, doubted in judged),
                    }
                )  # fmt: skip
    return told


def show(found: list[dict]) -> None:
    """What was measured, for people."""
    table = [
        (str(each["lot"]), each["kind"], str(each["n"]), percent(each["found"] / each["wrong"]), percent(each["alarms"] / each["n"]))
        for each in found
    ]
    print(grid(("lot", "kind", "n", "wrong answers found, %", "right ones doubted, %"), table))
    for kind in KINDS:
        mine = [each for each in found if each["kind"] == kind and each["lot"]]
        n, wrong = sum(each["n"] for each in mine), sum(each["wrong"] for each in mine)
        print(
            f"{kind}, lots 1 and up: {percent(sum(each['found'] for each in mine) / wrong)} % of wrong answers found, "
            f"{percent(sum(each['alarms'] for each in mine) / n)} % of right ones doubted (n = {n})"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write if asked to."""
    return linear.command(arguments, "training.alternatives", __doc__, WEIGHTS, read, unseen, lambda rows, _: linear.keep(train(rows), WEIGHTS), show)


if __name__ == "__main__":
    sys.exit(main())
