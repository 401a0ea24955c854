"""Marks on steps: kept, changed, taken back, timed; and verdicts that are withdrawn. Nothing is ever deleted."""

import pytest

from annotate import marks, queue
from annotate.store import NotFound, Refused, Store
from tests.store_parts import Clock, add_caption, check_whole, head


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    with Store(tmp_path / "tinyrs.db", clock=clock) as opened:
        yield opened
        check_whole(opened)


@pytest.fixture
def revision(store):
    return head(store, add_caption(store, "The roof is bright. It lies left.\nIt is round."))


def said(store, revision, author="Ann"):
    return {step: row["verdict"] for step, row in marks.current(store, revision, author).items()}


def rows(store):
    with store.read() as db:
        return db.conn.execute("SELECT count(*) FROM marks").fetchone()[0]


def test_the_newest_mark_of_each_step_counts_and_each_author_has_own_ones(store, revision):
    marks.add(store, revision, 0, "ok", author="Ann")
    marks.add(store, revision, 2, "wrong", author="Ann", reason="other", rewrite="It is\nsquare.")
    marks.add(store, revision, 0, "unsupported", author="Ann")
    marks.add(store, revision, 0, "wrong", author="Bob")
    assert said(store, revision) == {0: "unsupported", 2: "wrong"}
    assert marks.current(store, revision, "Ann")[2]["rewrite"] == "It is square."
    assert set(marks.of_revision(store, revision)) == {"Ann", "Bob"} and rows(store) == 4


def test_undo_goes_back_mark_by_mark_and_adds_rows(store, revision):
    for step, verdict in ((0, "ok"), (0, "wrong"), (1, "ok")):
        marks.add(store, revision, step, verdict, author="Ann")
    marks.add(store, revision, 1, "wrong", author="Bob")
    seen = []
    while last := marks.withdraw(store, revision, author="Ann"):
        seen.append((last["step"], last["verdict"]))
        if len(seen) == 2:
            assert said(store, revision) == {0: "ok"}
    assert seen == [(1, "ok"), (0, "wrong"), (0, "ok")]
    assert said(store, revision) == {} and said(store, revision, "Bob") == {1: "wrong"} and rows(store) == 7


@pytest.mark.parametrize(
    ("step", "more"),
    [
        (3, {}),  # three steps only
        (-1, {}),
        ("0", {}),
        (True, {}),
        (0, {"verdict": "good"}),
        (0, {"verdict": "undo"}),
        (0, {"verdict": "wrong", "reason": "<b>"}),
        (0, {"verdict": "wrong", "rewrite": "x" * 4001}),
        (0, {"verdict": "ok", "reason": "other"}),
        (0, {"author": "model:x"}),
        (0, {"author": ""}),
    ],
)
def test_what_is_no_mark_is_refused(store, revision, step, more):
    given = {"verdict": "ok", "author": "Ann", **more}
    with pytest.raises(Refused):
        marks.add(store, revision, step, given.pop("verdict"), **given)
    assert rows(store) == 0


def test_a_mark_needs_a_revision(store):
    with pytest.raises(NotFound):
        marks.add(store, 7, 0, "ok", author="Ann")


def test_the_time_of_each_one_key_verdict_is_kept_and_its_median_told(store, revision, clock):
    assert marks.pace(store, "Ann") == {"median": None, "n": 0, "caption": None, "captions": 0}
    caption = queue.next_to_annotate(store, "Ann")["id"]
    for step, seconds in ((0, 2.5), (1, 1.0), (2, 60.0)):
        clock.seconds += seconds
        marks.add(store, revision, step, "wrong", author="Ann")
    clock.seconds += 30
    marks.add(store, revision, 0, "wrong", author="Ann", reason="other")  # no one-key verdict
    queue.release(store, caption, "Ann")
    pace = marks.pace(store, "Ann")
    assert pace["n"] == 3 and pace["median"] == pytest.approx(2.5, abs=0.01)
    assert pace["captions"] == 1 and pace["caption"] == pytest.approx(93.5, abs=0.01)
    assert marks.pace(store, "Bob")["n"] == 0


def test_who_never_opened_the_caption_is_not_timed(store, revision):
    marks.add(store, revision, 0, "ok", author="Ann")
    assert marks.current(store, revision, "Ann")[0]["seconds"] is None


def test_a_verdict_can_be_withdrawn_by_its_author_alone_and_leaves_the_export(store, revision):
    caption = store.revision(revision)["caption"]
    review = store.add_review(revision, "accept", author="Ann")
    assert len(store.accepted()) == 1
    with pytest.raises(Refused, match="Only who gave"):
        store.withdraw_review(review, author="Bob")
    store.withdraw_review(review, author="Ann")
    store.withdraw_review(review, author="Ann")
    assert store.accepted() == [] and store.caption(caption)["state"] == "annotate"
    assert store.history(caption)[0]["reviews"][0]["verdict"] == "accept", "what was said stays on record"
    store.add_review(revision, "accept", author="Ann")
    assert len(store.accepted()) == 1 and store.caption(caption)["state"] == "accepted"


def test_an_older_verdict_that_stands_counts_again(store, revision):
    caption = store.revision(revision)["caption"]
    fixed = store.save_correction(revision, reasoning="A roof.", answer="[[80,100,470,520]]", author="Ann")
    store.add_review(fixed, "accept", author="Bob")
    second = store.add_review(fixed, "reject", author="Cem")
    assert store.accepted() == [] and store.caption(caption)["state"] == "rejected"
    store.withdraw_review(second, author="Cem")
    (row,) = store.accepted()
    assert row["reviewer"] == "Bob" and store.caption(caption)["state"] == "accepted"
    store.withdraw_review(row_id(store, "Bob"), author="Bob")
    assert store.caption(caption)["state"] == "review"


def row_id(store, author):
    with store.read() as db:
        return db.conn.execute("SELECT id FROM reviews WHERE author = ?", [author]).fetchone()[0]
