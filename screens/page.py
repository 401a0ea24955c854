"""What the tabs share: the models on offer, who is being answered, the picture that is shown, and what is said of errors."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, wraps
from pathlib import Path

import gradio as gr

from annotate.people import People
from annotate.store import Side, Store, StoreError
from tinyrs import render
from tinyrs.compare import look_ahead
from tinyrs.config import Config
from tinyrs.engine import EngineFailure, Options, Reply, capped
from tinyrs.engine import open_engine as load_engine
from tinyrs.example import Question
from tinyrs.image import BadImage, open_picture
from tinyrs.models import MODELS, SHIPPED, ModelSpec, UnknownModel
from tinyrs.models import resolve as resolve_model
from tinyrs.pace import Pace
from tinyrs.shown import Shown
from tinyrs.sight import seen
from tinyrs.suggestions import BadQuestion
from tinyrs.tiles import BadTiles

log = logging.getLogger("tinyrs.app")

FAILED = "Something went wrong on the server. It was logged; please try again."
LOADING = 120.0
"""Seconds for which a picture waits for the pair to be loaded before it is read ahead."""
SENTENCES = (BadImage, BadQuestion, BadTiles, StoreError, UnknownModel, EngineFailure)
"""Errors whose text was written for the person; every other one is logged and shown as FAILED."""


def new_key() -> str:
    """A key for a browser, by which a visitor's things are found again."""
    return secrets.token_urlsafe(24)


class Sentence(Exception):
    """What a visitor has to do differently, in one sentence."""


class Page:
    """What the handlers share: the store, the models on offer, and who is being answered."""

    why = ""
    """Why these two models answer here, in one sentence for the About tab."""

    def __init__(self, config: Config, pair, open_engine, resolve, store: Store, people: People):
        self.config, self.store, self.people = config, store, people
        self.pair = tuple(pair or config.pair)
        self.resolve, self.open_engine = resolve, open_engine
        self.any_model = os.environ.get("TINYRS_ALLOW_ANY_MODEL", "") == "1"
        self.offered = self._offered()
        self.pace = Pace()
        self._ahead: dict[str, tuple[tuple, threading.Event]] = {}
        self._warmed = threading.Event()
        self._warmed.set()  # nothing is being loaded
        self._running: dict[str, threading.Event] = {}
        self._salt = secrets.token_bytes(16)

    def _offered(self) -> list[str]:
        """The names in the pickers. On a public Space only what is loaded anyway: a visitor must not be able
        to fill its disk. Models that need a server of their own are reached by its address only."""
        names = [*self.pair, *(SHIPPED if self.resolve is resolve_model else ())]
        if self.resolve is resolve_model and (self.any_model or not on_space()):
            names += [name for name, spec in MODELS.items() if spec.kind == "local"]
        return list(dict.fromkeys(names))

    def spec(self, name: str) -> ModelSpec:
        """The spec of a model that this visitor may choose."""
        if not isinstance(name, str) or not (name in self.offered or self.any_model):
            raise Sentence("That model is not on offer here: choose one of the list.")
        return self.resolve(name)

    def warm(self) -> None:
        """Load the pair and let each write one word, so that the first visitor does not wait for it."""
        from PIL import Image

        self._warmed.clear()
        for name in self.pair:
            try:
                engine = load_engine(self.resolve(name))
                for _ in engine.stream(
                    Image.new("RGB", (112, 112)), Question("ready"), Options(max_new_tokens=1)
                ):
                    pass
            except Exception:
                # The visitor is told when asking; here only the operator can do something about it.
                log.exception("The model %s could not be loaded.", name)
        self._warmed.set()

    def start(self, session: str) -> threading.Event:
        self._running[session] = cancelled = threading.Event()
        return cancelled

    def finish(self, session: str, cancelled: threading.Event) -> None:
        cancelled.set()
        if self._running.get(session) is cancelled:
            del self._running[session]

    def stop(self, session: str) -> None:
        if cancelled := self._running.get(session):
            cancelled.set()

    def busy(self, session: str) -> bool:
        return session in self._running

    def look_ahead(self, session: str, path: str, specs: Mapping[str, ModelSpec], how: Options) -> None:
        """Let the models read a visitor's picture while the question is being written. It is left for what anybody asks, and
        for the next picture."""
        wish = (path, tuple(specs.values()), how)
        before, stop = self._ahead.get(session, (None, None))
        if wish == before:
            return
        if stop is not None:
            stop.set()
        self._ahead[session] = wish, (cancelled := threading.Event())

        def work() -> None:
            self._warmed.wait(LOADING)
            if cancelled.is_set():
                return
            try:
                picture = open_picture(path).image
                engines = {side: self.open_engine(spec) for side, spec in specs.items()}
                for side, seconds in look_ahead(engines, picture, how, cancelled):
                    tokens = seen(*picture.size, capped(specs[side], how)).tokens
                    self.pace.learn_reading(specs[side].name, tokens or 0, seconds)
            except Exception:  # whoever asks is told
                log.info("A picture could not be read ahead.", exc_info=True)

        threading.Thread(target=work, name="tinyrs ahead", daemon=True).start()

    def leave(self, session: str) -> None:
        """A visitor closed the page."""
        self.stop(session)
        if session in self._ahead:
            self._ahead.pop(session)[1].set()

    def visitor(self, request: gr.Request) -> str:
        """A name for somebody without one, which that person cannot choose: the flag limit counts by it."""
        if name := self.people.login(request):
            return name
        host = request.client.host if request.client else ""
        if on_space():  # behind the Space's proxy, which appends the visitor's address
            host = (request.headers.get("x-forwarded-for") or host).split(",")[-1].strip()
        return "visitor " + hashlib.blake2b(host.encode(), key=self._salt, digest_size=4).hexdigest()

    def holder(self, request: gr.Request, key: str | None) -> str:
        """By what the visitor's things are found again to be deleted: a checksum of the login, or of the key that only
        this visitor's browser has; "" without either."""
        if name := self.people.login(request):
            return hashlib.sha256(f"login {name.casefold()}".encode()).hexdigest()[:32]
        return (
            hashlib.sha256(f"key {key}".encode()).hexdigest()[:32]
            if isinstance(key, str) and len(key) >= 16
            else ""
        )

    def keep(self, shown: Shown, author: str, holder: str = "") -> Shown:
        """Store the run that is shown, once; one's own again where it was deleted in the meantime."""
        if shown.run and self.store.has_run(shown.run):
            return shown
        if shown.run and Path(shown.path).parent == self.store.pictures:
            # Somebody else's, shown by its link: what was taken back is not stored once more.
            raise Sentence("This comparison was deleted by whoever kept it.")
        data = Path(shown.path).read_bytes()
        opened = open_picture(data)
        picture = self.store.add_picture(opened, data)
        sides = {}
        for side, answer in shown.answers.items():
            reply = shown.replies.get(side, Reply(""))
            error = shown.errors.get(side, "")
            sides[side] = Side(
                shown.models[side], answer, reply.tokens, reply.first_token, reply.seconds, error
            )
        run = self.store.add_run(
            picture, shown.question, sides, author=author, holder=holder, max_pixels=shown.max_pixels
        )
        # Somebody's deletion may have taken the file away in between; from now on nobody's does.
        self.store.add_picture(opened, data)
        return replace(shown, run=run)

    def recall(self, run: str) -> Shown:
        """The stored run with that id."""
        row = self.store.run(run)
        path = self.store.picture_path(row["picture"])
        shown = look_at(str(path), "")[0]
        sides: dict[str, Side] = row["sides"]
        return replace(
            shown,
            question=row["question"],
            models={name: side.model for name, side in sides.items()},
            answers={name: side.answer for name, side in sides.items()},
            errors={name: side.error for name, side in sides.items() if side.error},
            states=dict.fromkeys(sides, "done"),
            replies={
                name: Reply(
                    side.answer.raw, side.tokens, side.first_token, side.seconds, True, side.answer.truncated
                )
                for name, side in sides.items()
            },
            run=run,
            max_pixels=row["max_pixels"],
        )


