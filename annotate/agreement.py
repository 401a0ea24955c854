"""How far people agree: Cohen's kappa and Krippendorff's alpha of verdicts, IoU of boxes, edit distance of texts. Always with n.

Pure: what two people said goes in, numbers come out; annotate/overlap.py finds who judged the same thing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from tinyrs.example import Box
from tinyrs.metrics import pair

_LONGEST = 600  # words of a text that are compared: the time grows with the square


@dataclass(frozen=True)
class Compared:
    """What two people made of one caption.

    by, other   who is measured, and against whom ("gold" for an item whose truth was kept hidden)
    kind        the group that this caption belongs to, such as its task
    verdicts    (by's, other's) verdict of each step that both judged
    boxes       (by's, other's) boxes where either answered with any, else None
    texts       (by's, other's) reasoning and answer as one text, None where only verdicts are compared
    caption     its number
    label       the class that it shows, of a classification; else ""
    """

    by: str
    other: str
    kind: str
    verdicts: tuple[tuple[str, str], ...] = ()
    boxes: tuple[Sequence[Box], Sequence[Box]] | None = None
    texts: tuple[str, str] | None = None
    caption: int = 0
    label: str = ""


@dataclass(frozen=True)
class Agreement:
    """kappa of `verdicts` steps, mean IoU of `boxes` captions, mean edit distance (0 the same .. 1 nothing in
    common) of `texts` captions, and the plain share of equal verdicts. None where nothing could be compared; kappa
    also where both people gave one and the same verdict throughout, for then chance explains everything."""

    verdicts: int
    kappa: float | None
    same: float | None
    boxes: int
    iou: float | None
    texts: int
    distance: float | None


def kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Cohen's kappa of two people's labels (Cohen 1960): agreement beyond chance, 1 perfect, 0 chance, below it
    worse. None for no pairs, or when chance alone would agree every time."""
    if not pairs:
        return None
    n = len(pairs)
    observed = sum(a == b for a, b in pairs) / n
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    expected = sum(first[label] * second[label] for label in first) / n**2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def alpha(units: Iterable[Sequence[Hashable]]) -> float | None:
    """Krippendorff's alpha for nominal labels (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability").

    A unit holds the labels that any number of people gave to one thing; those with fewer than two are left out.
    None where nothing can be said: no pair, or one and the same label throughout.
    """
    together: Counter = Counter()
    for labels in units:
        if len(labels) > 1:
            each = Counter(labels)
            for one, many in each.items():
                for other, more in each.items():
                    pairs = many * (more - (one == other))
                    together[one, other] += pairs / (len(labels) - 1)
    total = sum(together.values())
    by_label: Counter = Counter()
    for (one, _), weight in together.items():
        by_label[one] += weight
    apart = sum(weight for (one, other), weight in together.items() if one != other)
    by_chance = total**2 - sum(weight**2 for weight in by_label.values())
    return None if by_chance <= 1e-9 else 1 - (total - 1) * apart / by_chance


def box_overlap(one: Sequence[Box], other: Sequence[Box]) -> float | None:
    """Mean IoU over one-to-one pairs, where a box without a partner counts 0; None when nobody drew any."""
    most = max(len(one), len(other))
    return sum(overlap for _, _, overlap in pair(one, other)) / most if most else None


def edit_distance(one: str, other: str) -> float:
    """Words to insert, delete or replace, as a share of the longer text: 0 the same, 1 nothing in common."""
    a, b = one.split()[:_LONGEST], other.split()[:_LONGEST]
    if not a or not b:
        return float(bool(a or b))
    above = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        row = [i]
        for j, there in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (word != there)))
        above = row
    return above[-1] / max(len(a), len(b))


def agreement(rows: Iterable[Compared]) -> Agreement:
    """The numbers over all of `rows`."""
    rows = list(rows)
    verdicts = [pair for row in rows for pair in row.verdicts]
    boxes = [overlap for row in rows if row.boxes and (overlap := box_overlap(*row.boxes)) is not None]
    distances = [edit_distance(*row.texts) for row in rows if row.texts]
    return Agreement(
        len(verdicts),
        kappa(verdicts),
        fmean(a == b for a, b in verdicts) if verdicts else None,
        len(boxes),
        fmean(boxes) if boxes else None,
        len(distances),
        fmean(distances) if distances else None,
    )


def by(rows: Iterable[Compared], group: Callable[[Compared], str]) -> dict[str, Agreement]:
    """The numbers of each group, by name."""
    groups: dict[str, list[Compared]] = {}
    for row in rows:
        groups.setdefault(group(row), []).append(row)
    return {name: agreement(groups[name]) for name in sorted(groups)}
