"""The Scene tab: a GeoTIFF as it comes from the archive, a window of it, and what the models find there.

The file is read by windows and stays where it lies (tinyrs/scene.py). A window is asked about at once or tile by
tile (screens/scene_plan.py); both run as a comparison, so that they stream, stop and fail like one.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, wraps
from pathlib import Path

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache

from screens import scene_markup as markup
from screens import scene_plan as plans
from screens.compare import TICK
from screens.page import Page, Sentence, sentence
from screens.scene_layout import STRETCHES, findings, nothing_found, sights, wishes
from screens.size import learn
from tinyrs import render
from tinyrs.compare import compare
from tinyrs.example import BOX_SCALE, Box
from tinyrs.image import Picture
from tinyrs.lens import Tiled
from tinyrs.paths import PathRefused, inside
from tinyrs.scene import Scene, files, open_scene, rows
from tinyrs.shown import SIDES, Shown
from tinyrs.suggestions import question as read_question

BUSY = "The models are at work on this scene: press Stop first."
PAINT = 1.0
"""Seconds between two drawings of the boxes while tiles are asked: each sends the picture again."""

_LISTEN = "element.addEventListener('order', (event) => trigger('submit', event.detail));"


def scene_tab(demo: gr.Blocks, page: Page) -> None:
    """Build the tab inside the current `gr.Tab`."""
    state = gr.State(None)
    orders = gr.HTML("", elem_id="scene-orders", elem_classes="scene-orders", js_on_load=_LISTEN)
    with gr.Row(elem_classes="desk"):
        with gr.Column(scale=5, min_width=320):
            see = sights(page)
        with gr.Column(scale=7, min_width=320):
            notice = gr.HTML("", elem_id="scene-notice")
            want = wishes(page)
            got = findings()

    cards = [part for parts in got.cards.values() for part in parts]
    results = [got.progress, got.viewer, got.sides, *cards, got.below, got.table, got.files]
    looking = [
        state, notice, see.overview, see.about, see.panel, see.whole, *see.numbers, *see.bands, see.stretch, see.shelf,
        want.panel, *results,
    ]  # fmt: skip
    _look(page, state, orders, see, want, got, notice, looking)
    _ask(demo, page, state, want, got, notice, results)


# Looking


def _look(page: Page, state, orders, see, want, got, notice, looking: list) -> None:
    """What opens a scene, moves its window, and changes how it is shown."""

    def told(handler):
        """Nothing changes under a running answer, and any error becomes a sentence."""

        @wraps(handler)
        def safe(*args):
            request = next(value for value in args if hasattr(value, "session_hash"))
            try:
                if page.busy(session(request)):
                    raise Sentence(BUSY)
                return {notice: "", **handler(*args)}
            except Exception as error:
                return {notice: render.notice(sentence(error))}

        return safe

    def paint(scene: Scene, fresh: bool = False) -> dict:
        """Everything that shows the scene; what was found in another window goes."""
        small, part = scene.overview(), scene.part()
        update = {
            state: scene,
            see.overview: markup.overview(_uri(small), small, scene),
            see.about: markup.about(scene.name, scene.facts, small.notes),
            see.panel: gr.update(visible=True),
            see.whole: gr.update(visible=scene.window is not None),
            **dict(zip(see.numbers, scene.window or (0, 0, *scene.facts.size))),
            want.panel: gr.update(visible=True),
            **nothing_found(got),
            got.viewer: markup.window(_uri(part), part, "", {}, {}) if scene.window else "",
        }
        if fresh:
            names = [(f"{i} {name}".strip(), i) for i, name in enumerate(scene.facts.bands, 1)]
            shown = scene.bands if len(scene.bands) == 3 else scene.bands * 3
            update |= {box: gr.update(choices=names, value=band) for box, band in zip(see.bands, shown)}
            update[see.stretch] = next(iter(STRETCHES))
        return update

    @told
    def open_upload(path: str | None, request: gr.Request):
        return paint(open_scene(path), fresh=True) if path else {}

    @told
    def open_listed(name: str | None, request: gr.Request):
        if not name:
            return {}
        try:
            if page.config.scenes is None:
                raise PathRefused("no folder")
            path = inside(page.config.scenes, name)
        except PathRefused:
            raise Sentence("There is no such scene on this server.") from None
        return paint(open_scene(path, name), fresh=True)

    @told
    def show_other(scene: Scene | None, red: int, green: int, blue: int, far: str, request: gr.Request):
        colours = (red, green, blue)
        if far not in STRETCHES or not all(type(band) is int for band in colours):
            raise Sentence("Choose the bands and the stretch from their lists.")
        if len(set(colours)) == 1:
            colours = colours[:1]
        return paint(replace(_held(scene), bands=colours, stretch=STRETCHES[far]))

    @told
    def move(scene: Scene | None, column, row, width, height, request: gr.Request):
        typed = (column, row, width, height)
        if not all(isinstance(number, (int, float)) for number in typed):
            raise Sentence("A window takes four numbers: column, row, width and height.")
        return paint(_held(scene).at(tuple(int(number) for number in typed)))

    @told
    def take_all(scene: Scene | None, request: gr.Request):
        return paint(_held(scene).at(None))

    @told
    def draw(scene: Scene | None, request: gr.Request, event: gr.EventData):
        """A window was drawn, or moved by a click. What comes from the browser may be anything."""
        scene, order = _held(scene), event._data if isinstance(event._data, dict) else {}
        if corners := _thousandths(order.get("box"), 4):
            return paint(scene.around(Box(*corners)))
        if point := _thousandths(order.get("point"), 2):
            return paint(scene.centred(*point))
        raise Sentence("The page sent something that is no window.")

    reading = {
        "api_visibility": "private", "show_progress": "minimal", "show_progress_on": see.overview,
        "concurrency_limit": 2, "concurrency_id": "pictures", "trigger_mode": "always_last",
    }  # fmt: skip
    numbers = [number.submit for number in see.numbers]
    chosen = [*(band.input for band in see.bands), see.stretch.input]
    typed, shown = [state, *see.numbers], [state, *see.bands, see.stretch]
    for triggers, handler, inputs, name in (
        ([see.pick.upload], open_upload, [see.pick], "scene_upload"),
        ([see.shelf.input], open_listed, [see.shelf], "scene_open"),
        ([see.take.click, *numbers], move, typed, "scene_window"),
        ([see.whole.click], take_all, [state], "scene_whole"),
        ([orders.submit], draw, [state], "scene_order"),
        (chosen, show_other, shown, "scene_look"),
    ):
        gr.on(triggers, handler, inputs, looking, api_name=name, **reading)


# Asking


def _ask(demo: gr.Blocks, page: Page, state, want, got, notice, results: list) -> None:
    """What says what the models will see, asks them, and stops them."""
    def plan(scene: Scene | None, *options) -> dict:
        """What the models will see; or the sentence that says why that makes no sense."""
        tiled = gr.update(visible=options[1] == plans.TILES)
        try:
            said = plans.planned(page, scene, plans.Wish.of(*options)) if scene else ""
        except Exception as error:
            said = render.notice(sentence(error))
        return {want.plan: said, want.tiling: tiled}

    def other_models(models: object):
        """Models have budgets and tiles of their own."""
        names = [name for name in models or [] if isinstance(name, str)] if isinstance(models, list) else []
        try:
            most, side = plans.budget(page, names), plans.usual_side(page, names)
        except Exception:  # none, or one that is not on offer: the plan says so
            return {want.tokens: gr.skip()}
        return {want.tokens: gr.update(maximum=most, value=most), want.side: side}

    def answer(scene: Scene | None, text: str, models, way, tokens, side, overlap, request: gr.Request):
        here, cancelled = session(request), None
        try:
            if page.busy(here):
                raise Sentence(BUSY)
            wish = plans.Wish.of(models, way, tokens, side, overlap)
            question = read_question(text)
            picture, engines = plans.look_through(page, _held(scene), question, wish)
            cancelled = page.start(here)
            part, names = scene.part(), dict(zip(SIDES, wish.models))
            shown = Shown(
                scene.path, scene.name, part.sha256, part.image.size, part.notes, question=question, models=names,
                states=dict.fromkeys(names, "waiting"),
            )  # fmt: skip
            yield {
                notice: "", **nothing_found(got), want.ask: gr.update(visible=False),
                want.stop: gr.update(visible=True), got.sides: gr.update(visible=True), **faces(shown),
                got.viewer: window(scene, shown),
            }  # fmt: skip
            yield from follow(scene, shown, wish, engines, picture, cancelled)
        except GeneratorExit:
            raise
        except Exception as error:
            over = {want.ask: gr.update(visible=True), want.stop: gr.update(visible=False)}
            yield {notice: render.notice(sentence(error)), **over}
        finally:
            if cancelled is not None:
                page.finish(here, cancelled)

    def follow(scene: Scene, shown: Shown, wish, engines: dict, picture: Picture, cancelled) -> Iterator[dict]:
        """What changes on the page with every few words, and at the end."""
        painted, how, learned = 0.0, wish.options(page), {}
        for event in compare(engines, picture.image, shown.question, how, cancelled):
            engine, spec = engines[event.side], page.spec(shown.models[event.side])
            if isinstance(engine, Tiled) and engine.step:
                event = replace(event, answer=engine.step.answer)  # its text has whole thousandths only
                if learned.get(event.side) is not engine.step:  # a quick model's last tile is its only news
                    learned[event.side] = engine.step
                    learn(page, spec, how, (engine.parts[0].width, engine.parts[0].height), engine.step.reply)
            elif event.done:
                learn(page, spec, how, picture.image.size, event.reply)
            before, shown = shown.layers, shown.after(event, cancelled.is_set())
            update = faces(shown, event.side)
            if wish.tiled:
                update[got.progress] = markup.progress(
                    [(letter, shown.models[letter], one.step, len(one.parts)) for letter, one in engines.items()]
                )
            if before != shown.layers and (event.done or time.monotonic() - painted > PAINT):
                painted = time.monotonic()
                update[got.viewer] = window(scene, shown)
            yield update
            if not event.done:
                cancelled.wait(TICK)
        yield {**finished(scene, shown), want.ask: gr.update(visible=True), want.stop: gr.update(visible=False)}

    def faces(shown: Shown, only: str = "") -> dict:
        """The cards, or one of them."""
        update = {}
        for letter in [only] if only else shown.models:
            column, head, card = got.cards[letter]
            now = shown.states.get(letter, "done")
            update[column] = gr.update(visible=True)
            update[head] = render.side_head(letter, page.spec(shown.models[letter]))
            update[card] = render.answer_card(
                letter, shown.answers.get(letter), shown.replies.get(letter), state=now,
                error=shown.errors.get(letter, ""), hint="Looking at the scene" if now == "waiting" else "Writing",
            )  # fmt: skip
        return update

    def window(scene: Scene, shown: Shown) -> str:
        part = scene.part()
        return markup.window(_uri(part), part, scene.name, shown.layers, shown.models)

    def finished(scene: Scene, shown: Shown) -> dict:
        """The boxes as a table and as files."""
        part, cells, made = scene.part(), [], []
        for letter, boxes in shown.layers.items():
            if not boxes:
                continue
            cells += [[letter, *row] for row in rows(part, boxes)]
            name = shown.models[letter]
            about = {"picture": scene.name, "question": shown.question.text, "model": name}
            stem = f"{_file_name(Path(scene.name).stem)}-{_file_name(name)}"
            said = {key: render.plain(value) for key, value in about.items()}
            for file, content in files(part, boxes, stem, said).items():
                made.append(save_bytes_to_cache(content, file, got.files.GRADIO_CACHE))
        both = len(shown.models) > 1
        return {
            got.viewer: window(scene, shown),
            **faces(shown),
            got.below: render.agreement(shown.same(), shown.overlap()) if both else "",
            got.table: gr.update(visible=bool(cells), value=cells),
            got.files: gr.update(visible=bool(made), value=made or None),
        }

    def stop_it(request: gr.Request):
        page.stop(session(request))

    def leave(request: gr.Request):
        page.stop(session(request))

    quick = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    planning = [state, *want.options], [want.plan, want.tiling]
    gr.on(
        [state.change, want.models.change, want.way.change, want.tokens.change, want.side.change, want.overlap.change],
        plan, *planning, api_name="scene_plan", trigger_mode="always_last", **quick,
    )  # fmt: skip
    want.models.input(other_models, want.models, [want.tokens, want.side], api_name="scene_models", **quick)
    want.asks.click(_first, want.asks, want.question, api_name="scene_example", **quick)
    gr.on(
        [want.ask.click, want.question.submit], answer, [state, want.question, *want.options],
        [notice, want.ask, want.stop, *results], api_name="scene_ask", api_visibility="private",
        concurrency_limit=1, concurrency_id="models", show_progress="hidden", trigger_mode="once",
    ).then(plan, *planning, api_name="scene_plan_after", **quick)  # fmt: skip
    want.stop.click(stop_it, api_name="scene_stop", **quick)
    demo.unload(leave)


# Small things


def session(request: gr.Request) -> str:
    """The name under which this tab's work can be stopped: Compare may be at work beside it."""
    return f"scene {request.session_hash or secrets.token_hex(8)}"


def _held(scene: Scene | None) -> Scene:
    if scene is None:
        raise Sentence("Open a scene first.")
    return scene


def _thousandths(values: object, count: int) -> list[float] | None:
    """`count` numbers from 0 to BOX_SCALE, or None for anything else."""
    if not isinstance(values, list) or len(values) != count:
        return None
    fine = all(type(value) in (int, float) and 0 <= value <= BOX_SCALE for value in values)
    return [float(value) for value in values] if fine else None


def _first(sample: list[str]) -> str:
    return sample[0]


def _file_name(text: str) -> str:
    """`text` as a part of a file's name on any system."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:60] or "scene"


@lru_cache(maxsize=8)
def _uri(picture: Picture) -> str:
    return render.preview(picture.image)
