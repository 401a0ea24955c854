"""Files that appear under their name whole, or not at all, and that outlive a crash of the machine."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path, first: bool = False) -> Iterator[Path]:
    """A path beside `path`, which nobody else takes, for the block to write to. What lies there at the block's end takes the place
    of `path`, or leaves it to what `first` came there; where the block fails it is deleted, and `path` is what it was. Raises
    OSError."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        sync(part)
        if not (first and _linked(part, path)):
            os.replace(part, path)
        sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write `text` as a file that is whole or what it was. Raises OSError."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def _linked(part: Path, path: Path) -> bool:
    """Whether there is a file at `path`: `part`, or another that was there before; False on a file system without links."""
    try:
        os.link(part, path)
    except FileExistsError:
        pass
    except OSError:
        return False
    return True


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of files, is on the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
