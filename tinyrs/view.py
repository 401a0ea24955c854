"""What is looked at of a large scene, and how: bands, stretch, window. And how the picture lies in its file.

    picture = open_picture("scene.tif", View.of(bands="4,3,2", stretch="1,99", window="8000,2000,1024,1024"))
    picture = open_picture("scene.tif", overview())          # the whole scene, small, to choose a window on
    picture = open_picture("scene.tif", View(window=window_of(picture, box)))
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .containers import BadImage
from .example import Box

if TYPE_CHECKING:
    from .image import Picture

Affine = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f): the point (x, y) goes to (a * x + b * y + c, d * x + e * y + f), as in rasterio."""

IDENTITY: Affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

OVERVIEW_PIXELS = 2048 * 2048
"""Pixels of the picture on which a window is chosen."""

AUTO, MINMAX, NONE = "auto", "minmax", "none"
STRETCHES = (AUTO, MINMAX, NONE)


@dataclass(frozen=True)
class View:
    """What to show of a TIFF. The default is what `open_picture` shows without one.

    bands       one band (gray) or three (red, green, blue), counted from 1; () lets the file's own names decide
    stretch     "auto" (8 bits as they are, anything else from its 2nd to its 98th percentile), "minmax",
                "none" (0 is black and the number type's largest value, 1 for floats, is white), or a pair of
                percentiles. Pixels without data take no part in it
    window      (column, row, width, height) in pixels of the file as it is stored; None is all of it
    max_pixels  a larger part is thinned out to this many pixels; None is the limit of `config.Config()`

    Raises BadImage for what makes no sense in any scene.
    """

    bands: tuple[int, ...] = ()
    stretch: str | tuple[float, float] = AUTO
    window: tuple[int, int, int, int] | None = None
    max_pixels: int | None = None

    def __post_init__(self) -> None:
        if len(self.bands) not in (0, 1, 3) or any(band < 1 for band in self.bands):
            raise BadImage("Bands are one number, or three for red, green and blue, counted from 1: 4,3,2.")
        if isinstance(self.stretch, str):
            known = self.stretch in STRETCHES
        else:
            low, high = self.stretch
            known = 0 <= low < high <= 100
        if not known:
            raise BadImage(f"A stretch is {', '.join(STRETCHES)}, or two percentiles from 0 to 100: 2,98.")
        if self.window is not None and (min(self.window[:2]) < 0 or min(self.window[2:]) < 1):
            raise BadImage("A window is column, row, width and height in pixels: 8000,2000,1024,1024.")

    @classmethod
    def of(cls, bands: str = "", stretch: str = "", window: str = "", max_pixels: int | None = None) -> View:
        """A view from what a person typed; "" is the default of each. Raises BadImage."""
        return cls(
            tuple(_numbers(bands, int)) if bands.strip() else (),
            _stretch(stretch.strip().lower()),
            _window(_numbers(window, int)) if window.strip() else None,
            max_pixels,
        )


def overview(bands: tuple[int, ...] = (), stretch: str | tuple[float, float] = AUTO) -> View:
    """The whole scene, small enough to be shown while a window is chosen."""
    return View(bands, stretch, None, OVERVIEW_PIXELS)


def window_of(picture: Picture, box: Box, side: int = 0) -> tuple[int, int, int, int]:
    """The window that a box on `picture` means, in the file's own pixels; each side at least `side` pixels long.

    It is moved, and cut where it must be, to lie inside the file.
    """
    x1, y1, x2, y2 = box_in_file(picture, box)
    window = []
    for low, high, full in zip((x1, y1), (x2, y2), picture.file_size):
        # A border that lies on a pixel but for the rounding of fractions takes in no pixel more.
        length = min(max(math.ceil(high - 1e-6) - math.floor(low + 1e-6), side, 1), full)
        middle = (low + high) / 2
        window.append((min(max(round(middle - length / 2), 0), full - length), length))
    (column, width), (row, height) = window
    return column, row, width, height


def box_of(picture: Picture, window: tuple[int, int, int, int]) -> Box:
    """Where a window of the file lies on `picture`: what `window_of` undoes."""
    a, b, c, d, e, f = picture.to_file
    column, row, width, height = window
    points = []
    for x, y in ((column - c, row - f), (column + width - c, row + height - f)):
        points.append(((e * x - b * y) / (a * e - b * d), (a * y - d * x) / (a * e - b * d)))
    (x1, x2), (y1, y2) = (sorted(values) for values in zip(*points))
    return Box.from_pixels(x1, y1, x2, y2, picture.width, picture.height)


def box_in_file(picture: Picture, box: Box) -> tuple[float, float, float, float]:
    """`left, top, right, bottom` of a box in pixels of the file as it is stored, not turned, cut or thinned."""
    x1, y1, x2, y2 = box.to_pixels(picture.width, picture.height)
    points = [apply(picture.to_file, x, y) for x, y in ((x1, y1), (x2, y2))]
    (left, right), (top, bottom) = (sorted(values) for values in zip(*points))
    return left, top, right, bottom


def apply(affine: Affine, x: float, y: float) -> tuple[float, float]:
    """Where a point goes."""
    a, b, c, d, e, f = affine
    return a * x + b * y + c, d * x + e * y + f


def compose(outer: Affine, inner: Affine) -> Affine:
    """One affine for `inner` first and `outer` after it."""
    a, b, c, d, e, f = outer
    p, q, r, s, t, u = inner
    return (
        a * p + b * s,
        a * q + b * t,
        a * r + b * u + c,
        d * p + e * s,
        d * q + e * t,
        d * r + e * u + f,
    )


def _numbers(text: str, kind: type) -> list:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise BadImage(f"{text!r} is not a list of numbers with commas between them.") from None


def _stretch(text: str) -> str | tuple[float, float]:
    if "," not in text:
        return text or AUTO
    limits = _numbers(text, float)
    if len(limits) != 2:
        raise BadImage(f"A stretch takes two percentiles, not {len(limits)}.")
    return limits[0], limits[1]


def _window(numbers: list[int]) -> tuple[int, int, int, int]:
    if len(numbers) != 4:
        raise BadImage(f"A window is four numbers (column, row, width, height), not {len(numbers)}.")
    return tuple(numbers)
