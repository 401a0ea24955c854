"""The page: ask two models about one picture, compare, flag, correct.

    python app.py                                  http://127.0.0.1:7860, with the pair that this machine can run
    python app.py --pair tinyrs,tinyrs-r1          another pair
    TINYRS_MCP=1 python app.py                     what reads (ask, stats) also as tools for language models
    TINYRS_ALLOW_ANY_MODEL=1 python app.py         visitors may also type a folder, a hub id or an address

Hugging Face Spaces runs this file. Wiring only: the tabs are in screens/ and annotate/, what people read is built
in tinyrs/render.py, what answers in tinyrs/engine.py, what is kept in annotate/store.py. Torch is imported after the page is
up; only on ZeroGPU, which lends a GPU by the call, the models are loaded before (tinyrs/zero.py).
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable

if os.environ.get("TINYRS_MCP", "") != "1":
    # Gradio imports mcp wherever it is installed: half a second of every start, for nothing.
    sys.modules.setdefault("mcp", None)

import gradio as gr
from gradio import processing_utils
from starlette.middleware import Middleware

# Gradio would build a pandas table of all events so far after every single one, for a page that nobody opens.
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000000")

from annotate.desk import Memory
from annotate.keeper import Keeper, at_start
from annotate.people import People, here
from annotate.screens import annotate_tab
from annotate.screens_review import review_tab
from annotate.store import Store
from screens.about import about_tab, tour
from screens.api import endpoints, only_reading
from screens.compare import Compare
from screens.many import Many
from screens.page import SENTENCES, Page, default_open, on_space
from screens.results import results_tab
from screens.saved import saved_line
from screens.scene import scene_tab
from screens.theme import CSS, HEAD, THEME
from tinyrs import pairing, zero
from tinyrs.compare import lend
from tinyrs.config import Config
from tinyrs.engine import Engine, EngineFailure, failure, open_engine
from tinyrs.guard import Guard
from tinyrs.models import ModelSpec
from tinyrs.models import resolve as resolve_model

log = logging.getLogger("tinyrs.app")


async def fetch_nothing(url: str, cache_dir: str) -> str:
    """In place of Gradio's download of an address that a visitor names for a file, whose size nothing bounds."""
    raise gr.Error("Upload the file itself: no address is fetched here.", print_exception=False)


processing_utils.async_ssrf_protected_download = fetch_nothing


def build(
    config: Config | None = None,
    *,
    pair: tuple[str, str] | None = None,
    open_engine: Callable[[ModelSpec], Engine] | None = None,
    resolve: Callable[[str], ModelSpec] | None = None,
    store: Store | None = None,
    people: People | None = None,
    keeper: Keeper | None = None,
    why: str = "",
) -> gr.Blocks:
    """The page. `pair`, `open_engine` and `resolve` replace the models that answer (tests, other programs);
    `people` says how visitors are known, `keeper` saves what they write beside this machine's disk; `why` says why
    this pair answers."""
    config = config or Config()
    people = people or here(config)
    if store is None:
        # On a laptop one person corrects and accepts; where strangers meet, somebody else has to review.
        config.data.mkdir(parents=True, exist_ok=True)
        store = Store(config.database, self_review=people.alone)
    page = Page(config, pair, open_engine or default_open, resolve or resolve_model, store, people)
    page.why = why
    with gr.Blocks(title="TinyRS", analytics_enabled=False, delete_cache=(3600, 86400)) as demo:
        gr.HTML(
            '<header class="masthead"><h1>TinyRS</h1><p>Ask two small models about a satellite picture: '
            "one answers, one reasons first.</p></header>"
        )
        saved_line(demo, keeper, wiped=on_space())
        tour()
        memory = Memory()
        with gr.Tabs(overflow_behavior="wrap"):
            with gr.Tab("Compare", id="compare"):
                compared = Compare(demo, page)
            with gr.Tab("Ask many", id="many"):
                Many(demo, page, compared.state)
            with gr.Tab("Scene", id="scene"):
                scene_tab(demo, page)
            with gr.Tab("Annotate", id="annotate") as tab:
                annotate_tab(demo, store, tab, people=people, memory=memory)
            with gr.Tab("Review", id="review") as tab:
                review_tab(demo, store, tab, people=people, memory=memory)
            with gr.Tab("Results", id="results-tab") as tab:
                results_tab(page, tab)
            with gr.Tab("About", id="about-tab") as tab:
                about_tab(page, tab, compared)
        endpoints(page)
    demo.page = page
    demo.queue(max_size=config.queue_size, default_concurrency_limit=8, api_open=False)
    return demo


