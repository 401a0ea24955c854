"""The schema of the store, one function per step; what ran is recorded in `_sqlite_migrations`.

A released step is never edited: write the next one. Every table holds a record and is append-only, which
triggers enforce, but for `heads`: that is an index of the newest revision of each caption, kept by triggers
and made of nothing but the record, so that the queue stays fast with 100,000 captions.

One thing takes text away again: a row in `deletions`, by which a visitor takes back what that visitor stored. Its
trigger blanks the words of the rows that it names (m006); the rows themselves stay, so that counts and marks hold.
"""

from __future__ import annotations

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

migrations = Migrations("tinyrs")

_FIRST = (
    "pictures", "runs", "sides", "flags", "votes", "captions", "revisions", "reviews", "leases", "exports",
    "export_rows",
)  # fmt: skip
RECORDS = (*_FIRST, "marks", "withdrawals", "given_answers", "golds", "deletions")


class ForeignDatabase(Exception):
    """The file is the database of some other program."""


class NewerDatabase(Exception):
    """The file was written by newer code; .version is its schema, code_version() ours."""

    def __init__(self, version: int):
        super().__init__(version)
        self.version = version


def code_version() -> int:
    """The schema version this code writes: how many steps it knows."""
    return len(migrations._migrations)


def file_version(db: Database) -> int:
    """The schema version of the file, 0 when it is new. Raises ForeignDatabase, NewerDatabase."""
    applied = [step.name for step in migrations.applied(db)]
    if not applied and db.table_names():
        raise ForeignDatabase
    known = {step.name for step in migrations._migrations}
    if not known.issuperset(applied):
        raise NewerDatabase(len(applied))
    return len(applied)


def migrate(db: Database) -> None:
    """Bring the file to this code's schema, if it is not there yet. Safe in many processes at once."""
    if file_version(db) == code_version():
        return
    # One immediate transaction around all: the processes that open a new file together wait for the first.
    db.conn.execute("BEGIN IMMEDIATE")
    try:
        file_version(db)
        migrations.apply(db)
        db.conn.execute("COMMIT")
    except BaseException:
        db.rollback()
        raise


def _run(db: Database, *statements: str) -> None:
    # Not executescript: it commits, and half a step would stay behind when the other half fails.
    for statement in statements:
        db.conn.execute(statement)


