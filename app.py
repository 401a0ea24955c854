"""The page: ask two models about one picture, compare, flag, correct.

    python app.py                                  the pocket pair, http://127.0.0.1:7860
    python app.py --pair tinyrs,tinyrs-r1          another pair
    TINYRS_ALLOW_ANY_MODEL=1 python app.py         visitors may also type a folder, a hub id or an address

Hugging Face Spaces runs this file. Wiring only: the tabs are in screens/ and annotate/, what people read is built
in tinyrs/render.py, what answers in tinyrs/engine.py, what is kept in annotate/store.py. Torch is imported after the page is up.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import threading
from collections.abc import Callable

import gradio as gr
from starlette.middleware import Middleware

# Gradio would build a pandas table of all events so far after every single one, for a page that nobody opens.
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000000")

from annotate.keeper import Keeper, at_start
from annotate.people import People, here
from annotate.screens import annotate_tab
from annotate.screens_review import review_tab
from annotate.store import Store
from screens.about import about_tab, tour
from screens.api import endpoints
from screens.compare import Compare
from screens.many import Many
from screens.page import SENTENCES, Page, default_open, on_space
from screens.results import results_tab
from screens.saved import saved_line
from screens.scene import scene_tab
from screens.theme import CSS, HEAD, THEME
from tinyrs.config import Config
from tinyrs.engine import Engine
from tinyrs.guard import Guard
from tinyrs.models import ModelSpec
from tinyrs.models import resolve as resolve_model


def build(
    config: Config | None = None,
    *,
    pair: tuple[str, str] | None = None,
    open_engine: Callable[[ModelSpec], Engine] | None = None,
    resolve: Callable[[str], ModelSpec] | None = None,
    store: Store | None = None,
    people: People | None = None,
    keeper: Keeper | None = None,
) -> gr.Blocks:
    """The page. `pair`, `open_engine` and `resolve` replace the models that answer (tests, other programs);
    `people` says how visitors are known, `keeper` saves what they write beside this machine's disk."""
    config = config or Config()
    people = people or here(config)
    if store is None:
        # On a laptop one person corrects and accepts; where strangers meet, somebody else has to review.
        config.data.mkdir(parents=True, exist_ok=True)
        store = Store(config.database, self_review=people.alone)
    page = Page(config, pair, open_engine or default_open, resolve or resolve_model, store, people)
    with gr.Blocks(title="TinyRS", analytics_enabled=False, delete_cache=(3600, 86400)) as demo:
        gr.HTML(
            '<header class="masthead"><h1>TinyRS</h1><p>Ask two small models about a satellite picture: '
            "one answers, one reasons first.</p></header>"
        )
        saved_line(demo, keeper, wiped=on_space())
        tour()
        with gr.Tabs(overflow_behavior="wrap"):
            with gr.Tab("Compare", id="compare"):
                compared = Compare(demo, page)
            with gr.Tab("Ask many", id="many"):
                Many(demo, page, compared.state)
            with gr.Tab("Scene", id="scene"):
                scene_tab(demo, page)
            with gr.Tab("Annotate", id="annotate") as tab:
                annotate_tab(demo, store, tab, people=people)
            with gr.Tab("Review", id="review") as tab:
                review_tab(demo, store, tab, people=people)
            with gr.Tab("Results", id="results-tab") as tab:
                results_tab(page, tab)
            with gr.Tab("About", id="about-tab") as tab:
                about_tab(page, tab)
        endpoints(page)
    demo.page = page
    demo.queue(max_size=config.queue_size, default_concurrency_limit=8, api_open=False)
    return demo


def launch(demo: gr.Blocks, *, host: str | None = None, port: int | None = None, quiet: bool = False):
    """Serve the page without blocking; returns Gradio's (app, local address, share address)."""
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
        theme=THEME,
        css=CSS,
        head=HEAD,
        footer_links=[],
        app_kwargs={"middleware": [Middleware(Guard)]},
    )


def main(argv: list[str] | None = None) -> None:
    """Serve the page until interrupted."""
    parser = argparse.ArgumentParser(prog="app.py", description="Ask two models about one satellite picture.")
    parser.add_argument("--pair", help="names of the two models, with a comma: pocket,pocket-r1")
    parser.add_argument("--host", help="address to listen on (127.0.0.1; 0.0.0.0 for everybody)")
    parser.add_argument("--port", type=int, help="port to listen on (7860)")
    args = parser.parse_args(argv)
    pair = tuple(name.strip() for name in args.pair.split(",")) if args.pair else None
    if pair and len(pair) != 2:
        parser.error("--pair takes two names with a comma between them, such as pocket,pocket-r1")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        for name in pair or Config().pair:
            resolve_model(name)
        config = Config()
        keeper = at_start(config)
        demo = build(config, pair=pair, people=here(config, args.host), keeper=keeper)
    except SENTENCES as error:
        parser.exit(2, f"{error}\n")
    launch(demo, host=args.host, port=args.port)
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
