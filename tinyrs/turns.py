"""Whose turn it is to have a model: questions one after another, and in between pictures that nobody asked about yet.

    turns = Turns()
    with turns.asked([picture]): ...             # a question waits until it has the model
    with turns.unasked(picture) as stop: ...     # None where the model is busy; set once a question should not wait

Nothing in here needs a model, or torch.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tinyrs.engine import GRACE

if TYPE_CHECKING:
    from PIL.Image import Image


class Turns:
    """One user at a time. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Question] = []

    @contextmanager
    def asked(self, pictures: Sequence[Image] = (), timeout: float = -1) -> Iterator[None]:
        """In here the model is had for questions about `pictures`. Raises TimeoutError after so many seconds (-1: never)."""
        question = _Question(pictures)
        self._waiting.append(question)
        try:
            had = self._lock.acquire(timeout=timeout)
        finally:
            self._waiting.remove(question)
        if not had:
            raise TimeoutError
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def unasked(self, picture: Image, cancelled: threading.Event | None = None) -> Iterator[_Stop | None]:
        """In here the model is had for `picture`, until what comes with it is set: `cancelled` was, or a question waits that is
        not about this picture. None where somebody else has the model."""
        stop = _Stop(picture, self._waiting, cancelled)
        # As long as a question that was stopped may still hold the model.
        if stop.is_set() or not self._lock.acquire(timeout=GRACE):
            yield None
            return
        try:
            yield stop
        finally:
            self._lock.release()


class _Question:
    """One that waits."""

    def __init__(self, pictures: Sequence[Image]) -> None:
        self._pictures = pictures
        self._found: dict[int, bool] = {}

    def about(self, picture: Image) -> bool:
        """Whether `picture` is one of those that are asked about. Looked at once, for it is asked before every layer."""
        if id(picture) not in self._found:
            self._found[id(picture)] = any(_same(picture, each) for each in self._pictures)
        return self._found[id(picture)]


class _Stop:
    """Whether a picture that nobody asked about is to be left."""

    def __init__(self, picture: Image, waiting: list[_Question], cancelled: threading.Event | None) -> None:
        self._picture, self._waiting, self._cancelled = picture, waiting, cancelled

    def is_set(self) -> bool:
        if self._cancelled is not None and self._cancelled.is_set():
            return True
        return not all(question.about(self._picture) for question in list(self._waiting))


def _same(one: Image, other: Image) -> bool:
    return one is other or (one.size, one.mode) == (other.size, other.mode) and one.tobytes() == other.tobytes()
