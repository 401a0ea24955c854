"""A large scene as somebody looks at it: which bands, stretched how, which window; and what is taken home from it.

    scene = open_scene("harbour.tif")
    scene.overview().image                                  # all of it, small, to choose a window on
    scene = scene.at((8000, 2000, 2048, 2048))
    scene.part().image                                      # what is asked about
    files(scene.part(), boxes, "harbour", {"question": "..."})   # GeoJSON twice, COCO, CSV, and the picture

The file stays where it lies: only what is shown is read of it, and the last few readings are kept.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from tinyrs import geo
from tinyrs.containers import MIN_SIDE
from tinyrs.example import BOX_SCALE, Box
from tinyrs.image import BadImage, Facts, Picture, View, open_picture, read_facts
from tinyrs.render import draw
from tinyrs.view import AUTO, OVERVIEW_PIXELS, apply, box_of, window_of

GRID = 9
"""Points along each side at which the page knows longitude and latitude; between them it draws straight lines."""

Window = tuple[int, int, int, int]
"""Column, row, width and height, in pixels of the file."""


@dataclass(frozen=True)
class Scene:
    """One visitor's scene.

    path, name   the file, and what the person calls it
    facts        what the file says about itself
    bands        shown as red, green and blue, or one in gray, counted from 1
    stretch      as in `View`
    window       what is asked about; None is all of it
    """

    path: str
    name: str
    facts: Facts
    bands: tuple[int, ...]
    stretch: str | tuple[float, float] = AUTO
    window: Window | None = None

    def overview(self) -> Picture:
        """All of the scene, at most OVERVIEW_PIXELS of it. Raises BadImage."""
        return _read(self.path, _stamp(self.path), self._view(None, OVERVIEW_PIXELS))

    def part(self) -> Picture:
        """The window as it is shown and asked about at once: thinned out above OVERVIEW_PIXELS. Raises BadImage."""
        return _read(self.path, _stamp(self.path), self._view(self.window, OVERVIEW_PIXELS))

    def full(self) -> Picture:
        """The window for tiles: every pixel of it, up to what may be held in memory. Raises BadImage."""
        return open_picture(self.path, self._view(self.window, None))

    def at(self, window: Window | None) -> Scene:
        """The same with another window; one that is all of the scene is none."""
        return replace(self, window=None if window == (0, 0, *self.facts.size) else window)

    def around(self, box: Box) -> Scene:
        """The window that a box on the overview means, at least as large as what a model can see."""
        return self.at(window_of(self.overview(), box, MIN_SIDE))

    def centred(self, x: float, y: float) -> Scene:
        """The window, as large as before (a quarter of the scene's sides at first), around a point 0..1000 of the overview."""
        whole, full = self.overview(), self.facts.size
        sides = self.window[2:] if self.window else [max(MIN_SIDE, side // 4) for side in full]
        middle = apply(whole.to_file, x / BOX_SCALE * whole.width, y / BOX_SCALE * whole.height)
        corner = [
            min(max(round(at - side / 2), 0), most - side) for at, side, most in zip(middle, sides, full)
        ]
        return self.at((*corner, *sides))

    @property
    def extent(self) -> tuple[int, int]:
        """Width and height of the window, in pixels of the file."""
        return self.window[2:] if self.window else self.facts.size

    def full_size(self, max_pixels: int) -> tuple[int, int]:
        """Width and height that `full` has where `max_pixels` may be held in memory; a pixel more or less."""
        width, height = self.extent
        thin = max(1.0, math.sqrt(width * height / max_pixels))
        return max(1, int(width / thin)), max(1, int(height / thin))

    @property
    def box(self) -> Box | None:
        """Where the window lies on the overview; None when it is all of it."""
        return box_of(self.overview(), self.window) if self.window else None

    def _view(self, window: Window | None, max_pixels: int | None) -> View:
        # The usual bands are left to the file, which says more about them: alpha, a palette, no data.
        usual = self.bands == self.facts.usual and len(self.facts.bands) <= 13
        return View(() if usual else self.bands, self.stretch, window, max_pixels)


def open_scene(path: str | Path, name: str = "") -> Scene:
    """The scene in a TIFF file, as it is usually shown. Raises BadImage."""
    facts = read_facts(path)
    if not facts.usual:
        raise BadImage("The picture has no band that can be shown.")
    return Scene(str(path), name or Path(path).name, facts, facts.usual)


def _stamp(path: str) -> tuple:
    try:
        found = os.stat(path)
    except OSError:
        raise BadImage("That scene is no longer here: open it again.") from None
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=8)
def _read(path: str, _stamp: tuple, view: View) -> Picture:
    # At most 8 pictures of OVERVIEW_PIXELS: 100 MB.
    return open_picture(path, view)


def grid(picture: Picture) -> list[list[float]] | None:
    """Longitude and latitude at GRID x GRID points of the picture, row by row; None where it lies nowhere.

    Longitudes go on past 180 degrees, so that what lies between two points can be drawn between them.
    """
    steps = [BOX_SCALE * i / (GRID - 1) for i in range(GRID)]
    try:
        found = geo.places(picture, [(x, y) for y in steps for x in steps], geo.LONLAT)
    except geo.NoPlace:
        return None
    first = found[0][0]
    return [[round(first + (lon - first + 180) % 360 - 180, 8), round(lat, 8)] for lon, lat in found]


def placed(picture: Picture) -> Picture:
    """The picture, without its place where its coordinates are of none on the Earth."""
    if picture.geo is None:
        return picture
    return picture if grid(picture) else replace(picture, geo=None)


def rows(picture: Picture, boxes: Sequence[Box]) -> list[list[str]]:
    """The boxes as rows of text: the cells of `geo.table` without its header."""
    return list(csv.reader(io.StringIO(geo.table(placed(picture), boxes), newline="")))[1:]


def files(picture: Picture, boxes: Sequence[Box], stem: str, about: Mapping[str, object]) -> dict[str, bytes]:
    """What can be taken home, by file name: GeoJSON in WGS84 and in the picture's own coordinates (where it has a
    place), COCO, CSV, and the picture with its boxes. `about` goes into every feature of the GeoJSON."""
    picture = placed(picture)
    made = {}
    if picture.geo is not None:
        made[f"{stem}.geojson"] = geo.wgs84(picture, boxes, about)
        made[f"{stem}{geo.OWN}.geojson"] = geo.own_crs(picture, boxes, about)
    made[f"{stem}.coco.json"] = geo.coco(picture, boxes, str(about.get("picture", stem)))
    contents = {name: json.dumps(value, ensure_ascii=False).encode() for name, value in made.items()}
    contents[f"{stem}.csv"] = geo.table(picture, boxes).encode()
    small = picture.image.copy()
    small.thumbnail((4096, 4096))
    drawn = io.BytesIO()
    draw(small, {"A": boxes}).save(drawn, "PNG")
    contents[f"{stem}.png"] = drawn.getvalue()
    return contents
