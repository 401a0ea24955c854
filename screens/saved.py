"""The line under the title that says how safe is what people write here: saved when, or not persisted.

It asks the keeper itself every so often, so it also tells when the thread that saves has died.
"""

from __future__ import annotations

import gradio as gr

from annotate import markup
from annotate.keeper import Keeper

EVERY = 20
"""Seconds between two looks."""


def saved_line(demo: gr.Blocks, keeper: Keeper | None, wiped: bool) -> None:
    """Build the line; `wiped`: this machine's disk does not outlive a restart."""

    def look() -> str:
        return markup.saved(keeper.status() if keeper else None, wiped)

    if keeper is None and not wiped:
        return  # a laptop: the file is where it was put
    line = gr.HTML(look(), elem_id="saved")
    quick = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    demo.load(look, None, line, api_name="saved", **quick)
    if keeper:
        gr.Timer(EVERY).tick(look, None, line, api_name="saved_now", **quick)
