"""What a reasoning comes to where it does not say so: yes or no, urban or rural, read by a small linear model over its words.

    yes("Is there a ship in the image?", ["The quays are empty.", "Only cranes stand there."])     # False, or None where not sure
    urban(["Ploughed fields reach up to a lone barn."])                                             # False, too

Rules (tinyrs.yes_no, tinyrs.conclusions) read what is said outright. Of captions whose outcome follows from what they
describe, rules found a quarter and got one in six wrong (dev/LOG.md). The weights (outcomes.json) come from `python -m
training.outcomes`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from tinyrs.sentences import pieces, stem

WEIGHTS = Path(__file__).with_name("outcomes.json")
KINDS = ("presence", "area")
SURE = {"presence": 2.0, "area": 1.0}
"""Log odds from which on an outcome is taken to be read: so that about one sound caption in twenty-five, or none, is doubted."""
RULE = 2.0
"""What a rule's reading of a presence weighs beside the words of the whole reasoning."""
_WORD = re.compile(r"[^\W\d_]+|\S")
_COMMON = frozenset(
    stem(word)
    for word in (
        "is are there a an the in of any image picture scene photo present visible seen see can you do does this that at on to or "
        "and it show shown contain have has be found area next near beside some located least one whether"
    ).split()
)


def signs(question: str, steps: Sequence[str]) -> set[str]:
    """The pieces of all sentences, and once more those of the last one, with "@" for every word of what is asked for."""
    asked = {stem(word) for word in _WORD.findall(question.lower()) if word.isalpha()} - _COMMON
    found: set[str] = set()
    for at, step in enumerate(steps):
        marked = " ".join("@" if stem(word) in asked else word for word in _WORD.findall(step.lower()))
        each = pieces(marked)
        found |= each
        if at + 1 == len(steps):
            found |= {f"$:{piece}" for piece in each}
    return found


@lru_cache(maxsize=1)
def _weights() -> dict:
    return json.loads(WEIGHTS.read_text(encoding="utf-8"))


def _log_odds(kind: str, found: set[str]) -> float:
    stored, at = _weights(), KINDS.index(kind)
    table = stored["pieces"]
    return stored["unit"] * sum(table[piece][at] for piece in found if piece in table) + stored["bias"][at]


def yes(question: str, steps: Sequence[str], said: bool | None = None) -> bool | None:
    """Whether the reasoning to a question whether something is there comes to yes; None where that is not sure. `said` is
    what a rule reads in it."""
    return read("presence", _log_odds("presence", signs(question, steps)), said)


def urban(steps: Sequence[str]) -> bool | None:
    """Whether a reasoning comes to urban, and not to rural; None where that is not sure."""
    return read("area", _log_odds("area", signs("", steps)))


def read(kind: str, odds: float, said: bool | None = None) -> bool | None:
    """What log odds and a rule's reading come to together."""
    odds += 0 if said is None else RULE if said else -RULE
    return None if abs(odds) < SURE[kind] else odds > 0
