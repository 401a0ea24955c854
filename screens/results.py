"""The Results tab: how good the models were measured to be, beside chance, the majority answer and the paper."""

from __future__ import annotations

import gradio as gr

from screens import results_markup
from screens.page import Page
from tinyrs.models import UnknownModel
from tinyrs.results import Results, measured_rows, read_results


def results_tab(page: Page, tab: gr.Tab) -> None:
    """Build the tab inside the current `gr.Tab`; the folder is read anew whenever somebody comes to it."""
    shown = gr.HTML(_shown(page), elem_id="results")

    def show_results() -> str:
        return _shown(page)

    tab.select(
        show_results,
        None,
        shown,
        api_name="results",
        api_visibility="private",
        queue=False,
        show_progress="hidden",
    )


def _shown(page: Page) -> str:
    models = []
    for name in page.pair:
        try:
            models.append((name, page.resolve(name).measured))
        except UnknownModel:
            continue  # the Compare tab says so
    folder = page.config.results
    found = read_results(folder) if folder and folder.is_dir() else Results()
    return results_markup.page(measured_rows(models), found)