@migrations()
def m001_start(db: Database) -> None:
    """Tables. Times are UTC in ISO 8601 with milliseconds, so that text order is time order."""
    _run(
        db,
        """CREATE TABLE pictures (
            sha256 TEXT PRIMARY KEY CHECK (length(sha256) = 64),
            width INTEGER NOT NULL,
            height INTEGER NOT NULL,
            format TEXT NOT NULL,
            file TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            notes TEXT NOT NULL CHECK (json_valid(notes)),
            crs TEXT,
            transform TEXT CHECK (transform IS NULL OR json_valid(transform)),
            created_at TEXT NOT NULL
        )""",
        """CREATE TABLE runs (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            picture TEXT NOT NULL REFERENCES pictures(sha256),
            question TEXT NOT NULL,
            task TEXT NOT NULL,
            labels TEXT NOT NULL CHECK (json_valid(labels)),
            author TEXT NOT NULL,
            created_at TEXT NOT NULL
        )""",
        """CREATE TABLE sides (
            id INTEGER PRIMARY KEY,
            run TEXT NOT NULL REFERENCES runs(id),
            side TEXT NOT NULL,
            model TEXT NOT NULL,
            raw TEXT NOT NULL,
            reasoning TEXT NOT NULL CHECK (json_valid(reasoning)),
            answer TEXT NOT NULL,
            boxes TEXT NOT NULL CHECK (json_valid(boxes)),
            reasoning_boxes TEXT NOT NULL CHECK (json_valid(reasoning_boxes)),
            well_formed INTEGER NOT NULL,
            truncated INTEGER NOT NULL,
            problems TEXT NOT NULL CHECK (json_valid(problems)),
            tokens INTEGER NOT NULL,
            first_token REAL,
            seconds REAL NOT NULL,
            error TEXT NOT NULL,
            UNIQUE (run, side)
        )""",
        """CREATE TABLE captions (
            id INTEGER PRIMARY KEY,
            key TEXT NOT NULL UNIQUE,
            picture TEXT NOT NULL REFERENCES pictures(sha256),
            question TEXT NOT NULL,
            task TEXT NOT NULL,
            labels TEXT NOT NULL CHECK (json_valid(labels)),
            source TEXT NOT NULL,
            run TEXT REFERENCES runs(id),
            side TEXT,
            rank INTEGER NOT NULL,
            why TEXT NOT NULL,
            created_at TEXT NOT NULL
        )""",
        "CREATE INDEX captions_picture ON captions(picture)",
        # UNIQUE(parent) makes a fork impossible: one revision has one successor.
        """CREATE TABLE revisions (
            id INTEGER PRIMARY KEY,
            caption INTEGER NOT NULL REFERENCES captions(id),
            parent INTEGER UNIQUE REFERENCES revisions(id),
            restores INTEGER REFERENCES revisions(id),
            reasoning TEXT NOT NULL,
            answer TEXT NOT NULL,
            boxes TEXT NOT NULL CHECK (json_valid(boxes)),
            author TEXT NOT NULL,
            note TEXT NOT NULL,
            created_at TEXT NOT NULL
        )""",
        "CREATE INDEX revisions_caption ON revisions(caption)",
        "CREATE UNIQUE INDEX revisions_one_start ON revisions(caption) WHERE parent IS NULL",
        """CREATE TABLE flags (
            id INTEGER PRIMARY KEY,
            run TEXT NOT NULL REFERENCES runs(id),
            side TEXT NOT NULL,
            reasons TEXT NOT NULL CHECK (json_valid(reasons)),
            note TEXT NOT NULL CHECK (length(note) <= 2000),
            author TEXT NOT NULL,
            caption INTEGER REFERENCES captions(id),
            created_at TEXT NOT NULL,
            FOREIGN KEY (run, side) REFERENCES sides(run, side)
        )""",
        "CREATE INDEX flags_author ON flags(author, created_at)",
        "CREATE INDEX flags_run ON flags(run)",
        "CREATE INDEX flags_caption ON flags(caption)",
        """CREATE TABLE votes (
            id INTEGER PRIMARY KEY,
            run TEXT NOT NULL REFERENCES runs(id),
            choice TEXT NOT NULL,
            author TEXT NOT NULL,
            created_at TEXT NOT NULL
        )""",
        "CREATE INDEX votes_run ON votes(run)",
        """CREATE TABLE reviews (
            id INTEGER PRIMARY KEY,
            revision INTEGER NOT NULL REFERENCES revisions(id),
            verdict TEXT NOT NULL CHECK (verdict IN ('accept', 'amend', 'reject')),
            author TEXT NOT NULL,
            self_reviewed INTEGER NOT NULL,
            note TEXT NOT NULL,
            created_at TEXT NOT NULL
        )""",
        "CREATE INDEX reviews_revision ON reviews(revision)",
        # A caption's newest row says who holds it: 'take' until `until`; 'release' and 'skip' give it back.
        """CREATE TABLE leases (
            id INTEGER PRIMARY KEY,
            caption INTEGER NOT NULL REFERENCES captions(id),
            author TEXT NOT NULL,
            kind TEXT NOT NULL CHECK (kind IN ('take', 'release', 'skip')),
            until TEXT NOT NULL,
            created_at TEXT NOT NULL
        )""",
        "CREATE INDEX leases_caption ON leases(caption, id)",
        "CREATE INDEX leases_author ON leases(author, kind, until)",
        """CREATE TABLE exports (
            id INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            rows INTEGER NOT NULL,
            sha256 TEXT NOT NULL UNIQUE,
            created_at TEXT NOT NULL
        )""",
        """CREATE TABLE export_rows (
            export INTEGER NOT NULL REFERENCES exports(id),
            row INTEGER NOT NULL,
            revision INTEGER NOT NULL REFERENCES revisions(id),
            PRIMARY KEY (export, row)
        )""",
        "CREATE INDEX export_rows_revision ON export_rows(revision)",
    )
    _run(db, *(statement for table in _FIRST for statement in _append_only(table)))
    _heads(db)
    _words(db)
    _views(db)


