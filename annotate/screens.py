"""The Annotate tab: the next flagged caption, its picture and boxes, and the fields to correct it in.

First version: one caption at a time, reasoning with one step a line, answer, box. What may be accepted is what
annotate/rules.py's `caption_problems` finds nothing wrong with, shown while the person types. Every handler
that writes asks `author` first: a hidden button is no lock, the endpoint behind it can be called by anybody.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache, wraps

import gradio as gr

from annotate import queue, rules
from annotate.store import Conflict, Store, StoreError
from tinyrs import render
from tinyrs.example import BOX_SCALE, Box, Task
from tinyrs.image import BadImage, open_picture
from tinyrs.metrics import iou
from tinyrs.parse import boxes as read_boxes

log = logging.getLogger("tinyrs.annotate")

LOGIN = "Corrections need a login on this public page; flags do not."
NAMELESS = "Write your name first: it is stored with every correction."
FAILED = "Something went wrong on the server. It was logged; your text is still in the fields."
_NOTATION = re.compile(r"\[\s*\[[^a-zA-Z]*?\]\s*\]")


# The numbers follow the answer in the browser itself, but never while one of them is being typed. They are only
# a view: what a box is, tinyrs.parse says, in the check line and when saving.
_FOLLOW = r"""(text, ...numbers) => {
    if (document.activeElement?.closest("#corners")) return numbers;
    const box = /\[\s*\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\]/.exec(text || "");
    return box ? box.slice(1).map(Number) : [null, null, null, null];
}"""


def author(request: gr.Request | None, typed: str, public: bool) -> str:
    """Who is writing. Where strangers meet (`public`) only a login counts; elsewhere a plain name will do.

    Raises Refused with a sentence when that person may not write.
    """
    if request is not None and request.username:
        return rules.person(request.username)
    if public:
        raise rules.Refused(LOGIN)
    if not (typed or "").strip():
        raise rules.Refused(NAMELESS)
    return rules.person(typed)


def put_box(answer: str, box: str) -> str:
    """`answer` with its first box notation replaced by `box`; with `box` after it when it had none."""
    if _NOTATION.search(answer):
        return _NOTATION.sub(lambda _: box, answer, count=1)
    return f"{answer.rstrip()} {box}".strip()


def annotate_tab(demo: gr.Blocks, store: Store, tab: gr.Tab, *, public: bool) -> None:
    """Build the tab inside the current `gr.Tab`; `public`: strangers can reach this page."""
    item = gr.State(None)
    done = gr.State(0)
    remembered = gr.BrowserState("", storage_key="tinyrs-annotator", secret="a name is no secret")
    with gr.Row(elem_classes="who"):
        name = gr.Textbox(
            label="Your name",
            placeholder="Stored with your corrections",
            max_length=100,
            scale=2,
            elem_id="annotator",
        )
        begin = gr.Button("Next caption", elem_id="next", size="md", min_width=140)
        progress = gr.HTML("", elem_id="progress")
    notice = gr.HTML("", elem_id="annotate-notice")
    empty = gr.HTML(_empty(LOGIN if public else ""), elem_id="annotate-empty")
    with gr.Row(visible=False, elem_id="caption") as body:
        with gr.Column(scale=5, min_width=320):
            viewer = gr.HTML("", elem_id="annotate-viewer")
            why = gr.HTML("")
        with gr.Column(scale=7, min_width=320, elem_classes="pane"):
            asked = gr.HTML("", elem_id="asked")
            theirs = gr.HTML("", elem_id="conflict")
            reasoning = gr.Textbox(
                label="Reasoning, one step a line", lines=7, max_lines=18,
                max_length=rules.LONGEST["reasoning"], elem_id="edit-reasoning",
            )  # fmt: skip
            answer = gr.Textbox(
                label="Answer",
                info=f"A box is written [[x1,y1,x2,y2]], from 0 to {BOX_SCALE} of the picture's width and height.",
                lines=1,
                max_lines=6,
                max_length=rules.LONGEST["answer"],
                elem_id="edit-answer",
            )
            with gr.Row(elem_classes="corners", elem_id="corners") as box_fields:
                corners = [
                    gr.Number(label=label, precision=0, minimum=0, maximum=BOX_SCALE, min_width=70, elem_id=f"edit-{key}")
                    for key, label in (("x1", "Left"), ("y1", "Top"), ("x2", "Right"), ("y2", "Bottom"))
                ]  # fmt: skip
            check = gr.HTML("", elem_id="check")
            with gr.Row(elem_classes="actions"):
                accept = gr.Button("Accept", variant="primary", size="md", elem_id="accept", min_width=90)
                save = gr.Button("Save", size="md", elem_id="save", min_width=90)
                reject = gr.Button("Reject", size="md", elem_id="reject", min_width=90)
                skip = gr.Button("Skip", size="md", elem_id="skip", min_width=90)

    fields = [reasoning, answer]
    drawn = [check, viewer]
    everything = [
        item, done, notice, progress, empty, body, viewer, why, asked, theirs, reasoning, answer, box_fields,
        *corners, check,
    ]  # fmt: skip

    def told(handler):
        """Any error becomes a sentence; a Conflict also shows the other person's text."""

        @wraps(handler)
        def safe(*args):
            try:
                return {notice: "", theirs: "", **handler(*args)}
            except Conflict as error:
                return _conflicted(error, args[0])
            except (StoreError, BadImage) as error:
                return {notice: render.notice(str(error))}
            except Exception as error:
                log.error("A handler failed.", exc_info=error)
                return {notice: render.notice(FAILED)}

        return safe

    def _conflicted(error: Conflict, caption: dict) -> dict:
        other = error.other
        return {
            item: {**caption, "revision": other},
            theirs: render.conflict(other["author"], other["reasoning"], other["answer"]),
            notice: "",
        }

    def paint(caption: dict | None, finished: int, said: str = "") -> dict:
        waiting = sum(queue.left(store).values())
        update = {
            item: caption,
            done: finished,
            notice: render.notice(said, "good"),
            progress: render.progress(waiting, finished),
            empty: "" if caption else _empty(_nothing(waiting)),
            body: gr.update(visible=caption is not None),
        }
        if caption is None:
            return update
        revision = caption["revision"]
        steps = "\n".join(line.strip() for line in revision["reasoning"].splitlines() if line.strip())
        boxed = caption["question"].task is Task.GROUNDING or bool(revision["boxes"])
        return {
            **update,
            why: render.flags(caption["flags"]),
            asked: render.asked(caption["question"].text, caption["question"].task.value),
            reasoning: render.plain(steps),
            answer: render.plain(revision["answer"]),
            box_fields: gr.update(visible=boxed),
            **dict(zip(corners, _numbers(revision["boxes"]))),
            **look(caption, steps, revision["answer"]),
        }

    def look(caption: dict, steps: str, words: str) -> dict:
        """The picture with the model's and the person's boxes, and the check of the text."""
        problems = rules.caption_problems(caption["question"], steps, words)
        now, first = read_boxes(words), _first(store, caption)["boxes"]
        overlap = iou(first[0], now[0]) if first and now else None
        return {
            check: render.check_line(problems, len(now), overlap),
            viewer: _picture(store, caption, now, first),
        }

    def take(person: str, finished: int, said: str = "") -> dict:
        caption = queue.next_to_annotate(store, person) or queue.next_to_review(store, person)
        return paint(caption, finished, said)

    def open_next(caption: dict | None, typed: str, finished: int, request: gr.Request):
        person = author(request, typed, public)
        return {**take(person, finished), remembered: person}

    def arrive(caption: dict | None, typed: str, finished: int, request: gr.Request):
        """The tab was opened: show the next caption, unless one is being edited or nobody said who is there."""
        update = {progress: render.progress(sum(queue.left(store).values()), finished)}
        try:
            person = author(request, typed, public)
        except rules.Refused:
            return update
        return update if caption else {**update, **take(person, finished)}

    def draft(caption: dict | None, steps: str, words: str):
        return {check: ""} if caption is None else look(caption, steps or "", words or "")

    def draft_corner(caption: dict | None, steps: str, words: str, which: int, *numbers: float | None):
        steps, words = steps or "", words or ""
        # The other corners are those of the answer: the fields beside this one may lag behind it.
        found = read_boxes(words)
        sides = found[0].corners() if found else list(numbers)
        sides[which] = numbers[which]
        if caption is None or any(side is None for side in sides):
            return {}
        words = put_box(words, "[[" + ",".join(str(round(side)) for side in sides) + "]]")
        return {**look(caption, steps, words), answer: words}

    def store_text(caption: dict, steps: str, words: str, person: str) -> int:
        """Save what is in the fields when it differs from the revision they were filled from; its id."""
        # An emptied field arrives as None.
        steps, words = steps or "", words or ""
        revision = caption["revision"]
        if (_lines(steps), words.strip()) == (_lines(revision["reasoning"]), revision["answer"].strip()):
            return revision["id"]
        return store.save_correction(revision["id"], reasoning=steps, answer=words, author=person)

    def save_it(caption: dict | None, typed: str, finished: int, steps: str, words: str, request: gr.Request):
        person = author(request, typed, public)
        revision = store_text(_held(caption), steps, words, person)
        if revision == caption["revision"]["id"]:
            return {notice: render.notice("Nothing was changed, so nothing was saved.", "info")}
        said = "Saved. Accept it when it is right, or go on editing."
        return {item: store.caption(caption["id"]), notice: render.notice(said, "good")}

    def accept_it(
        caption: dict | None, typed: str, finished: int, steps: str, words: str, request: gr.Request
    ):
        person = author(request, typed, public)
        problems = rules.caption_problems(_held(caption)["question"], steps or "", words or "")
        if problems:
            raise rules.Refused("This cannot be accepted yet: " + " ".join(problems))
        revision = store_text(caption, steps, words, person)
        try:
            store.add_review(revision, "accept", author=person)
            said = "Accepted: it goes into the next export."
        except rules.Refused as refused:
            if revision == caption["revision"]["id"]:
                raise
            said = f"Saved. {refused}"
        queue.release(store, caption["id"], person)
        return take(person, finished + 1, said)

    def reject_it(caption: dict | None, typed: str, finished: int, request: gr.Request):
        person = author(request, typed, public)
        store.add_review(_held(caption)["revision"]["id"], "reject", author=person)
        queue.release(store, caption["id"], person)
        return take(person, finished + 1, "Rejected: it will not be exported.")

    def skip_it(caption: dict | None, typed: str, finished: int, request: gr.Request):
        person = author(request, typed, public)
        queue.skip(store, _held(caption)["id"], person)
        return take(person, finished)

    def recall_name(saved: str, typed: str):
        return saved if saved and isinstance(saved, str) and not typed else gr.skip()

    quick = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    live = {**quick, "trigger_mode": "always_last"}
    start = [item, name, done]
    demo.load(recall_name, [remembered, name], name, api_name="annotator", **quick)
    tab.select(told(arrive), start, everything, api_name="annotate", **quick)
    gr.on(
        [begin.click, name.submit],
        told(open_next),
        start,
        [*everything, remembered],
        api_name="next_caption",
        **quick,
    )
    # Not .input: Gradio's text fields send that for keys that type a character, not for deleting or pasting.
    gr.on([reasoning.change, answer.change], draft, [item, *fields], drawn, api_name="check", **live)
    answer.change(
        None, [answer, *corners], corners, js=_FOLLOW, api_name="check_box", api_visibility="private"
    )
    for which, corner in enumerate(corners):
        index = gr.State(which)
        corner.input(
            draft_corner,
            [item, *fields, index, *corners],
            [*drawn, answer],
            api_name=f"check_corner_{which}",
            **live,
        )
    save.click(told(save_it), [*start, *fields], everything, api_name="save", **quick)
    accept.click(told(accept_it), [*start, *fields], everything, api_name="accept", **quick)
    reject.click(told(reject_it), start, everything, api_name="reject", **quick)
    skip.click(told(skip_it), start, everything, api_name="skip", **quick)


