"""The Compare tab: a picture, a question, two models side by side, and what becomes of their answers."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from screens import size
from screens.keep import Keep
from screens.page import Page, Sentence, look_at, sentence, told
from screens.talk import Talk
from screens.votes import Votes
from tinyrs import helped, render
from tinyrs.compare import Event, compare
from tinyrs.image import open_picture
from tinyrs.shown import SIDES, Shown
from tinyrs.suggestions import EXAMPLES, KINDS, LONGEST_QUESTION, examples, first_questions
from tinyrs.suggestions import question as read_question

TICK = 0.04
"""Seconds between two updates of the streaming answers."""

PRIVATE = {"api_visibility": "private"}
QUICK = {**PRIVATE, "queue": False, "show_progress": "hidden"}


class Compare:
    """The tab's components and what happens on each event.

    `state` holds what is shown (`Shown`). A part of the tab (`self.parts`) has `outputs`, the components that it
    changes, and `after(shown)`, their updates once nothing is running.

    Every word that comes costs Gradio time for each output of the event that brings it, so `put` changes the cards and the
    picture alone; the rest follows in `settle`. In between the style sheet keeps out of sight what is not true meanwhile:
    a card that is written says so (`data-running`).
    """

    def __init__(self, demo: gr.Blocks, page: Page):
        self.page = page
        self.gallery = examples()
        self.ours = {text for group in EXAMPLES.values() for _, text in group}
        self.ours |= {text for _, text, _ in self.gallery}
        self.state = gr.State(None)
        # By it a visitor's things are found again to be deleted. Nothing is in it until something is stored.
        self.key = gr.BrowserState("", storage_key="tinyrs-key", secret="tinyrs")
        with gr.Row(elem_classes="desk"):
            with gr.Column(scale=5, min_width=320, elem_classes="stay"):
                self._draw_picture()
            with gr.Column(scale=7, min_width=320):
                self._draw_question()
                self.notice = gr.HTML("", elem_id="notice")
                self._draw_sides()
                keep = Keep(self)
                votes = Votes(self)
                keep.draw_below()
                self.parts, self.link = [votes, keep, Talk(self)], keep.link
        self.outputs = [
            self.state, self.key, self.viewer, self.pick, self.question, self.kind, self.again, self.notice,
            *self.cards.values(), *self.heads.values(), *self.abouts.values(), *self.pickers.values(),
            self.sight, *(component for part in self.parts for component in part.outputs),
        ]  # fmt: skip
        self._connect(demo)

    # What stands there

    def _draw_picture(self) -> None:
        self.viewer = gr.HTML(render.no_picture(), elem_id="viewer")
        self.pick = gr.UploadButton("Choose a picture", size="md", elem_id="pick", type="filepath")
        self.pictures = gr.Dataset(
            label="Or try one of these",
            components=[gr.Image(render=False, type="filepath")],
            samples=[[str(path)] for path, _, _ in self.gallery],
            samples_per_page=12,
            type="index",
            visible=bool(self.gallery),
            elem_id="examples",
        )
        gr.HTML(
            '<p class="fine">Uploads are deleted after a day. A comparison and its picture are stored only when you flag '
            "an answer, vote, or press “Keep and share link”; you can delete that again in About.</p>"
        )

    def _draw_question(self) -> None:
        with gr.Column(elem_classes="pane", elem_id="asking"):
            self.kind = gr.Radio(
                list(KINDS.items()), value="any", label="What do you want to know?", elem_classes="chips",
                elem_id="kind",
            )  # fmt: skip
            self.question = gr.Textbox(
                label="Question", placeholder="Ask anything about the picture", lines=1, max_lines=5,
                max_length=LONGEST_QUESTION, elem_id="question",
            )  # fmt: skip
            self.asks = gr.Dataset(
                label="For example",
                components=[gr.Textbox(render=False)],
                samples=[[text] for _, text in first_questions()],
                sample_labels=[label for label, _ in first_questions()],
                type="values",
                elem_id="asks",
                elem_classes="asks",
            )
            with gr.Row(elem_classes="actions"):
                self.ask = gr.Button("Ask both", variant="primary", elem_id="ask", size="md", min_width=120)
                self.stop = gr.Button("Stop", elem_id="stop", size="md", min_width=120)
                self.again = gr.Button("Ask again", visible=False, elem_id="again", size="md", min_width=120)
            self.size = size.chips("size")
            self.sight = gr.HTML("", elem_id="sight")
            self.blind = gr.Checkbox(
                label="Blind: hide which model is which until you have voted",
                elem_id="blind",
                container=False,
            )

    def _draw_sides(self) -> None:
        self.cards, self.pickers, self.heads, self.abouts, self.flags = {}, {}, {}, {}, {}
        page = self.page
        with gr.Row(elem_classes="sides", equal_height=True):
            for side, name in zip(SIDES, page.pair):
                low, spec = side.lower(), page.spec(name)
                with gr.Column(elem_classes=["side", f"side-{low}"], min_width=280):
                    self.heads[side] = gr.HTML(render.side_head(side, spec), elem_id=f"head-{low}")
                    self.pickers[side] = gr.Dropdown(
                        page.offered, value=name, label=f"Model {side}", show_label=False,
                        container=False, allow_custom_value=page.any_model, elem_id=f"model-{low}",
                    )  # fmt: skip
                    self.abouts[side] = gr.HTML(render.about_model(spec), elem_id=f"about-{low}")
                    self.cards[side] = gr.HTML(empty_card(side), elem_id=f"card-{low}")
                    self.flags[side] = gr.Button(
                        f"Flag answer {side}", size="sm", visible=False, elem_id=f"flag-{low}"
                    )

    def _connect(self, demo: gr.Blocks) -> None:
        everything, told_ = self.outputs, lambda handler: told(self.notice, handler)
        chosen = self.pick.upload(
            told_(self.upload), self.pick, everything, api_name="upload", show_progress="hidden",
            concurrency_limit=2, concurrency_id="pictures", **PRIVATE,
        )  # fmt: skip
        taken = self.pictures.click(
            told_(self.choose_example),
            [self.pictures, self.question],
            everything,
            api_name="example",
            **QUICK,
        )
        self.kind.input(
            self.choose_kind, [self.kind, self.question], [self.asks, self.question], api_name="kind", **QUICK
        )
        self.asks.click(example_text, self.asks, self.question, api_name="example_question", **QUICK)
        asking = gr.on(
            [self.ask.click, self.again.click, self.question.submit],
            self.answer,
            [self.state, self.question, self.kind, *self.pickers.values(), self.blind, self.size],
            [self.state, self.viewer, self.notice, *self.cards.values()],
            api_name="put",
            concurrency_limit=1,
            concurrency_id="models",
            show_progress="hidden",
            trigger_mode="once",
            **PRIVATE,
        )
        settled = asking.then(self.settle, self.state, everything, api_name="settle", **QUICK)
        self.stop.click(self.stop_it, api_name="stop", **QUICK)
        for picker in self.pickers.values():
            picker.change(
                told_(self.models_chosen),
                list(self.pickers.values()),
                [*self.heads.values(), *self.abouts.values(), self.notice],
                api_name="models",
                **QUICK,
            )
        loading = demo.load(told_(self.load), None, everything, api_name="record", **QUICK)
        ahead = (self.look_ahead, [self.state, self.size, *self.pickers.values()], self.sight)
        changed = [self.size.input, *(picker.change for picker in self.pickers.values())]
        gr.on(changed, *ahead, api_name="sight", trigger_mode="always_last", **QUICK)
        for event, name in ((chosen, "chosen"), (taken, "taken"), (settled, "asked"), (loading, "loaded")):
            event.then(*ahead, api_name=f"sight_{name}", **QUICK)
        for part in self.parts:
            part.connect(told_, settled, loading)
        for event, name in ((self.parts[0].voted, "voted"), (self.parts[0].revealed, "revealed")):
            event.then(*ahead, api_name=f"sight_{name}", **QUICK)
        demo.unload(self.leave)

    # What happens

    def paint(self, shown: Shown, picture: bool = True) -> dict:
        """Every component that depends on what is shown, once nothing is running."""
        update = {
            self.state: shown,
            self.again: gr.update(visible=shown.asked),
            self.pick: gr.update(label="Choose another picture"),
        }
        if picture:
            update[self.viewer] = viewer(shown)
        update |= self._cards(shown)
        update |= self.mask() if shown.blind else self.unmask(shown)
        for part in self.parts:
            update |= part.after(shown)
        return update

    def mask(self) -> dict:
        """Which model is which cannot be seen."""
        update = {}
        for side in SIDES:
            update[self.heads[side]] = render.side_head(side)
            update[self.abouts[side]] = ""
            update[self.pickers[side]] = gr.update(visible=False)
        return {**update, self.sight: ""}

    def unmask(self, shown: Shown) -> dict:
        """Each side says which model answered."""
        update = {self.pickers[side]: gr.update(visible=True) for side in SIDES}
        for side, name in shown.models.items():
            if side in self.pickers and name in self.page.offered:
                spec = self.page.spec(name)
                update[self.pickers[side]] = gr.update(visible=True, value=name)
                update[self.heads[side]] = render.side_head(side, spec)
                update[self.abouts[side]] = render.about_model(spec)
        return update

    def idle(self, request: gr.Request) -> None:
        """Raises Sentence while this visitor's models write."""
        if self.page.busy(request.session_hash):
            raise Sentence("An answer is being written: press Stop first, then change the picture.")

    def upload(self, path: str | None, request: gr.Request):
        self.idle(request)
        if not path:
            return {}
        return self.paint(look_at(path, Path(path).name)[0])

    def choose_example(self, index: int, text: str, request: gr.Request):
        self.idle(request)
        if not isinstance(index, int) or not 0 <= index < len(self.gallery):
            raise Sentence("There is no such example.")
        path, its_question, its_kind = self.gallery[index]
        update = self.paint(look_at(str(path), path.name)[0])
        if its_question and self._may_replace(text):
            update |= {self.question: its_question, self.kind: its_kind}
        return update

    def _may_replace(self, text: str | None) -> bool:
        """A question that the person wrote stays; an example's gives way."""
        return not (text or "").strip() or text in self.ours

    def choose_kind(self, value: str, text: str):
        rows = EXAMPLES.get(value) or first_questions()
        update = {
            self.asks: gr.Dataset(samples=[[q] for _, q in rows], sample_labels=[label for label, _ in rows])
        }
        if value in EXAMPLES and self._may_replace(text):
            update[self.question] = rows[0][1]
        return update

    def answer(
        self,
        shown: Shown | None,
        text: str,
        chosen: str,
        model_a: str,
        model_b: str,
        blind: bool,
        request: gr.Request,
        large: str = "full",
    ):
        page, session = self.page, request.session_hash or secrets.token_hex(8)
        cancelled, before = None, shown
        try:
            if shown is None:
                raise Sentence("Choose a picture first: drop or paste one, or take an example.")
            asked = read_question(text, chosen)
            names = dict(zip(SIDES, (model_a, model_b)))
            if blind and secrets.randbelow(2):
                names = dict(zip(SIDES, (model_b, model_a)))
            specs = {side: page.spec(name) for side, name in names.items()}
            how = size.options(specs.values(), large)
            engines = {side: page.open_engine(spec) for side, spec in specs.items()}
            cancelled = page.start(session)
            shown = shown.next(asked, names, blind, how.max_pixels)
            picture = open_picture(shown.path)
            # The models begin while the page is told that they do.
            events = compare(engines, picture.image, asked, how, cancelled)
            yield {
                self.notice: "",
                **({self.viewer: viewer(shown)} if any(before.layers.values()) else {}),
                **{self.cards[side]: card(shown, side, running=True) for side in SIDES},
            }
            for shown, side, moved in follow(shown, events, cancelled):
                if shown.states[side] == "done":
                    size.learn(page, specs[side], how, picture.image.size, shown.replies.get(side))
                if not shown.blind:  # the pace of a side tells which model it is
                    yield {
                        self.cards[side]: card(shown, side, running=True),
                        **({self.viewer: viewer(shown)} if moved else {}),
                    }
            yield {self.state: shown}
        except GeneratorExit:
            raise
        except Exception as error:
            yield {self.notice: render.notice(sentence(error)), **(self._back(before) if cancelled else {})}
        finally:
            if cancelled is not None:
                page.finish(session, cancelled)

    def settle(self, shown: Shown | None):
        """All that depends on the answers, once both are there."""
        return {} if shown is None else self.paint(shown, picture=shown.blind)

    def _cards(self, shown: Shown) -> dict:
        """Both sides as they are when nothing is running."""
        return {
            self.cards[side]: card(shown, side) if shown.asked else empty_card(side) for side in SIDES
        }

    def _back(self, before: Shown) -> dict:
        """What was there before a question that failed."""
        update = self._cards(before)
        if any(before.layers.values()):
            with contextlib.suppress(Sentence):  # that the picture is gone is what the person is told anyway
                update[self.viewer] = viewer(before)
        return update

    def stop_it(self, request: gr.Request):
        self.page.stop(request.session_hash)

    def look_ahead(self, shown: Shown | None, large: str, a: str, b: str, request: gr.Request):
        """How large the models will see the picture. They begin to read it: what is asked next is answered sooner."""
        if shown is None:
            return ""
        try:
            specs = {side: self.page.spec(name) for side, name in zip(SIDES, (a, b))}
            self.page.look_ahead(request.session_hash, shown.path, specs, size.options(specs.values(), large))
            return "" if shown.blind else size.words(self.page, specs, large, shown.size)
        except Exception:  # a model that cannot be had: the notice says so
            return ""

    def models_chosen(self, a: str, b: str):
        specs = {side: self.page.spec(name) for side, name in zip(SIDES, (a, b))}
        return {
            **{self.abouts[side]: render.about_model(spec) for side, spec in specs.items()},
            **{self.heads[side]: render.side_head(side, spec) for side, spec in specs.items()},
        }

    def load(self, request: gr.Request):
        run = request.query_params.get("record", "")
        if not run:
            return {self.state: None}
        shown = self.page.recall(run)
        kind = shown.question.task.value
        return {
            **self.paint(shown),
            self.question: shown.question.text,
            self.kind: kind if kind in KINDS.values() else "any",
        }

    def leave(self, request: gr.Request):
        self.page.leave(request.session_hash)


