"""Which of two things a reasoning says is more: questions that compare, and what speaks for either outcome.

    asked = compared("Are there more ships than cranes?")
    Order(asked, ["The quay is lined with cranes.", "A single vessel lies there."]).signs("<")     # fewer ships

The signs are read by a linear model (tinyrs.alternatives). Those of "<" are those of ">" with the two things changed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinyrs.amounts import WORD, Number, numbers
from tinyrs.sentences import chains, stem

OUTCOMES = (">", "<", "=")

_COMPARES = re.compile(
    r"\b(?:(?P<least>at least|no fewer|no less|not fewer|not less)|(?P<most>at most|no more|not more)"
    r"|(?P<fewer>fewer|less|smaller|lower|shorter|narrower|nearer|closer)"
    r"|(?P<more>more|greater|larger|higher|bigger|longer|wider|taller|denser|farther|outnumbers?|exceeds?)"
    r"|(?P<equal>equal|same|as (?:many|much|large|big|long|wide)|match(?:es)?|identical))\b",
    re.I,
)
_YES = {"more": ">", "fewer": "<", "equal": "=", "least": ">=", "most": "<="}
_ASKS = re.compile(r"\s*(?:is|are|was|were|do|does|did|has|have|can|could|would)\b", re.I)
_TWO = {
    "equal": (
        re.compile(r"\bas (?:many|much|large|big|long|wide) (.+?) as (.+)", re.I),
        re.compile(r"^(.*?)\b(?:equal to|(?:the )?same as|equals?|match(?:es)?|identical to)\b(?! (?:number|amount|count)s? of)(.+)", re.I),
        re.compile(r"\b(?:same|equal|identical) (?:number|amount|count)s? of (.+?) (?:and|as) (.+)", re.I),
        re.compile(r"\b(?:numbers?|amounts?|counts?) of (.+?) and (?:the number of )?(.+?) (?:the same|equal|identical)\b", re.I),
    ),
    "": (
        re.compile(r"^(.*?)\b(?:than|outnumbers?|exceeds?)\b(.+)", re.I),
        re.compile(r"^(.*?)\b(?:at most|at least)\b (?:as many )?(.+?(?: as .+)?)$", re.I),
    ),
}
_LEFT_OUT = frozenset(
    stem(word)
    for word in (
        "is are do does the a an number numbers of count there more fewer less greater larger higher bigger smaller lower than as many much in on "
        "at least most image picture scene photo this that visible can be seen you see equal to same and or any it its those ones one what has have "
        "hold contain cover show with how here between compared total amount"
    ).split()
)


@dataclass(frozen=True)
class Compared:
    """A question whether there is more of one thing than of another: the words that only either has, and which of OUTCOMES
    are a yes."""

    one: frozenset[str]
    other: frozenset[str]
    yes: frozenset[str]

    def outcomes(self, yes: bool) -> frozenset[str]:
        """The outcomes that an answer leaves."""
        return self.yes if yes else frozenset(OUTCOMES) - self.yes


def compared(question: str) -> Compared | None:
    """What a question compares; None where it does not, or its two things cannot be told apart."""
    line = question.split("\n")[0][:400]
    found = _COMPARES.search(line)
    if not found or not _ASKS.match(line):
        return None
    way = found.lastgroup
    two = next(filter(None, (pattern.search(line) for pattern in _TWO["equal" if way == "equal" else ""])), None)
    if not two:
        return None
    one, other = ({stem(word) for word in WORD.findall(part.lower()) if word.isalpha()} - _LEFT_OUT for part in two.groups())
    if not one - other or not other - one:
        return None
    return Compared(frozenset(one - other), frozenset(other - one), frozenset(_YES[way]))


_KEPT = frozenset(
    stem(word)
    for word in (
        "more many most fewer few fewest less least greater larger higher bigger smaller lower exceed exceeds exceeded outnumber outnumbers "
        "outnumbered outweigh dominate dominates prevail prevails win wins lose loses majority minority minor equal equals same match matches "
        "identical differ differs different unequal than as only single no none not never zero without lack absent everywhere numerous several "
        "scarce rare rarer plenty plural dozens hundreds handful each every one both tie balance par against versus beat beats surpass trail "
        "behind ahead opposite reverse other way wide common abundant sparse isn aren don doesn cannot nowhere countless"
    ).split()
)
"""What is left of a sentence when only its comparison is looked at."""
_MORE = frozenset(
    map(stem, "more most greater larger bigger higher longer wider taller denser exceed exceeds outnumber outnumbers outweigh surpass win wins majority prevail prevails dominate".split())
)
_FEWER = frozenset(map(stem, "fewer fewest less least smaller lower shorter narrower scarcer rarer minority lose loses trail".split()))
_BY_FEWER = frozenset(map(stem, "outnumbered outweighed exceeded surpassed dominated".split()))
_DENIES = frozenset(map(stem, "not never no nor isn aren don doesn wasn weren cannot hardly neither t far".split()))
_PARTS = frozenset((",", ";", ":", "(", ")", *map(stem, ("than", "and", "while", "whereas", "but", "yet", "against", "compared", "versus", "vs", "\u2014"))))


class Order:
    """The reasoning to such a question, ready to be held against each of OUTCOMES. `rule` is what a rule reads in it: yes, no
    or None."""

    def __init__(self, asked: Compared, steps: Sequence[str], rule: bool | None = None):
        self._asked, self._rule = asked, rule
        self._steps = [WORD.findall(step.lower()) for step in steps]
        self._numbers = [list(numbers(words)) for words in self._steps]
        self._counts = (self._count(asked.one, asked.other), self._count(asked.other, asked.one))

    def _count(self, things: frozenset[str], others: frozenset[str]) -> float | None:
        """The last number that is told of one of the two."""
        found, alone = None, None
        for words, each in zip(self._steps, self._numbers, strict=True):
            stems = [stem(word) for word in words]
            cardinal = [number for number in each if number.sort != "ordinal"]
            for number in cardinal:
                end = number.at + number.words
                behind = next((word for word in stems[end : end + 5] if word in things or word in others), "")
                if behind in things:
                    found = number.value
            if len(cardinal) == 1 and things.intersection(stems) and not others.intersection(stems):
                alone = cardinal[0].value
        return alone if found is None else found

    def signs(self, outcome: str) -> set[str]:
        """What speaks for and against one of OUTCOMES."""
        turned = outcome == "<"
        one, other = (self._counts[1], self._counts[0]) if turned else self._counts
        if outcome == "=":
            found = {f"= {sign}" for at, _ in enumerate(self._steps) for sign in self._equal(at)}
        else:
            found = {sign for at, _ in enumerate(self._steps) for sign in self._more(at, turned)}
        if one is None or other is None:
            counts = "no counts" if one is None and other is None else f"only one count {min(other if one is None else one, 2):g} {one is None}"
        else:
            counts = "count >" if one > other else "count <" if one < other else "count ="
        rule = "nothing" if self._rule is None else "for" if (outcome in self._asked.yes) == self._rule else "against"
        lead = "= " if outcome == "=" else ""
        return found | {f"{lead}{counts}", f"{lead}rule {rule}"}

    def _marked(self, at: int, marks: tuple[str, str]) -> list[str]:
        """The words of a sentence without endings; both things, and their numbers, as `marks`."""
        words, marked, place = self._steps[at], [], 0
        by_place: dict[int, Number] = {each.at: each for each in self._numbers[at]}
        while place < len(words):
            each = by_place.get(place)
            if each:
                of = [mark for mark, count in zip(marks, self._counts, strict=True) if count == each.value]
                plain = words[place] if each.sort in ("said", "ordinal") else "1" if each.value == 1 else "#"
                marked.append(of[0] if len(of) == 1 and each.sort in ("plain", "group") else plain)
            else:
                word = stem(words[place])
                marked.append(marks[0] if word in self._asked.one else marks[1] if word in self._asked.other else word)
            place += each.words if each else 1
        return marked

    def _more(self, at: int, turned: bool) -> Iterator[str]:
        """Signs that the first thing is more, or, `turned`, the second."""
        marked = self._marked(at, ("@2", "@1") if turned else ("@1", "@2"))
        for end in ("", "end ")[: 1 + (at + 1 == len(self._steps))]:
            yield from (end + chain for chain in chains(marked, 3) if "@" in chain)
            yield from (f"{end}kept {chain}" for chain in chains([word for word in marked if word in _KEPT or word[0] in "@#"], 3) if "@" in chain)
        end = "last" if at + 1 == len(self._steps) else "before"
        for thing, more, denied in _verdicts(marked):
            yield f"told {(thing == '@1') == more} {denied}"
            yield f"told {(thing == '@1') == more} {denied} {end}"
        for name, parts in (("clause", _clauses(marked)), ("sentence", [marked])):
            for part in parts:
                if ("@1" in part) != ("@2" in part):
                    yield from (f"{name} {'@1' if '@1' in part else '@2'}: {word}" for word in set(part) if "@" not in word)

    def _equal(self, at: int) -> Iterator[str]:
        """Signs that there is as much of both."""
        marked = self._marked(at, ("@", "@"))
        for end in ("", "end ")[: 1 + (at + 1 == len(self._steps))]:
            yield from (end + chain for chain in chains(marked, 2))
            kept = [word for word in marked if word in _KEPT or word[0] in "@#"]
            yield from (f"{end}kept {chain}" for chain in chains(kept, 3))


def _verdicts(marked: Sequence[str]) -> Iterator[tuple[str, bool, bool]]:
    """(the thing, whether it is more, whether that is denied) of every word in a sentence that says which of two is more: it is
    said of the thing after it where "than" or the other thing follows that ("more @1 than @2"), else of the last one before."""
    for at, word in enumerate(marked):
        fewer = word in _FEWER or word in _BY_FEWER and "by" in marked[at + 1 : at + 3]
        if not fewer and word not in _MORE:
            continue
        before = [each for each in marked[:at] if each in ("@1", "@2")]
        after = [each for each in marked[at + 1 :] if each in ("@1", "@2")]
        than = "than" in marked[at + 1 :]
        if than and not before and after:
            thing = after[0] if marked.index("than", at) > marked.index(after[0], at) else _OTHER[after[0]]
        elif before:
            thing = before[-1]
        elif after:
            thing = after[0]
        else:
            continue
        yield thing, not fewer, bool(_DENIES.intersection(marked[max(0, at - 3) : at]))


_OTHER = {"@1": "@2", "@2": "@1"}


def _clauses(words: Sequence[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for word in words:
        if word in _PARTS:
            found.append([])
        found[-1].append(word)
    return found
