"""Scenes: bands, stretch, missing values and windows as they were chosen; large files by blocks."""

from __future__ import annotations

import hashlib
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.picture_files import NOISE, UTM, assert_close, pixels, png, ramp, run, saved, stretched, tiff
from tinyrs import raster
from tinyrs.image import BadImage, View, open_picture
from tinyrs.view import OVERVIEW_PIXELS, compose, overview


def refusal(*arguments) -> str:
    with pytest.raises(BadImage) as caught:
        open_picture(*arguments)
    return str(caught.value)


def steps(count: int, kind: str = "uint8") -> np.ndarray:
    """`count` flat bands of 10, 20, 30, ..."""
    return np.arange(10, 10 * count + 1, 10).astype(kind)[:, None, None] + np.zeros((count, 32, 40), kind)


# Bands


@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_bands_are_those_that_were_chosen_and_said(interleave):
    data = tiff(steps(5), interleave=interleave, **UTM)
    picture = open_picture(data, View.of(bands="5, 3,2"))
    assert (pixels(picture) == (50, 30, 20)).all()
    assert picture.notes == ("Bands 5, 3 and 2 are shown as red, green and blue.",)
    picture = open_picture(data, View(bands=(4,)))
    assert (pixels(picture) == 40).all() and picture.notes == ("Band 4 is shown in gray.",)
    assert (pixels(open_picture(data, View(bands=(2, 2, 1)))) == (20, 20, 10)).all()


def test_without_a_choice_all_is_as_without_a_view():
    for data in (tiff(steps(5), **UTM), tiff(steps(3, "float32") * NOISE.random((3, 32, 40)), **UTM)):
        one, other = open_picture(data), open_picture(data, View.of())
        assert (
            np.array_equal(pixels(one), pixels(other)) and one.notes == other.notes and one.geo == other.geo
        )
    assert open_picture(saved(ramp(), "PNG"), View()).notes == ()


def test_near_infrared_can_be_chosen_although_gdal_names_it_alpha():
    bands = NOISE.integers(30, 200, (4, 32, 40)).astype("uint8")
    picture = open_picture(tiff(bands, **UTM), View(bands=(4, 1, 2)))
    assert np.array_equal(pixels(picture), np.moveaxis(bands[[3, 0, 1]], 0, -1))


def test_of_many_bands_three_can_be_chosen():
    assert (pixels(open_picture(tiff(steps(20), **UTM), View(bands=(20, 18, 1)))) == (200, 180, 10)).all()


