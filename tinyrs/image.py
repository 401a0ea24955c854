"""Any file that a person uploads -> Picture, or BadImage with a sentence for that person.

This is the only opener of pictures in the house. It takes PNG, JPEG, WebP, GIF and TIFF (GeoTIFF), told by
their bytes; the size is judged before a pixel is decoded. What comes out is upright RGB of 8 bits, with a
note for each thing that was done to the pixels.

    picture = open_picture("harbour.tif")
    picture.image, picture.notes, picture.geo
"""

from __future__ import annotations

import hashlib
import io
import logging
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
from .raster import GeoReference

__all__ = ["BadImage", "GeoReference", "Picture", "open_picture"]

log = logging.getLogger(__name__)

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
    """

    image: Image.Image
    sha256: str
    format: str
    notes: tuple[str, ...] = ()
    geo: GeoReference | None = None

    @property
    def width(self) -> int:
        """Pixels of the upright picture."""
        return self.image.width

    @property
    def height(self) -> int:
        """Pixels of the upright picture."""
        return self.image.height


def open_picture(source: str | Path | bytes) -> Picture:
    """Open a file, or the bytes of one. Limits are those of `config.Config()`.

    Raises BadImage, and nothing else, for whatever cannot be taken. Safe to call from several threads.
    """
    limits = Config()
    data = source if isinstance(source, bytes) else _read(source, limits.max_bytes)
    _check_bytes(len(data), limits.max_bytes)
    contents = unpack(data)
    try:
        image, notes, geo = _decode(contents, limits.max_pixels)
    except BadImage:
        raise
    except Exception as error:  # decoders raise dozens of kinds on damaged bytes, MemoryError among them
        log.info("A picture of %d bytes was refused: %s", len(data), error)
        raise BadImage(DAMAGED) from error
    return Picture(image, hashlib.sha256(data).hexdigest(), contents.format, tuple(notes), geo)


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


def _decode(contents: Contents, max_pixels: int) -> tuple[Image.Image, list[str], GeoReference | None]:
    geo = None
    if contents.format == "TIFF":
        image, notes, geo = raster.read(contents.data, "GTiff", max_pixels)
    elif contents.depth == 16:  # Pillow would drop the lower 8 bits of colours
        image, notes, _ = raster.read(contents.data, "PNG", max_pixels)
    else:
        image, notes = _DECODERS[contents.format](io.BytesIO(contents.data)), []
        check_shape(*image.size)
        check_size(*image.size, max_pixels)
        image.load()
    if contents.frames > 1:
        notes.append(f"Only the first of {contents.frames} frames is shown.")
    image = _to_rgb(image, notes)
    # GIS programs leave this tag alone, and a transform counts the rows as they are stored.
    if contents.orientation in _UPRIGHT and not geo:
        image = image.transpose(_UPRIGHT[contents.orientation])
        notes.append("Turned upright, as the file asks for.")
    image.info.clear()  # where and by whom it was taken is in there, and would be saved with the pixels
    return image, notes, geo


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
