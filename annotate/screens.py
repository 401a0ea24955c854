"""The Annotate tab: the next caption, its picture, boxes and steps, and the fields to correct it in.

A desk (one tab's components and handlers) serves both tabs that work on captions; annotate/screens_review.py
adds what only a reviewer sees. Every handler that writes asks annotate/people.py first: a hidden button is no lock,
the endpoint behind it can be called by anybody. What a key or a drag does comes as an order (annotate/work.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache, wraps
from itertools import count

import gradio as gr

from annotate import marks, markup, overlap, queue, rules, signals, work
from annotate.desk_layout import layout, nothing_open
from annotate.people import People
from annotate.steps import put_box
from annotate.store import Conflict, Store, StoreError
from tinyrs import render
from tinyrs.example import Box
from tinyrs.image import BadImage, open_picture
from tinyrs.parse import boxes as read_boxes
from tinyrs.parse import split_steps

log = logging.getLogger("tinyrs.annotate")

FAILED = "Something went wrong on the server. It was logged; your text is still in the fields."

# The numbers follow the answer in the browser itself, but never while one of them is being typed. They are only
# a view: what a box is, tinyrs.parse says, in the check line and when saving.
_FOLLOW = r"""(text, ...numbers) => {
    if (document.activeElement?.closest(".corners")) return numbers;
    const box = /\[\s*\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\]/.exec(text || "");
    return box ? box.slice(1).map(Number) : [null, null, null, null];
}"""
_answers = count(1)


class Memory:
    """What a browser remembers: the name that was typed, and each tab's draft.

    To be made outside the tabs: what is inside one is only there, and only read, once that tab was opened.
    """

    def __init__(self) -> None:
        self.name = gr.BrowserState("", storage_key="tinyrs-annotator", secret="a name is no secret")
        self.drafts = {
            key: gr.BrowserState(None, storage_key=f"tinyrs-{key}draft", secret="a draft is its author's own")
            for key in ("", "review-")
        }


def annotate_tab(demo: gr.Blocks, store: Store, tab: gr.Tab, *, people: People, memory: Memory) -> None:
    """Build the tab inside the current `gr.Tab`; `people` knows who may correct, `memory` is the browser's."""

    def take(person: str) -> dict | None:
        found = queue.next_to_annotate(store, person)
        # Who works alone also accepts alone.
        return found or (queue.next_to_review(store, person) if store.self_review else None)

    waits = lambda: sum(queue.left(store).values())  # noqa: E731
    desk(demo, store, tab, people=people, memory=memory, take=take, waits=waits)


