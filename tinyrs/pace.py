"""How long will an answer take here? Learned from the answers that this machine has given.

    pace = Pace()
    pace.learn("pocket", seen(1000, 800, spec).tokens, reply)     # any reply that has ended
    pace.estimate("pocket", 90)                                    # seconds to its end, or None

Reading a picture takes a fixed time and a time for each visual token, writing takes a time for each word token. The
middle of what was seen is taken, so that one slow answer, while something else was busy, does not count for much.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from itertools import combinations
from math import ceil
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinyrs.engine import Reply

REMEMBERED = 24
"""Answers of each model that are looked at; older ones were given by a machine with other work to do."""

FEW = 4
"""Tokens of an answer from which its pace is read; a shorter one is mostly overhead."""


class Pace:
    """What was learned of each model. Safe to use from several threads; kept in memory only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reading: dict[str, deque] = defaultdict(_window)  # (visual tokens, seconds to the first token)
        self._writing: dict[str, deque] = defaultdict(_window)  # seconds a token
        self._lengths: dict[str, deque] = defaultdict(_window)  # tokens of an answer

    def learn(self, model: str, visual_tokens: int, reply: Reply) -> None:
        """Learn from an answer of `model` about a picture of that many visual tokens.

        One that was cancelled says nothing; one about a picture that was known already says only how fast it writes.
        """
        if not reply.finished or reply.first_token is None:
            return
        with self._lock:
            self._lengths[model].append(reply.tokens)
            if not reply.kept and visual_tokens > 0:
                self._reading[model].append((visual_tokens, reply.first_token))
            if reply.tokens >= FEW:
                self._writing[model].append((reply.seconds - reply.first_token) / reply.tokens)

    def learn_reading(self, model: str, visual_tokens: int, seconds: float) -> None:
        """Learn from a picture of that many visual tokens that `model` read before anything was asked of it."""
        if visual_tokens > 0:
            with self._lock:
                self._reading[model].append((visual_tokens, seconds))

    def first_token(self, model: str, visual_tokens: int) -> float | None:
        """Seconds to the first token about a picture that the model has not read yet; None before any was learned."""
        with self._lock:
            seen = list(self._reading[model])
        if not seen:
            return None
        fixed, each = line(seen)
        return fixed + each * visual_tokens

    def estimate(self, model: str, visual_tokens: int, answer_tokens: int | None = None) -> float | None:
        """Seconds to the end of an answer of `answer_tokens`; None, for that length, is what is usual for the model.

        None where nothing was learned yet.
        """
        first = self.first_token(model, visual_tokens)
        if first is None:
            return None
        with self._lock:
            each = list(self._writing[model])
            lengths = list(self._lengths[model])
        tokens = median(lengths) if answer_tokens is None else answer_tokens
        return first + tokens * (median(each) if each else 0.0)


def spoken(seconds: float) -> str:
    """A time that is a guess, as one says it."""
    if seconds > 100:
        return f"{ceil(seconds / 60)} minutes"
    return f"{max(seconds, 0.1):.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def line(points: list[tuple[float, float]]) -> tuple[float, float]:
    """(value at 0, slope) of the line through `points` that a third of them cannot bend: neither is below 0.

    The slope is the median of those between any two points (Theil and Sen). Above one place nothing tells the fixed
    part from the growing one: then, and where the line would begin below 0, it begins at 0.
    """
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if a[0] != b[0]]
    if slopes:
        slope = max(0.0, median(slopes))
        start = median(value - slope * place for place, value in points)
        if start >= 0:
            return start, slope
    return 0.0, median(value / place for place, value in points)


def _window() -> deque:
    return deque(maxlen=REMEMBERED)
