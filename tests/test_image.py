"""tinyrs.image, tinyrs.containers and tinyrs.raster: THREATS rows 1 to 5, on pictures made here."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import random
import struct
import subprocess
import sys
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tinyrs import containers
from tinyrs.image import BadImage, GeoReference, Picture, open_picture

ROOT = Path(__file__).resolve().parent.parent
UTM = {"crs": "EPSG:32633", "transform": (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0)}


# Writers


def saved(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(
    bands: np.ndarray, overviews: tuple[int, ...] = (), colours: tuple[str, ...] = (), **profile
) -> bytes:
    """A TIFF of [bands, rows, columns], as GIS programs write it."""
    from rasterio import Affine
    from rasterio.enums import ColorInterp, Resampling
    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.io import MemoryFile

    count, height, width = bands.shape
    if "transform" in profile:
        profile["transform"] = Affine(*profile["transform"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with MemoryFile() as file:
            with file.open(
                driver="GTiff", count=count, height=height, width=width, dtype=bands.dtype, **profile
            ) as scene:
                scene.write(bands)
                if colours:
                    scene.colorinterp = [ColorInterp[name] for name in colours]
                if overviews:
                    scene.build_overviews(overviews, Resampling.average)
            return file.read()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *extra: bytes, depth: int = 1, colour: int = 0) -> bytes:
    """A black PNG, written without holding its pixels; `extra` chunks lie before the pixels."""
    samples = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    squeeze = zlib.compressobj(1)
    row = bytes(1 + (width * samples * depth + 7) // 8)
    pixels = b"".join(squeeze.compress(row) for _ in range(height)) + squeeze.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), *extra, chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    )


def ramp(width: int = 64, height: int = 40) -> Image.Image:
    """Red grows to the right, green downwards, blue is a stripe on the left: no two turns look alike."""
    y, x = np.mgrid[:height, :width]
    blue = np.where(x < width // 4, 200, 0)
    return Image.fromarray(np.stack([x * 3, y * 5, blue], axis=-1).astype(np.uint8))


def pixels(picture: Picture) -> np.ndarray:
    return np.asarray(picture.image)


def refusal(source) -> str:
    with pytest.raises(BadImage) as caught:
        open_picture(source)
    return str(caught.value)


SAMPLES = {
    "PNG": lambda: saved(ramp(), "PNG"),
    "PNG palette": lambda: saved(ramp().quantize(32), "PNG", transparency=3),
    "PNG 16": lambda: saved(ramp().convert("I;16"), "PNG"),
    "JPEG": lambda: saved(ramp(), "JPEG", exif=exif(6)),
    "JPEG progressive": lambda: saved(ramp(), "JPEG", progressive=True),
    "WEBP": lambda: saved(ramp(), "WEBP", exif=exif(3)),
    "GIF": lambda: saved(ramp(), "GIF", save_all=True, append_images=[ramp().rotate(180)]),
    "TIFF": lambda: saved(ramp(), "TIFF"),
    "TIFF deflate": lambda: saved(ramp(), "TIFF", compression="tiff_deflate"),
    "TIFF jpeg": lambda: saved(ramp(), "TIFF", compression="jpeg"),
    "GeoTIFF": lambda: tiff(np.moveaxis(np.asarray(ramp()).astype("uint16"), -1, 0), nodata=0, **UTM),
}


def exif(orientation: int) -> bytes:
    data = Image.Exif()
    data[0x0112] = orientation
    return data.tobytes()


# Row 1: more pixels, bytes or parts than a machine can take


def jpeg_that_claims(side: int) -> bytes:
    data = bytearray(SAMPLES["JPEG"]())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", side, side)
    return bytes(data)


def gif_that_claims(side: int) -> bytes:
    data = bytearray(SAMPLES["GIF"]())
    data[6:10] = struct.pack("<HH", side, side)
    return bytes(data)


def webp_that_claims(side: int) -> bytes:
    data = bytearray(saved(ramp(), "WEBP", lossless=True))
    at = data.index(b"VP8L") + 9
    (bits,) = struct.unpack_from("<I", data, at)
    data[at : at + 4] = struct.pack("<I", bits >> 28 << 28 | (side - 1) << 14 | (side - 1))
    return bytes(data)


BOMBS = {
    "PNG of 13000": (13_000, lambda: png(13_000, 13_000)),
    "PNG of 14000": (14_000, lambda: png(14_000, 14_000)),
    "PNG of 14000 in 16 bits": (14_000, lambda: png(14_000, 14_000, depth=16)),
    "JPEG": (65_500, lambda: jpeg_that_claims(65_500)),
    "GIF": (65_535, lambda: gif_that_claims(65_535)),
    "WebP": (16_383, lambda: webp_that_claims(16_383)),
}
# Prints the peak of memory, MiB, that opening the files added, and how many were taken. The first file is opened
# before: what the libraries need once does not count.
MEASURE = """
import sys
import rasterio
from bench.memory import peak
from tinyrs.image import BadImage, open_picture
open_picture(sys.argv[1])
before, taken = peak(), 0
for path in sys.argv[2:]:
    try:
        taken += bool(open_picture(path))
    except BadImage:
        pass
