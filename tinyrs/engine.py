"""What answers a question: the Engine protocol, and `open_engine`, which turns a name into one.

    engine = open_engine("pocket-r1")
    for reply in engine.stream(picture.image, Question("How many ships are there?", Task.COUNTING)):
        print(reply.text)

tinyrs/local.py (transformers), tinyrs/openvino.py and tinyrs/server.py (OpenAI-compatible) are imported when a model
needs them.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from tinyrs.example import Question, Task
from tinyrs.models import ModelSpec, resolve

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger("tinyrs")

GRACE = 0.5
"""Seconds that a cancelled model has to hand over its last words before the caller goes on without them."""


@dataclass(frozen=True)
class Options:
    """How to answer.

    max_new_tokens  the longest answer, in tokens; None is the model's own
    temperature     0 is greedy: the same question gets the same answer
    seed            where temperature is above 0, the same seed gets the same answer
    stop            the answer ends before any of these strings
    max_pixels      the picture is resized to at most this area, in pixels: fewer are answered sooner. None, and
                    anything above it, is the model's own budget
    choose          the answer is the likeliest of the question's labels, where it has any: sooner, and never another
                    text. What greedy writes, where that is a label. Not for models that think

    ValueError where a number makes no sense.
    """

    max_new_tokens: int | None = None
    temperature: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    max_pixels: int | None = None
    choose: bool = False

    def __post_init__(self) -> None:
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise ValueError(f"An answer of {self.max_new_tokens} tokens is none.")
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"A temperature is 0 or above, not {self.temperature}.")
        if self.max_pixels is not None and self.max_pixels < 1:
            raise ValueError(f"A picture of {self.max_pixels} pixels is none.")


@dataclass(frozen=True)
class Reply:
    """An answer, as far as it has come.

    text         everything so far
    tokens       tokens so far, without the one that ends the answer
    first_token  seconds from the model's start on this question to its first token; None before it
    seconds      seconds from the model's start on this question to now
    finished     the model is done: it ended its answer, or `truncated` it. A stream that was cancelled ends
                 with a reply that is not finished
    truncated    the answer was cut off at max_new_tokens
    kept         the picture had been read before, so that only this question was
    """

    text: str
    tokens: int = 0
    first_token: float | None = None
    seconds: float = 0.0
    finished: bool = False
    truncated: bool = False
    kept: bool = False


class EngineFailure(RuntimeError):
    """A model could not answer. `str(e)` is one fixed sentence for the person; the details are in the log."""


class EngineUnavailable(EngineFailure):
    """A model cannot be opened: its weights are not here, cannot be read, or need a server."""


class Engine(Protocol):
    """A model that is ready to answer. Safe to call from several threads.

    `stream` yields the answer as it grows, the last reply finished unless `cancelled` was set; a slow reader
    misses replies in between, never the last. It raises `EngineFailure`, after the reply with everything that
    was written until then; the next question works.

    `batch` answers every pair, in order, each as if it had been asked alone (with `options.seed` each).

    `look` reads a picture that may soon be asked about and says how many seconds that took; None where it was not read:
    it was read before, the model is busy or keeps nothing, or it was broken off, be it by `cancelled` or because a question
    about something else came, which must not wait. It raises nothing.
    """

    spec: ModelSpec

    def stream(
        self,
        picture: Image,
        question: Question,
        options: Options = Options(),
        cancelled: threading.Event | None = None,
    ) -> Iterator[Reply]: ...

    def batch(self, pairs: Sequence[tuple[Image, Question]], options: Options = Options()) -> list[Reply]: ...

    def look(
        self, picture: Image, options: Options = Options(), cancelled: threading.Event | None = None
    ) -> float | None: ...

    def close(self) -> None: ...


_engines: dict[ModelSpec, Engine] = {}
_opening: dict[ModelSpec, threading.Lock] = {}
_guard = threading.Lock()


def open_engine(model: str | ModelSpec) -> Engine:
    """The engine for a name (tinyrs/models.py says which names there are) or a spec; opened once per process.

    Raises `UnknownModel` or `EngineUnavailable`.
    """
    spec = resolve(model) if isinstance(model, str) else model
    with _guard:
        lock = _opening.setdefault(spec, threading.Lock())
    with lock:  # one lock a model: loading one does not keep the other waiting
        if spec not in _engines:
            if spec.kind == "server":
                from tinyrs.server import ServerEngine as Kind
            elif spec.kind == "openvino":
                from tinyrs.openvino import OpenVINOEngine as Kind
            else:
                from tinyrs.local import LocalEngine as Kind
            _engines[spec] = Kind(spec)
        return _engines[spec]


def opened(spec: ModelSpec) -> Engine | None:
    """The engine for `spec` where it is open already."""
    return _engines.get(spec)


@atexit.register
def close_engines() -> None:
    """Close every engine that `open_engine` opened, and forget it."""
    with _guard:
        engines = list(_engines.values())
        _engines.clear()
    for engine in engines:
        engine.close()


def capped(spec: ModelSpec, options: Options) -> ModelSpec:
    """`spec` with the pixel budget that `options` leave of it. Raises `EngineFailure` where that is too small."""
    if options.max_pixels is None or options.max_pixels >= spec.max_pixels:
        return spec
    if options.max_pixels < spec.min_pixels:
        raise EngineFailure(
            f"{spec.name} needs at least {spec.min_pixels:,} pixels of a picture; {options.max_pixels:,} were allowed."
        )
    return replace(spec, max_pixels=options.max_pixels)


LONGEST = {Task.CLASSIFICATION: 32, Task.COUNTING: 32, Task.GROUNDING: 256}
"""Tokens after which an answer without reasoning is cut off, by task: no label, number or list of ten boxes is longer."""


def longest(spec: ModelSpec, question: Question, options: Options) -> int:
    """Tokens after which the answer of `spec` to `question` is cut off."""
    if options.max_new_tokens is not None:
        return options.max_new_tokens
    most = spec.max_new_tokens
    return most if spec.thinking else min(most, LONGEST.get(question.task, most))


def conversation(spec: ModelSpec, question: Question) -> list[dict]:
    """tinyrs/prompt.py's messages for `question`, under the system prompt of the model of `spec`."""
    from tinyrs.prompt import messages

    chat = messages(question, spec.dialect, spec.thinking)
    if spec.system is None:
        return chat
    system = {"role": "system", "content": [{"type": "text", "text": spec.system}]}
    return [system, *(message for message in chat if message["role"] != "system")]


