"""The record of what was asked, answered, flagged, corrected, reviewed and exported: one SQLite file.

Append-only: rows are added, never changed, so history and undo come for free. Pictures lie beside the
database in `pictures/`, named by their sha256. Whatever goes wrong is a StoreError whose text is one sentence
for the person who tried; what was acknowledged before stays. Runs, votes and pictures are annotate/runs.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sqlite_utils import Database

from annotate import rules, signals
from annotate.migrations import code_version
from annotate.rows import (
    NewCaption,
    Side,
    ask,
    caption_row,
    clean,
    digest,
    exists,
    head_of,
    insert,
    question_in,
    question_of,
    revision_row,
    row_of,
    side_in,
    to_json,
    wrote,
)
from annotate.rules import (
    FLAGS_A_MINUTE,
    REASONS,
    VERDICTS,
    Conflict,
    NotFound,
    Refused,
    StoreBusy,
    StoreError,
    StoreFull,
    TooFast,
    caption_problems,
)
from annotate.runs import Runs
from tinyrs.example import Box, Task
from tinyrs.parse import format_boxes

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

_AT_ONCE = 1000  # captions added in one transaction: others get their turn in between


class Store(Runs):
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
        self.self_review = self_review

    # --- flags: from a run into the queue ----------------------------------------------------------------

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
