"""The log of a picture in the Compare tab: what was asked about it before, each line one click away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from screens.page import Sentence
from tinyrs import render
from tinyrs.shown import LONGEST_LOG, SIDES, Shown
from tinyrs.suggestions import KINDS

if TYPE_CHECKING:
    from screens.compare import Compare


class Talk:
    """A part of the Compare tab: the earlier questions about this picture."""

    def __init__(self, tab: Compare):
        self.tab = tab
        self.log = gr.Dataset(
            label="Asked before about this picture",
            components=[gr.Textbox(render=False) for _ in range(3)],
            headers=["Question", "A said", "B said"],
            samples=[],
            samples_per_page=LONGEST_LOG,
            type="index",
            visible=False,
            elem_id="talk",
        )
        self.outputs = [self.log]

    def connect(self, told, asking, loading) -> None:
        """A click brings an exchange back."""
        self.log.click(
            told(self.bring_back), [self.tab.state, self.log], self.tab.outputs, api_name="bring_back",
            api_visibility="private", queue=False, show_progress="hidden",
        )  # fmt: skip

    def after(self, shown: Shown) -> dict:
        """One line for each earlier question, oldest first."""
        return {
            self.log: gr.Dataset(samples=[line(one) for one in shown.earlier], visible=bool(shown.earlier))
        }

    def bring_back(self, shown: Shown | None, index: int, request: gr.Request):
        self.tab.idle(request)
        if shown is None or not isinstance(index, int) or not 0 <= index < len(shown.earlier):
            raise Sentence("That line is no longer there.")
        shown = shown.back(index)
        kind = shown.question.task.value
        return {
            **self.tab.paint(shown),
            self.tab.question: shown.question.text,
            self.tab.kind: kind if kind in KINDS.values() else "any",
        }


def line(shown: Shown) -> list[str]:
    """An exchange as a row of the log: question, what A said, what B said."""
    said = [shown.answers[side].text if side in shown.answers else "" for side in SIDES]
    return [shown.question.text, *(render.plain(text) or "no answer" for text in said)]
