"""The Scene tab in a real Chromium: a scene is opened, a window drawn, a thing found tile by tile, its place taken home."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.axe import violations
from tests.pages import page, served
from tests.payloads import HOST, MARK, PAYLOADS
from tests.test_geo import PLACES, assert_corners, metres_apart, true_corners
from tests.test_geo import scene as drawn
from tests.test_tiles import Finder
from tests.visitor import SIZES, Visitor

pytestmark = pytest.mark.browser

FIND = "Identify the location of the house."


def finders():
    declared = {"min_pixels": 28 * 28, "max_pixels": 100 * 784, "about": "It sees what is bright."}
    return {name: Finder(name=name, **declared) for name in ("quick", "thinker")}


def opened(visitor: Visitor, path) -> None:
    visitor.tab("Scene")
    expect(visitor["#scene-overview .drop"]).to_be_visible()
    visitor["#scene-open input[type=file]"].set_input_files(path)
    expect(visitor["#scene-overview .stage img"]).to_be_visible()
    expect(visitor["#scene-plan .sights"]).to_be_visible()


@pytest.mark.parametrize("size, scheme", [("1280", "light"), ("390", "dark")])
def test_from_the_file_to_the_place_on_the_earth(browser, tmp_path, size, scheme):
    path = tmp_path / "harbour.tif"
    path.write_bytes(drawn(*PLACES["UTM north"]))
    look = {"viewport": SIZES[size], "color_scheme": scheme, "reduced_motion": "reduce"}
    with served(page(finders())) as url, Visitor(browser, url, **look) as visitor:
        opened(visitor, path)
        visitor.shoot(tmp_path, f"scene-opened-{size}-{scheme}")
        stage = visitor["#scene-overview .stage"].bounding_box()
        at = lambda x, y: (stage["x"] + x * stage["width"], stage["y"] + y * stage["height"])  # noqa: E731
        mouse = visitor.page.mouse
        mouse.move(*at(0.3, 0.1))
        mouse.down()
        mouse.move(*at(0.6, 0.5), steps=4)
        mouse.move(*at(0.999, 0.95), steps=4)
        mouse.up()
        expect(visitor["#scene-viewer .stage img"]).to_be_visible()
        expect(visitor["#scene-overview .window .line"]).to_be_visible()
        column = int(visitor["#scene-column input"].input_value())
        assert 58 <= column <= 62
        # The cursor's coordinates, at the upper left corner of the house: within a pixel of 10 m, or of the screen.
        stage = visitor["#scene-overview .stage"].bounding_box()
        mouse.move(*at(120 / 200, 45 / 120))
        expect(visitor["#scene-overview .cursor"]).to_contain_text("EPSG:32633")
        words = visitor["#scene-overview .cursor"].text_content()
        lat, lon = map(float, re.search(r"([\d.]+)° N, ([\d.]+)° E", words).groups())
        near = 10 * max(1, 200 / stage["width"]) * 1.5
        assert (
            min(metres_apart((lon, lat), corner) for corner in true_corners(*PLACES["UTM north"], True))
            < near
        )
        visitor["#scene-question textarea"].fill(FIND)
        visitor["#scene-way"].get_by_text("Tile by tile").click()
        visitor["#scene-tile input"].fill("80")
        expect(visitor["#scene-plan"]).to_contain_text("Tiles change the question")
        visitor["#scene-ask"].click()
        expect(visitor["#scene-card-a .card[data-state=done]"]).to_be_visible()
        expect(visitor["#scene-viewer g.box"]).to_have_count(1)
        expect(visitor["#scene-files"]).to_contain_text("harbour-quick.own-crs")
        expect(visitor["#scene-table"]).to_be_visible()
        visitor.shoot(tmp_path, f"scene-found-{size}-{scheme}")
        assert visitor.fits() and violations(visitor.page) == []
        link = visitor["#scene-files a"].filter(has_text=re.compile("KB|B")).first
        address = link.get_attribute("href")
        made = visitor.page.request.get(address)
        (feature,) = json.loads(made.text())["features"]
        (ring,) = feature["geometry"]["coordinates"]
        assert_corners(ring, true_corners(*PLACES["UTM north"], True), 10.0, metres_apart)
        assert visitor.errors == []


def test_what_a_file_says_of_itself_never_comes_alive(browser, tmp_path):
    """Names of bands and of the file, hostile ones; and a file that is none."""
    import rasterio

    path = tmp_path / "<img src=x onerror=window.xss_mark=1>.tif"
    path.write_bytes(drawn(*PLACES["UTM north"]))
    with rasterio.open(path, "r+") as scene:
        scene.descriptions = PAYLOADS[:3]
    with served(page(finders())) as url, Visitor(browser, url) as visitor:
        opened(visitor, path)
        visitor["#scene-red input"].click()
        expect(visitor.page.get_by_role("option").first).to_be_visible()
        visitor.page.keyboard.press("Escape")
        wrong = tmp_path / "wrong.tif"
        wrong.write_bytes(b"<script>window.xss_mark=1</script>")
        visitor["#scene-open input[type=file]"].set_input_files(wrong)
        expect(visitor["#scene-notice .error"]).to_be_visible()
        assert visitor.page.evaluate(f"window.{MARK}") is None
        assert not [host for host in visitor.hosts if HOST in host] and visitor.errors == []
