"""Words of place in a sentence, and which side of a picture they name.

    for found in mentions(words("It lies in the upper left corner.")):
        print(found.sides)                                        # {"y": "top", "x": "left"}

Whether the sentence says that of the thing that was asked for, and of the picture, is not told here (tinyrs.sides).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinyrs.sentences import WORD

SIDES = {"x": ("left", "middle", "right"), "y": ("top", "middle", "bottom")}
"""The sides of a picture, by axis."""

_PLAIN = {
    "left": "left west western westerly westward westwards westernmost leftmost leftward leftwards leftside lefthand",
    "right": "right east eastern easterly eastward eastwards easternmost rightmost rightward rightwards rightside righthand",
    "top": "top upper uppermost topmost north northern northerly northward northwards northernmost",
    "bottom": "bottom lower lowermost lowest bottommost south southern southerly southward southwards southernmost foot base",
    "middle": "center centre middle central centrally centered centred mid midway halfway heart core midpoint midst midline",
}
_NAMES = {word: side for side, all_of_them in _PLAIN.items() for word in all_of_them.split()}
_COMPASS = re.compile(r"(n|s|north|south)(w|e|west|east)(?:ern|erly|wards?|ernmost)?$")
_LETTERS = {"n": "top", "s": "bottom", "w": "left", "e": "right"}
_CLOCK = {
    "one": "right top", "two": "right top", "three": "right middle", "four": "right bottom", "five": "right bottom", "six": "middle bottom",
    "seven": "left bottom", "eight": "left bottom", "nine": "left middle", "ten": "left top", "eleven": "left top", "twelve": "middle top",
}  # fmt: skip
_HOURS = {str(hour): sides for hour, sides in enumerate(_CLOCK.values(), 1)}
_AXIS = {"left": "x", "right": "x", "top": "y", "bottom": "y"}
_ALONG = {
    **dict.fromkeys(("down", "up", "height", "vertical", "vertically", "high"), "y"),
    **dict.fromkeys(("across", "width", "horizontal", "horizontally", "wide"), "x"),
}
"""Along which axis a middle is one: "halfway down"."""
_BETWEEN = frozenset(
    "- / hand most side part edge border margin half third area portion region of the and , dead exact very slightly".split()
)
"""What may stand between two words that name one place: "the left edge of the upper half", "bottom-left"."""
_FROM_TO = frozenset("- / & and to or nor n the".split())
"""What may stand between two opposite sides that name a span, which is no place: "between top and bottom"."""
_NEAR = 3


@dataclass(frozen=True)
class Mention:
    """Words that name one place: at which of the sentence's words they are, and the side on each axis that they name."""

    at: tuple[int, ...]
    sides: dict[str, str]


def words(sentence: str) -> list[str]:
    """The words, numbers and signs of a sentence, in small letters."""
    return WORD.findall(sentence.lower())


def mentions(sentence: Sequence[str]) -> list[Mention]:
    """The places that a sentence (its `words`) names, in order."""
    found: list[Mention] = []
    for each in _without_spans(sentence, list(_named(sentence))):
        if found and _one_place(sentence, found[-1], each):
            found[-1] = Mention((*found[-1].at, *each.at), {**found[-1].sides, **each.sides})
        else:
            found.append(each)
    return [Mention(each.at, _whole(each.sides)) for each in found]


def _named(sentence: Sequence[str]) -> Iterator[Mention]:
    """Every word of place; the axis of a middle is "" where it may be either."""
    for at, word in enumerate(sentence):
        hour = _CLOCK.get(word) or _HOURS.get(word)
        if hour and list(sentence[at + 1 : at + 2]) == ["o"] and "clock" in sentence[at + 2 : at + 4]:
            yield Mention((at,), dict(zip("xy", hour.split(), strict=True)))
        elif side := _NAMES.get(word):
            yield Mention((at,), {_AXIS.get(side) or _along(sentence, at): side})
        elif compass := _COMPASS.match(word):
            yield Mention((at,), {"y": _LETTERS[compass[1][0]], "x": _LETTERS[compass[2][0]]})


def _along(sentence: Sequence[str], at: int) -> str:
    """The axis along which the middle at that word is one; "" where that is not said."""
    before, after = sentence[max(0, at - 1) : at], sentence[at + 1 : at + 2 + _NEAR]
    if list(after[:1]) == ["between"] and "sides" in after:
        return "x"
    return next((_ALONG[word] for word in (*before, *after) if word in _ALONG), "")


def _without_spans(sentence: Sequence[str], found: list[Mention]) -> list[Mention]:
    """Without the two ends of what goes from one side to the other; a middle between them is one of that axis."""
    left, at = [], 0
    while at < len(found):
        axis = _span(sentence, *found[at : at + 2])
        if not axis:
            left.append(found[at])
        elif left and "" in left[-1].sides and found[at].at[0] - left[-1].at[-1] <= _NEAR:
            left[-1] = Mention(left[-1].at, {axis: "middle"})
        at += 2 if axis else 1
    return left


def _span(sentence: Sequence[str], one: Mention, other: Mention | None = None) -> str:
    """The axis whose two ends are named next to each other; "" where they are not."""
    if other is None or len(one.sides) > 1 or one.sides.keys() != other.sides.keys():
        return ""
    ((axis, side),) = one.sides.items()
    between = sentence[one.at[-1] + 1 : other.at[0]]
    apart = axis and "middle" not in (side, other.sides[axis]) and side != other.sides[axis]
    return axis if apart and between and _FROM_TO.issuperset(between) else ""


def _one_place(sentence: Sequence[str], one: Mention, other: Mention) -> bool:
    between = sentence[one.at[-1] + 1 : other.at[0]]
    return len(between) <= _NEAR and _BETWEEN.issuperset(between) and not set(one.sides) & set(other.sides)


def _whole(sides: dict[str, str]) -> dict[str, str]:
    """A middle is that of the axis that nothing else names, or of both."""
    if "" not in sides:
        return sides
    named = {axis: side for axis, side in sides.items() if axis}
    return named if len(named) == 2 else {**dict.fromkeys(SIDES, "middle"), **named}
