"""Any file that a person uploads -> Picture, or BadImage with a sentence for that person.

This is the only opener of pictures in the house. It takes PNG, JPEG, WebP, GIF and TIFF (GeoTIFF), told by
their bytes; the size is judged before a pixel is decoded. What comes out is upright RGB of 8 bits, with a
note for each thing that was done to the pixels.

    picture = open_picture("harbour.tif")
    picture.image, picture.notes, picture.geo
    picture = open_picture("scene.tif", View(window=(8000, 2000, 1024, 1024)))   # tinyrs/view.py
"""

from __future__ import annotations

import hashlib
import io
import logging
import mmap
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from . import raster
from .config import Config
from .containers import DAMAGED, BadImage, Contents, check_shape, check_size, unpack
from .raster import Facts, GeoReference, Scan
from .view import IDENTITY, Affine, View, compose

__all__ = ["BadImage", "Facts", "GeoReference", "Picture", "View", "open_picture", "read_facts"]

log = logging.getLogger(__name__)

MAX_SCENE_BYTES = 16 * 2**30
"""Largest TIFF that is read by windows from the disk, bytes."""

# The classes, not Image.open(): that one asks every format that Pillow knows, and warns about large pictures
# through the process-wide list of warnings instead of refusing them.
_DECODERS = {"PNG": PngImageFile, "JPEG": JpegImageFile, "WEBP": WebPImageFile, "GIF": GifImageFile}

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture that a model may see and a person may draw boxes on.

    image   RGB, 8 bits, upright, every side at least 28 pixels, one side at most 50 times the other
    sha256  hexadecimal, of the file's bytes
    format  "PNG", "JPEG", "WEBP", "GIF" or "TIFF"
    notes   one plain sentence for each thing that was done to the pixels
    geo     where it lies on the Earth, None when the file does not say
    file_size  width and height of the file as it is stored, in pixels; (0, 0) when nobody said
    to_file    where a point of the picture, in its pixels, lies in the file, in the file's pixels: they differ
               where the picture was turned upright, is a part of the scene, or was thinned out
    """

    image: Image.Image
    sha256: str
    format: str
    notes: tuple[str, ...] = ()
    geo: GeoReference | None = None
    file_size: tuple[int, int] = (0, 0)
    to_file: Affine = IDENTITY

    @property
    def width(self) -> int:
        """Pixels of the upright picture."""
        return self.image.width

    @property
    def height(self) -> int:
        """Pixels of the upright picture."""
        return self.image.height


_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How TIFF files begin, and those of more than 4 GiB."""


def open_picture(source: str | Path | bytes, view: View | None = None) -> Picture:
    """Open a file, or the bytes of one. Limits are those of `config.Config()`.

    With a `view`, bands, stretch and window of a TIFF are those, and a TIFF file that is too large for an upload
    is read from the disk by windows (up to MAX_SCENE_BYTES); other formats take only the default view.

    Raises BadImage, and nothing else, for whatever cannot be taken. Safe to call from several threads.
    """
    limits = Config()
    if view is not None and not isinstance(source, bytes) and _is_large_tiff(source, limits.max_bytes):
        return _open_large(Path(source), limits.max_pixels, view)
    data = source if isinstance(source, bytes) else _read(source, limits.max_bytes)
    _check_bytes(len(data), limits.max_bytes)
    contents = unpack(data)
    return _open(contents, contents.data, hashlib.sha256(data).hexdigest(), limits.max_pixels, view)


def read_facts(path: str | Path) -> Facts:
    """What a TIFF file says about itself; no pixel is read. Raises BadImage, and nothing else."""
    try:
        path = Path(path)
        if not path.is_file():
            raise BadImage("There is no such file.")
        _check_bytes(path.stat().st_size, MAX_SCENE_BYTES)
        with path.open("rb") as file:
            if (start := file.read(4)) and start not in _TIFF:
                raise BadImage("Scenes are read from TIFF files; ask about other pictures on the Compare tab.")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                unpack(data)
        return raster.facts(path)
    except BadImage:
        raise
    except Exception as error:  # an empty file has no map, and damaged directories fail in dozens of ways
        log.info("A scene was refused: %s", error)
        raise BadImage(DAMAGED) from error


