"""Boxes on the Earth: checked with pyproj and shapely, which share no code with the transformation under test."""

from __future__ import annotations

import csv
import io
import json
import math
import struct
import warnings

import numpy as np
import pytest
from PIL import Image
from pyproj import Geod, Transformer
from rasterio import Affine
from shapely.geometry import Point, shape

from tests.picture_files import UTM, exif, ramp, saved, tiff
from tinyrs.example import Box
from tinyrs.geo import (
    NoPlace,
    coco,
    lonlat,
    metres_per_pixel,
    own_crs,
    save_coco,
    save_csv,
    save_geojson,
    scale_bar,
    table,
    wgs84,
)
from tinyrs.image import Picture, View, open_picture
from tinyrs.view import overview, window_of

TURNED = (8.0, -6.0, 400_000.0, -6.0, -8.0, 5_200_000.0)  # 10 m pixels, turned by 37 degrees
PLACES = {
    "UTM north": ("EPSG:32633", UTM["transform"]),
    "UTM south": ("EPSG:32756", (0.5, 0.0, 334_000.0, 0.0, -0.5, 6_252_000.0)),
    "turned": ("EPSG:32633", TURNED),
    "south up": ("EPSG:32633", (10.0, 0.0, 500_000.0, 0.0, 10.0, 5_000_000.0)),
    "sheared": ("EPSG:32633", (10.0, 2.0, 500_000.0, 1.0, -7.0, 5_000_000.0)),
    "degrees": ("EPSG:4326", (1e-4, 0.0, 12.5, 0.0, -1e-4, 41.9)),
    "web": ("EPSG:3857", (1.2, 0.0, -13_000_000.0, 0.0, -1.2, 4_000_000.0)),
    "polar": ("EPSG:3413", (30.0, 0.0, -200_000.0, 0.0, -30.0, -1_200_000.0)),
    "NAD83": ("EPSG:26911", (0.6, 0.0, 380_000.0, 0.0, -0.6, 3_750_000.0)),
}

HOUSE = (120, 45, 150, 60)
"""Left, top, right, bottom of the one bright thing in the drawn scene, in pixels of the file."""


def scene(crs: str, transform, width: int = 200, height: int = 120, **profile) -> bytes:
    """A dark scene with one bright thing."""
    bands = np.full((3, height, width), 20, "uint8")
    left, top, right, bottom = HOUSE
    bands[:, top:bottom, left:right] = 250
    return tiff(bands, crs=crs, transform=transform, **profile)


def box_of_the_house(picture: Picture) -> Box:
    """The box that a perfect model would draw: from the pixels that it sees, not from where they came from."""
    bright = np.asarray(picture.image)[..., 0] > 128
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    return Box.from_pixels(
        columns[0], rows[0], columns[-1] + 1, rows[-1] + 1, picture.width, picture.height, "house"
    )


def true_corners(crs: str, transform, lon_lat: bool) -> list[tuple[float, float]]:
    """The house's corners by rasterio's own affine class and pyproj."""
    left, top, right, bottom = HOUSE
    points = [
        Affine(*transform) @ corner for corner in ((left, top), (left, bottom), (right, bottom), (right, top))
    ]
    if not lon_lat:
        return points
    return list(Transformer.from_crs(crs, "EPSG:4326", always_xy=True).itransform(points))


def metres_apart(a, b) -> float:
    return Geod(ellps="WGS84").inv(*a, *b)[2]


def assert_corners(ring, expected, within: float, distance=math.dist) -> None:
    """Every corner of the closed ring has one of the expected near it, and the other way round."""
    assert ring[0] == ring[-1] and len(ring) == 5
    for corner in expected:
        assert min(distance(corner, tuple(found)) for found in ring) <= within
    for found in ring:
        assert min(distance(corner, tuple(found)) for corner in expected) <= within


