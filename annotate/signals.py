"""Which caption is worth a person's time first, and why: the order of the queue.

Four things say that a caption may be wrong: a failed check, two models that disagree, a visitor's flag, boxes
that hardly overlap. A caption's rank is a number of four bits, one for each, the first the heaviest; a bit is
cleared when its sign was found. So 0 comes first, 15 last, and a later flag only clears a bit. Beside that order
one caption in five, drawn by its own checksum, belongs to the random sample: it is offered whatever its rank,
for a set made of nothing but suspicious captions says little about the model (annotate/queue.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from tinyrs.checks import check
from tinyrs.example import Answer, Question, Task
from tinyrs.metrics import IOU_RIGHT, equal, iou
from tinyrs.parse import boxes as boxes_in
from tinyrs.prompt import is_choice

CHECK, DISAGREE, FLAG, OVERLAP = 8, 4, 2, 1
"""The bits. Migration m003 knows FLAG's."""
LAST = CHECK | DISAGREE | FLAG | OVERLAP
NO_SIGN = "no sign of a fault"
RANDOM = "drawn at random, so that the set stays unbiased"


@dataclass(frozen=True)
class Sign:
    """One reason to look at a caption: `bit` is its weight, `sentence` says it to the annotator."""

    bit: int
    sentence: str


def signs(
    question: Question,
    reasoning: str,
    answer: str,
    *,
    other: Answer | None = None,
    given: str = "",
    size: tuple[int, int] = (0, 0),
    flagged: str = "",
    known: str = "",
) -> list[Sign]:
    """Everything that speaks for looking at this caption, heaviest first. Total: no text makes it raise.

    other    what another model answered to the same question
    given    the data set's own answer, "" when unknown;  size of the picture, pixels
    flagged  the reasons of a visitor's flag, "" for none
    known    what was found wrong with it before, one reason a line
    """
    found = [Sign(CHECK, line) for line in known.splitlines() if line.strip()]
    found += [
        Sign(CHECK, f"{finding.check}: {finding.sentence}")
        # A model that answers at once is not at fault for having no reasoning.
        for finding in check(question, reasoning, answer, given=given, size=size)
        if reasoning.strip() or finding.sentence != "The reasoning is empty."
    ]
    mine = boxes_in(answer)
    if other is not None and (other.text or other.boxes):
        if mine and other.boxes:
            overlap = iou(mine[0], other.boxes[0])
            if overlap < IOU_RIGHT:
                found.append(Sign(OVERLAP, f"The boxes of the two models overlap with IoU {overlap:.2f}."))
        elif _can_disagree(question) and not equal(answer, other.text, question.labels):
            found.append(Sign(DISAGREE, "The two models disagree."))
    true = boxes_in(given)
    if mine and true and (overlap := iou(mine[0], true[0])) < IOU_RIGHT:
        found.append(Sign(OVERLAP, f"The box overlaps the data set's with IoU {overlap:.2f}."))
    if flagged:
        found.append(Sign(FLAG, f"flagged: {flagged}"))
    return sorted(dict.fromkeys(found), key=lambda sign: -sign.bit)


def _can_disagree(question: Question) -> bool:
    # Two descriptions are never the same words.
    return is_choice(question) or question.task not in (Task.OPEN, Task.CAPTIONING)


def rank(found: list[Sign]) -> int:
    """The place in the queue: 0 first, LAST for a caption without a sign."""
    bits = LAST
    for sign in found:
        bits &= ~sign.bit
    return bits


def why(found: list[Sign]) -> str:
    """The reasons as they are stored with the caption, one a line."""
    return "\n".join(sign.sentence for sign in found) or NO_SIGN
