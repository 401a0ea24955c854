"""TIFFs, and PNGs of 16 bits, read through rasterio (GDAL): any band count, any number type, any size.

Everything is read in strips, so that memory goes with the picture that comes out and not with the file.
rasterio is imported when the first such file comes.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from .containers import BadImage, check_shape, check_size
from .look import Look, usual_bands
from .view import IDENTITY, OVERVIEW_PIXELS, Affine, View, compose

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

MAX_BANDS = 13
"""Bands of Sentinel-2, the most that any sensor in the benchmarks has."""

STRIP_PIXELS = 1_000_000

_COLOURS = ("red", "green", "blue", "alpha")

# No neighbour files are looked for, and the cache of unpacked blocks stays small (bytes).
_GDAL = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_CACHEMAX": 64 * 2**20}

# Where a scene is thinned out each block is wanted several times: with the small cache one of 20,000 x 20,000 pixels took
# 5.1 s of processor instead of 4.4.
_THINNING = {**_GDAL, "GDAL_CACHEMAX": 128 * 2**20}


@dataclass(frozen=True)
class GeoReference:
    """Where a picture lies on the Earth.

    crs        the coordinate system: "EPSG:32633", or WKT where it has no such name
    transform  (a, b, c, d, e, f) of rasterio, for the upright picture as it was opened: pixel (column, row),
               counted from the upper left corner, lies at x = a * column + b * row + c and
               y = d * column + e * row + f
    """

    crs: str
    transform: Affine


@dataclass(frozen=True)
class Scan:
    """What was read.

    image      L, LA, RGB or RGBA
    notes      what was done to the pixels
    geo        where the image lies on the Earth, None when the file does not say
    file_size  width and height of the file, in pixels
    to_file    where a point of the image, in its pixels, lies in the file, in the file's pixels
    """

    image: Image.Image
    notes: list[str]
    geo: GeoReference | None
    file_size: tuple[int, int]
    to_file: Affine


@dataclass(frozen=True)
class Facts:
    """What a scene says about itself before a pixel is read.

    size    width and height, in pixels
    bands   how the file calls each of them ("" where it does not);  usual: those shown where nobody chooses
    kind    the type of its numbers, such as "uint16"
    nodata  the value that stands for nothing, None where there is none
    crs     its coordinate system ("EPSG:32633"), "" where it has none
    """

    size: tuple[int, int]
    bands: tuple[str, ...]
    usual: tuple[int, ...]
    kind: str
    nodata: float | None
    crs: str


def facts(path: Path) -> Facts:
    """What the TIFF at `path` says about itself. Raises whatever rasterio likes for damaged files."""
    import rasterio

    _accept_plain_tiffs()
    with rasterio.Env(**_GDAL), _opener(path, "GTiff") as open_scene, open_scene() as scene:
        colours = [colour.name for colour in scene.colorinterp]
        told = [
            name or (colour if colour in _COLOURS else "") for name, colour in zip(scene.descriptions, colours)
        ]
        return Facts(
            (scene.width, scene.height),
            tuple(told),
            tuple(usual_bands(scene)[0]),
            scene.dtypes[0],
            scene.nodatavals[0],
            scene.crs.to_string() if scene.crs else "",
        )


def read(source: bytes | Path, driver: str, max_pixels: int, view: View = View()) -> Scan:
    """Read a file, or the bytes of one, as `view` says.

    `driver` is GDAL's name of the format, "GTiff" or "PNG". Of a TIFF, what is above `max_pixels` (or those of
    `view`) is read from an overview or thinned out; anything else is refused. Of a file, only the blocks that
    are needed are read. Raises BadImage for what is not taken and whatever rasterio likes for damaged files.
    """
    import rasterio

    _accept_plain_tiffs()
    max_pixels = min(max_pixels, view.max_pixels or max_pixels)
    with rasterio.Env(**_GDAL), _opener(source, driver) as open_scene:
        with open_scene() as scene:
            full = scene.width, scene.height
            part = _part(view, full)
            check_shape(*part[2:])
            if driver != "GTiff":
                check_size(*full, max_pixels)
            if scene.count > MAX_BANDS and not view.bands:
                raise BadImage(f"The picture has {scene.count} bands; at most {MAX_BANDS} are taken.")
            overview = _overview(scene, part[2] * part[3], max_pixels)
            crs, transform = scene.crs, scene.transform
        settings = _THINNING if part[2] * part[3] > max_pixels else _GDAL
        with rasterio.Env(**settings), open_scene(**overview) as scene:
            again = partial(_another, open_scene, overview)
            image, notes = _render(scene, full, part, max_pixels, placed=bool(crs), view=view, again=again)
        notes[:0] = _extent_notes(full, part, image.size)
        to_file: Affine = (part[2] / image.width, 0.0, part[0], 0.0, part[3] / image.height, part[1])
        # A local grid, of a building site say, has coordinates too, but they are of no place on Earth.
        if not crs or transform.is_identity or not (crs.is_projected or crs.is_geographic):
            return Scan(image, notes, None, full, to_file)
        place = compose(tuple(transform)[:6], to_file) if to_file != IDENTITY else tuple(transform)[:6]
        return Scan(image, notes, GeoReference(crs.to_string(), place), full, to_file)


@contextmanager
def _opener(source: bytes | Path, driver: str) -> Iterator[Callable[..., DatasetReader]]:
    """A function that opens the scene, given GDAL's options of opening."""
    import rasterio
    from rasterio.io import MemoryFile

    if isinstance(source, bytes):
        with MemoryFile(source) as file:
            yield partial(file.open, driver=driver)
    else:
        # The real path: GDAL gives a meaning of their own to names like /vsizip/ and scheme://.
        yield partial(rasterio.open, os.path.realpath(source), driver=driver, sharing=False)


