"""What the numbers of a reasoning say of one number: is it the one that they come to?

    Count("How many ships are there?", ["Three lie at the quay.", "Four more are anchored."]).signs(7)

The signs are read by a linear model (tinyrs.alternatives): every number as equal to the one in question, less or more, with
the words around it, and what the numbers add up or multiply to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from tinyrs.numerals import ONES, TENS
from tinyrs.sentences import chains, stem
from tinyrs.tally import Range, counted, things_in

WORD = re.compile(r"\d+(?:,\d{3})+|\d+(?:\.\d+)?|[^\W\d_]+|[^\w\s]")
"""What a sentence is taken apart into here: numbers whole, words, and each mark by itself."""

_GROUPS = {"pair": 2, "pairs": 2, "couple": 2, "twin": 2, "twins": 2, "trio": 3, "triplet": 3, "quartet": 4, "quintet": 5, "dozen": 12}
_SAID = {
    "both": 2, "single": 1, "lone": 1, "sole": 1, "solitary": 1, "only": 1, "none": 0, "no": 0, "nothing": 0, "another": 1,
    "once": 1, "twice": 2, "double": 2, "triple": 3, "hundred": 100,
}  # fmt: skip
_ORDINALS = {
    word: value
    for value, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth".split(), 1
    )
}
_MOST, _LONGEST_RUN = 2000, 8
_LAST_STEPS, _LAST_NUMBERS = 30, 24
"""What is read of a long reasoning is its end: every number is held against every sentence."""
_NOT_A_THING = frozenset(
    stem(word)
    for word in (
        "is are there a an the in of any image picture scene photo present visible seen see can you do does this that at on to or and it "
        "show shown contain have has be found how many count number what"
    ).split()
)


@dataclass(frozen=True)
class Number:
    """A number among the words of a sentence: where, over how many words, its value, and how it is told: "plain", as a
    "group" (a pair), "said" by another word (none, only), or as an "ordinal"."""

    at: int
    words: int
    value: float
    sort: str


def numbers(words: Sequence[str]) -> Iterator[Number]:
    """The numbers in the words (small letters) of a sentence, "twenty-one" and "half a dozen" as one each."""
    at = 0
    while at < len(words):
        found = _number(words, at)
        if found:
            yield found
        at += found.words if found else 1


def _number(words: Sequence[str], at: int) -> Number | None:
    word, after = words[at], list(words[at + 1 : at + 3])
    if word[0].isdecimal():
        ordinal = after[:1] in (["st"], ["nd"], ["rd"], ["th"])
        return Number(at, 1 + ordinal, float(word.replace(",", "")), "ordinal" if ordinal else "plain")
    if word in TENS:
        ones = 1 + (after[:1] == ["-"])  # "twenty-one", "twenty one"
        more = ONES.get(words[at + ones], 0) if at + ones < len(words) else 0
        return Number(at, 1 + ones, TENS[word] + more, "plain") if 0 < more < 10 else Number(at, 1, TENS[word], "plain")
    if word in ONES:
        times = {"dozen": 12, "dozens": 12, "hundred": 100}.get(after[0], 0) if after else 0
        return Number(at, 2 if times else 1, ONES[word] * (times or 1), "plain")
    if word == "half" and "dozen" in after:
        return Number(at, 2 + after.index("dozen"), 6, "plain")
    for known, sort in ((_GROUPS, "group"), (_SAID, "said"), (_ORDINALS, "ordinal")):
        if word in known:
            return Number(at, 1, known[word], sort)
    return None


def relation(value: float, number: float) -> str:
    """How `value` stands to `number`, as a mark."""
    if value == number:
        return "="
    if abs(value - number) == 1:
        return "+1" if value > number else "-1"
    if number >= 12 and abs(value - number) <= number / 5:
        return "~"
    return "<" if value < number else ">"


_MARK = re.compile(r"(?:^|:)(?:=|-1|\+1|~|<|>)$")


class Count:
    """The reasoning to a question of how many, ready to be held against one number after the other."""

    def __init__(self, question: str, steps: Sequence[str]):
        things = things_in(question)
        self._things = {stem(word) for word in WORD.findall((things or question).lower()) if word.isalpha()} - _NOT_A_THING
        self._steps = [WORD.findall(step.lower()) for step in steps[-_LAST_STEPS:]]
        self._numbers = [list(numbers(words)) for words in self._steps]
        self._rule: tuple[Range, ...] = counted(steps, things)
        cardinal = [
            (each, self._near(words, each))
            for words, found in zip(self._steps, self._numbers, strict=True)
            for each in found
            if each.sort != "ordinal"
        ]
        self._series = {
            "all": [each.value for each, _ in cardinal],
            "near": [each.value for each, near in cardinal if near],
            "plain": [each.value for each, _ in cardinal if each.sort != "said"],
        }

    def _near(self, words: Sequence[str], number: Number) -> bool:
        """Whether what is counted stands close behind a number."""
        end = number.at + number.words
        return any(stem(word) in self._things for word in words[end : end + 4])

    def rule_fits(self, number: float) -> bool | None:
        """Whether the one count that a rule reads (tinyrs.tally) leaves `number` open; None where it reads none, or several."""
        return any(low <= number <= high for low, high in self._rule) if len(self._rule) == 1 else None

    @cached_property
    def alternatives(self) -> set[int]:
        """Every number that the reasoning may come to: those in it, and what neighbours add up, multiply or differ to."""
        values = [value for value in self._series["all"] if value <= _MOST][-_LAST_NUMBERS:]
        found = {*values, *(each.value for each_step in self._numbers for each in each_step if each.sort == "ordinal")}
        for at in range(len(values)):
            found |= {*accumulate(values[at : at + _LONGEST_RUN])}
            found |= _products(values[at : at + 4])
        found |= {low for low, high in self._rule if low == high}
        return {int(value) for value in found if value == int(value) and 0 <= value <= _MOST**2}

    def signs(self, number: float) -> set[str]:
        """What speaks for and against that the reasoning comes to `number`."""
        found = {f"size {next((low for low in (21, 13, 4, 3, 2, 1) if number >= low), 0)}"}
        told = max((at for at, each in enumerate(self._numbers) if each), default=-1)
        for at, (words, each) in enumerate(zip(self._steps, self._numbers, strict=True)):
            marked = self._marked(words, each, number)
            found |= {chain for chain in chains(marked, 3) if any(_MARK.search(word) for word in chain.split())}
            marks = {word for word in marked if _MARK.search(word)}
            found |= {f"last told {mark}" for mark in marks if at == told} | {f"end {mark}" for mark in marks if at + 1 == len(self._steps)}
            found |= {f"near {relation(one.value, number)}" for one in each if one.sort != "ordinal" and self._near(words, one)}
        for name, values in self._series.items():
            found |= {f"{name} {sign}" for sign in _sums(values, number)}
        enumerated = sum(word in _ENUMERATES for words in self._steps for word in words)
        fits = any(low <= number <= high for low, high in self._rule)
        rule = ("fits" if fits else "does not fit") if self._rule else "says nothing"
        return found | {f"enumerated {relation(enumerated, number)}", f"rule {rule}", f"rule {min(len(self._rule), 2)} {rule}"}

    def _marked(self, words: Sequence[str], found: Sequence[Number], number: float) -> list[str]:
        """The words without endings: each number as its relation to `number`, what is counted as "@"."""
        by_place, marked, at = {each.at: each for each in found}, [], 0
        while at < len(words):
            each = by_place.get(at)
            if each:
                how = {"plain": "", "group": "group:", "said": f"{words[at]}:", "ordinal": "ordinal:"}[each.sort]
                marked.append(how + relation(each.value, number))
            else:
                word = stem(words[at])
                marked.append("@" if word in self._things else word)
            at += each.words if each else 1
        return marked


_ENUMERATES = frozenset(("one", "another", "other", "second", "third", "fourth", "fifth", "sixth"))


def _products(values: Sequence[float]) -> set[float]:
    """What the first of some numbers make with those after them where rows, groups or exceptions are told."""
    found: set[float] = set()
    if len(values) > 1:
        found |= {values[0] * values[1], abs(values[0] - values[1])}
    if len(values) > 2:
        found |= {values[0] * values[1] + values[2], values[0] + values[1] * values[2]}
    if len(values) > 3:
        found.add(values[0] * values[1] + values[2] * values[3])
    return found


def _sums(values: Sequence[float], number: float) -> Iterator[str]:
    """How a series of numbers makes `number`, or another one."""
    values = values[:60]
    if not values:
        yield f"empty {min(number, 3):g}"
        return
    yield f"sum {relation(sum(values), number)}"
    yield f"last {relation(values[-1], number)}"
    yield f"first {relation(values[0], number)}"
    yield f"most {relation(max(values), number)}"
    if len(values) > 2:
        yield f"sum but the last {relation(sum(values[:-1]), number)}"
        yield f"sum but the first {relation(sum(values[1:]), number)}"
    for at in range(len(values)):
        runs = list(accumulate(values[at : at + _LONGEST_RUN]))
        for length, total in enumerate(runs[1:], 2):
            if total == number:
                yield f"run of {min(length, 4)}"
            if total > 1 and values[at + length : at + length + 1] == [total]:
                yield f"adds up to {relation(total, number)}"
    for at, (one, two) in enumerate(pairwise(values)):
        after = values[at + 2 : at + 4]
        if min(one, two) > 1:
            if one * two == number:
                yield "product"
            if after[:1] == [one * two]:
                yield f"adds up to {relation(one * two, number)}"
        if two > 0 and one - two == number:
            yield "difference"
        if after and one * two > 0 and number in (one * two + after[0], one + two * after[0]):
            yield "product and more"
        if len(after) > 1 and number == one * two + after[0] * after[1]:
            yield "two products"
