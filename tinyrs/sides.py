"""In which part of the picture a reasoning says that a thing lies, held against the boxes of the answer.

What a sentence says of that is read by tinyrs.sentences; which sentences speak of the thing that was asked for, and whether
a box lies there, is decided here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tinyrs.example import BOX_SCALE, Box
from tinyrs.places import head
from tinyrs.sentences import SIDES, where

SURE = 0.5
"""From this probability on a box is said to lie elsewhere."""
SAID = 0.5
"""From this probability on a sentence says anything about an axis."""
LAST = 6
"""Only so many sentences at the end are read: before them one looks around."""

_OTHER = re.compile(
    r"\b(?:other|another|next(?! to)|second|neighbou?r\w*|not the|instead|the one (?:on|at|in|near|to)|unlike|except|apart from|"
    r"whereas|while|than|compar\w+)\b",
    re.I,
)
_THAT_IS_IT = re.compile(
    r"^(?:(?:so|therefore|thus|hence|clearly)[, ]+)?(?:this|that|it)(?:['\u2019]s|(?: [a-z]+)? (?:is|must be|has to be|should be|fits|matches))\b",
    re.I,
)
# where a thing is going, which is not where it is
_HEADING = re.compile(r"\b(?:sail|head|mov|point|driv|fly|flies|turn|going|goes|lead|fac|look)\w* (?:to|towards?) [^,.;]*", re.I)
_CLAUSES = re.compile(r";\s+")
_SOMETHING = re.compile(r"^(?:an?|some|several|many|few|there|on|in|at|from)\b", re.I)
_DIGIT = re.compile(r"\d")  # numbers are for tinyrs.places
_FAR = 0.55 * BOX_SCALE
_MIDDLE = (0.25 * BOX_SCALE, 0.75 * BOX_SCALE)


def wrong_side(steps: Sequence[str], boxes: Sequence[Box], phrase: str = "") -> str:
    """The last sentence that says in which part of the picture the thing lies, if no box lies there; else "".

    Only sentences about `phrase` or "it" are read, and only plain opposites count: left against right, top against
    bottom, the middle against a box at the margin. Where none names the thing, it goes by another name there.
    """
    name = head(phrase)
    if not boxes or phrase.lower().count(name) > 1:  # "the ship left of the other ship": a sentence may be about either
        return ""
    about = re.compile(rf"\b\w{{0,8}}(?:{re.escape(name)}|\bbox\b|\bit\b|\b(?:that|this) one\b|target)", re.I)
    steps = steps[-LAST:]
    named = any(about.search(step) for step in steps)
    wrong = ""
    for at in range(len(steps) - 1, -1, -1):
        step, then = steps[at], steps[at + 1] if at + 1 < len(steps) else ""
        if _DIGIT.search(step) or _OTHER.search(step) or named and not (about.search(step) or _THAT_IS_IT.search(then)):
            continue
        if not named and _SOMETHING.search(step):
            continue
        told = [where(clause) for clause in _CLAUSES.split(_HEADING.sub("", step))]
        told = [each for each in told if any(sum(each[axis].values()) >= SAID for axis in SIDES)]
        if not told:
            continue
        # Of two places in one sentence one may be another thing's, and any of several boxes may be meant.
        doubt = min(max(_elsewhere(box, axis, each[axis]) for axis in SIDES) for each in told for box in boxes)
        if named:  # the last one decides
            return step if doubt >= SURE else ""
        if doubt < SAID:
            return ""
        if doubt >= SURE:
            wrong = wrong or step
    return wrong


def _elsewhere(box: Box, axis: str, said: dict[str, float]) -> float:
    """How likely it is that a sentence says of `box` that it lies where it does not."""
    low, high = (box.x1, box.x2) if axis == "x" else (box.y1, box.y2)
    first, middle, last = SIDES[axis]
    return (
        (said[first] if low > _FAR else 0)
        + (said[middle] if high < _MIDDLE[0] or low > _MIDDLE[1] else 0)
        + (said[last] if high < BOX_SCALE - _FAR else 0)
    )
