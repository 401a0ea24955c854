"""Results of several models and benchmarks side by side, and beside the paper's.

    python -m training.evaluate report runs/paper runs/aid --out runs/report

Every scores.json below the folders is read. OUT/report.json holds everything, OUT/report.md is for people,
OUT/report.png draws accuracy against what it cost (where the runs have noted that).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinyrs.metrics import wilson
from tinyrs.models import MODELS
from tinyrs.strictjson import BadData, load_json
from training.asking import IDENTITY, RUN
from training.asking import key as key_of
from training.scores import mean_interval
from training.suite import AVERAGES, CAPABILITIES, PAPER, SOURCE, SYSTEMS, Benchmark

NEEDED = ("benchmark", "model", "kind", "n", "strict", "strict_interval", "reference", "chance", "majority")
ROUNDED = 0.0005
"""Half a unit of the last digit that the paper prints, as a share."""


@dataclass(frozen=True)
class Result:
    """One scores.json: `scores` as it was written, who answered, and what that took.

    key      tells two checkpoints of one name apart; "" for answers of another program
    cost     {"answers", "seconds", "tokens", "peak_mib"}, or {} where nobody noted it
    choose   answers were held to the labels of their questions
    """

    scores: dict[str, Any]
    key: str = ""
    cost: dict[str, Any] = field(default_factory=dict)
    choose: bool = False

    @property
    def known(self) -> Benchmark | None:
        """The benchmark of the paper that this is."""
        return next((each for each in PAPER if each.stem == self.scores["benchmark"]), None)

    @property
    def title(self) -> str:
        return self.known.title if self.known else self.scores["benchmark"]

    @property
    def capability(self) -> str:
        kinds = {"cls": "classification", "vqa": "VQA", "grounding": "grounding", "choice": "knowledge"}
        return self.known.capability if self.known else kinds.get(self.scores["kind"], "other")


# ---- reading


def collect(folders: Sequence[Path]) -> list[Result]:
    """Every result below `folders`, in the order of the paper, then by name. BadData where there is none."""
    found: dict[Path, Result] = {}
    for folder in folders:
        if not folder.is_dir():
            raise BadData(f"There is no folder {folder}.")
        for path in sorted(folder.rglob("scores.json")):
            found.setdefault(path.resolve(), _result(path))
    if not found:
        raise BadData(f"No scores.json lies below {', '.join(map(str, folders))}.")
    order = {benchmark.stem: place for place, benchmark in enumerate(PAPER)}
    seen: dict[tuple, Path] = {}
    for path, result in found.items():
        one = (result.scores["model"], result.key, result.scores["benchmark"])
        if one in seen:
            raise BadData(
                f"{seen[one]} and {path} are of the same model and benchmark: name only one of them."
            )
        seen[one] = path
    return sorted(
        found.values(),
        key=lambda each: (
            each.scores["model"],
            each.key,
            order.get(each.scores["benchmark"], len(order)),
            each.scores["benchmark"],
        ),
    )


def _result(path: Path) -> Result:
    scores = load_json(path)
    if not isinstance(scores, dict) or not all(name in scores for name in NEEDED):
        raise BadData(f"{path} is no scores.json of this program.")
    run = path.with_name(RUN)
    told = load_json(run) if run.is_file() else None
    told = told if isinstance(told, dict) else {}
    key = key_of({name: told.get(name) for name in IDENTITY}) if told else ""
    return Result(scores, key, _cost(path.parent), bool(told.get("choose")))


def _cost(folder: Path) -> dict[str, Any]:
    lines = []
    for path in sorted(folder.glob("costs*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue  # a kill cut it off
    if not lines:
        return {}
    total = {name: sum(line[name] for line in lines) for name in ("answers", "seconds", "tokens")}
    peaks = [line["peak_mib"] for line in lines if line.get("peak_mib")]
    return {**total, "seconds": round(total["seconds"], 3), "peak_mib": max(peaks, default=None)}


# ---- comparing


def counterpart(result: Result) -> str:
    """The system of Table 1 to compare with: the model itself, else the paper's own one that works alike."""
    name = result.scores["model"].partition("?")[0].partition("@")[0]
    for system in SYSTEMS:
        if name in (system, MODELS[system].source):
            return system
    return "tinyrs-r1" if result.scores.get("thinking") else "tinyrs"


