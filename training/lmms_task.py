"""What lmms-eval calls for each question of a task that training/harness.py wrote: the picture, the words, the true
answer, and this project's own score of what the model said.

`python -m training.evaluate export-task` copies this file beside the task as utils.py; tinyrs must be importable there.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tinyrs.benchmarks import benchmark_example
from tinyrs.example import BOX_SCALE
from tinyrs.metrics import score
from tinyrs.parse import parse


def doc_to_visual(doc: dict) -> list:
    """The picture."""
    return [doc["image"].convert("RGB")]


def doc_to_text(doc: dict, lmms_eval_specific_kwargs: dict | None = None) -> str:
    """The question, as the dialect of the task asks it."""
    return doc["asked"]


def doc_to_target(doc: dict) -> str:
    """The true answer; boxes run from 0 to 1000."""
    return doc["answer"]


def process_results(doc: dict, results: list[str]) -> dict[str, float]:
    """{"strict": 1.0 or 0.0} of one answer, and "iou" where it is about boxes."""
    example = benchmark_example(Path("picture"), doc["question"], doc["answer"], doc["kind"], BOX_SCALE)
    example = replace(example, question=replace(example.question, labels=tuple(doc["labels"])))
    judged = score(example, parse(results[0], dialect=doc["dialect"]), doc["dialect"])
    found = {"strict": judged.value or 0.0}
    return found | ({"iou": judged.iou or 0.0} if doc["kind"] == "grounding" else {})
