"""The record of what was asked, answered, flagged, corrected, reviewed and exported: one SQLite file.

Append-only: rows are added, never changed, so history and undo come for free. Pictures lie beside the
database in `pictures/`, named by their sha256. Whatever goes wrong is a StoreError whose text is one sentence
for the person who tried; what was acknowledged before stays.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlite_utils import Database

from annotate import rules, signals
from annotate.connection import Connection, same_bytes, write_file
from annotate.migrations import code_version
from annotate.rows import (
    NewCaption,
    Side,
    ask,
    caption_row,
    clean,
    digest,
    exists,
    flag_in,
    head_of,
    insert,
    picture_row,
    question_in,
    question_of,
    revision_row,
    row_of,
    side_in,
    side_row,
    to_json,
    wrote,
)
from annotate.rules import (
    FLAGS_A_MINUTE,
    REASONS,
    VERDICTS,
    VOTED_ON,
    VOTES_A_MINUTE,
    Conflict,
    NotFound,
    Refused,
    StoreBusy,
    StoreError,
    StoreFull,
    TooFast,
    caption_problems,
)
from tinyrs.example import Box, Question, Task
from tinyrs.parse import format_boxes

if TYPE_CHECKING:
    from tinyrs.image import Picture

__all__ = [
    "REASONS",
    "VERDICTS",
    "Conflict",
    "NewCaption",
    "NotFound",
    "Refused",
    "Side",
    "Store",
    "StoreBusy",
    "StoreError",
    "StoreFull",
    "TooFast",
    "caption_problems",
]

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "GIF": ".gif"}
_AT_ONCE = 1000  # captions added in one transaction: others get their turn in between


class Store(Connection):
    """The database at `path`, brought to the newest schema, or created.

    One Store may be used from many threads, and many processes may each open their own on the same file, but
    none may be carried into a forked process. `self_review` allows people to accept what they wrote
    themselves (a laptop with one user); such reviews are recorded as self-reviewed and exports count them.
    `create=False` refuses a path where no database is; `clock` gives seconds since 1970.
    Raises StoreError for a newer database, a foreign one, or a file that is none.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        create: bool = True,
        self_review: bool = False,
        clock: Callable[[], float] = time.time,
    ):
        super().__init__(path, create=create, clock=clock)
        self.pictures = self.path.parent / "pictures"
        self.self_review = self_review

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

    def add_flag(
        self, run: str, side: str, reasons: Sequence[str], note: str = "", *, author: str, holder: str = ""
    ) -> int:
        """Say what is wrong in one side's answer; returns the flag's id.

        The answer goes into the queue as a caption, first in line (nothing does when the side has no text).
        `author` is also what the limit of 10 flags a minute counts: for a visitor without a name pass
        something that the visitor cannot choose. Raises Refused, NotFound, TooFast.
        """
        reasons, note, author = rules.reasons(reasons), rules.text(note, "note"), rules.person(author)
        with self.write() as db:
            recent = db.conn.execute(
                "SELECT count(*) FROM flags WHERE author = ? AND created_at > ?", [author, self.now(-60)]
            ).fetchone()[0]
            if recent >= FLAGS_A_MINUTE:
                raise TooFast(f"You have sent {FLAGS_A_MINUTE} flags within a minute: please wait a little.")
            row = row_of(db, "SELECT * FROM standing_runs WHERE id = ?", run, "run")
            sides = list(db.query("SELECT * FROM sides WHERE run = ? AND side = ?", [run, side]))
            if not sides:
                raise NotFound("This run has no such side.")
            flag = {"run": run, "side": side, "reasons": to_json(reasons), "note": note, "author": author}
            flag["holder"] = holder
            others = db.query("SELECT * FROM sides WHERE run = ? AND side <> ? ORDER BY id", [run, side])
            caption = self._flagged(db, row, sides[0], next(iter(others), None), ", ".join(reasons))
            return insert(db, "flags", {**flag, "caption": caption, "created_at": self.now()})

    def _flagged(self, db: Database, run: dict, row: dict, other: dict | None, flagged: str) -> int | None:
        side = side_in(row)
        question = question_in(run)
        answer = side.answer.text
        # Another dialect's boxes are written in ours: that is what is annotated, exported and trained on.
        if question.task is Task.GROUNDING and side.answer.boxes:
            answer = format_boxes(side.answer.boxes)
        reasoning = rules.reasoning_text(side.answer)
        if not (answer or reasoning):
            return None
        new = NewCaption(
            run["picture"],
            question,
            reasoning,
            answer,
            rules.machine(side.model),
            f"run {run['id']} {row['side']}",
        )
        found = signals.signs(
            question, reasoning, answer, other=other and side_in(other).answer, flagged=flagged
        )
        return self._add_caption(db, new, found, run=run["id"], side=row["side"])[0]

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

    # --- captions and their revisions -------------------------------------------------------------------

    def add_captions(self, captions: Iterable[NewCaption]) -> tuple[list[int], int]:
        """Add captions; returns their ids, in order, and how many were new.

        A caption with the picture, question and text of an existing one is that one, so the same import
        twice adds nothing. Saved in transactions of 1000. Raises Refused, NotFound.
        """
        ids: list[int] = []
        new = 0
        captions = [clean(caption) for caption in captions]
        for start in range(0, len(captions), _AT_ONCE):
            some = captions[start : start + _AT_ONCE]
            # Before the transaction: reading texts takes longer than writing them.
            signs = [
                signals.signs(c.question, c.reasoning, c.answer, given=c.given, known=c.why) for c in some
            ]
            with self.write() as db:
                for caption, seen in zip(some, signs, strict=True):
                    found, added = self._add_caption(db, caption, seen)
                    ids.append(found)
                    new += added
        return ids, new

    def _add_caption(
        self,
        db: Database,
        new: NewCaption,
        signs: list[signals.Sign],
        *,
        run: str | None = None,
        side: str | None = None,
    ) -> tuple[int, bool]:
        asked = [new.question.text, new.question.task.value, to_json(new.question.labels)]
        key = digest([new.picture, *asked, new.reasoning, new.answer])
        found = db.conn.execute("SELECT id FROM captions WHERE key = ?", [key]).fetchone()
        if found:
            return found[0], False
        exists(db, "pictures", "sha256", new.picture, "picture")
        columns = dict(zip(("question", "task", "labels"), asked, strict=True))
        columns |= {"key": key, "picture": new.picture, "source": new.source, "run": run, "side": side}
        columns |= {"rank": signals.rank(signs), "why": signals.why(signs), "created_at": self.now()}
        caption = insert(db, "captions", columns)
        if new.given:
            told = {"caption": caption, "answer": new.given, "created_at": self.now()}
            insert(db, "given_answers", told)
        self._add_revision(db, caption, None, new.reasoning, new.answer, new.author)
        return caption, True

    def _add_revision(
        self,
        db: Database,
        caption: int,
        parent: int | None,
        reasoning: str,
        answer: str,
        author: str,
        note: str = "",
        restores: int | None = None,
    ) -> int:
        """One guarded insert: adds nothing when `parent` already has a successor. Raises Conflict then."""
        boxes = rules.boxes_to_json(rules.answer_boxes(reasoning, answer))
        if parent is not None:
            head_of(db, caption)  # one that was deleted has none
        added = db.conn.execute(
            """INSERT INTO revisions
                (caption, parent, restores, reasoning, answer, boxes, author, note, created_at)
                SELECT ?,?,?,?,?,?,?,?,? WHERE NOT EXISTS (SELECT 1 FROM revisions WHERE parent = ?)""",
            [caption, parent, restores, reasoning, answer, boxes, author, note, self.now(), parent],
        )
        if added.rowcount != 1:
            raise Conflict(head_of(db, caption))
        return added.lastrowid

    def caption(self, caption: int) -> dict:
        """The caption with its newest revision. Raises NotFound.

        {"id", "picture": sha256, "question": Question, "source", "run" and "side" (None unless flagged),
        "why" (what speaks for looking at it, one reason a line), "given" (the data set's answer or ""), "state": "annotate" | "review" | "accepted" | "rejected", "created_at",
        "flags": [as in `run`], "revision": {"id", "caption", "parent", "restores" (the revision that an undo
        went back to), "reasoning", "answer", "boxes": tuple[Box], "author", "note", "created_at"}}.
        """
        with self.read() as db:
            return caption_row(db, caption)

    def revision(self, revision: int) -> dict:
        """One revision, as in `history` but without its reviews. Raises NotFound."""
        with self.read() as db:
            return revision_row(db, revision)

    def history(self, caption: int) -> list[dict]:
        """Every revision, oldest first; the first is the caption as it came in. Raises NotFound.

        Each has the keys of `caption`'s "revision" and "reviews": [{"id", "revision", "verdict", "author",
        "self_reviewed": bool, "note", "created_at"}, ...].
        """
        with self.read() as db:
            exists(db, "captions", "id", caption, "caption")
            rows = list(db.query("SELECT * FROM revisions WHERE caption = ? ORDER BY id", [caption]))
            reviews = list(
                db.query(
                    "SELECT v.* FROM reviews v JOIN revisions r ON r.id = v.revision WHERE r.caption = ?"
                    " ORDER BY v.id",
                    [caption],
                )
            )
        for row in rows:
            row["boxes"] = rules.boxes_from_json(row["boxes"])
            row["reviews"] = [
                {**review, "self_reviewed": bool(review["self_reviewed"])}
                for review in reviews
                if review["revision"] == row["id"]
            ]
        return rows

    def save_correction(
        self,
        parent: int,
        *,
        reasoning: str,
        answer: str,
        author: str,
        note: str = "",
        boxes: Sequence[Box] | None = None,
    ) -> int:
        """Save a better text than revision `parent`, the newest; returns the new revision's id.

        Drafts that the parser cannot read may be saved, only not accepted. For a grounding question `boxes`
        (0..1000), when given, are written as the answer; a revision's boxes are always those of its answer.
        The same text as the parent's is a confirmation. Raises Conflict when somebody saved first.
        """
        reasoning, answer = rules.text(reasoning, "reasoning"), rules.text(answer, "answer")
        author, note = rules.person(author), rules.text(note, "note")
        with self.write() as db:
            before = revision_row(db, parent)
            if boxes is not None and question_of(db, before["caption"]).task is Task.GROUNDING:
                answer = format_boxes(boxes)
            return self._add_revision(db, before["caption"], parent, reasoning, answer, author, note)

    def undo(self, revision: int, *, author: str) -> int:
        """Take back `revision`, the newest: adds one that equals its parent, so undo twice is redo.

        Returns the new revision's id. Raises Refused when nothing came before, Conflict when it is not the
        newest any more.
        """
        author = rules.person(author)
        with self.write() as db:
            last = revision_row(db, revision)
            if last["parent"] is None:
                raise Refused("There is nothing to undo: this is the caption as it came in.")
            before = revision_row(db, last["parent"])
            return self._add_revision(
                db,
                last["caption"],
                revision,
                before["reasoning"],
                before["answer"],
                author,
                "undo",
                restores=before["restores"] or before["id"],
            )

    def add_review(
        self,
        revision: int,
        verdict: str,
        *,
        author: str,
        note: str = "",
        reasoning: str | None = None,
        answer: str | None = None,
    ) -> int:
        """Judge a revision; returns the review's id, for "amend" the id of the new revision.

        accept: the text may be exported; refused when `caption_problems` finds any, and when the reviewer
        wrote this text (unless the store allows self_review). reject: it may not be exported, whatever was
        said before. amend: the reviewer's own `reasoning` and `answer` (None keeps the old) become a new
        revision, which somebody else has to accept. The last verdict on a revision counts.
        Raises Refused; Conflict when a newer revision exists (a reject may still go to an older one).
        """
        author, note = rules.person(author), rules.text(note, "note")
        if verdict not in VERDICTS:
            raise Refused("A review is one of: " + ", ".join(VERDICTS) + ".")
        if verdict != "amend" and (reasoning is not None or answer is not None):
            raise Refused("Only an amendment brings a text of its own.")
        with self.write() as db:
            row = revision_row(db, revision)
            head = head_of(db, row["caption"])
            if verdict != "reject" and head["id"] != row["id"]:
                raise Conflict(head)
            own = wrote(db, row, author)
            if verdict == "accept":
                self._may_be_accepted(db, row, own)
            review = {"revision": row["id"], "verdict": verdict, "author": author, "self_reviewed": own}
            done = insert(db, "reviews", {**review, "note": note, "created_at": self.now()})
            if verdict != "amend":
                return done
            reasoning = row["reasoning"] if reasoning is None else rules.text(reasoning, "reasoning")
            answer = row["answer"] if answer is None else rules.text(answer, "answer")
            if (reasoning, answer) == (row["reasoning"], row["answer"]):
                raise Refused("The amendment changes nothing: accept the text instead.")
            return self._add_revision(db, row["caption"], row["id"], reasoning, answer, author, note)

    def withdraw_review(self, review: int, *, author: str) -> None:
        """Take back one's own verdict: a new row says so, and the caption waits again. Raises Refused."""
        author = rules.person(author)
        with self.write() as db:
            row = row_of(db, "SELECT author FROM reviews WHERE id = ?", review, "review")
            if not rules.same_person(row["author"], author):
                raise Refused("Only who gave a verdict can take it back.")
            given = {"review": review, "author": author, "created_at": self.now()}
            insert(db, "withdrawals", given, "ON CONFLICT (review) DO NOTHING")

    def _may_be_accepted(self, db: Database, row: dict, own: bool) -> None:
        if own and not self.self_review:
            raise Refused("You wrote this text: somebody else has to accept it.")
        problems = caption_problems(question_of(db, row["caption"]), row["reasoning"], row["answer"])
        if problems:
            raise Refused("This text cannot be accepted. " + " ".join(problems))

    def search(self, words: str, limit: int = 50) -> list[dict]:
        """Captions of which some revision's reasoning or answer holds all the words (or their stems); best
        first, each as in `caption`."""
        words = rules.text(words, "question")
        if not words:
            return []
        with self.read() as db:
            rows = db.conn.execute(
                "SELECT r.caption FROM revisions_fts f JOIN revisions r ON r.id = f.rowid"
                " WHERE revisions_fts MATCH ? ORDER BY f.rank LIMIT ?",
                [" ".join('"' + word.replace('"', '""') + '"' for word in words.split()), 10 * int(limit)],
            ).fetchall()
            found = list(dict.fromkeys(caption for (caption,) in rows))[:limit]
            return [caption_row(db, caption) for caption in found]

    # --- what leaves the store --------------------------------------------------------------------------

    def accepted(self) -> list[dict]:
        """The newest accepted revision of each caption, by caption: what an export may hold.

        {"caption", "revision", "picture", "question": Question, "reasoning", "answer", "boxes", "author",
        "source", "reviewer", "self_reviewed"}; of several reviewers who accepted one who did not write the
        text is named.
        """
        with self.read() as db:
            rows = list(
                db.query(
                    "SELECT a.caption, a.revision, c.picture, c.question, c.task, c.labels, r.reasoning,"
                    " r.answer, r.boxes, r.author, c.source, v.author AS reviewer, v.self_reviewed"
                    " FROM accepted a JOIN captions c ON c.id = a.caption"
                    " JOIN revisions r ON r.id = a.revision"
                    " JOIN reviews v ON v.id = (SELECT id FROM standing_reviews WHERE revision = a.revision"
                    "  AND verdict = 'accept' ORDER BY self_reviewed, id DESC LIMIT 1)"
                    " ORDER BY a.caption"
                )
            )
        for row in rows:
            ask(row)
            row["boxes"] = rules.boxes_from_json(row["boxes"])
            row["self_reviewed"] = bool(row["self_reviewed"])
        return rows

    def record_export(self, kind: str, sha256: str, revisions: Sequence[int]) -> int:
        """Remember which revision became which row (from 0) of the export whose manifest has this sha256.

        Returns the export's id; the same export again is the one that is known.
        """
        with self.write() as db:
            known = db.conn.execute("SELECT id FROM exports WHERE sha256 = ?", [sha256]).fetchone()
            if known:
                return known[0]
            columns = {"kind": kind, "rows": len(revisions), "sha256": sha256, "created_at": self.now()}
            export = insert(db, "exports", columns)
            db.conn.executemany(
                "INSERT INTO export_rows VALUES (?,?,?)",
                [(export, row, revision) for row, revision in enumerate(revisions)],
            )
            return export

    def exports_of(self, caption: int) -> list[dict]:
        """Where a caption went: [{"export", "kind", "sha256", "row", "revision", "created_at"}]."""
        with self.read() as db:
            return list(
                db.query(
                    "SELECT e.id AS export, e.kind, e.sha256, x.row, x.revision, e.created_at"
                    " FROM export_rows x JOIN exports e ON e.id = x.export"
                    " JOIN revisions r ON r.id = x.revision"
                    " WHERE r.caption = ? ORDER BY e.id",
                    [caption],
                )
            )

    def stats(self) -> dict:
        """How much there is of everything; see `python -m annotate stats`."""
        with self.read() as db:

            def count(sql: str) -> int:
                return db.conn.execute(f"SELECT count(*) FROM {sql}").fetchone()[0]

            def by(column: str, table: str, values: Sequence[str]) -> dict[str, int]:
                sql = f"SELECT {column}, count(*) FROM {table} GROUP BY {column}"
                found = dict(db.conn.execute(sql).fetchall())
                return {value: found.get(value, 0) for value in values}

            reasons = by("value", "standing_flags f, json_each(f.reasons)", REASONS)
            return {
                "schema": code_version(),
                "pictures": count("pictures"),
                "runs": count("standing_runs"),
                "votes": count("standing_votes"),
                "flags": {"total": count("standing_flags"), **{k: n for k, n in reasons.items() if n}},
                "captions": {
                    "total": count("heads"),
                    **by("state", "heads", ("annotate", "review", "accepted", "rejected")),
                },
                "exportable": count("accepted"),
                "corrections": count("revisions WHERE parent IS NOT NULL"),
                "reviews": {
                    **by("verdict", "reviews", VERDICTS),
                    "self_reviewed": count("reviews WHERE self_reviewed"),
                },
                "exports": count("exports"),
            }

    def backup(self, path: str | Path) -> None:
        """Write database and pictures to one .tar file, also while others write; see annotate/backup.py."""
        from annotate.backup import backup

        backup(self, path)

    def _one(self, sql: str, key: object, what: str) -> dict:
        with self.read() as db:
            return row_of(db, sql, key, what)
