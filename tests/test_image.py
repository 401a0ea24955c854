"""tinyrs.image: THREATS rows 2 and 3, on pictures made here."""

from __future__ import annotations

import io
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests.picture_files import (
    SAMPLES,
    UTM,
    chunk,
    exif,
    flat,
    jpeg_with,
    palette_with_a_hole,
    pixels,
    png,
    ramp,
    refusal,
    run,
    saved,
    tiff,
)
from tinyrs.image import BadImage, open_picture

# Row 2: shapes


@pytest.mark.parametrize(
    "width, height, why",
    [
        (1, 100_000, "at least 28"),
        (100_000, 1, "at least 28"),
        (1, 1, "at least 28"),
        (27, 28, "at least 28"),
        (31, 1551, "50 times"),
        (1401, 28, "50 times"),
        (31, 1550, ""),
        (31, 639, ""),
        (28, 28, ""),
        (1400, 28, ""),
    ],
)
def test_shapes(width, height, why):
    if why:
        assert why in refusal(png(width, height))
        assert why in refusal(tiff(np.zeros((1, height, width), "uint8"), **UTM))
    else:
        assert open_picture(png(width, height)).image.size == (width, height)


SIDES = st.integers(1, 1500) | st.integers(20, 60)


@settings(max_examples=100, deadline=None)
@given(SIDES, SIDES, st.sampled_from([(3136, 50_176), (3136, 12_845_056), (784, 200_704), (3136, 39_200)]))
def test_every_size_taken_is_taken_by_the_processor(width, height, budget):
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    try:
        picture = open_picture(png(width, height))
    except BadImage:
        assert min(width, height) < 28 or max(width, height) > 50 * min(width, height)
        return
    resized = smart_resize(picture.height, picture.width, 28, *budget)
    assert all(side >= 28 and side % 28 == 0 for side in resized)
    assert resized[0] * resized[1] <= budget[1]


@pytest.mark.parametrize("size", [(28, 28), (28, 1400), (1400, 28), (41, 2050)])
def test_the_real_processor_takes_the_extremes(size):
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    processor = Qwen2VLImageProcessorPil(size={"shortest_edge": 3136, "longest_edge": 50_176})
    patches = processor(images=[open_picture(png(*size)).image], return_tensors="np")
    rows, columns = patches["image_grid_thw"][0][1:]
    assert patches["pixel_values"].shape[0] == rows * columns <= 50_176 / 14**2


# Row 3: modes


GOLDEN = {
    # what: (file, pixel in the left half, pixel in the right half)
    "1": (saved(flat("1", 1), "PNG"), (255,) * 3, (255,) * 3),
    "L": (saved(flat("L", 77), "PNG"), (77,) * 3, (77,) * 3),
    "L JPEG": (saved(flat("L", 77), "JPEG"), (77,) * 3, (77,) * 3),
    "LA opaque": (saved(flat("LA", (77, 255)), "PNG"), (77,) * 3, (77,) * 3),
    "LA clear": (saved(flat("LA", (77, 0)), "PNG"), (255,) * 3, (255,) * 3),
    "RGBA half": (saved(flat("RGBA", (0, 100, 255, 128)), "PNG"), (127, 177, 255), (127, 177, 255)),
    "RGBA clear": (saved(flat("RGBA", (9, 9, 9, 0)), "PNG"), (255,) * 3, (255,) * 3),
    "RGBA WebP": (saved(flat("RGBA", (9, 9, 9, 0)), "WEBP", lossless=True), (255,) * 3, (255,) * 3),
    "RGBA TIFF": (saved(flat("RGBA", (0, 100, 255, 128)), "TIFF"), (127, 177, 255), (127, 177, 255)),
    "LA TIFF": (saved(flat("LA", (0, 128)), "TIFF"), (127,) * 3, (127,) * 3),
    "P": (saved(palette_with_a_hole(), "PNG"), (0, 0, 0), (10, 200, 30)),
    "P with a hole": (saved(palette_with_a_hole(), "PNG", transparency=0), (255,) * 3, (10, 200, 30)),
    "P half": (saved(palette_with_a_hole(), "PNG", transparency=b"\x80"), (127,) * 3, (10, 200, 30)),
    "P GIF": (saved(palette_with_a_hole(), "GIF", transparency=0), (255,) * 3, (10, 200, 30)),
    "P TIFF": (saved(palette_with_a_hole(), "TIFF"), (0, 0, 0), (10, 200, 30)),
    "RGB with a clear colour": (
        saved(flat("RGB", (1, 2, 3)), "PNG", transparency=(1, 2, 3)),
        (255,) * 3,
        (255,) * 3,
    ),
    "1 TIFF": (saved(flat("1", 1), "TIFF", compression="group4"), (255,) * 3, (255,) * 3),
    "L TIFF": (saved(flat("L", 77), "TIFF"), (77,) * 3, (77,) * 3),
    "L TIFF, white is 0": (saved(flat("L", 77), "TIFF", tiffinfo={262: 0}), (77,) * 3, (77,) * 3),
    "CMYK TIFF": (saved(flat("CMYK", (255, 0, 0, 0)), "TIFF"), (0, 255, 255), (0, 255, 255)),
    "CMYK TIFF black": (saved(flat("CMYK", (0, 0, 0, 255)), "TIFF"), (0, 0, 0), (0, 0, 0)),
    "4 bits TIFF": (tiff(np.full((1, 32, 40), 3, "uint8"), nbits=4, **UTM), (51,) * 3, (51,) * 3),
}


