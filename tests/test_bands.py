"""tinyrs.raster without a choice of its user: THREATS row 3, bands of any number and depth; where a scene lies, and large ones."""

from __future__ import annotations

import itertools
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.picture_files import (
    NOISE,
    UTM,
    assert_close,
    chunk,
    palette_with_a_hole,
    pixels,
    png,
    ramp,
    refusal,
    saved,
    stretched,
    tiff,
)
from tinyrs.image import GeoReference, Picture, open_picture


@pytest.mark.parametrize(
    "kind", ["uint16", "int16", "uint32", "int32", "int64", "float32", "float64", "int8"]
)
def test_more_than_eight_bits_are_stretched_by_percentile(kind):
    band = NOISE.normal(20, 30, (40, 50)) if kind == "int8" else NOISE.normal(3000, 500, (40, 50))
    band = band.clip(-100, 100 if kind == "int8" else None).astype(kind)
    picture = open_picture(tiff(band[None], **UTM))
    assert_close(pixels(picture)[..., 1], stretched(band, np.ones(band.shape, bool)))
    assert (pixels(picture)[..., 0] == pixels(picture)[..., 2]).all()
    low, high = np.percentile(band.astype(float), (2, 98))
    assert picture.notes == (
        f"Stretched from {kind} to 8 bits, each band from its 2nd to its 98th percentile: "
        f"{low:.6g} to {high:.6g}.",
    )


@pytest.mark.parametrize("nodata", [None, np.nan, -9999.0])
def test_missing_values_are_black_and_do_not_count(nodata):
    band = NOISE.normal(0, 1, (40, 50)).astype("float32")
    missing = NOISE.random(band.shape) < 0.3
    band[missing] = np.nan if nodata is None else nodata
    band[0, 0] = np.inf if nodata is None else band[0, 0]
    picture = open_picture(tiff(band[None], nodata=nodata, **UTM))
    valid = ~missing & np.isfinite(band)
    assert_close(pixels(picture)[..., 0], stretched(band, valid))
    assert picture.notes[-1] == "Pixels without data are black."


def test_a_picture_of_missing_values_is_refused():
    assert "no data" in refusal(tiff(np.full((1, 40, 50), np.nan, "float32"), **UTM))
    assert "no data" in refusal(tiff(np.zeros((3, 40, 50), "uint16"), nodata=0, **UTM))


def test_a_constant_and_a_rare_value_can_be_seen():
    band = np.full((1, 40, 50), 7.5, "float32")
    assert (pixels(open_picture(tiff(band, **UTM))) == 128).all()
    band[0, 3, 4] = 9
    picture = pixels(open_picture(tiff(band, **UTM)))
    assert picture[3, 4, 0] == 255
    assert (picture == 0).sum() == 40 * 50 * 3 - 3
    huge = np.array([-1.7e308, 0, 1.7e308] * 640).reshape(1, 40, 48)
    assert open_picture(tiff(huge, **UTM)).image.mode == "RGB"


