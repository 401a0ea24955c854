"""Every state of every screen, walked through in a real Chromium by models that say what is written here.

A walk opens the page with `visit(url)`, which gives a `tests.visitor.Visitor` of some width and scheme, and yields
(visitor, name of the state) at each of them. dev/screenshots.py photographs them, tests/test_states.py asks what has to
hold in all. `folder` is the walk's own: what is stored and uploaded lies there, and the card to share once it was made.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from annotate.people import People
from annotate.users import Users
from tests.desk import captions, state
from tests.fake import FakeEngine
from tests.pages import engines, page, picture_file, served
from tests.visitor import Visitor
from tinyrs.config import ROOT
from tinyrs.engine import EngineFailure

Walk = Callable[[Callable[[str], Visitor], Path], Iterator[tuple[Visitor, str]]]

AIRPORT = ROOT / "assets" / "examples" / "airport.png"
WHERE = "Identify the location of the leftmost airplane."
BOX = "[[118,262,232,384]]"
REASONED = (
    "<reasoning> The picture shows an apron with several airplanes that are parked beside a terminal.\n"
    "The leftmost of them stands alone at [[120,260,236,390]], its nose to the south.\n"
    "Nothing that looks like an airplane lies further left. </reasoning> <answer> [[120,260,236,390]] </answer>"
)
LONG = "Antidisestablishmentarianism" * 4 + " and so on"
PASSWORD = "correct horse battery"
PAINTED = """() => document.querySelectorAll('#examples img').length
    && [...document.images].every((image) => image.complete && image.naturalWidth)"""


def pair(*, a=(BOX,) * 6, b=(REASONED,) * 6, **declared) -> dict[str, FakeEngine]:
    """Two models with the pocket pair's way with pictures."""
    models = engines(a=a, b=b)
    for model in models.values():
        model.spec = replace(model.spec, **{"min_pixels": 112 * 84, "max_pixels": 100 * 784, **declared})
    return models


# Compare


def compare(visit, folder: Path):
    """The first visit: the tour, a picture, both answer, flags, a second question, a side that fails, the link."""
    go = threading.Event()
    slow = [REASONED[:170], go, REASONED[170:]]
    cut = [REASONED[:120], EngineFailure("The model ran out of memory: try a smaller picture.")]
    models = pair(a=(BOX, "yes", BOX), b=(slow, REASONED.replace(BOX, "yes"), cut))
    with served(page(models, data=folder)) as url, visit(url) as visitor:
        expect(visitor["#tour:not([hidden]) li:not([hidden])"]).to_be_visible()
        visitor.page.wait_for_function(PAINTED)
        yield visitor, "tour"
        visitor["#tour .tour-close"].click()
        yield visitor, "empty"
        visitor["#ask"].click()
        expect(visitor["#notice [role=alert]"]).to_be_visible()
        yield visitor, "error"
        visitor.choose(AIRPORT)
        expect(visitor["#sight .sights"]).to_be_visible()
        yield visitor, "picture"
        visitor.ask(WHERE, wait=False)
        expect(visitor["#card-b details.reasoning li"].first).to_be_visible()
        yield visitor, "answering"
        go.set()
        visitor.answered()
        expect(visitor["#votes"]).to_be_visible()
        expect(visitor["#share-card"]).to_be_visible()
        yield visitor, "done"
        with visitor.page.expect_download() as card:
            visitor["#share-card"].click()
        card.value.save_as(folder / "share-card.png")
        visitor["#card-b summary"].click()
        visitor["#below summary"].click()
        yield visitor, "unfolded"
        visitor["#below summary"].click()
        visitor["#flag-b"].click()
        expect(visitor["#reasons input"].first).to_be_focused()
        yield visitor, "flag"
        visitor["#close-flag"].click()
        visitor.flag("b", "wrong box", "The box misses the tail.")
        yield visitor, "flagged"
        link = visitor["#link a"].get_attribute("href")
        visitor.ask("Is there a terminal beside the airplanes?")
        expect(visitor["#talk"]).to_contain_text(WHERE)
        expect(visitor["#share-card"]).to_be_visible()
        yield visitor, "second"
        visitor["#again"].click()
        expect(visitor["#card-b .error"]).to_be_visible()
        yield visitor, "failed"
        visitor.open(f"/{link}")
        visitor.answered()
        expect(visitor["#share-card"]).to_be_visible()
        yield visitor, "permalink"
        visitor.open("/?record=gone")
        expect(visitor["#notice [role=alert]"]).to_be_visible()
        yield visitor, "no-such-link"