print(peak() - before, taken)
"""


def run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def within(seconds: float, source) -> str:
    """The refusal, in so many seconds of the processor: a busy machine is not what is tested."""
    start = time.thread_time()
    sentence = refusal(source)
    assert time.thread_time() - start < seconds
    return sentence


@pytest.mark.parametrize("side, bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_from_its_header(side, bomb):
    assert f"{side} x {side} pixels; at most 40 million" in within(0.5, bomb())


def test_bombs_take_less_than_100_mb(tmp_path):
    for name, (_, bomb) in BOMBS.items():
        (tmp_path / name).write_bytes(bomb())
    bombs = sorted(tmp_path.iterdir())
    (tmp_path / "small").write_bytes(png(64, 64, depth=8, colour=6))
    added, taken = run(MEASURE, str(tmp_path / "small"), *map(str, bombs)).split()
    assert float(added) < 100
    assert taken == "0"


@pytest.mark.parametrize("kind", ["PNG with alpha", "WebP with alpha", "TIFF of float64"])
def test_memory_goes_with_the_pixels_that_come_out(tmp_path, kind):
    """At most 20 bytes a pixel, so 800 MB for the largest picture, beside the file and GDAL's cache."""
    width, height = 3600, 2400
    make = {
        "PNG with alpha": lambda w, h: png(w, h, depth=8, colour=6),
        "WebP with alpha": lambda w, h: saved(Image.new("RGBA", (w, h)), "WEBP", lossless=True, method=0),
        "TIFF of float64": lambda w, h: tiff(
            np.zeros((3, h, w)) + np.arange(w), compress="deflate", zlevel=1, tiled=True
        ),
    }[kind]
    data = make(width, height)
    (tmp_path / "small").write_bytes(make(64, 64))
    (tmp_path / "picture").write_bytes(data)
    added, taken = run(MEASURE, str(tmp_path / "small"), str(tmp_path / "picture")).split()
    assert taken == "1"
    assert float(added) < (20 * width * height + len(data)) / 2**20 + 64


def test_too_many_bytes_are_refused_before_they_are_read(tmp_path):
    with (tmp_path / "big.png").open("wb") as file:
        file.truncate(2**40)  # takes no room on the disk
    assert "at most 100 MiB" in within(0.5, tmp_path / "big.png")


def test_the_limits_are_those_of_the_configuration(monkeypatch):
    monkeypatch.setenv("TINYRS_MAX_BYTES", "100")
    assert "at most" in refusal(png(64, 64) + bytes(100))
    monkeypatch.setenv("TINYRS_MAX_BYTES", "10000")
    monkeypatch.setenv("TINYRS_MAX_PIXELS", "4095")
    assert "64 x 64" in refusal(png(64, 64))
    monkeypatch.setenv("TINYRS_MAX_PIXELS", "4096")
    assert open_picture(png(64, 64)).width == 64