def _append_only(table: str) -> list[str]:
    return [
        f"""CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table}
            BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"""
        for change in ("UPDATE", "DELETE")
    ]


def _heads(db: Database) -> None:
    _run(
        db,
        """CREATE TABLE heads (
            caption INTEGER PRIMARY KEY REFERENCES captions(id),
            revision INTEGER NOT NULL REFERENCES revisions(id),
            state TEXT NOT NULL CHECK (state IN ('annotate', 'review', 'accepted', 'rejected')),
            rank INTEGER NOT NULL
        )""",
        "CREATE INDEX heads_queue ON heads(state, rank, caption)",
        # A caption whose newest text is the one it came in with still waits for its annotator.
        """CREATE TRIGGER revisions_head AFTER INSERT ON revisions BEGIN
            INSERT INTO heads (caption, revision, state, rank) SELECT
                new.caption, new.id,
                CASE WHEN (SELECT parent FROM revisions WHERE id = coalesce(new.restores, new.id)) IS NULL
                     THEN 'annotate' ELSE 'review' END,
                (SELECT rank FROM captions WHERE id = new.caption)
            WHERE true
            ON CONFLICT (caption) DO UPDATE SET revision = excluded.revision, state = excluded.state;
        END""",
        """CREATE TRIGGER reviews_head AFTER INSERT ON reviews WHEN new.verdict <> 'amend' BEGIN
            UPDATE heads SET state = CASE new.verdict WHEN 'accept' THEN 'accepted' ELSE 'rejected' END
            WHERE caption = (SELECT caption FROM revisions WHERE id = new.revision)
              AND revision = new.revision;
        END""",
        "CREATE TRIGGER flags_head AFTER INSERT ON flags WHEN new.caption IS NOT NULL BEGIN"
        " UPDATE heads SET rank = 0 WHERE caption = new.caption; END",
    )


def _words(db: Database) -> None:
    # Contents stay in their tables; both have an INTEGER PRIMARY KEY, so VACUUM cannot shift the rows.
    for table in ("sides", "revisions"):
        _run(
            db,
            f"""CREATE VIRTUAL TABLE {table}_fts USING fts5(reasoning, answer, content='{table}',
                content_rowid='id', tokenize='porter unicode61')""",
            f"""CREATE TRIGGER {table}_words AFTER INSERT ON {table} BEGIN
                INSERT INTO {table}_fts (rowid, reasoning, answer)
                VALUES (new.id, new.reasoning, new.answer);
            END""",
        )


def _views(db: Database) -> None:
    _run(
        db,
        """CREATE VIEW corrections AS
            SELECT r.id, r.caption, r.parent, c.question, o.reasoning AS reasoning_before, r.reasoning,
                   o.answer AS answer_before, r.answer, r.author, r.note, r.created_at
            FROM revisions r JOIN revisions o ON o.id = r.parent JOIN captions c ON c.id = r.caption""",
        # What counts is the last verdict on a revision, and of the accepted revisions the newest.
        """CREATE VIEW accepted AS
            SELECT r.caption, max(r.id) AS revision, v.id AS review
            FROM revisions r JOIN reviews v ON v.revision = r.id
            WHERE v.verdict = 'accept'
              AND v.id = (SELECT max(w.id) FROM reviews w WHERE w.revision = r.id)
            GROUP BY r.caption""",
        """CREATE VIEW flagged AS
            SELECT f.id, f.run, f.side, s.model, r.question, s.answer, f.reasons, f.note, f.author,
                   f.caption, f.created_at
            FROM flags f JOIN runs r ON r.id = f.run JOIN sides s ON s.run = f.run AND s.side = f.side""",
    )