def blind(visit, folder: Path):
    """Which model is which stays hidden until the vote."""
    go = threading.Event()
    models = pair(b=([REASONED[:170], go, REASONED[170:]],))
    with served(page(models, data=folder)) as url, visit(url) as visitor:
        _no_tour(visitor)
        visitor.choose(AIRPORT)
        visitor["#blind input"].check()
        visitor["#question textarea"].fill(WHERE)
        visitor["#ask"].click()
        expect(visitor["#stop"]).to_be_visible()
        for telling in ("#model-a", "#model-b", "#about-a", "#about-b", "#sight", "#head-a span", "#head-b span"):
            expect(visitor[telling]).to_be_hidden()
        yield visitor, "answering"
        go.set()
        expect(visitor["#votes"]).to_be_visible()
        yield visitor, "before"
        visitor["#vote-answer"].get_by_text("A is better").click()
        expect(visitor["#voted"]).to_contain_text("1 of 1")
        expect(visitor["#share-card"]).to_be_visible()
        yield visitor, "after"


def long(visit, folder: Path):
    """What is longer than anybody expects: words without a gap, many steps, many boxes, a cut answer."""
    boxes = ",".join(f"[{x},{y},{x + 60},{y + 60}]" for x in range(0, 900, 100) for y in range(0, 300, 100))
    steps = "\n".join(f"Step {number}: {LONG}." for number in range(12))
    models = pair(a=(f"[{boxes}]",), b=(f"<reasoning> {steps} </reasoning> <answer> {LONG} {LONG}",), about=LONG)
    with served(page(models, data=folder)) as url, visit(url) as visitor:
        _no_tour(visitor)
        visitor.choose(picture_file(folder, f"{LONG}.png"))
        visitor.ask(f"{LONG} {WHERE}")
        visitor["#card-b summary"].click()
        expect(visitor["#share-card"]).to_be_visible()
        yield visitor, "done"


# Ask many


def many(visit, folder: Path):
    """A list of questions, while they are asked and after; and what is said when something is missing."""
    go = threading.Event()
    models = pair(a=(BOX, BOX, [go, "yes"], *[BOX] * 6), b=(REASONED,) * 9)
    with served(page(models, data=folder)) as url, visit(url) as visitor:
        _no_tour(visitor)
        visitor.tab("Ask many")
        yield visitor, "empty"
        visitor["#many-ask"].click()
        expect(visitor["#many-progress [role=alert]"]).to_be_visible()
        yield visitor, "error"
        visitor["#many-files input[type=file]"].set_input_files([AIRPORT, AIRPORT.with_name("port.png")])
        expect(visitor["#many-files"]).to_contain_text("port")
        visitor["#many-questions textarea"].fill(f"{WHERE}\nIs there a road?\nWhat kind of scene is this?")
        visitor["#many-ask"].click()
        expect(visitor["#many-stop"]).to_be_visible()
        yield visitor, "asking"
        go.set()
        expect(visitor["#many-progress"]).to_contain_text("Done: 6 of 6")
        expect(visitor["#many-table"]).to_contain_text("Is there a road?")
        yield visitor, "done"


# Scene


def scene(visit, folder: Path):
    """A GeoTIFF is opened, a window taken, asked about at once and tile by tile; and a file that is none."""
    path, wrong = _scene_file(folder), folder / "wrong.tif"
    wrong.write_bytes(b"no picture")
    declared = {"min_pixels": 784, "max_pixels": 100 * 784, "about": "It sees what is bright."}
    go = threading.Event()
    models = {"quick": FakeEngine(BOX, BOX, [go, BOX], *[BOX] * 9, name="quick", **declared)}
    models["thinker"] = FakeEngine(name="thinker", **declared)
    with served(page(models, data=folder)) as url, visit(url) as visitor:
        _no_tour(visitor)
        visitor.tab("Scene")
        expect(visitor["#scene-overview .drop"]).to_be_visible()
        yield visitor, "empty"
        visitor["#scene-open input[type=file]"].set_input_files(wrong)
        expect(visitor["#scene-notice .error"]).to_be_visible()
        yield visitor, "error"
        visitor["#scene-open input[type=file]"].set_input_files(path)
        expect(visitor["#scene-overview .stage img"]).to_be_visible()
        expect(visitor["#scene-plan .sights"]).to_be_visible()
        yield visitor, "opened"
        _draw(visitor, "#scene-overview .stage", (0.2, 0.2), (0.7, 0.8))
        expect(visitor["#scene-viewer .stage img"]).to_be_visible()
        yield visitor, "window"
        visitor["#scene-question textarea"].fill(WHERE)
        visitor["#scene-ask"].click()
        expect(visitor["#scene-card-a .card[data-state=done]"]).to_be_visible()
        expect(visitor["#scene-files"]).to_contain_text("geojson")
        yield visitor, "asked"
        visitor["#scene-way"].get_by_text("Tile by tile").click()
        expect(visitor["#scene-plan"]).to_contain_text("Tiles change the question")
        yield visitor, "tiles"
        visitor["#scene-ask"].click()
        expect(visitor["#scene-stop"]).to_be_visible()
        expect(visitor["#scene-progress"]).to_contain_text("1 of ")
        yield visitor, "asking-tiles"
        go.set()
        expect(visitor["#scene-card-a .card[data-state=done]"]).to_be_visible()
        expect(visitor["#scene-table"]).to_be_visible()
        yield visitor, "tiled"


