"""Train what reads whether a sentence says again what was said before (tinyrs.repeats), and measure it on unseen writers.

    python -m training.repeats [--json]        # every lot by a model that was trained on the others
    python -m training.repeats --write         # the same, then train on all and write tinyrs/repeats.json

repeats.jsonl beside this file holds reasonings in lots, each by another hand or in another manner: "again" is the number, from 1, of the
sentence that says again, in other words, what was said; 0 where none does. The sound reasonings that the other trainers of the
checks learn from are learnt from as well, in fourths.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tinyrs import repeats
from tinyrs.parse import sentences, split_steps
from tinyrs.repeats import SURE, WEIGHTS, Before
from training import linear
from training.sentences import SOUND
from training.tables import grid, percent

DATA = Path(__file__).with_name("repeats.jsonl")
PENALTY, SMALLEST = 1.0, 1
"""Of the squares of the weights; and the weight, in steps, that makes a sign worth keeping."""
FOLDS = 4
SHARE = 4
"""How many times a sentence of the other trainers' reasonings one of repeats.jsonl counts."""


@dataclass(frozen=True)
class Row:
    """A reasoning: the signs of each sentence that may be a repetition, and whether it is one. `again`: one of them is."""

    lot: str
    sentences: tuple[tuple[frozenset[str], bool], ...]
    again: bool


def read(path: Path = DATA) -> list[Row]:
    """The rows of repeats.jsonl, and of the sound reasonings. ValueError names a line whose "again" is no sentence."""
    found = []
    for number, row in enumerate(linear.read(path), 1):
        made = row_of(str(row["lot"]), row["question"], row["reasoning"], row["again"])
        if made is None:
            raise ValueError(f"{path.name}, line {number}: sentence {row['again']} is none that may repeat another.")
        found.append(made)
    sound = [row for file in SOUND for row in linear.read(file)]
    return [*found, *(row_of(f"s{at % FOLDS}", row["question"], row["reasoning"], 0) for at, row in enumerate(sound))]


def row_of(lot: str, question: str, reasoning: str, again: int) -> Row | None:
    """A reasoning as it is learnt from; None where the sentence of that number cannot be a repetition."""
    before = Before(sentences(split_steps(reasoning)), question)
    signs = [(frozenset(before.signs(at)), at + 1 == again) for at in range(len(before.said))]
    if again and not (again <= len(signs) and signs[again - 1][0]):
        return None
    return Row(lot, tuple(each for each in signs if each[0]), again > 0)


def train(rows: Sequence[Row]) -> dict:
    """{"unit", "pieces"}: logistic regression over the sentences; the sign that all have is its constant."""
    import torch
    import torch.nn.functional as F

    texts = [
        (signs, said)
        for row in rows
        for signs, said in row.sentences
        for _ in range(1 if row.lot.startswith("s") else SHARE)
    ]
    wanted = torch.tensor([said for _, said in texts]).float()

    def loss(sums):
        return F.binary_cross_entropy_with_logits(sums[:, 0], wanted, reduction="sum")

    words, weight, (bias,) = linear.fit([set(signs) for signs, _ in texts], 1, loss, PENALTY, history=20)
    weight[words.index("sentence")] += bias
    unit = float(weight.abs().max()) / linear.STEPS
    return {"unit": unit, "pieces": linear.whole(words, weight, unit, SMALLEST)}


def doubted(model: dict, row: Row) -> bool:
    """Whether any sentence of a reasoning is taken for a repetition."""
    return any(repeats.weigh(signs, (model["pieces"], model["unit"])) > SURE for signs, _ in row.sentences)


def unseen(rows: Sequence[Row]) -> list[dict]:
    """{"lot", "again", "found", "sound", "alarms"} of every lot, by a model that has not seen it."""
    told = []
    for lot in sorted({row.lot for row in rows}):
        model = train([row for row in rows if row.lot != lot])
        judged = [(row.again, doubted(model, row)) for row in rows if row.lot == lot]
        told.append({
            "lot": lot, "again": sum(again for again, _ in judged), "found": sum(again and found for again, found in judged),
            "sound": sum(not again for again, _ in judged), "alarms": sum(found and not again for again, found in judged),
        })  # fmt: skip
    return told


def show(found: list[dict]) -> None:
    """What was measured, for people."""
    table = [
        (each["lot"], str(each["again"]), _share(each["found"], each["again"]), str(each["sound"]), _share(each["alarms"], each["sound"]))
        for each in found
    ]
    print(grid(("lot", "with a repetition", "found, %", "without", "doubted, %"), table))


def _share(part: int, whole: int) -> str:
    return percent(part / whole) if whole else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write if asked to."""
    return linear.command(arguments, "training.repeats", __doc__, WEIGHTS, read, unseen, lambda rows, _: linear.keep(train(rows), WEIGHTS), show)


if __name__ == "__main__":
    sys.exit(main())
