"""A page with models that say what a test wants, and ways to use it with and without a browser."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

from PIL import Image, ImageDraw

import app
from tests.fake import FakeEngine
from tinyrs.config import Config
from tinyrs.shown import Shown

SHORT = "[[120,300,380,560]]"
THOUGHT = (
    "<reasoning> Water covers the left half.\nThe longest hull lies beside the upper dock. </reasoning> "
    "<answer> [[140,320,400,600]] </answer>"
)
ASKED = "Identify the location of the long ship."


def harbour(width: int = 320, height: int = 240) -> Image.Image:
    """A drawn picture: water on the left, a ship, some roofs."""
    image = Image.new("RGB", (width, height), (96, 118, 84))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, height // 4, width // 2, height), fill=(38, 72, 96))
    draw.polygon([(40, 90), (110, 82), (124, 90), (110, 98), (40, 98)], fill=(214, 210, 205))
    for x in range(width // 2 + 20, width - 30, 40):
        draw.rectangle((x, 30, x + 22, 60), fill=(168, 120, 96))
    return image


def picture_file(folder: Path, name: str = "harbour.png", **options) -> Path:
    """The drawn picture as a file."""
    path = folder / name
    harbour().save(path, **options)
    return path


def picture_bytes() -> bytes:
    out = io.BytesIO()
    harbour().save(out, "PNG")
    return out.getvalue()


def engines(a=(SHORT,), b=(THOUGHT,)) -> dict[str, FakeEngine]:
    """Two fake models: `quick` answers, `thinker` reasons first. `a` and `b` are their outputs, one a question."""
    return {
        "quick": FakeEngine(
            *a, name="quick", about="A model that answers.", measured={"AID": {"strict": 0.5, "n": 9}}
        ),
        "thinker": FakeEngine(*b, name="thinker", thinking=True, about="A model that reasons."),
    }


_made: list = []


def page(models: dict[str, FakeEngine] | None = None, people=None, keeper=None, **settings):
    """The page of those models; its database is where TINYRS_DATA says. It is closed after the test."""
    models = models or engines()

    def build():
        return app.build(
            Config(**settings),
            pair=("quick", "thinker"),
            open_engine=lambda spec: models[spec.name],
            resolve=lambda name: models[name].spec,
            people=people,
            keeper=keeper,
        )

    _made.append(_in_a_loop(build))
    return _made[-1]


def close_pages() -> None:
    """Close the store of every page that was made."""
    while _made:
        _made.pop().page.store.close()


def _in_a_loop(make: Callable):
    """`make()` inside a running event loop: outside of one Gradio makes loops that it never closes."""

    async def inside():
        return make()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(inside())
    return make()


@contextlib.contextmanager
def served(demo) -> Iterator[str]:
    """Serve a page on a free port; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    try:
        _in_a_loop(lambda: app.launch(demo, host="127.0.0.1", port=port, quiet=True))
        yield f"http://127.0.0.1:{port}"
    finally:
        demo.close(verbose=False)


def request(
    session: str = "one", *, user: str | None = None, host: str = "10.0.0.1", **query
) -> SimpleNamespace:
    """What a handler reads of gr.Request."""
    client = SimpleNamespace(host=host)
    return SimpleNamespace(session_hash=session, username=user, client=client, headers={}, query_params=query)


def become_a_space(monkeypatch, **settings: str) -> None:
    """Let this process look like a Space with the hub's login switched on."""
    import gradio.oauth

    for name, value in {"SYSTEM": "spaces", "SPACE_ID": "user/space", "OAUTH_CLIENT_SECRET": "s", **settings}.items():
        monkeypatch.setenv(name, value)
    # Gradio reads these when it is imported.
    for name in ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL"):
        monkeypatch.setattr(gradio.oauth, name, "http://127.0.0.1:1")


def hub_login(name: str, until: float | None = None) -> SimpleNamespace:
    """What stands behind gr.Request of somebody whom the hub's login page has sent back."""
    info = {"userinfo": {"preferred_username": name}, **({} if until is None else {"expires_at": until})}
    return SimpleNamespace(scope={"session": {"oauth_info": info}})


class Hands:
    """Calls a page's handlers as its events would. What a handler returned is read by the component's elem_id;
    States are kept from call to call under the name of their order: "state0" is the Compare tab's."""

    def __init__(self, demo, **who):
        self.demo, self.request = demo, request(**who)
        self.shown = self.caption = None
        self.done = 0

    def event(self, name: str):
        return next(fn for fn in self.demo.fns.values() if fn.api_name == name)

    def read(self, name: str, update) -> dict:
        """An update by elem_id; a component's new value, or the whole gr.update."""
        fn, seen = self.event(name), {}
        if not isinstance(update, dict) or "__type__" in update:
            values = [update] if len(fn.outputs) == 1 else update or ()
            update = dict(zip(fn.outputs, values))
        for component, value in update.items():
            assert component in fn.outputs, (
                f"{name} changes {component.elem_id}, which is not among its outputs"
            )
            if component.get_block_name() == "state":
                seen[f"state {type(value).__name__}"] = value
                if isinstance(value, Shown):
                    self.shown = value
                elif isinstance(value, dict) and "revision" in value:
                    self.caption = value
            else:
                seen[component.elem_id or component.get_block_name()] = value
        return seen

    def call(self, name: str, *values) -> dict:
        return self.read(name, self.event(name).fn(*values, self.request))

    def upload(self, path) -> dict:
        return self.call("upload", str(path))

    def ask(self, text: str = ASKED, kind: str = "any", a: str = "quick", b: str = "thinker", blind=False) -> dict:
        """Ask and read on to the end; everything that was shown, the last value of each component."""
        seen: dict = {}
        for update in self.asking(text, kind, a, b, blind):
            seen.update(update)
        return seen

    def asking(
        self, text: str = ASKED, kind: str = "any", a: str = "quick", b: str = "thinker", blind=False
    ) -> Iterator[dict]:
        for update in self.event("put").fn(self.shown, text, kind, a, b, blind, self.request):
            yield self.read("put", update)
        yield self.call_plain("settle", self.shown)

    def call_line(self, name: str) -> str:
        """A handler that wants nothing and gives one line."""
        return self.event(name).fn()

    def call_plain(self, name: str, *values) -> dict:
        """A handler that does not want the request."""
        return self.read(name, self.event(name).fn(*values))

    def call_models(self, a: str, b: str) -> dict:
        return self.call_plain("models", a, b)

    def flag(self, side: str = "B", why=("wrong box",), note: str = "") -> dict:
        return self.call("send_flag", self.shown, side, list(why), note)

    def next(self, name: str = "Ada") -> dict:
        return self.call("next_caption", self.caption, name, self.done)

    def judge(self, verb: str, *fields, name: str = "Ada") -> dict:
        """Save, accept, reject or skip the caption that is open."""
        return self.call(verb, self.caption, name, self.done, *fields)