def _scene_file(folder: Path) -> Path:
    """The airport as a GeoTIFF of four bands of 16 bits, whose edge is missing."""
    import rasterio

    bands = np.asarray(Image.open(AIRPORT).convert("RGB").resize((900, 720))).transpose(2, 0, 1).astype("uint16")
    bands = np.concatenate([bands, bands[:1]]) * 30 + 1
    bands[:, :, :40] = 0
    path = folder / "airport_T33UVP_20260704T101559_B02-B08.tif"
    profile = {"count": 4, "height": 720, "width": 900, "dtype": "uint16", "crs": "EPSG:32633", "nodata": 0}
    with rasterio.open(path, "w", driver="GTiff", transform=rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 5e6), **profile) as file:
        file.write(bands)
        file.descriptions = ("red", "green", "blue", "near infrared, narrow")
    return path


def _draw(visitor: Visitor, on: str, start, end) -> None:
    visitor[on].scroll_into_view_if_needed()
    stage, mouse = visitor[on].bounding_box(), visitor.page.mouse
    at = lambda x, y: (stage["x"] + x * stage["width"], stage["y"] + y * stage["height"])  # noqa: E731
    mouse.move(*at(*start))
    mouse.down()
    mouse.move(*at(*end), steps=4)
    mouse.up()


# Results


def results(visit, folder: Path):
    """Nothing measured; then a report of two models on two benchmarks."""
    from training.report import build, collect

    models = engines()
    models["quick"].spec = replace(models["quick"].spec, measured={})
    found = folder / "results"
    found.mkdir()
    with served(page(models, data=folder, results=found)) as url, visit(url) as visitor:
        _no_tour(visitor)
        visitor.tab("Results")
        expect(visitor["#results"]).to_contain_text("No results yet")
        yield visitor, "empty"
        for name, told in _measured().items():
            (found / name).mkdir()
            (found / name / "scores.json").write_text(json.dumps(told))
            costs = {"answers": 200, "seconds": 90 if "r1" in told["model"] else 40, "tokens": 800, "peak_mib": 700}
            (found / name / "costs.jsonl").write_text(json.dumps(costs))
        (found / "report.json").write_text(json.dumps(build(collect([found]))))
        visitor.tab("Compare")
        visitor.tab("Results")
        expect(visitor["#results .costs-figure"]).to_be_visible()
        yield visitor, "report"


def _measured() -> dict[str, dict]:
    told = {}
    for model, strict in (("pocket", 0.86), ("pocket-r1", 0.62)):
        for benchmark, kind in (("cls_AID", "cls"), ("VG_NWPU", "vg"), ("RSVQA_LR-presence", "vqa")):
            strict -= 0.15
            told[f"{model}-{benchmark}"] = {
                "benchmark": benchmark, "model": model, "kind": kind, "n": 1200, "strict": strict, "reference": strict,
                "strict_interval": [strict - 0.04, strict + 0.04], "majority": 0.31, "chance": 0.0333,
                "thinking": "r1" in model,
            }  # fmt: skip
    return told


# Annotate and Review


def annotate(visit, folder: Path):
    """Work at the desk until nothing waits: opened, a step rewritten, the keys, what cannot be accepted, a conflict."""
    demo = page(data=folder)
    store = demo.page.store
    first, _ = captions(store, 2)
    with served(demo) as url, visit(url) as visitor:
        _no_tour(visitor)
        visitor.tab("Annotate")
        expect(visitor["#next"]).to_be_visible()
        yield visitor, "start"
        visitor["#next"].click()
        expect(visitor["#annotate-notice [role=alert]"]).to_be_visible()
        yield visitor, "nameless"
        visitor.annotate("Ada")
        expect(state(visitor, 0)).to_be_focused()
        yield visitor, "opened"
        press = visitor.page.keyboard.press
        press("1")
        expect(state(visitor, 0)).to_have_attribute("data-state", "ok")
        press("3")
        expect(state(visitor, 1)).to_have_attribute("data-state", "unsupported")
        press("ArrowDown")
        press("2")
        expect(state(visitor, 2)).to_have_attribute("data-state", "wrong")
        press("c")
        yield visitor, "marked"
        press("1")
        expect(state(visitor, 2).locator(".chosen")).to_be_visible()
        press("r")
        expect(visitor["#steps textarea"]).to_be_focused()
        yield visitor, "rewriting"
        press("Control+a")
        visitor.page.keyboard.type("It is moored to a white crane.")
        press("Enter")
        expect(state(visitor, 2).locator(".rewrite")).to_be_visible()
        yield visitor, "rewritten"
        press("?")
        expect(visitor["dialog.keys[open]"]).to_be_visible()
        yield visitor, "keys"
        press("Escape")
        visitor["#edit-answer textarea"].fill("[[100,300,380,")
        expect(visitor["#check"]).to_contain_text("Cannot be accepted yet")
        yield visitor, "broken"
        revision = store.caption(first)["revision"]["id"]
        store.save_correction(revision, reasoning="A long white hull.", answer="[[100,330,400,430]]", author="Cy")
        visitor["#edit-answer textarea"].fill("[[100,300,380,410]]")
        expect(visitor["#check"]).to_contain_text("Well-formed")
        visitor["#save"].click()
        expect(visitor["#conflict .conflict"]).to_be_visible()
        yield visitor, "conflict"
        visitor["#accept"].click()
        expect(visitor["#annotate-notice"]).to_contain_text("Accepted")
        visitor["#reject"].click()
        expect(visitor["#caption"]).to_be_hidden()
        yield visitor, "nothing-waits"