def _held(caption: dict | None) -> dict:
    if caption is None:
        raise rules.Refused("No caption is open: press Next caption.")
    return caption


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _numbers(boxes: tuple[Box, ...]) -> list[int | None]:
    return boxes[0].corners() if boxes else [None] * 4


def _first(store: Store, caption: dict) -> dict:
    """The caption as it came in."""
    return store.history(caption["id"])[0]


def _picture(store: Store, caption: dict, now: tuple[Box, ...], first: tuple[Box, ...]) -> str:
    side = caption["side"] or "A"
    layers, names = {}, {side: "the model", "C": "your correction"}
    if first:
        layers[side] = first
    if now and [box.corners() for box in now] != [box.corners() for box in first]:
        layers["C"] = now
    uri, width, height = _preview(str(store.picture_path(caption["picture"])))
    return render.viewer(uri, width, height, layers, names)


@lru_cache(maxsize=32)
def _preview(path: str) -> tuple[str, int, int]:
    # Named by its contents, so a path always means the same picture.
    picture = open_picture(path)
    return render.preview(picture.image), picture.width, picture.height


def _nothing(waiting: int) -> str:
    if waiting:
        return "Everything that waits is being worked on by somebody else. Look again in a few minutes."
    return "Nothing waits. Flag an answer in the Compare tab, and it appears here."


def _empty(sentence: str) -> str:
    sentence = (
        sentence or "Flag an answer in the Compare tab; write your name and press Next caption to correct it."
    )
    return f'<p class="notice info">{render.escape(sentence)}</p>'
