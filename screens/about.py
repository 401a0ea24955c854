"""The About tab: which models answer, what they were measured at, what they cannot do, what is stored; and the tour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import gradio as gr

from annotate.store import StoreError
from annotate.votes import tally
from screens.page import Page, told
from screens.votes import sentence as votes_in_words
from tinyrs.models import ModelSpec, UnknownModel
from tinyrs.render import escape, notice
from tinyrs.results import title
from tinyrs.shown import Shown

if TYPE_CHECKING:
    from screens.compare import Compare

FOCUS = "() => setTimeout(() => document.querySelector('#delete-no')?.focus(), 150)"

STEPS = (
    ("#pick", "Choose a satellite picture, drop or paste one, or take one of the examples."),
    ("#question", "Ask something. The links below the field are questions in the words that the models know best."),
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


def about_tab(page: Page, tab: gr.Tab, compared: Compare) -> None:
    """Build the tab inside the current `gr.Tab`; what is counted is counted anew whenever somebody comes to it.

    `compared` holds the key by which a visitor's things are found, and shows a comparison that may be among them.
    """
    text = gr.HTML(about(page), elem_id="about")
    with gr.Column(elem_classes="pane", elem_id="mine"):
        said = gr.HTML(held({}), elem_id="held")
        delete = gr.Button("Delete all of it", size="md", visible=False, elem_id="delete")
        with gr.Row(visible=False, elem_classes="actions") as sure:
            yes = gr.Button("Yes, delete it for good", variant="stop", size="md", elem_id="delete-yes")
            no = gr.Button("Keep it", size="md", elem_id="delete-no")
    gr.HTML(
        '<p class="about-end"><button type="button" class="copy" id="tour-again">Show the first steps again</button></p>'
    )

    def look(key: str, request: gr.Request) -> dict:
        found = page.store.held(page.holder(request, key))
        return {
            said: held(found),
            delete: gr.update(visible=any(found.values())),
            sure: gr.update(visible=False),
        }

    def arrive(key: str, request: gr.Request) -> dict:
        return {text: about(page), **look(key, request)}

    def ask(key: str, request: gr.Request) -> dict:
        found = page.store.held(page.holder(request, key))
        return {
            said: held(found, "ask"),
            delete: gr.update(visible=False),
            sure: gr.update(visible=any(found.values())),
        }

    def forget(key: str, shown: Shown | None, request: gr.Request) -> dict:
        gone = page.store.delete_held(page.holder(request, key))
        done = {
            said: held(gone, "done"),
            delete: gr.update(visible=False),
            sure: gr.update(visible=False),
        }
        shown = shown and replace(shown, run="")
        return {**done, text: about(page), compared.state: shown, compared.link: ""}

    quick = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    mine = [said, delete, sure]
    tab.select(told(said, arrive), compared.key, [text, *mine], api_name="about", **quick)
    delete.click(told(said, ask), compared.key, mine, api_name="delete_ask", **quick).then(
        None, js=FOCUS, api_name="delete_focus", api_visibility="private"
    )
    no.click(told(said, look), compared.key, mine, api_name="delete_no", **quick)
    yes.click(
        told(said, forget), [compared.key, compared.state], [text, *mine, compared.state, compared.link],
        api_name="delete_yes", **quick,
    )  # fmt: skip


def held(found: Mapping[str, int], state: str = "") -> str:
    """What this visitor has stored, in a sentence; `state`: "ask" before it is deleted, "done" after that."""
    words = {"runs": "comparison", "flags": "flag", "votes": "vote"}
    counts = ", ".join(f"{n} {words[name]}{'s' * (n != 1)}" for name, n in found.items() if n)
    if not counts:
        said = '<p class="fine">Nothing is stored from this browser or by this login.</p>'
    elif state == "ask":
        said = notice(f"Delete {counts} for good? Nobody can bring that back.")
    elif state == "done":
        said = notice(f"Deleted: {counts}. The questions, notes, answers and pictures are gone.", "good")
    else:
        said = f"<p>From this browser, or by this login: {escape(counts)}.</p>"
    return f"<h2>What you have stored</h2>{said}"


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
        "<li>Whoever has the link to a kept comparison can see it. No analytics, no other host, no history of runs.</li>"
        "<li>You can delete it below, from the browser or with the login that stored it (a program does it by its receipt): the words and the picture go, also "
        "from the queue and from every later export; that something was there, and the picture’s checksum, stay. A text that "
        "was exported before, or lies in a backup, is not reached.</li></ul></div>"
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
