"""Whether a sentence of a reasoning gives away that its answer was told, read by a small linear model over its words and
pairs of words.

    leaks("Since the reference says harbor, I look for ships.")     # > 0: it speaks of an answer that was told

Ways to say it are endless, and lists of patterns did not carry over to captions that were not seen before (dev/LOG.md).
The weights (sentences.json) come from `python -m training.sentences` and the sentences that were written for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

WEIGHTS = Path(__file__).with_name("sentences.json")
_CLAUSES = re.compile(r"[,;:()]\s+| - | -- |\s?\u2014\s?")
WORD = re.compile(r"[^\W\d_]+|\d+|[^\w\s]")
_ENDINGS = ("ing", "ed", "es", "s", "ly")
_QUOTES = frozenset("\"\u201c\u201d'\u2019\u2018`*")


def parts(sentence: str) -> list[str]:
    """A sentence and its clauses of four words and more: what one of them gives away is not made up for by the rest."""
    clauses = _CLAUSES.split(sentence)
    return [sentence, *(clause for clause in clauses if len(clause.split()) >= 4)] if len(clauses) > 1 else [sentence]


def pieces(sentence: str) -> set[str]:
    """The words of a sentence and its pairs of neighbours, without endings; every number is "#"."""
    return chains([stem(word) for word in WORD.findall(sentence.lower()) if word not in _QUOTES], 2)


def chains(words: Sequence[str], longest: int) -> set[str]:
    """One, two and up to `longest` neighbours of a sentence's words, whose ends are "^" and "$"."""
    words = ["^", *words, "$"]
    return {" ".join(words[at : at + length]) for length in range(1, longest + 1) for at in range(len(words) + 1 - length)}


def stem(word: str) -> str:
    """A word without its ending; "#" for a number."""
    if word.isdigit():
        return "#"
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


@lru_cache(maxsize=1)
def _weights() -> tuple[dict[str, list[int]], float, float]:
    stored = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return stored["pieces"], stored["unit"], stored["bias"] - stored["leak_from"]


def leaks(sentence: str) -> float:
    """How surely a sentence gives away that its writer had been told the answer: above 0 it counts as one that does."""
    table, unit, start = _weights()
    return start + unit * max(sum(table[piece][0] for piece in pieces(part) if piece in table) for part in parts(sentence))
