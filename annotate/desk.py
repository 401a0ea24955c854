"""A desk: what a tab that works on captions does with a caption, from taking it to accepting it.

Every handler that writes asks annotate/people.py first: a hidden button is no lock, the endpoint behind it can be called
by anybody. What a key or a drag does comes as an order (annotate/work.py).
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


class Desk:
    """A tab's components, made inside the current `gr.Tab`, and its handlers.

    people  knows who may do what;  memory: the browser's
    take    the caption that a person gets next, leased to that person;  waits: how many there are
    review  the person judges what somebody else corrected: a changed text is an amendment
    beside  what else a reviewer sees of a caption, as HTML
    """

    def __init__(
        self,
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
    ):
        self.store, self.people, self.take, self.waits, self.review, self.beside = store, people, take, waits, review, beside
        self.doing = "review" if review else "correct"
        key = "review-" if review else ""
        self.on = layout(people, key, review)
        self.remembered, self.kept = memory.name, memory.drafts[key]
        self._connect(demo, tab)

    def _connect(self, demo: gr.Blocks, tab: gr.Tab) -> None:
        """What happens calls which handler."""
        on, remembered, kept, review = self.on, self.remembered, self.kept, self.review
        api = "review_" if review else ""
        fields = [on.reasoning, on.answer]
        drawn = [on.check, on.layers, kept]
        everything = [
            on.item, on.done, on.notice, on.progress, on.empty, on.body, on.viewer, on.layers, on.why, on.asked, on.theirs,
            on.steps, on.more, *fields, on.box_fields, *on.corners, on.check, kept, on.orders,
        ]  # fmt: skip
        quick = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
        live = {**quick, "trigger_mode": "always_last"}
        start = [on.item, on.name, on.done]
        demo.load(self.recall_name, [remembered, on.name], [on.name, on.badge], api_name=f"{api}annotator", **quick)
        tab.select(
            self.told(self.arrive), [*start, kept, remembered], [*everything, on.name],
            api_name="review" if review else "annotate", **quick,
        )  # fmt: skip
        gr.on(
            [on.begin.click, on.name.submit],
            self.told(self.open_next),
            [*start, kept],
            [*everything, remembered],
            api_name=f"{api}next_caption",
            **quick,
        )
        # Not .input: Gradio's text fields send that for keys that type a character, not for deleting or pasting.
        gr.on(
            [on.reasoning.change, on.answer.change], self.draft_of, [on.item, *fields, on.name], drawn,
            api_name=f"{api}check", **live,
        )  # fmt: skip
        on.answer.change(
            None, [on.answer, *on.corners], on.corners, js=_FOLLOW, api_name=f"{api}check_box", api_visibility="private"
        )
        for which, corner in enumerate(on.corners):
            index = gr.State(which)
            corner.input(
                self.draft_corner,
                [on.item, *fields, index, *on.corners],
                [on.check, on.layers, on.answer],
                api_name=f"{api}check_corner_{which}",
                **live,
            )
        on.orders.submit(
            self.answered(self.obey), [*start, *fields], everything, api_name=f"{api}order", trigger_mode="multiple", **quick
        )
        verbs = {
            "save": self.save_it,
            "accept": self.accept_it,
            "gold": self.gold_it,
            "reject": self.reject_it,
            "skip": self.skip_it,
        }
        for verb, handler in verbs.items():
            if verb in on.button:
                wants = start if verb in ("reject", "skip") else [*start, *fields]
                # Gradio drops a press while it still clears the last one away, so page.js sees to it that there is one at a time.
                on.button[verb].click(
                    self.decided(handler), wants, everything, api_name=f"{api}{verb}", trigger_mode="multiple", **quick
                )

    # What becomes of an error, and of a press

    def told(self, handler):
        """Any error becomes a sentence; a Conflict also shows the other person's text."""

        @wraps(handler)
        def safe(*args):
            try:
                return {self.on.notice: "", self.on.theirs: "", **handler(*args)}
            except Conflict as error:
                return self._conflicted(error, args[0])
            except (StoreError, BadImage) as error:
                return {self.on.notice: render.notice(str(error))}
            except Exception as error:
                log.error("A handler failed.", exc_info=error)
                return {self.on.notice: render.notice(FAILED)}

        return safe

    def decided(self, handler):
        """Of a button: that it was answered, whatever came of it; page.js sends the next one then."""

        @wraps(handler)
        def counted(*args):
            return {**self.told(handler)(*args), self.on.orders: f'<i data-done="{next(_answers)}"></i>'}

        return counted

    def answered(self, handler):
        """Of an order: its number, whatever came of it; page.js sends the next one then."""

        @wraps(handler)
        def numbered(*args):
            data = args[-1]._data
            number = data.get("number") if isinstance(data, dict) else 0
            number = number if type(number) is int else 0
            return {**self.told(handler)(*args), self.on.orders: f'<i data-ack="{number}"></i>'}

        return numbered

    def _conflicted(self, error: Conflict, caption: dict) -> dict:
        other = error.other
        return {
            self.on.item: {**caption, "revision": other},
            self.on.theirs: render.conflict(other["author"], other["reasoning"], other["answer"]),
            self.on.notice: "",
        }

    # What is shown

    def paint(self, caption: dict | None, person: str, finished: int, said: str = "", draft: object = None) -> dict:
        waiting = self.waits()
        update = {
            self.on.item: caption,
            self.on.done: finished,
            self.on.notice: render.notice(said, "good"),
            self.on.progress: render.progress(waiting, finished) + markup.pace(marks.pace(self.store, person)),
            self.on.empty: "" if caption else nothing_open(_nothing(waiting, self.review), self.review),
            self.on.body: gr.update(visible=caption is not None),
        }
        if caption is None:
            return update
        caption = update[self.on.item] = work.prepare(self.store, caption, person, self.review)
        revision = caption["revision"]
        words = "\n".join(_lines(revision["reasoning"])), revision["answer"]
        words = tuple(render.plain(text) for text in _draft(draft, caption, person) or words)
        uri, width, height = _preview(str(self.store.picture_path(caption["picture"])))
        boxed = markup.wants_box(caption["question"]) or bool(revision["boxes"])
        return {
            **update,
            self.on.viewer: render.viewer(uri, width, height, _sides(caption, read_boxes(words[1])), caption["names"]),
            self.on.why: render.flags(caption["flags"])
            + markup.why(caption["why"], caption.get("offered", ""), signals.RANDOM),
            self.on.asked: render.asked(caption["question"].text, caption["question"].task.value),
            self.on.reasoning: words[0],
            self.on.answer: words[1],
            self.on.box_fields: gr.update(visible=boxed),
            **dict(zip(self.on.corners, _numbers(read_boxes(words[1])))),
            **self.judged(caption, person),
            **self.look(caption, *words, person),
        }

    def judged(self, caption: dict, person: str) -> dict:
        """The steps with this person's marks."""
        revision = caption["judged"]
        said = marks.current(self.store, revision["id"], person)
        update = {self.on.steps: markup.steps(revision["id"], split_steps(revision["reasoning"]), said)}
        return {**update, self.on.more: self.beside(caption, person)} if self.beside else update

    def look(self, caption: dict, text: str, words: str, person: str = "") -> dict:
        """The draft's boxes and what the checks say of it."""
        seen = work.judge(caption, text, words)
        said = marks.current(self.store, caption["judged"]["id"], person) if person else {}
        grounding = markup.wants_box(caption["question"])
        return {
            self.on.check: markup.check_line(seen, caption["side"]),
            self.on.layers: markup.layers(
                seen.boxes, words, caption["names"], work.step_of(caption, text, said), grounding
            ),
        }

    # Opening

    def following(self, person: str, finished: int, said: str = "", draft: object = None) -> dict:
        return self.paint(self.take(person), person, finished, said, draft)

    def open_next(self, caption: dict | None, typed: str, finished: int, request: gr.Request, draft=None):
        person = self.people.may(request, self.doing, typed)
        return {**self.following(person, finished, draft=draft), self.remembered: person}

    def arrive(self, caption: dict | None, typed: str, finished: int, request: gr.Request, draft=None, saved=""):
        """The tab was opened: show the next caption, unless one is being edited or nobody said who is there.

        After a reload the name's field is still empty; the browser knows it all the same.
        """
        update = {self.on.progress: render.progress(self.waits(), finished)}
        typed = typed or (saved if isinstance(saved, str) else "")
        try:
            person = self.people.may(request, self.doing, typed)
        except rules.Refused:
            known = bool(self.people.login(request))  # but not for this: the button says so
            hint = {self.on.empty: nothing_open("", self.review, named=True)} if known and caption is None else {}
            return {**update, **hint, self.on.notice: gr.skip()}  # what another button was answered meanwhile stays
        # With the caption comes the name: a click may follow before anything else is answered.
        return update if caption else {**update, self.on.name: person, **self.following(person, finished, draft=draft)}

    def recall_name(self, saved: str, typed: str, request: gr.Request):
        """Who is there: by login, or by the name that was typed before."""
        if not self.people.alone:
            person = self.people.login(request)
            return {self.on.badge: markup.person(person, person and self.people.role(person), self.people.way == "users")}
        known = saved if saved and isinstance(saved, str) and not typed else gr.skip()
        return {self.on.name: known}  # never an empty dict: Gradio takes that for one value of two

    # While editing

    def draft_of(
        self, caption: dict | None, text: str, words: str, typed: str = "", request: gr.Request | None = None
    ):
        if caption is None:
            return {self.on.check: ""}
        text, words = text or "", words or ""
        by = typed or "" if self.people.alone else self.people.login(request) or ""
        kept_now = {"revision": caption["revision"]["id"], "by": by, "reasoning": text, "answer": words}
        return {**self.look(caption, text, words, by), self.kept: kept_now}

    def draft_corner(self, caption: dict | None, text: str, words: str, which: int, *numbers: float | None):
        text, words = text or "", words or ""
        # The other corners are those of the answer: the fields beside this one may lag behind it.
        found = read_boxes(words)
        sides = found[0].corners() if found else list(numbers)
        sides[which] = numbers[which]
        if caption is None or any(side is None for side in sides):
            return {}
        words = put_box(words, 0, [round(side) for side in sides])
        return {**self.look(caption, text, words), self.on.answer: words}

    def obey(
        self, caption: dict | None, typed: str, finished: int, text: str, words: str, request: gr.Request,
        event: gr.EventData,
    ):  # fmt: skip
        """Carry out what a key or a drag asks for. Only drawing does not write, and needs no name."""
        text, words = text or "", words or ""
        order = work.order_of(event._data, caption)
        if order is None:
            return {}
        if order["do"] in work.DRAWING:
            text, words = work.place(order, text, words)
            seen = self.look(caption, text, words, typed)
            if order["do"] == "look":
                return {self.on.check: seen[self.on.check]}
            return {**seen, self.on.reasoning: text, self.on.answer: words}
        person = self.people.may(request, self.doing, typed)
        if order["do"] == "undo":
            return self.take_back(caption, person, finished, text)
        if order["do"] not in work.MARKING:
            raise rules.Refused("The page sent something that is no order.")
        text_now = work.mark(self.store, caption, order, person, text)
        return {**self.judged(caption, person), **self.look(caption, text_now, words, person), self.on.reasoning: text_now}

    def take_back(self, caption: dict | None, person: str, finished: int, text: str) -> dict:
        other, text_now = work.undo(self.store, caption, person, text)
        if other is not None:
            return self.paint(other, person, max(finished - 1, 0), "Taken back.")
        said = render.notice("Taken back.", "info")
        return {**self.judged(caption, person), self.on.reasoning: text_now, self.on.notice: said}

    # Deciding

    def store_text(self, caption: dict, text: str, words: str, person: str) -> int:
        """Save what is in the fields when it differs from the revision they were filled from; its id."""
        # An emptied field arrives as None.
        text, words = text or "", words or ""
        revision = caption["revision"]
        if (_lines(text), words.strip()) == (_lines(revision["reasoning"]), revision["answer"].strip()):
            return revision["id"]
        if self.review and not rules.same_person(revision["author"], person):
            return self.store.add_review(revision["id"], "amend", author=person, reasoning=text, answer=words)
        return self.store.save_correction(revision["id"], reasoning=text, answer=words, author=person)

    def save_it(self, caption: dict | None, typed: str, finished: int, text: str, words: str, request: gr.Request):
        person = self.people.may(request, self.doing, typed)
        revision = self.store_text(_held(caption), text, words, person)
        if revision == caption["revision"]["id"]:
            return {self.on.notice: render.notice("Nothing was changed, so nothing was saved.", "info")}
        said = "Saved. Accept it when it is right, or go on editing."
        if self.review and not self.store.self_review:
            queue.release(self.store, caption["id"], person)
            return self.following(person, finished + 1, "Saved: somebody else accepts your wording.")
        now = {"revision": self.store.revision(revision)}
        return {self.on.item: {**caption, **now}, self.on.notice: render.notice(said, "good")}

    def accept_it(
        self, caption: dict | None, typed: str, finished: int, text: str, words: str, request: gr.Request
    ):
        person = self.people.may(request, self.doing, typed)
        problems = rules.caption_problems(_held(caption)["question"], text or "", words or "")
        if problems:
            raise rules.Refused("This cannot be accepted yet: " + " ".join(problems))
        revision = self.store_text(caption, text, words, person)
        if not self.people.can(person, "review"):
            if revision == caption["revision"]["id"]:  # found right as it is: says so, and a reviewer decides
                self.store.save_correction(revision, reasoning=text or "", answer=words or "", author=person)
            queue.release(self.store, caption["id"], person)
            return self.following(person, finished + 1, "Saved: a reviewer accepts it.")
        try:
            self.store.add_review(revision, "accept", author=person)
            said = "Accepted: it goes into the next export."
        except rules.Refused as refused:
            if revision == caption["revision"]["id"]:
                raise
            said = f"Saved. {refused}"
        queue.release(self.store, caption["id"], person)
        return self.following(person, finished + 1, said)

    def reject_it(self, caption: dict | None, typed: str, finished: int, request: gr.Request):
        person = self.people.may(request, "review", typed)
        self.store.add_review(_held(caption)["revision"]["id"], "reject", author=person)
        queue.release(self.store, caption["id"], person)
        return self.following(person, finished + 1, "Rejected: it will not be exported.")

    def skip_it(self, caption: dict | None, typed: str, finished: int, request: gr.Request):
        person = self.people.may(request, self.doing, typed)
        queue.skip(self.store, _held(caption)["id"], person)
        return self.following(person, finished)

    def gold_it(self, caption: dict | None, typed: str, finished: int, text: str, words: str, request: gr.Request):
        """Put the text aside as the hidden truth; the caption waits for somebody else."""
        person = self.people.may(request, "review", typed)
        overlap.add_gold(self.store, _held(caption)["id"], reasoning=text or "", answer=words or "", author=person)
        queue.release(self.store, caption["id"], person, done=False)
        return self.following(person, finished, "Kept as a gold item: somebody else gets this caption without your text.")


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
