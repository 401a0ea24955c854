"""The paper's ablations as values: which stages each row trains, what the paper got, and how ours compare.

    from training.ablations import TABLES, build, markdown
    told = build(2, {0: {0: {"classification": Measure(0.8, (0.75, 0.84), 300)}}}, about={})

Pure: no model, no files. `python -m training.ablate` trains the rows and measures them.

How sure a number is. The mean over seeds has two sources of error, which are independent: training again gives another
model (Student's t over the seeds), and other questions would have been answered otherwise (the intervals of the
evaluation). Their half-widths add up as squares. Differences are taken seed by seed, and the questions' part of their
interval is Newcombe's, as if the two rows had answered different questions, which is on the safe side. With one seed
only the second source is known, and the interval is too narrow.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training.suite import CAPABILITIES
from training.tables import cell, grid, percent

PAPER = "TinyRS-R1: Compact Multimodal Language Model for Remote Sensing, 2025, section 6"
COLUMNS = dict(zip(CAPABILITIES, ("CLS", "VQA", "Ground.", "Gen. Know."), strict=True))
"""Capability -> the paper's name of its column."""

STAGES = {"P": "pretrain", "S": "sft", "C": "cot_sft", "R": "grpo"}
CHANGES: Mapping[str, Mapping[str, object]] = {
    "": {},
    "unbalanced": {"balance": False},
    "quantized": {"reward": "quantized"},
    "binary": {"reward": "binary"},
}
"""What the word after a stage's letter changes in its recipe."""

REPEATS, OPPOSITE, WITHIN = "repeats", "opposite", "within the interval"

STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""97.5 % points of Student's t for 1, 2, ... 10 degrees of freedom; more are held for 10."""


@dataclass(frozen=True)
class Row:
    """One row: the stages that it trains, in order, and what the paper got, per cent, in the order of COLUMNS.

    A step is a letter of STAGES, or that and a word of CHANGES: "S unbalanced".
    """

    name: str
    steps: tuple[str, ...]
    paper: tuple[float, float, float, float]


@dataclass(frozen=True)
class Table:
    """One table of the paper; `pairs` are the rows whose difference says something, and what differs."""

    title: str
    rows: tuple[Row, ...]
    pairs: tuple[tuple[int, int, str], ...]


FULL = (85.6, 76.0, 74.9, 56.8)
"""TinyRS-R1, which stands in all three tables."""
BASE = (81.0, 83.5, 69.4, 57.4)
"""TinyRS, in two of them."""

TABLES: Mapping[int, Table] = {
    2: Table(
        "Table 2: the four stages, each switched off",
        (
            Row("P + S + C + R", ("P", "S", "C", "R"), FULL),
            Row("P + S + C", ("P", "S", "C"), (84.7, 78.3, 70.0, 57.1)),
            Row("P + S + R", ("P", "S", "R"), (82.1, 78.4, 69.5, 55.7)),
            Row("P + S", ("P", "S"), BASE),
            Row("S", ("S",), (80.0, 83.3, 67.7, 53.6)),
            Row("P + C", ("P", "C"), (71.8, 67.7, 53.4, 46.7)),
            Row("R (cold)", ("R",), (58.7, 61.7, 16.1, 52.3)),
            Row("none", (), (59.8, 62.9, 6.7, 55.2)),
        ),
        (
            (0, 1, "R after C"),
            (1, 2, "C rather than R"),
            (2, 3, "R without C"),
            (3, 4, "P"),
            (4, 5, "S rather than P and C"),
            (5, 6, "P and C rather than cold R"),
            (6, 7, "cold R"),
            (0, 2, "C before R"),
            (1, 3, "C"),
            (1, 5, "S"),
        ),
    ),
    3: Table(
        "Table 3: the reward of stage R",
        (
            Row("continuous", ("P", "S", "C", "R"), FULL),
            Row("quantized", ("P", "S", "C", "R quantized"), (85.3, 74.1, 73.6, 57.3)),
            Row("binary", ("P", "S", "C", "R binary"), (85.9, 75.5, 72.5, 57.7)),
        ),
        (
            (0, 1, "continuous rather than quantized"),
            (1, 2, "quantized rather than binary"),
            (0, 2, "continuous rather than binary"),
        ),
    ),
    4: Table(
        "Table 4: balanced tasks",
        (
            Row("TinyRS, balanced", ("P", "S"), BASE),
            Row("TinyRS, unbalanced", ("P", "S unbalanced"), (80.5, 80.8, 70.0, 58.1)),
            Row("TinyRS-R1, balanced", ("P", "S", "C", "R"), FULL),
            Row(
                "TinyRS-R1, unbalanced",
                ("P", "S unbalanced", "C unbalanced", "R"),
                (80.8, 73.2, 75.1, 57.2),
            ),
        ),
        ((0, 1, "balancing TinyRS"), (2, 3, "balancing TinyRS-R1")),
    ),
}


