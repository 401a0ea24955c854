"""annotate/eventlog.py: what was added since a mark, and the same record made of it elsewhere."""

import json
import random

import pytest

from annotate import eventlog, marks, overlap, queue
from annotate.eventlog import Rewritten, mark_of, newer, replay, since
from annotate.rules import Refused, StoreError
from annotate.store import Store
from tests.store_parts import SCENE, add_caption, add_picture, add_run, check_whole
from tests.test_backup import rows


@pytest.fixture
def stores(tmp_path):
    """The record, and a copy of it that will be brought up to date by logs."""
    with Store(tmp_path / "a" / "a.db") as one:
        add_run(one)
        one.snapshot(tmp_path / "b.db")
        with Store(tmp_path / "b.db") as other:
            yield one, other
            check_whole(one)
            check_whole(other)


def mark(store):
    with store.read() as db:
        return mark_of(db)


def work(store, luck, times):
    """So many things that people do, drawn by `luck`."""
    for _ in range(times):
        who = luck.choice(("Ada", "Bob", "Cem"))
        captions = list(range(1, store.stats()["captions"]["total"] + 1))
        caption = luck.choice(captions) if captions else None
        head = store.caption(caption)["revision"] if caption else None
        try:
            match luck.randrange(9):
                case 0:
                    add_caption(store, f"Fields {luck.random()}. They are green.", "farmland", SCENE, add_picture(store, luck.randrange(9)))
                case 1:
                    store.add_flag(add_run(store), "A", ["wrong box"], author=f"{who} {luck.random()}")
                case 2:
                    store.save_correction(head["id"], reasoning=f"It {luck.random()}.", answer=head["answer"], author=who)
                case 3:
                    store.add_review(head["id"], luck.choice(("accept", "reject")), author=who)
                case 4:
                    store.undo(head["id"], author=who)
                case 5:
                    queue.next_to_annotate(store, who)
                case 6:
                    queue.reopen(store, who)
                case 7:
                    marks.add(store, head["id"], 0, luck.choice(marks.VERDICTS), author=who)
                case 8:
                    overlap.add_gold(store, caption, reasoning="It is.", answer="farmland", author=who)
        except (StoreError, TypeError):
            pass  # refused, or nothing there yet


@pytest.mark.parametrize("seed", range(12))
def test_logs_make_the_same_record_whatever_was_done(stores, seed):
    one, other = stores
    luck, last = random.Random(seed), mark(one)
    for _ in range(4):
        work(one, luck, 20)
        found = since(one, last)
        assert newer(one, last) == found.rows == sum(found.end[t][0] - last[t][0] for t in last)
        assert replay(other, found.data) == found.rows
        last = found.end
        assert rows(other.path) == rows(one.path), "the index beside the record, too"
    assert since(one, last).rows == newer(one, last) == 0


def test_a_log_that_was_cut_anywhere_or_changed_is_refused_and_adds_nothing(stores):
    one, other = stores
    last, before = mark(one), rows(other.path)
    add_caption(one, "Fields.", "farmland", SCENE)
    data = since(one, last).data
    wrong = [data[:cut] for cut in range(0, len(data), 97)] + [data[:-2], data.replace(b"Fields", b"Fjelds"), b"[]\n[]\n"]
    for each in wrong:
        with pytest.raises(Refused, match="damaged"):
            replay(other, each)
        assert rows(other.path) == before
    assert replay(other, data) > 0


def test_a_log_that_goes_on_from_elsewhere_is_refused(stores):
    one, other = stores
    first = mark(one)
    add_caption(one, "Fields.", "farmland", SCENE)
    data, second = since(one, first).data, mark(one)
    add_caption(one, "Docks.", "port", SCENE)
    later, before = since(one, second).data, rows(other.path)
    with pytest.raises(Refused, match="does not go on"):
        replay(other, later)
    assert rows(other.path) == before
    replay(other, data)
    with pytest.raises(Refused, match="does not go on"):
        replay(other, data)
    replay(other, later)
    assert rows(other.path) == rows(one.path)


def forged(data, change):
    """The log with its lines changed and a checksum that fits."""
    head, *lines = [json.loads(line) for line in data.splitlines()][:-1]
    change(head, lines)
    body = b"".join(eventlog._line(line) for line in (head, *lines))
    return body + eventlog._line({"rows": len(lines), "sha256": eventlog.hashlib.sha256(body).hexdigest()})


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda head, lines: head.update(schema=99), "newer TinyRS"),
        (lambda head, lines: lines[0].update(table="sqlite_master"), "does not know"),
        (lambda head, lines: lines[0].update(table="heads"), "does not know"),
        (lambda head, lines: lines[0]["row"].update({'x") --': 1}), "does not know"),
        (lambda head, lines: lines[-1]["row"].update(caption=77), "nothing was saved"),
        (lambda head, lines: lines.append(lines[-1]), "nothing was saved"),
    ],
    ids=["newer", "schema", "index", "column", "nowhere", "twice"],
)
def test_rows_that_no_record_holds_are_refused(stores, change, words):
    one, other = stores
    last, before = mark(one), rows(other.path)
    add_caption(one, "Fields.", "farmland", SCENE)
    with pytest.raises(StoreError, match=words):
        replay(other, forged(since(one, last).data, change))
    assert rows(other.path) == before


def test_a_record_whose_rows_were_taken_away_is_no_case_for_a_log(stores):
    one, _ = stores
    last = mark(one)
    with one.write() as db:
        db.conn.execute("DROP TRIGGER sides_no_delete")
        db.conn.execute("DELETE FROM sides WHERE side = 'A'")
    with pytest.raises(Rewritten):
        since(one, last)
