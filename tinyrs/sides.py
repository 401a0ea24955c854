"""In which part of the picture a reasoning says that a thing lies, held against the boxes of the answer.

What a sentence says of that is read by tinyrs.sentences; which sentences speak of the thing that was asked for, and whether
a box lies there, is decided here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from tinyrs.example import BOX_SCALE, Box
from tinyrs.places import head
from tinyrs.sentences import SIDES, parts, where

SURE = 0.5
"""From this probability on a sentence is taken to say a place, and a box to lie elsewhere."""
LAST = 6
"""Only so many sentences at the end are read: before them one looks around."""

_OTHER = re.compile(
    r"\b(?:other|another|next(?! to)|second|neighbou?r\w*|not the|instead|the one (?:on|at|in|near|to)|unlike|except|apart from|"
    r"whereas|while|than|compar\w+)\b",
    re.I,
)
# the thing itself beside what it differs from
_APART = re.compile(r"\b(?:from|than|of) (?:all |any |most )?(?:of )?(?:the |its )?(?:others?|rest|neighbou?rs)(?: \w+)?", re.I)
_THAT_IS_IT = re.compile(
    r"^(?:(?:so|therefore|thus|hence|clearly)[, ]+)?(?:this|that|it)(?:['\u2019]s|(?: [a-z]+)? (?:is|must be|has to be|should be|fits|matches))\b",
    re.I,
)
# where a thing is going, which is not where it is
_HEADING = re.compile(r"\b(?:sail|head|mov|point|driv|fly|flies|turn|going|goes|lead|fac|look)\w* (?:to|towards?) [^,.;]*", re.I)
_SOMETHING = re.compile(r"^(?:an?|some|several|many|few|there|on|in|at|from)\b", re.I)
_DIGIT = re.compile(r"\d")  # numbers are for tinyrs.places
_FAR = 0.55 * BOX_SCALE
_MIDDLE = (0.25 * BOX_SCALE, 0.75 * BOX_SCALE)


def wrong_side(steps: Sequence[str], boxes: Sequence[Box], phrase: str = "") -> str:
    """The last sentence that says in which part of the picture the thing lies, if no box lies there; else "".

    Sentences about `phrase` or "it" are read, and only plain opposites count: left against right, top against
    bottom, the middle against a box at the margin. Where none of those says a place, the thing may go by another name in one
    that does.
    """
    name = head(phrase)
    if not boxes or phrase.lower().count(name) > 1:  # "the ship left of the other ship": a sentence may be about either
        return ""
    about = re.compile(rf"\b\w{{0,8}}(?:{re.escape(name)}|\bbox\b|\bit\b|\b(?:that|this) one\b|target)", re.I)
    its, others, steps = [], [], steps[-LAST:]
    for step, then in zip(steps, [*steps[1:], ""], strict=False):
        doubt = _doubt(step, boxes)
        if doubt is None:
            continue
        if about.search(step) or _THAT_IS_IT.search(then):
            its.append((doubt, step))
        elif not _SOMETHING.search(step):
            others.append((doubt, step))
    if its:  # the last one decides
        doubt, step = its[-1]
        return step if doubt >= SURE else ""
    # It may go by another name.
    if any(doubt < SURE for doubt, _ in others):
        return ""
    return others[-1][1] if others else ""


def _doubt(step: str, boxes: Sequence[Box]) -> float | None:
    """How likely it is that a sentence says of all `boxes` that they lie elsewhere; None where it says nothing of places."""
    step = _APART.sub("", step)
    if _DIGIT.search(step) or _OTHER.search(step):
        return None
    told = [where(part) for part in parts(_HEADING.sub("", step))]
    told = [each for each in told if _says(each) >= SURE]
    # Of two places in one sentence one may be another thing's, and any of several boxes may be meant.
    return min((_elsewhere(box, each) for each in told for box in boxes), default=None)


def _says(told: dict[str, dict[str, float]]) -> float:
    """How likely it is that a sentence says where in the picture something lies."""
    return 1 - math.prod(1 - sum(told[axis].values()) for axis in SIDES)


def _elsewhere(box: Box, told: dict[str, dict[str, float]]) -> float:
    """How likely it is that a sentence says of `box` that it lies where it does not, on either axis."""
    fits = 1.0
    for axis, (first, middle, last) in SIDES.items():
        low, high = (box.x1, box.x2) if axis == "x" else (box.y1, box.y2)
        said = told[axis]
        fits *= 1 - (
            (said[first] if low > _FAR else 0)
            + (said[middle] if high < _MIDDLE[0] or low > _MIDDLE[1] else 0)
            + (said[last] if high < BOX_SCALE - _FAR else 0)
        )
    return 1 - fits
