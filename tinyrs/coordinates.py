"""What each number of a sentence says of a box: an edge, the middle, a size, or nothing. Read by a linear model.

    roles("It runs from 120 on the left to 300.", "the pond")     # [(120.0, {"x1": 0.97, ...}), (300.0, {"x2": 0.95, ...})]
    misfit(steps, boxes, "the pond")                              # the sentence with a number that fits no box

tinyrs.places reads the usual ways to write a box by rule; this one also the unusual ones. The weights (coordinates.json)
come from `python -m training.coordinates` and reasonings that were written for it, with slots in place of the numbers.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from tinyrs.example import Box
from tinyrs.places import EXACT, ROUGH
from tinyrs.sentences import stem

WEIGHTS = Path(__file__).with_name("coordinates.json")
ROLES = ("x1", "y1", "x2", "y2", "cx", "cy", "w", "h", "any")
"""What a number may be: the box's left, top, right, bottom, its middle across and down, its width and height; or none of these."""
SURE = 0.8
"""How likely a number must be something of the box."""

_WORD = re.compile(r"\d+(?:,\d{3})+|\d+(?:\.\d+)?|[^\W\d_]+|[^\w\s]|_")
_KEY = frozenset(
    "left right top bottom upper lower north south east west northern southern eastern western width height wide tall high long "
    "horizontally vertically horizontal vertical across down x y column columns col cols row rows center centre middle centred centered "
    "start starts begins begin beginning end ends until to from between corner min max edge side starting ending through origin".split()
)
_STOPS, _IN_RUN = frozenset(";.:"), frozenset(("#", ",", "-", "%", "px", ";", "|"))
_CLAUSE_ENDS = frozenset((";", ".", ":", "while", "but", "whereas"))
_LITTLE = frozenset(("the", "a", "an", "of", "in", "on", "at", "to"))
_PIXELS = re.compile(r"(?:\b|\d)(?:px|pixels?)\b", re.I)
_OTHERS = frozenset(("other", "another", "second", "neighbour", "neighbor"))


class Sentence:
    """A sentence as words, its numbers as "#": `values` are (place among the words, value, whether in percent)."""

    def __init__(self, text: str, phrase: str):
        found = [match[0] for match in _WORD.finditer(text.lower()[:2000])]
        self.words = ["#" if word[0].isdecimal() else word for word in found]
        self.values = [
            (at, float(word.replace(",", "")), self._word(at + 1) in ("%", "percent") or self.words[at + 1 : at + 3] == ["per", "cent"])
            for at, word in enumerate(found)
            if word[0].isdecimal()
        ]
        self._thing = {stem(word) for word in re.findall(r"[a-z]+", phrase.lower()) if word not in _LITTLE}
        self._about = set(self._names("sentence", self.words))
        if _OTHERS.intersection(self.words):
            self._about.add("sentence: other")

    def _word(self, at: int) -> str:
        return self.words[at] if 0 <= at < len(self.words) else "^" if at < 0 else "$"

    def _names(self, where: str, words: Sequence[str]) -> Iterator[str]:
        if any(stem(word) in self._thing for word in words):
            yield f"{where}: thing"
        if "it" in words or "its" in words:
            yield f"{where}: it"

    def signs(self, at: int, before: int | None, role: str) -> set[str]:
        """What tells the role of the number at `at`; the number before it stands at `before` and has `role`."""
        word = self._word
        found = {f"{far}: {word(at + far)}" for far in (*range(-5, 0), *range(1, 5))}
        found |= {
            f"-2 -1: {word(at - 2)} {word(at - 1)}", f"-1 1: {word(at - 1)} {word(at + 1)}", f"1 2: {word(at + 1)} {word(at + 2)}",
            f"-3 -1: {word(at - 3)} {word(at - 2)} {word(at - 1)}", f"1 3: {word(at + 1)} {word(at + 2)} {word(at + 3)}",
            f"-2 1: {word(at - 2)} {word(at - 1)} {word(at + 1)}",
        }  # fmt: skip
        return found | set(self._before(at, before, role)) | set(self._behind(at)) | set(self._run(at, role)) | set(self._clause(at)) | self._about

    def _before(self, at: int, before: int | None, role: str) -> Iterator[str]:
        """The number before, and the words between."""
        if before is None:
            yield "first"
        else:
            between = self.words[before + 1 : at]
            told = " ".join(between) if len(between) <= 5 else "far"
            yield from (f"after {role}", f"after {role}: {told}", f"between: {told}")
            yield from (f"after {role}, key: {word}" for word in between if word in _KEY)
        place = 0
        for word in reversed(self.words[max(0, at - 13) : at]):
            if word in _STOPS or place > 2:
                break
            if word in _KEY:
                yield from (f"key -{place}: {word}", f"key before: {word}")
                place += 1

    def _behind(self, at: int) -> Iterator[str]:
        """The words up to the next number, and those behind it."""
        behind = next((place for place in range(at + 1, len(self.words)) if self.words[place] == "#"), None)
        if behind is None:
            yield "last"
        else:
            told = " ".join(self.words[at + 1 : behind]) if behind - at <= 6 else "far"
            yield f"next: {told}"
            for far in (1, 2, 3):
                yield from (f"next {far}: {self._word(behind + far)}", f"next {told}, {far}: {self._word(behind + far)}")
        place = 0
        for word in self.words[at + 1 : at + 12]:
            if word in _STOPS or place > 1:
                break
            if word in _KEY:
                yield from (f"key +{place}: {word}", f"key behind: {word}")
                place += 1

    def _run(self, at: int, role: str) -> Iterator[str]:
        """Which one of several numbers with nothing but commas between, and what leads to them."""
        first, last = at, at
        while first and (self.words[first - 1] in _IN_RUN or self.words[first - 1] == "and"):
            first -= 1
        while last + 1 < len(self.words) and self.words[last + 1] in _IN_RUN:
            last += 1
        run = f"{self.words[at]} {self.words[first:at].count('#')} of {min(self.words[first : last + 1].count('#'), 5)}"
        lead = [self._word(first - far) for far in (1, 2, 3)]
        yield from (run, f"{run}: {lead[0]}", f"{run}: {' '.join(lead)}", f"{run} after {role}")
        if key := next((word for word in reversed(self.words[max(0, first - 9) : first]) if word in _KEY), ""):
            yield f"{run}, key: {key}"

    def _clause(self, at: int) -> Iterator[str]:
        """How the number's clause begins, and whether it names the thing."""
        first, last = at, at
        while first and self.words[first - 1] not in _CLAUSE_ENDS and self.words[first - 1] != "and":
            first -= 1
        while last + 1 < len(self.words) and self.words[last + 1] not in _CLAUSE_ENDS:
            last += 1
        clause = self.words[first : last + 1]
        yield from self._names("clause", clause)
        yield from (f"clause begins: {stem(word)}" for word in clause[:6] if word != "#")


