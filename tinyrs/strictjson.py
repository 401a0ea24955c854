"""Files of rows as JSON, read strictly: what is wrong is said once, with the file, the row and the line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tinyrs.example import Example
from tinyrs.paths import PathRefused

LONGEST_TEXT = 100_000
"""No text of a row may be longer, in characters: a caption has a few thousand."""


class BadData(ValueError):
    """A data set that cannot be used; str(e) is one sentence that names the file and the row."""


def load_json(path: Path) -> Any:
    """What the JSON file `path` holds; a .jsonl file gives a list. Strict: no NaN, no bad UTF-8."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise BadData(f"There is no file {path}.") from None
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}.") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadData(
            f"{path} is not UTF-8 text: line {line} holds the byte 0x{data[error.start]:02x}."
        ) from None
    if str(path).endswith(".jsonl"):
        return [
            _decoded(path, line, number) for number, line in enumerate(text.splitlines(), 1) if line.strip()
        ]
    return _decoded(path, text, 1)


def _decoded(path: Path, text: str, first_line: int) -> Any:
    def refuse(word: str):
        raise BadData(f"{path} holds {word}, which is no JSON number.")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        if not text.strip():
            raise BadData(f"{path} is empty.") from None
        ends = error.pos >= len(text.rstrip()) - 1 or error.msg.startswith("Unterminated")
        cut = " (is it only half written?)" if ends else ""
        raise BadData(f"{path} is no JSON: line {line}, column {error.colno}: {error.msg}{cut}.") from None
    except RecursionError:
        raise BadData(f"{path} is nested too deeply.") from None


def row_name(path: Path, index: int) -> str:
    """How messages call row `index` (from 0) of `path`: "x.json, row 3 (line 41)"."""
    name = f"{path}, row {index + 1}"
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        if str(path).endswith(".jsonl"):
            lines = [number for number, line in enumerate(text.splitlines(), 1) if line.strip()]
            return f"{name} (line {lines[index]})"
        at = text.index("[") + 1
        decoder = json.JSONDecoder()
        skip = re.compile(r"[\s,]*")
        for _ in range(index):
            at = decoder.raw_decode(text, skip.match(text, at).end())[1]
        at = skip.match(text, at).end()
        return f"{name} (line {text.count(chr(10), 0, at) + 1})"
    except (OSError, ValueError, IndexError):
        return name


_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")
"""NUL, and halves of surrogate pairs."""


def check_row(row: Any) -> dict:
    """`row` if it is an object whose texts are sane; ValueError with a clause otherwise."""
    if not isinstance(row, dict):
        raise ValueError("it is no JSON object")
    for name, text in _texts(row):
        if len(text) > LONGEST_TEXT:
            raise ValueError(f"its {name} is {len(text):,} characters long; the limit is {LONGEST_TEXT:,}")
        if _NO_TEXT.search(text):
            raise ValueError(f"its {name} holds a character that no text should")
    return row


def _texts(value: Any, name: str = "text", depth: int = 0) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif depth > 20:
        raise ValueError("it is nested too deeply")
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield "key", key
            yield from _texts(inner, str(key)[:40], depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, name, depth + 1)


def each_row(path: Path, rows: Any, read: Callable[[dict], list[Example]]) -> list[Example]:
    """`read` over `rows` of `path`; what is wrong with one is raised as BadData that names it."""
    if not isinstance(rows, list):
        raise BadData(f"{path} must hold a list of rows.")
    if not rows:
        raise BadData(f"{path} holds no rows.")
    examples, seen = [], {}
    for index, row in enumerate(rows):
        try:
            check_row(row)
            key = row.get("id", row.get("question_id"))
            if key is not None and str(key) in seen:
                raise ValueError(f"its id {key!r} is that of row {seen[str(key)] + 1}")
            if key is not None:
                seen[str(key)] = index
            examples.extend(read(row))
        except (PathRefused, ValueError) as error:
            raise BadData(f"{row_name(path, index)}: {error}.") from None
    return examples
