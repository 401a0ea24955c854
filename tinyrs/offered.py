"""Which of the answers that a question offers a reasoning comes to: classes, or the choices behind letters.

    Offer(("river", "road", "railway"), steps).signs(0)
    Offer(("a river", "a road"), steps, letters=("A", "B")).signs(1)

The signs are read by a linear model (tinyrs.alternatives): how each is named, what stands around it, and whether others are
named instead. What no sentence names leaves only what the others leave of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from tinyrs import conclusions
from tinyrs.amounts import WORD
from tinyrs.sentences import chains, stem

_NAME = re.compile(r"[a-z]+|\d+")
_JOINED = re.compile(r"(?<=[a-z])(?=[A-Z])")
_LITTLE = frozenset("a an the of in on at to and or is are it with one".split())
# "A" is an article as well, and "I" a pronoun.
_LETTER = re.compile(
    r"\b(?:[B-HJ-Z]|A(?=[.,;:)!?\"']|$| (?:is|fits|matches|and|or|can|must|remains|over|because|as|since|out)\b))(?![\w'])"
)
_CLAUSE_ENDS = frozenset((",", ";", ":", "(", ")"))
_CLAUSE_WORDS = frozenset((*map(stem, ("but", "yet", "so", "because", "since", "while", "although", "though")), "\u2014"))
_AROUND = range(3, 6)


class Offer:
    """The reasoning to a question that offers answers, ready to be held against each of them.

    names    the classes or choices; letters   how they are called, where the question has letters
    """

    def __init__(self, names: Sequence[str], steps: Sequence[str], letters: Sequence[str] = ()):
        self._names, self._letters = tuple(names), tuple(letters)
        own = _own_words(self._names)
        named_by: dict[str, set[int]] = {}
        for at, words in enumerate(own):
            for word in words:
                named_by.setdefault(word, set()).add(at)
        self._steps = [
            [self._word(match, step, named_by) for match in WORD.finditer(step)] for step in steps
        ]
        self._affirmed, self._verdict = conclusions.classes(steps, self._names)
        self._letter = conclusions.letter(steps) if letters else None
        self._order = [who for words in self._steps for _, who in words if who]

    def _word(self, match: re.Match, step: str, named_by: dict[str, set[int]]) -> tuple[str, set[int]]:
        """A word without its ending, and which of the answers it names."""
        if match[0] in self._letters and _LETTER.match(step, match.start()):
            return match[0], {self._letters.index(match[0])}
        word = stem(match[0].lower())
        return word, named_by.get(word) or named_by.get(match[0].lower()) or set()

    def signs(self, at: int) -> set[str]:
        """What speaks for and against the answer of that number."""
        named = sum(at in who for who in self._order)
        found = {f"named {min(named, 3)}"}
        if named:
            found |= {sign for number in range(len(self._steps)) for sign in self._around(number, at)}
        else:
            found.add("others are named" if self._order else "none is named")
        if self._order:
            found |= {name for name, who in (("named last", self._order[-1]), ("named first", self._order[0])) if at in who}
            found |= {"named alone"} if all(at in who for who in self._order) else set()
        if self._verdict:
            found.add(f"verdict {self._verdict == self._names[at]}")
        elif self._affirmed:
            found.add(f"affirmed {self._names[at] in self._affirmed} of {min(len(self._affirmed), 2)}")
        else:
            found.add("nothing affirmed")
        if self._letter:
            found.add(f"letter {self._letters[at] == self._letter}")
        return found

    def _around(self, number: int, at: int) -> set[str]:
        """What stands around the answer's name in a sentence."""
        marked: list[str] = []
        for word, who in self._steps[number]:
            mark = "@" if at in who else "#" if who else word
            if mark not in ("@", "#") or marked[-1:] != [mark]:
                marked.append(mark)
        if "@" not in marked:
            return set()
        last = number + 1 == len(self._steps)
        near = {chain for chain in chains(marked, 3) if "@" in chain.split()}
        for place in (place for place, word in enumerate(marked) if word == "@"):
            near |= {f"before: {marked[place - far]}" for far in _AROUND if place >= far}
            near |= {f"behind: {marked[place + far]}" for far in _AROUND if place + far < len(marked)}
        found = near | ({f"end {sign}" for sign in near} if last else set())
        for clause in _clauses(marked):
            if "@" in clause:
                found |= {f"clause: {word}" for word in clause}
        return found | {f"sentence: {word}" for word in marked} | ({"in the last sentence"} if last else set())


def _own_words(names: Sequence[str]) -> list[set[str]]:
    """By which words (without endings) each name is told from the others; a name of several is known in one word, too."""
    split = [_NAME.findall(_JOINED.sub(" ", name).lower()) for name in names]
    stems = [[stem(word) for word in words] for words in split]
    counts = Counter(word for words in stems for word in set(words))
    found = []
    for words, whole in zip(stems, split, strict=True):
        alone = len(set(words)) == 1
        own = {word for word in words if counts[word] == 1 or alone and counts[word] < len(names)}
        own -= frozenset() if alone else _LITTLE
        found.append(own | ({"".join(whole)} if len(whole) > 1 else set()))
    return found


def _clauses(words: Sequence[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for word in words:
        if word in _CLAUSE_ENDS:
            found.append([])
        elif word in _CLAUSE_WORDS:
            found.append([word])
        else:
            found[-1].append(word)
    return found
