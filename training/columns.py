"""The published GRPO columns: `prompt`, `image`, `solution` = [type, answer, question, base64 of the picture].

A file of rows is .parquet (as on the hub), .json or .jsonl; a folder is all the .parquet files in it. The type of an
answer is "0" open-ended, "1" exact, "2" a box. Pictures that lie inside the file are unpacked, each under its
checksum, into `unpack`; those that are named lie beside the file.

Whatever is wrong is a BadData that names the file and the row.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinyrs.datasets import Scale, answered, picture_size, question_of
from tinyrs.example import Example, Question, Task
from tinyrs.paths import PathRefused, inside
from tinyrs.strictjson import BadData, check_row, load_json

OPEN, EXACT, BOX = "0", "1", "2"


def is_columns(path: str | Path) -> bool:
    """Does `path` hold rows of this layout? Decided by the rows themselves, or by being parquet."""
    path = Path(path)
    if path.is_dir():
        return any(path.rglob("*.parquet")) and not (path / "manifest.json").exists()
    if path.suffix == ".parquet":
        return True
    if path.suffix not in (".json", ".jsonl") or not path.is_file():
        return False
    rows = load_json(path)
    return isinstance(rows, list) and bool(rows) and isinstance(rows[0], dict) and "solution" in rows[0]


def read_columns(path: str | Path, unpack: Path, box_scale: Scale = None) -> list[Example]:
    """The examples in `path`, in order. `box_scale` must say what boxes run to, if there are any."""
    path = Path(path)
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    examples = []
    for file in files:
        for number, row in enumerate(_rows(file), 1):
            try:
                examples.append(_example(row, file, unpack, box_scale))
            except (PathRefused, ValueError) as error:
                raise BadData(f"{file}, row {number}: {error}.") from None
    if not examples:
        raise BadData(f"{path} holds no rows.")
    return examples


def _rows(file: Path) -> Iterator[Any]:
    if file.suffix != ".parquet":
        rows = load_json(file)
        if not isinstance(rows, list):
            raise BadData(f"{file} must hold a list of rows.")
        yield from rows
        return
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(file) as table:
            for batch in table.iter_batches(64):  # pictures lie inside: never all at once
                yield from batch.to_pylist()
    except FileNotFoundError:
        raise BadData(f"There is no file {file}.") from None
    except (pyarrow.ArrowException, OSError):
        raise BadData(f"{file} cannot be read as parquet.") from None


def _example(row: Any, file: Path, unpack: Path, box_scale: Scale) -> Example:
    if not isinstance(row, dict):
        raise ValueError("it is no object")
    solution = row.get("solution")
    if (
        not isinstance(solution, (list, tuple))
        or not 3 <= len(solution) <= 4
        or not all(isinstance(part, str) for part in solution[:3])
    ):
        raise ValueError("its solution must be [type, answer, question, picture]")
    kind, told, asked = solution[:3]
    if kind not in (OPEN, EXACT, BOX):
        raise ValueError(f"its type {kind!r:.20} is unknown; there are 0 (open), 1 (exact) and 2 (box)")
    check_row({"answer": told, "question": asked})
    if not told.strip():
        raise ValueError("its answer is empty")
    picture = _picture(row.get("image"), solution[3] if len(solution) == 4 else None, file, unpack)
    question = _question(kind, (asked.strip() or _asked(row.get("prompt"))).replace("<image>", "").strip())
    size = picture_size(picture)
    return replace(answered(picture, question, told, box_scale, size, file.stem), reasoning="")


def _question(kind: str, text: str) -> Question:
    """The question, with a task that its type of answer allows."""
    question = question_of(text)
    if kind == BOX:
        return replace(question, task=Task.GROUNDING, labels=())
    if kind == OPEN:
        open_ended = question.task in (Task.OPEN, Task.CAPTIONING) and not question.labels
        return question if open_ended else replace(question, task=Task.OPEN, labels=())
    if question.task in (Task.GROUNDING, Task.CAPTIONING) or (
        question.task is Task.OPEN and not question.labels
    ):
        return replace(question, task=Task.VQA)
    return question


def _asked(prompt: Any) -> str:
    """The text of the last message of a conversational prompt."""
    content = prompt[-1].get("content") if isinstance(prompt, list) and prompt else None
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("text")]
        content = texts[-1] if texts else None
    if not isinstance(content, str):
        raise ValueError("it holds no question")
    return content


def _picture(image: Any, encoded: Any, file: Path, unpack: Path) -> Path:
    if isinstance(image, str) and image:
        return inside(file.parent, image)
    data = image.get("bytes") if isinstance(image, dict) else None
    if data is None and isinstance(image, dict) and image.get("path"):
        return inside(file.parent, image["path"])
    if not isinstance(data, bytes):
        if not isinstance(encoded, str) or not encoded:
            raise ValueError("it holds no picture")
        try:
            data = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("its picture is no base64") from None
    # The name says nothing of the format: pictures are opened by what they hold.
    target = unpack / f"{hashlib.sha256(data).hexdigest()}.jpg"
    if not target.is_file():
        unpack.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return target
