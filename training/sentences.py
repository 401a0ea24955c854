"""Train what reads single sentences of a reasoning (tinyrs.sentences), and measure it on writers that it has not seen.

    python -m training.sentences [--json]            # measure: every lot by a model that was trained on the others
    python -m training.sentences --write             # the same, then train on all and write tinyrs/sentences.json

sentences.jsonl beside this file holds sentences in lots, each by another hand or in another manner, none made from templates:
"leak" (it gives away that the answer was told), "sound" (innocent, mostly with the words that leaks use), "place" (where in
the picture the thing lies, by thirds on either axis) and "elsewhere" (words of place that say nothing about that). Lot 0
is of another kind: sentences of the captions by which the checks were made before ("ordinary" are those of sound ones).
Two minutes of one core.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tinyrs.sentences import OUTPUTS, SIDES, WEIGHTS, parts, pieces
from training import linear
from training.tables import grid, percent

DATA = Path(__file__).with_name("sentences.jsonl")
FOLDS = 4
ALARMS = 0.15
"""Share of the tricky innocent sentences, by unseen writers, that may be taken for leaks: sets the threshold."""
DOUBT = 0.6
"""From this probability on a claim of place is counted here as read (tinyrs.sides has its own)."""
PENALTY = 0.2
"""Of the squares of the weights."""
SMALLEST = 16
"""Pieces all of whose weights are below this are left out: they decide nothing, and make the file three times as long."""
PLACED = re.compile(r"left|right|top|bottom|upper|lower|north|south|east|west|cent|middle|corner|edge|margin|border|quadrant|o'clock", re.I)


def read(path: Path = DATA) -> list[dict]:
    """The rows: {"lot", "kind", "sentence"}, and "x" and "y" for places."""
    return linear.read(path)


class Model:
    """Weights for OUTPUTS: {piece: [whole numbers]}, times `unit`, plus `bias`."""

    def __init__(self, table: dict[str, list[int]], unit: float, bias: list[float]):
        self.table, self.unit, self.bias = table, unit, bias

    def sums(self, sentence: str) -> list[float]:
        """As tinyrs.sentences computes them: that of a leak is its highest over the parts."""
        leak, *_ = max(self._plain(part) for part in parts(sentence))
        return [leak, *self._plain(sentence)[1:]]

    def _plain(self, text: str) -> list[float]:
        known = [self.table[piece] for piece in pieces(text) if piece in self.table]
        return [self.unit * sum(row[i] for row in known) + start for i, start in enumerate(self.bias)]


def train(rows: Sequence[dict]) -> Model:
    """A model of whole sentences first; by it is told which part of each leak gives it away, and the model that is
    returned has learnt from these parts as well, and from all parts of all other sentences."""
    whole = [(row["sentence"], row["kind"] == "leak", row) for row in rows]
    first = _fit(whole)
    inner = []
    for row in rows:
        clauses = parts(row["sentence"])[1:]
        if clauses and row["kind"] == "leak":
            clauses = [max(clauses, key=lambda clause: first._plain(clause)[0])]
        inner += [(clause, row["kind"] == "leak", None) for clause in clauses]
    return _fit([*whole, *inner])


def _fit(texts: Sequence[tuple[str, bool, dict | None]]) -> Model:
    """Logistic regression for leaks, and a softmax over SIDES and nothing for either axis: from (text, does it leak,
    the row that says what it tells of places, None for a clause)."""
    import torch
    import torch.nn.functional as F

    found = [pieces(text) for text, _, _ in texts]
    leak = torch.tensor([leaks for _, leaks, _ in texts]).float()
    sides = {
        axis: torch.tensor([1 + names.index(row[axis]) if row and row.get(axis) else 0 for _, _, row in texts])
        for axis, names in SIDES.items()
    }
    even = torch.where(leak > 0, 0.5 / leak.sum(), 0.5 / (1 - leak).sum()) * len(texts)
    # Others were not asked where the thing lies: of those only what holds no word of place says for sure that it tells nothing.
    asked = torch.tensor([
        row is not None and (row["kind"] in ("place", "elsewhere") or not PLACED.search(text)) for text, _, row in texts
    ]).float()  # fmt: skip
    rarity = {}
    for axis, wanted in sides.items():
        count = torch.bincount(wanted[asked > 0], minlength=4).clamp(min=1).float()
        rarity[axis] = (asked.sum() / 4 / count).sqrt()

    def loss(sums):
        total = (F.binary_cross_entropy_with_logits(sums[:, 0], leak, reduction="none") * even).sum()
        for at, (axis, wanted) in enumerate(sides.items()):
            logits = F.pad(sums[:, 1 + 3 * at : 4 + 3 * at], (1, 0))  # nothing is claimed: 0
            total = total + (F.cross_entropy(logits, wanted, rarity[axis], reduction="none") * asked).sum()
        return total

    words, weight, bias = linear.fit(found, len(OUTPUTS), loss, PENALTY, history=8)
    unit = float(weight.abs().quantile(0.9995)) / linear.STEPS
    return Model(linear.whole(words, weight, unit, SMALLEST), unit, bias)


def unseen(rows: Sequence[dict], say: Callable[[str], None] = print) -> list[tuple[dict, list]]:
    """(row, its sums) for every row, by a model that saw none of its lot, nor of every fourth other lot. Lot 0, whose
    sentences come from everywhere, is cut into quarters instead."""
    told = []
    for fold in range(FOLDS):
        apart = [(row["lot"] or at) % FOLDS == fold for at, row in enumerate(rows)]
        model = train([row for row, held in zip(rows, apart, strict=True) if not held])
        told += [(row, model.sums(row["sentence"])) for row, held in zip(rows, apart, strict=True) if held]
        say(f"fold {fold + 1} of {FOLDS}: {len(model.table):,} pieces")
    return told


def claimed(sums: Sequence[float]) -> dict[str, str]:
    """What a sentence is read to claim, by axis."""
    found = {}
    for at, (axis, sides) in enumerate(SIDES.items()):
        odds = [math.exp(min(50.0, value)) for value in sums[1 + 3 * at : 4 + 3 * at]]
        best = max(range(3), key=odds.__getitem__)
        if odds[best] / (1 + sum(odds)) >= DOUBT:
            found[axis] = sides[best]
    return found


def report(told: Sequence[tuple[dict, list]]) -> dict:
    """{"leak_from", "lots": [{"lot", "leaks", "found", "sound", "alarms"}...], "ordinary", "places"}."""
    tricky = sorted((sums[0] for row, sums in told if row["kind"] == "sound"), reverse=True)
    limit = tricky[int(ALARMS * len(tricky))]
    lots = []
    for lot in sorted({row["lot"] for row, _ in told} - {0}):
        mine = [(row, sums) for row, sums in told if row["lot"] == lot]
        counts = {kind: [sums[0] > limit for row, sums in mine if row["kind"] == kind] for kind in ("leak", "sound")}
        if not counts["leak"]:  # a lot of places
            continue
        lots.append({
            "lot": lot, "leaks": len(counts["leak"]), "found": sum(counts["leak"]),
            "sound": len(counts["sound"]), "alarms": sum(counts["sound"]),
        })  # fmt: skip
    ordinary = [sums[0] > limit for row, sums in told if row["kind"] in ("ordinary", "place", "elsewhere")]
    places = []
    for axis, sides in SIDES.items():
        opposite = {sides[0]: sides[2], sides[2]: sides[0]}
        claims = [(row[axis], claimed(sums).get(axis)) for row, sums in told if row.get(axis)]
        none = [axis in claimed(sums) for row, sums in told if row["kind"] == "elsewhere"]
        places.append({
            "axis": axis, "claims": len(claims), "right": sum(said == read for said, read in claims),
            "opposite": sum(opposite.get(said) == read and read is not None for said, read in claims),
            "elsewhere": len(none), "alarms": sum(none),
        })  # fmt: skip
    return {
        "leak_from": limit,
        "lots": lots,
        "ordinary": {"sentences": len(ordinary), "alarms": sum(ordinary)},
        "places": places,
    }


def write(model: Model, leak_from: float, path: Path = WEIGHTS) -> None:
    """The file that tinyrs.sentences reads."""
    bias = [round(value, 4) for value in model.bias]
    linear.write(path, {"unit": model.unit, "bias": bias, "leak_from": round(leak_from, 4)}, model.table)


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
    for axis in found["places"]:
        print(
            f"places, {axis['axis']}: {percent(axis['right'] / axis['claims'])} % of {axis['claims']} claims read, "
            f"{percent(axis['opposite'] / axis['claims'])} % as their opposite; read into {percent(axis['alarms'] / axis['elsewhere'])} % of "
            f"{axis['elsewhere']} sentences that claim none"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write if asked to."""
    return linear.command(
        arguments, "training.sentences", __doc__, WEIGHTS, read,
        lambda rows: report(unseen(rows, lambda line: print(line, file=sys.stderr))),
        lambda rows, found: write(train(rows), found["leak_from"]), show,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
