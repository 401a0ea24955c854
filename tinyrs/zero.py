"""Both models in one call of a GPU that is lent by the call (a Space on ZeroGPU).

    gpu = spaces.GPU(duration=seconds)(answers)     # app.py; the decorator runs `answers` in a forked process
    lend(borrowed(gpu, sentence))                   # tinyrs/compare.py: every comparison goes that way

The models were loaded before the fork and are on the GPU in the new process. Nothing else belongs in there: what comes
in and goes out is pickled, and no database is touched. Engines are given as specs, or as lenses around specs.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from tinyrs.compare import FAILED, Event, compare_here
from tinyrs.engine import Engine, Options, capped
from tinyrs.example import Question
from tinyrs.lens import Tiled
from tinyrs.models import ModelSpec
from tinyrs.sight import seen

if TYPE_CHECKING:
    from PIL.Image import Image

START = 6.0
"""Seconds until the weights of two 2B models are on the GPU. An estimate, like the three below: nobody measured it."""

READ, WRITE = 0.0005, 0.03
"""Seconds that a 2B model takes to read a visual token, and to write a token."""

LEAST, MOST = 10, 120
"""Seconds that are asked for at least and at most. A visitor without an account has 120 a day."""

PACE = 0.1
"""Seconds between two events of a call: what a model writes meanwhile comes with the next one."""

PULSE = 0.5
"""Seconds after which a call that has nothing to say says so, so that it can be stopped."""


def seconds(
    engines: Mapping[str, Engine | ModelSpec], picture: Image, question: Question, options: Options
) -> int:
    """How long `answers` may take: visual tokens to read and tokens to write, of both sides and every tile."""
    total = START
    for engine in engines.values():
        spec = _spec(engine)
        sizes = [(tile.width, tile.height) for tile in engine.parts] if isinstance(engine, Tiled) else [picture.size]
        read = sum(seen(*size, capped(spec, options)).tokens or 0 for size in sizes)
        total += READ * read + WRITE * len(sizes) * (options.max_new_tokens or spec.max_new_tokens)
    return math.ceil(min(max(total, LEAST), MOST))


def answers(
    engines: Mapping[str, Engine | ModelSpec], picture: Image, question: Question, options: Options
) -> Iterator[tuple | None]:
    """In the GPU's process: every event of `compare` with its engine's step over the tiles; None for a pulse."""
    cancelled, news = threading.Event(), queue.SimpleQueue()

    def work() -> None:
        try:
            for event in compare_here(engines, picture, question, options, cancelled):
                news.put((event, getattr(engines[event.side], "step", None)))
                if not event.done:
                    cancelled.wait(PACE)
        finally:
            news.put(work)  # the end

    threading.Thread(target=work, name="tinyrs lent GPU", daemon=True).start()
    try:
        while True:
            try:
                said = news.get(timeout=PULSE)
            except queue.Empty:
                said = None
            if said is work:
                return
            yield said
    finally:
        cancelled.set()


def borrowed(gpu: Callable[..., Iterator], sentence: Callable[[Exception], str]) -> Callable[..., Iterator[Event]]:
    """`compare` as one call of `gpu`, which is `answers` behind ZeroGPU's decorator.

    Where the call fails, or ends early, the sides that were not done fail with `sentence(error)`.
    """

    def compare_there(
        engines: Mapping[str, Engine | ModelSpec],
        picture: Image,
        question: Question,
        options: Options = Options(),
        cancelled: threading.Event | None = None,
    ) -> Iterator[Event]:
        if all(_spec(engine).kind == "server" for engine in engines.values()):
            yield from compare_here(engines, picture, question, options, cancelled)
            return
        last = {side: Event(side) for side in engines}
        call, error = gpu(dict(engines), picture, question, options), None
        try:
            for said in call:
                if said is not None:
                    event, step = said
                    if isinstance(engines[event.side], Tiled):
                        engines[event.side].step = step
                    last[event.side] = event
                    yield event
                if cancelled is not None and cancelled.is_set():
                    break
            else:
                error = FAILED
        except Exception as e:
            error = sentence(e)
        finally:
            call.close()
        for event in last.values():
            if not event.done:
                yield replace(event, error=error, done=True)

    return compare_there


def _spec(engine: Engine | ModelSpec) -> ModelSpec:
    return engine if isinstance(engine, ModelSpec) else engine.spec
