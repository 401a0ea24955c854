"""How large a reasoning says that a thing is, as a share of the picture, held against the boxes of the answer.

    wrong_size(["It takes up about a third of the picture's width."], [Box(470, 440, 550, 520)], "the pond")     # that sentence
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinyrs.example import BOX_SCALE, Box
from tinyrs.numerals import NUMERALS
from tinyrs.parse import sentences
from tinyrs.places import head

_PARTS = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "tenth": 10}
_COUNTS = {"a": 1, "an": 1, "": 1, **NUMERALS}
_SHARE = re.compile(
    r"(?P<bound>no more than|not more than|less than|under|at most|below|barely|hardly|more than|over|at least|upwards of|well over)?\s?"
    r"(?:(?:about|roughly|some|close to|nearly|almost|around|approximately|only|just|a good|maybe|perhaps|fully)\s)*"
    r"(?:(?P<percent>\d{1,3}(?:\.\d+)?)\s?(?:%|percent\b|per cent\b)"
    rf"|(?:(?P<count>an?|one|two|three|four|five)[\s-])?(?P<part>{'|'.join(_PARTS)})s?\b)",
    re.I,
)
_PICTURE = r"(?:image|picture|frame|scene|view|photo|photograph|tile|shot)"
_OF = re.compile(rf"^\s(?:of\s)?(?:(?:the|this)\s)?(?:whole\s|entire\s|full\s)?(?P<whole>{_PICTURE})?(?:['\u2019]s?)?\s?(?:in\s)?(?P<axis>its\s(?:width|height)\b|[a-z]+(?:\s[a-z]+){{0,3}})?", re.I)
_WIDE = re.compile(r"^(?:its\s)?(?:width|wide\b|across\b|from side to side|from left to right|horizontally)", re.I)
_HIGH = re.compile(r"^(?:its\s)?(?:height|high\b|tall\b|from top to bottom|vertically)", re.I)
_BOTH = re.compile(r"^(?:in )?(?:either|each|both) (?:direction|dimension|way|axis|axes)", re.I)
_PLACE = re.compile(r"\b(?:left|right|upper|lower|top|bottom|northern|southern|eastern|western|middle|central|outer|first|second|last|other|remaining|way|down|along|to|from|between|at|until|till)\s*$", re.I)
_BEFORE_A_PLACE = re.compile(r"^\s(?:of the (?:way|distance)|down|along|in from|from|up|way|(?:of|into) (?:it|them|these|those|its(?!\s(?:width|height))))\b", re.I)
_SIZE = re.compile(r"\b(?:diameter|wide|width|tall|high|height|long|length|takes? up|fills?|cover\w*|occup\w+|spans?|measur\w+|extends?|stretch\w*|size|large|small|direction|dimension)\b", re.I)
_AT_MOST = ("no more than", "not more than", "less than", "under", "at most", "below", "barely", "hardly")
_SLACK, _LEAST = 1.7, 0.03 * BOX_SCALE


@dataclass(frozen=True)
class Extent:
    """A share of the picture (0..1000) that a thing is said to have: of its width, its height, or of both ("wh"); and whether it
    is the most or the least that it may be ("")."""

    share: float
    axes: str
    bound: str = ""

    def fits(self, box: Box) -> bool:
        """Whether a box is about as large."""
        sizes = {"w": box.x2 - box.x1, "h": box.y2 - box.y1}
        return all(self._near(sizes[axis]) for axis in self.axes)

    def _near(self, size: float) -> bool:
        small = size < self.share / _SLACK - _LEAST
        large = size > self.share * _SLACK + _LEAST
        return not (large and self.bound != "least" or small and self.bound != "most")


def wrong_size(steps: Sequence[str], boxes: Sequence[Box], phrase: str) -> str:
    """The first sentence that says of `phrase`, or of "it", that it is of a size that no box has; "" for none."""
    about = re.compile(rf"\b(?:{re.escape(head(phrase))}\w*|it|its|they|their|this one)\b", re.I)
    for sentence in sentences(steps):
        if boxes and about.search(sentence) and any(not any(each.fits(box) for box in boxes) for each in extents(sentence)):
            return sentence
    return ""


def extents(sentence: str) -> Iterator[Extent]:
    """The sizes that a sentence tells as shares of the picture's width or height."""
    whole = False
    for found in _SHARE.finditer(sentence[:2000]):
        before, after = sentence[: found.start()], sentence[found.end() :]
        if _PLACE.search(before) or _BEFORE_A_PLACE.match(after) or not _SIZE.search(sentence):
            continue
        of = _OF.match(after)
        axes = _axes(of["axis"] or "", before) if of else ""
        whole = whole or bool(of and of["whole"])  # "a third of the picture's width and half of its height"
        if not axes or not whole:
            continue
        bound = (found["bound"] or "").lower()
        yield Extent(_share(found), axes, "most" if bound in _AT_MOST else "least" if bound else "")


def _axes(words: str, before: str) -> str:
    if _WIDE.match(words):
        return "w"
    if _HIGH.match(words):
        return "h"
    round_ = re.search(r"\bdiameter\b[^,;]{0,30}$", before, re.I)
    return "wh" if _BOTH.match(words) or round_ else ""


def _share(found: re.Match) -> float:
    if found["percent"]:
        return float(found["percent"]) / 100 * BOX_SCALE
    return _COUNTS[(found["count"] or "").lower()] / _PARTS[found["part"].lower()] * BOX_SCALE
