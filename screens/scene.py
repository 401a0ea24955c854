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
from types import SimpleNamespace

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache

from screens import scene_markup as markup
from screens import scene_plan as plans
from screens.compare import TICK
from screens.page import Page, Sentence, sentence
from screens.size import learn
from tinyrs import render
from tinyrs.compare import compare
from tinyrs.example import BOX_SCALE, Box
from tinyrs.image import Picture
from tinyrs.lens import Tiled
from tinyrs.paths import PathRefused, inside
from tinyrs.prompt import COUNT, DESCRIBE, LOCATE, PRESENCE
from tinyrs.scene import Scene, files, open_scene, rows
from tinyrs.shown import SIDES, Shown
from tinyrs.suggestions import LONGEST_QUESTION
from tinyrs.suggestions import question as read_question
from tinyrs.tiles import OVERLAP
from tinyrs.view import AUTO, MINMAX, NONE

STRETCHES = {
    "Automatic": AUTO,
    "Lowest to highest value": MINMAX,
    "2nd to 98th percentile": (2.0, 98.0),
    "1st to 99th percentile": (1.0, 99.0),
    "0.1st to 99.9th percentile": (0.1, 99.9),
    "Not stretched": NONE,
}
QUESTIONS = (
    ("Find the ship", LOCATE.format(phrase="the ship")),
    ("Find the airplane", LOCATE.format(phrase="the airplane")),
    ("A road?", PRESENCE.format(phrase="a road")),
    ("How many buildings?", COUNT.format(things="buildings")),
    ("Describe it", DESCRIBE),
)
COLUMNS = (
    "Side", "Number", "Label", "x1", "y1", "x2", "y2", "Left", "Top", "Right", "Bottom", "Longitude", "Latitude"
)  # fmt: skip
BUSY = "The models are at work on this scene: press Stop first."
MOST_LISTED = 500
PAINT = 1.0
"""Seconds between two drawings of the boxes while tiles are asked: each sends the picture again."""

_LISTEN = "element.addEventListener('order', (event) => trigger('submit', event.detail));"


def scene_tab(demo: gr.Blocks, page: Page) -> None:
    """Build the tab inside the current `gr.Tab`."""
    state = gr.State(None)
    orders = gr.HTML("", elem_id="scene-orders", elem_classes="scene-orders", js_on_load=_LISTEN)
    with gr.Row(elem_classes="desk"):
        with gr.Column(scale=5, min_width=320):
            see = _sights(page)
        with gr.Column(scale=7, min_width=320):
            notice = gr.HTML("", elem_id="scene-notice")
            want = _wishes(page)
            got = _findings()

    cards = [part for parts in got.cards.values() for part in parts]
    results = [got.progress, got.viewer, got.sides, *cards, got.below, got.table, got.files]
    looking = [
        state, notice, see.overview, see.about, see.panel, see.whole, *see.numbers, *see.bands, see.stretch, see.shelf,
        want.panel, *results,
    ]  # fmt: skip
    _look(page, state, orders, see, want, got, notice, looking)
    _ask(demo, page, state, want, got, notice, results)


# What is on the tab


def _sights(page: Page) -> SimpleNamespace:
    """The scene, its window, and how it is shown."""
    listed = scenes_on_server(page.config.scenes)
    overview = gr.HTML(markup.empty(), elem_id="scene-overview")
    with gr.Row(elem_classes="actions", elem_id="scene-open"):
        pick = gr.UploadButton(
            "Open a GeoTIFF", file_types=[".tif", ".tiff"], size="md", elem_id="scene-pick", type="filepath"
        )
        whole = gr.Button("Take all of it", size="md", elem_id="scene-whole", visible=False)
    shelf = gr.Dropdown(
        listed, value=None, label="Or one that lies on this server", visible=bool(listed), elem_id="scene-shelf"
    )
    about = gr.HTML("", elem_id="scene-about")
    with gr.Column(visible=False, elem_classes="pane", elem_id="scene-look") as panel:
        with gr.Row(elem_classes=["numbers", "four"]):
            numbers = [
                gr.Number(label=label, precision=0, min_width=76, elem_id=f"scene-{label.lower()}")
                for label in ("Column", "Row", "Width", "Height")
            ]
        take = gr.Button("Take this window", size="md", elem_id="scene-take")
        with gr.Row(elem_classes=["numbers", "bands"]):
            bands = [
                gr.Dropdown([], label=colour, min_width=76, elem_id=f"scene-{colour.lower()}")
                for colour in ("Red", "Green", "Blue")
            ]
        stretch = gr.Dropdown(
            list(STRETCHES), value=next(iter(STRETCHES)), label="Stretch", elem_id="scene-stretch"
        )
    gr.HTML('<p class="fine">An uploaded scene is deleted after a day; nothing of it is stored.</p>')
    return SimpleNamespace(
        overview=overview, pick=pick, whole=whole, shelf=shelf, about=about, panel=panel, numbers=numbers, take=take,
        bands=bands, stretch=stretch,
    )  # fmt: skip