def launch(
    demo: gr.Blocks,
    *,
    host: str | None = None,
    port: int | None = None,
    quiet: bool = False,
    mcp: bool = False,
):
    """Serve the page without blocking; returns Gradio's (app, local address, share address).

    `mcp`: what reads is offered as tools, too. Not where people log in by password: Gradio's tools know no login.
    """

    @contextlib.asynccontextmanager
    async def starting(app):
        only_reading(demo)  # before the first request
        yield

    return demo.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        quiet=quiet,
        share=False,
        show_error=False,
        ssr_mode=False,
        run_history=False,
        enable_monitoring=False,
        allowed_paths=[],
        max_file_size=demo.page.config.max_upload,
        auth=demo.page.people.check if demo.page.people.way == "users" else None,
        auth_message="TinyRS: log in by the name and the password that whoever runs this page gave you.",
        theme=THEME,
        css=CSS,
        head=HEAD,
        footer_links=[],
        mcp_server=mcp and demo.page.people.way != "users",
        app_kwargs={"middleware": [Middleware(Guard)], "lifespan": starting},
    )


def borrow_gpu() -> None:
    """On ZeroGPU: every comparison is one call of a lent GPU, for both models."""
    import spaces

    lend(zero.borrowed(spaces.GPU(duration=zero.seconds)(zero.answers), without_gpu))


def without_gpu(error: Exception) -> str:
    """What the visitor is told when ZeroGPU lends nothing, or takes it back. Nothing that ZeroGPU wrote."""
    if isinstance(error, EngineFailure):
        return str(error)
    title = str(getattr(error, "title", "")).lower()
    if "quota" in title or "credits" in title:
        return "The GPU minutes that the hub gives you are used up for now: sign in, or come back later."
    if "queue" in title or "client" in title:
        return "No GPU was free: try again in a moment."
    if "duration" in title:
        return "This would take the GPU longer than it is lent: fewer tiles or a smaller picture may do."
    return str(failure("The GPU stopped with an error; the log says why.", error))


def main(argv: list[str] | None = None) -> None:
    """Serve the page until interrupted."""
    parser = argparse.ArgumentParser(prog="app.py", description="Ask two models about one satellite picture.")
    parser.add_argument("--pair", help="names of the two models, with a comma: pocket,pocket-r1")
    parser.add_argument("--host", help="address to listen on (127.0.0.1; 0.0.0.0 for everybody)")
    parser.add_argument("--port", type=int, help="port to listen on (7860)")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        pair = pairing.choose(args.pair)
        specs = [resolve_model(name) for name in pair.names]
        log.info("%s and %s answer. %s", *pair.names, pair.why)
        if borrowed := pairing.on_zero_gpu():
            borrow_gpu()
        config = Config()
        keeper = at_start(config)
        people = here(config, args.host)
        demo = build(config, pair=pair.names, people=people, keeper=keeper, why=pair.why)
        if borrowed:  # what is on the GPU before the page is up is there in every call
            for spec in dict.fromkeys([*specs, *map(resolve_model, demo.page.offered)]):
                open_engine(spec)
    except pairing.BadPair as error:
        parser.error(str(error))
    except SENTENCES as error:
        parser.exit(2, f"{error}\n")
    launch(demo, host=args.host, port=args.port, mcp=os.environ.get("TINYRS_MCP", "") == "1")
    if not borrowed:
        threading.Thread(target=demo.page.warm, name="warm", daemon=True).start()
    if keeper is None:
        return demo.block_thread()
    # A Space is ended by this signal: what came since the last round is saved first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    keeper.start()
    try:
        demo.block_thread()
    finally:
        keeper.close()


if __name__ == "__main__":
    main()
