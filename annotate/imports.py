"""Rows in VHM's layout -> captions to be reviewed.

    python -m annotate import FILE

All rows are checked before the first is added, and the same file twice adds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from annotate.rows import clean
from annotate.rules import Refused
from annotate.store import NewCaption, Store
from tinyrs.datasets import read_vhm
from tinyrs.example import BOX_SCALE, Example
from tinyrs.image import BadImage, GeoReference, open_picture
from tinyrs.strictjson import BadData, load_json, row_name


@dataclass(frozen=True)
class Seen:
    """A picture that was opened, without its pixels: a data set's would not fit into memory."""

    sha256: str
    width: int
    height: int
    format: str
    notes: tuple[str, ...]
    geo: GeoReference | None


@dataclass(frozen=True)
class Imported:
    """What an import did: rows in the file, captions that were new, different pictures among them."""

    rows: int
    added: int
    pictures: int


def import_vhm(
    store: Store,
    file: str | Path,
    *,
    images: str | Path | None = None,
    box_scale: float | str = BOX_SCALE,
) -> Imported:
    """Add the rows of `file` as captions. Pictures lie under `images` (default: the folder of the file).

    A conversation of several turns gives a caption for each; "why" in a row, what is known to be wrong with it,
    goes into the queue with it. `box_scale` is what the file's boxes run to (a number or "pixels"); captions
    are written on 0..1000. Raises Refused with the row for whatever cannot be read, a picture outside the
    folder among it; then nothing was added.
    """
    file = Path(file)
    try:
        rows = load_json(file)
        examples = read_vhm(file, Path(images) if images else None, box_scale, rows=rows)
    except BadData as problem:
        raise Refused(str(problem)) from None
    numbers = [i for i, row in enumerate(rows) for _ in range(0, len(row["conversations"]), 2)]
    author = f"import:{file.name}"[:100]
    seen: dict[Path, Seen] = {}
    captions = []
    for number, example in zip(numbers, examples, strict=True):
        try:
            if example.picture not in seen:
                seen[example.picture] = look(example.picture)
            caption = _caption(example, seen[example.picture].sha256, author, file.name)
            captions.append(clean(replace(caption, why=rows[number].get("why", ""))))
        except (BadImage, Refused) as problem:
            raise Refused(f"{row_name(file, number)}: {problem}") from None
    store.add_pictures((picture, path.read_bytes()) for path, picture in seen.items())
    added = store.add_captions(captions)[1]
    return Imported(len(rows), added, len({picture.sha256 for picture in seen.values()}))


def look(path: Path) -> Seen:
    """What the store keeps of a picture. Raises BadImage."""
    picture = open_picture(path)
    return Seen(picture.sha256, picture.width, picture.height, picture.format, picture.notes, picture.geo)


def _caption(example: Example, sha256: str, author: str, source: str) -> NewCaption:
    return NewCaption(sha256, example.question, example.reasoning, example.answer, author, source)