@migrations()
def m002_marks(db: Database) -> None:
    """What one person says of each step of a revision's reasoning, and verdicts that were taken back."""
    _run(
        db,
        # Of one author's marks on one step the newest counts that no row with verdict 'undo' names.
        """CREATE TABLE marks (
            id INTEGER PRIMARY KEY,
            revision INTEGER NOT NULL REFERENCES revisions(id),
            step INTEGER NOT NULL CHECK (step >= 0),
            verdict TEXT NOT NULL CHECK (verdict IN ('ok', 'wrong', 'unsupported', 'undo')),
            reason TEXT NOT NULL,
            rewrite TEXT NOT NULL CHECK (length(rewrite) <= 4000),
            seconds REAL,
            withdraws INTEGER UNIQUE REFERENCES marks(id),
            author TEXT NOT NULL,
            created_at TEXT NOT NULL,
            CHECK ((verdict = 'undo') = (withdraws IS NOT NULL))
        )""",
        "CREATE INDEX marks_revision ON marks(revision, author)",
        "CREATE INDEX marks_author ON marks(author)",
        """CREATE TABLE withdrawals (
            id INTEGER PRIMARY KEY,
            review INTEGER NOT NULL UNIQUE REFERENCES reviews(id),
            author TEXT NOT NULL,
            created_at TEXT NOT NULL
        )""",
        *_append_only("marks"),
        *_append_only("withdrawals"),
        """CREATE VIEW standing_marks AS
            SELECT * FROM marks m WHERE m.verdict <> 'undo'
              AND NOT EXISTS (SELECT 1 FROM marks u WHERE u.withdraws = m.id)""",
        """CREATE VIEW standing_reviews AS
            SELECT * FROM reviews v WHERE NOT EXISTS (SELECT 1 FROM withdrawals w WHERE w.review = v.id)""",
        "DROP VIEW accepted",
        """CREATE VIEW accepted AS
            SELECT r.caption, max(r.id) AS revision, v.id AS review
            FROM revisions r JOIN standing_reviews v ON v.revision = r.id
            WHERE v.verdict = 'accept'
              AND v.id = (SELECT max(w.id) FROM standing_reviews w WHERE w.revision = r.id)
            GROUP BY r.caption""",
        # The caption waits again, unless an older verdict on its newest text still stands.
        """CREATE TRIGGER withdrawals_head AFTER INSERT ON withdrawals BEGIN
            UPDATE heads SET state = coalesce(
                (SELECT CASE v.verdict WHEN 'accept' THEN 'accepted' ELSE 'rejected' END
                   FROM standing_reviews v WHERE v.revision = heads.revision AND v.verdict <> 'amend'
                   ORDER BY v.id DESC LIMIT 1),
                (SELECT CASE WHEN o.parent IS NULL THEN 'annotate' ELSE 'review' END
                   FROM revisions r JOIN revisions o ON o.id = coalesce(r.restores, r.id)
                   WHERE r.id = heads.revision))
            WHERE revision = (SELECT revision FROM reviews WHERE id = new.review);
        END""",
    )


@migrations()
def m003_order(db: Database) -> None:
    """The queue by information: rank is signals.py's four bits, `sample` the random fifth of all captions."""
    _run(
        db,
        "ALTER TABLE heads ADD COLUMN sample INTEGER NOT NULL DEFAULT 0",
        # Drawn by the caption's own checksum: 51 of 256, the same on every machine, known to nobody before.
        """CREATE TRIGGER heads_sample AFTER INSERT ON heads BEGIN
            UPDATE heads SET sample =
                (SELECT substr(key, 1, 2) < '33' FROM captions WHERE id = new.caption)
            WHERE caption = new.caption;
        END""",
        "UPDATE heads SET sample = (SELECT substr(key, 1, 2) < '33' FROM captions WHERE id = heads.caption)",
        # Until now 0 was flagged and 1 was not; the others' signs were not looked for.
        "UPDATE heads SET rank = CASE rank WHEN 0 THEN 13 ELSE 15 END",
        "DROP TRIGGER flags_head",
        "CREATE TRIGGER flags_head AFTER INSERT ON flags WHEN new.caption IS NOT NULL BEGIN"
        " UPDATE heads SET rank = rank & ~2 WHERE caption = new.caption; END",
        "CREATE INDEX heads_sample_queue ON heads(state, caption) WHERE sample",
        # Why this person got this caption: 'order', 'random', 'skipped', 'again'; 'back': released unfinished.
        "ALTER TABLE leases ADD COLUMN why TEXT NOT NULL DEFAULT ''",
        # The data set's own answer, where it has one: what checks and scores compare with.
        """CREATE TABLE given_answers (
            caption INTEGER PRIMARY KEY REFERENCES captions(id),
            answer TEXT NOT NULL,
            created_at TEXT NOT NULL
        )""",
        *_append_only("given_answers"),
    )