def jpeg_with(*segments: bytes) -> bytes:
    data = SAMPLES["JPEG"]()
    return data[:2] + b"".join(segments) + data[2:]


def scans(count: int) -> bytes:
    data = SAMPLES["JPEG progressive"]()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def gif_comment(block: bytes) -> bytes:
    data = SAMPLES["GIF"]()
    head = 13 + (3 << ((data[10] & 7) + 1))
    return data[:head] + b"\x21\xfe" + block + b"\0" + data[head:]


def tiff_of_directories(count: int, last: int = 0) -> bytes:
    entries = [(256, 4, 64), (257, 4, 64), (258, 3, 8), (259, 3, 1), (262, 3, 1)]
    entries += [(273, 4, 8), (277, 3, 1), (278, 4, 64), (279, 4, 4096)]
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    size = 2 + len(body) + 4
    following = [8 + size * (i + 1) for i in range(count - 1)] + [last]
    pages = b"".join(struct.pack("<H", len(entries)) + body + struct.pack("<I", at) for at in following)
    return b"II*\0" + struct.pack("<I", 8) + pages + bytes(4096)


def tiff_of_tags(count: int, length: int) -> bytes:
    start = 8 + 2 + 12 * count + 4
    entries = b"".join(struct.pack("<HHII", 40_000 + tag, 2, length, start) for tag in range(count))
    return b"II*\0" + struct.pack("<IH", 8, count) + entries + bytes(4) + b"x" * length


