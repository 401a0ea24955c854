"""What captions are imported from -> rows and the pictures that came inside them.

A file of JSON, a folder that Argilla (`Dataset.to_disk`) or `datasets` (`save_to_disk`) wrote, or a data set on the hub
(hf://datasets/OWNER/NAME, a revision after "@"). Pictures that lie inside rows are written to a folder of their own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotate.rules import Refused
from tinyrs.strictjson import load_json

HUB = "hf://datasets/"


@dataclass(frozen=True)
class Opened:
    """rows: a list, if the file is sound; path: what messages call it; name: its name in a few words;
    folder: where pictures that are named lie; pictures: those that came inside the rows, by the name they have there."""

    rows: Any
    path: Path
    name: str
    folder: Path
    pictures: Mapping[str, Path]


@contextmanager
def opened(
    source: str | Path, images: str | Path | None = None, split: str | None = None
) -> Iterator[Opened]:
    """Open `source`; what was written for it is gone afterwards. Raises Refused, BadData."""
    with tempfile.TemporaryDirectory() as scratch:
        kept = _Kept(Path(scratch) / "pictures")
        path, told = Path(source), str(source)
        if told.startswith(HUB):
            rows, told, path = _hub(told, split, Path(scratch), kept)
        elif path.joinpath("records.json").is_file():
            rows = load_json(path / "records.json")
        elif path.is_dir():
            rows = _rows(_on_disk(path, split), kept)
        else:
            rows = load_json(path)
        if isinstance(rows, list):
            rows = [_inside(row, kept) for row in rows]
        folder = Path(images) if images else path if path.is_dir() else path.parent
        name = told if told.startswith(HUB) else path.name
        yield Opened(rows, Path(told) if path.exists() else path, name, folder, kept.files)


class _Kept:
    """Pictures out of rows, as files named by their checksum."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.files = folder, {}
        folder.mkdir()

    def __call__(self, data: bytes) -> str:
        name = hashlib.sha256(data).hexdigest()
        if name not in self.files:
            (self.folder / name).write_bytes(data)
            self.files[name] = self.folder / name
        return name


def _inside(row: Any, kept: _Kept) -> Any:
    """`row` with the pictures that are written into its text (data:image/png;base64,...) as files."""
    if not isinstance(row, Mapping):
        return row
    row = (
        {**row, "fields": _inside(row["fields"], kept)}
        if isinstance(row.get("fields"), Mapping)
        else dict(row)
    )
    for key, value in row.items():
        if isinstance(value, str) and value.startswith("data:image/"):
            try:
                row[key] = kept(base64.b64decode(value.partition(";base64,")[2], validate=True))
            except (binascii.Error, ValueError):
                pass  # what is left of it is no file's name, and the row is refused for that
    return row


# --- datasets -------------------------------------------------------------------------------------------


def _on_disk(folder: Path, split: str | None):
    from datasets import load_from_disk

    if not any(folder.joinpath(name).is_file() for name in ("dataset_dict.json", "state.json")):
        raise Refused(f"{folder} is neither a folder that datasets saved nor one of Argilla's.")
    try:
        return _part(load_from_disk(str(folder)), split, folder)
    except (OSError, ValueError, KeyError, TypeError):
        raise Refused(f"{folder} cannot be read as a data set: it is not whole.") from None


def _hub(source: str, split: str | None, scratch: Path, kept: _Kept) -> tuple[list[dict], str, Path]:
    """Rows, the source with the commit it was read at, and the folder that it was downloaded to."""
    from datasets import load_dataset
    from huggingface_hub import snapshot_download

    name, _, revision = source.removeprefix(HUB).partition("@")
    try:
        folder = snapshot_download(name, repo_type="dataset", revision=revision or None)
    except Exception:  # the hub's library has a class for each way to fail, and httpx more
        raise Refused(
            f"{source} could not be fetched from the hub: look at the name, your connection and, for a private "
            "data set, HF_TOKEN."
        ) from None
    try:
        data = load_dataset(folder, cache_dir=str(scratch / "cache"))
    except Exception:  # files of any kind lie there
        raise Refused(f"{source} holds no table that datasets can read.") from None
    told = f"{HUB}{name}@{Path(folder).name}"
    return _rows(_part(data, split, source), kept), told, Path(folder)


def _part(data, split: str | None, source):
    if not isinstance(data, Mapping):
        if split:
            raise Refused(f"{source} has no parts: leave --split away.")
        return data
    if split is None and len(data) == 1:
        return next(iter(data.values()))
    if split not in data:
        raise Refused(f"{source} has the parts {', '.join(data)}: choose one with --split.")
    return data[split]


def _rows(data, kept: _Kept) -> list[dict]:
    """Rows as JSON would hold them: pictures as files, classes by their names."""
    from datasets import ClassLabel, Image

    names = {key: each for key, each in data.features.items() if isinstance(each, ClassLabel)}
    pictures = [key for key, each in data.features.items() if isinstance(each, Image)]
    for key in pictures:
        data = data.cast_column(key, Image(decode=False))
    rows = []
    for row in data:
        for key in pictures:
            value = row[key] or {}
            row[key] = kept(value["bytes"]) if value.get("bytes") else value.get("path")
        for key, labels in names.items():
            row[key] = None if row[key] is None or row[key] < 0 else labels.int2str(row[key])
        rows.append(row)
    return rows
