"""The page: ask two models about one picture, compare, flag, correct.

    python app.py                                  the pocket pair, http://127.0.0.1:7860
    python app.py --pair tinyrs,tinyrs-r1          another pair
    TINYRS_ALLOW_ANY_MODEL=1 python app.py         visitors may also type a folder, a hub id or an address

Hugging Face Spaces runs this file. Wiring only: what people read is built in tinyrs/render.py, what answers
in tinyrs/engine.py, what is kept in annotate/store.py. Torch is imported after the page is up.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, wraps
from pathlib import Path

import gradio as gr
from gradio.processing_utils import save_pil_to_cache
from starlette.middleware import Middleware

from annotate.screens import annotate_tab
from annotate.screens_review import review_tab
from annotate.store import REASONS, Side, Store, StoreError
from tinyrs import render
from tinyrs.compare import compare
from tinyrs.config import ROOT, Config
from tinyrs.engine import Engine, EngineFailure, Options, Reply
from tinyrs.engine import open_engine as load_engine
from tinyrs.example import Question, Task
from tinyrs.guard import Guard
from tinyrs.image import BadImage, open_picture
from tinyrs.models import MODELS, SHIPPED, ModelSpec, UnknownModel
from tinyrs.models import resolve as resolve_model
from tinyrs.prompt import CLASSIFY, COUNT, DESCRIBE, LOCATE, PRESENCE, RURAL_URBAN, guess_task

# Gradio would build a pandas table of all events so far after every single one, for a page that nobody opens.
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000000")
from tinyrs.shown import SIDES, Shown

log = logging.getLogger("tinyrs.app")

LONGEST_QUESTION = 4000
TICK = 0.04
"""Seconds between two updates of the streaming answers."""

AID = (
    "airport, bare land, baseball field, beach, bridge, center, church, commercial, dense residential, desert, "
    "farmland, forest, industrial, meadow, medium residential, mountain, park, parking, playground, pond, port, "
    "railway station, resort, river, school, sparse residential, square, stadium, storage tanks, viaduct"
)
KINDS = {
    "Any": "any",
    "Scene": Task.CLASSIFICATION.value,
    "Yes or no": Task.VQA.value,
    "Find": Task.GROUNDING.value,
    "Count": Task.COUNTING.value,
    "Describe": Task.CAPTIONING.value,
}
"""The task chips. "Any" leaves it to the words of the question."""

EXAMPLES = {
    Task.CLASSIFICATION.value: (
        ("Which of 30 scenes?", CLASSIFY.format(labels=AID)),
        ("City, field or water?", CLASSIFY.format(labels="dense residential, farmland, forest, port, river")),
    ),
    Task.VQA.value: (
        ("A water area?", PRESENCE.format(phrase="a water area")),
        ("A road?", PRESENCE.format(phrase="a road")),
        ("Rural or urban?", RURAL_URBAN),
    ),
    Task.GROUNDING.value: (
        ("The ship", LOCATE.format(phrase="the ship")),
        ("The leftmost tennis court", LOCATE.format(phrase="the leftmost tennis court")),
        ("The storage tank", LOCATE.format(phrase="the storage tank")),
    ),
    Task.COUNTING.value: (
        ("Buildings", COUNT.format(things="buildings")),
        ("Ships", COUNT.format(things="ships")),
        ("Airplanes", COUNT.format(things="airplanes")),
    ),
    Task.CAPTIONING.value: (("The whole picture", DESCRIBE),),
}
"""For each chip: a short name and the question in the form that the models were trained on."""

EXAMPLE_PICTURES = ROOT / "assets" / "examples"

FAILED = "Something went wrong on the server. It was logged; please try again."
SENTENCES = (BadImage, StoreError, UnknownModel, EngineFailure)
"""Errors whose text was written for the person; every other one is logged and shown as FAILED."""

CSS = "".join((ROOT / part / "page.css").read_text(encoding="utf-8") for part in ("tinyrs", "annotate"))
HEAD = "".join(
    f"<script>{(ROOT / part / 'page.js').read_text(encoding='utf-8')}</script>" for part in ("tinyrs", "annotate")
)

# Fonts of the visitor's own system: a page about private pictures asks no other host for anything.
_SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace"]
THEME = gr.themes.Base(
    primary_hue="teal", neutral_hue="slate", radius_size="sm", font=_SANS, font_mono=_MONO
).set(
    body_background_fill="#f4f6f7", body_background_fill_dark="#11161b",
    body_text_color="#1a222b", body_text_color_dark="#e6ebf0",
    body_text_color_subdued="#55616d", body_text_color_subdued_dark="#9eabb8",
    background_fill_primary="#ffffff", background_fill_primary_dark="#191f26",
    background_fill_secondary="#f4f6f7", background_fill_secondary_dark="#11161b",
    border_color_primary="#d5dce2", border_color_primary_dark="#303944",
    block_background_fill="#ffffff", block_background_fill_dark="#191f26",
    block_border_color="#d5dce2", block_border_color_dark="#303944",
    block_label_text_color="#55616d", block_label_text_color_dark="#9eabb8",
    block_title_text_color="#37424d", block_title_text_color_dark="#c9d2da",
    block_title_text_weight="600", block_title_text_size="14px", block_info_text_color="#55616d",
    block_info_text_color_dark="#9eabb8", block_shadow="none", block_radius="8px",
    input_background_fill="#ffffff", input_background_fill_dark="#10151a",
    input_border_color="#b9c3cc", input_border_color_dark="#424d59", input_border_width="1px",
    input_placeholder_color="#66727e", input_placeholder_color_dark="#8793a0",
    color_accent="#11705f", color_accent_soft="#e2f1ee", color_accent_soft_dark="#17342f",
    button_primary_background_fill="#11705f", button_primary_background_fill_hover="#0c5a4c",
    button_primary_text_color="#ffffff", button_primary_border_color="#11705f",
    button_primary_border_color_hover="#0c5a4c", button_primary_border_color_hover_dark="#7ad6c4", input_radius="6px",
    button_primary_border_color_dark="#5cc7b2",
    button_primary_background_fill_dark="#5cc7b2", button_primary_background_fill_hover_dark="#7ad6c4",
    button_primary_text_color_dark="#07201b",
    button_secondary_background_fill="#ffffff", button_secondary_background_fill_hover="#eef1f3",
    button_secondary_background_fill_dark="#242c35", button_secondary_background_fill_hover_dark="#303944",
    button_secondary_border_color="#b9c3cc", button_secondary_border_color_dark="#424d59",
    button_secondary_text_color="#1a222b", button_secondary_text_color_dark="#e6ebf0",
    button_border_width="1px", button_large_radius="8px", button_small_radius="8px", button_medium_radius="8px",
    checkbox_label_background_fill="#ffffff", checkbox_label_background_fill_dark="#242c35",
    checkbox_label_background_fill_selected="#d8ebe7", checkbox_label_background_fill_selected_dark="#1e463e",
    checkbox_label_text_color_selected="#0a4a3e", checkbox_label_text_color_selected_dark="#d4f2ea",
    checkbox_label_border_color="#b9c3cc", checkbox_label_border_color_dark="#424d59",
    checkbox_label_border_width="1px", checkbox_border_color="#8793a0", checkbox_border_color_dark="#66727e",
    link_text_color="#11705f", link_text_color_dark="#5cc7b2",
)  # fmt: skip


class Sentence(Exception):
    """What a visitor has to do differently, in one sentence."""


class Page:
    """What the handlers share: the store, the models on offer, and who is being answered."""

    def __init__(self, config: Config, pair, open_engine, resolve, store: Store):
        self.config, self.store = config, store
        self.pair = tuple(pair or config.pair)
        self.resolve, self.open_engine = resolve, open_engine
        self.any_model = os.environ.get("TINYRS_ALLOW_ANY_MODEL", "") == "1"
        self.offered = self._offered()
        self._running: dict[str, threading.Event] = {}
        self._salt = secrets.token_bytes(16)

    def _offered(self) -> list[str]:
        """The names in the pickers. On a public Space only what is loaded anyway: a visitor must not be able
        to fill its disk. Models that need a server of their own are reached by its address only."""
        names = [*self.pair, *(SHIPPED if self.resolve is resolve_model else ())]
        if self.resolve is resolve_model and (self.any_model or not on_space()):
            names += [name for name, spec in MODELS.items() if spec.kind == "local"]
        return list(dict.fromkeys(names))

    def spec(self, name: str) -> ModelSpec:
        """The spec of a model that this visitor may choose."""
        if not isinstance(name, str) or not (name in self.offered or self.any_model):
            raise Sentence("That model is not on offer here: choose one of the list.")
        return self.resolve(name)

    def warm(self) -> None:
        """Load the pair and let each write one word, so that the first visitor does not wait for it."""
        from PIL import Image

        for name in self.pair:
            try:
                engine = load_engine(self.resolve(name))
                for _ in engine.stream(
                    Image.new("RGB", (112, 112)), Question("ready"), Options(max_new_tokens=1)
                ):
                    pass
            except Exception:
                # The visitor is told when asking; here only the operator can do something about it.
                log.exception("The model %s could not be loaded.", name)

    def start(self, session: str) -> threading.Event:
        self._running[session] = cancelled = threading.Event()
        return cancelled

    def finish(self, session: str, cancelled: threading.Event) -> None:
        cancelled.set()
        if self._running.get(session) is cancelled:
            del self._running[session]

    def stop(self, session: str) -> None:
        if cancelled := self._running.get(session):
            cancelled.set()

    def busy(self, session: str) -> bool:
        return session in self._running

    def visitor(self, request: gr.Request) -> str:
        """A name for somebody without one, which that person cannot choose: the flag limit counts by it."""
        if request.username:
            return request.username
        host = request.client.host if request.client else ""
        if on_space():  # behind the Space's proxy, which appends the visitor's address
            host = (request.headers.get("x-forwarded-for") or host).split(",")[-1].strip()
        return "visitor " + hashlib.blake2b(host.encode(), key=self._salt, digest_size=4).hexdigest()

    def keep(self, shown: Shown, author: str) -> Shown:
        """Store the run that is shown, once."""
        if shown.run:
            return shown
        data = Path(shown.path).read_bytes()
        picture = self.store.add_picture(open_picture(data), data)
        sides = {}
        for side, answer in shown.answers.items():
            reply = shown.replies.get(side, Reply(""))
            error = shown.errors.get(side, "")
            sides[side] = Side(
                shown.models[side], answer, reply.tokens, reply.first_token, reply.seconds, error
            )
        return replace(shown, run=self.store.add_run(picture, shown.question, sides, author=author))

    def recall(self, run: str) -> Shown:
        """The stored run with that id."""
        row = self.store.run(run)
        path = self.store.picture_path(row["picture"])
        shown = look_at(str(path), "")[0]
        sides: dict[str, Side] = row["sides"]
        return replace(
            shown,
            question=row["question"],
            models={name: side.model for name, side in sides.items()},
            answers={name: side.answer for name, side in sides.items()},
            errors={name: side.error for name, side in sides.items() if side.error},
            states=dict.fromkeys(sides, "done"),
            replies={
                name: Reply(
                    side.answer.raw, side.tokens, side.first_token, side.seconds, True, side.answer.truncated
                )
                for name, side in sides.items()
            },
            run=run,
        )


def default_open(spec: ModelSpec) -> ModelSpec:
    """Leave it to `compare`, which opens a spec in its own side's thread: a model that takes long to load, or
    cannot be loaded, does not keep the other one waiting."""
    return spec


def on_space() -> bool:
    """Whether this is a public Hugging Face Space."""
    return bool(os.environ.get("SPACE_ID"))


@lru_cache(maxsize=32)
def _looked_at(path: str, _stamp: tuple) -> tuple[str, tuple[int, int], tuple[str, ...], str]:
    picture = open_picture(path)
    notes = tuple(picture.notes) + ((f"georeferenced, {picture.geo.crs}",) if picture.geo else ())
    return picture.sha256, (picture.width, picture.height), notes, render.preview(picture.image)


def look_at(path: str, name: str) -> tuple[Shown, str]:
    """The picture in a file: what to show of it, and its preview. Raises BadImage."""
    try:
        stat = os.stat(path)
    except OSError:
        raise Sentence("That picture is no longer here: please choose it again.") from None
    sha256, size, notes, uri = _looked_at(path, (stat.st_mtime_ns, stat.st_size))
    return Shown(path, name, sha256, size, notes), uri


def sentence(error: BaseException) -> str:
    """What the person is told about an error."""
    if isinstance(error, (Sentence, *SENTENCES)):
        return str(error)
    log.error("A handler failed.", exc_info=error)
    return FAILED


def build(
    config: Config | None = None,
    *,
    pair: tuple[str, str] | None = None,
    open_engine: Callable[[ModelSpec], Engine] | None = None,
    resolve: Callable[[str], ModelSpec] | None = None,
    store: Store | None = None,
) -> gr.Blocks:
    """The page. `pair`, `open_engine` and `resolve` replace the models that answer (tests, other programs)."""
    config = config or Config()
    if store is None:
        # On a laptop one person corrects and accepts; where strangers meet, somebody else has to review.
        config.data.mkdir(parents=True, exist_ok=True)
        store = Store(config.database, self_review=not on_space())
    page = Page(config, pair, open_engine or default_open, resolve or resolve_model, store)
    with gr.Blocks(title="TinyRS", analytics_enabled=False, delete_cache=(3600, 86400)) as demo:
        gr.HTML(
            '<header class="masthead"><h1>TinyRS</h1><p>Ask two small models about a satellite picture: '
            "one answers, one reasons first.</p></header>"
        )
        with gr.Tabs():
            with gr.Tab("Compare", id="compare"):
                compare_tab(demo, page)
            with gr.Tab("Annotate", id="annotate") as tab:
                annotate_tab(demo, store, tab, public=on_space())
            with gr.Tab("Review", id="review") as tab:
                review_tab(demo, store, tab, public=on_space())
    demo.page = page
    demo.queue(max_size=config.queue_size, default_concurrency_limit=8, api_open=False)
    return demo


def compare_tab(demo: gr.Blocks, page: Page) -> None:
    """The Compare tab's components and what happens on each event."""
    state = gr.State(None)
    flagging = gr.State("")
    with gr.Row(elem_classes="desk"):
        with gr.Column(scale=5, min_width=320):
            viewer = gr.HTML(render.no_picture(), elem_id="viewer")
            pick = gr.UploadButton("Choose a picture", size="md", elem_id="pick", type="filepath")
            gallery = examples()
            pictures = gr.Dataset(
                label="Or try one of these",
                components=[gr.Image(render=False, type="filepath")],
                samples=[[str(path)] for path, _, _ in gallery],
                samples_per_page=12,
                type="index",
                visible=bool(gallery),
                elem_id="examples",
            )
            gr.HTML(
                '<p class="fine">Uploads are deleted after a day. A comparison and its picture are stored only when you flag an '
                "answer or press “Keep and share”.</p>"
            )
        with gr.Column(scale=7, min_width=320):
            with gr.Column(elem_classes="pane", elem_id="asking"):
                kind = gr.Radio(
                    list(KINDS.items()), value="any", label="What do you want to know?", elem_classes="chips",
                    elem_id="kind",
                )  # fmt: skip
                question = gr.Textbox(
                    label="Question", placeholder="Ask anything about the picture", lines=1, max_lines=5,
                    max_length=LONGEST_QUESTION, elem_id="question",
                )  # fmt: skip
                asks = gr.Dataset(
                    label="For example",
                    components=[gr.Textbox(render=False)],
                    samples=[[text] for _, text in _first_questions()],
                    sample_labels=[label for label, _ in _first_questions()],
                    type="values",
                    elem_id="asks",
                    elem_classes="asks",
                )
                with gr.Row(elem_classes="actions"):
                    ask = gr.Button("Ask both", variant="primary", elem_id="ask", size="md", min_width=120)
                    stop = gr.Button("Stop", visible=False, elem_id="stop", size="md", min_width=120)
                    again = gr.Button("Ask again", visible=False, elem_id="again", size="md", min_width=120)
            notice = gr.HTML("", elem_id="notice")
            cards, pickers, flag_buttons, heads, abouts = {}, {}, {}, {}, {}
            with gr.Row(elem_classes="sides", equal_height=True):
                for side, name in zip(SIDES, page.pair):
                    with gr.Column(elem_classes=["side", f"side-{side.lower()}"], min_width=280):
                        heads[side] = gr.HTML(
                            render.side_head(side, page.spec(name)), elem_id=f"head-{side.lower()}"
                        )
                        pickers[side] = gr.Dropdown(
                            page.offered, value=name, label=f"Model {side}", show_label=False,
                            container=False, allow_custom_value=page.any_model, elem_id=f"model-{side.lower()}",
                        )  # fmt: skip
                        abouts[side] = gr.HTML(
                            render.about_model(page.spec(name)), elem_id=f"about-{side.lower()}"
                        )
                        cards[side] = gr.HTML(_empty_card(side), elem_id=f"card-{side.lower()}")
                        flag_buttons[side] = gr.Button(
                            f"Flag answer {side}", size="sm", visible=False, elem_id=f"flag-{side.lower()}"
                        )
            with gr.Column(visible=False, elem_classes="pane", elem_id="flag-panel") as panel:
                panel_title = gr.HTML("")
                reasons = gr.CheckboxGroup(list(REASONS), label="What is wrong?", elem_id="reasons")
                note = gr.Textbox(label="Note (optional)", lines=2, max_length=2000, elem_id="note")
                with gr.Row(elem_classes="actions"):
                    send = gr.Button("Send flag", variant="primary", size="md", elem_id="send-flag")
                    close = gr.Button("Cancel", size="md", elem_id="close-flag")
            below = gr.HTML("", elem_id="below")
            with gr.Row(visible=False, elem_classes="actions") as kept:
                keep = gr.Button("Keep and share link", size="md", elem_id="keep")
                download = gr.DownloadButton(
                    "Download picture with boxes", size="md", elem_id="download", visible=False
                )
            link = gr.HTML("", elem_id="link")

    everything = [
        state, viewer, pick, question, kind, ask, stop, again, notice, *cards.values(), *flag_buttons.values(),
        panel, below, kept, download, link,
    ]  # fmt: skip

    ours = {text for group in EXAMPLES.values() for _, text in group} | {text for _, text, _ in gallery}

    def told(handler):
        """Any error becomes a sentence in the notice line, never a traceback or a silent nothing."""

        @wraps(handler)
        def safe(*args):
            try:
                return {notice: "", **handler(*args)}
            except Exception as error:
                return {notice: render.notice(sentence(error))}

        return safe

    def paint(shown: Shown, picture: bool = True) -> dict:
        """Every component that depends on what is shown, once nothing is running."""
        over = shown.asked
        update = {
            state: shown,
            ask: gr.update(visible=True),
            stop: gr.update(visible=False),
            again: gr.update(visible=over),
            pick: gr.update(label="Choose another picture", interactive=True),
            below: _below(shown) if over else "",
            kept: gr.update(visible=over),
            link: render.share(shown.run) if shown.run else "",
            panel: gr.update(visible=False),
            download: gr.update(visible=False),
        }
        if picture:
            update[viewer] = _viewer(shown)
        for side in SIDES:
            update[cards[side]] = _card(shown, side) if over else _empty_card(side)
            update[flag_buttons[side]] = gr.update(visible=over and side in shown.answers)
        return update

    @told
    def upload(path: str | None, request: gr.Request):
        if page.busy(request.session_hash):
            raise Sentence("An answer is being written: press Stop first, then change the picture.")
        if not path:
            return {}
        return paint(look_at(path, Path(path).name)[0])

    @told
    def choose_example(index: int, text: str, request: gr.Request):
        if page.busy(request.session_hash):
            raise Sentence("An answer is being written: press Stop first, then change the picture.")
        if not isinstance(index, int) or not 0 <= index < len(gallery):
            raise Sentence("There is no such example.")
        path, its_question, its_kind = gallery[index]
        update = paint(look_at(str(path), path.name)[0])
        if its_question and (not (text or "").strip() or text in ours):
            update |= {question: its_question, kind: its_kind}
        return update

    def choose_kind(value: str, text: str):
        rows = EXAMPLES.get(value) or _first_questions()
        update = {
            asks: gr.Dataset(samples=[[q] for _, q in rows], sample_labels=[label for label, _ in rows])
        }
        # A question that the person wrote stays; an example's gives way to the new kind's first example.
        if value in EXAMPLES and (not (text or "").strip() or text in ours):
            update[question] = rows[0][1]
        return update

    def answer(shown: Shown | None, text: str, chosen: str, model_a: str, model_b: str, request: gr.Request):
        session = request.session_hash or secrets.token_hex(8)
        cancelled = None
        try:
            if shown is None:
                raise Sentence("Choose a picture first: drop one on the left, paste it, or take an example.")
            asked = _question(text, chosen)
            names = dict(zip(SIDES, (model_a, model_b)))
            engines = {side: page.open_engine(page.spec(name)) for side, name in names.items()}
            cancelled = page.start(session)
            shown = replace(
                shown, question=asked, models=names, answers={}, replies={}, errors={}, run="",
                states=dict.fromkeys(SIDES, "waiting"),
            )  # fmt: skip
            yield {
                notice: "", ask: gr.update(visible=False), again: gr.update(visible=False),
                stop: gr.update(visible=True), pick: gr.update(interactive=False), viewer: _viewer(shown),
                **{cards[side]: _card(shown, side) for side in SIDES}, below: "", link: "",
                kept: gr.update(visible=False), panel: gr.update(visible=False),
                **{button: gr.update(visible=False) for button in flag_buttons.values()},
            }  # fmt: skip
            picture = open_picture(shown.path)
            for shown, side, moved in follow(shown, engines, picture, cancelled):
                yield {cards[side]: _card(shown, side), **({viewer: _viewer(shown)} if moved else {})}
            yield paint(shown, picture=False)
        except GeneratorExit:
            raise
        except Exception as error:
            yield {
                notice: render.notice(sentence(error)), ask: gr.update(visible=True),
                stop: gr.update(visible=False), pick: gr.update(interactive=True),
            }  # fmt: skip
        finally:
            if cancelled is not None:
                page.finish(session, cancelled)

    def follow(shown: Shown, engines, picture, cancelled):
        """What is shown after each few words: (shown, the side that changed, whether boxes changed)."""
        for event in compare(engines, picture.image, shown.question, Options(), cancelled):
            before, shown = shown.layers, shown.after(event, cancelled.is_set())
            yield shown, event.side, before != shown.layers
            if not event.done:
                # The browser has better to do than to draw every token; what comes meanwhile is not lost.
                cancelled.wait(TICK)

    def prepare_download(shown: Shown | None):
        if shown is None or not any(shown.layers.values()):
            return gr.update(visible=False)
        try:
            image = open_picture(shown.path).image
            image.thumbnail((4096, 4096))
            drawn = render.draw(image, shown.layers)
            path = save_pil_to_cache(drawn, download.GRADIO_CACHE, name="tinyrs-boxes", format="png")
        except Exception as error:
            log.error("The picture with boxes could not be drawn.", exc_info=error)
            return gr.update(visible=False)
        return gr.update(value=path, visible=True)

    def stop_it(request: gr.Request):
        page.stop(request.session_hash)

    @told
    def models_chosen(a: str, b: str):
        specs = {side: page.spec(name) for side, name in zip(SIDES, (a, b))}
        return {
            **{abouts[side]: render.about_model(spec) for side, spec in specs.items()},
            **{heads[side]: render.side_head(side, spec) for side, spec in specs.items()},
        }

    @told
    def keep_it(shown: Shown | None, request: gr.Request):
        if shown is None or not shown.asked:
            raise Sentence("Ask something first; then the comparison can be kept.")
        shown = page.keep(shown, page.visitor(request))
        return {state: shown, link: render.share(shown.run, "Kept.")}

    def open_panel(side: str, shown: Shown | None):
        name = shown.models.get(side, "") if shown else ""
        title = f'<h3 class="side-{side.lower()}">Flag answer <span class="letter">{side}</span> {render.escape(name)}</h3>'
        return {
            flagging: side, panel: gr.update(visible=True), panel_title: title, reasons: [], note: "", notice: "",
        }  # fmt: skip

    def open_panel_a(shown: Shown | None):
        return open_panel("A", shown)

    def open_panel_b(shown: Shown | None):
        return open_panel("B", shown)

    def close_panel():
        return gr.update(visible=False)

    @told
    def send_flag(shown: Shown | None, side: str, why: list[str], words: str, request: gr.Request):
        if shown is None or side not in shown.answers:
            raise Sentence("Ask something first; then its answer can be flagged.")
        if not why:
            raise Sentence("Tick at least one reason for the flag.")
        author = page.visitor(request)
        shown = page.keep(shown, author)
        page.store.add_flag(shown.run, side, why, render.plain(words or ""), author=author)
        answer = shown.answers[side]
        said = f"Thank you: answer {side} is in the Annotate queue now."
        if not (answer.text or answer.reasoning):
            said = "Thank you: the flag is kept. That side wrote nothing that could be corrected."
        return {state: shown, panel: gr.update(visible=False), link: render.share(shown.run, said)}

    def load(request: gr.Request):
        run = request.query_params.get("record", "")
        if not run:
            return {state: None}
        try:
            shown = page.recall(run)
        except Exception as error:
            return {notice: render.notice(sentence(error))}
        update = {**paint(shown), question: shown.question.text, kind: shown.question.task.value}
        if shown.question.task.value not in KINDS.values():
            update[kind] = "any"
        return update

    def leave(request: gr.Request):
        page.stop(request.session_hash)

    private = {"api_visibility": "private"}
    quick = {**private, "queue": False, "show_progress": "hidden"}
    pick.upload(
        upload, pick, everything, api_name="upload", show_progress="hidden", concurrency_limit=2,
        concurrency_id="pictures", **private,
    )  # fmt: skip
    pictures.click(choose_example, [pictures, question], everything, api_name="example", **quick)
    kind.input(choose_kind, [kind, question], [asks, question], api_name="kind", **quick)
    asks.click(_example_text, asks, question, api_name="example_question", **quick)
    asking = gr.on(
        [ask.click, again.click, question.submit], answer, [state, question, kind, pickers["A"], pickers["B"]],
        everything, api_name="ask", concurrency_limit=1, concurrency_id="models", show_progress="hidden",
        trigger_mode="once", **private,
    )  # fmt: skip
    asking.then(prepare_download, state, download, api_name="download", **quick)
    stop.click(stop_it, api_name="stop", **quick)
    for picker in pickers.values():
        picker.change(
            models_chosen,
            list(pickers.values()),
            [*heads.values(), *abouts.values(), notice],
            api_name="models",
            **quick,
        )
    keep.click(keep_it, state, [state, link, notice], api_name="keep", **quick)
    opened = [flagging, panel, panel_title, reasons, note, notice]
    focus = "() => setTimeout(() => document.querySelector('#reasons input')?.focus(), 150)"
    for side, opener in (("A", open_panel_a), ("B", open_panel_b)):
        flag_buttons[side].click(opener, state, opened, api_name=f"flag_{side.lower()}", **quick).then(
            None, js=focus, api_name=f"focus_{side.lower()}", api_visibility="private"
        )
    close.click(close_panel, None, panel, api_name="close_flag", **quick)
    send.click(
        send_flag, [state, flagging, reasons, note], [state, panel, link, notice], api_name="flag", **quick
    )
    loading = demo.load(load, None, everything, api_name="record", **quick)
    loading.then(prepare_download, state, download, api_name="download_record", **quick)
    demo.unload(leave)


