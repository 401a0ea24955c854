"""Answers and truths -> the numbers of scores.json. Pure: no model, no files.

All shares are 0..1, and None where nothing could be counted:

    n, strict, strict_interval   every sample counts; tinyrs.metrics.score; Wilson 95 % interval
    reference, reference_interval, reference_n   what the released evaluation would give, its faults
                                 included, and on how many samples
    parsed, well_formed, truncated   answers with the kind of content asked for, in the right form, cut off
    majority, majority_answer    the best answer that ignores the picture
    chance                       a guess among the labels; for grounding, the true boxes of other rows
    micro, macro                 over the samples (which is strict), and the mean over the groups: true
                                 answers, or areas for grounding
    classes, confusion           strict by true answer, and {true label: {label that was said: count}}, where
                                 questions have a closed set of labels
    mean_iou, areas              grounding: overlap, and strict by area (S <= 32^2 < M <= 96^2 < L)
    types                        strict by the type that the rows carry
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

from tinyrs.benchmarks import LHRS_TYPES
from tinyrs.example import Answer, Example
from tinyrs.metrics import Score, equal, majority, score, summarise
from tinyrs.parse import parse
from tinyrs.prompt import dialect_of

SMALL, MEDIUM = 32**2, 96**2
"""Largest pixel areas of a small and of a medium box (COCO's, and DIOR-RSVG's in the paper)."""

NO_LABEL = "(no label)"
"""The column of a confusion for answers that are none of the labels, or several."""


def answers(
    lines: Iterable[dict],
    dialect: str = "tinyrs",
    thinking: bool | None = None,
    box_scale: float | None = None,
) -> list[Answer]:
    """The texts of `lines` taken apart; the model's boxes run to `box_scale` (None: its dialect's).

    A line that does not say whether its text was cut off was, if it ends in a reasoning or an answer that it opened.
    """
    return [
        parse(
            line["pred"],
            dialect=dialect,
            thinking=thinking,
            truncated=bool(line.get("truncated", thinking is not False and _ends_open(line["pred"], dialect))),
            box_scale=box_scale,
        )
        for line in lines
    ]


def _ends_open(text: str, dialect: str) -> bool:
    """Does `text` open its reasoning or its answer without closing it?"""
    tags = (dialect_of(dialect).thought, "answer")
    return any(text.rfind(f"<{tag}>") > text.rfind(f"</{tag}>") for tag in tags)


def table(examples: Sequence[Example], given: Sequence[Answer], kind: str, dialect: str = "tinyrs") -> dict:
    """The numbers of scores.json (the module says which) for `given` answers to `examples`."""
    judged = [score(example, answer, dialect) for example, answer in zip(examples, given, strict=True)]
    numbers = summarise(judged, given)
    overlap = numbers.pop("iou")
    constant, strict = majority(examples)
    numbers |= {"majority": strict, "majority_answer": constant, "chance": chance(examples)}
    grounding = kind == "grounding"
    groups = _by(examples, judged, _area if grounding else lambda example: [_label(example, example.answer)])
    shares = [group["strict"] for group in groups.values() if group["strict"] is not None]
    numbers |= {"micro": numbers["strict"], "macro": sum(shares) / len(shares) if shares else None}
    if grounding:
        numbers |= {"mean_iou": overlap, "areas": groups}
    elif any(example.question.labels for example in examples):
        numbers |= {"classes": groups, "confusion": confusion(examples, given)}
    if any(example.kinds for example in examples):
        numbers["types"] = _by(examples, judged, lambda example: _types(example, kind))
    return numbers


PAIRS = 20_000
"""Of true boxes with those of other rows, about so many are compared for `chance`."""


def chance(examples: Sequence[Example]) -> float | None:
    """What guessing gives: one of the labels, or of the file's answers; the true box of any other row.

    Of boxes a sample is drawn, the same each time: the row beside would not do, as it often shows the same picture.
    """
    values, rng = [], random.Random(0)
    kinds = {}
    for example in examples:
        kinds.setdefault((example.question.task, example.kinds), set()).add(example.answer)
    drawn = -(-PAIRS // max(1, len(examples)))
    for place, example in enumerate(examples):
        if example.boxes:
            steps = range(1, len(examples)) if len(examples) > 1 else [0]
            away = steps if len(steps) <= drawn else rng.sample(steps, drawn)
            others = [examples[(place + step) % len(examples)] for step in away]
            strangers = [Answer(raw=other.answer, text=other.answer, boxes=other.boxes) for other in others]
            values.append(fmean(score(example, stranger).value for stranger in strangers))
        else:
            labels = example.question.labels or kinds[example.question.task, example.kinds]
            values.append(1 / len(labels))
    return fmean(values) if values else None


def confusion(examples: Sequence[Example], given: Sequence[Answer]) -> dict[str, dict[str, int]]:
    """{true label: {label that was said: count}}, only where the question has a closed set of labels."""
    counts: dict[str, Counter] = {}
    for example, answer in zip(examples, given, strict=True):
        if example.question.labels:
            said = _label(example, answer.text, NO_LABEL)
            counts.setdefault(_label(example, example.answer), Counter())[said] += 1
    return {true: dict(sorted(said.items())) for true, said in sorted(counts.items())}


def mean_interval(parts: Sequence[tuple[float, tuple[float, float]]]) -> tuple[float, float]:
    """The 95 % interval of the plain mean of independent shares, from each share and its own interval.

    The distances to the limits add up as variances do (Zou and Donner's MOVER), so a share of 0 or 1 counts
    with the width of its Wilson interval, not with none.
    """
    mean = sum(share for share, _ in parts) / len(parts)
    down = math.sqrt(sum((share - low) ** 2 for share, (low, _) in parts)) / len(parts)
    up = math.sqrt(sum((high - share) ** 2 for share, (_, high) in parts)) / len(parts)
    return max(0.0, mean - down), min(1.0, mean + up)


def _label(example: Example, text: str, otherwise: str | None = None) -> str:
    """The label of the question that `text` names."""
    labels = example.question.labels
    return next((label for label in labels if equal(text, label, labels)), otherwise or text)


def _by(
    examples: Sequence[Example], judged: Sequence[Score], groups: Callable[[Example], Iterable[str]]
) -> dict:
    found: dict[str, list[Score]] = {}
    for example, one in zip(examples, judged, strict=True):
        for group in groups(example):
            found.setdefault(group, []).append(one)
    tables = {group: summarise(members) for group, members in sorted(found.items())}
    return {
        group: {key: numbers[key] for key in ("n", "strict", "strict_interval")}
        for group, numbers in tables.items()
    }


def _types(example: Example, kind: str) -> list[str]:
    names = LHRS_TYPES if kind == "choice" else {}
    return [f"{each} {names[each]}" if each in names else each for each in example.kinds]


def _area(example: Example) -> list[str]:
    if len(example.boxes) != 1 or not all(example.size):
        return []
    x1, y1, x2, y2 = example.boxes[0].to_pixels(*example.size)
    # Boxes are kept on 0..1000, so 32 pixels of 800 come back as 32.000000000000004.
    area = round((x2 - x1) * (y2 - y1), 3)
    return ["S" if area <= SMALL else "M" if area <= MEDIUM else "L"]
