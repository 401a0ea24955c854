"""TIFFs, and PNGs of 16 bits, read through rasterio (GDAL): any band count, any number type, any size.

Everything is read in strips, so that memory goes with the picture that comes out and not with the file.
rasterio is imported when the first such file comes.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .containers import BadImage, check_shape, check_size

if TYPE_CHECKING:
    from rasterio.io import DatasetReader
    from rasterio.windows import Window

MAX_BANDS = 13
"""Bands of Sentinel-2, the most that any sensor in the benchmarks has."""

MAX_BLOCK = 256 * 2**20
"""Bytes of one tile or strip when unpacked; GDAL unpacks whole ones."""

MAX_DECODED = 2 * 2**30
"""Bytes that one reading of the file may unpack to."""

PERCENTILES = (2, 98)
SAMPLE_PIXELS = 1_000_000
STRIP_PIXELS = 1_000_000

# No neighbour files are looked for, and the cache of unpacked blocks stays small (bytes).
_GDAL = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_CACHEMAX": 64 * 2**20}


@dataclass(frozen=True)
class GeoReference:
    """Where a picture lies on the Earth.

    crs        the coordinate system: "EPSG:32633", or WKT where it has no such name
    transform  (a, b, c, d, e, f) of rasterio, for the upright picture as it was opened: pixel (column, row),
               counted from the upper left corner, lies at x = a * column + b * row + c and
               y = d * column + e * row + f
    """

    crs: str
    transform: tuple[float, float, float, float, float, float]


def read(data: bytes, driver: str, max_pixels: int) -> tuple[Image.Image, list[str], GeoReference | None]:
    """The picture (L, LA, RGB or RGBA), what was done to it, and where it lies.

    `driver` is GDAL's name of the format, "GTiff" or "PNG". A TIFF above `max_pixels` is read from an
    overview or thinned out, anything else is refused. Raises BadImage for what is not taken and whatever
    rasterio likes for damaged files.
    """
    import rasterio
    from rasterio.io import MemoryFile

    _accept_plain_tiffs()
    with rasterio.Env(**_GDAL), MemoryFile(data) as file:
        with file.open(driver=driver) as scene:
            full = scene.width, scene.height
            check_shape(*full)
            if driver != "GTiff":
                check_size(*full, max_pixels)
            if scene.count > MAX_BANDS:
                raise BadImage(f"The picture has {scene.count} bands; at most {MAX_BANDS} are taken.")
            overview = _overview(scene, max_pixels)
            crs, transform = scene.crs, scene.transform
        with file.open(driver=driver, **overview) as scene:
            image, notes = _render(scene, max_pixels, placed=bool(crs))
        if image.size != full:
            notes.insert(
                0,
                f"The scene has {full[0]} x {full[1]} pixels; it was read at {image.width} x {image.height}.",
            )
        # A local grid, of a building site say, has coordinates too, but they are of no place on Earth.
        if not crs or transform.is_identity or not (crs.is_projected or crs.is_geographic):
            return image, notes, None
        across, down = full[0] / image.width, full[1] / image.height
        a, b, c, d, e, f = tuple(transform)[:6]
        return image, notes, GeoReference(crs.to_string(), (a * across, b * down, c, d * across, e * down, f))


def _accept_plain_tiffs() -> None:
    from rasterio.errors import NotGeoreferencedWarning

    # A filter of the process, added once: catch_warnings() would race with other threads.
    if not any(entry[2] is NotGeoreferencedWarning for entry in warnings.filters):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)


def _overview(scene: DatasetReader, max_pixels: int) -> dict[str, int]:
    """How to open the overview to read instead of the scene, if there is a fitting one."""
    pixels = scene.width * scene.height
    if pixels <= max_pixels:
        return {}
    for level, factor in enumerate(scene.overviews(1)):
        if max_pixels / 16 <= pixels / factor**2 <= max_pixels:
            return {"overview_level": level}
    return {}


def _render(scene: DatasetReader, max_pixels: int, placed: bool) -> tuple[Image.Image, list[str]]:
    from rasterio.windows import Window

    view = _View(scene, placed)
    thin = max(1.0, math.sqrt(scene.width * scene.height / max_pixels))
    width, height = int(scene.width / thin), int(scene.height / thin)
    image, step = None, max(1, STRIP_PIXELS // width)
    for top in range(0, height, step):
        rows = min(step, height - top)
        window = Window(0, top * scene.height / height, scene.width, rows * scene.height / height)
        strip = Image.fromarray(view.pixels(window, (rows, width)))
        image = image or Image.new(strip.mode, (width, height))
        image.paste(strip, (0, top))
    return image, view.notes


class _View:
    """How the bands of a scene become 8 bits of gray or colour, chosen once for all strips.

    bands   the bands shown, counted from 1: one (gray) or three (red, green, blue)
    alpha   the band that says how opaque a pixel is, 0 if there is none
    table   colours of a palette, [values, 4] uint8, or None
    ranges  lowest and highest value shown of each band, or None where values are shown as they are
    notes   sentences on all that
    """

    def __init__(self, scene: DatasetReader, placed: bool):
        self.scene, self.notes = scene, []
        if scene.dtypes[0].startswith("complex"):
            raise BadImage("The picture holds complex numbers; upload their magnitude instead.")
        self._choose_bands()
        self._check_work()
        self.table = _palette(scene)
        self.ranges = None
        self.full_scale = 255
        if self.table is not None:
            return
        sample = self._sample_shape()
        if self.alpha and placed and _looks_like_a_measurement(self._opacity(None, sample)):
            # GDAL names the fourth of four 8-bit bands alpha unless told otherwise.
            self.alpha = 0
            self.notes.append(
                f"Band {scene.count} is named alpha but holds measurements, as near infrared does; "
                "it is left out."
            )
        if scene.dtypes[0] == "uint8":
            self.full_scale = 2 ** min(8, int(scene.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", 8))) - 1
        else:
            self._measure_ranges(sample)

    def pixels(self, window: Window, shape: tuple[int, int]) -> np.ndarray:
        """A window of the scene as `shape` pixels, uint8.

        [rows, columns] for gray, [rows, columns, 2 to 4] with alpha or colour.
        """
        values = self._values(window, shape)
        if self.table is not None:
            return self.table[np.minimum(values[0], len(self.table) - 1)]
        if self.ranges:
            values = self._stretch(values, self._valid(values, window))
        elif self.full_scale != 255:
            values = np.rint(np.minimum(values, self.full_scale) * (255 / self.full_scale)).astype(np.uint8)
        layers = list(values)
        if self.alpha:
            layers.append(self._opacity(window, shape))
        return np.stack(layers, axis=-1) if len(layers) > 1 else layers[0]

    def _choose_bands(self) -> None:
        names = [interpretation.name for interpretation in self.scene.colorinterp]
        self.alpha = names.index("alpha") + 1 if "alpha" in names else 0
        visible = [band for band in range(1, len(names) + 1) if band != self.alpha]
        if {"red", "green", "blue"} <= set(names):
            self.bands = [names.index(name) + 1 for name in ("red", "green", "blue")]
        elif len(visible) >= 12:  # all of Sentinel-2: band 1 is coastal aerosol; level 2A has no band 10
            self.bands = [visible[3], visible[2], visible[1]]
        else:
            self.bands = visible[:3] if len(visible) >= 3 else visible[:1]
        if not self.bands:
            raise BadImage("The picture has no band that can be shown.")
        if len(visible) > 3:
            self.notes.append(
                "Of {} bands, {}, {} and {} are shown as red, green and blue.".format(len(names), *self.bands)
            )
        elif len(visible) == 2:
            self.notes.append("Of 2 bands, the first is shown in gray.")

    def _check_work(self) -> None:
        scene = self.scene
        together = scene.count if getattr(scene.interleaving, "name", "") == "pixel" else 1
        sample_bytes = np.dtype(scene.dtypes[0]).itemsize
        rows, columns = scene.block_shapes[0]
        if rows * columns * together * sample_bytes > MAX_BLOCK:
            raise BadImage("The picture is stored as one huge block; save it in tiles and upload that.")
        if scene.width * scene.height * max(together, len(self.bands)) * sample_bytes > MAX_DECODED:
            raise BadImage(
                f"The scene has {scene.width} x {scene.height} pixels, too many to be read as a whole; "
                "add overviews to the file, or cut out a part."
            )

    def _sample_shape(self) -> tuple[int, int]:
        thin = max(1.0, math.sqrt(self.scene.width * self.scene.height / SAMPLE_PIXELS))
        return max(1, int(self.scene.height / thin)), max(1, int(self.scene.width / thin))

    def _values(self, window: Window | None, shape: tuple[int, int], smooth: bool = True) -> np.ndarray:
        """[bands, rows, columns] in the file's own numbers; thinned out by averaging if `smooth`."""
        from rasterio.enums import Resampling

        way = Resampling.average if smooth and self.table is None else Resampling.nearest
        return self.scene.read(self.bands, window=window, out_shape=(len(self.bands), *shape), resampling=way)

    def _opacity(self, window: Window | None, shape: tuple[int, int]) -> np.ndarray:
        """[rows, columns] uint8 of the alpha band."""
        alpha = self.scene.read(self.alpha, window=window, out_shape=shape)
        if alpha.dtype == np.uint8:
            return alpha
        if alpha.dtype.kind in "iu":
            return (np.maximum(alpha, 0) / np.iinfo(alpha.dtype).max * 255).astype(np.uint8)
        return np.where(alpha > 0, np.uint8(255), np.uint8(0))

    def _valid(self, values: np.ndarray, window: Window | None) -> np.ndarray:
        """[bands, rows, columns]: which values were measured."""
        from rasterio.enums import MaskFlags

        shape = values.shape[1:]
        if any(MaskFlags.alpha in flags for flags in self.scene.mask_flag_enums):
            known = self._opacity(window, shape)[None] > 0 if self.alpha else True
        else:
            known = self.scene.read_masks(self.bands, window=window, out_shape=values.shape) > 0
        return np.isfinite(values) & known

    def _measure_ranges(self, shape: tuple[int, int]) -> None:
        values = self._values(None, shape, smooth=False)
        valid = self._valid(values, None)
        if not valid.any():
            raise BadImage("The picture holds no data: every pixel is marked as missing.")
        self.ranges = []
        for band, known in zip(values, valid):
            seen = band[known].astype(np.float64)
            low, high = np.percentile(seen, PERCENTILES) if seen.size else (0.0, 0.0)
            if low == high and seen.size:  # nearly all pixels are alike, as in a mask: show the others too
                low, high = seen.min(), seen.max()
            self.ranges.append((float(low), float(high)))
        spans = ", ".join(f"{low:.6g} to {high:.6g}" for low, high in self.ranges)
        self.notes.append(
            f"Stretched from {self.scene.dtypes[0]} to 8 bits, each band from its {PERCENTILES[0]}nd to its "
            f"{PERCENTILES[1]}th percentile: {spans}."
        )
        if not self.alpha and not valid.all():
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