def review(visit, folder: Path):
    """What somebody else corrected, beside what it was; and how far people agree."""
    demo = page(data=folder)
    store = demo.page.store
    (caption,) = captions(store, 1)
    revision = store.caption(caption)["revision"]["id"]
    store.save_correction(revision, reasoning="A long white hull.", answer="[[100,330,400,430]]", author="Cy")
    with served(demo) as url, visit(url) as visitor:
        _no_tour(visitor)
        visitor.tab("Review")
        expect(visitor["#review-next"]).to_be_visible()
        yield visitor, "start"
        visitor["#review-annotator input, #review-annotator textarea"].first.fill("Bob")
        visitor["#review-next"].click()
        expect(visitor["#review-steps li"].first).to_be_focused()
        yield visitor, "opened"
        visitor["#agreement button"].first.click()
        visitor["#count-agreement"].click()
        expect(visitor["#agreement-table"]).not_to_be_empty()
        yield visitor, "agreement"
        visitor["#review-accept"].click()
        expect(visitor["#review-caption"]).to_be_hidden()
        yield visitor, "nothing-waits"


def login(visit, folder: Path):
    """A lab server: the page of the login, and the desk of somebody who logged in."""
    users = Users(folder / "users.json")
    users.add("Ada Lovelace", PASSWORD, "annotator")
    demo = page(people=People("users", users), data=folder)
    captions(demo.page.store, 1)
    with served(demo) as url, visit(url, ready="input[type=password]") as visitor:
        expect(visitor["input[type=password]"]).to_be_visible()
        yield visitor, "page"
        visitor["input"].first.fill("Ada Lovelace")
        visitor["input[type=password]"].fill(PASSWORD)
        visitor.ready = "#ask"
        visitor.page.get_by_role("button", name="Login").click()
        expect(visitor["#ask"]).to_be_visible()
        _no_tour(visitor)
        visitor.tab("Annotate")
        expect(visitor["#person"]).to_contain_text("Ada Lovelace")
        yield visitor, "annotate"
        visitor.tab("Review")
        expect(visitor["#review-person"]).to_contain_text("Ada Lovelace")
        expect(visitor["#review-annotate-empty"]).to_contain_text("Corrected captions wait here; press Next caption")
        visitor["#review-next"].click()
        expect(visitor["#review-annotate-notice [role=alert]"]).to_be_visible()
        yield visitor, "may-not"


# About


def about(visit, folder: Path):
    """Which models answer, what is stored, and deleting it."""
    with served(page(pair(), data=folder)) as url, visit(url) as visitor:
        _no_tour(visitor)
        visitor.tab("About")
        expect(visitor["#held"]).to_contain_text("Nothing is stored")
        yield visitor, "nothing-stored"
        visitor.tab("Compare")
        visitor.choose(AIRPORT)
        visitor.ask(WHERE)
        visitor.flag("b", "wrong box")
        visitor.tab("About")
        expect(visitor["#delete"]).to_be_visible()
        yield visitor, "stored"
        visitor["#delete"].click()
        expect(visitor["#delete-no"]).to_be_focused()
        yield visitor, "sure"
        visitor["#delete-yes"].click()
        expect(visitor["#held"]).to_contain_text("Deleted")
        yield visitor, "deleted"


def _no_tour(visitor: Visitor) -> None:
    expect(visitor["#tour .tour-close"]).to_be_visible()
    visitor["#tour .tour-close"].click()
    expect(visitor["#tour"]).to_be_hidden()


WALKS: dict[str, Walk] = {
    walk.__name__: walk for walk in (compare, blind, long, many, scene, results, annotate, review, login, about)
}
