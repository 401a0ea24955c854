"""What stands on a tab that works on captions: who is there, the caption with its picture, and the fields to correct it in."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr

from annotate import markup, rules
from annotate.people import LOGIN, People
from tinyrs import render
from tinyrs.example import BOX_SCALE

# Orders of page.js come in through here, one at a time.
_LISTEN = "element.addEventListener('order', (event) => trigger('submit', event.detail));"


def layout(people: People, key: str, review: bool) -> SimpleNamespace:
    """Draw it; `key` begins every elem_id, `review` is the tab of those who judge what others wrote."""
    item = gr.State(None)
    done = gr.State(0)
    with gr.Row(elem_classes="who"):
        name = gr.Textbox(
            label="Your name",
            placeholder="Stored with your corrections",
            max_length=100,
            scale=2,
            elem_id=f"{key}annotator",
            visible=people.alone,
        )
        if people.way == "hub":
            gr.LoginButton(size="md", elem_id=f"{key}login", min_width=200)
        badge = gr.HTML("", elem_id=f"{key}person", visible=not people.alone)
        begin = gr.Button("Next caption", elem_id=f"{key}next", elem_classes="do-next", size="md", min_width=140)
        progress = gr.HTML("", elem_id=f"{key}progress")
    notice = gr.HTML("", elem_id=f"{key}annotate-notice")
    empty = gr.HTML(nothing_open("" if people.alone else LOGIN, review), elem_id=f"{key}annotate-empty", elem_classes="no-caption")
    orders = gr.HTML("", elem_id=f"{key}orders", elem_classes="orders", js_on_load=_LISTEN)
    with gr.Row(visible=False, elem_id=f"{key}caption", elem_classes="work") as body:
        with gr.Column(scale=5, min_width=320, elem_classes="sight"):
            viewer = gr.HTML("", elem_id=f"{key}annotate-viewer", elem_classes="canvas")
            gr.HTML(markup.tools(), elem_classes="toolbox")
            layers = gr.HTML("", elem_id=f"{key}annotate-layers", elem_classes="layers")
            why = gr.HTML("")
        with gr.Column(scale=7, min_width=320, elem_classes="pane"):
            asked = gr.HTML("", elem_id=f"{key}asked")
            theirs = gr.HTML("", elem_id=f"{key}conflict")
            steps = gr.HTML("", elem_id=f"{key}steps", elem_classes="steps-box")
            more = gr.HTML("", elem_id=f"{key}beside", visible=review)
            reasoning = gr.Textbox(
                label="Reasoning, one step a line", lines=5, max_lines=18,
                max_length=rules.LONGEST["reasoning"], elem_id=f"{key}edit-reasoning", elem_classes="edit-reasoning",
            )  # fmt: skip
            answer = gr.Textbox(
                label="Answer",
                info=f"A box is written [[x1,y1,x2,y2]], from 0 to {BOX_SCALE} of the picture's width and height.",
                lines=1,
                max_lines=6,
                max_length=rules.LONGEST["answer"],
                elem_id=f"{key}edit-answer",
                elem_classes="edit-answer",
            )
            with gr.Row(elem_classes="corners", elem_id=f"{key}corners") as box_fields:
                corners = [
                    gr.Number(
                        label=label, precision=0, minimum=0, maximum=BOX_SCALE, min_width=70, elem_id=f"{key}edit-{side}"
                    )
                    for side, label in (("x1", "Left"), ("y1", "Top"), ("x2", "Right"), ("y2", "Bottom"))
                ]  # fmt: skip
            check = gr.HTML("", elem_id=f"{key}check")
            with gr.Row(elem_classes="actions"):
                button = {
                    verb: gr.Button(
                        verb.capitalize(), variant="primary" if verb == "accept" else "secondary", size="md",
                        elem_id=f"{key}{verb}", elem_classes=f"do-{verb}", min_width=80,
                    )
                    for verb in ("accept", "save", "reject", "skip", *(() if review else ("gold",)))
                }  # fmt: skip
            gr.HTML(markup.keys(), elem_classes="help")

    return SimpleNamespace(
        item=item, done=done, name=name, badge=badge, begin=begin, progress=progress, notice=notice,
        empty=empty, orders=orders, body=body, viewer=viewer, layers=layers, why=why, asked=asked,
        theirs=theirs, steps=steps, more=more, reasoning=reasoning, answer=answer, box_fields=box_fields,
        corners=corners, check=check, button=button,
    )  # fmt: skip


def nothing_open(sentence: str, review: bool, named: bool = False) -> str:
    """What stands there while no caption is open: `sentence`, or what to do; `named`: the person is known."""
    hint = "press Next caption to " + ("judge what others wrote." if review else "correct it.")
    hint = hint if named else f"write your name and {hint}"
    first = "Corrected captions wait here; " if review else "Flag an answer in the Compare tab; "
    return f'<p class="notice info">{render.escape(sentence or first + hint)}</p>'