def change(step: str) -> tuple[str, Mapping[str, object]]:
    """(letter of the stage, what the step changes in its recipe)."""
    letter, _, word = step.partition(" ")
    return letter, CHANGES[word]


# ---- arithmetic


@dataclass(frozen=True)
class Measure:
    """One column of one model: share of 0..1, its 95 % interval, and how many questions."""

    share: float
    interval: tuple[float, float]
    n: int


def build(number: int, measured: Mapping[int, Mapping[int, Mapping[str, Measure]]], about: Mapping) -> dict:
    """What table.json holds: "rows" with ours beside the paper's, "differences", "counts" of the verdicts.

    `measured` is {row: {seed: {capability: Measure}}}; what is missing is None in the result. A row that trains
    nothing is the same for every seed: it has no spread.
    """
    table, rows = TABLES[number], []
    for place, row in enumerate(table.rows):
        own = measured.get(place, {})
        ours = {column: _mean([each.get(key) for each in own.values()], row) for key, column in COLUMNS.items()}
        by_seed = {
            str(seed): {COLUMNS[key]: one.share for key, one in each.items() if key in COLUMNS}
            for seed, each in sorted(own.items())
        }
        paper = dict(zip(COLUMNS.values(), row.paper, strict=True))
        rows.append(
            {"row": row.name, "steps": list(row.steps), "ours": ours, "by_seed": by_seed, "paper": paper}
        )
    differences = []
    for first, second, what in table.pairs:
        both = sorted(measured.get(first, {}).keys() & measured.get(second, {}).keys())
        columns = {}
        for at, (key, column) in enumerate(COLUMNS.items()):
            pairs = [(measured[first][seed].get(key), measured[second][seed].get(key)) for seed in both]
            paper = round(table.rows[first].paper[at] - table.rows[second].paper[at], 2)
            columns[column] = difference([(a, b) for a, b in pairs if a and b], paper)
        name = f"{table.rows[first].name} - {table.rows[second].name}"
        differences.append({"what": what, "rows": name, "columns": columns})
    verdicts = [one["verdict"] for each in differences for one in each["columns"].values()]
    counts = {verdict: verdicts.count(verdict) for verdict in (REPEATS, OPPOSITE, WITHIN, None)}
    counts["not measured"] = counts.pop(None)
    head = {"table": number, "title": table.title, "source": PAPER, **about}
    return {**head, "rows": rows, "differences": differences, "counts": counts}


def _mean(found: Sequence[Measure | None], row: Row) -> dict | None:
    """Mean, spread (sample standard deviation over seeds) and 95 % interval of one cell of the table."""
    there = [each for each in found if each is not None]
    if not there:
        return None
    shares = [each.share for each in there]
    mean, seeds = statistics.fmean(shares), len(shares) if row.steps else 0
    between = _half(shares) if row.steps else 0.0
    down = math.hypot(statistics.fmean(each.share - each.interval[0] for each in there), between)
    up = math.hypot(statistics.fmean(each.interval[1] - each.share for each in there), between)
    return {
        "mean": mean,
        "spread": statistics.stdev(shares) if seeds > 1 else None,
        "interval": [max(0.0, mean - down), min(1.0, mean + up)],
        "seeds": seeds,
        "n": there[0].n,
    }


def _half(values: Sequence[float]) -> float:
    """Half the 95 % interval of the mean of `values` by Student's t; 0 where one value cannot tell."""
    if len(values) < 2:
        return 0.0
    t = STUDENT[min(len(values) - 1, len(STUDENT)) - 1]
    return t * statistics.stdev(values) / math.sqrt(len(values))


