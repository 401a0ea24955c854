"""The one check that a file named inside a data set really lies in that data set's folder."""

from __future__ import annotations

import os
import re
from pathlib import Path


class PathRefused(ValueError):
    """A name that must not be opened; str(e) is a clause for a person: "'../x' leads out of the folder"."""


def inside(root: str | Path, name: str) -> Path:
    """The regular file `name` (a relative path with "/" between its parts) in the folder `root`.

    Raises PathRefused for what is not a plain relative name (absolute paths, "..", URLs, drive letters,
    backslashes, control characters), for a file that is not there, is not a regular file, or whose real
    path, links followed, is outside `root`. Opens nothing.
    """
    if not isinstance(name, str) or not name:
        raise PathRefused("the file name is missing")
    shown = ascii(name if len(name) <= 200 else name[:200] + "...")
    if not name.isprintable():
        raise PathRefused(f"{shown} holds a character that no file name should")
    # "file:/x" and "C:/x" are caught by the same rule: letters, then a colon, before the first slash.
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", name):
        raise PathRefused(f"{shown} is an address, not a file in the folder")
    if "\\" in name:
        raise PathRefused(f"{shown} holds a backslash")
    if name.startswith("/"):
        raise PathRefused(f"{shown} is an absolute path")
    if ".." in name.split("/"):
        raise PathRefused(f"{shown} leads out of the folder")
    try:
        top = os.path.realpath(root)
        real = os.path.realpath(os.path.join(top, name))
        if os.path.commonpath([top, real]) != top:
            raise PathRefused(f"{shown} is a link that leads out of the folder")
        if not os.path.isfile(real):
            raise PathRefused(f"there is no file {shown}")
    except (OSError, UnicodeError):
        raise PathRefused(f"{shown} cannot be a file name here") from None
    return Path(real)
