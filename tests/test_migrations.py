"""The schema is made once, in whatever order processes come; what is not ours, or newer, is left alone."""

import sqlite3

import pytest
from sqlite_utils import Database

from annotate import migrations
from annotate.migrations import RECORDS, code_version, migrate
from annotate.store import Store, StoreError
from tests.store_parts import add_caption, processes


def _schema(path):
    conn = sqlite3.connect(path)
    try:
        return conn.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    finally:
        conn.close()


def test_opening_twice_changes_nothing(tmp_path):
    Store(tmp_path / "a.db").close()
    before = (tmp_path / "a.db").read_bytes()
    Store(tmp_path / "a.db").close()
    assert (tmp_path / "a.db").read_bytes() == before


def _open(path, gate, results):
    gate.wait()
    Store(path).close()
    results.put("opened")


def test_processes_that_open_a_new_file_together_make_one_schema(tmp_path):
    gate, results = processes.Event(), processes.Queue()
    running = [processes.Process(target=_open, args=(tmp_path / "a.db", gate, results)) for _ in range(8)]
    for process in running:
        process.start()
    gate.set()
    assert [results.get(timeout=60) for _ in running] == ["opened"] * 8
    for process in running:
        process.join(60)
    Store(tmp_path / "b.db").close()
    assert _schema(tmp_path / "a.db") == _schema(tmp_path / "b.db")


def test_a_step_that_fails_leaves_no_part_of_itself(tmp_path, monkeypatch):
    extended = migrations.Migrations("tinyrs")
    extended._migrations = [*migrations.migrations._migrations]

    @extended()
    def m999_breaks(db):
        db.conn.execute("CREATE TABLE half (id INTEGER)")
        db.conn.execute("CREATE TABLE half (id INTEGER)")

    Store(tmp_path / "a.db").close()
    before = _schema(tmp_path / "a.db")
    monkeypatch.setattr(migrations, "migrations", extended)
    with pytest.raises(StoreError, match="nothing was saved"):
        Store(tmp_path / "a.db")
    assert _schema(tmp_path / "a.db") == before


def test_an_older_file_is_brought_up_to_date_with_its_rows(tmp_path, monkeypatch):
    with Store(tmp_path / "a.db") as store:
        caption = add_caption(store)
    extended = migrations.Migrations("tinyrs")
    extended._migrations = [*migrations.migrations._migrations]

    @extended()
    def m999_next(db):
        db.conn.execute("CREATE TABLE later (id INTEGER PRIMARY KEY)")

    monkeypatch.setattr(migrations, "migrations", extended)
    with Store(tmp_path / "a.db") as store, store.read() as db:
        assert db["later"].exists()
    with Store(tmp_path / "a.db") as store:
        assert store.caption(caption)["revision"]["answer"] == "[[80,100,470,520]]"
        assert store.stats()["schema"] == code_version()


def test_a_newer_file_is_refused_with_a_sentence_and_not_touched(tmp_path):
    Store(tmp_path / "a.db").close()
    conn = sqlite3.connect(tmp_path / "a.db")
    with conn:
        conn.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
            " VALUES ('tinyrs', 'm777_from_the_future', '2030')"
        )
    conn.close()
    before = (tmp_path / "a.db").read_bytes()
    knows = code_version()
    words = rf"newer TinyRS \(schema {knows + 1}, this one knows {knows}\): update the code\.$"
    with pytest.raises(StoreError, match=words):
        Store(tmp_path / "a.db")
    assert (tmp_path / "a.db").read_bytes() == before


def test_the_database_of_another_program_is_refused_and_not_touched(tmp_path):
    db = Database(tmp_path / "a.db")
    db["pictures"].insert({"mine": 1})
    db.close()
    before = (tmp_path / "a.db").read_bytes()
    with pytest.raises(StoreError, match="another program"):
        Store(tmp_path / "a.db")
    assert (tmp_path / "a.db").read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "a.db").write_bytes(b"not a database at all " * 100)
    with pytest.raises(StoreError, match=r"is not a database\.$"):
        Store(tmp_path / "a.db")


@pytest.mark.parametrize("table", RECORDS)
def test_every_record_is_append_only(tmp_path, table):
    with Store(tmp_path / "a.db") as store, store.read() as db:
        triggers = {trigger.name for trigger in db[table].triggers}
    assert {f"{table}_no_update", f"{table}_no_delete"} <= triggers


def test_rows_cannot_be_changed_or_deleted_even_by_hand(tmp_path):
    with Store(tmp_path / "a.db") as store:
        add_caption(store)
        for sql in (
            "UPDATE revisions SET answer = 'x'",
            "DELETE FROM captions",
            "REPLACE INTO captions SELECT * FROM captions",
        ):
            with pytest.raises(StoreError), store.write() as db:
                db.conn.execute(sql)
        assert store.caption(1)["revision"]["answer"] == "[[80,100,470,520]]"


def test_two_successors_of_one_revision_are_impossible_in_the_schema_itself(tmp_path):
    with Store(tmp_path / "a.db") as store:
        add_caption(store)
        store.save_correction(1, reasoning="r", answer="a", author="ann")
        with pytest.raises(StoreError), store.write() as db:
            db.conn.execute(
                "INSERT INTO revisions (caption, parent, reasoning, answer, boxes, author, note, created_at)"
                " VALUES (1, 1, 'r', 'b', '[]', 'bob', '', '')"
            )
        assert len(store.history(1)) == 2


def test_names_and_foreign_keys_can_be_read_in_a_browser_of_databases(tmp_path):
    with Store(tmp_path / "a.db") as store, store.read() as db:
        assert {"corrections", "accepted", "flagged"} <= set(db.view_names())
        links = {(key.column, key.other_table) for key in db["revisions"].foreign_keys}
        assert {("caption", "captions"), ("parent", "revisions")} <= links
        for view in db.view_names():
            assert list(db.query(f"SELECT * FROM {view}")) == []
        migrate(db)  # and nothing more to do
