"""What a model got wrong in an evaluation -> captions to be corrected.

    python -m annotate import-errors runs/aid

Reads the folder that `python -m training.evaluate --out` wrote: answers.jsonl with run.json and scores.json. The
score is tinyrs.metrics', as it was there. Corrected rows of a benchmark must not train the model that it goes on
to measure: their captions keep the benchmark's name as their source.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotate import rules
from annotate.imports import look
from annotate.rows import clean
from annotate.rules import LONGEST, Refused
from annotate.store import NewCaption, Store
from tinyrs.benchmarks import benchmark_example, closed_set
from tinyrs.example import BOX_SCALE, Answer, Example, Task
from tinyrs.image import BadImage
from tinyrs.metrics import score
from tinyrs.parse import format_boxes, parse
from tinyrs.paths import inside
from tinyrs.strictjson import BadData, each_row, load_json

SOURCE = "errors in "
"""How the source of these captions begins: annotate/chosen.py knows them by it."""
_NEEDED = {
    "scores.json": ("benchmark", "model"),
    "run.json": ("kind", "dialect", "thinking", "box_scale", "images"),
}


@dataclass(frozen=True)
class Errors:
    """What was done: answers in the folder, wrong ones, captions that were new, wrong ones that say nothing
    that a person could correct."""

    answers: int
    wrong: int
    added: int
    left_out: int


def import_errors(store: Store, folder: str | Path, *, images: str | Path | None = None) -> Errors:
    """Add every wrong answer in `folder` as a caption, with the true one beside it. Twice adds nothing.

    `images` is where the pictures lie, if no longer where they were asked about. An answer without words is
    left out, unless it came with a reasoning: then the true answer stands in its place. Raises Refused with
    the line for what cannot be read; then nothing was added.
    """
    folder = Path(folder)
    try:
        about = {name: _about(folder / name, keys) for name, keys in _NEEDED.items()}
        scores, run = about["scores.json"], about["run.json"]
        lines = load_json(folder / "answers.jsonl")
        pictures = Path(images) if images else Path(run["images"])
        examples = each_row(folder / "answers.jsonl", lines, lambda line: [_example(line, run, pictures)])
        if run["kind"] == "cls":
            examples = closed_set(examples)
        found = [
            (example, answer)
            for example, answer in zip(examples, (_answer(line, run) for line in lines), strict=True)
            if score(example, answer, run["dialect"]).value == 0.0
        ]
    except (BadData, ValueError) as problem:
        raise Refused(str(problem)) from None
    seen, captions = {}, []
    for example, answer in found:
        try:
            if example.picture not in seen:
                seen[example.picture] = look(example.picture)
        except BadImage as problem:
            raise Refused(f"{example.picture}: {problem}") from None
        try:
            captions.append(clean(_caption(example, answer, seen[example.picture].sha256, scores)))
        except Refused:  # a model may write anything, and one line of it must not keep the rest out
            continue
    used = {caption.picture for caption in captions}
    store.add_pictures((seen[path], path.read_bytes()) for path in seen if seen[path].sha256 in used)
    added = store.add_captions(captions)[1]
    return Errors(len(lines), len(found), added, len(found) - len(captions))


def _about(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    told = load_json(path)
    if not isinstance(told, dict) or not all(key in told for key in keys):
        raise BadData(f"{path} was not written by python -m training.evaluate.")
    return told


def _example(line: dict, run: dict[str, Any], pictures: Path) -> Example:
    for key in ("filename", "query", "answer", "pred"):
        if not isinstance(line.get(key), str):
            raise ValueError(f"it has no {key}")
    size = line.get("size") or [0, 0]
    if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int for side in size):
        raise ValueError("its size must be two whole numbers")
    picture = inside(pictures, line["filename"])
    true, kind = line["answer"], run["kind"]
    return benchmark_example(
        picture, line["query"], true, kind, BOX_SCALE, (size[1], size[0]), line.get("type")
    )


def _answer(line: dict, run: dict[str, Any]) -> Answer:
    return parse(
        line["pred"],
        dialect=run["dialect"],
        thinking=run["thinking"],
        box_scale=run["box_scale"],
        truncated=bool(line.get("truncated")),
    )


def _caption(example: Example, answer: Answer, sha256: str, scores: dict[str, Any]) -> NewCaption:
    grounding = example.question.task is Task.GROUNDING
    text = format_boxes(answer.boxes) if grounding and answer.boxes else answer.text
    reasoning = rules.reasoning_text(answer)[: LONGEST["reasoning"]]
    why = f"Wrong in {scores['benchmark']}: the true answer is {' '.join(example.answer.split())}."
    if not text and reasoning:
        text, why = example.answer, f"No answer in {scores['benchmark']}: the one here is the true one."
    return NewCaption(
        sha256,
        example.question,
        reasoning,
        text[: LONGEST["answer"]],
        rules.machine(str(scores["model"])),
        f"{SOURCE}{scores['benchmark']}"[: LONGEST["note"]],
        example.answer,
        why,
    )
