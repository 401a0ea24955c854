"""Whether a reasoning says something twice: word for word by rules, in other words by a small linear model.

    twice(["A road bridge spans the canal.", "It has two lanes.", "The canal is spanned by a road bridge."], "Is there a bridge?")

Held against what was said before, a sentence shows how much of it is new, and what (`Before.signs`). The weights (repeats.json) come from
`python -m training.repeats`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from tinyrs import weighing
from tinyrs.numerals import NUMERALS
from tinyrs.parse import sentences, split_steps
from tinyrs.weighing import Weights, load

WEIGHTS = Path(__file__).with_name("repeats.json")
SURE = -0.8
"""Log odds from which on a sentence is taken to say again what was said."""
FEWEST = 3
"""Words that say something, of a sentence that may be a repetition."""
EXCHANGED = 6
"""Words of either of two sentences that the other lacks: with more, none stands in place of another."""
MOST_STEPS = 400

_WORDS = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_TOKENS = re.compile(r"[^\W\d_]+|\d+")


def twice(steps: Sequence[str], reasoning: str, question: str = "") -> str:
    """The sentence or the words that say again what was said, quoted as they stand; "" where nothing does."""
    return _word_for_word(steps, reasoning) or _in_other_words(steps, question)


# --- in other words ---------------------------------------------------------------------------------------

_IDLE = frozenset(
    """a an the of in on at to by with from for as and or but nor so then thus therefore hence because since while whereas although though that which who whose
    this these those it its they them their there here i we you he she me my our your is are was were be been being am has have had having do does did can
    could may might must shall should will would not no yes also too just only very quite rather really indeed again now still yet one ones both each
    all any some such other another same than if when where what how into onto over under up down out off about along around s t re ll ve d m
    see sees seen look looks looking find finds found notice note spot observe appear appears visible seem seems make making made
    image picture photo scene view frame""".split()
)
_CONCLUDES = re.compile(r"^(?:so|thus|therefore|hence|then|that|this|which|because|since|as|given|in (?:all|total|short|sum)|altogether|overall|my|the answer)\b", re.I)
_VERDICT = frozenset("answer total count counts sum classify class label choose chose pick go settle conclude conclusion decide box boxed option letter match matches fit fits".split())
_SIDES = frozenset("left right top bottom upper lower north south east west northern southern eastern western middle center centre central corner edge first second third".split())
_NUMBERS = {word: str(value) for word, value in NUMERALS.items() if value != 1} | {"pair": "2", "both": "2", "dozen": "12"}
_ENDING = re.compile(r"(?<=[a-z]{3})(?:ings?|ed|es|s|ly|er|en)$")


@lru_cache(maxsize=20_000)
def _stem(word: str) -> str:
    """A word without its ending, so that "spanned" is "spans"; a number in figures."""
    if word in _NUMBERS:
        return _NUMBERS[word]
    short = _ENDING.sub("", word)
    return short[:-1] if len(short) > 3 and (short[-1] == short[-2] or short[-1] == "e") else short


_IDLE_STEMS = frozenset(_stem(word) for word in _IDLE)


def content(sentence: str) -> list[str]:
    """The stems of the words of a sentence that say something, in order."""
    words = (_stem(word) for word in _TOKENS.findall(sentence.lower()))
    return [word for word in words if word not in _IDLE_STEMS]


class Before:
    """A reasoning whose sentences are held against those before them."""

    def __init__(self, said: Sequence[str], question: str = ""):
        self.said = said
        self._content = [content(each) for each in said]
        self._asked = frozenset(content(question))

    def signs(self, at: int) -> set[str]:
        """How much of the sentence at that place is new; {} of one that cannot be a repetition."""
        words = self._content[at]
        mine = frozenset(words)
        if at == 0 or len(mine) < FEWEST:
            return set()
        return set(self._of(at, words, mine))

    def _of(self, at: int, words: Sequence[str], mine: frozenset[str]) -> Iterator[str]:
        earlier = [frozenset(each) for each in self._content[:at]]
        union = frozenset().union(*earlier)
        best = max(earlier, key=lambda each: (len(mine & each), -len(each)))
        pair = frozenset().union(*sorted(earlier, key=lambda each: -len(mine & each))[:2])
        new, size = mine - union, min(len(mine), 9)
        yield "sentence"
        for name, other in (("one", best), ("two", pair), ("all", union)):
            left = len(mine - other)
            share = round(10 * len(mine & other) / len(mine))
            yield f"{name} {share}"
            yield f"{name} left {min(left, 5)}"
            yield f"{name} left {min(left, 5)} of {size}"
            apart = mine - self._asked
            if apart:
                yield f"{name} unasked {round(5 * len(apart & other) / len(apart))} of {min(len(apart), 6)}"
        yield f"size {size}"
        yield f"back {round(5 * len(mine & best) / max(len(best), 1))}"
        yield f"back and forth {round(5 * len(mine & best) / max(len(best), 1))} {round(5 * len(mine & best) / len(mine))}"
        yield f"neighbours {self._neighbours(at, words)}"
        concludes, last = bool(_CONCLUDES.match(self.said[at].strip())), at + 1 == len(self.said)
        yield f"concludes {concludes} {last}"
        yield f"concludes {concludes}, new {min(len(new), 4)}, size {min(size, 7)}"
        yield f"verdict {bool(_VERDICT.intersection(words))}"
        numbers = {word for word in mine if word.isdigit()}
        yield f"numbers {min(len(numbers), 2)}, new {min(len(numbers - union), 2)}, elsewhere {bool(numbers - best)}"
        sides = mine & _SIDES
        yield f"sides {min(len(sides), 2)}, new {min(len(sides - best), 2)}"
        yield from self._exchanged(mine, earlier)
        yield f"next {min(at - max(i for i, each in enumerate(earlier) if each == best), 3)}"

    @staticmethod
    def _exchanged(mine: frozenset[str], earlier: Sequence[frozenset[str]]) -> Iterator[str]:
        """Which words stand in place of others: "right" for "left" tells something new, "vessel" for "ship" does not."""
        near = max(earlier, key=lambda each: (len(mine & each) / max(len(each), 1), len(each)))
        fresh, gone = mine - near, near - mine
        if len(fresh) <= EXCHANGED and len(gone) <= EXCHANGED:
            yield from (f"for {' '.join(sorted((one, other)))}" for one in fresh for other in gone)

    def _neighbours(self, at: int, words: Sequence[str]) -> int:
        """How many pairs of neighbours of a sentence stand together in one before it, in either order: up to 4."""
        known = {frozenset(pair) for each in self._content[:at] for pair in zip(each, each[1:])}
        return min(4, sum(frozenset(pair) in known for pair in zip(words, words[1:])))


def weigh(signs: Collection[str], weights: Weights | None = None) -> float:
    """How likely a sentence with these signs says again what was said, in log odds, by (pieces, unit) other than the stored ones
    where given."""
    return weighing.weigh(signs, weights or load(WEIGHTS)) if signs else -100.0


def _in_other_words(steps: Sequence[str], question: str) -> str:
    said = sentences(steps)
    before = Before(said, question)
    sure, at = max(((weigh(before.signs(at)), at) for at in range(len(said))), default=(-100.0, 0))
    return said[at] if sure > SURE else ""


# --- word for word ----------------------------------------------------------------------------------------


def _word_for_word(steps: Sequence[str], reasoning: str) -> str:
    """What is said twice; a line break in the middle of a sentence makes no other sentence of it."""
    text = " ".join(" ".join(steps).split())
    # A text on one line is read in the same steps once more.
    one_line = len(reasoning.strip().splitlines()) == 1 and text == " ".join(reasoning.split())
    again = steps if one_line else split_steps(text)[:MOST_STEPS]
    said = _same_sentence(steps) or (_same_sentence(again) if len(again) != len(steps) else "")
    return said or _same_run(text)


def _same_run(text: str) -> str:
    """Ten words that stand twice, or eight that stand three times."""
    words = re.findall(r"\w+", text.lower())  # with numbers: a list of places is no loop
    shortest = list(zip(*(words[i:] for i in range(8))))
    if len(set(shortest)) == len(shortest):
        return ""
    runs = Counter(run for run in zip(*(words[i:] for i in range(10))) if not any(word.isdigit() for word in run))
    if runs and (most := runs.most_common(1)[0])[1] > 1:
        return " ".join(most[0])
    most = Counter(shortest).most_common(1)
    return " ".join(most[0][0]) if most and most[0][1] >= 3 else ""


def _same_sentence(steps: Sequence[str]) -> str:
    bags: list[tuple[frozenset[str], frozenset[str], str]] = []
    for step in sentences(steps):
        whole = re.sub(r"['\u2019]s\b", " is", step)
        words = _WORDS.findall(whole.lower())
        bag = frozenset(words)
        if len(bag) < 5:
            continue
        telling = frozenset(content(" ".join(words)))
        for other, said, text in bags:
            if _same_words(telling, said) and re.findall(r"\d+", step) == re.findall(r"\d+", text):
                return step
            if 0.9 * max(len(bag), len(other)) > min(len(bag), len(other)):
                continue
            # "one at 10" and "one at 20" use the same words and say different things.
            if len(bag & other) >= 0.9 * len(bag | other) and re.findall(r"\d+", step) == re.findall(r"\d+", text):
                return step
        bags.append((bag, telling, step))
        if len(words) < len(bag) + 4:
            continue
        clauses = [frozenset(content(clause)) for clause in _CLAUSE.split(step)]
        if len(clauses) > 1 and any(len(one) >= 4 and clauses.count(one) > 1 for one in clauses) and not re.search(r"\d", step):
            return step
    return ""


_CLAUSE = re.compile(r"[,;:]\s+|\s(?=and )")


def _same_words(one: frozenset[str], other: frozenset[str]) -> bool:
    """The same words that say something, or all of a longer sentence's but one or two."""
    small, large = sorted((one, other), key=len)
    return len(small) >= 4 and small == large or len(small) >= 6 and len(large) <= len(small) + 2 and small < large
