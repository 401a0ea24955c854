"""The About tab: which models answer, what they were measured at, what they cannot do, what is stored; and the tour."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import gradio as gr

from annotate.store import StoreError
from annotate.votes import tally
from screens.page import Page
from screens.votes import sentence as votes_in_words
from tinyrs.models import ModelSpec, UnknownModel
from tinyrs.render import escape
from tinyrs.results import title

STEPS = (
    ("#pick", "Choose a picture from above, or take one of the examples."),
    ("#question", "Ask something. The links below the field are questions in the form that the models know best."),
    ("#ask", "Both models answer at once: A straight away, B after reasoning."),
    (".sides", "Compare. Say which was better, or flag what is wrong: flagged answers are corrected and train the next model."),
)  # fmt: skip
"""The tour: what is pointed at, and one sentence about it."""


def tour() -> None:
    """A strip for the first visit; screens/page.js shows it, step by step, until it was finished or dismissed."""
    steps = "".join(f'<li data-target="{escape(target)}">{escape(said)}</li>' for target, said in STEPS)
    gr.HTML(
        f'<section id="tour" aria-label="First steps" hidden><ol>{steps}</ol>'
        '<p class="tour-do"><span class="tour-at" aria-live="polite"></span>'
        '<button type="button" class="tour-next">Next</button>'
        '<button type="button" class="tour-close">Skip the tour</button></p></section>'
    )


def about_tab(page: Page, tab: gr.Tab) -> None:
    """Build the tab inside the current `gr.Tab`; the votes are counted anew whenever somebody comes to it."""
    text = gr.HTML(about(page), elem_id="about")
    tab.select(
        partial(about, page), None, text, api_name="about", api_visibility="private", queue=False,
        show_progress="hidden",
    )  # fmt: skip


def about(page: Page) -> str:
    """The whole tab as HTML."""
    models = []
    for name in page.pair:
        try:
            models.append(model(page.resolve(name)))
        except UnknownModel as error:
            models.append(f'<article><h3>{escape(name)}</h3><p class="error">{escape(error)}</p></article>')
    return (
        '<div class="about-page"><h2>Which models answer</h2>'
        f"<p>The page opens with two models. {escape(page.why)} Nothing you ask leaves this server unless a model is the address of another one.</p>"
        f'<div class="about-models">{"".join(models)}</div>'
        f"<h2>What people say</h2>{_votes(page)}"
        "<h2>What they cannot do</h2><ul>"
        "<li>They are often wrong, and sound sure when they are. The reasoning is text that was trained to look like "
        "reasoning: it may not be how the answer came about.</li>"
        "<li>They see a picture made small. What is only a few pixels wide after that cannot be found or counted; the Scene "
        "tab says how small.</li>"
        "<li>They know the kinds of scene and object that they were trained on, and answer with one of those when they see "
        "something else.</li>"
        "<li>They know neither date nor place of a picture, and were not measured on emergency, military or medical "
        "questions: do not decide by them.</li></ul>"
        "<h2>What is stored</h2><ul>"
        "<li>An upload is deleted within a day. Questions and answers are forgotten when the page is closed.</li>"
        "<li>Only a flag, a vote, or “Keep and share link” stores a comparison: the picture, the question, both answers, "
        "and a name for you that is made of your network address and cannot be turned back into it, or your login.</li>"
        "<li>Whoever has the link to a kept comparison can see it. No analytics, no other host, no history of runs.</li></ul>"
        '<p><button type="button" class="copy" id="tour-again">Show the first steps again</button></p></div>'
    )


def model(spec: ModelSpec) -> str:
    """One model: what it is, how it answers, and every number that was measured."""
    how = "Reasons first, then answers." if spec.thinking else "Answers at once."
    rows = "".join(
        _measured(name, told) for name, told in (spec.measured or {}).items() if isinstance(told, Mapping)
    )
    table = '<p class="fine">Nobody has measured it here.</p>'
    if rows:
        table = (
            '<div class="scroll" tabindex="0" role="region" aria-label="Measurements"><table><thead><tr><th scope="col">'
            'Benchmark</th><th scope="col">n</th><th scope="col">right</th><th scope="col">95 % interval</th>'
            f'<th scope="col">commonest answer</th></tr></thead><tbody>{rows}</tbody></table></div>'
        )
    return f"<article><h3>{escape(spec.name)}</h3><p>{escape(spec.about)} {how}</p>{table}</article>"


def _measured(name: str, told: Mapping) -> str:
    interval = told.get("strict_interval")
    span = f"{_per_cent(interval[0])} to {_per_cent(interval[1])}" if _pair(interval) else "–"
    n = told.get("n")
    cells = (
        n if isinstance(n, int) else "–",
        _per_cent(told.get("strict")),
        span,
        _per_cent(told.get("majority")),
    )
    return f'<tr><th scope="row">{escape(title(str(name)))}</th>{"".join(f"<td>{escape(c)}</td>" for c in cells)}</tr>'


def _pair(value: object) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2


def _per_cent(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "–"
    return f"{100 * value:.1f} %"


def _votes(page: Page) -> str:
    one, two = page.pair
    said = []
    try:
        for about in ("answer", "reasoning"):
            for blind, which in ((True, "blind"), (False, "names shown")):
                counted = tally(page.store, one, two, about=about, blind=blind)
                if counted.total:
                    words = votes_in_words(counted, one)
                    said.append(f"<li>Votes on the {about}, {which}: {escape(words)}</li>")
    except StoreError as error:
        return f'<p class="error">{escape(error)}</p>'
    return f"<ul>{''.join(said)}</ul>" if said else "<p>Nobody has voted on these two models yet.</p>"