def examples() -> list[tuple[Path, str, str]]:
    """The pictures of the gallery, each with a question and its task; [] in a checkout without them."""
    try:
        rows = json.loads((EXAMPLE_PICTURES / "examples.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return [(EXAMPLE_PICTURES / row["file"], row["question"], row["task"]) for row in rows]


def _first_questions() -> list[tuple[str, str]]:
    """One example of each kind."""
    return [rows[0] for rows in EXAMPLES.values()]


def _example_text(sample: list[str]) -> str:
    return sample[0]


def _question(text: str, chosen: str) -> Question:
    text = render.plain(text or "").strip()
    if not text:
        raise Sentence("Type a question, or choose one of the examples.")
    if len(text) > LONGEST_QUESTION:
        raise Sentence(f"The question has {len(text):,} characters; at most {LONGEST_QUESTION:,} are read.")
    task, labels = guess_task(text)
    return Question(text, task if chosen not in KINDS.values() or chosen == "any" else Task(chosen), labels)


def _viewer(shown: Shown) -> str:
    uri = look_at(shown.path, shown.name)[1]
    return render.viewer(uri, *shown.size, shown.layers, shown.models, shown.notes, shown.name)


def _card(shown: Shown, side: str) -> str:
    state = shown.states.get(side, "done")
    hint = "Looking at the picture" if state == "waiting" else "Writing"
    return render.answer_card(
        side,
        shown.answers.get(side),
        shown.replies.get(side),
        state=state,
        error=shown.errors.get(side, ""),
        hint=hint,
    )


def _empty_card(side: str) -> str:
    hint = {"A": "The short answer appears here.", "B": "The reasoning and its answer appear here."}[side]
    return render.answer_card(side, state="empty", hint=hint)


def _below(shown: Shown) -> str:
    return render.agreement(shown.same(), shown.overlap()) + render.json_fold(shown.as_json())


def launch(demo: gr.Blocks, *, host: str | None = None, port: int | None = None, quiet: bool = False):
    """Serve the page without blocking; returns Gradio's (app, local address, share address)."""
    return demo.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        quiet=quiet,
        share=False,
        show_error=False,
        ssr_mode=False,
        run_history=False,
        enable_monitoring=False,
        allowed_paths=[],
        max_file_size=demo.page.config.max_bytes,
        theme=THEME,
        css=CSS,
        head=HEAD,
        footer_links=[],
        app_kwargs={"middleware": [Middleware(Guard)]},
    )


def main(argv: list[str] | None = None) -> None:
    """Serve the page until interrupted."""
    parser = argparse.ArgumentParser(prog="app.py", description="Ask two models about one satellite picture.")
    parser.add_argument("--pair", help="names of the two models, with a comma: pocket,pocket-r1")
    parser.add_argument("--host", help="address to listen on (127.0.0.1; 0.0.0.0 for everybody)")
    parser.add_argument("--port", type=int, help="port to listen on (7860)")
    args = parser.parse_args(argv)
    pair = tuple(name.strip() for name in args.pair.split(",")) if args.pair else None
    if pair and len(pair) != 2:
        parser.error("--pair takes two names with a comma between them, such as pocket,pocket-r1")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        for name in pair or Config().pair:
            resolve_model(name)
        demo = build(pair=pair)
    except SENTENCES as error:
        parser.exit(2, f"{error}\n")
    launch(demo, host=args.host, port=args.port)
    threading.Thread(target=demo.page.warm, name="warm", daemon=True).start()
    demo.block_thread()


if __name__ == "__main__":
    main()