def follow(shown: Shown, events: Iterator[Event], cancelled: threading.Event) -> Iterator[tuple[Shown, str, bool]]:
    """What is shown after each few words: (shown, the side that changed, whether boxes changed)."""
    written, layers, reading = {}, shown.layers, set(shown.models)
    due = dict.fromkeys(shown.models, 0.0)
    for event in events:
        side, shown = event.side, shown.after(event, cancelled.is_set())
        # The browser has better to do than to draw every token; what comes meanwhile is not lost. But nobody's first words
        # wait for the other side's next ones.
        if event.done or time.monotonic() >= due[side]:
            now = card(shown, side)
            if now != written.get(side) or layers != shown.layers:
                yield shown, side, layers != shown.layers
                written[side], layers = now, shown.layers
                due[side] = time.monotonic() + TICK
        if event.done or (side in shown.answers and (shown.answers[side].text or shown.answers[side].reasoning)):
            reading.discard(side)
        if not event.done and not reading:
            cancelled.wait(TICK)


def example_text(sample: list[str]) -> str:
    return sample[0]


def viewer(shown: Shown) -> str:
    """The picture with the boxes so far."""
    uri = look_at(shown.path, shown.name)[1]
    done = not any(state in ("waiting", "streaming") for state in shown.states.values())
    layers = shown.layers if done or not shown.blind else {}
    names = {} if shown.blind else shown.models
    return render.viewer(uri, *shown.size, layers, names, shown.notes, shown.name)


def card(shown: Shown, side: str, running: bool = False) -> str:
    """One side's answer so far; `running` until both are done."""
    state = shown.states.get(side, "done")
    when = ("blind" if shown.blind else "named") if running else ""
    hint = "Looking at the picture" if state == "waiting" else "Writing"
    if shown.blind and side in shown.answers:
        error = "This side failed." if shown.errors.get(side) else ""
        return render.answer_card(
            side, helped.hidden(shown.answers[side]), state="blind", error=error, running=when
        )
    return render.answer_card(
        side,
        shown.answers.get(side),
        shown.replies.get(side),
        state=state,
        error=shown.errors.get(side, ""),
        hint=hint,
        running=when,
    )


def empty_card(side: str) -> str:
    """What stands in a side before anything is asked."""
    hint = {"A": "The short answer appears here.", "B": "The reasoning and its answer appear here."}[side]
    return render.answer_card(side, state="empty", hint=hint)
