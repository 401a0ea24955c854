"""What a visitor stored, that visitor can take back: its words and pictures are gone, and nothing else is."""

from __future__ import annotations

import pytest

from annotate import eventlog, queue
from annotate.export import export
from annotate.rules import NotFound, Refused
from annotate.store import Store
from annotate.votes import tally
from tests.store_parts import ROOF, add_caption, add_picture, drawn, side

SECRET = "My grandmother's secret hut"


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "a.db", self_review=True) as store:
        yield store


def asked(store: Store, holder: str, shade: int = 0, text: str = SECRET) -> str:
    sides = {name: side(f"<reasoning> {text} </reasoning> <answer> [[1,2,30,40]] </answer>") for name in "AB"}
    return store.add_run(add_picture(store, shade), ROOF, sides, author="visitor 1", holder=holder)


def flagged(store: Store, run: str, holder: str, author: str = "visitor 1", side: str = "B") -> int:
    flag = store.add_flag(run, side, ["wrong box"], SECRET, author=author, holder=holder)
    with store.read() as db:
        return db.conn.execute("SELECT caption FROM flags WHERE id = ?", [flag]).fetchone()[0]


def test_what_was_deleted_is_in_no_page_no_queue_no_count_and_not_in_the_file(store):
    run = asked(store, "me")
    caption = flagged(store, run, "me")
    store.add_vote(run, "A", author="Ada Lovelace", holder="me")
    assert store.held("me") == {"runs": 1, "flags": 1, "votes": 1} == store.delete_held("me")
    assert store.held("me") == {"runs": 0, "flags": 0, "votes": 0}
    for gone in (
        lambda: store.run(run),
        lambda: store.caption(caption),
        lambda: store.add_vote(run, "A", author="x"),
    ):
        with pytest.raises(NotFound):
            gone()
    stats = store.stats()
    assert (stats["runs"], stats["votes"], stats["flags"]["total"], stats["captions"]["total"]) == (
        0,
        0,
        0,
        0,
    )
    assert (
        store.runs() == []
        and store.search("grandmother") == []
        and queue.next_to_annotate(store, "Ada") is None
    )
    assert not list(store.pictures.iterdir())
    with store.write() as db:
        db.conn.execute("INSERT INTO sides_fts (sides_fts) VALUES ('integrity-check')")
        db.conn.execute("INSERT INTO revisions_fts (revisions_fts) VALUES ('integrity-check')")
        assert db.conn.execute("PRAGMA foreign_key_check").fetchall() == []
        kept = "\n".join(db.conn.iterdump())
    assert "grandmother" not in kept and "Lovelace" not in kept and ROOF.text not in kept
    assert db["runs"].count == 1 and db["deletions"].count == 1, (
        "the rows stay, and say that something was there"
    )


def test_only_the_holders_own_things_go(store):
    mine, other = asked(store, "me"), asked(store, "you")
    flagged(store, other, "me")
    store.add_vote(other, "A", author="me", holder="me")
    store.add_vote(other, "B", author="you", holder="you")
    assert store.delete_held("me") == {"runs": 1, "flags": 1, "votes": 1}
    row = store.run(other)
    assert row["flags"] == [] and row["votes"] == {"B": 1} and row["sides"]["A"].answer.reasoning == (SECRET,)
    assert store.picture_path(row["picture"]).read_bytes() == drawn(0), "another run needs the same picture"
    assert store.held("you") == {"runs": 1, "flags": 0, "votes": 1} and mine != other
    assert store.delete_held("") == store.delete_held("nobody") == {"runs": 0, "flags": 0, "votes": 0}
    assert store.runs() == [other]


def test_a_caption_goes_with_its_last_flag_and_can_come_again(store):
    one, two = asked(store, "me"), asked(store, "you")
    caption = flagged(store, one, "me")
    assert flagged(store, two, "you", "visitor 2") == caption, "the same answer is one caption"
    store.delete_held("me")
    assert [flag["author"] for flag in store.caption(caption)["flags"]] == ["visitor 2"]
    store.delete_held("you")
    with pytest.raises(NotFound):
        store.caption(caption)
    again = flagged(store, asked(store, "me"), "me", "visitor 3")
    assert again != caption and store.caption(again)["revision"]["reasoning"] == SECRET


def test_a_flag_and_then_its_run_may_be_deleted_by_two_people(store):
    run = asked(store, "you")
    flagged(store, run, "me")
    store.delete_held("me")
    store.delete_held("you")
    with store.write() as db:
        db.conn.execute("INSERT INTO revisions_fts (revisions_fts) VALUES ('integrity-check')")
    assert store.stats()["runs"] == 0


def test_nobody_brings_a_deleted_caption_back_by_saving_it(store):
    caption = flagged(store, asked(store, "me"), "me")
    revision = store.caption(caption)["revision"]["id"]
    store.delete_held("me")
    with pytest.raises(NotFound):
        store.save_correction(revision, reasoning="A roof.", answer="[[1,2,3,4]]", author="Ada")
    assert store.stats()["captions"]["total"] == 0