@migrations()
def m004_golds(db: Database) -> None:
    """Captions whose right text is known and kept hidden, to see how well people find it."""
    _run(
        db,
        """CREATE TABLE golds (
            id INTEGER PRIMARY KEY,
            caption INTEGER NOT NULL UNIQUE REFERENCES captions(id),
            reasoning TEXT NOT NULL,
            answer TEXT NOT NULL,
            author TEXT NOT NULL,
            created_at TEXT NOT NULL
        )""",
        *_append_only("golds"),
    )


@migrations()
def m005_votes(db: Database) -> None:
    """A vote says what it is about, and whether the models' names were hidden from whoever gave it."""
    _run(
        db,
        "ALTER TABLE votes ADD COLUMN about TEXT NOT NULL DEFAULT 'answer' CHECK (about IN ('answer', 'reasoning'))",
        "ALTER TABLE votes ADD COLUMN blind INTEGER NOT NULL DEFAULT 0 CHECK (blind IN (0, 1))",
        "CREATE INDEX votes_author ON votes(author, created_at)",
    )


@migrations()
def m006_deletions(db: Database) -> None:
    """A visitor's run, flag or vote can be taken back: the row stays, its words go, and nothing counts it any more.

    `holder` says by whom a row was stored: a checksum of a key that only that visitor's browser has, or of a login.
    A caption that came from a run goes with its last flag: it leaves `heads`, and with that the queue and the exports.
    """
    _run(
        db,
        *(f"ALTER TABLE {table} ADD COLUMN holder TEXT NOT NULL DEFAULT ''" for table in ("runs", "flags", "votes")),
        *(f"CREATE INDEX {table}_holder ON {table}(holder) WHERE holder <> ''" for table in ("runs", "flags", "votes")),
        # The area that the models were allowed to see of the picture; NULL is each one's own budget.
        "ALTER TABLE runs ADD COLUMN max_pixels INTEGER CHECK (max_pixels > 0)",
        "CREATE INDEX runs_picture ON runs(picture)",
        "CREATE INDEX captions_run ON captions(run)",
        """CREATE TABLE deletions (
            id INTEGER PRIMARY KEY,
            run TEXT UNIQUE REFERENCES runs(id),
            flag INTEGER UNIQUE REFERENCES flags(id),
            vote INTEGER UNIQUE REFERENCES votes(id),
            created_at TEXT NOT NULL,
            CHECK ((run IS NOT NULL) + (flag IS NOT NULL) + (vote IS NOT NULL) = 1)
        )""",
        *_append_only("deletions"),
        """CREATE VIEW standing_runs AS
            SELECT * FROM runs r WHERE NOT EXISTS (SELECT 1 FROM deletions d WHERE d.run = r.id)""",
        *(
            f"""CREATE VIEW standing_{table} AS SELECT * FROM {table} f
                WHERE NOT EXISTS (SELECT 1 FROM deletions d WHERE d.run = f.run)
                  AND NOT EXISTS (SELECT 1 FROM deletions d WHERE d.{table[:-1]} = f.id)"""
            for table in ("flags", "votes")
        ),
        """CREATE VIEW gone_pictures AS
            SELECT p.* FROM pictures p
            WHERE p.sha256 IN (SELECT r.picture FROM deletions d JOIN runs r ON r.id = d.run)
              AND NOT EXISTS (SELECT 1 FROM standing_runs r WHERE r.picture = p.sha256)
              AND NOT EXISTS (SELECT 1 FROM captions c JOIN heads h ON h.caption = c.id WHERE c.picture = p.sha256)""",
        "DROP VIEW accepted",
        """CREATE VIEW accepted AS
            SELECT r.caption, max(r.id) AS revision, v.id AS review
            FROM revisions r JOIN standing_reviews v ON v.revision = r.id JOIN heads h ON h.caption = r.caption
            WHERE v.verdict = 'accept'
              AND v.id = (SELECT max(w.id) FROM standing_reviews w WHERE w.revision = r.id)
            GROUP BY r.caption""",
        "DROP VIEW flagged",
        """CREATE VIEW flagged AS
            SELECT f.id, f.run, f.side, s.model, r.question, s.answer, f.reasons, f.note, f.author,
                   f.caption, f.created_at
            FROM standing_flags f JOIN runs r ON r.id = f.run JOIN sides s ON s.run = f.run AND s.side = f.side""",
    )
    _run(db, *_words_can_go())