@pytest.mark.parametrize(
    "view, words",
    [
        ({"bands": "6,1,1"}, "5 bands; there is no band 6"),
        ({"bands": "0,1,2"}, "counted from 1"),
        ({"bands": "1,2"}, "one number, or three"),
        ({"bands": "red"}, "'red' is not a list of numbers"),
        ({"stretch": "strong"}, "auto, minmax, none, or two percentiles"),
        ({"stretch": "98,2"}, "two percentiles"),
        ({"stretch": "nan,98"}, "two percentiles"),
        ({"stretch": "1,2,3"}, "two percentiles, not 3"),
        ({"window": "0,0,41,32"}, "beyond the scene, which has 40 x 32 pixels"),
        ({"window": "13,0,28,32"}, "beyond the scene"),
        ({"window": "-1,0,30,30"}, "column, row, width and height"),
        ({"window": "0,0,20,30"}, "at least 28"),
        ({"window": "0,0,30"}, "four numbers"),
        ({"window": f"0,0,{10**30},30"}, "beyond the scene"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(view, words):
    with pytest.raises(BadImage, match=words):
        open_picture(tiff(steps(5), **UTM), View.of(**view))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_other_formats_take_no_choice(kind):
    assert "TIFF pictures only" in refusal(saved(ramp(), kind), View(stretch="minmax"))
    assert "TIFF pictures only" in refusal(png(64, 64, depth=16), View(bands=(1,)))


# Stretch and missing values


def by_rule(band: np.ndarray, valid: np.ndarray, low: float, high: float) -> np.ndarray:
    share = np.clip((band.astype(float) - low) / (high - low), 0, 1) * 255
    return np.where(valid, np.rint(share), 0)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("stretch", ["minmax", "none", "5,95", "0.5,99.5", "auto"])
def test_a_stretch_is_the_one_that_was_chosen_and_said(kind, stretch):
    band = NOISE.normal(120, 30, (40, 50)).clip(1, 250).astype(kind)
    if kind == "float32":
        band /= 250
    picture = open_picture(tiff(band[None], **UTM), View.of(stretch=stretch))
    valid = np.ones(band.shape, bool)
    values = band.astype(float)
    said = picture.notes[-1] if picture.notes else ""
    if stretch == "none" or (stretch == "auto" and kind == "uint8"):
        top = {"uint8": 255, "uint16": 65_535, "int16": 32_767, "float32": 1}[kind]
        assert_close(pixels(picture)[..., 0], by_rule(band, valid, 0, top))
        assert ("Not stretched" in said) == (stretch == "none")
    elif stretch == "minmax":
        assert_close(pixels(picture)[..., 0], by_rule(band, valid, values.min(), values.max()))
        assert "each band from its lowest to its highest value" in said
    else:
        low, high = (2, 98) if stretch == "auto" else map(float, stretch.split(","))
        limits = np.percentile(values, (low, high))
        assert_close(pixels(picture)[..., 0], by_rule(band, valid, *limits))
        assert f"{low:g}" in said and f"{high:g}th percentile" in said
    assert "1th" not in said and "2th" not in said


@pytest.mark.parametrize("stretch", ["minmax", "2,98", "auto"])
@pytest.mark.parametrize(
    "kind, nodata", [("uint16", 0), ("int16", -32768), ("float32", -3.4028234663852886e38)]
)
def test_missing_values_take_no_part_in_any_stretch(kind, nodata, stretch):
    band = NOISE.normal(3000, 500, (40, 50)).astype(kind)
    missing = NOISE.random(band.shape) < 0.3
    band[missing] = nodata
    picture = open_picture(tiff(band[None], nodata=nodata, **UTM), View.of(stretch=stretch))
    known = band[~missing].astype(float)
    limits = (known.min(), known.max()) if stretch == "minmax" else np.percentile(known, (2, 98))
    assert_close(pixels(picture)[..., 0], by_rule(band, ~missing, *limits))
    assert picture.notes[-1] == "Pixels without data are black."


def test_missing_values_of_a_thinned_scene_do_not_darken_their_neighbours():
    band = np.full((400, 400), 1000, "uint16")
    band[:, 200:] = 3000
    band[NOISE.random(band.shape) < 0.2] = 0
    band[:100] = 0
    picture = open_picture(tiff(band[None], nodata=0, **UTM), View(stretch="minmax", max_pixels=10_000))
    assert picture.image.size == (100, 100)
    assert (pixels(picture)[:25] == 0).all()
    assert set(np.unique(pixels(picture)[26:, :49])) == {0} and set(np.unique(pixels(picture)[26:, 51:])) == {
        255
    }
    assert "1000 to 3000" in picture.notes[1]


def test_in_8_bits_missing_values_stay_and_are_said():
    bands = NOISE.integers(50, 90, (3, 32, 40)).astype("uint8")
    bands[:, :5] = 7
    picture = open_picture(tiff(bands, nodata=7, **UTM))
    assert np.array_equal(pixels(picture), np.moveaxis(bands, 0, -1))
    assert picture.notes == ("Pixels without data are shown as they are stored, 7.",)
    assert open_picture(tiff(bands, nodata=9, **UTM)).notes == ()
    picture = open_picture(tiff(bands, nodata=7, **UTM), View(stretch="minmax"))
    assert (pixels(picture)[:5] == 0).all() and (pixels(picture)[5:] == 0).mean() < 0.05


def test_what_a_mask_hides_is_white_and_does_not_count():
    import rasterio
    from rasterio import Affine
    from rasterio.io import MemoryFile

    bands = NOISE.integers(1000, 2000, (3, 32, 40)).astype("uint16")
    bands[:, :, :20] = 60_000
    mask = np.full((32, 40), 255, "uint8")
    mask[:, :20] = 0
    for kind in ("uint16", "uint8"):
        profile = {"count": 3, "height": 32, "width": 40, "dtype": kind, "crs": UTM["crs"]}
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), MemoryFile() as file:
            with file.open(driver="GTiff", transform=Affine(*UTM["transform"]), **profile) as scene:
                scene.write((bands // 256).astype(kind) if kind == "uint8" else bands)
                scene.write_mask(mask)
            picture = open_picture(file.read())
        assert (pixels(picture)[:, :20] == 255).all()
        assert "See-through parts are shown on white." in picture.notes
        if kind == "uint16":
            assert_close(pixels(picture)[:, 20:, 0], stretched(bands[0, :, 20:], np.ones((32, 20), bool)))


# Windows


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
@pytest.mark.parametrize("layout", [{}, {"tiled": True, "blockxsize": 64, "blockysize": 64}])
def test_a_window_is_that_part_of_the_scene(kind, layout):
    bands = NOISE.integers(0, 255, (3, 200, 300)).astype(kind)
    picture = open_picture(tiff(bands, **layout, **UTM), View.of(window="70,90,60,50", stretch="none"))
    part = bands[:, 90:140, 70:130]
    expected = part if kind == "uint8" else np.rint(part / 65_535 * 255)
    assert np.array_equal(pixels(picture), np.moveaxis(expected, 0, -1))
    assert picture.notes[0] == (
        "Only a part is shown: 60 x 50 pixels from column 70, row 90 of a scene of 300 x 200."
    )
    assert picture.file_size == (300, 200) and picture.to_file == (1, 0, 70, 0, 1, 90)
    assert picture.geo.transform == (10, 0, 500_700, 0, -10, 4_999_100)


def test_a_stretch_is_that_of_the_window():
    band = NOISE.normal(1000, 100, (100, 100)).astype("uint16")
    band[:, 50:] += 20_000
    picture = open_picture(tiff(band[None], **UTM), View(window=(50, 0, 50, 100)))
    assert_close(pixels(picture)[..., 0], stretched(band[:, 50:], np.ones((100, 50), bool)))


def test_a_window_of_a_long_strip_can_be_seen():
    data = tiff(np.zeros((1, 30, 1600), "uint8"), **UTM)
    assert "50 times" in refusal(data)
    assert open_picture(data, View(window=(700, 0, 300, 30))).image.size == (300, 30)


@pytest.mark.parametrize("overviews", [(), (2, 4, 8)])
def test_a_window_that_is_too_large_is_thinned_out(overviews):
    y, x = np.mgrid[:600, :800]
    bands = np.stack([x / 4, y / 4, x * 0 + 99]).astype("uint8")
    data = tiff(bands, overviews=overviews, tiled=True, blockxsize=64, blockysize=64, **UTM)
    picture = open_picture(data, View(window=(300, 200, 400, 300), max_pixels=7500))
    assert picture.image.size == (100, 75)
    assert picture.notes[1] == "The part is too large to be shown in full; it was read at 100 x 75."
    expected = bands[:, 200:500, 300:700].reshape(3, 75, 4, 100, 4).mean((2, 4))
    assert np.abs(pixels(picture) - np.moveaxis(expected, 0, -1)).max() <= 2
    assert picture.to_file == (4, 0, 300, 0, 4, 200)


@pytest.mark.parametrize("layout", [{}, {"tiled": True, "blockxsize": 64, "blockysize": 32}])
@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_parts_of_a_thinned_scene_meet_without_a_seam(monkeypatch, layout, interleave):
    y, x = np.mgrid[:500, :700]
    bands = np.stack([x * 50, y * 50, (x + y) * 20]).astype("uint16")
    data = tiff(bands, interleave=interleave, **layout, **UTM)
    view = View(stretch="none", max_pixels=9000)
    monkeypatch.setattr("tinyrs.look.CHUNK", 1)
    in_parts = pixels(open_picture(data, view)).astype(int)
    monkeypatch.setattr("tinyrs.look.CHUNK", 2**30)
    at_once = pixels(open_picture(data, view)).astype(int)
    assert np.abs(in_parts - at_once).max() <= 1
    assert (np.diff(in_parts[..., 0], axis=1) >= 0).all() and (np.diff(in_parts[..., 1], axis=0) >= 0).all()


@pytest.mark.parametrize("layout", [{}, {"tiled": True, "blockxsize": 64, "blockysize": 32}])
@pytest.mark.parametrize("way", ["bytes", "file"])
def test_threads_that_share_a_large_scene_read_what_one_reads(monkeypatch, tmp_path, layout, way):
    y, x = np.mgrid[:500, :700]
    bands = np.stack([x * 50, y * 50, (x + y) * 20]).astype("uint16")
    source = tiff(bands, compress="deflate", predictor=2, **layout, **UTM)
    if way == "file":
        (tmp_path / "s.tif").write_bytes(source)
        source = tmp_path / "s.tif"
        monkeypatch.setenv("TINYRS_MAX_BYTES", "1000")
    view = View(max_pixels=9000)
    monkeypatch.setattr("tinyrs.look.CHUNK", 1)
    alone, threads = open_picture(source, view), set()
    another = raster._another

    def watched(*args):
        threads.add(threading.get_ident())
        return another(*args)

    monkeypatch.setattr("tinyrs.raster._another", watched)
    monkeypatch.setattr("tinyrs.look.SHARED", 0)
    monkeypatch.setattr("tinyrs.look.os.sched_getaffinity", lambda pid: range(9))
    shared = open_picture(source, view)
    assert (pixels(shared) == pixels(alone)).all() and shared.notes == alone.notes
    assert threads and threading.get_ident() not in threads, "others read, too"


def test_a_damaged_block_is_told_whichever_thread_meets_it(monkeypatch, tmp_path):
    data = bytearray(tiff(NOISE.integers(0, 255, (3, 600, 600)).astype("uint8"), compress="deflate", **UTM))
    at = len(data) // 2
    data[at : at + 4000] = bytes(4000)
    monkeypatch.setattr("tinyrs.look.CHUNK", 1)
    monkeypatch.setattr("tinyrs.look.SHARED", 0)
    monkeypatch.setattr("tinyrs.look.os.sched_getaffinity", lambda pid: range(4))
    with pytest.raises(BadImage, match="damaged"):
        open_picture(bytes(data), View(max_pixels=9000))


def test_composed_affines_do_one_after_the_other():
    from rasterio import Affine

    one, other = (2.0, 1.0, 3.0, -1.0, 4.0, 5.0), (0.5, 2.0, -7.0, 3.0, 1.0, 2.0)
    assert compose(one, other) == tuple(Affine(*one) @ Affine(*other))[:6]


# Large files


def large_scene(path: Path, side: int, **profile) -> Path:
    """A scene of `side` x `side` pixels, one block drawn again and again but for one bright square."""
    import rasterio
    from rasterio import Affine
    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.windows import Window

    block = NOISE.integers(60, 90, (3, 512, 512)).astype("uint8") // 8 * 8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=side,
            height=side,
            count=3,
            dtype="uint8",
            tiled=True,
            blockxsize=512,
            blockysize=512,
            crs=UTM["crs"],
            transform=Affine(*UTM["transform"]),
            **profile,
        ) as scene:
            for start in range(0, side - 512, 1536):  # the other blocks stay empty: the file is sparse
                scene.write(block, window=Window(start, start, 512, 512))
            scene.write(np.full_like(block, 250), window=Window(side // 2 // 512 * 512, 1024, 512, 512))
    return path


def test_a_file_above_the_limit_is_read_from_the_disk_where_a_view_asks(tmp_path, monkeypatch):
    path = large_scene(tmp_path / "scene.tif", 2048)
    small = open_picture(path, View(window=(1024, 1024, 512, 512)))
    monkeypatch.setenv("TINYRS_MAX_BYTES", "10000")
    assert "MiB are taken" in refusal(path)
    assert "MiB are taken" in refusal(path.read_bytes(), View())
    picture = open_picture(path, View(window=(1024, 1024, 512, 512)))
    assert (pixels(picture) == 250).all() and picture.sha256 == small.sha256 == sha256(path)
    assert (picture.geo, picture.notes, picture.to_file) == (small.geo, small.notes, small.to_file)
    monkeypatch.setattr("tinyrs.image.MAX_SCENE_BYTES", 20_000)
    assert "MiB are taken" in refusal(path, View())
    noise = tmp_path / "noise.tif"
    noise.write_bytes(b"II*\0" + NOISE.bytes(20_000))
    monkeypatch.setattr("tinyrs.image.MAX_SCENE_BYTES", 2**30)
    assert refusal(noise, View()).endswith(".")
    cut = tmp_path / "cut.tif"
    cut.write_bytes(path.read_bytes()[:30_000])
    assert str(tmp_path) not in refusal(cut, View(window=(0, 0, 2048, 2048)))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_words_in_another_alphabet_do_not_have_a_large_file_copied(tmp_path, monkeypatch, capfd):
    data = saved(ramp().resize((256, 200)), "TIFF", description="x" * 40)
    (tmp_path / "scene.tif").write_bytes(data.replace(b"x" * 40, b"\xcele-de-France" + b" " * 27))
    monkeypatch.setenv("TINYRS_MAX_BYTES", "1000")
    picture = open_picture(tmp_path / "scene.tif", View())
    assert np.array_equal(pixels(picture), np.asarray(ramp().resize((256, 200))))
    assert capfd.readouterr() == ("", "")


# Prints the peak of memory, MiB, that an overview and then a window added, and the sizes that came out.
MEASURE = """
import sys
import rasterio
from bench.memory import peak
from tinyrs.image import View, open_picture
from tinyrs.view import overview
before = peak()
whole = open_picture(sys.argv[1], overview())
part = open_picture(sys.argv[1], View(window=(9728, 1024, 2048, 2048)))
print(peak() - before, whole.width, whole.height, part.width, part.image.getpixel((256, 256))[0])
"""


@pytest.mark.slow
@pytest.mark.parametrize("profile", [{"compress": "deflate", "zlevel": 1}, {}], ids=["deflate", "plain"])
def test_a_scene_of_400_million_pixels_opens_in_less_than_1_gb(tmp_path, profile):
    path = large_scene(tmp_path / "scene.tif", 20_000, sparse_ok=True, **profile)
    added, width, height, side, bright = run(MEASURE, str(path)).split()
    assert 30 < float(added) < 1000  # what comes out alone has 24 MiB
    assert 1900 < int(width) == int(height) and int(width) * int(height) <= OVERVIEW_PIXELS
    assert (side, bright) == ("2048", "250")


def test_an_overview_is_small_enough_to_be_sent():
    data = tiff(np.zeros((1, 2100, 2100), "uint8"), compress="deflate", **UTM)
    picture = open_picture(data, overview())
    assert picture.width * picture.height <= OVERVIEW_PIXELS and picture.file_size == (2100, 2100)