@pytest.mark.parametrize("crs, transform", PLACES.values(), ids=PLACES)
def test_a_box_lands_on_the_thing_in_wgs84_and_in_the_pictures_own_system(crs, transform):
    picture = open_picture(scene(crs, transform))
    (feature,) = wgs84(picture, [box_of_the_house(picture)])["features"]
    polygon = shape(feature["geometry"])
    assert polygon.is_valid and polygon.exterior.is_ccw
    (ring,) = feature["geometry"]["coordinates"]
    assert_corners(ring, true_corners(crs, transform, True), 0.01, metres_apart)
    own = own_crs(picture, [box_of_the_house(picture)])
    assert own["crs"]["properties"]["name"] == f"urn:ogc:def:crs:EPSG::{crs[5:]}"
    (ring,) = own["features"][0]["geometry"]["coordinates"]
    assert_corners(ring, true_corners(crs, transform, False), 1e-3 if crs != "EPSG:4326" else 1e-8)
    assert shape(own["features"][0]["geometry"]).exterior.is_ccw
    left, top, right, bottom = HOUSE
    middle = Affine(*transform) @ ((left + right) / 2, (top + bottom) / 2)
    assert shape(own["features"][0]["geometry"]).contains(Point(middle))


def test_a_turned_scene_gives_the_box_and_not_its_envelope():
    picture = open_picture(scene("EPSG:32633", TURNED))
    polygon = shape(own_crs(picture, [box_of_the_house(picture)])["features"][0]["geometry"])
    assert polygon.area == pytest.approx(30 * 15 * 100)
    assert polygon.envelope.area > 1.5 * polygon.area


WAYS = {
    "a window": (View(window=(90, 30, 90, 60)), {}),
    "a window at the corner": (View(window=(110, 40, 90, 80)), {}),
    "thinned out": (View(max_pixels=6000), {}),
    "an overview": (View(max_pixels=6100), {"overviews": (2,)}),
    "a thinned window": (View(window=(40, 20, 140, 80), max_pixels=2800), {}),
    "other bands": (View(bands=(3, 1, 2)), {}),
    "one band, stretched": (View(bands=(2,), stretch="minmax"), {}),
}


