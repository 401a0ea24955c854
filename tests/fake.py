"""A model without weights: it says what the test put into its queue.

    fake = FakeEngine("42", ["a ", "b ", event, "c"], [ "half of", EngineFailure("It broke.")])

Each output answers one question: a text; or a list of steps, where a step is a piece of text, an event to
wait for, an exception to raise, or a function to call. A queue that is empty answers with nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from tinyrs.engine import Options, Reply
from tinyrs.models import ModelSpec

Step = str | threading.Event | BaseException | Callable[[], None]


class FakeEngine:
    """An `Engine` (tinyrs/engine.py). `asked` holds every (picture, question, options) that it was given, `looked` what it
    was shown before."""

    def __init__(self, *outputs: str | Sequence[Step], spec: ModelSpec | None = None, **declared) -> None:
        self.spec = spec or ModelSpec(**{"name": "fake", "source": "nowhere", **declared})
        self.queue = deque(outputs)
        self.asked: list[tuple] = []
        self.looked: list[tuple] = []
        self.closed = False

    def stream(
        self, picture, question, options: Options = Options(), cancelled: threading.Event | None = None
    ) -> Iterator[Reply]:
        self.asked.append((picture, question, options))
        output = self.queue.popleft() if self.queue else ""
        steps = _words(output) if isinstance(output, str) else output
        text, tokens = "", 0
        budget = options.max_new_tokens or self.spec.max_new_tokens
        for step in steps:
            if isinstance(step, threading.Event):
                _wait(step, cancelled)
            elif isinstance(step, BaseException):
                raise step
            elif callable(step):
                step()
            if cancelled is not None and cancelled.is_set():
                yield Reply(text, tokens, 0.0, 0.0)
                return
            if isinstance(step, str):
                text, tokens = text + step, tokens + 1
                if tokens >= budget:
                    yield Reply(text, tokens, 0.0, 0.0, finished=True, truncated=True)
                    return
                yield Reply(text, tokens, 0.0, 0.0)
        yield Reply(text, tokens, 0.0 if tokens else None, 0.0, finished=True)

    def batch(self, pairs, options: Options = Options()) -> list[Reply]:
        return [list(self.stream(picture, question, options))[-1] for picture, question in pairs]

    def look(self, picture, options: Options = Options(), cancelled: threading.Event | None = None) -> None:
        self.looked.append((picture, options))

    def close(self) -> None:
        self.closed = True


def _words(text: str) -> list[str]:
    """`text` in pieces that a model might write: its words."""
    return [piece + " " for piece in text.split(" ")[:-1]] + [text.split(" ")[-1]] if text else []


def _wait(event: threading.Event, cancelled: threading.Event | None) -> None:
    while not event.wait(0.01):
        if cancelled is not None and cancelled.is_set():
            return
