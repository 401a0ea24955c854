"""On which side of the picture a reasoning says that a thing lies, held against the boxes of the answer.

Which side a word names is plain (tinyrs.regions); whether it is said of the thing that was asked for, and of the picture, is
what a linear model weighs, by the words around it. Its weights (sides.json) come from `python -m training.sides`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from tinyrs import weighing
from tinyrs.example import BOX_SCALE, Box
from tinyrs.parse import sentences
from tinyrs.places import head, head_of
from tinyrs.regions import SIDES, Mention, mentions, words
from tinyrs.sentences import stem
from tinyrs.weighing import Weights, load

WEIGHTS = Path(__file__).with_name("sides.json")
NOTHING = "nothing"
"""The outcome that nothing is said of the thing on that axis."""
SURE = 1.0
"""Log odds from which on the thing is taken to be said to lie elsewhere."""
NEAR = 4
"""Words on either side of a mention whose place is looked at."""

_FAR, _MIDDLE = 0.55 * BOX_SCALE, (0.25 * BOX_SCALE, 0.75 * BOX_SCALE)
_STOPS = frozenset((",", ";", ":", "(", ")", "while", "whereas", "but", "where", "which"))
_PRONOUNS = frozenset(("it", "this", "that", "its", "one"))
_NUMBER = re.compile(r"\d+(?! ?o['\u2019 ]?\s?clock|\d)")
_IDLE = frozenset(
    "a an the of in on at to by near with and or largest smallest biggest whole entire single only one target object left right top bottom upper lower".split()
)


_TELLING = frozenset(
    stem(word)
    for word in (
        "image picture pic img frame scene view photo photograph shot tile map screen canvas field scenery panorama corner corners edge border margin rim "
        "boundary half third quarter quadrant side sides part portion strip band area region flank section zone sector end ends extremity foot head "
        "lie lies lying located location situated position positioned placed place sits sitting stands standing found find see seen spot appears occupies occupy "
        "fill fills cover covers take takes up stretches extends spans runs crosses dominates rests visible is are was has have been its their his whose "
        "it this that these those one ones there here target box asked question object thing answer wanted sought requested "
        "of to from toward towards into onto in on at by with near beside next along across through against around behind under above below between beyond "
        "far close further away just about roughly approximately exactly almost nearly slightly very more most rather quite only alone "
        "not no nor neither but and or while whereas instead than though although yet other others another rest all both each every "
        "points pointing faces facing heads heading moves moving sails leads leading turns bends falls casts shadow flies wind "
        "wing wings door wall roof bank shore lane end tip bow stern arm gable neighbour neighbor beside hand turn angle angles"
    ).split()
) | frozenset("% @ # , ; : ( - = ?".split())
"""Words by which it may be told whose place it is, anywhere in the clause; of others only those next to a mention count."""


def wrong_side(steps: Sequence[str], boxes: Sequence[Box], phrase: str = "") -> str:
    """The sentence that says most clearly that the thing, `phrase`, lies where no box does; "" where that is not sure."""
    if not boxes:
        return ""
    telling, worst = Telling(steps, phrase), (SURE, "")
    for axis in SIDES:
        weighed = {side: weigh(found) for side, found in telling.signs(axis).items()}
        fits = {side for side in SIDES[axis] if any(lies(box, axis, side) for box in boxes)} | {NOTHING}
        for side in weighed.keys() - fits:
            ahead = weighed[side] - max(weighed[other] for other in weighed.keys() & fits)
            if ahead > worst[0]:
                worst = ahead, max(telling.said(axis, side), key=lambda said: weigh(said[1]))[0]
    return worst[1]


def lies(box: Box, axis: str, side: str) -> bool:
    """Whether one may say of a box that it lies on that side; only what is plainly elsewhere does not."""
    low, high = (box.x1, box.x2) if axis == "x" else (box.y1, box.y2)
    first, _, last = SIDES[axis]
    if side == first:
        return low <= _FAR
    if side == last:
        return high >= BOX_SCALE - _FAR
    return high >= _MIDDLE[0] and low <= _MIDDLE[1]


def weigh(signs: Collection[str], weights: Weights | None = None) -> float:
    """How much speaks for an outcome, in log odds, by (pieces, unit) other than the stored ones where given."""
    return weighing.weigh(signs, weights or load(WEIGHTS))


class Telling:
    """A reasoning ready to be asked what speaks for each side."""

    def __init__(self, steps: Sequence[str], phrase: str = ""):
        self._steps = steps = sentences(steps)
        self._words = [words(step) for step in steps]
        # Numbers are for tinyrs.places and tinyrs.coordinates, and "another ship" is not the one.
        another = re.compile(rf"\b(?:an)?other (?:\w+ )?{re.escape(head(phrase))}", re.I)
        self._mentions = [
            [] if _NUMBER.search(step) or phrase and another.search(step) else mentions(each)
            for step, each in zip(steps, self._words, strict=True)
        ]
        asked = {stem(word) for word in words(head_of(phrase)) if word.isalpha() and word not in _IDLE}
        self._noun = stem((words(head_of(phrase)) or [""])[-1])
        self._asked, self._phrase = asked, frozenset(words(phrase))
        self._stems = [[stem(word) for word in each] for each in self._words]
        self._named = [bool(asked.intersection(each)) for each in self._stems]

    def signs(self, axis: str) -> dict[str, set[str]]:
        """What speaks for each side of an axis that is named somewhere, and for NOTHING; {} where none is."""
        found = {}
        for side in SIDES[axis]:
            signs = {sign for _, each in self.said(axis, side) for sign in each}
            if signs:
                found[side] = signs
        return {**found, NOTHING: {f"none of {len(found)}"}} if found else {}

    def said(self, axis: str, side: str) -> list[tuple[str, set[str]]]:
        """(sentence, signs) of every mention of a side."""
        told = [
            (at, mention)
            for at, each in enumerate(self._mentions)
            for mention in each
            if mention.sides.get(axis) == side
        ]
        return [(self._steps[at], set(self._of(at, mention, axis))) for at, mention in told]

    def _of(self, at: int, mention: Mention, axis: str) -> Iterator[str]:
        """The signs of one mention."""
        marked = self._marked(at, mention)
        first, last = mention.at[0], mention.at[-1]
        around = {
            **{-step: marked[first - step] if first >= step else "^" for step in range(1, NEAR + 1)},
            **{step: marked[last + step] if last + step < len(marked) else "$" for step in range(1, NEAR + 1)},
        }
        middle = mention.sides[axis] == "middle"
        own = [self._words[at][each] for each in mention.at]
        yield "said"
        yield f"is {' '.join(own)}" + (f" {axis}" if middle else "")
        for word in own:
            yield f"is {word}" + (f" {axis}" if middle else "")
            if word in self._phrase:
                yield "asked for"
        yield "both" if len(mention.sides) == 2 else "one"
        if middle and len(mention.sides) == 2:
            beside = {axis for each in self._mentions[at] if each is not mention for axis in each.sides}
            yield f"beside {axis in beside} {len(beside)}"
        for place, word in around.items():
            yield f"{place} {word}"
        for one, other in ((-2, -1), (1, 2), (2, 3), (-1, 1), (-3, -2)):
            yield f"{one} {other} {around[one]} {around[other]}"
        yield f"around {around[-2]} {around[-1]} {around[1]}"
        yield f"around {around[-1]} {around[1]} {around[2]}"
        yield f"{own[0]} {around[1]}"
        yield f"{around[-1]} {own[0]}"
        clause, rest = self._clause(marked, first, last)
        yield from (f"clause {word}" for word in clause & _TELLING)
        yield from self._whose(at, marked, first, last, clause, rest)
        yield from self._where(at, mention, axis)

    def _marked(self, at: int, mention: Mention) -> list[str]:
        """The stems of a sentence; what is asked for is "@", other words of place "%", those of the mention "*"."""
        others = {place for each in self._mentions[at] if each is not mention for place in each.at}
        return [
            "*" if mention.at[0] <= place <= mention.at[-1] else "%" if place in others else "@" if word in self._asked else "#" if word.isdigit() else word
            for place, word in enumerate(self._stems[at])
        ]

    @staticmethod
    def _clause(marked: Sequence[str], first: int, last: int) -> tuple[set[str], set[str]]:
        """The words of the clause around a mention, and those of the rest of its sentence."""
        start = next((place for place in range(first, 0, -1) if marked[place - 1] in _STOPS), 0)
        end = next((place for place in range(last + 1, len(marked)) if marked[place] in _STOPS), len(marked))
        return set(marked[start:end]), {*marked[:start], *marked[end:]}

    def _whose(self, at: int, marked, first: int, last: int, clause: set[str], rest: set[str]) -> Iterator[str]:
        """Signs of which thing it is."""
        if not self._asked:
            yield "unknown"
            return
        before = [place for place in range(first) if marked[place] == "@"]
        after = [place for place in range(last + 1, len(marked)) if marked[place] == "@"]
        if before:
            between = marked[before[-1] + 1 : first]
            yield f"@ before {min(len(between), 6)}"
            yield f"@ before, first {before[0] <= 2}"
            yield from (f"between {word}" for word in _TELLING.intersection(between))
            yield f"noun {self._stems[at][before[-1]] == self._noun}"
        if after:
            between = marked[last + 1 : after[0]]
            yield f"@ after {min(len(between), 6)}"
            yield from (f"up to {word}" for word in _TELLING.intersection(between))
        here = "clause" if "@" in clause else "sentence" if "@" in rest else "no"
        previous, following = (0 <= other < len(self._named) and self._named[other] for other in (at - 1, at + 1))
        opening = next((word for word in marked if word.isalpha()), "")
        yield f"@ {here}"
        if here == "no":
            yield f"opens {opening}"
            yield f"opens {' '.join(marked[:2])}"
            pronoun = _PRONOUNS.intersection(clause)
            kind = opening if opening in ("a", "an", "the", "there", "this", "it", "its", "they") else "other"
            yield f"no @, {kind}, before {previous}, after {following}"
            yield f"no @, {kind}, {'earlier' if any(self._named[:at]) else 'never before'}, {'later' if any(self._named[at:]) else 'never after'}"
            yield f"no @, before {previous}, pronoun {bool(pronoun)}"
            yield f"no @, after {following}"
            yield f"no @, {'earlier' if any(self._named[:at]) else 'never before'}"
            yield from (f"no @ {word}" for word in pronoun)
        else:
            yield f"@ opens {opening}"

    def _where(self, at: int, mention: Mention, axis: str) -> Iterator[str]:
        """Signs of where in the reasoning it is, and of what else is said there of that axis."""
        told = [(other, each.sides[axis]) for other, many in enumerate(self._mentions) for each in many if axis in each.sides]
        sides = {side for _, side in told}
        yield f"sides {len(sides)}"
        yield f"sentence {'only' if len(self._steps) == 1 else 'last' if at + 1 == len(self._steps) else 'first' if at == 0 else 'inner'}"
        if len(sides) > 1:
            yield f"order {'last' if at == told[-1][0] else 'first' if at == told[0][0] else 'inner'}"
            here = {side for other, side in told if other == at}
            yield f"in one sentence {len(here)}"
            if not self._named[at] and self._asked and any(self._named[other] for other, _ in told):
                yield "another one has @"
            if self._asked and self._named[at] and not any(self._named[other] for other, _ in told if other != at):
                yield "only this one has @"
