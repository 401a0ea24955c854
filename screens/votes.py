"""Votes in the Compare tab: which answer, and which reasoning, was better; blind until the vote if so chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import gradio as gr

from annotate.store import Store
from annotate.votes import Tally, tally
from screens.page import Sentence, new_key
from tinyrs import render
from tinyrs.shown import SIDES, Shown

if TYPE_CHECKING:
    from screens.compare import Compare

CHOICES = [
    ("A is better", "A"),
    ("B is better", "B"),
    ("As good as each other", "tie"),
    ("Both are bad", "neither"),
]


class Votes:
    """A part of the Compare tab: the questions to the person, and what all votes say so far."""

    def __init__(self, tab: Compare):
        self.tab, self.page = tab, tab.page
        with gr.Column(visible=False, elem_classes="pane", elem_id="votes") as self.panel:
            self.answer = gr.Radio(
                CHOICES, label="Which answer is better?", elem_classes="chips", elem_id="vote-answer"
            )
            self.reasoning = gr.Radio(
                CHOICES, label="Whose reasoning is better?", elem_classes="chips", elem_id="vote-reasoning",
                visible=False,
            )  # fmt: skip
            self.reveal = gr.Button(
                "Show which is which without voting", size="sm", elem_id="reveal", visible=False
            )
            self.said = gr.HTML("", elem_id="voted")
            gr.HTML('<p class="fine">A vote stores this comparison and its picture.</p>')
        self.outputs = [self.panel, self.answer, self.reasoning, self.reveal, self.said]

    def connect(self, told, asking, loading) -> None:
        """A choice is a vote at once; another choice replaces it."""
        quick = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
        tab = self.tab
        self.voted = self.answer.input(
            told(self.vote_answer),
            [tab.state, self.answer, tab.key],
            tab.outputs,
            api_name="vote_answer",
            **quick,
        )
        self.reasoning.input(
            told(self.vote_reasoning),
            [tab.state, self.reasoning, tab.key],
            tab.outputs,
            api_name="vote_reasoning",
            **quick,
        )
        self.revealed = self.reveal.click(told(self.show), tab.state, tab.outputs, api_name="reveal", **quick)

    def after(self, shown: Shown) -> dict:
        """An empty vote, once both sides have answered."""
        both = all(side in shown.replies and not shown.errors.get(side) for side in SIDES)
        return {
            self.panel: gr.update(visible=shown.asked and both),
            self.answer: gr.update(value=None),
            self.reasoning: about_reasoning(shown),
            self.reveal: gr.update(visible=shown.blind),
            self.said: "",
        }

    def vote_answer(self, shown: Shown | None, choice: str, request: gr.Request, key: str = ""):
        return self._vote(shown, "answer", choice, request, key)

    def vote_reasoning(self, shown: Shown | None, choice: str, request: gr.Request, key: str = ""):
        return self._vote(shown, "reasoning", choice, request, key)

    def _vote(self, shown: Shown | None, about: str, choice: str, request: gr.Request, key: str) -> dict:
        if shown is None or not shown.asked or not all(side in shown.replies for side in SIDES):
            raise Sentence("Ask something first; then its answers can be compared.")
        author, blind, key = self.page.visitor(request), shown.blind, key or new_key()
        holder = self.page.holder(request, key)
        shown = self.page.keep(shown, author, holder)
        self.page.store.add_vote(shown.run, choice, author=author, about=about, blind=blind, holder=holder)
        update = {self.tab.state: shown, self.tab.key: key}
        if blind:
            update |= {**self.show(shown), self.answer: gr.update(value=choice)}
        return {**update, self.said: said(self.page.store, update[self.tab.state], about, blind)}

    def show(self, shown: Shown | None) -> dict:
        """Which is which, for somebody who has voted or does not want to."""
        if shown is None:
            raise Sentence("Ask something first; then its answers can be compared.")
        return self.tab.paint(replace(shown, blind=False))


def about_reasoning(shown: Shown) -> dict:
    """The question about the reasoning, as far as there is any to be seen."""
    thinkers = [side for side in SIDES if side in shown.answers and shown.answers[side].reasoning]
    if shown.blind or not thinkers:
        return gr.update(visible=False, value=None)
    if len(thinkers) == 2:
        return gr.update(visible=True, value=None, choices=CHOICES, label="Whose reasoning is better?")
    (side,) = thinkers
    choices = [("Yes", side), ("No", "neither")]
    return gr.update(visible=True, value=None, choices=choices, label=f"Is the reasoning of {side} sound?")


def said(store: Store, shown: Shown, about: str, blind: bool) -> str:
    """Thanks, and what all votes on these two models say so far."""
    one, two = (shown.models[side] for side in SIDES)
    names = f"A is {render.escape(one)}, B is {render.escape(two)}." if blind else ""
    lines = [f'<p class="notice good" role="status">Thank you, your vote is kept. {names}</p>']
    for hidden, which in ((True, "Blind votes"), (False, "Votes with names shown")):
        counted = tally(store, one, two, about=about, blind=hidden)
        if counted.total:
            lines.append(
                f'<p class="fine">{which} on the {about}: {render.escape(sentence(counted, one))}</p>'
            )
    return "".join(lines)


def sentence(counted: Tally, one: str) -> str:
    """A tally in words: how often `one` won, with the 95 % interval and what was left undecided."""
    rest = f"{counted.ties} as good, {counted.neither} both bad"
    if not counted.decided:
        return f"none decided yet; {rest}."
    low, high = counted.interval
    unsure = "" if low > 0.5 or high < 0.5 else " That does not tell the two apart."
    return (
        f"{one} won {counted.wins[0]} of {counted.decided} ({counted.share:.0%}, 95 % interval {low:.0%} to {high:.0%}); "
        f"{rest}.{unsure}"
    )