def desk(
    demo: gr.Blocks,
    store: Store,
    tab: gr.Tab,
    *,
    people: People,
    memory: Memory,
    take: Callable[[str], dict | None],
    waits: Callable[[], int],
    review: bool = False,
    beside: Callable[[dict, str], str] | None = None,
) -> None:
    """A tab's components and handlers.

    take    the caption that a person gets next, leased to that person;  waits: how many there are
    review  the person judges what somebody else corrected: a changed text is an amendment
    beside  what else a reviewer sees of a caption, as HTML
    """
    key = "review-" if review else ""
    api = "review_" if review else ""
    doing = "review" if review else "correct"
    on = layout(people, key, review)
    remembered, kept = memory.name, memory.drafts[key]
    fields = [on.reasoning, on.answer]
    drawn = [on.check, on.layers, kept]
    everything = [
        on.item, on.done, on.notice, on.progress, on.empty, on.body, on.viewer, on.layers, on.why, on.asked, on.theirs,
        on.steps, on.more, *fields, on.box_fields, *on.corners, on.check, kept, on.orders,
    ]  # fmt: skip

    def told(handler):
        """Any error becomes a sentence; a Conflict also shows the other person's text."""

        @wraps(handler)
        def safe(*args):
            try:
                return {on.notice: "", on.theirs: "", **handler(*args)}
            except Conflict as error:
                return _conflicted(error, args[0])
            except (StoreError, BadImage) as error:
                return {on.notice: render.notice(str(error))}
            except Exception as error:
                log.error("A handler failed.", exc_info=error)
                return {on.notice: render.notice(FAILED)}

        return safe

    def decided(handler):
        """Of a button: that it was answered, whatever came of it; page.js sends the next one then."""

        @wraps(handler)
        def counted(*args):
            return {**told(handler)(*args), on.orders: f'<i data-done="{next(_answers)}"></i>'}

        return counted

    def _conflicted(error: Conflict, caption: dict) -> dict:
        other = error.other
        return {
            on.item: {**caption, "revision": other},
            on.theirs: render.conflict(other["author"], other["reasoning"], other["answer"]),
            on.notice: "",
        }

    # What is shown

    def paint(caption: dict | None, person: str, finished: int, said: str = "", draft: object = None) -> dict:
        waiting = waits()
        update = {
            on.item: caption,
            on.done: finished,
            on.notice: render.notice(said, "good"),
            on.progress: render.progress(waiting, finished) + markup.pace(marks.pace(store, person)),
            on.empty: "" if caption else nothing_open(_nothing(waiting, review), review),
            on.body: gr.update(visible=caption is not None),
        }
        if caption is None:
            return update
        caption = update[on.item] = work.prepare(store, caption, person, review)
        revision = caption["revision"]
        words = "\n".join(_lines(revision["reasoning"])), revision["answer"]
        words = tuple(render.plain(text) for text in _draft(draft, caption, person) or words)
        uri, width, height = _preview(str(store.picture_path(caption["picture"])))
        boxed = markup.wants_box(caption["question"]) or bool(revision["boxes"])
        return {
            **update,
            on.viewer: render.viewer(uri, width, height, _sides(caption, read_boxes(words[1])), caption["names"]),
            on.why: render.flags(caption["flags"])
            + markup.why(caption["why"], caption.get("offered", ""), signals.RANDOM),
            on.asked: render.asked(caption["question"].text, caption["question"].task.value),
            on.reasoning: words[0],
            on.answer: words[1],
            on.box_fields: gr.update(visible=boxed),
            **dict(zip(on.corners, _numbers(read_boxes(words[1])))),
            **judged(caption, person),
            **look(caption, *words, person),
        }

    def judged(caption: dict, person: str) -> dict:
        """The steps with this person's marks."""
        revision = caption["judged"]
        said = marks.current(store, revision["id"], person)
        update = {on.steps: markup.steps(revision["id"], split_steps(revision["reasoning"]), said)}
        return {**update, on.more: beside(caption, person)} if beside else update

    def look(caption: dict, text: str, words: str, person: str = "") -> dict:
        """The draft's boxes and what the checks say of it."""
        seen = work.judge(caption, text, words)
        said = marks.current(store, caption["judged"]["id"], person) if person else {}
        grounding = markup.wants_box(caption["question"])
        return {
            on.check: markup.check_line(seen, caption["side"]),
            on.layers: markup.layers(
                seen.boxes, words, caption["names"], work.step_of(caption, text, said), grounding
            ),
        }

    # Opening

    def following(person: str, finished: int, said: str = "", draft: object = None) -> dict:
        return paint(take(person), person, finished, said, draft)

    def open_next(caption: dict | None, typed: str, finished: int, request: gr.Request, draft=None):
        person = people.may(request, doing, typed)
        return {**following(person, finished, draft=draft), remembered: person}

    def arrive(caption: dict | None, typed: str, finished: int, request: gr.Request, draft=None, saved=""):
        """The tab was opened: show the next caption, unless one is being edited or nobody said who is there.

        After a reload the name's field is still empty; the browser knows it all the same.
        """
        update = {on.progress: render.progress(waits(), finished)}
        typed = typed or (saved if isinstance(saved, str) else "")
        try:
            person = people.may(request, doing, typed)
        except rules.Refused:
            known = bool(people.login(request))  # but not for this: the button says so
            hint = {on.empty: nothing_open("", review, named=True)} if known and caption is None else {}
            return {**update, **hint, on.notice: gr.skip()}  # what another button was answered meanwhile stays
        # With the caption comes the name: a click may follow before anything else is answered.
        return update if caption else {**update, on.name: person, **following(person, finished, draft=draft)}

    def recall_name(saved: str, typed: str, request: gr.Request):
        """Who is there: by login, or by the name that was typed before."""
        if not people.alone:
            person = people.login(request)
            return {on.badge: markup.person(person, person and people.role(person), people.way == "users")}
        known = saved if saved and isinstance(saved, str) and not typed else gr.skip()
        return {on.name: known}  # never an empty dict: Gradio takes that for one value of two

    # While editing

    def draft_of(
        caption: dict | None, text: str, words: str, typed: str = "", request: gr.Request | None = None
    ):
        if caption is None:
            return {on.check: ""}
        text, words = text or "", words or ""
        by = typed or "" if people.alone else people.login(request) or ""
        kept_now = {"revision": caption["revision"]["id"], "by": by, "reasoning": text, "answer": words}
        return {**look(caption, text, words, by), kept: kept_now}

    def draft_corner(caption: dict | None, text: str, words: str, which: int, *numbers: float | None):
        text, words = text or "", words or ""
        # The other corners are those of the answer: the fields beside this one may lag behind it.
        found = read_boxes(words)
        sides = found[0].corners() if found else list(numbers)
        sides[which] = numbers[which]
        if caption is None or any(side is None for side in sides):
            return {}
        words = put_box(words, 0, [round(side) for side in sides])
        return {**look(caption, text, words), on.answer: words}

    def obey(
        caption: dict | None, typed: str, finished: int, text: str, words: str, request: gr.Request,
        event: gr.EventData,
    ):  # fmt: skip
        """Carry out what a key or a drag asks for. Only drawing does not write, and needs no name."""
        text, words = text or "", words or ""
        order = work.order_of(event._data, caption)
        if order is None:
            return {}
        if order["do"] in work.DRAWING:
            text, words = work.place(order, text, words)
            seen = look(caption, text, words, typed)
            return {on.check: seen[on.check]} if order["do"] == "look" else {**seen, on.reasoning: text, on.answer: words}
        person = people.may(request, doing, typed)
        if order["do"] == "undo":
            return take_back(caption, person, finished, text)
        if order["do"] not in work.MARKING:
            raise rules.Refused("The page sent something that is no order.")
        text_now = work.mark(store, caption, order, person, text)
        return {**judged(caption, person), **look(caption, text_now, words, person), on.reasoning: text_now}

    def take_back(caption: dict | None, person: str, finished: int, text: str) -> dict:
        other, text_now = work.undo(store, caption, person, text)
        if other is not None:
            return paint(other, person, max(finished - 1, 0), "Taken back.")
        said = render.notice("Taken back.", "info")
        return {**judged(caption, person), on.reasoning: text_now, on.notice: said}

    @wraps(obey)
    def answered(*args):
        # Whatever came of it, the next order may be sent: page.js waits for this number.
        data = args[-1]._data
        number = data.get("number") if isinstance(data, dict) else 0
        return {**told(obey)(*args), on.orders: f'<i data-ack="{int(number) if type(number) is int else 0}"></i>'}

    # Deciding

    def store_text(caption: dict, text: str, words: str, person: str) -> int:
        """Save what is in the fields when it differs from the revision they were filled from; its id."""
        # An emptied field arrives as None.
        text, words = text or "", words or ""
        revision = caption["revision"]
        if (_lines(text), words.strip()) == (_lines(revision["reasoning"]), revision["answer"].strip()):
            return revision["id"]
        if review and not rules.same_person(revision["author"], person):
            return store.add_review(revision["id"], "amend", author=person, reasoning=text, answer=words)
        return store.save_correction(revision["id"], reasoning=text, answer=words, author=person)

    def save_it(caption: dict | None, typed: str, finished: int, text: str, words: str, request: gr.Request):
        person = people.may(request, doing, typed)
        revision = store_text(_held(caption), text, words, person)
        if revision == caption["revision"]["id"]:
            return {on.notice: render.notice("Nothing was changed, so nothing was saved.", "info")}
        said = "Saved. Accept it when it is right, or go on editing."
        if review and not store.self_review:
            queue.release(store, caption["id"], person)
            return following(person, finished + 1, "Saved: somebody else accepts your wording.")
        now = {"revision": store.revision(revision)}
        return {on.item: {**caption, **now}, on.notice: render.notice(said, "good")}

    def accept_it(
        caption: dict | None, typed: str, finished: int, text: str, words: str, request: gr.Request
    ):
        person = people.may(request, doing, typed)
        problems = rules.caption_problems(_held(caption)["question"], text or "", words or "")
        if problems:
            raise rules.Refused("This cannot be accepted yet: " + " ".join(problems))
        revision = store_text(caption, text, words, person)
        if not people.can(person, "review"):
            if revision == caption["revision"]["id"]:  # found right as it is: says so, and a reviewer decides
                store.save_correction(revision, reasoning=text or "", answer=words or "", author=person)
            queue.release(store, caption["id"], person)
            return following(person, finished + 1, "Saved: a reviewer accepts it.")
        try:
            store.add_review(revision, "accept", author=person)
            said = "Accepted: it goes into the next export."
        except rules.Refused as refused:
            if revision == caption["revision"]["id"]:
                raise
            said = f"Saved. {refused}"
        queue.release(store, caption["id"], person)
        return following(person, finished + 1, said)

    def reject_it(caption: dict | None, typed: str, finished: int, request: gr.Request):
        person = people.may(request, "review", typed)
        store.add_review(_held(caption)["revision"]["id"], "reject", author=person)
        queue.release(store, caption["id"], person)
        return following(person, finished + 1, "Rejected: it will not be exported.")

    def skip_it(caption: dict | None, typed: str, finished: int, request: gr.Request):
        person = people.may(request, doing, typed)
        queue.skip(store, _held(caption)["id"], person)
        return following(person, finished)

    def gold_it(caption: dict | None, typed: str, finished: int, text: str, words: str, request: gr.Request):
        """Put the text aside as the hidden truth; the caption waits for somebody else."""
        person = people.may(request, "review", typed)
        overlap.add_gold(store, _held(caption)["id"], reasoning=text or "", answer=words or "", author=person)
        queue.release(store, caption["id"], person, done=False)
        return following(person, finished, "Kept as a gold item: somebody else gets this caption without your text.")

    quick = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    live = {**quick, "trigger_mode": "always_last"}
    start = [on.item, on.name, on.done]
    demo.load(recall_name, [remembered, on.name], [on.name, on.badge], api_name=f"{api}annotator", **quick)
    tab.select(
        told(arrive), [*start, kept, remembered], [*everything, on.name],
        api_name="review" if review else "annotate", **quick,
    )  # fmt: skip
    gr.on(
        [on.begin.click, on.name.submit],
        told(open_next),
        [*start, kept],
        [*everything, remembered],
        api_name=f"{api}next_caption",
        **quick,
    )
    # Not .input: Gradio's text fields send that for keys that type a character, not for deleting or pasting.
    gr.on(
        [on.reasoning.change, on.answer.change], draft_of, [on.item, *fields, on.name], drawn, api_name=f"{api}check", **live
    )
    on.answer.change(
        None, [on.answer, *on.corners], on.corners, js=_FOLLOW, api_name=f"{api}check_box", api_visibility="private"
    )
    for which, corner in enumerate(on.corners):
        index = gr.State(which)
        corner.input(
            draft_corner,
            [on.item, *fields, index, *on.corners],
            [on.check, on.layers, on.answer],
            api_name=f"{api}check_corner_{which}",
            **live,
        )
    on.orders.submit(
        answered, [*start, *fields], everything, api_name=f"{api}order", trigger_mode="multiple", **quick
    )
    verbs = {"save": save_it, "accept": accept_it, "gold": gold_it, "reject": reject_it, "skip": skip_it}
    for verb, handler in verbs.items():
        if verb in on.button:
            wants = start if verb in ("reject", "skip") else [*start, *fields]
            # Gradio drops a press while it still clears the last one away, so page.js sees to it that there is one at a time.
            on.button[verb].click(
                decided(handler), wants, everything, api_name=f"{api}{verb}", trigger_mode="multiple", **quick
            )