def default_open(spec: ModelSpec) -> ModelSpec:
    """Leave it to `compare`, which opens a spec in its own side's thread: a model that takes long to load, or
    cannot be loaded, does not keep the other one waiting."""
    return spec


def on_space() -> bool:
    """Whether this is a public Hugging Face Space."""
    return bool(os.environ.get("SPACE_ID"))


@lru_cache(maxsize=32)
def _looked_at(path: str, _stamp: tuple) -> tuple[str, tuple[int, int], tuple[str, ...], str]:
    picture = open_picture(path)
    notes = tuple(picture.notes) + ((f"georeferenced, {picture.geo.crs}",) if picture.geo else ())
    return picture.sha256, (picture.width, picture.height), notes, render.preview(picture.image)


def look_at(path: str, name: str) -> tuple[Shown, str]:
    """The picture in a file: what to show of it, and its preview. Raises BadImage."""
    try:
        stat = os.stat(path)
    except OSError:
        raise Sentence("That picture is no longer here: please choose it again.") from None
    sha256, size, notes, uri = _looked_at(path, (stat.st_mtime_ns, stat.st_size))
    return Shown(path, name, sha256, size, notes), uri


def sentence(error: BaseException) -> str:
    """What the person is told about an error."""
    if isinstance(error, (Sentence, *SENTENCES)):
        return str(error)
    log.error("A handler failed.", exc_info=error)
    return FAILED


def told(notice: gr.HTML, handler: Callable) -> Callable:
    """`handler` as Gradio may call it: any error becomes a sentence in `notice`, never a traceback or a silent
    nothing. A handler returns a dict of what changes."""

    @wraps(handler)
    def safe(*args):
        try:
            return {notice: "", **handler(*args)}
        except Exception as error:
            return {notice: render.notice(sentence(error))}

    return safe
