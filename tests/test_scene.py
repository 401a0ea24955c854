"""A scene on its way through the page: overview, window, tiles, and the files that are taken home."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pyproj import Transformer
from shapely.geometry import Point, shape

from tests.picture_files import tiff
from tests.test_geo import HOUSE, PLACES, UTM, assert_corners, box_of_the_house, metres_apart, true_corners
from tests.test_geo import scene as drawn
from tinyrs import geo
from tinyrs.example import Box
from tinyrs.image import BadImage, View, open_picture, read_facts
from tinyrs.scene import GRID, files, grid, open_scene, placed, rows
from tinyrs.view import box_of, window_of


@pytest.fixture
def path(tmp_path):
    """A scene of 200 x 120 pixels of 10 m with one bright house."""
    path = tmp_path / "harbour.tif"
    path.write_bytes(drawn(UTM["crs"], UTM["transform"]))
    return path


def bands(count: int, kind: str = "uint16", **profile) -> bytes:
    layers = np.stack([np.full((60, 80), 9 * (band + 1), kind) for band in range(count)])
    layers[:, :30] += 7
    return tiff(layers, **profile)


def test_a_scene_says_what_it_is(tmp_path, path):
    facts = read_facts(path)
    assert (facts.size, facts.kind, facts.crs, facts.usual) == ((200, 120), "uint8", "EPSG:32633", (1, 2, 3))
    sentinel = tmp_path / "s2.tif"
    sentinel.write_bytes(bands(13, nodata=0))
    facts = read_facts(sentinel)
    assert (len(facts.bands), facts.usual, facts.nodata, facts.crs) == (13, (4, 3, 2), 0, "")


def test_a_scene_of_more_bands_than_a_picture_may_have_is_shown_in_three(tmp_path):
    path = tmp_path / "many.tif"
    path.write_bytes(bands(40))
    with pytest.raises(BadImage, match="at most 13"):
        open_picture(path)
    scene = open_scene(path)
    assert scene.overview().image.size == (80, 60) and len(scene.bands) == 3


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "damaged"),
        (b"II*\0", "."),
        (b"<svg onload=alert(1)>", "."),
        ("png", "Compare tab"),
        ("cut", "."),
    ],
    ids=["empty", "four bytes", "svg", "png", "cut off"],
)
def test_what_is_no_scene_gets_a_sentence(tmp_path, path, content, words):
    other = tmp_path / "other.tif"
    if content == "png":
        Image.new("RGB", (64, 64)).save(other, "PNG")
    else:
        other.write_bytes(path.read_bytes()[:300] if content == "cut" else content)
    with pytest.raises(BadImage) as told:
        open_scene(other).overview()
    assert words in str(told.value) and str(tmp_path) not in str(told.value)


def test_a_scene_that_was_deleted_is_asked_for_again(path):
    scene = open_scene(path)
    scene.overview()
    path.unlink()
    with pytest.raises(BadImage, match="no longer here"):
        scene.overview()


def test_a_window_is_what_a_box_on_the_overview_means(path):
    scene = open_scene(path)
    assert scene.box is None and scene.part().image.size == (200, 120)
    scene = scene.around(Box(500, 500, 900, 1000))
    assert scene.window == (100, 60, 80, 60) and scene.part().image.size == (80, 60)
    assert scene.box.corners() == [500, 500, 900, 1000]
    assert scene.around(Box(0, 0, 1000, 1000)).window is None
    assert scene.around(Box(999, 999, 1000, 1000)).window == (172, 92, 28, 28)  # what a model can still see


def test_a_window_is_moved_around_a_point_and_stays_in_the_scene(path):
    scene = open_scene(path).centred(500, 500)
    assert scene.window == (75, 45, 50, 30)
    assert scene.centred(0, 0).window == (0, 0, 50, 30)
    assert scene.centred(1000, 1000).window == (150, 90, 50, 30)


def test_the_size_in_full_is_known_before_it_is_read(path, monkeypatch):
    scene = open_scene(path).at((10, 10, 150, 100))
    assert scene.full_size(10**6) == scene.full().image.size == (150, 100)
    monkeypatch.setenv("TINYRS_MAX_PIXELS", "5000")
    assert np.allclose(scene.full_size(5000), scene.full().image.size, atol=1)


def test_box_of_undoes_window_of_on_any_picture(path):
    whole = open_picture(path, View(max_pixels=100 * 60))
    for window in [(0, 0, 200, 120), (20, 40, 60, 30), (150, 90, 50, 30)]:
        assert window_of(whole, box_of(whole, window)) == window
    turned = replace(whole, to_file=(0.0, 2.0, 0.0, 2.0, 0.0, 0.0), file_size=(120, 200))
    box = box_of(turned, (20, 40, 60, 30))
    assert window_of(turned, box) == (20, 40, 60, 30)


def test_bands_and_stretch_change_what_is_shown_and_say_so(tmp_path):
    path = tmp_path / "five.tif"
    path.write_bytes(bands(5))
    scene = open_scene(path)
    assert any("Of 5 bands" in note for note in scene.overview().notes)
    gray = replace(scene, bands=(2,), stretch="minmax").overview()
    assert any("Band 2 is shown in gray" in note for note in gray.notes)
    assert any("lowest to its highest" in note for note in gray.notes)
    with pytest.raises(BadImage, match="no band 9"):
        replace(scene, bands=(9,)).overview()


@pytest.mark.parametrize("crs, transform", PLACES.values(), ids=PLACES)
def test_the_files_put_a_box_on_the_thing_to_a_pixel(tmp_path, crs, transform):
    """From a window of the scene, as the page cuts it: checked with pyproj and shapely."""
    path = tmp_path / "scene.tif"
    path.write_bytes(drawn(crs, transform))
    picture = open_scene(path).around(Box(400, 200, 1000, 800)).part()
    assert picture.image.size == (120, 72)
    made = files(picture, [box_of_the_house(picture)], "scene", {"picture": "scene.tif", "model": "perfect"})
    assert sorted(made) == [
        "scene.coco.json",
        "scene.csv",
        "scene.geojson",
        "scene.own-crs.geojson",
        "scene.png",
    ]
    feature = json.loads(made["scene.geojson"])["features"][0]
    (ring,) = feature["geometry"]["coordinates"]
    pixel = geo.metres_per_pixel(picture)
    assert_corners(ring, true_corners(crs, transform, True), min(pixel, 0.01), metres_apart)
    assert feature["properties"]["model"] == "perfect"
    own = json.loads(made["scene.own-crs.geojson"])["features"][0]
    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform
    middle = Point(*to_degrees(*shape(own["geometry"]).centroid.coords[0]))
    assert shape(feature["geometry"]).contains(middle)
    left, top, right, bottom = HOUSE
    box = json.loads(made["scene.coco.json"])["annotations"][0]["bbox"]
    assert np.allclose(box, [left, top, right - left, bottom - top], atol=0.01)
    (row,) = csv.DictReader(io.StringIO(made["scene.csv"].decode()))
    assert [float(row[key]) for key in ("left", "top", "right", "bottom")] == list(HOUSE)
    assert rows(picture, [box_of_the_house(picture)]) == [list(row.values())]
    assert Image.open(io.BytesIO(made["scene.png"])).size == (120, 72)


def test_a_scene_without_a_place_gives_pixels_only(tmp_path):
    path = tmp_path / "flat.tif"
    path.write_bytes(bands(3, "uint8"))
    picture = open_scene(path).part()
    assert grid(picture) is None
    assert sorted(files(picture, [Box(0, 0, 500, 500)], "flat", {})) == [
        "flat.coco.json",
        "flat.csv",
        "flat.png",
    ]
    lost = replace(picture, geo=open_picture(drawn("EPSG:32633", (1e9, 0.0, 1e12, 0.0, -1e9, 1e13))).geo)
    assert placed(lost).geo is None and rows(lost, [Box(0, 0, 500, 500)])[0][-2:] == ["", ""]


@pytest.mark.parametrize("crs, transform", PLACES.values(), ids=PLACES)
def test_between_the_points_of_the_grid_the_cursor_is_right_to_a_pixel(crs, transform):
    """The page draws straight lines between the points; this does the same, and pyproj says how far off it is."""
    picture = open_picture(drawn(crs, transform))
    points = np.array(grid(picture)).reshape(GRID, GRID, 2)
    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform
    for x, y in [(0.03, 0.97), (0.31, 0.44), (0.5, 0.5), (0.93, 0.06)]:
        column, row = x * (GRID - 1), y * (GRID - 1)
        i, j, u, v = int(column), int(row), column % 1, row % 1
        found = (points[j, i] * (1 - u) + points[j, i + 1] * u) * (1 - v)
        found += (points[j + 1, i] * (1 - u) + points[j + 1, i + 1] * u) * v
        a, b, c, d, e, f = transform
        px, py = x * 200, y * 120
        true = to_degrees(a * px + b * py + c, d * px + e * py + f)
        assert metres_apart(tuple(found), true) < geo.metres_per_pixel(picture)
