"""Values of the house -> rows of the store, and back."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlite_utils import Database

from annotate import rules
from annotate.rules import NotFound
from tinyrs.example import Answer, Question, Task

if TYPE_CHECKING:
    from tinyrs.image import Picture


@dataclass(frozen=True)
class Side:
    """One model's part in a run: what it answered and what that cost.

    model        name in the model table, folder, hub id or url as the person chose it
    answer       the text taken apart (Answer("") when the side failed at once)
    tokens       tokens written;  first_token, seconds: until the first (None: never) and the last one
    error        the fixed sentence shown when this side failed, else ""
    """

    model: str
    answer: Answer
    tokens: int = 0
    first_token: float | None = None
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class NewCaption:
    """A caption to be reviewed, as `add_captions` takes it.

    picture     sha256 of a picture in the store
    reasoning   "" for a caption without
    author      a person, or "import:..." or "model:..." for text that no person wrote
    source      where it came from, in a few words
    given       the data set's own answer, "" when it has none: checks and scores compare with it
    why         what was found wrong with it before it came here, one reason a line
    """

    picture: str
    question: Question
    reasoning: str
    answer: str
    author: str
    source: str = ""
    given: str = ""
    why: str = ""


def to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def digest(value: object) -> str:
    return hashlib.sha256(to_json(value).encode()).hexdigest()


def insert(db: Database, table: str, row: Mapping[str, object], unless: str = "") -> int:
    columns, marks = ", ".join(row), ", ".join("?" * len(row))
    sql = f"INSERT INTO {table} ({columns}) VALUES ({marks}) {unless}"
    return db.conn.execute(sql, list(row.values())).lastrowid


def row_of(db: Database, sql: str, key: object, what: str) -> dict:
    # Keys come from the page's address and from hidden fields: any string, any number.
    usable = key.isascii() if isinstance(key, str) else isinstance(key, int) and 0 < key < 2**63
    rows = list(db.query(sql, [key])) if usable else []
    if not rows:
        raise NotFound(f"There is no such {what}.")
    return rows[0]


def exists(db: Database, table: str, column: str, key: object, what: str) -> None:
    row_of(db, f"SELECT 1 FROM {table} WHERE {column} = ?", key, what)


def question_in(row: Mapping) -> Question:
    return Question(row["question"], Task(row["task"]), tuple(json.loads(row["labels"])))


def ask(row: dict) -> None:
    row["question"] = question_in(row)
    del row["task"], row["labels"]


def question_of(db: Database, caption: int) -> Question:
    return question_in(
        row_of(db, "SELECT question, task, labels FROM captions WHERE id = ?", caption, "caption")
    )


def revision_row(db: Database, revision: int) -> dict:
    row = row_of(db, "SELECT * FROM revisions WHERE id = ?", revision, "revision")
    row["boxes"] = rules.boxes_from_json(row["boxes"])
    return row


def head_of(db: Database, caption: int) -> dict:
    sql = "SELECT r.* FROM heads h JOIN revisions r ON r.id = h.revision WHERE h.caption = ?"
    row = row_of(db, sql, caption, "caption")
    row["boxes"] = rules.boxes_from_json(row["boxes"])
    return row


def caption_row(db: Database, caption: int) -> dict:
    row = row_of(
        db,
        "SELECT c.*, h.state FROM captions c JOIN heads h ON h.caption = c.id WHERE c.id = ?",
        caption,
        "caption",
    )
    ask(row)
    del row["key"], row["rank"]
    row["flags"] = [
        flag_in(f) for f in db.query("SELECT * FROM standing_flags WHERE caption = ? ORDER BY id", [caption])
    ]
    row["revision"] = head_of(db, caption)
    given = db.conn.execute("SELECT answer FROM given_answers WHERE caption = ?", [caption]).fetchone()
    row["given"] = given[0] if given else ""
    return row


def flag_in(row: dict) -> dict:
    row.pop("holder")
    return {**row, "reasons": tuple(json.loads(row["reasons"]))}


def wrote(db: Database, revision: Mapping, author: str) -> bool:
    """Did `author` write this text, in this revision or in one that an undo went back to?"""
    sql = "SELECT author FROM revisions WHERE caption = ? AND reasoning = ? AND answer = ?"
    rows = db.conn.execute(sql, [revision["caption"], revision["reasoning"], revision["answer"]])
    return any(rules.same_person(other, author) for (other,) in rows)


def clean(new: NewCaption) -> NewCaption:
    author = new.author
    author = rules.text(author, "name") if author.startswith(rules.MACHINES) else rules.person(author)
    return NewCaption(
        new.picture,
        rules.question(new.question),
        rules.text(new.reasoning, "reasoning"),
        rules.text(new.answer, "answer", empty=False),
        author,
        rules.text(new.source, "source", limit="note"),
        rules.text(new.given, "given answer", limit="answer"),
        rules.text(new.why, "reason", limit="note"),
    )


def picture_row(picture: Picture, file: str, size: int) -> dict:
    return {
        "sha256": picture.sha256,
        "width": picture.width,
        "height": picture.height,
        "format": picture.format,
        "file": file,
        "bytes": size,
        "notes": to_json(picture.notes),
        "crs": picture.geo and picture.geo.crs,
        "transform": picture.geo and to_json(picture.geo.transform),
    }


def side_row(side: Side) -> dict:
    answer = side.answer
    first = side.first_token
    return {
        "model": rules.model_text(side.model),
        "raw": rules.model_text(answer.raw),
        "reasoning": to_json([rules.model_text(step) for step in answer.reasoning]),
        "answer": rules.model_text(answer.text),
        "boxes": rules.boxes_to_json(answer.boxes),
        "reasoning_boxes": rules.boxes_to_json(answer.reasoning_boxes),
        "well_formed": bool(answer.well_formed),
        "truncated": bool(answer.truncated),
        "problems": to_json([rules.model_text(problem) for problem in answer.problems]),
        "tokens": int(side.tokens),
        "first_token": first if first is not None and math.isfinite(first) else None,
        "seconds": side.seconds if math.isfinite(side.seconds) else 0.0,
        "error": rules.model_text(side.error),
    }


def side_in(row: Mapping) -> Side:
    answer = Answer(
        row["raw"],
        row["answer"],
        tuple(json.loads(row["reasoning"])),
        rules.boxes_from_json(row["boxes"]),
        rules.boxes_from_json(row["reasoning_boxes"]),
        bool(row["well_formed"]),
        bool(row["truncated"]),
        tuple(json.loads(row["problems"])),
    )
    return Side(row["model"], answer, row["tokens"], row["first_token"], row["seconds"], row["error"])
