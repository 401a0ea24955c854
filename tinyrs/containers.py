"""The bytes of an uploaded file, walked through before any decoder sees them.

A decoder of pictures trusts what a file says about itself: it collects comments, unpacks colour profiles and
follows directories for as long as the file likes. The walk here is bounded, finds where the picture ends, how
it is to be turned and whether more frames follow, and leaves only what makes the pixels of the first frame.
Nothing is decoded. Sources: PNG (ISO 15948), JPEG (ITU T.81), GIF89a, WebP (RFC 9649), TIFF 6.0, BigTIFF.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MIN_SIDE = 28
"""Pixels that each side must have: one visual token of Qwen2-VL."""

MAX_ASPECT = 50
"""How many times longer than the other a side may be. Qwen2-VL's processor raises above 200."""

MAX_PARTS = 100_000
"""Chunks, segments or blocks that one file may have; 100 MB of PNG in 8 KiB chunks has 13,000."""

MAX_SUB_BLOCKS = 1_000_000
"""The same for the sub-blocks of a GIF, which hold 255 bytes at most."""

MAX_SCANS = 100
"""Scans of a progressive JPEG. Each one costs a pass over all pixels, however few bytes it has."""

MAX_TABLES = 2**20
"""Bytes of a JPEG outside its scans; all tables that it can use at once take less than 4 KiB."""

MAX_DIRECTORIES = 1000
"""Pages, masks and overviews of a TIFF."""

MAX_TAG_BYTES = 64 * 2**20
"""Bytes that all tags of a TIFF may hold together; the longest, lists of tiles, take a few MB."""

CUT_OFF = "The file is cut off: the picture's end is missing."
DAMAGED = "The file is damaged: it cannot be read as a picture."
TOO_MANY = "The file is split into too many parts; save the picture again and upload that."
GOES_ON = "The file goes on after the picture's end; save the picture again and upload that."
UNKNOWN = "This is not a PNG, JPEG, WebP, GIF or TIFF picture."


class BadImage(ValueError):
    """The file is not taken. `str(error)` is one sentence for the person who uploaded it."""