def ending(spec: ModelSpec, text: str, stop: Sequence[str], since: int = 0) -> str | None:
    """`text` up to where it ends, or None while it goes on.

    It ends before any of `stop`, and right after `</answer>` where the model thinks: what a model writes
    after its answer is noise that only costs time. `text[:since]` was looked at before.
    """
    ends = [at for word in stop if word and (at := text.find(word, max(0, since - len(word)))) >= 0]
    if spec.thinking and (at := text.find("</answer>", max(0, since - len("</answer>")))) >= 0:
        ends.append(at + len("</answer>"))
    return text[: min(ends)] if ends else None


def failure(sentence: str, error: BaseException, kind: type[EngineFailure] = EngineFailure) -> EngineFailure:
    """An `EngineFailure` with `sentence`; `error` goes to the log, without any secret of the environment."""
    log.error("%s\n%s", sentence, redact("".join(traceback.format_exception(error))))
    return kind(sentence)


def redact(text: str) -> str:
    """`text` without the value of any environment variable that is called a key, token or the like."""
    for name, value in os.environ.items():
        if len(value) >= 6 and name.upper().endswith(("KEY", "TOKEN", "SECRET", "PASSWORD")):
            text = text.replace(value, "***")
    return text


class Job:
    """One answer that is being written in a thread of its own, so that its reader can be slow, or leave.

    `work(job)` runs in that thread: it calls `job.publish(reply)` as the answer grows and returns when it is
    done, or soon after `job.stop` is set. Only the newest reply is kept.
    """

    def __init__(self, work: Callable[[Job], None], name: str) -> None:
        self.stop = threading.Event()
        self._work = work
        self._changed = threading.Condition()
        self._newest: Reply | None = None
        self._error: EngineFailure | None = None
        self._over = False
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def publish(self, reply: Reply) -> None:
        """Make `reply` the one that is read next."""
        with self._changed:
            self._newest = reply
            self._changed.notify_all()

    def _run(self) -> None:
        error = None
        try:
            self._work(self)
        except EngineFailure as e:
            error = e
        except BaseException as e:
            error = failure("The model stopped with an error; the log says why.", e)
        with self._changed:
            self._error, self._over = error, True
            self._changed.notify_all()

    def replies(
        self, cancelled: threading.Event | None = None, interrupt: Callable[[], None] = lambda: None
    ) -> Iterator[Reply]:
        """Start, and yield the newest reply whenever there is one. `interrupt` wakes work that is stuck."""
        self.thread.start()
        try:
            while True:
                with self._changed:
                    while self._newest is None and not self._over:
                        if cancelled is not None and cancelled.is_set():
                            break
                        self._changed.wait(0.05)  # `cancelled` is another's event: it cannot wake us
                    reply, self._newest = self._newest, None
                    over, error = self._over, self._error
                if reply is not None:
                    yield reply
                    if reply.finished:
                        return
                elif over:
                    if error is not None:
                        raise error
                    return
                if cancelled is not None and cancelled.is_set():
                    yield from self._last_words(interrupt)
                    return
        finally:
            self.stop.set()
            interrupt()

    def _last_words(self, interrupt: Callable[[], None]) -> Iterator[Reply]:
        self.stop.set()
        interrupt()
        with self._changed:
            self._changed.wait_for(lambda: self._over, GRACE)
            reply = self._newest
        if reply is not None:
            yield reply