def test_an_export_holds_what_was_accepted_but_not_what_was_deleted(store, tmp_path):
    kept = add_caption(store)
    gone = flagged(store, asked(store, "me", shade=9), "me")
    for caption in (kept, gone):
        store.add_review(store.caption(caption)["revision"]["id"], "accept", author="Bob")
    assert len(store.accepted()) == 2
    store.delete_held("me")
    assert [row["caption"] for row in store.accepted()] == [kept]
    assert [row["caption"] for row in export(store, tmp_path / "out", "cot_sft", share=1)["rows"]] == [kept]


def test_votes_of_a_deleted_comparison_are_not_counted(store):
    sides = {"A": side("<answer> x </answer>", "one"), "B": side("<answer> y </answer>", "two")}
    run = store.add_run(add_picture(store), ROOF, sides, author="visitor 1", holder="me")
    store.add_vote(run, "A", author="visitor 2", blind=True)
    assert tally(store, "one", "two").total == 1
    store.delete_held("me")
    assert tally(store, "one", "two").total == 0


def test_a_backup_needs_no_picture_that_is_gone_and_a_log_takes_the_words_away_too(store, tmp_path):
    from annotate.backup import restore

    store.backup(tmp_path / "before.tar")
    run = asked(store, "me")
    flagged(store, run, "me")
    with store.read() as db:
        mark = eventlog.mark_of(db)
    store.backup(tmp_path / "whole.tar")
    store.delete_held("me")
    log = eventlog.since(store, mark)
    store.backup(tmp_path / "after.tar")
    restore(tmp_path / "after.tar", tmp_path / "b" / "tinyrs.db")
    assert not list((tmp_path / "b" / "pictures").iterdir())
    restore(tmp_path / "whole.tar", tmp_path / "c" / "tinyrs.db")
    with Store(tmp_path / "c" / "tinyrs.db") as back:
        assert back.held("me")["runs"] == 1
        eventlog.replay(back, log.data)
        assert back.held("me")["runs"] == 0 and back.search("grandmother") == []


def test_an_operator_takes_a_run_back_with_all_that_anybody_said_of_it_also_where_the_log_is_replayed(store, tmp_path):
    from annotate.backup import restore

    run, other = asked(store, "me", shade=9), asked(store, "", shade=0)
    caption = flagged(store, run, "you", "visitor 2")
    store.add_vote(run, "A", author="visitor 3", holder="them")
    with store.read() as db:
        mark = eventlog.mark_of(db)
    store.backup(tmp_path / "whole.tar")
    with pytest.raises(NotFound):
        store.delete_run("nope")
    assert store.delete_run(run) == {"runs": 1, "flags": 1, "votes": 1}
    with pytest.raises(NotFound):
        store.delete_run(run)
    assert store.runs() == [other] and queue.next_to_annotate(store, "Ada") is None
    assert [file.read_bytes() for file in store.pictures.iterdir()] == [drawn(0)]
    with pytest.raises(NotFound):
        store.caption(caption)
    log = eventlog.since(store, mark)
    restore(tmp_path / "whole.tar", tmp_path / "c" / "tinyrs.db")
    with Store(tmp_path / "c" / "tinyrs.db") as back:
        assert back.has_run(run)
        eventlog.replay(back, log.data)
        assert back.runs() == [other] and len(back.search("grandmother")) == len(store.search("grandmother")) == 0


def test_the_place_where_it_is_saved_loses_the_picture_with_its_next_snapshot(store, tmp_path, monkeypatch):
    from annotate import keeper
    from annotate.vault import Folder

    monkeypatch.setattr(keeper, "LOGS", 0)  # every saving is a snapshot
    vault = Folder(tmp_path / "bucket")
    saving = keeper.Keeper(store.path, vault)
    add_caption(store)
    asked(store, "me", shade=9)
    saving.save()
    assert len([name for name in vault.names() if name.startswith("pictures/")]) == 2
    store.delete_held("me")
    saving.save()
    saving.store.close()
    assert len([name for name in vault.names() if name.startswith("pictures/")]) == 1
    assert keeper.restore(vault, tmp_path / "c" / "tinyrs.db").problems == ()


def test_the_limit_of_a_minute_holds_for_somebody_who_deletes_in_between(store):
    from annotate.rules import FLAGS_A_MINUTE, TooFast

    for _ in range(FLAGS_A_MINUTE):
        flagged(store, asked(store, "me"), "me")
        store.delete_held("me")
    with pytest.raises(TooFast):
        flagged(store, asked(store, "me"), "me")


def test_rows_of_a_comparison_that_stands_cannot_be_blanked(store):
    asked(store, "me")
    for table, column in (("runs", "question"), ("sides", "raw")):
        with pytest.raises((Refused, Exception), match="nothing was saved"), store.write() as db:
            db.conn.execute(f"UPDATE {table} SET {column} = ''")
    assert store.held("me")["runs"] == 1