def difference(pairs: Sequence[tuple[Measure, Measure]], paper: float) -> dict:
    """The first of each pair minus the second, a pair for each seed, beside the paper's difference; in points.

    verdict: "within the interval" where 0 lies in our 95 % interval; else "repeats" where the sign is the paper's and
    "opposite" where it is not; None where nothing was measured.
    """
    if not pairs:
        return {"ours": None, "interval": None, "paper": paper, "verdict": None, "seeds": 0}
    values = [100 * (a.share - b.share) for a, b in pairs]
    mean, between = statistics.fmean(values), _half(values)
    down = statistics.fmean(
        100 * math.hypot(a.share - a.interval[0], b.interval[1] - b.share) for a, b in pairs
    )
    up = statistics.fmean(100 * math.hypot(a.interval[1] - a.share, b.share - b.interval[0]) for a, b in pairs)
    low, high = mean - math.hypot(down, between), mean + math.hypot(up, between)
    if low <= 0 <= high:
        verdict = WITHIN
    else:
        verdict = REPEATS if mean * paper > 0 else OPPOSITE
    interval = [round(low, 2), round(high, 2)]
    return {
        "ours": round(mean, 2),
        "interval": interval,
        "paper": paper,
        "verdict": verdict,
        "seeds": len(pairs),
    }


# ---- for people


def markdown(told: dict) -> str:
    """The page of one table."""
    columns = list(COLUMNS.values())
    head = ["row", *(f"{column}, {whose}" for column in columns for whose in ("ours", "paper"))]
    body = [
        [
            each["row"],
            *(
                text
                for column in columns
                for text in (_ours(each["ours"][column]), f"{each['paper'][column]:.1f}")
            ),
        ]
        for each in told["rows"]
    ]
    for name in ("chance", "majority"):
        values = told.get(name, {})
        body.append([name, *(text for column in columns for text in (percent(values.get(column)), ""))])
    parts = [
        f"# {told['title']}, ours beside the paper's",
        f"Per cent. Ours: mean over seeds ± their standard deviation (95 % interval, with the questions' part). The paper's: "
        f"{cell(told['source'])}; it names no seeds and no intervals.",
        *(f"- {name}: {cell(value)}" for name, value in told.get("setting", {}).items()),
        grid(head, body),
        "## Do the trends repeat?",
        "Differences in points, ours (95 % interval) against the paper's. *Within the interval*: 0 lies in ours, so our "
        "runs cannot tell the two rows apart.",
        grid(
            ["what differs", "rows", *columns],
            [
                [each["what"], each["rows"], *(_points(each["columns"][column]) for column in columns)]
                for each in told["differences"]
            ],
        ),
        _verdicts(told),
    ]
    text = "\n\n".join(parts)
    return text.replace("\n\n- ", "\n- ") + "\n"


def _ours(one: dict | None) -> str:
    if one is None:
        return "-"
    spread = f" ± {percent(one['spread'])}" if one["spread"] is not None else ""
    return f"{percent(one['mean'])}{spread} ({percent(one['interval'][0])}-{percent(one['interval'][1])})"


def _points(one: dict) -> str:
    if one["ours"] is None:
        return f"- / {one['paper']:+.1f}"
    low, high = one["interval"]
    verdict = one["verdict"] if one["verdict"] == WITHIN else f"**{one['verdict']}**"
    return f"{one['ours']:+.1f} ({low:+.1f} to {high:+.1f}) / {one['paper']:+.1f}: {verdict}"


def _verdicts(told: dict) -> str:
    lines = [f"{count} {verdict}" for verdict, count in told["counts"].items() if count]
    parts = [f"Of {sum(told['counts'].values())} differences: {', '.join(lines)}."]
    for verdict, words in ((REPEATS, "Repeat"), (OPPOSITE, "Do not repeat: the sign is the other one")):
        found = [
            f"{each['what']} on {column}"
            for each in told["differences"]
            for column, one in each["columns"].items()
            if one["verdict"] == verdict
        ]
        parts.append(f"{words}: {'; '.join(found) or 'none'}".removesuffix(".") + ".")
    return "\n\n".join(parts)
