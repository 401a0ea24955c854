"""Picture files of every kind, written here, and how they are opened."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinyrs.image import BadImage, Picture, open_picture

ROOT = Path(__file__).resolve().parent.parent

UTM = {"crs": "EPSG:32633", "transform": (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0)}

NOISE = np.random.default_rng(7)


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


def exif(orientation: int) -> bytes:
    data = Image.Exif()
    data[0x0112] = orientation
    return data.tobytes()


def ramp(width: int = 64, height: int = 40) -> Image.Image:
    """Red grows to the right, green downwards, blue is a stripe on the left: no two turns look alike."""
    y, x = np.mgrid[:height, :width]
    blue = np.where(x < width // 4, 200, 0)
    return Image.fromarray(np.stack([x * 3, y * 5, blue], axis=-1).astype(np.uint8))


def flat(mode: str, colour) -> Image.Image:
    return Image.new(mode, (40, 32), colour)


def palette_with_a_hole() -> Image.Image:
    image = flat("P", 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    image.paste(0, (0, 0, 20, 32))
    return image


def jpeg_with(*segments: bytes) -> bytes:
    data = SAMPLES["JPEG"]()
    return data[:2] + b"".join(segments) + data[2:]


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


def pixels(picture: Picture) -> np.ndarray:
    return np.asarray(picture.image)


def refusal(source) -> str:
    with pytest.raises(BadImage) as caught:
        open_picture(source)
    return str(caught.value)


def within(seconds: float, source) -> str:
    """The refusal, in so many seconds of the processor: a busy machine is not what is tested."""
    start = time.thread_time()
    sentence = refusal(source)
    assert time.thread_time() - start < seconds
    return sentence


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


def run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


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