@pytest.mark.parametrize("data, left, right", GOLDEN.values(), ids=GOLDEN)
def test_every_mode_becomes_rgb(data, left, right):
    picture = open_picture(data)
    assert picture.image.mode == "RGB"
    assert picture.image.getpixel((5, 16)) == left
    assert picture.image.getpixel((35, 16)) == right


def test_cmyk_jpeg_keeps_its_colours():
    picture = open_picture(saved(flat("CMYK", (255, 0, 0, 0)), "JPEG", quality=95))
    assert np.abs(pixels(picture).astype(int) - (0, 255, 255)).max() <= 3
    assert picture.notes == ("Turned from the colours of print (CMYK) into RGB.",)


def test_eight_bits_are_left_alone():
    for kind, options in (
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ):
        picture = open_picture(saved(ramp(), kind, **options))
        assert np.array_equal(pixels(picture), np.asarray(ramp()))
        assert picture.notes == ()
        assert picture.geo is None
    bands = np.moveaxis(np.asarray(ramp()), -1, 0)
    assert np.array_equal(pixels(open_picture(tiff(bands, nodata=0, **UTM))), np.asarray(ramp()))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "TIFF big", "PNG 16"])
def test_pictures_are_turned_upright(kind, orientation):
    if kind.startswith("TIFF"):
        data = saved(ramp(), "TIFF", tiffinfo={274: orientation}, big_tiff=kind == "TIFF big")
    elif kind == "PNG 16":
        data = saved(ramp().convert("L").convert("I;16"), "PNG", exif=exif(orientation))
    else:
        data = saved(ramp(), kind, exif=exif(orientation), **({} if kind == "JPEG" else {"lossless": True}))
    picture = open_picture(data)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert picture.image.size == expected.size == ((64, 40) if orientation < 5 else (40, 64))
    if kind == "PNG 16":
        order = np.argsort(np.asarray(expected), axis=None, kind="stable")
        assert (np.diff(pixels(picture)[..., 0].ravel()[order].astype(int)) >= 0).all()
    else:
        assert np.array_equal(pixels(picture), np.asarray(expected.convert("RGB")))
    assert any("upright" in note for note in picture.notes) == (orientation != 1)
    assert not picture.image.getexif()


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff",
        b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\x09\0",
    ],
)
def test_broken_exif_does_not_refuse_the_picture(words):
    segment = b"Exif\0\0" + words
    picture = open_picture(jpeg_with(b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment))
    assert picture.image.mode == "RGB"
    assert open_picture(png(64, 40, chunk(b"eXIf", words))).notes == ()


def test_only_the_first_frame_of_a_moving_picture_is_shown():
    frames = [flat("RGB", colour) for colour in ("red", "lime", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        options = {} if kind == "GIF" else {"lossless": True} if kind == "WEBP" else {"default_image": False}
        picture = open_picture(saved(frames[0], kind, save_all=True, append_images=frames[1:], **options))
        assert (pixels(picture) == (255, 0, 0)).all()
        assert picture.notes == ("Only the first of 3 frames is shown.",)
    pages = open_picture(saved(frames[0], "TIFF", save_all=True, append_images=frames[1:]))
    assert (pixels(pages) == (255, 0, 0)).all()


# The house


def test_nothing_that_was_said_about_the_picture_stays_with_it():
    exif_data = Image.Exif()
    exif_data[0x010E] = "taken by somebody"
    for kind in ("PNG", "JPEG", "WEBP"):
        picture = open_picture(saved(ramp(), kind, exif=exif_data.tobytes(), icc_profile=b"profile"))
        assert picture.image.info == {}
        assert b"somebody" not in saved(picture.image, kind)


def test_many_threads_get_the_same_pictures():
    files = [make() for make in SAMPLES.values()] * 8
    with ThreadPoolExecutor(8) as pool:
        pictures = list(pool.map(open_picture, files))
    for i, picture in enumerate(pictures):
        assert np.array_equal(pixels(picture), pixels(pictures[i % len(SAMPLES)]))


def test_rasterio_comes_with_the_first_tiff(tmp_path):
    (tmp_path / "a").write_bytes(SAMPLES["PNG"]())
    (tmp_path / "b").write_bytes(SAMPLES["TIFF"]())
    program = """
import sys
from tinyrs.image import open_picture
open_picture(sys.argv[1])
print("rasterio" in sys.modules)
open_picture(sys.argv[2])
print("rasterio" in sys.modules, sorted({"torch", "gradio", "transformers"} & set(sys.modules)))
"""
    assert run(program, str(tmp_path / "a"), str(tmp_path / "b")).split("\n")[:2] == ["False", "True []"]
