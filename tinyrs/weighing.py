"""Small linear models as they are stored: read once, the signs of a text weighed, and how far one outcome is ahead.

training/linear.py makes them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Hashable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path

Weights = tuple[dict[str, list[int]], float]
"""The weight of every sign in whole steps, and how much a step is."""


@lru_cache(maxsize=16)
def load(path: Path) -> Weights:
    """What training.linear.keep wrote."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    return stored["pieces"], stored["unit"]


def weigh(signs: Iterable[str], weights: Weights) -> float:
    """How much these signs speak for something, in log odds; one that is not known says nothing."""
    table, unit = weights
    return unit * sum(table[sign][0] for sign in signs if sign in table)


def lead(weighed: Mapping[Hashable, float], good: Collection[Hashable]) -> float:
    """By how much the likeliest of the other outcomes is ahead of the likeliest of `good`, in log odds."""
    others = [value for outcome, value in weighed.items() if outcome not in good]
    return max(others, default=-math.inf) - max(weighed[outcome] for outcome in good)
