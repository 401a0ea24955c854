"""New rows of the record as lines of JSON, and back: what was added since a mark is sent away, and replayed later.

The record is append-only (annotate/migrations.py), so a table's newest row number says all that it holds, and the
index beside the record is made anew by the same triggers. A log is

    {"schema": 5, "from": mark, "to": mark}
    {"table": "flags", "number": 7, "row": {...}}          one line for each new row
    {"rows": 1, "sha256": checksum of all lines above}     last, so that half a log is known as such
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlite_utils import Database

from annotate.migrations import RECORDS, code_version
from annotate.rules import Refused
from annotate.store import Store

Mark = Mapping[str, tuple[int, int]]
"""For each table of the record: the number of its newest row, and how many rows there are."""

# A flag moves its caption forward in the queue, so the caption has to be there first; a deletion takes words away from
# rows that have to be there.
_LAST = ("flags", "deletions")
_ORDER = (*(table for table in RECORDS if table not in _LAST), *_LAST)


class Rewritten(Exception):
    """Rows before the mark are gone or changed places: only a whole copy tells what is there now."""


@dataclass(frozen=True)
class Log:
    """The rows between two marks: the file's bytes, the mark at its end, how many rows, the pictures among them."""

    data: bytes
    end: Mark
    rows: int
    pictures: tuple[str, ...]


def mark_of(db: Database) -> Mark:
    """Where the record stands, inside a transaction."""
    return {
        table: tuple(db.conn.execute(f"SELECT coalesce(max(rowid), 0), count(*) FROM {table}").fetchone())
        for table in _ORDER
    }


def newer(store: Store, mark: Mark) -> int:
    """About how many rows came after `mark`; quick, whatever the database's size."""
    with store.read() as db:
        last = {table: db.conn.execute(f"SELECT max(rowid) FROM {table}").fetchone()[0] for table in _ORDER}
    return sum(max((number or 0) - mark.get(table, (0, 0))[0], 0) for table, number in last.items())


def since(store: Store, mark: Mark) -> Log:
    """Every row that came after `mark`. Raises Rewritten."""
    lines, pictures = [], []
    with store.read() as db:
        end = mark_of(db)
        for table in _ORDER:
            last, there = mark.get(table, (0, 0))
            old = db.conn.execute(f"SELECT count(*) FROM {table} WHERE rowid <= ?", [last]).fetchone()[0]
            if old != there:
                raise Rewritten(table)
            for row in db.query(
                f"SELECT rowid AS _number, * FROM {table} WHERE rowid > ? ORDER BY rowid", [last]
            ):
                number = row.pop("_number")
                lines.append(_line({"table": table, "number": number, "row": row}))
                if table == "pictures":
                    pictures.append(row["file"])
    head = _line({"schema": code_version(), "from": mark, "to": end})
    body = b"".join([head, *lines])
    last_line = _line({"rows": len(lines), "sha256": hashlib.sha256(body).hexdigest()})
    return Log(body + last_line, end, len(lines), tuple(pictures))


def replay(store: Store, data: bytes, name: str = "the log") -> int:
    """Add the rows of a log to the record that it goes on from; how many. All of them or none.

    Raises Refused when the log is not whole, was written by newer code, or goes on from somewhere else.
    """
    lines = data.splitlines(keepends=True)
    try:
        head, rows, last = (
            json.loads(lines[0]),
            [json.loads(line) for line in lines[1:-1]],
            json.loads(lines[-1]),
        )
        whole = (last["rows"], last["sha256"]) == (
            len(rows),
            hashlib.sha256(b"".join(lines[:-1])).hexdigest(),
        )
        schema, begin = int(head["schema"]), _mark(head["from"])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        whole = False
    if not whole:
        raise Refused(f"{name} is damaged, or was not written to its end.")
    if schema > code_version():
        raise Refused(f"{name} was written by a newer TinyRS: update the code.")
    with store.write() as db:
        if begin != {table: mark for table, mark in mark_of(db).items() if table in begin}:
            raise Refused(f"{name} does not go on from what is there.")
        db.conn.execute("PRAGMA defer_foreign_keys = ON")
        known = {table: {column.name for column in db[table].columns} for table in _ORDER}
        for each in rows:
            columns = known.get(each["table"], set())
            if not columns or not columns.issuperset(each["row"]):
                raise Refused(f"{name} holds a row that this TinyRS does not know.")
            names = ", ".join(f'"{column}"' for column in ("rowid", *each["row"]))
            marks = ", ".join("?" * (1 + len(each["row"])))
            values = [each["number"], *each["row"].values()]
            db.conn.execute(f'INSERT INTO "{each["table"]}" ({names}) VALUES ({marks})', values)
    return len(rows)


def _mark(found: Mapping) -> Mark:
    return {table: (int(last), int(rows)) for table, (last, rows) in found.items()}


def _line(value: Mapping) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
