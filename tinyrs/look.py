"""How the bands of a scene become a picture of 8 bits: which ones, stretched how, and what is not data."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import numpy as np

from .containers import BadImage
from .view import AUTO, MINMAX, NONE, View

if TYPE_CHECKING:
    from rasterio.io import DatasetReader
    from rasterio.windows import Window

MAX_BLOCK = 256 * 2**20
"""Bytes of one tile or strip when unpacked; GDAL unpacks whole ones."""

MAX_DECODED = 20_000 * 20_000 * 4 * 2
"""Bytes that one reading of the file may unpack to: a scene of 20,000 x 20,000 pixels in 4 bands of 16 bits."""

CHUNK = 24 * 2**20
"""Bytes that are unpacked at a time where a scene is thinned out. A part reaches into the blocks of the next: four of them
have to fit into GDAL's cache (tinyrs/raster.py), with some to spare, or blocks are unpacked twice."""

READERS = 4
"""Threads, at most, that share the unpacking of a large scene."""

SHARED = 128 * 2**20
"""Bytes from which on the unpacking is shared: below, opening the file once more for each thread costs more."""

PERCENTILES = (2, 98)
SAMPLE_PIXELS = 1_000_000


class Look:
    """How the bands of a scene become 8 bits of gray or colour, chosen once for all strips.

    bands   the bands shown, counted from 1: one (gray) or three (red, green, blue)
    alpha   the band that says how opaque a pixel is, 0 if there is none
    masked  the file holds a mask of its own, which is shown as alpha is
    table   colours of a palette, [values, 4] uint8, or None
    ranges  lowest and highest value shown of each band, or None where values are shown as they are
    notes   sentences on all that;  seen: those that only the pixels tell
    """

    def __init__(
        self,
        scene: DatasetReader,
        placed: bool,
        view: View,
        whole: Window,
        once: tuple[int, int] | None,
        again: Callable[[], AbstractContextManager[DatasetReader]] | None = None,
    ):
        """`whole` is the part to be shown; `once` the shape in which it is to be read only once, or None; `again` opens
        the same scene for another thread."""
        self._again = again
        self.scene, self.view, self.whole, self.notes, self.seen = scene, view, whole, [], []
        self._kept: dict[tuple, np.ndarray] | None = {} if once else None
        if scene.dtypes[0].startswith("complex"):
            raise BadImage("The picture holds complex numbers; upload their magnitude instead.")
        self._choose_bands()
        self._check_work()
        self.table = _palette(scene)
        self.ranges = None
        self.full_scale = 255
        self.masked = False
        if self.table is not None:
            if view.stretch != AUTO:
                self.notes.append("The colours are those of the file's palette; they are not stretched.")
            return
        sample = once or self._sample_shape()
        if self.alpha and placed and _looks_like_a_measurement(self._opacity(whole, sample)):
            # GDAL names the fourth of four 8-bit bands alpha unless told otherwise.
            self.notes.append(
                f"Band {self.alpha} is named alpha but holds measurements, as near infrared does; it is left out."
            )
            self.alpha = 0
        self.masked = not self.alpha and self._flags() == {"per_dataset"}
        plain = scene.dtypes[0] == "uint8"
        if plain:
            self.full_scale = 2 ** min(8, int(scene.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", 8))) - 1
        if view.stretch == NONE:
            self._leave_ranges(plain)
        elif not plain or view.stretch != AUTO:
            self._measure_ranges(sample, smooth=bool(once))

    def pixels(self, window: Window, shape: tuple[int, int]) -> np.ndarray:
        """A window of the scene as `shape` pixels, uint8.

        [rows, columns] for gray, [rows, columns, 2 to 4] with alpha or colour.
        """
        values = self._values(window, shape)
        if self.table is not None:
            return self.table[np.minimum(values[0], len(self.table) - 1)]
        if self.ranges:
            values = self._stretch(values, self._valid(values, window))
        else:
            self._say_what_is_missing(values)
            if self.full_scale != 255:
                values = np.rint(np.minimum(values, self.full_scale) * (255 / self.full_scale)).astype(
                    np.uint8
                )
        layers = list(values)
        if self.alpha or self.masked:
            layers.append(self._opacity(window, shape))
        return np.stack(layers, axis=-1) if len(layers) > 1 else layers[0]

    def _choose_bands(self) -> None:
        self.bands, self.alpha = usual_bands(self.scene)
        count = self.scene.count
        visible = count - bool(self.alpha)
        if self.view.bands:
            self._take_bands(count)
            return
        if not self.bands:
            raise BadImage("The picture has no band that can be shown.")
        if visible > 3:
            self.notes.append(
                "Of {} bands, {}, {} and {} are shown as red, green and blue.".format(count, *self.bands)
            )
        elif visible == 2:
            self.notes.append("Of 2 bands, the first is shown in gray.")

    def _take_bands(self, count: int) -> None:
        self.bands = list(self.view.bands)
        absent = [band for band in self.bands if band > count]
        if absent:
            bands = "1 band" if count == 1 else f"{count} bands"
            raise BadImage(f"The picture has {bands}; there is no band {absent[0]}.")
        if self.alpha in self.bands:
            self.alpha = 0
        if len(self.bands) == 3:
            self.notes.append("Bands {}, {} and {} are shown as red, green and blue.".format(*self.bands))
        else:
            self.notes.append(f"Band {self.bands[0]} is shown in gray.")

    def _check_work(self) -> None:
        scene, whole = self.scene, self.whole
        together = scene.count if getattr(scene.interleaving, "name", "") == "pixel" else 1
        sample_bytes = np.dtype(scene.dtypes[0]).itemsize
        rows, columns = scene.block_shapes[0]
        if rows * columns * together * sample_bytes > MAX_BLOCK:
            raise BadImage("The picture is stored as one huge block; save it in tiles and upload that.")
        wide = _touched(whole.col_off, whole.width, columns, scene.width)
        high = _touched(whole.row_off, whole.height, rows, scene.height)
        if wide * high * max(together, len(self.bands)) * sample_bytes > MAX_DECODED:
            raise BadImage(
                f"The scene has {scene.width} x {scene.height} pixels, too many to be read as a whole; "
                "add overviews to the file, or cut out a part."
            )

    def _sample_shape(self) -> tuple[int, int]:
        thin = max(1.0, math.sqrt(self.whole.width * self.whole.height / SAMPLE_PIXELS))
        return max(1, int(self.whole.height / thin)), max(1, int(self.whole.width / thin))

    def _read(self, bands, window: Window, shape: tuple[int, int], way) -> np.ndarray:
        key = (str(bands), way)
        if self._kept is not None and key in self._kept:
            return self._kept[key]
        lead = (len(bands),) if isinstance(bands, list) else ()
        readers = self._readers(window)
        parts = list(self._chunks(window, shape, readers))
        if len(parts) == 1:
            values = self.scene.read(bands, window=window, out_shape=(*lead, *shape), resampling=way)
        else:
            values = np.empty((*lead, *shape), self.scene.dtypes[0])

            def fill(scene: DatasetReader, some: Sequence[tuple[Window, slice, slice]]) -> None:
                for part, rows, columns in some:
                    size = rows.stop - rows.start, columns.stop - columns.start
                    values[..., rows, columns] = scene.read(
                        bands, window=part, out_shape=(*lead, *size), resampling=way
                    )

            def fill_too(some: Sequence[tuple[Window, slice, slice]]) -> None:
                with self._again() as scene:
                    fill(scene, some)

            # Runs of parts that follow each other: where one ends it leaves the next one's first blocks unpacked.
            each = math.ceil(len(parts) / readers)
            mine, *others = (parts[start : start + each] for start in range(0, len(parts), each))
            with ThreadPoolExecutor(max(1, len(others))) as pool:
                running = [pool.submit(fill_too, some) for some in others]
                fill(self.scene, mine)
                for one in running:
                    one.result()
        if self._kept is not None:
            self._kept[key] = values
        return values

    def _readers(self, window: Window) -> int:
        """How many threads share the unpacking of `window`."""
        size = window.width * window.height * np.dtype(self.scene.dtypes[0]).itemsize * self.scene.count
        # What is not packed comes as fast as the disk gives it.
        if self._again is None or self.scene.compression is None or size < SHARED:
            return 1
        return min(READERS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)

    def _chunks(
        self, window: Window, shape: tuple[int, int], readers: int
    ) -> Iterator[tuple[Window, slice, slice]]:
        """`window` in parts of a few blocks each, and where each part lies in an array of `shape`.

        GDAL thins out band by band, and unpacks every block anew for each where its cache does not hold them.
        """
        from rasterio.windows import Window

        if window.width * window.height <= 2 * shape[0] * shape[1]:
            yield window, slice(0, shape[0]), slice(0, shape[1])
            return
        rows, columns = self.scene.block_shapes[0]
        sample_bytes = np.dtype(self.scene.dtypes[0]).itemsize * self.scene.count
        # All readers together have the one cache.
        blocks = max(1, CHUNK * 2 // max(2, readers) // (rows * columns * sample_bytes))
        across = min(blocks, math.ceil(self.scene.width / columns))
        tall, wide = window.height / shape[0], window.width / shape[1]
        # Downwards first: a part that reaches into the blocks below finds them unpacked when their turn comes.
        for x, x_end in _cuts(window.col_off, wide, shape[1], columns * across):
            for y, y_end in _cuts(window.row_off, tall, shape[0], rows * max(1, blocks // across)):
                corner = window.col_off + x * wide, window.row_off + y * tall
                part = Window(*corner, (x_end - x) * wide, (y_end - y) * tall)
                yield part, slice(y, y_end), slice(x, x_end)

    def _values(self, window: Window, shape: tuple[int, int], smooth: bool = True) -> np.ndarray:
        """[bands, rows, columns] in the file's own numbers; thinned out by averaging if `smooth`."""
        from rasterio.enums import Resampling

        way = Resampling.average if smooth and self.table is None else Resampling.nearest
        return self._read(self.bands, window, shape, way)

    def _opacity(self, window: Window, shape: tuple[int, int]) -> np.ndarray:
        """[rows, columns] uint8 of the alpha band, or of the mask."""
        from rasterio.enums import Resampling

        if not self.alpha:
            return self.scene.read_masks(1, window=window, out_shape=shape)
        alpha = self._read(self.alpha, window, shape, Resampling.nearest)
        if alpha.dtype == np.uint8:
            return alpha
        if alpha.dtype.kind in "iu":
            return (np.maximum(alpha, 0) / np.iinfo(alpha.dtype).max * 255).astype(np.uint8)
        return np.where(alpha > 0, np.uint8(255), np.uint8(0))

    def _flags(self) -> set[str]:
        """How the file says which pixels hold data."""
        return {flag.name for band in self.bands for flag in self.scene.mask_flag_enums[band - 1]}

    def _valid(self, values: np.ndarray, window: Window) -> np.ndarray:
        """[bands, rows, columns]: which values were measured."""
        flags = self._flags()
        if "alpha" in flags or self.masked:
            known = self._opacity(window, values.shape[1:])[None] > 0 if self.alpha or self.masked else True
        elif flags == {"nodata"}:
            # Not read_masks(): it would unpack every block again, once for each band.
            known = ~self._missing(values)
        elif flags == {"all_valid"}:
            known = True
        else:
            known = self.scene.read_masks(self.bands, window=window, out_shape=values.shape) > 0
        return np.isfinite(values) & known

    def _missing(self, values: np.ndarray) -> np.ndarray:
        """[bands, rows, columns]: which values are the one that the file calls missing."""
        found = np.zeros(values.shape, bool)
        for band, shown in zip(self.bands, range(len(values))):
            nodata = self.scene.nodatavals[band - 1]
            if nodata is None or np.isnan(nodata):
                continue
            with np.errstate(all="ignore"):
                found[shown] = values[shown] == (
                    values.dtype.type(nodata) if values.dtype.kind == "f" else nodata
                )
        return found

    def _say_what_is_missing(self, values: np.ndarray) -> None:
        """A note where pixels without data are shown among those that are left as they are."""
        if not self.seen and any(value is not None for value in self.scene.nodatavals):
            if self._missing(values).all(axis=0).any():
                value = self.scene.nodatavals[self.bands[0] - 1]
                self.seen.append(f"Pixels without data are shown as they are stored, {value:g}.")

    def _leave_ranges(self, plain: bool) -> None:
        kind = np.dtype(self.scene.dtypes[0])
        if plain:
            self.notes.append("Not stretched: values are shown as they are.")
            return
        top = 1.0 if kind.kind == "f" else float(np.iinfo(kind).max)
        self.ranges = [(0.0, top)] * len(self.bands)
        self.notes.append(f"Not stretched: 0 is shown as black and {top:.6g} as white.")

    def _measure_ranges(self, shape: tuple[int, int], smooth: bool) -> None:
        values = self._values(self.whole, shape, smooth)
        valid = self._valid(values, self.whole)
        if not valid.any():
            raise BadImage("The picture holds no data: every pixel is marked as missing.")
        limits = (0, 100) if self.view.stretch == MINMAX else PERCENTILES
        if not isinstance(self.view.stretch, str):
            limits = self.view.stretch
        self.ranges = []
        for band, known in zip(values, valid):
            seen = band[known].astype(np.float64)
            low, high = np.percentile(seen, limits) if seen.size else (0.0, 0.0)
            if low == high and seen.size:  # nearly all pixels are alike, as in a mask: show the others too
                low, high = seen.min(), seen.max()
            self.ranges.append((float(low), float(high)))
        spans = ", ".join(f"{low:.6g} to {high:.6g}" for low, high in self.ranges)
        way = (
            "lowest to its highest value"
            if self.view.stretch == MINMAX
            else f"{_ordinal(limits[0])} to its {_ordinal(limits[1])} percentile"
        )
        kind = self.scene.dtypes[0]
        what = "Stretched" if kind == "uint8" else f"Stretched from {kind} to 8 bits"
        self.notes.append(f"{what}, each band from its {way}: {spans}.")
        if not self.alpha and not self.masked and not valid.all():
            self.notes.append("Pixels without data are black.")

    def _stretch(self, values: np.ndarray, valid: np.ndarray) -> np.ndarray:
        share = values.astype(np.float64)
        with np.errstate(all="ignore"):
            for band, (low, high) in zip(share, self.ranges):
                if high > low:
                    band -= low
                    band /= high - low
                else:
                    band.fill(0.5)
        np.fmin(np.fmax(share, 0, out=share), 1, out=share)  # NaN, of ranges beyond float64, becomes 0
        share[~valid] = 0
        share *= 255
        return np.rint(share, out=share).astype(np.uint8)


def usual_bands(scene: DatasetReader) -> tuple[list[int], int]:
    """The bands shown where nobody chose any, three or one ([] where there is none), and the one that is alpha or 0."""
    names = [interpretation.name for interpretation in scene.colorinterp]
    alpha = names.index("alpha") + 1 if "alpha" in names else 0
    visible = [band for band in range(1, len(names) + 1) if band != alpha]
    # Archives often say it in words where GDAL's own field has nothing.
    for said in (names, [(words or "").strip().lower() for words in scene.descriptions]):
        if {"red", "green", "blue"} <= set(said):
            return [said.index(name) + 1 for name in ("red", "green", "blue")], alpha
    if len(visible) >= 12:  # all of Sentinel-2: band 1 is coastal aerosol; level 2A has no band 10
        return [visible[3], visible[2], visible[1]], alpha
    return visible[:3] if len(visible) >= 3 else visible[:1], alpha


def _cuts(start: float, scale: float, count: int, block: int) -> Iterator[tuple[int, int]]:
    """0..count in parts that begin where a block does; one of the `count` is `scale` pixels, the first at `start`."""
    first = 0
    while first < count:
        border = (int(start + first * scale + 1e-6) // block + 1) * block
        last = min(count, max(first + 1, math.ceil((border - start) / scale - 1e-6)))
        yield first, last
        first = last


def _touched(start: float, length: float, block: int, full: int) -> int:
    """Pixels along one side of the blocks that hold a part of it."""
    first, last = int(start) // block, math.ceil(start + length) // block
    return min((last + 1) * block, full) - first * block


def _ordinal(number: float) -> str:
    tail = {1: "st", 2: "nd", 3: "rd"} if number not in (11, 12, 13) else {}
    return f"{number:g}{tail.get(number % 10, 'th')}"


def _palette(scene: DatasetReader) -> np.ndarray | None:
    if scene.colorinterp[0].name != "palette":
        return None
    colours = scene.colormap(1)
    table = np.zeros((max(colours) + 1, 4), np.uint8)
    for value, colour in colours.items():
        table[value] = colour
    return table if (table[:, 3] < 255).any() else table[:, :3]


def _looks_like_a_measurement(opacity: np.ndarray) -> bool:
    # Real alpha is all or nothing but for soft edges.
    return np.mean((opacity > 0) & (opacity < 255)) > 0.1
