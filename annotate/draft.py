"""What can be said of a caption while it is being edited, by the functions that train, reward and check.

Pure: a draft and what it came from go in, a Look comes out; the page only writes it down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from annotate import rules
from annotate.steps import box_spans, step_spans
from tinyrs.checks import Finding, check
from tinyrs.example import Box, Example, Question
from tinyrs.metrics import Score, iou, score
from tinyrs.parse import boxes as boxes_in
from tinyrs.parse import parse
from tinyrs.prompt import target


@dataclass(frozen=True)
class Seen:
    """A box on the picture.

    side     "C" the draft's own, else the letter of the model that wrote it
    where    "answer" or "reasoning" for a box of the draft, which can be changed; "" for one that cannot
    index    its number in that text, from 0 (see steps.box_spans)
    step     the number of the reasoning's step that names it, from 0; None in an answer
    to_first, to_other   IoU to the first box of the caption as it came in, and to the other model's; None
             where there is none, and for the boxes of the models themselves
    """

    side: str
    box: Box
    where: str = ""
    index: int = 0
    step: int | None = None
    to_first: float | None = None
    to_other: float | None = None


@dataclass(frozen=True)
class Look:
    """What stands in the way of accepting (`problems`), what looks wrong (`findings`, and `findings_before` in
    the caption as it came in), the boxes, and both texts' scores against the data set's answer (None without)."""

    problems: tuple[str, ...]
    findings: tuple[Finding, ...]
    findings_before: tuple[Finding, ...]
    boxes: tuple[Seen, ...]
    before: Score | None = None
    after: Score | None = None

    @property
    def answer_boxes(self) -> list[Seen]:
        """The boxes of the draft's answer."""
        return [seen for seen in self.boxes if seen.where == "answer"]


def look(
    question: Question,
    first: tuple[str, str],
    draft: tuple[str, str],
    *,
    side: str = "A",
    other: Sequence[Box] = (),
    given: str = "",
    size: tuple[int, int] = (0, 0),
) -> Look:
    """Judge a draft. `first` and `draft` are (reasoning, answer); `side` is the letter of the model that wrote
    `first`, `other` holds the boxes of the other model's answer, `given` is the data set's own answer."""
    (old_reasoning, old_answer), (reasoning, answer) = first, draft
    original = boxes_in(old_answer)
    found = [*_own(reasoning, answer, original, other)]
    # Under the draft's box one that is the same would only be in the way.
    if [box.corners() for box in original] != [seen.box.corners() for seen in found if seen.where == "answer"]:
        found += [Seen(side, box) for box in original]
    found += [Seen("A" if side == "B" else "B", box) for box in other]
    before = after = None
    if given:
        truth = Example(Path(), question, given, boxes_in(given))
        before, after = (score(truth, parse(target(*text))) for text in (first, draft))
    return Look(
        tuple(rules.caption_problems(question, reasoning, answer)),
        _findings(question, reasoning, answer, given, size),
        _findings(question, old_reasoning, old_answer, given, size),
        tuple(found),
        before,
        after,
    )


def _own(reasoning: str, answer: str, original: Sequence[Box], other: Sequence[Box]):
    spans = step_spans(reasoning)
    for where, text in (("answer", answer), ("reasoning", reasoning)):
        for index, (start, _, box) in enumerate(box_spans(text)):
            step = None
            if where == "reasoning":
                step = next((i for i, (a, b) in enumerate(spans) if a <= start < b), None)
            to_first = iou(box, original[0]) if original else None
            yield Seen("C", box, where, index, step, to_first, iou(box, other[0]) if other else None)


def _findings(question: Question, reasoning: str, answer: str, given: str, size: tuple[int, int]):
    if not reasoning.strip():  # a caption without reasoning is one for sft
        return tuple(
            f for f in check(question, "-", answer, given=given, size=size) if f.check in ("label", "given")
        )
    return check(question, reasoning, answer, given=given, size=size)
