"""report.json -> Markdown: what training/report.py found, as tables for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from training.suite import PAPER, SYSTEMS

NAMES = {
    "tinyrs-r1": "TinyRS-R1",
    "tinyrs": "TinyRS",
    "vhm": "VHM",
    "qwen2-vl-rs-r1": "Qwen2-VL-RS-R1",
    "qwen2-vl-rs": "Qwen2-VL-RS",
    "lhrs-bot-nova": "LHRS-Bot-Nova",
    "geochat": "GeoChat",
}
"""What the paper calls its systems."""


def markdown(told: dict, figure: str | None) -> str:
    """The whole page. `figure` is the file of the picture, if one was drawn."""
    models = list(dict.fromkeys((row["model"], row["key"]) for row in told["results"]))
    parts = [
        "# Results",
        "Per cent, with the 95 % interval. **Strict** counts every sample, and an answer must be right. "
        "**Reference** repeats the evaluation that was released with the paper, its faults included (an empty "
        "answer counts as right; boxes that cannot be read leave the count), and is only there to stand beside "
        f"the paper's numbers. These are from {cell(told['source'])}. A difference is *inside* where the "
        "paper's number lies within our interval. In domain: pictures of the same source are in the training "
        "set of VHM, which TinyRS learnt from too.",
    ]
    for model, key in models:
        own = [row for row in told["results"] if (row["model"], row["key"]) == (model, key)]
        parts += [f"## {_model(model, key)}", _against_the_paper(own)]
    parts += ["## Averages", _averages(told["averages"])]
    parts += ["## Table 1 of the paper, and ours (strict)", _table_1(told, models)]
    if figure:
        parts += ["## Accuracy against cost", f"![Accuracy against seconds and memory]({figure})"]
    if finer := [part for row in told["results"] for part in _finer(row)]:
        parts += ["## Finer", *finer]
    return "\n\n".join(parts) + "\n"


def cell(text: object) -> str:
    """`text` as it may stand in a cell: no markup of its own, whoever wrote it."""
    from tinyrs.render import escape

    text = escape(" ".join(str(text).split()))
    return re.sub(r"[\\`*\[\]|~!]", lambda found: f"&#{ord(found[0])};", text)


def _model(model: str, key: str) -> str:
    return cell(model or "(unnamed)") + (f" ({key})" if key else "")


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown of cells that are ready to stand there."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(share: float | None) -> str:
    """A share in per cent, one decimal."""
    return "-" if share is None else f"{100 * share:.1f}"


def _with(share: float | None, interval: Sequence[float] | None) -> str:
    if share is None or interval is None:
        return percent(share)
    return f"{percent(share)} ({percent(interval[0])}-{percent(interval[1])})"


def _points(difference: dict | None) -> str:
    if difference is None:
        return "-"
    return f"{difference['points']:+.1f} {'inside' if difference['inside'] else '**outside**'}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _against_the_paper(rows: Sequence[dict]) -> str:
    systems = list(dict.fromkeys(row["paper_system"] for row in rows if row["paper_system"]))
    paper = f"paper, {' / '.join(NAMES[system] for system in systems)}" if systems else "paper"
    head = ["benchmark", "pictures", "n", "chance", "majority", "strict", "reference", paper]
    head += ["strict - paper", "reference - paper", "parsed", "truncated", "s an answer"]
    body, small = [], False
    for row in rows:
        kind = {True: "in domain", False: "transfer", None: "-"}[row["in_domain"]]
        part = bool(row["published_n"]) and row["n"] != row["published_n"]
        small = small or part
        count = f"{row['n']} of {row['published_n']}\\*" if part else str(row["n"])
        line = [cell(row["title"]), kind, count, percent(row["chance"]), percent(row["majority"])]
        line += [_with(row["strict"], row["strict_interval"])]
        line += [_with(row["reference"], row.get("reference_interval"))]
        line += ["-" if row["paper"] is None else f"{row['paper']:.1f}"]
        line += [_points(row["strict_difference"]), _points(row["reference_difference"])]
        line += [
            percent(row.get("parsed")),
            percent(row.get("truncated")),
            _seconds(row["seconds_per_answer"]),
        ]
        body.append(line)
    note = "\n\n\\* Not the published number of rows, so not quite the published benchmark." if small else ""
    if any(row.get("choose") for row in rows):
        note += "\n\nAnswers were held to the labels of their questions, which the paper's were not."
    return grid(head, body) + note


def _averages(rows: Sequence[dict]) -> str:
    head = ["model", "capability", "benchmarks", "chance", "majority", "macro (strict)", "micro (strict)"]
    head += ["paper", "macro - paper", "s an answer", "peak MiB"]
    body = []
    for row in rows:
        line = [_model(row["model"], row["key"]), row["capability"], f"{row['benchmarks']} of {row['of']}"]
        line += [percent(row["chance"]), percent(row["majority"])]
        line += [_with(row["macro"], row["macro_interval"]), _with(row["micro"], row["micro_interval"])]
        line += ["-" if row["paper"] is None else f"{row['paper']:.1f}", _points(row["difference"])]
        line += [_seconds(row["seconds_per_answer"]), str(row["peak_mib"] or "-")]
        body.append(line)
    about = "Macro is the mean over benchmarks, as in the paper; micro is over all answers."
    return f"{about}\n\n{grid(head, body)}"


def _table_1(told: dict, models: Sequence[tuple[str, str]]) -> str:
    ours = {(row["model"], row["key"], row["title"]): row for row in told["results"]}
    body = []
    for benchmark in PAPER:
        published = [f"{told['table_1'][benchmark.title][system]:.1f}" for system in SYSTEMS]
        own = [ours.get((*model, benchmark.title)) for model in models]
        measured = [_with(row["strict"], row["strict_interval"]) if row else "-" for row in own]
        some = next((row for row in own if row), None)
        base = [percent(some["chance"]), percent(some["majority"])] if some else ["-", "-"]
        body.append([benchmark.title, *published, *base, *measured])
    head = ["benchmark", *(NAMES[system] for system in SYSTEMS), "chance", "majority"]
    return grid([*head, *(f"ours: {_model(*model)}" for model in models)], body)


def _finer(row: dict) -> list[str]:
    found = []
    name = f"**{cell(row['title'])}, {_model(row['model'], row['key'])}**"
    for what in ("areas", "types"):
        if row.get(what):
            lines = [
                [cell(group), str(part["n"]), _with(part["strict"], part["strict_interval"])]
                for group, part in row[what].items()
            ]
            found.append(f"{name}, by {what[:-1]}:\n\n" + grid([what[:-1], "n", "strict"], lines))
    mistakes = [
        (count, true, said)
        for true, counts in (row.get("confusion") or {}).items()
        for said, count in counts.items()
        if said != true
    ]
    if mistakes:
        worst = sorted(mistakes, key=lambda each: (-each[0], each[1:]))[:5]
        lines = [[cell(true), cell(said), str(count)] for count, true, said in worst]
        found.append(f"{name}, commonest mistakes:\n\n" + grid(["true", "said", "times"], lines))
    return found
