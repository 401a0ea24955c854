"""Pictures, and the stored comparisons about them with their votes: the part of the store that visitors fill, and may
take back."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from annotate import rules
from annotate.connection import Connection, same_bytes, write_file
from annotate.rows import Side, ask, exists, flag_in, insert, picture_row, row_of, side_in, side_row, to_json
from annotate.rules import VOTED_ON, VOTES_A_MINUTE, NotFound, Refused, TooFast
from tinyrs.example import Question

if TYPE_CHECKING:
    from tinyrs.image import Picture

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "GIF": ".gif"}


class Runs(Connection):
    """The database at `path` with its runs, and the pictures beside it; see Store, which knows the rest."""

    def __init__(self, path: str | Path, *, create: bool = True, clock: Callable[[], float] = time.time):
        super().__init__(path, create=create, clock=clock)
        self.pictures = self.path.parent / "pictures"

    # --- pictures ---------------------------------------------------------------------------------------

    def add_picture(self, picture: Picture, data: bytes) -> str:
        """Keep the file `data` that `picture` was opened from; returns its sha256. Twice is once."""
        self.add_pictures([(picture, data)])
        return picture.sha256

    def add_pictures(self, pictures: Iterable[tuple[Picture, bytes]]) -> None:
        """Keep many pictures; only one's bytes are held at a time. Raises Refused, StoreFull, StoreError."""
        rows = []
        # First the files, then the rows: a crash in between leaves files without rows, never the reverse.
        for picture, data in pictures:
            if hashlib.sha256(data).hexdigest() != picture.sha256:
                raise Refused("The picture and its file do not belong together.")
            file = picture.sha256 + SUFFIXES.get(picture.format, ".bin")
            if not same_bytes(self.pictures / file, data):
                write_file(self.pictures / file, data)
            rows.append(picture_row(picture, file, len(data)))
        with self.write() as db:
            for row in rows:
                insert(db, "pictures", {**row, "created_at": self.now()}, "ON CONFLICT (sha256) DO NOTHING")

    def picture(self, sha256: str) -> dict:
        """{"sha256", "width", "height", "format", "file", "bytes", "notes", "crs", "transform"}.

        crs and transform are None without a georeference. Raises NotFound.
        """
        row = self._one("SELECT * FROM pictures WHERE sha256 = ?", sha256, "picture")
        row["notes"] = tuple(json.loads(row["notes"]))
        row["transform"] = row["transform"] and tuple(json.loads(row["transform"]))
        return row

    def picture_path(self, sha256: str) -> Path:
        """Where the file as uploaded lies. Raises NotFound."""
        path = self.pictures / self.picture(sha256)["file"]
        if not path.is_file():
            raise NotFound(f"The file of picture {sha256[:12]} is missing beside the database.")
        return path

    # --- runs: stored comparisons -----------------------------------------------------------------------

    def add_run(
        self,
        picture: str,
        question: Question,
        sides: Mapping[str, Side],
        *,
        author: str = "",
        holder: str = "",
        max_pixels: int | None = None,
    ) -> str:
        """Store one comparison; returns its unguessable id, used in the permalink ?record=<id>.

        `picture` is the sha256 of a stored one, `sides` maps "A", "B" to what each model answered, `holder` is who
        may delete it (see `delete_held`), `max_pixels` the area that the models were allowed to see, None their own.
        Raises NotFound, Refused.
        """
        question = rules.question(question)
        author = rules.person(author) if author else ""
        if not sides or not all(re.fullmatch(r"\w{1,20}", name) for name in sides):
            raise Refused("A run needs at least one side, each with a short name.")
        if "tie" in sides or "neither" in sides:
            raise Refused('A side cannot be called "tie" or "neither".')
        run = secrets.token_urlsafe(16)
        with self.write() as db:
            exists(db, "pictures", "sha256", picture, "picture")
            asked = [question.text, question.task.value, to_json(question.labels)]
            db.conn.execute(
                "INSERT INTO runs (id, picture, question, task, labels, author, holder, max_pixels, created_at)"
                " VALUES (?,?,?,?,?,?,?,?,?)",
                [run, picture, *asked, author, holder, max_pixels, self.now()],
            )
            for name, side in sides.items():
                insert(db, "sides", {"run": run, "side": name, **side_row(side)})
        return run

    def run(self, run: str) -> dict:
        """The run with everything that was said about it. Raises NotFound.

        {"id", "picture": sha256, "question": Question, "author", "max_pixels", "created_at", "sides": {"A": Side, ...},
        "flags": [{"id", "run", "side", "reasons": tuple, "note", "author", "caption", "created_at"}, ...],
        "votes": {"A": 2, "tie": 1}} (the last vote of each author on the answer; annotate/votes.py counts them all).
        """
        with self.read() as db:
            row = row_of(db, "SELECT * FROM standing_runs WHERE id = ?", run, "run")
            sides = list(db.query("SELECT * FROM sides WHERE run = ? ORDER BY id", [run]))
            flags = list(db.query("SELECT * FROM standing_flags WHERE run = ? ORDER BY id", [run]))
            votes = db.conn.execute(
                "SELECT choice, count(*) FROM votes WHERE id IN"
                " (SELECT max(id) FROM standing_votes WHERE run = ? AND about = 'answer' GROUP BY author) GROUP BY choice ORDER BY choice",
                [run],
            ).fetchall()
        del row["number"], row["holder"]
        ask(row)
        row["sides"] = {side["side"]: side_in(side) for side in sides}
        row["flags"] = [flag_in(flag) for flag in flags]
        row["votes"] = dict(votes)
        return row

    def has_run(self, run: str) -> bool:
        """Whether a run of that id is there, and was not deleted."""
        with self.read() as db:
            return bool(db.conn.execute("SELECT 1 FROM standing_runs WHERE id = ?", [run]).fetchone())

    def runs(self, limit: int = 50) -> list[str]:
        """The ids of the newest runs, newest first."""
        with self.read() as db:
            rows = db.conn.execute(
                "SELECT id FROM standing_runs ORDER BY number DESC LIMIT ?", [int(limit)]
            ).fetchall()
        return [run for (run,) in rows]

    # --- votes, and taking back --------------------------------------------------------------------------

    def add_vote(
        self,
        run: str,
        choice: str,
        *,
        author: str,
        about: str = "answer",
        blind: bool = False,
        holder: str = "",
    ) -> int:
        """Which side was better: its name, "tie" or "neither" (both are bad). Of an author's votes the last counts.

        `about` is the "answer" or the "reasoning"; `blind`: the models' names were hidden. Raises Refused, NotFound,
        TooFast.
        """
        author = rules.person(author)
        if about not in VOTED_ON:
            raise Refused("A vote is about the answer or the reasoning.")
        with self.write() as db:
            recent = db.conn.execute(
                "SELECT count(*) FROM votes WHERE author = ? AND created_at > ?", [author, self.now(-60)]
            ).fetchone()[0]
            if recent >= VOTES_A_MINUTE:
                raise TooFast(f"You have given {VOTES_A_MINUTE} votes within a minute: please wait a little.")
            exists(db, "standing_runs", "id", run, "run")
            sides = {name for (name,) in db.conn.execute("SELECT side FROM sides WHERE run = ?", [run])}
            if choice not in sides | {"tie", "neither"}:
                raise Refused("Vote for one of the sides, tie or neither.")
            vote = {"run": run, "choice": choice, "author": author, "about": about, "blind": int(blind)}
            vote["holder"] = holder
            return insert(db, "votes", {**vote, "created_at": self.now()})

    def held(self, holder: str) -> dict[str, int]:
        """How many runs, flags and votes of this holder there are: {"runs": 2, "flags": 1, "votes": 0}."""
        with self.read() as db:
            return {
                table: db.conn.execute(
                    f"SELECT count(*) FROM standing_{table} WHERE holder = ? AND holder <> ''", [holder]
                ).fetchone()[0]
                for table in ("runs", "flags", "votes")
            }

    def delete_held(self, holder: str) -> dict[str, int]:
        """Take back everything that this holder stored; what it was, as in `held`.

        The rows stay and say that something was deleted, their words go: questions, answers, notes, names, and the
        captions that came from nobody else's flag, which no queue and no export knows any more. A picture's file goes
        where no other run or caption needs it. What others said of a deleted run is not counted either.
        """
        found = self.held(holder)
        with self.write() as db:
            for table in ("runs", "flags", "votes"):
                db.conn.execute(
                    f"INSERT INTO deletions ({table[:-1]}, created_at)"
                    f" SELECT id, ? FROM standing_{table} WHERE holder = ? AND holder <> ''",
                    [self.now(), holder],
                )
        self._clear_pictures()
        return found

    def delete_run(self, run: str) -> dict[str, int]:
        """Take back one run with all that was said about it, whoever stored it: what an operator may do. What went, as
        in `held`; what becomes of the rows, as in `delete_held`. Raises NotFound.
        """
        with self.write() as db:
            exists(db, "standing_runs", "id", run, "run")
            said = {
                table: db.conn.execute(f"SELECT count(*) FROM standing_{table} WHERE run = ?", [run]).fetchone()[0]
                for table in ("flags", "votes")
            }
            insert(db, "deletions", {"run": run, "created_at": self.now()})
        self._clear_pictures()
        return {"runs": 1, **said}

    def _clear_pictures(self) -> None:
        """Remove the files that nothing needs any more; those of an earlier deletion that was cut off, too."""
        with self.write() as db:
            for (file,) in db.conn.execute("SELECT file FROM gone_pictures").fetchall():
                (self.pictures / file).unlink(missing_ok=True)

    def _one(self, sql: str, key: object, what: str) -> dict:
        with self.read() as db:
            return row_of(db, sql, key, what)