def _open(contents: Contents, source: bytes | Path, sha256: str, max_pixels: int, view) -> Picture:
    try:
        scan = _decode(contents, source, max_pixels, view or View())
    except BadImage:
        raise
    except Exception as error:  # decoders raise dozens of kinds on damaged bytes, MemoryError among them
        log.info("A picture of format %s was refused: %s", contents.format, error)
        raise BadImage(DAMAGED) from error
    return Picture(
        scan.image, sha256, contents.format, tuple(scan.notes), scan.geo, scan.file_size, scan.to_file
    )


def _is_large_tiff(path: str | Path, max_bytes: int) -> bool:
    try:
        path = Path(path)
        if not path.is_file() or path.stat().st_size <= max_bytes:
            return False
        with path.open("rb") as file:
            return file.read(4) in _TIFF
    except (OSError, ValueError):
        return False  # _read() says what is wrong


def _open_large(path: Path, max_pixels: int, view: View) -> Picture:
    digest = hashlib.sha256()
    try:
        _check_bytes(path.stat().st_size, MAX_SCENE_BYTES)
        with path.open("rb") as file:
            # Only the directories are looked at through the map: pages that were touched count as memory.
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                contents = unpack(data)
            while block := file.read(2**22):
                digest.update(block)
    except OSError as error:
        raise BadImage("The file cannot be read.") from error
    return _open(contents, path, digest.hexdigest(), max_pixels, view)


def _read(path: str | Path, max_bytes: int) -> bytes:
    try:
        path = Path(path)
        if not path.is_file():  # a pipe or a device would never end
            raise BadImage("There is no such file.")
        _check_bytes(path.stat().st_size, max_bytes)
        with path.open("rb") as file:
            return file.read(max_bytes + 1)
    except BadImage:
        raise
    except (OSError, ValueError) as error:
        raise BadImage("The file cannot be read.") from error


def _check_bytes(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise BadImage(f"The file has {size / 2**20:.1f} MiB; at most {max_bytes / 2**20:.6g} MiB are taken.")


def _decode(contents: Contents, source: bytes | Path, max_pixels: int, view: View) -> Scan:
    if contents.format == "TIFF":
        scan = raster.read(source, "GTiff", max_pixels, view)
    elif view != View():
        raise BadImage("Bands, stretch and window can be chosen for TIFF pictures only.")
    elif contents.depth == 16:  # Pillow would drop the lower 8 bits of colours
        scan = raster.read(source, "PNG", max_pixels)
    else:
        image = _DECODERS[contents.format](io.BytesIO(source))
        check_shape(*image.size)
        check_size(*image.size, max_pixels)
        image.load()
        scan = Scan(image, [], None, image.size, IDENTITY)
    image, notes, geo, to_file = scan.image, scan.notes, scan.geo, scan.to_file
    if contents.frames > 1:
        notes.append(f"Only the first of {contents.frames} frames is shown.")
    image = _to_rgb(image, notes)
    # GIS programs leave this tag alone, and a transform counts the rows as they are stored.
    if contents.orientation in _UPRIGHT and not geo:
        to_file = compose(to_file, _back(contents.orientation, *image.size))
        image = image.transpose(_UPRIGHT[contents.orientation])
        notes.append("Turned upright, as the file asks for.")
    image.info.clear()  # where and by whom it was taken is in there, and would be saved with the pixels
    return Scan(image, notes, geo, scan.file_size, to_file)


def _back(orientation: int, width: int, height: int) -> Affine:
    """From the upright picture to the one of `width` x `height` that was turned."""
    w, h = float(width), float(height)
    return {
        2: (-1.0, 0.0, w, 0.0, 1.0, 0.0),
        3: (-1.0, 0.0, w, 0.0, -1.0, h),
        4: (1.0, 0.0, 0.0, 0.0, -1.0, h),
        5: (0.0, 1.0, 0.0, 1.0, 0.0, 0.0),
        6: (0.0, 1.0, 0.0, -1.0, 0.0, h),
        7: (0.0, -1.0, w, -1.0, 0.0, h),
        8: (0.0, -1.0, w, 1.0, 0.0, 0.0),
    }[orientation]


def _to_rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getextrema()[3][0] < 255:
            notes.append("See-through parts are shown on white.")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    if image.mode == "CMYK":
        notes.append("Turned from the colours of print (CMYK) into RGB.")
    return image.convert("RGB")