def _words_can_go() -> list[str]:
    """Triggers: what a deletion takes away, and nothing else may be changed as before."""
    deleted = "EXISTS (SELECT 1 FROM deletions d WHERE d.run = old.{run}{more})"
    rules = {
        "runs": deleted.format(run="id", more=""),
        "sides": deleted.format(run="run", more=""),
        "flags": deleted.format(run="run", more=" OR d.flag = old.id"),
        "votes": deleted.format(run="run", more=" OR d.vote = old.id"),
        # A caption without a head is one that went; until then there is always one.
        "captions": "NOT EXISTS (SELECT 1 FROM heads h WHERE h.caption = old.id)",
        "revisions": "NOT EXISTS (SELECT 1 FROM heads h WHERE h.caption = old.caption)",
    }
    guards = []
    for table, may in rules.items():
        guards += [
            f"DROP TRIGGER {table}_no_update",
            f"""CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} WHEN NOT {may}
                BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END""",
        ]
    gone = """SELECT c.id FROM captions c WHERE c.run IS NOT NULL AND c.key NOT LIKE 'deleted %'
        AND (c.run = new.run OR c.id IN (SELECT caption FROM flags WHERE run = new.run OR id = new.flag))
        AND NOT EXISTS (SELECT 1 FROM standing_flags f WHERE f.caption = c.id)"""
    words = """INSERT INTO {table}_fts ({table}_fts, rowid, reasoning, answer)
        SELECT 'delete', id, reasoning, answer FROM {table} WHERE {which}"""
    sides, revisions = "run = new.run", f"caption IN ({gone})"
    # What stands for somebody without a login stays, so that nobody gets round the limits of a minute; a login goes.
    nobody = "author = CASE WHEN author LIKE 'visitor %' THEN author ELSE '' END"
    return [
        *guards,
        "DROP TRIGGER revisions_head",
        # As in m001, but a caption that went does not come back with the text of somebody who had it open.
        """CREATE TRIGGER revisions_head AFTER INSERT ON revisions
            WHEN new.parent IS NULL OR EXISTS (SELECT 1 FROM heads WHERE caption = new.caption) BEGIN
            INSERT INTO heads (caption, revision, state, rank) SELECT
                new.caption, new.id,
                CASE WHEN (SELECT parent FROM revisions WHERE id = coalesce(new.restores, new.id)) IS NULL
                     THEN 'annotate' ELSE 'review' END,
                (SELECT rank FROM captions WHERE id = new.caption)
            WHERE true
            ON CONFLICT (caption) DO UPDATE SET revision = excluded.revision, state = excluded.state;
        END""",
        f"""CREATE TRIGGER deletions_words AFTER INSERT ON deletions BEGIN
            DELETE FROM heads WHERE caption IN ({gone});
            {words.format(table="sides", which=sides)};
            UPDATE sides SET raw = '', reasoning = '[]', answer = '', boxes = '[]', reasoning_boxes = '[]',
                problems = '[]', error = '' WHERE {sides};
            UPDATE runs SET question = '', labels = '[]', {nobody} WHERE id = new.run;
            UPDATE flags SET note = '', {nobody} WHERE run = new.run OR id = new.flag;
            UPDATE votes SET {nobody} WHERE run = new.run OR id = new.vote;
            {words.format(table="revisions", which=revisions)};
            UPDATE revisions SET reasoning = '', answer = '', boxes = '[]', note = '' WHERE {revisions};
            UPDATE captions SET key = 'deleted ' || id, question = '', labels = '[]', why = '' WHERE id IN ({gone});
        END""",
    ]