# Each of these keeps a plain decoder busy for ten seconds to hours, or fills its memory.
FLOODS = {
    "PNG chunks": lambda: png(64, 64, chunk(b"teSt", b"") * 2_000_000),
    "JPEG comments": lambda: jpeg_with(b"\xff\xfe\0\2" * 5_000_000),
    "JPEG tables": lambda: jpeg_with((b"\xff\xdb\0\x43\0" + bytes(range(1, 65))) * 100_000),
    "JPEG scans": lambda: scans(5000),
    "GIF comment blocks": lambda: gif_comment(b"\1a" * 10_000_000),
    "TIFF directories": lambda: tiff_of_directories(100_000),
    "TIFF tags that share their bytes": lambda: tiff_of_tags(20_000, 1_000_000),
    "TIFF directory in a circle": lambda: tiff_of_directories(3, last=8),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_flood_of_parts_is_refused(flood):
    assert "too many parts" in within(1, flood())


def test_what_is_only_said_about_a_picture_is_never_unpacked():
    fill = b"\xff" * 10_000_000
    bomb = zlib.compress(bytes(200_000_000), 9)
    for data in (
        jpeg_with(fill),
        jpeg_with((b"\xff\xe1\xff\xfeExif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(65_516)) * 500),
        jpeg_with(b"\xff\xe2\xff\xff" + b"ICC_PROFILE\0" + bytes(65_521)),
        png(64, 40, chunk(b"iCCP", b"name\0\0" + bomb), chunk(b"zTXt", b"key\0\0" + bomb)),
    ):
        start = time.thread_time()
        assert open_picture(data).notes in ((), ("Turned upright, as the file asks for.",))
        assert time.thread_time() - start < 1


def test_a_tiff_that_unpacks_to_too_much_is_refused():
    sparse = {"tiled": True, "sparse_ok": True, "compress": "deflate"}
    assert "add overviews" in within(2, hollow_tiff(60_000, **sparse))
    assert "one huge block" in within(2, hollow_tiff(18_000, blockxsize=17_008, blockysize=17_008, **sparse))


def hollow_tiff(side: int, **profile) -> bytes:
    """A TIFF without one stored pixel."""
    from rasterio import Affine
    from rasterio.io import MemoryFile

    profile["transform"] = Affine(*UTM["transform"])
    with MemoryFile() as file:
        with file.open(driver="GTiff", width=side, height=side, count=1, dtype="uint8", **profile):
            pass
        return file.read()


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


def flat(mode: str, colour) -> Image.Image:
    return Image.new(mode, (40, 32), colour)


def palette_with_a_hole() -> Image.Image:
    image = flat("P", 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    image.paste(0, (0, 0, 20, 32))
    return image


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


def stretched(band: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The rule in its plainest form, value by value."""
    low, high = np.percentile(band[valid].astype(float), (2, 98))
    return np.array(
        [
            [
                round(255 * min(max((float(v) - low) / (high - low), 0), 1)) if ok else 0
                for v, ok in zip(*rows)
            ]
            for rows in zip(band, valid)
        ]
    )


def assert_close(got: np.ndarray, expected: np.ndarray) -> None:
    assert np.abs(got.astype(int) - expected.astype(int)).max() <= 1  # round() and rint() differ on halves


NOISE = np.random.default_rng(7)


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


# Row 4: damage


def outcome(data: bytes) -> Picture | None:
    """A picture or BadImage, in less than 2 s and without a word to anybody; no other error."""
    start = time.thread_time()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            picture = open_picture(data)
        except BadImage as error:
            picture = None
            assert str(error).endswith(".") and "\n" not in str(error) and "/" not in str(error)
    assert time.thread_time() - start < 2
    assert not said
    assert picture is None or picture.image.mode == "RGB"
    return picture


def heard(capfd) -> list[str]:
    """The lines on stdout and stderr, but for the one that PROJ writes about local coordinate systems."""
    said = capfd.readouterr()
    return [line for line in (said.out + said.err).splitlines() if "Cannot find proj.db" not in line]


@pytest.mark.parametrize("kind", SAMPLES)
def test_prefixes(kind, capfd):
    data = SAMPLES[kind]()
    assert outcome(data)
    for i in range(64):
        prefix = data[: len(data) * i // 64]
        picture = outcome(prefix)
        assert picture is None or "JPEG" in kind or "TIFF" in kind
    assert heard(capfd) == []


def mutated(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 5, 20))):
        at = dice.randrange(len(changed))
        match dice.randrange(5):
            case 0:
                changed[at] = dice.randrange(256)
            case 1:
                changed[at] ^= 1 << dice.randrange(8)
            case 2:
                del changed[at : at + dice.randrange(1, 9)]
            case 3:
                changed[at:at] = dice.randbytes(dice.randrange(1, 9))
            case 4:
                changed[at : at + 4] = dice.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"))
        if not changed:
            return b""
    return bytes(changed)


@pytest.mark.parametrize("kind", SAMPLES)
def test_mutations(kind, capfd):
    data, dice = SAMPLES[kind](), random.Random(kind)
    for _ in range(100):
        outcome(mutated(data, dice))
    assert heard(capfd) == []


def test_changed_pixels_of_a_png_are_noticed():
    data = bytearray(SAMPLES["PNG"]())
    data[data.index(b"IDAT") + 40] ^= 1
    assert refusal(bytes(data)) == containers.DAMAGED


def test_metadata_that_nobody_can_read_does_not_reach_the_log(capfd):
    data = tiff(np.full((3, 32, 40), 9, "uint8"), colours=("blue", "green", "red"), **UTM)
    assert b"<GDALMetadata>" in data
    broken = data.replace(b"<GDALMetadata>", b"<\xff\xfeGDALMetadat")
    assert (pixels(open_picture(broken)) == 9).all()
    assert heard(capfd) == []


def test_noise(capfd):
    dice = random.Random(0)
    heads = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x40\0\0\0WEBP", b"GIF89a", b"II*\0", b"MM\0+"]
    for i in range(350):
        assert outcome(heads[i % len(heads)] + dice.randbytes(dice.randrange(400))) is None
    assert outcome(b"") is None
    assert heard(capfd) == []


@pytest.mark.parametrize("make", ["missing", "folder", "pipe", "name with NUL", "endless name", "device"])
def test_what_is_not_a_file_is_refused_in_a_sentence_that_names_no_path(tmp_path, make):
    path = {
        "missing": tmp_path / "secret",
        "folder": tmp_path,
        "pipe": tmp_path / "secret-pipe",
        "name with NUL": f"{tmp_path}/secret\0.png",
        "endless name": f"{tmp_path}/{'secret' * 1000}",
        "device": "/dev/zero",
    }[make]
    if make == "pipe":
        os.mkfifo(path)
    sentence = within(2, path)
    assert "secret" not in sentence and str(tmp_path) not in sentence


def test_damage_in_a_file_names_no_path(tmp_path):
    path = tmp_path / "secret.tif"
    path.write_bytes(SAMPLES["TIFF deflate"]()[:200] + b"x" * 300)
    assert (
        str(tmp_path) not in refusal(path) and "secret" not in refusal(path) and "vsimem" not in refusal(path)
    )


# Row 5: disguise


@pytest.mark.parametrize(
    "data",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<?xml version='1.0'?><svg/>",
        b"<!DOCTYPE html><script>alert(1)</script>",
        b"SIMPLE  =                    T / FITS" + b" " * 2880,
        b"\xff\xfe\x36\xb0\x36\xb0\1" + bytes(1024),  # GD2
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99999 99999\n",
        b"\xc5\xd0\xd3\xc6" + bytes(64),  # EPS in its Windows wrapping
        b"%PDF-1.7\n",
        b"8BPS\0\1" + bytes(64),
        b"BM" + bytes(64),
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"\0\0\0\x1cftypavif",
        b"PK\3\4",
        b"\x7fELF",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"\x00\x00\x01\x00",
    ],
)
def test_other_formats_are_refused_whatever_their_name_says(tmp_path, data):
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    assert within(0.5, path) == containers.UNKNOWN
    assert within(0.5, data) == containers.UNKNOWN


def test_a_name_says_nothing_about_the_format(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(SAMPLES["JPEG"]())
    assert open_picture(path).format == "JPEG"
    assert open_picture(str(path)).sha256 == hashlib.sha256(SAMPLES["JPEG"]()).hexdigest()


PAGE = b"<!DOCTYPE html><html><script>alert(1)</script></html>"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_page_after_the_picture_is_refused(kind):
    assert refusal(SAMPLES[kind]() + PAGE) == containers.GOES_ON
    assert refusal(SAMPLES[kind]() + b"\0\n" + PAGE) == containers.GOES_ON
    assert outcome(SAMPLES[kind]() + b"\0\0\r\n")


def test_the_preview_that_drones_store_after_a_jpeg_is_left_out():
    data = SAMPLES["JPEG"]()
    picture = open_picture(data + bytes(100) + saved(flat("RGB", "red"), "JPEG"))
    assert np.array_equal(pixels(picture), pixels(open_picture(data)))


def test_a_page_inside_a_picture_does_not_reach_the_picture():
    data = png(
        64, 40, chunk(b"tEXt", b"Comment\0" + PAGE), chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + PAGE)
    )
    picture = open_picture(data)
    assert PAGE not in saved(picture.image, "PNG")
    assert picture.image.info == {}


def test_nothing_that_was_said_about_the_picture_stays_with_it():
    exif_data = Image.Exif()
    exif_data[0x010E] = "taken by somebody"
    for kind in ("PNG", "JPEG", "WEBP"):
        picture = open_picture(saved(ramp(), kind, exif=exif_data.tobytes(), icc_profile=b"profile"))
        assert picture.image.info == {}
        assert b"somebody" not in saved(picture.image, kind)


# The house


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