def test_a_png_of_16_bits_is_stretched_in_colour_and_in_gray():
    gray = NOISE.integers(100, 4000, (40, 50)).astype("uint16")
    picture = open_picture(saved(Image.fromarray(gray), "PNG"))
    assert_close(pixels(picture)[..., 0], stretched(gray, np.ones(gray.shape, bool)))
    colour = NOISE.integers(100, 4000, (40, 50, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in colour)
    data = png(50, 40, depth=16, colour=2)
    at = data.index(b"IDAT") - 4
    picture = open_picture(data[:at] + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    for band in range(3):
        assert_close(pixels(picture)[..., band], stretched(colour[..., band], np.ones(gray.shape, bool)))
    assert "uint16" in picture.notes[0]


@pytest.mark.parametrize(
    "count, colours, shown",
    [
        (1, (), (1, 1, 1)),
        (2, (), (1, 1, 1)),
        (3, (), (1, 2, 3)),
        (3, ("blue", "green", "red"), (3, 2, 1)),
        (4, ("red", "green", "blue", "undefined"), (1, 2, 3)),
        (4, ("blue", "green", "red", "undefined"), (3, 2, 1)),
        (5, (), (1, 2, 3)),
        (11, (), (1, 2, 3)),
        (12, (), (4, 3, 2)),
        (13, (), (4, 3, 2)),
    ],
)
@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_which_bands_are_shown(count, colours, shown, interleave):
    bands = np.array([10 * (i + 1) for i in range(count)], "uint8")[:, None, None] + np.zeros(
        (count, 32, 40), "uint8"
    )
    plain = {"photometric": "minisblack"} if count == 4 else {}  # or GDAL names the fourth band alpha
    picture = open_picture(tiff(bands, colours=colours, interleave=interleave, **plain, **UTM))
    assert (pixels(picture) == np.array(shown) * 10).all()
    said = [note for note in picture.notes if note.startswith("Of ")]
    if count > 3:
        assert said == ["Of {} bands, {}, {} and {} are shown as red, green and blue.".format(count, *shown)]
    else:
        assert said == (["Of 2 bands, the first is shown in gray."] if count == 2 else [])


def test_thirteen_float_bands():
    bands = NOISE.random((13, 40, 50)).astype("float32") * np.arange(1, 14)[:, None, None].astype("float32")
    picture = open_picture(tiff(bands, **UTM))
    for channel, band in enumerate((4, 3, 2)):
        assert_close(pixels(picture)[..., channel], stretched(bands[band - 1], np.ones((40, 50), bool)))


def test_more_bands_than_a_known_sensor_has_and_complex_numbers_are_refused():
    assert "at most 13" in refusal(tiff(np.zeros((14, 32, 40), "uint8"), **UTM))
    assert "complex" in refusal(tiff(np.ones((1, 32, 40), "complex64"), **UTM))


def test_near_infrared_that_gdal_names_alpha_is_not_taken_for_alpha():
    bands = np.full((4, 32, 40), 50, "uint8")
    bands[3] = NOISE.integers(30, 200, (32, 40))
    picture = open_picture(tiff(bands, **UTM))  # GDAL's default for four 8-bit bands: the fourth is alpha
    assert (pixels(picture) == 50).all()
    assert "near infrared" in picture.notes[0]
    bands[3] = 255
    bands[3, :, :20] = 0
    picture = open_picture(tiff(bands, **UTM))
    assert (pixels(picture)[:, :20] == 255).all()
    assert (pixels(picture)[:, 20:] == 50).all()


def test_alpha_of_16_bits():
    bands = NOISE.integers(1000, 2000, (4, 32, 40)).astype("uint16")
    bands[3] = 65_535
    bands[3, :, :20] = 0
    bands[:3, :, :20] = 60_000  # hidden, so it must not count
    picture = open_picture(tiff(bands, colours=("red", "green", "blue", "alpha"), **UTM))
    assert (pixels(picture)[:, :20] == 255).all()
    assert_close(pixels(picture)[:, 20:, 0], stretched(bands[0, :, 20:], np.ones((32, 20), bool)))


# Where it lies, and scenes that are too large


def test_the_place_on_the_earth_is_kept():
    picture = open_picture(tiff(np.zeros((3, 32, 40), "uint8"), **UTM))
    assert picture.geo == GeoReference("EPSG:32633", UTM["transform"])
    turned = (7.0, -7.0, 5e5, -7.0, -7.0, 5e6)
    assert (
        open_picture(tiff(np.zeros((3, 32, 40), "uint8"), crs="EPSG:32633", transform=turned)).geo.transform
        == turned
    )
    local = "+proj=laea +lat_0=10 +lon_0=20 +ellps=GRS80 +units=m"
    assert (
        "Lambert_Azimuthal"
        in open_picture(tiff(np.zeros((1, 32, 40), "uint8"), crs=local, transform=UTM["transform"])).geo.crs
    )


def test_half_a_place_is_none():
    assert open_picture(tiff(np.zeros((3, 32, 40), "uint8"), transform=UTM["transform"])).geo is None
    assert open_picture(tiff(np.zeros((3, 32, 40), "uint8"), crs="EPSG:32633")).geo is None
    site = 'LOCAL_CS["a building site",UNIT["metre",1]]'
    assert open_picture(tiff(np.zeros((3, 32, 40), "uint8"), **{**UTM, "crs": site})).geo is None


def test_a_placed_picture_is_shown_as_its_transform_counts():
    data = bytearray(tiff(np.moveaxis(np.asarray(ramp()), -1, 0), **UTM))
    plain = open_picture(bytes(data))
    # Make the tag 284 (planar configuration, 1) one of orientation 3 in place: its default is the same.
    at = bytes(data).index(struct.pack("<HHIHH", 284, 3, 1, 1, 0))
    data[at : at + 12] = struct.pack("<HHIHH", 274, 3, 1, 3, 0)
    turned = open_picture(bytes(data))
    assert np.array_equal(pixels(turned), pixels(plain))
    assert turned.geo == plain.geo is not None


def corners(picture: Picture) -> list[float]:
    a, b, c, d, e, f = picture.geo.transform
    return [
        value
        for x, y in itertools.product((0, picture.width), (0, picture.height))
        for value in (a * x + b * y + c, d * x + e * y + f)
    ]


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
@pytest.mark.parametrize("overviews", [(), (2, 4)])
def test_a_large_scene_is_thinned_out_and_keeps_its_corners(monkeypatch, kind, overviews):
    y, x = np.mgrid[:300, :450]
    bands = np.stack([x / 2, y / 2, x * 0 + 99]).astype(kind)
    data = tiff(bands, overviews=overviews, tiled=True, blockxsize=64, blockysize=64, **UTM)
    whole = open_picture(data)
    monkeypatch.setenv("TINYRS_MAX_PIXELS", "40000")
    small = open_picture(data)
    assert small.image.size == ((225, 150) if overviews else (244, 163))
    assert corners(small) == pytest.approx(corners(whole), abs=1e-6)
    assert small.notes[0] == f"The scene has 450 x 300 pixels; it was read at {small.width} x {small.height}."
    expected = np.asarray(whole.image.resize(small.image.size, Image.Resampling.BOX)).astype(int)
    assert np.abs(pixels(small) - expected).max() <= 4


def test_strips_meet_without_a_seam(monkeypatch):
    bands = NOISE.integers(0, 255, (3, 333, 200)).astype("uint8")
    data = tiff(bands, **UTM)
    monkeypatch.setattr("tinyrs.raster.STRIP_PIXELS", 1700)
    assert np.array_equal(pixels(open_picture(data)), np.moveaxis(bands, 0, -1))


def test_a_large_palette_keeps_its_colours(monkeypatch):
    monkeypatch.setenv("TINYRS_MAX_PIXELS", "2000")
    picture = open_picture(saved(palette_with_a_hole().resize((400, 320)), "TIFF"))
    assert {tuple(colour) for colour in pixels(picture).reshape(-1, 3)} == {(0, 0, 0), (10, 200, 30)}
