"""One question past several models at once: a stream of events, in which one side cannot hold up another.

for event in compare({"A": "pocket", "B": "pocket-r1"}, picture.image, question):
    print(event.side, event.reply.text if event.reply else event.error)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinyrs.engine import GRACE, Engine, EngineFailure, Options, Reply, failure, open_engine, opened
from tinyrs.example import Answer, Question
from tinyrs.models import ModelSpec, UnknownModel
from tinyrs.parse import parse

if TYPE_CHECKING:
    from PIL.Image import Image

FAILED = "This model stopped with an error; the log says why."


@dataclass(frozen=True)
class Event:
    """What one side has to say now.

    reply   everything it wrote so far; None where it wrote nothing
    answer  that text, taken apart in its own model's dialect; None where there is no reply
    error   one sentence, where it failed; what it wrote until then is still in `reply`
    done    it says no more. Where the question was cancelled, `reply.finished` is False
    """

    side: str
    reply: Reply | None = None
    answer: Answer | None = None
    error: str | None = None
    done: bool = False


class _Stop(threading.Event):
    """Set when either the caller cancels or the one who reads the events leaves."""

    def __init__(self, cancelled: threading.Event | None) -> None:
        super().__init__()
        self._cancelled = cancelled

    def is_set(self) -> bool:
        return super().is_set() or (self._cancelled is not None and self._cancelled.is_set())


@dataclass
class _Side:
    """One side as its thread leaves it for the reader. `changed`: there is something that was not read."""

    name: str
    engine: Engine | ModelSpec | str
    spec: ModelSpec | None = None
    reply: Reply | None = None
    error: str | None = None
    done: bool = False
    changed: bool = False


def compare(
    engines: Mapping[str, Engine | ModelSpec | str],
    picture: Image,
    question: Question,
    options: Options = Options(),
    cancelled: threading.Event | None = None,
) -> Iterator[Event]:
    """`compare_here`, or what `lend` put in its place: everything that asks models on the page comes through here."""
    return (_there or compare_here)(engines, picture, question, options, cancelled)


_there: Callable[..., Iterator[Event]] | None = None


def lend(there: Callable[..., Iterator[Event]] | None) -> None:
    """From now on `compare` is `there`, which has a GPU in another process (tinyrs/zero.py); None: in this one again."""
    global _there
    _there = there


def lent() -> bool:
    """Whether the models answer in another process."""
    return _there is not None


def compare_here(
    engines: Mapping[str, Engine | ModelSpec | str],
    picture: Image,
    question: Question,
    options: Options = Options(),
    cancelled: threading.Event | None = None,
) -> Iterator[Event]:
    """Put `question` to every engine at once and yield what they say, until each has an event that is `done`.

    An engine may be given as a name or a spec: it is then opened in its side's own thread. The sides start when this is
    called, not when the first event is read. Only the newest reply of a side waits to be read, so a slow reader costs no
    memory. Once `cancelled` is set, every side is done within about half a second, even one that hangs. Raises nothing
    that an engine raises.
    """
    events = _events(engines, picture, question, options, cancelled)
    next(events)
    return events


def look_ahead(
    engines: Mapping[str, Engine | ModelSpec],
    picture: Image,
    options: Options = Options(),
    cancelled: threading.Event | None = None,
) -> Iterator[tuple[str, float]]:
    """Let the models that are open read `picture`, one after the other, before anything is asked of it: (side, seconds) of
    each that did. What `lend` put in place of this process is not borrowed for it."""
    if lent():
        return
    for side, engine in engines.items():
        engine = opened(engine) if isinstance(engine, ModelSpec) else engine
        if engine is not None and (seconds := engine.look(picture, options, cancelled)) is not None:
            yield side, seconds


def _events(engines, picture, question, options, cancelled) -> Iterator[Event | None]:
    """The events, after one None that says that the sides have started: dropped from then on, it stops them."""
    stop = _Stop(cancelled)
    news = threading.Condition()
    sides = [_Side(name, engine) for name, engine in engines.items()]
    for side in sides:
        threading.Thread(
            target=_run,
            args=(side, news, stop, picture, question, options),
            name=f"tinyrs side {side.name}",
            daemon=True,
        ).start()
    waiting, deadline, last = {side.name for side in sides}, None, 0
    try:
        yield None
        while waiting:
            with news:
                while not any(side.changed for side in sides):
                    if stop.is_set() and deadline is None:
                        deadline = time.monotonic() + GRACE
                    if deadline is not None and time.monotonic() > deadline:
                        break
                    news.wait(0.05)  # `cancelled` is the caller's event: it cannot wake us
                # In turns: a side that always has news must not hide another's.
                order = sides[last:] + sides[:last]
                side = next((side for side in order if side.changed), None)
                if side is None:
                    break
                last = (sides.index(side) + 1) % len(sides)
                event = _event(side)
                side.changed = False
            if event.done:
                waiting.discard(event.side)
            yield _with_answer(event, side)
        for side in sides:  # those that hang although they were told to stop
            if side.name in waiting:
                with news:
                    event = Event(side.name, side.reply, done=True)
                yield _with_answer(event, side)
    finally:
        stop.set()


def _run(side: _Side, news, stop: threading.Event, picture, question: Question, options: Options) -> None:
    def tell(**changes) -> None:
        with news:
            for name, value in changes.items():
                setattr(side, name, value)
            side.changed = True
            news.notify_all()

    error = None
    try:
        engine = open_engine(side.engine) if isinstance(side.engine, (str, ModelSpec)) else side.engine
        side.spec = engine.spec
        for reply in engine.stream(picture, question, options, stop):
            tell(reply=reply)
    except (EngineFailure, UnknownModel) as e:
        error = str(e)
    except BaseException as e:
        error = str(failure(FAILED, e))
    tell(error=error, done=True)


def _event(side: _Side) -> Event:
    return Event(side.name, side.reply, None, side.error, side.done)


def _with_answer(event: Event, side: _Side) -> Event:
    return event if side.spec is None else read(event, side.spec)


def read(event: Event, spec: ModelSpec) -> Event:
    """`event` with its text taken apart: done here, once for each event that is read, not for each token."""
    if event.reply is None:
        return event
    answer = parse(
        event.reply.text,
        dialect=spec.dialect,
        thinking=spec.thinking,
        finished=event.reply.finished or event.error is not None,
        truncated=event.reply.truncated,
        box_scale=spec.box_scale,
    )
    return Event(event.side, event.reply, answer, event.error, event.done)