def check_shape(width: int, height: int) -> None:
    """Raise BadImage for a shape that the models cannot take."""
    if min(width, height) < MIN_SIDE:
        raise BadImage(
            f"The picture has {width} x {height} pixels; each side needs at least {MIN_SIDE} pixels."
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise BadImage(
            f"The picture has {width} x {height} pixels; "
            f"one side may be at most {MAX_ASPECT} times as long as the other."
        )


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise BadImage for a picture that has too many pixels to be decoded as a whole."""
    if width * height > max_pixels:
        raise BadImage(
            f"The picture has {width} x {height} pixels; at most {max_pixels / 1e6:.6g} million are taken. "
            "A larger scene can be uploaded as a TIFF."
        )


@dataclass(frozen=True)
class Contents:
    """What the walk found.

    format       "PNG", "JPEG", "WEBP", "GIF" or "TIFF"
    data         the same file, reduced to what makes the pixels of its first frame (TIFF: as it was)
    orientation  1 to 8 as in EXIF
    frames       pictures in the file; only the first one is ever decoded
    depth        bits of one sample where the format has a choice and the walk sees it (PNG), else 8
    """

    format: str
    data: bytes
    orientation: int = 1
    frames: int = 1
    depth: int = 8


def unpack(data: bytes) -> Contents:
    """Walk through a whole file. The format is told by the first bytes and never by a name."""
    if not data:
        raise BadImage("The file is empty.")
    for magic, walk in _WALKS:
        if magic.match(data):
            try:
                return walk(data)
            except (IndexError, struct.error, OverflowError):  # all three mean: read behind the end
                raise BadImage(CUT_OFF) from None
    raise BadImage(UNKNOWN)


_PADDING = re.compile(rb"[\0\s]*\Z")
# Cameras of drones and telephones put a preview, a whole JPEG of its own, after the picture.
_PADDING_OR_JPEG = re.compile(rb"[\0\s]*(\xff+\xd8\xff|\Z)")


def _nothing_after(data: bytes, end: int, allowed: re.Pattern[bytes] = _PADDING) -> None:
    # A page or a program behind a picture makes one file that is two things (a polyglot). Its pixels would
    # be harmless, but the store keeps the file and others load it from there.
    if not allowed.match(data, end):
        raise BadImage(GOES_ON)


_PNG_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}


def _png(data: bytes) -> Contents:
    kept, at, exif, frames = [data[:8]], 8, b"", 1
    if data[12:16] != b"IHDR":
        raise BadImage(CUT_OFF if len(data) < 16 else DAMAGED)
    for _ in range(MAX_PARTS):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        (stored_sum,) = struct.unpack_from(">I", data, end - 4)
        if kind in _PNG_PIXELS:
            chunk = data[at:end]
            # Pillow does not look at the sums of the pixels' own chunks.
            if zlib.crc32(memoryview(chunk)[4:-4]) != stored_sum:
                raise BadImage(DAMAGED)
            kept.append(chunk)
        elif kind == b"eXIf":
            exif = exif or data[at + 8 : end - 4]
        elif kind == b"acTL":
            (frames,) = struct.unpack_from(">I", data, at + 8)
        at = end
        if kind == b"IEND":
            _nothing_after(data, at)
            return Contents("PNG", b"".join(kept), _orientation(exif), frames, depth=data[24])
    raise BadImage(TOO_MANY)


# Inside a scan, FF 00 is a value and FF D0 to FF D7 are restarts; FF FF is padding.
_JPEG_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
_SOI, _EOI, _SOS, _APP1, _TEM = 0xD8, 0xD9, 0xDA, 0xE1, 0x01
# APP0 (JFIF) and APP14 (Adobe) say how the colours are stored. The others, and comments, only talk.
_JPEG_TALK = {*range(0xE1, 0xEE), 0xEF, 0xFE}


def _jpeg(data: bytes) -> Contents:
    kept, at, exif, scans, tables = [data[:2]], 2, b"", 0, 0
    for _ in range(MAX_PARTS):
        found = _JPEG_MARKER.search(data, at)
        if not found:  # no end marker; whether pixels are missing too is for the decoder to tell
            return Contents("JPEG", b"".join(kept), _orientation(exif))
        start, marker = found.start(), data[found.start() + 1]
        if marker == _EOI:
            _nothing_after(data, start + 2, _PADDING_OR_JPEG)
            return Contents("JPEG", b"".join([*kept, data[start : start + 2]]), _orientation(exif))
        if marker in (_SOI, _TEM):
            at = start + 2
            continue
        at = start + 2 + struct.unpack_from(">H", data, start + 2)[0]
        if at > len(data):
            raise BadImage(CUT_OFF)
        if marker == _SOS:
            scans += 1
            following = _JPEG_MARKER.search(data, at)
            at = following.start() if following else len(data)
        elif marker in _JPEG_TALK:
            if marker == _APP1 and data[start + 4 : start + 10] == b"Exif\0\0":
                exif = exif or data[start + 10 : at]
            continue
        else:
            tables += at - start
        if scans > MAX_SCANS or tables > MAX_TABLES:
            raise BadImage(TOO_MANY)
        kept.append(data[start:at])
    raise BadImage(TOO_MANY)


def _gif(data: bytes) -> Contents:
    def colours(flags: int) -> int:
        return 3 << ((flags & 7) + 1) if flags & 0x80 else 0

    steps = iter(range(MAX_SUB_BLOCKS))
    head = at = 13 + colours(data[10])
    control = first = b""
    frames = 0
    for _ in steps:
        start, kind = at, data[at]
        if kind == 0x3B:
            _nothing_after(data, at + 1)
            if not frames:
                raise BadImage(DAMAGED)
            return Contents("GIF", data[:head] + control + first + b";", frames=frames)
        if kind == 0x21:
            at = _after_sub_blocks(data, at + 2, steps)
            if data[start + 1] == 0xF9 and not frames:  # says which colour of the frame is see-through
                control = data[start:at]
        elif kind == 0x2C:
            at = _after_sub_blocks(data, at + 11 + colours(data[at + 9]), steps)
            first = first or data[start:at]
            frames += 1
        else:
            raise BadImage(DAMAGED)
    raise BadImage(TOO_MANY)


def _after_sub_blocks(data: bytes, at: int, steps: Iterator[int]) -> int:
    for _ in steps:
        size = data[at]
        at += 1 + size
        if not size:
            return at
    raise BadImage(TOO_MANY)


def _webp(data: bytes) -> Contents:
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    if end > len(data):
        raise BadImage(CUT_OFF)
    at, exif, frames = 12, b"", 0
    for _ in range(MAX_PARTS):
        if at + 8 > end:
            _nothing_after(data, end)
            return Contents("WEBP", data[:end], _orientation(exif), max(frames, 1))
        kind, length = struct.unpack_from("<4sI", data, at)
        at += 8
        if kind == b"EXIF":
            exif = exif or data[at : at + length].removeprefix(b"Exif\0\0")
        frames += kind == b"ANMF"
        at += length + length % 2
    raise BadImage(TOO_MANY)


_ASCII = 2
_SHORT = 3
_ORIENTATION = 274
_TEXTS = {34737, 42112, 42113}  # GeoTIFF's names, GDAL's metadata and GDAL's mark of missing values
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 11: 4, 13: 4}  # the other kinds take 8 bytes


def _tiff(data: bytes) -> Contents:
    said, orientation, foreign = 0, 1, []
    for directory, tag, kind, value, size in _tags(data):
        # libtiff copies what each tag points at, and any number of tags may point at the same bytes.
        said += size
        if said > MAX_TAG_BYTES:
            raise BadImage(TOO_MANY)
        if (directory, tag, kind) == (0, _ORIENTATION, _SHORT):
            orientation = _short(data, value)
        elif kind == _ASCII or tag in _TEXTS:
            if not data[value : value + size].isascii():
                foreign.append(slice(value, value + size))
    # A file that is mapped and not held stays as it is: to change it, all of it would have to be copied.
    if foreign and isinstance(data, bytes):
        # GDAL quotes such a text when it complains about it, and rasterio fails to read the complaint.
        readable = bytearray(data)
        for text in foreign:
            readable[text] = re.sub(rb"[\x80-\xff]", b"?", readable[text])
        data = bytes(readable)
    return Contents("TIFF", data, orientation if 1 <= orientation <= 8 else 1)


def _tags(tiff: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """Every tag of a TIFF or BigTIFF: number of its directory, tag, kind, where its value lies, its bytes.

    GDAL follows the whole chain of directories when it opens a file: 100 MB of them take it ten seconds.
    """
    order = _order(tiff)
    big = struct.unpack_from(order + "H", tiff, 2)[0] == 43
    number, entry, word = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
    room = struct.calcsize(word)
    (at,) = struct.unpack_from(order + word, tiff, 8 if big else 4)
    seen: set[int] = set()
    entries = 0
    while at:
        if at in seen or len(seen) == MAX_DIRECTORIES:
            raise BadImage(TOO_MANY)
        (count,) = struct.unpack_from(order + number, tiff, at)
        entries += count
        if entries > MAX_PARTS:
            raise BadImage(TOO_MANY)
        fields = at + struct.calcsize(number)
        for field in range(fields, fields + count * (4 + 2 * room), 4 + 2 * room):
            tag, kind, length = struct.unpack_from(order + entry, tiff, field)
            size, value = length * _WIDTHS.get(kind, 8), field + 4 + room
            if size > room:
                (value,) = struct.unpack_from(order + word, tiff, value)
            yield len(seen), tag, kind, value, size
        seen.add(at)
        (at,) = struct.unpack_from(order + word, tiff, fields + count * (4 + 2 * room))


def _order(tiff: bytes) -> str:
    return "<" if tiff[:2] == b"II" else ">"


def _short(tiff: bytes, at: int) -> int:
    return struct.unpack_from(_order(tiff) + "H", tiff, at)[0]


def _orientation(exif: bytes) -> int:
    """The orientation in EXIF data, which are a small TIFF; 1 where there is none."""
    try:
        for directory, tag, kind, value, _ in _tags(exif):
            if directory:
                break
            if (tag, kind) == (_ORIENTATION, _SHORT):
                found = _short(exif, value)
                return found if 1 <= found <= 8 else 1
    except (BadImage, struct.error, OverflowError):
        pass  # a picture is not refused for what is wrong with the words that come with it
    return 1


_WALKS = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    (re.compile(rb"\xff\xd8\xff"), _jpeg),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), _webp),
    (re.compile(rb"GIF8[79]a"), _gif),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), _tiff),
)
