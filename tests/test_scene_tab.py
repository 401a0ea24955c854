"""The Scene tab's handlers, called without a browser: opening, moving the window, asking, stopping, taking home."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.fake import FakeEngine
from tests.pages import Hands, page
from tests.test_geo import PLACES, UTM, assert_corners, metres_apart, true_corners
from tests.test_geo import scene as drawn
from tests.test_tiles import Finder
from tinyrs.compare import compare_here
from tinyrs.engine import EngineFailure
from tinyrs.scene import Scene

FIND = "Identify the location of the house."
ONCE, TILES = "once", "tiles"


class Looker(Hands):
    """Hands on the Scene tab, whose scene is kept from call to call."""

    scene: Scene | None = None

    def read(self, name: str, update) -> dict:
        for value in update.values():
            if isinstance(value, Scene):
                self.scene = value
        return super().read(name, update)

    def look(self, name: str, *values) -> dict:
        return self.call(f"scene_{name}", *values)

    def open(self, path) -> dict:
        return self.look("upload", str(path))

    def draw(self, data) -> dict:
        event = self.event("scene_order")
        return self.read("scene_order", event.fn(self.scene, self.request, SimpleNamespace(_data=data)))

    def asks(self, text=FIND, models=("quick",), way=ONCE, tokens=100, side=112, overlap=25):
        options = list(models), way, tokens, side, overlap
        for update in self.event("scene_ask").fn(self.scene, text, *options, self.request):
            yield self.read("scene_ask", update)

    def put(self, *args, **options) -> dict:
        seen: dict = {}
        for update in self.asks(*args, **options):
            seen.update(update)
        return seen


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "harbour.tif"
    path.write_bytes(drawn(UTM["crs"], UTM["transform"]))
    return path


@pytest.fixture
def looker(path):
    finders = {
        name: Finder(name=name, min_pixels=28 * 28, max_pixels=100 * 784) for name in ("quick", "thinker")
    }
    looker = Looker(page(finders))
    looker.models = finders
    looker.open(path)
    return looker


def test_an_opened_scene_is_shown_with_its_bands_and_window(path):
    looker = Looker(page())
    seen = looker.open(path)
    assert "200 × 120 pixels" in seen["scene-about"] and "EPSG:32633" in seen["scene-about"]
    assert [seen[f"scene-{key}"] for key in ("column", "row", "width", "height")] == [0, 0, 200, 120]
    assert seen["scene-red"]["value"] == 1 and len(seen["scene-red"]["choices"]) == 3
    assert "data-grid" in seen["scene-overview"] and "200 m" in seen["scene-overview"]
    plan = looker.call_plain("scene_plan", looker.scene, ["quick"], ONCE, 100, 112, 25)["scene-plan"]
    assert "visual tokens" in plan and "on the ground" in plan


def test_the_window_is_drawn_clicked_typed_and_given_up(looker):
    looker.draw({"box": [500, 500, 900, 1000]})
    assert looker.scene.window == (100, 60, 80, 60)
    looker.draw({"point": [0, 0]})
    assert looker.scene.window == (0, 0, 80, 60)
    looker.look("window", looker.scene, 10, 20, 100, 90)
    assert looker.scene.window == (10, 20, 100, 90)
    looker.look("whole", looker.scene)
    assert looker.scene.window is None


@pytest.mark.parametrize(
    "order",
    [None, [], {"box": [1, 2]}, {"box": [0, 0, 2000, 5]}, {"box": ["<b>", 1, 2, 3]}, {"point": [True, 1]}],
)
def test_what_the_browser_sends_may_be_anything(looker, order):
    assert "no window" in looker.draw(order)["scene-notice"] and looker.scene.window is None


@pytest.mark.parametrize(
    "typed", [(150, 0, 100, 50), (-1, 0, 50, 50), (0, 0, 0, 0), (0, 0, 10, 10), (0, 0, None, 5)]
)
def test_a_window_that_makes_no_sense_gets_a_sentence_and_the_old_one_stays(looker, typed):
    before = looker.scene
    assert 'role="alert"' in looker.look("window", before, *typed)["scene-notice"] and looker.scene is before


def test_bands_and_stretch_are_chosen_from_their_lists(looker):
    seen = looker.look("look", looker.scene, 2, 2, 2, "Lowest to highest value")
    assert "Band 2 is shown in gray" in seen["scene-about"] and looker.scene.bands == (2,)
    for bad in ((9, 1, 1, "Not stretched"), (1, 2, 3, "sideways"), ("1", 2, 3, "Not stretched")):
        assert 'role="alert"' in looker.look("look", looker.scene, *bad)["scene-notice"]


@pytest.mark.parametrize("way", [ONCE, TILES])
def test_a_box_on_a_known_thing_lands_within_a_pixel(looker, way):
    looker.draw({"box": [300, 100, 1000, 900]})
    seen = looker.put(way=way)
    assert "Well-formed, 1 box" in seen["scene-card-a"] and "box side-a" in seen["scene-viewer"]
    (row,) = seen["scene-table"]["value"]
    assert [float(cell) for cell in row[7:11]] == pytest.approx([120, 45, 150, 60], abs=0.5)
    (path,) = [path for path in seen["scene-files"]["value"] if path.endswith("quick.geojson")]
    (feature,) = json.loads(Path(path).read_text(encoding="utf-8"))["features"]
    (ring,) = feature["geometry"]["coordinates"]
    assert_corners(ring, true_corners(*PLACES["UTM north"], True), 10.0, metres_apart)  # a pixel has 10 m
    assert len(seen["scene-files"]["value"]) == 5
    if way == TILES:
        assert "tiles, 1 box" in seen["scene-progress"]
    plan = looker.call_plain("scene_plan", looker.scene, ["quick"], way, 100, 112, 25)["scene-plan"]
    assert ("Tiles change the question" in plan) == (way == TILES) and "By its answers so far" in plan


def test_the_pace_is_learned_from_a_model_whose_last_tile_is_its_only_news(looker, monkeypatch):
    def only_the_end(*args):
        return (event for event in list(compare_here(*args)) if event.done)

    monkeypatch.setattr("screens.scene.compare", only_the_end)
    looker.put(way=TILES)
    plan = looker.call_plain("scene_plan", looker.scene, ["quick"], TILES, 100, 112, 25)["scene-plan"]
    assert "By its answers so far" in plan


def test_a_smaller_budget_is_what_the_model_gets(looker):
    looker.put(tokens=4)
    ((_, _, options),) = looker.models["quick"].asked
    assert options.max_pixels == 4 * 784


def test_two_models_answer_side_by_side_and_one_may_fail(path):
    broken = FakeEngine([EngineFailure("It is tired.")], name="thinker")
    looker = Looker(page({"quick": Finder(name="quick"), "thinker": broken}))
    looker.open(path)
    seen = looker.put(models=("quick", "thinker"))
    assert "1 box" in seen["scene-card-a"] and "It is tired." in seen["scene-card-b"]
    assert len(seen["scene-table"]["value"]) == 1 and seen["scene-ask"]["visible"]


def test_stop_ends_between_tiles_and_keeps_what_was_found(path):
    go = threading.Event()
    slow = FakeEngine("[[0,0,500,500]]", [go], name="quick", min_pixels=784, max_pixels=78400)
    looker = Looker(page({"quick": slow, "thinker": FakeEngine(name="thinker")}))
    looker.open(path)
    asking, seen = looker.asks(way=TILES), {}
    for update in asking:
        seen.update(update)
        if "1 of" in seen.get("scene-progress", ""):
            assert "press Stop first" in looker.look("whole", looker.scene)["scene-notice"]
            looker.event("scene_stop").fn(looker.request)
    assert "Stopped before it was finished" in seen["scene-card-a"] and seen["scene-ask"]["visible"]
    assert len(seen["scene-table"]["value"]) == 1 and not looker.demo.page.busy("scene one")


@pytest.mark.parametrize(
    "options, words",
    [
        ({"text": ""}, "Type a question"),
        ({"models": ()}, "one or two models"),
        ({"models": ("gpt",)}, "not on offer"),
        ({"text": "How many ships?", "way": TILES}, "finding things"),
        ({"way": TILES, "side": 5}, "at least 28"),
        ({"way": TILES, "overlap": 95}, "0 to 0.9"),
        ({"tokens": "many"}, "are numbers"),
    ],
)
def test_what_cannot_be_asked_gets_a_sentence(looker, options, words):
    text = options.pop("text", FIND)
    seen = looker.put(text, **options)
    assert words in seen["scene-notice"] and not looker.models["quick"].asked


def test_without_a_scene_one_is_asked_for():
    assert "Open a scene first" in Looker(page()).put()["scene-notice"]


def test_scenes_of_the_server_are_offered_and_nothing_else(tmp_path, path):
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "scenes"
    folder.mkdir()
    path.rename(folder / "harbour.tif")
    looker = Looker(page(scenes=folder))
    assert "200 × 120" in looker.look("open", "harbour.tif")["scene-about"]
    for name in ("../secret.txt", "/etc/passwd", "nothing.tif", "http://127.0.0.1/x.tif"):
        assert "no such scene" in looker.look("open", name)["scene-notice"]
    assert "no such scene" in Looker(page()).look("open", "harbour.tif")["scene-notice"]


def test_what_is_no_scene_is_refused_and_nothing_changes(looker, tmp_path):
    wrong = tmp_path / "wrong.tif"
    wrong.write_bytes(b"<svg onload=alert(1)>")
    before = looker.scene
    assert 'role="alert"' in looker.open(wrong)["scene-notice"] and looker.scene is before