@pytest.mark.parametrize("view, profile", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("place", ["UTM north", "turned", "degrees"])
def test_a_part_or_a_thinner_picture_maps_back(place, view, profile):
    crs, transform = PLACES[place]
    picture = open_picture(scene(crs, transform, **profile), view)
    box = box_of_the_house(picture)
    (ring,) = wgs84(picture, [box])["features"][0]["geometry"]["coordinates"]
    # A thinner picture shows edges to within one of its own pixels.
    pixel = metres_per_pixel(picture) * (1.5 if place != "degrees" else 2)
    full = picture.to_file[0] == 1
    assert_corners(ring, true_corners(crs, transform, True), 0.01 if full else pixel, metres_apart)
    (annotation,) = coco(picture, [box], "scene.tif")["annotations"]
    left, top, right, bottom = HOUSE
    expected = [left, top, right - left, bottom - top]
    assert annotation["bbox"] == pytest.approx(expected, abs=0.01 if full else 2 * picture.to_file[0])
    assert picture.file_size == (200, 120)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_a_picture_that_was_turned_upright_maps_back(kind, orientation):
    image = Image.new("RGB", (64, 40))
    image.paste((255, 255, 255), (8, 8, 24, 16))  # on JPEG's grid of 8 pixels
    options = (
        {"exif": exif(orientation), "quality": 100, "subsampling": 0}
        if kind == "JPEG"
        else {"tiffinfo": {274: orientation}}
    )
    picture = open_picture(saved(image, kind, **options))
    found = coco(picture, [box_of_the_house(picture)], "turned")
    assert found["images"] == [{"id": 1, "file_name": "turned", "width": 64, "height": 40}]
    assert found["annotations"][0]["bbox"] == [8, 8, 16, 8]
    if kind == "TIFF":
        window = window_of(picture, box_of_the_house(picture), side=28)
        part = open_picture(saved(image, kind, **options), View(window=window))
        found = coco(part, [box_of_the_house(part)], "turned")
        assert found["annotations"][0]["bbox"] == [8, 8, 16, 8]


def test_a_placed_scene_with_an_orientation_still_lands_right():
    data = bytearray(scene(*PLACES["UTM north"]))
    at = bytes(data).index(struct.pack("<HHIHH", 284, 3, 1, 1, 0))
    data[at : at + 12] = struct.pack("<HHIHH", 274, 3, 1, 6, 0)
    picture = open_picture(bytes(data))
    (ring,) = wgs84(picture, [box_of_the_house(picture)])["features"][0]["geometry"]["coordinates"]
    assert_corners(ring, true_corners(*PLACES["UTM north"], True), 0.01, metres_apart)


def test_a_box_across_the_date_line_is_cut_in_two():
    crs, transform = "EPSG:32760", (10.0, 0.0, 808_000.0, 0.0, -10.0, 8_000_000.0)
    wide = Box(0, 0, 1000, 1000)
    data = tiff(np.zeros((3, 400, 2000), "uint8"), crs=crs, transform=transform)
    (feature,) = wgs84(open_picture(data), [wide])["features"]
    assert feature["geometry"]["type"] == "MultiPolygon"
    parts = shape(feature["geometry"])
    assert parts.is_valid and all(part.exterior.is_ccw for part in parts.geoms)
    west, east = sorted(parts.geoms, key=lambda part: -part.bounds[0])
    assert west.bounds[2] == 180 and east.bounds[0] == -180 and -180 <= east.bounds[2] < west.bounds[0]
    area = sum(abs(Geod(ellps="WGS84").geometry_area_perimeter(part)[0]) for part in parts.geoms)
    assert area == pytest.approx(20_000 * 4000, rel=0.02)


def test_degrees_from_0_to_360_become_180():
    data = scene("EPSG:4326", (1e-4, 0.0, 230.0, 0.0, -1e-4, 10.0))
    (ring,) = wgs84(open_picture(data), [Box(0, 0, 10, 10)])["features"][0]["geometry"]["coordinates"]
    assert min(x for x, _ in ring) == pytest.approx(-130)


def test_a_system_without_a_number_is_named_by_its_wkt():
    local = "+proj=laea +lat_0=10 +lon_0=20 +ellps=GRS80 +units=m"
    picture = open_picture(scene(local, (10.0, 0.0, 0.0, 0.0, -10.0, 0.0)))
    assert "Lambert_Azimuthal" in own_crs(picture, [])["crs"]["properties"]["name"]
    (point,) = lonlat(picture, [(0, 0)])
    assert point == pytest.approx((20, 10), abs=1e-6)


def test_without_a_place_one_sentence_says_so(tmp_path):
    picture = open_picture(saved(ramp(), "PNG"))
    for refused in (wgs84, own_crs):
        for boxes in ([], [Box(0, 0, 9, 9)]):
            with pytest.raises(NoPlace, match=r"^The picture does not say where it lies on the Earth, so "):
                refused(picture, boxes)
    with pytest.raises(NoPlace):
        save_geojson(tmp_path / "boxes.geojson", picture, [])
    assert list(tmp_path.iterdir()) == []


def test_what_lies_outside_the_world_is_refused_in_a_sentence():
    picture = open_picture(scene("EPSG:32633", (1e9, 0.0, 1e12, 0.0, -1e9, 1e13)))
    with pytest.raises(NoPlace):
        wgs84(picture, [Box(0, 0, 500, 500)])


def test_files_are_written_side_by_side(tmp_path):
    picture = open_picture(scene(*PLACES["UTM north"]))
    box = box_of_the_house(picture)
    second = save_geojson(tmp_path / "house.geojson", picture, [box], {"model": "m", "question": "Where?"})
    assert second == tmp_path / "house.own-crs.geojson"
    world, own = (json.loads((tmp_path / name).read_text()) for name in ("house.geojson", second.name))
    assert "crs" not in world and own["crs"]["type"] == "name"
    assert world["features"][0]["properties"] == {
        "model": "m",
        "question": "Where?",
        "label": "house",
        "box": [600, 375, 750, 500],
        "pixels": [120, 45, 150, 60],
    }
    save_coco(tmp_path / "house.json", picture, [box], "scene.tif")
    assert json.loads((tmp_path / "house.json").read_text()) == coco(picture, [box], "scene.tif")
    save_csv(tmp_path / "house.csv", picture, [box])
    (row,) = csv.DictReader(io.StringIO((tmp_path / "house.csv").read_bytes().decode()))
    middle = float(row["longitude"]), float(row["latitude"])
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32633", always_xy=True).transform(*middle)
    assert (x, y) == pytest.approx((500_000 + 1350, 5_000_000 - 525), abs=0.01)


def test_coco_is_what_supervision_reads(tmp_path):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="OpenCV", category=UserWarning)
        import supervision

    picture = open_picture(saved(ramp(), "PNG"))
    picture.image.save(tmp_path / "ramp.png")
    boxes = [Box(100, 100, 300, 300, "ship"), Box(0, 500, 250, 1000), Box(200, 0, 400, 200, "ship")]
    save_coco(tmp_path / "boxes.json", picture, boxes, "ramp.png")
    read = supervision.DetectionDataset.from_coco(str(tmp_path), str(tmp_path / "boxes.json"))
    assert sorted(read.classes) == ["box", "ship"]
    ((_, _, found),) = list(read)
    expected = [box.to_pixels(64, 40) for box in boxes]
    assert np.allclose(found.xyxy, expected, atol=0.01)