def _held(caption: dict | None) -> dict:
    if caption is None:
        raise rules.Refused("No caption is open: press Next caption.")
    return caption


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _numbers(boxes: tuple[Box, ...]) -> list[int | None]:
    return boxes[0].corners() if boxes else [None] * 4


def _draft(kept: object, caption: dict, person: str) -> tuple[str, str] | None:
    """What this person had typed into this caption before a reload. It comes from the browser."""
    if not isinstance(kept, dict) or kept.get("revision") != caption["revision"]["id"]:
        return None
    words = kept.get("reasoning"), kept.get("answer")
    if not all(isinstance(text, str) for text in (*words, kept.get("by"))):
        return None
    if not rules.same_person(" ".join(kept["by"].split()), person):
        return None
    limits = (rules.LONGEST["reasoning"], rules.LONGEST["answer"])
    return words if all(len(text) <= most for text, most in zip(words, limits)) else None


def _sides(caption: dict, now: tuple[Box, ...]) -> dict[str, tuple[Box, ...]]:
    """The boxes by letter, for the switches above the picture; page.js draws them from then on."""
    found = {caption["side"]: read_boxes(caption["first"]["answer"]), "C": now}
    if caption["other"]:
        found["A" if caption["side"] == "B" else "B"] = caption["other"]
    return dict(sorted(found.items()))


@lru_cache(maxsize=32)
def _preview(path: str) -> tuple[str, int, int]:
    # Named by its contents, so a path always means the same picture.
    picture = open_picture(path)
    return render.preview(picture.image), picture.width, picture.height


def _nothing(waiting: int, review: bool) -> str:
    if waiting:
        return "Everything that waits is being worked on by somebody else. Look again in a few minutes."
    if review:
        return "Nothing waits for a review by you."
    return "Nothing waits. Flag an answer in the Compare tab, and it appears here."