def _wishes(page: Page) -> SimpleNamespace:
    """The question, and how it is to be answered."""
    first = [page.pair[0]]
    with gr.Column(visible=False, elem_classes="pane", elem_id="scene-asking") as panel:
        question = gr.Textbox(
            label="Question about the window", placeholder="Ask anything, or look for a thing", lines=1, max_lines=5,
            max_length=LONGEST_QUESTION, elem_id="scene-question",
        )  # fmt: skip
        asks = gr.Dataset(
            label="For example", components=[gr.Textbox(render=False)], samples=[[text] for _, text in QUESTIONS],
            sample_labels=[label for label, _ in QUESTIONS], type="values", elem_id="scene-asks", elem_classes="asks",
        )  # fmt: skip
        models = gr.Dropdown(
            page.offered, value=first, multiselect=True, max_choices=2, label="Models, one or two",
            allow_custom_value=page.any_model, elem_id="scene-models",
        )  # fmt: skip
        way = gr.Radio(
            [("The window at once", plans.ONCE), ("Tile by tile, to find small things", plans.TILES)],
            value=plans.ONCE, label="How it is looked at", elem_classes="chips", elem_id="scene-way",
        )  # fmt: skip
        most = plans.budget(page, first)
        tokens = gr.Slider(
            1, most, value=most, step=1, label="Pixel budget, in visual tokens of 28 × 28 pixels", elem_id="scene-tokens"
        )
        with gr.Row(visible=False, elem_classes="numbers") as tiling:
            side = gr.Number(
                plans.usual_side(page, first), label="Side of a tile, pixels", precision=0, elem_id="scene-tile"
            )
            overlap = gr.Number(OVERLAP * 100, label="Overlap, per cent", precision=0, elem_id="scene-overlap")
        plan = gr.HTML("", elem_id="scene-plan")
        with gr.Row(elem_classes="actions"):
            ask = gr.Button("Ask", variant="primary", elem_id="scene-ask", size="md", min_width=120)
            stop = gr.Button("Stop", visible=False, elem_id="scene-stop", size="md", min_width=120)
    return SimpleNamespace(
        panel=panel, question=question, asks=asks, models=models, way=way, tokens=tokens, tiling=tiling, side=side,
        overlap=overlap, plan=plan, ask=ask, stop=stop, options=[models, way, tokens, side, overlap],
    )  # fmt: skip


def _findings() -> SimpleNamespace:
    """The window with boxes, an answer per side, the table and the files."""
    progress = gr.HTML("", elem_id="scene-progress")
    viewer = gr.HTML("", elem_id="scene-viewer")
    cards = {}
    with gr.Row(elem_classes="sides", visible=False) as sides:
        for letter in SIDES:
            looks = ["side", f"side-{letter.lower()}"]
            with gr.Column(elem_classes=looks, min_width=280, visible=False) as column:
                cards[letter] = (column, gr.HTML(""), gr.HTML("", elem_id=f"scene-card-{letter.lower()}"))
    below = gr.HTML("", elem_id="scene-below")
    table = gr.Dataframe(
        headers=list(COLUMNS), datatype="str", type="array", interactive=False, visible=False, max_height=320,
        label="Boxes: 0 to 1000 of the window, then in pixels of the file, then their middle", elem_id="scene-table",
    )  # fmt: skip
    taken = gr.File(
        label="Take home", file_count="multiple", interactive=False, visible=False, elem_id="scene-files"
    )
    return SimpleNamespace(
        progress=progress, viewer=viewer, sides=sides, cards=cards, below=below, table=table, files=taken
    )


def _nothing_found(got: SimpleNamespace) -> dict:
    return {
        got.progress: "", got.viewer: "", got.sides: gr.update(visible=False), got.below: "",
        **{column: gr.update(visible=False) for column, _, _ in got.cards.values()},
        got.table: gr.update(visible=False, value=[]), got.files: gr.update(visible=False, value=None),
    }  # fmt: skip


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
            **_nothing_found(got),
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
                notice: "", **_nothing_found(got), want.ask: gr.update(visible=False),
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


def scenes_on_server(folder: Path | None) -> list[str]:
    """The TIFFs of the operator's folder, by their names in it; at most MOST_LISTED."""
    if folder is None:
        return []
    found = (path for path in Path(folder).rglob("*") if path.suffix.lower() in (".tif", ".tiff"))
    return sorted(path.relative_to(folder).as_posix() for path in found)[:MOST_LISTED]


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