def test_boxes_are_cut_at_the_picture_and_put_in_order():
    picture = open_picture(saved(ramp(), "PNG"))
    (found,) = coco(picture, [Box(900, 1200, -50, 500)], "a")["annotations"]
    assert found["bbox"] == [0, 20, 57.6, 20]


@pytest.mark.parametrize("label", ["=1+1", "+1", "-1", "@x", "\t=1", 'a,b\n"c"', "\ud800", "<b>"])
def test_labels_are_only_text(tmp_path, label):
    picture = open_picture(scene(*PLACES["UTM north"]))
    boxes = [Box(1, 1, 9, 9, label)]
    (row,) = csv.DictReader(io.StringIO(table(picture, boxes), newline=""))
    assert row["label"][0] not in "=+-@\t" and row["latitude"]
    save_geojson(tmp_path / "a.geojson", picture, boxes, {})
    save_coco(tmp_path / "a.json", picture, boxes, "a")
    save_csv(tmp_path / "a.csv", picture, boxes)


def test_a_csv_without_a_place_leaves_the_coordinates_empty():
    (row,) = csv.DictReader(io.StringIO(table(open_picture(saved(ramp(), "PNG")), [Box(0, 0, 500, 500)])))
    assert row["longitude"] == row["latitude"] == "" and row["right"] == "32.0"


@pytest.mark.parametrize("place, metres", [("UTM north", 10), ("UTM south", 0.5), ("turned", 10)])
def test_the_scale_bar_is_round_and_true(place, metres):
    picture = open_picture(scene(*PLACES[place]))
    assert metres_per_pixel(picture) == pytest.approx(metres, rel=0.006)
    words, share = scale_bar(picture)
    number, unit = words.split()
    length = float(number) * {"km": 1000, "m": 1, "cm": 0.01}[unit]
    assert 0.09 < share <= 0.25
    assert share * picture.width * metres == pytest.approx(length, rel=0.006)


def test_the_scale_bar_in_degrees():
    picture = open_picture(scene(*PLACES["degrees"]))
    (west, east) = lonlat(picture, [(0, 500), (1000, 500)])
    assert metres_per_pixel(picture) == pytest.approx(metres_apart(west, east) / 200, rel=0.006)


def test_a_window_is_chosen_on_the_overview():
    data = scene(*PLACES["UTM north"])
    whole = open_picture(data, overview())
    window = window_of(whole, box_of_the_house(whole), side=40)
    assert window == (115, 32, 40, 40)
    part = open_picture(data, View(window=window))
    assert part.image.size == (40, 40)
    assert window_of(whole, Box(0, 0, 1000, 1000)) == (0, 0, 200, 120)
    assert window_of(whole, Box(990, 990, 1000, 1000), side=50) == (150, 70, 50, 50)