@lru_cache(maxsize=1)
def _weights() -> tuple[dict[str, list[int]], float, list[float]]:
    stored = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return stored["pieces"], stored["unit"], stored["bias"]


def likely(signs: set[str], table: dict, unit: float, bias: Sequence[float]) -> dict[str, float]:
    """How likely each of ROLES is by such weights."""
    known = [table[sign] for sign in signs if sign in table]
    sums = [unit * sum(row[at] for row in known) + bias[at] for at in range(len(ROLES))]
    most = max(sums)
    each = [math.exp(value - most) for value in sums]
    return {role: value / sum(each) for role, value in zip(ROLES, each, strict=True)}


def roles(text: str, phrase: str) -> list[tuple[float, dict[str, float]]]:
    """(value, how likely each of ROLES) of every number in a sentence about the box of `phrase`; percents are told of 1000."""
    sentence, weights, found = Sentence(text, phrase), _weights(), []
    before, role = None, ""
    for at, value, percent in sentence.values:
        each = likely(sentence.signs(at, before, role), *weights)
        before, role = at, max(each, key=each.__getitem__)
        found.append((value * 10 if percent else value, each))
    return found


def misfit(steps: Sequence[str], boxes: Sequence[Box], phrase: str) -> str:
    """The first sentence with a number that is likely an edge, middle or size of what is asked for and fits no box of `boxes`
    (0..1000); "" for none. Pixels, fractions of 1 and numbers above 1000 are left alone: another scale."""
    if any(_PIXELS.search(step) for step in steps):
        return ""
    for step in steps:
        if not any(char.isdecimal() for char in step):
            continue
        told = roles(step, phrase)
        if any(value > 1000 or 0 < value < 1 for value, _ in told):
            continue
        for value, each in told:
            if 1 - each["any"] > SURE and not any(_fits(value, box) for box in boxes):
                return step
    return ""


def _fits(value: float, box: Box) -> bool:
    """Whether a number may be an edge, the middle or a size of a box. Which one it is read as does not matter here: sound
    sentences were doubted for numbers that fit as another one."""
    edges = (box.x1, box.y1, box.x2, box.y2)
    others = ((box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2, box.x2 - box.x1, box.y2 - box.y1)
    slack = ROUGH if round(value) % 50 == 0 else EXACT
    return any(abs(value - edge) <= slack for edge in edges) or any(abs(value - other) <= ROUGH for other in others)
