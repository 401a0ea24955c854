"""What stands on the Scene tab: the scene and its window, the question about it, and what was found."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import gradio as gr

from screens import scene_markup as markup
from screens import scene_plan as plans
from screens.page import Page
from tinyrs.prompt import COUNT, DESCRIBE, LOCATE, PRESENCE
from tinyrs.shown import SIDES
from tinyrs.suggestions import LONGEST_QUESTION
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
MOST_LISTED = 500


def sights(page: Page) -> SimpleNamespace:
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


def wishes(page: Page) -> SimpleNamespace:
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


def findings() -> SimpleNamespace:
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


def nothing_found(got: SimpleNamespace) -> dict:
    """The updates after which nothing stands there that was found."""
    return {
        got.progress: "", got.viewer: "", got.sides: gr.update(visible=False), got.below: "",
        **{column: gr.update(visible=False) for column, _, _ in got.cards.values()},
        got.table: gr.update(visible=False, value=[]), got.files: gr.update(visible=False, value=None),
    }  # fmt: skip


def scenes_on_server(folder: Path | None) -> list[str]:
    """The TIFFs of the operator's folder, by their names in it; at most MOST_LISTED."""
    if folder is None:
        return []
    found = (path for path in Path(folder).rglob("*") if path.suffix.lower() in (".tif", ".tiff"))
    return sorted(path.relative_to(folder).as_posix() for path in found)[:MOST_LISTED]
