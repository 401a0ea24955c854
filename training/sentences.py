"""Train what reads whether a sentence gives away that its answer was told (tinyrs.sentences), and measure it on writers that
it has not seen.

    python -m training.sentences [--json]            # measure: every lot by a model that was trained on the others
    python -m training.sentences --write             # the same, then train on all and write tinyrs/sentences.json

sentences.jsonl beside this file holds sentences in lots, each by another hand or in another manner, none made from templates:
"leak" (it gives away that the answer was told), "sound" (innocent, mostly with the words that leaks use), "place" and "elsewhere"
(words of place, said of the thing in question or of something else: training.sides learns from them). Lot 0 is of another kind:
sentences of the captions by which the checks were made before ("ordinary" are those of sound ones). The sentences of the sound
reasonings that the other trainers of the checks learn from are "ordinary", too. Two minutes of one core.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tinyrs.parse import split_steps
from tinyrs.sentences import WEIGHTS, parts, pieces
from training import linear
from training.tables import grid, percent

DATA = Path(__file__).with_name("sentences.jsonl")
SOUND = [DATA.with_name(f"{name}.jsonl") for name in ("alternatives", "outcomes", "sides")]
"""Files of sound reasonings."""
FOLDS = 4
ALARMS = 0.15
"""Share of the tricky innocent sentences, by unseen writers, that may be taken for leaks: sets the threshold."""
PENALTY = 0.2
"""Of the squares of the weights."""
SMALLEST = 16
"""Pieces whose weight is below this are left out: they decide nothing, and make the file three times as long."""


def read(path: Path = DATA) -> list[dict]:
    """The rows: {"lot", "kind", "sentence"}."""
    written = linear.read(path)
    known = {row["sentence"] for row in written}
    others = dict.fromkeys(step for file in SOUND for row in linear.read(file) for step in split_steps(row["reasoning"]))
    return [*written, *({"lot": 0, "kind": "ordinary", "sentence": step} for step in others if step not in known)]


class Model:
    """Weights of a leak: {piece: [whole number]}, times `unit`, plus `bias`."""

    def __init__(self, table: dict[str, list[int]], unit: float, bias: float):
        self.table, self.unit, self.bias = table, unit, bias

    def leaks(self, sentence: str) -> float:
        """As tinyrs.sentences computes it, with the threshold at 0: the highest of the parts."""
        return max(self.plain(part) for part in parts(sentence))

    def plain(self, text: str) -> float:
        """The sum for a text as a whole."""
        return self.bias + self.unit * sum(self.table[piece][0] for piece in pieces(text) if piece in self.table)


def train(rows: Sequence[dict]) -> Model:
    """A model of whole sentences first; by it is told which part of each leak gives it away, and the model that is
    returned has learnt from these parts as well, and from all parts of all other sentences."""
    whole = [(row["sentence"], row["kind"] == "leak") for row in rows]
    first = _fit(whole)
    inner = []
    for row in rows:
        clauses = parts(row["sentence"])[1:]
        if clauses and row["kind"] == "leak":
            clauses = [max(clauses, key=first.plain)]
        inner += [(clause, row["kind"] == "leak") for clause in clauses]
    return _fit([*whole, *inner])


def _fit(texts: Sequence[tuple[str, bool]]) -> Model:
    """Logistic regression from (text, does it leak), both kinds being worth the same."""
    import torch
    import torch.nn.functional as F

    leak = torch.tensor([leaks for _, leaks in texts]).float()
    even = torch.where(leak > 0, 0.5 / leak.sum(), 0.5 / (1 - leak).sum()) * len(texts)

    def loss(sums):
        return (F.binary_cross_entropy_with_logits(sums[:, 0], leak, reduction="none") * even).sum()

    words, weight, (bias,) = linear.fit([pieces(text) for text, _ in texts], 1, loss, PENALTY, history=8)
    unit = float(weight.abs().quantile(0.9995)) / linear.STEPS
    return Model(linear.whole(words, weight, unit, SMALLEST), unit, bias)


def unseen(rows: Sequence[dict], say: Callable[[str], None] = print) -> list[tuple[dict, float]]:
    """(row, how surely it leaks) for every row, by a model that saw none of its lot, nor of every fourth other lot. Lot 0, whose
    sentences come from everywhere, is cut into quarters instead."""
    told = []
    for fold in range(FOLDS):
        apart = [(row["lot"] or at) % FOLDS == fold for at, row in enumerate(rows)]
        model = train([row for row, held in zip(rows, apart, strict=True) if not held])
        told += [(row, model.leaks(row["sentence"])) for row, held in zip(rows, apart, strict=True) if held]
        say(f"fold {fold + 1} of {FOLDS}: {len(model.table):,} pieces")
    return told


def report(told: Sequence[tuple[dict, float]]) -> dict:
    """{"leak_from", "lots": [{"lot", "leaks", "found", "sound", "alarms"}...], "ordinary"}."""
    tricky = sorted((sum_ for row, sum_ in told if row["kind"] == "sound"), reverse=True)
    limit = tricky[int(ALARMS * len(tricky))]
    lots = []
    for lot in sorted({row["lot"] for row, _ in told} - {0}):
        mine = [(row, sum_) for row, sum_ in told if row["lot"] == lot]
        counts = {kind: [sum_ > limit for row, sum_ in mine if row["kind"] == kind] for kind in ("leak", "sound")}
        if not counts["leak"]:  # a lot of places
            continue
        lots.append({
            "lot": lot, "leaks": len(counts["leak"]), "found": sum(counts["leak"]),
            "sound": len(counts["sound"]), "alarms": sum(counts["sound"]),
        })  # fmt: skip
    ordinary = [sum_ > limit for row, sum_ in told if row["kind"] in ("ordinary", "place", "elsewhere")]
    return {"leak_from": limit, "lots": lots, "ordinary": {"sentences": len(ordinary), "alarms": sum(ordinary)}}


def write(model: Model, leak_from: float, path: Path = WEIGHTS) -> None:
    """The file that tinyrs.sentences reads."""
    linear.write(path, {"unit": model.unit, "bias": round(model.bias, 4), "leak_from": round(leak_from, 4)}, model.table)


def show(found: dict) -> None:
    """What was measured, for people."""
    table = [
        (str(lot["lot"]), f"{percent(lot['found'] / lot['leaks'])} of {lot['leaks']}", f"{percent(lot['alarms'] / lot['sound'])} of {lot['sound']}")
        for lot in found["lots"]
    ]
    print(grid(("lot", "leaks found, %", "innocent with such words, doubted, %"), table))
    leaks, caught = (sum(lot[key] for lot in found["lots"]) for key in ("leaks", "found"))
    plain = found["ordinary"]
    print(f"leaks: {percent(caught / leaks)} % of {leaks}; ordinary sentences doubted: {percent(plain['alarms'] / plain['sentences'])} % of {plain['sentences']}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write if asked to."""
    return linear.command(
        arguments, "training.sentences", __doc__, WEIGHTS, read,
        lambda rows: report(unseen(rows, lambda line: print(line, file=sys.stderr))),
        lambda rows, found: write(train(rows), found["leak_from"]), show,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
