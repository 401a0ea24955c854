"""Measured results as the page shows them: what `python -m training.evaluate` wrote into a folder, and what the
checkpoints that answer here say of themselves.

The files are the contract: report.json (training.evaluate report), or scores.json where no report was made. What is in
them may come from anywhere, so every number is checked and every text is cut; nothing here raises for a broken file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinyrs.strictjson import BadData, load_json

MOST = 400  # rows on a page


@dataclass(frozen=True)
class Row:
    """One model on one benchmark. Shares are 0..1, None where nobody knows.

    interval    95 % interval of `strict`;  reference  as the released evaluation scores it
    paper       the published figure, per cent, of `system`
    points      ours minus the paper's, per cent;  inside  the paper's figure lies in our interval
    """

    model: str
    benchmark: str
    n: int
    strict: float | None
    interval: tuple[float, float] | None = None
    majority: float | None = None
    chance: float | None = None
    reference: float | None = None
    paper: float | None = None
    system: str = ""
    points: float | None = None
    inside: bool = False
    mean_iou: float | None = None


@dataclass(frozen=True)
class Average:
    """One model over the benchmarks of one capability, and what an answer cost it (seconds, MiB)."""

    model: str
    capability: str
    benchmarks: int
    macro: float
    interval: tuple[float, float] | None = None
    paper: float | None = None
    seconds: float | None = None
    peak: float | None = None


@dataclass(frozen=True)
class Results:
    """rows and averages, the citation of the paper's figures, and a sentence for each file that was no use."""

    rows: tuple[Row, ...] = ()
    averages: tuple[Average, ...] = ()
    source: str = ""
    problems: tuple[str, ...] = field(default=())


def read_results(folder: Path) -> Results:
    """Every report.json below `folder`; where there is none, every scores.json."""
    rows, averages, problems, source = [], [], [], ""
    files = sorted(folder.rglob("report.json")) or sorted(folder.rglob("scores.json"))
    for path in files:
        try:
            told = load_json(path)
        except BadData as problem:
            problems.append(str(problem).replace(str(folder), folder.name))
            continue
        whole = isinstance(told, Mapping) and isinstance(told.get("results"), list)
        found = [_row(each) for each in (told["results"] if whole else [told])]
        if not any(found):
            problems.append(f"{path.relative_to(folder)} holds no results.")
            continue
        rows += filter(None, found)
        if whole:
            source = source or _text(told.get("source"), 200)
            given = told.get("averages")
            averages += filter(None, map(_average, given if isinstance(given, list) else []))
    return Results(tuple(rows[:MOST]), tuple(averages[:MOST]), source, tuple(problems[:20]))


def measured_rows(models: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[Row, ...]:
    """What checkpoints say of themselves: (name, "measured" of its tinyrs.json) each."""
    rows = []
    for name, measured in models:
        for benchmark, told in measured.items():
            if isinstance(told, Mapping):
                rows.append(_row({"model": name, "benchmark": benchmark, **told}))
    return tuple(filter(None, rows))


def title(stem: str) -> str:
    """A file's stem as people read it: cls_AID -> AID, VG_NWPU -> NWPU grounding, RSVQA_LR-comp -> RSVQA LR comp."""
    if stem.startswith("VG_"):
        return stem.removeprefix("VG_").replace("_", " ") + " grounding"
    return stem.removeprefix("cls_").replace("_", " ").replace("-", " ")


def _row(told: Any) -> Row | None:
    if not isinstance(told, Mapping):
        return None
    strict, n = _share(told.get("strict")), told.get("n")
    if not isinstance(n, int) or isinstance(n, bool) or n < 0 or "benchmark" not in told:
        return None
    difference = told.get("strict_difference")
    difference = difference if isinstance(difference, Mapping) else {}
    name = _text(told.get("title")) or title(_text(told.get("benchmark")))
    return Row(
        _text(told.get("model")),
        name,
        n,
        strict,
        _interval(told.get("strict_interval")),
        _share(told.get("majority")),
        _share(told.get("chance")),
        _share(told.get("reference")),
        _number(told.get("paper")),
        _text(told.get("paper_system")),
        _number(difference.get("points")),
        difference.get("inside") is True,
        _share(told.get("mean_iou")),
    )


def _average(told: Any) -> Average | None:
    if not isinstance(told, Mapping) or (macro := _share(told.get("macro"))) is None:
        return None
    count = told.get("benchmarks")
    return Average(
        _text(told.get("model")),
        _text(told.get("capability")),
        count if isinstance(count, int) else 0,
        macro,
        _interval(told.get("macro_interval")),
        _number(told.get("paper")),
        _above(told.get("seconds_per_answer")),
        _above(told.get("peak_mib")),
    )


def _text(value: Any, most: int = 80) -> str:
    return value[:most] if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9
    return float(value) if usable and math.isfinite(value) else None


def _above(value: Any) -> float | None:
    number = _number(value)
    return number if number and number > 0 else None


def _share(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= 1 else None


def _interval(value: Any) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    low, high = _share(value[0]), _share(value[1])
    return (low, high) if low is not None and high is not None and low <= high else None