def difference(share: float | None, interval: Sequence[float] | None, paper: float | None) -> dict | None:
    """{"points": ours minus the paper's per cent, "inside": the paper's number lies in our 95 % interval}."""
    if share is None or interval is None or paper is None:
        return None
    low, high = interval
    inside = low - ROUNDED <= paper / 100 <= high + ROUNDED
    return {"points": round(100 * share - paper, 2), "inside": inside}


def build(results: Sequence[Result]) -> dict:
    """What report.json holds: "source" of the paper's numbers, "results", "averages", "table_1"."""
    rows = []
    for result in results:
        scores, cost, known = result.scores, result.cost, result.known
        paper = known.paper[counterpart(result)] if known else None
        row = {"title": result.title, "capability": result.capability, "key": result.key, "choose": result.choose}
        row |= {"in_domain": known.in_domain if known else None, "published_n": known.n if known else None}
        row |= scores
        row |= {
            "paper_system": counterpart(result) if known else None,
            "paper": paper,
            "strict_difference": difference(scores["strict"], scores["strict_interval"], paper),
            "reference_difference": difference(scores["reference"], scores.get("reference_interval"), paper),
            "seconds_per_answer": cost["seconds"] / cost["answers"] if cost else None,
            "tokens_per_answer": cost["tokens"] / cost["answers"] if cost else None,
            "peak_mib": cost.get("peak_mib"),
        }
        rows.append(row)
    return {
        "source": SOURCE,
        "results": rows,
        "averages": averages(rows),
        "table_1": {benchmark.title: benchmark.paper for benchmark in PAPER},
    }


def averages(rows: Sequence[dict]) -> list[dict]:
    """By model and capability: the mean over the benchmarks (macro, as the paper has it), over all answers
    (micro), and how many of the paper's benchmarks these are."""
    found = []
    for model, key in dict.fromkeys((row["model"], row["key"]) for row in rows):
        for capability in CAPABILITIES:
            own = [
                row
                for row in rows
                if (row["model"], row["key"], row["capability"]) == (model, key, capability)
                and row["strict"] is not None
            ]
            if not own:
                continue
            paper_has = [benchmark for benchmark in PAPER if benchmark.capability == capability]
            whole = sorted(row["title"] for row in own) == sorted(each.title for each in paper_has)
            systems = {row["paper_system"] for row in own if row["paper_system"]}
            published = None
            if whole and len(systems) == 1 and capability in AVERAGES:
                published = AVERAGES[capability][SYSTEMS.index(systems.pop())]
            macro = sum(row["strict"] for row in own) / len(own)
            interval = mean_interval([(row["strict"], row["strict_interval"]) for row in own])
            right, count = sum(row["strict"] * row["n"] for row in own), sum(row["n"] for row in own)
            found.append(
                {
                    "model": model,
                    "key": key,
                    "capability": capability,
                    "benchmarks": len(own),
                    "of": len(paper_has),
                    "n": count,
                    "macro": macro,
                    "macro_interval": interval,
                    "micro": right / count,
                    "micro_interval": wilson(right, count),
                    "chance": _mean([row["chance"] for row in own]),
                    "majority": _mean([row["majority"] for row in own]),
                    "paper": published,
                    "difference": difference(macro, interval, published),
                    "seconds_per_answer": _mean([row["seconds_per_answer"] for row in own]),
                    "peak_mib": max((row["peak_mib"] or 0 for row in own), default=0) or None,
                }
            )
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None


# ---- the command


def report_command(argv: Sequence[str]) -> int:
    """The command `python -m training.evaluate report`."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="folders with results in them")
    parser.add_argument("--out", type=Path, help="where the report goes (default: the first DIR)")
    args = parser.parse_args(argv)
    from training.figures import accuracy_against_cost
    from training.tables import markdown

    told = build(collect(args.folders))
    out = args.out or args.folders[0]
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    (out / "report.json").write_text(text, encoding="utf-8")
    drawn = accuracy_against_cost(told["averages"], out / "report.png")
    (out / "report.md").write_text(markdown(told, "report.png" if drawn else None), encoding="utf-8")
    models = {(row["model"], row["key"]) for row in told["results"]}
    made = "report.md, report.json" + (" and report.png" if drawn else "")
    print(f"{out}: {made}, {len(told['results'])} results of {len(models)} models.", file=sys.stderr)
    return 0
