"""Rows of a file, a folder or the hub -> captions to be reviewed.

    python -m annotate import FILE

VHM's layout, Label Studio's and Argilla's exports, and tables of `datasets` (annotate/tables.py, annotate/foreign.py).
All rows are checked before the first is added, and the same file twice adds nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from annotate.foreign import Names, Told, told_by
from annotate.rows import clean
from annotate.rules import Refused
from annotate.store import NewCaption, Store
from annotate.tables import Opened, opened
from tinyrs.datasets import answered, question_of, vhm_row
from tinyrs.example import BOX_SCALE, Example
from tinyrs.image import BadImage, GeoReference, open_picture
from tinyrs.paths import PathRefused, inside
from tinyrs.prompt import target
from tinyrs.strictjson import BadData, each_row

_AT_ONCE = 1000  # captions between two moves of the bar


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
    """What an import did: rows in the file, captions that were new, different pictures among them, and rows that
    hold no answer yet."""

    rows: int
    added: int
    pictures: int
    unanswered: int = 0


def import_captions(
    store: Store,
    source: str | Path,
    *,
    images: str | Path | None = None,
    box_scale: float | str = BOX_SCALE,
    names: Names = Names(),
    split: str | None = None,
    quiet: bool = True,
) -> Imported:
    """Add the rows of `source` as captions. Pictures lie under `images` (default: the folder of the file).

    A conversation of several turns gives a caption for each; "why" in a row of VHM's layout, what is known to be
    wrong with it, goes into the queue with it. `box_scale` is what the boxes in the file's texts run to (a number or
    "pixels"); captions are written on 0..1000. `names` says which columns of a foreign file hold what, `split`
    which part of a data set is meant. Raises Refused with the row for whatever cannot be read, a picture outside
    the folder among it; then nothing was added.
    """
    from tqdm import tqdm

    bar = {"disable": quiet or not sys.stderr.isatty(), "leave": False}
    try:
        with opened(source, images, split) as data:
            read = _Reader(data, box_scale, names)
            count = len(data.rows) if isinstance(data.rows, list) else 0
            with tqdm(total=count, desc="reading", unit="row", **bar) as read.bar:
                captions = each_row(data.path, data.rows, read)
            if not captions:
                raise Refused(f"{data.path} holds no answer to a question about a picture.")
            pictures = tqdm(read.seen.items(), "pictures", unit="picture", **bar)
            store.add_pictures((picture, path.read_bytes()) for path, picture in pictures)
    except BadData as problem:
        raise Refused(str(problem)) from None
    added = 0
    with tqdm(total=len(captions), desc="adding", unit="caption", **bar) as moved:
        for start in range(0, len(captions), _AT_ONCE):
            some = captions[start : start + _AT_ONCE]
            added += store.add_captions(some)[1]
            moved.update(len(some))
    return Imported(count, added, len({seen.sha256 for seen in read.seen.values()}), read.unanswered)


class _Reader:
    """Row -> captions; what is wrong with it is a ValueError."""

    def __init__(self, data: Opened, box_scale: float | str, names: Names) -> None:
        self.data, self.box_scale, self.names = data, box_scale, names
        self.author = f"import:{data.name}"[:100]
        self.seen: dict[Path, Seen] = {}
        self.unanswered = 0

    def __call__(self, row: Mapping[str, Any]) -> list[NewCaption]:
        self.bar.update()
        try:
            if "conversations" in row:
                found = vhm_row(row, self._folder(row), self.box_scale, self.data.name)
            else:
                found = [self._example(told) for told in told_by(row, self.names)]
            self.unanswered += not found
            return [self._caption(example, row) for example in found]
        except (BadImage, Refused) as problem:
            raise ValueError(str(problem).rstrip(".")) from None

    def _folder(self, row: Mapping) -> Path:
        name = row.get("image")
        kept = self.data.pictures.get(name) if isinstance(name, str) else None
        return kept.parent if kept else self.data.folder

    def _example(self, told: Told) -> Example:
        picture = self._file(told.pictures)
        question = question_of(told.question, told.task)
        question = replace(question, labels=told.labels or question.labels)
        text = target(told.reasoning, told.answer) if told.reasoning else told.answer
        seen = self._look(picture)
        scale = BOX_SCALE if told.ours else self.box_scale
        return answered(picture, question, text, scale, (seen.width, seen.height), self.data.name)

    def _file(self, names: tuple[str, ...]) -> Path:
        refusals = []
        for name in names:
            if name in self.data.pictures:
                return self.data.pictures[name]
            try:
                return inside(self.data.folder, name)
            except PathRefused as refusal:
                refusals.append(refusal)
        raise refusals[0]

    def _look(self, path: Path) -> Seen:
        if path not in self.seen:
            self.seen[path] = look(path)
        return self.seen[path]

    def _caption(self, example: Example, row: Mapping) -> NewCaption:
        picture = self._look(example.picture).sha256
        why = row.get("why", "") if "conversations" in row else ""
        new = NewCaption(
            picture, example.question, example.reasoning, example.answer, self.author, self.data.name, why=why
        )
        return clean(new)


def look(path: Path) -> Seen:
    """What the store keeps of a picture. Raises BadImage."""
    picture = open_picture(path)
    return Seen(picture.sha256, picture.width, picture.height, picture.format, picture.notes, picture.geo)