def _part(view: View, full: tuple[int, int]) -> tuple[int, int, int, int]:
    column, row, width, height = view.window or (0, 0, *full)
    if column + width > full[0] or row + height > full[1]:
        raise BadImage(f"The window reaches beyond the scene, which has {full[0]} x {full[1]} pixels.")
    return column, row, width, height


def _extent_notes(full, part, size) -> list[str]:
    column, row, *extent = part
    notes, read_at = [], f"it was read at {size[0]} x {size[1]}."
    if tuple(extent) != full:
        notes.append(
            f"Only a part is shown: {extent[0]} x {extent[1]} pixels from column {column}, row {row} of a scene "
            f"of {full[0]} x {full[1]}."
        )
        if size != tuple(extent):
            notes.append(f"The part is too large to be shown in full; {read_at}")
    elif size != full:
        notes.append(f"The scene has {full[0]} x {full[1]} pixels; {read_at}")
    return notes


def _accept_plain_tiffs() -> None:
    from rasterio.errors import NotGeoreferencedWarning

    # A filter of the process, added once: catch_warnings() would race with other threads.
    if not any(entry[2] is NotGeoreferencedWarning for entry in warnings.filters):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)


def _overview(scene: DatasetReader, pixels: int, max_pixels: int) -> dict[str, int]:
    """How to open the overview to read instead of the scene, if there is a fitting one for so many pixels."""
    if pixels <= max_pixels:
        return {}
    for level, factor in enumerate(scene.overviews(1)):
        if max_pixels / 16 <= pixels / factor**2 <= max_pixels:
            return {"overview_level": level}
    return {}


@contextmanager
def _another(open_scene: Callable[..., DatasetReader], overview: dict[str, int]) -> Iterator[DatasetReader]:
    """The same scene once more, in a thread of its own: GDAL's settings are those of a thread."""
    import rasterio

    with rasterio.Env(**_THINNING), open_scene(**overview) as scene:
        yield scene


def _render(
    scene: DatasetReader, full, part, max_pixels: int, placed: bool, view: View, again
) -> tuple[Image.Image, list[str]]:
    from rasterio.windows import Window

    # `scene` may be an overview, with fewer pixels than `full`.
    across, down = scene.width / full[0], scene.height / full[1]
    left, top, wide, high = part[0] * across, part[1] * down, part[2] * across, part[3] * down
    thin = max(1.0, math.sqrt(wide * high / max_pixels))
    width, height = max(1, int(wide / thin)), max(1, int(high / thin))
    # What is thinned out has all its blocks unpacked each time that it is read: do that once where it fits.
    once = thin > 1 and width * height <= OVERVIEW_PIXELS
    look = Look(scene, placed, view, Window(left, top, wide, high), (height, width) if once else None, again)
    image, step = None, height if once else max(1, STRIP_PIXELS // width)
    for row in range(0, height, step):
        rows = min(step, height - row)
        window = Window(left, top + row * high / height, wide, rows * high / height)
        strip = Image.fromarray(look.pixels(window, (rows, width)))
        image = image or Image.new(strip.mode, (width, height))
        image.paste(strip, (0, row))
    return image, look.notes + look.seen
