"""A file of captions in VHM's layout -> everything that looks wrong in it, row by row.

    python -m annotate check FILE.json

Pictures are not opened, and a row that cannot be read is a finding, not the end: the point is to see all
that is wrong at once. An import, an export and training refuse such rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from annotate.rules import Refused, reasoning_text
from tinyrs.checks import check
from tinyrs.datasets import question_of
from tinyrs.example import BOX_SCALE, Question
from tinyrs.parse import parse
from tinyrs.strictjson import BadData, check_row, load_json


@dataclass(frozen=True)
class Found:
    """One thing that looks wrong: the row, from 1; a name of tinyrs.checks.CHECKS, or "row"; the sentence."""

    row: int
    check: str
    sentence: str


def check_file(file: str | Path, box_scale: float = BOX_SCALE) -> Iterator[Found]:
    """Every finding in `file`, in order of its rows. Raises Refused when it holds no list of rows.

    A row without reasoning is a finding only where other rows have one.
    """
    try:
        rows = load_json(Path(file))
    except BadData as problem:
        raise Refused(str(problem)) from None
    if not isinstance(rows, list) or not rows:
        raise Refused(f"{file} must hold a list of rows.")
    thinking = any("<reasoning>" in text for row in rows for text in _answers(row))
    for number, row in enumerate(rows, 1):
        seen = set()
        for name, sentence in _row(row, thinking, box_scale):
            if (name, sentence) not in seen:
                seen.add((name, sentence))
                yield Found(number, name, sentence)


def _row(row: object, thinking: bool, box_scale: float) -> Iterator[tuple[str, str]]:
    try:
        turns = _turns(check_row(row))
        labels = row.get("labels") or ()
        if not isinstance(labels, (list, tuple)) or not all(isinstance(label, str) for label in labels):
            raise ValueError("its labels must be a list of texts")
        asked = [question_of(text.replace("<image>", "").strip(), row.get("task")) for text, _ in turns]
    except ValueError as problem:
        yield "row", f"The row cannot be read: {problem}."
        return
    for question, (_, told) in zip(asked, turns, strict=True):
        if labels:
            question = Question(question.text, question.task, tuple(labels))
        yield from _caption(question, told, thinking, box_scale)


def _caption(question: Question, told: str, thinking: bool, box_scale: float) -> Iterator[tuple[str, str]]:
    answer = parse(told, thinking=thinking, box_scale=box_scale)
    if not answer.well_formed:
        yield from (("format", problem) for problem in answer.problems)
    reasoning = reasoning_text(answer)
    if not reasoning and not answer.text:
        return  # nothing left to look at: what is missing was said
    found = check(question, reasoning, answer.text, boxes=answer.boxes, box_scale=box_scale)
    for finding in found:
        if reasoning or finding.sentence != "The reasoning is empty.":
            yield finding.check, finding.sentence


def _turns(row: dict) -> list[tuple[str, str]]:
    turns = row.get("conversations")
    if not isinstance(turns, list) or not turns or len(turns) % 2:
        raise ValueError("its conversations must be questions and answers by turns")
    if not all(isinstance(turn, dict) and isinstance(turn.get("value"), str) for turn in turns):
        raise ValueError("each turn of its conversations must hold a value that is text")
    return [(one["value"], two["value"]) for one, two in zip(turns[::2], turns[1::2], strict=True)]


def _answers(row: object) -> list[str]:
    try:
        return [told for _, told in _turns(row)]
    except (ValueError, AttributeError):
        return []
