"""tinyrs.containers: THREATS rows 1, 4 and 5, on files made here."""

from __future__ import annotations

import hashlib
import os
import random
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.picture_files import (
    SAMPLES,
    UTM,
    chunk,
    flat,
    jpeg_with,
    outcome,
    pixels,
    png,
    ramp,
    refusal,
    run,
    saved,
    tiff,
    within,
)
from tinyrs import containers
from tinyrs.image import open_picture

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


# Row 4: damage


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
