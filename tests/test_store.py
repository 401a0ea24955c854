"""What was acknowledged stays, nobody's text is lost to somebody else's, and rules hold in the store itself.

The tests with many processes, kills and full disks are in test_store_faults.py.
"""

import hashlib
import threading

import pytest
from PIL import Image

from annotate.rules import LONGEST
from annotate.store import REASONS, Conflict, NewCaption, NotFound, Refused, Side, Store, StoreError, TooFast
from tests.store_parts import (
    ROOF,
    SCENE,
    Clock,
    add_caption,
    add_picture,
    add_run,
    check_whole,
    drawn,
    head,
    side,
)
from tinyrs.example import Answer, Box, Question, Task
from tinyrs.image import Picture, open_picture


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    with Store(tmp_path / "data" / "tinyrs.db", clock=clock) as opened:
        yield opened
        check_whole(opened)


# --- opening ----------------------------------------------------------------------------------------------


def test_the_file_is_opened_with_the_journal_and_syncs_that_survive_a_power_cut(store):
    with store.read() as db:
        pragmas = {
            name: db.conn.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "delete", "synchronous": 3, "foreign_keys": 1, "busy_timeout": 30_000}


def test_no_database_is_made_where_one_is_asked_for(tmp_path):
    with pytest.raises(NotFound, match="There is no database at"):
        Store(tmp_path / "none.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_opened_gets_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "a.db", tmp_path):
        with pytest.raises(StoreError, match="cannot be opened"):
            Store(path)


def test_a_store_cannot_be_carried_into_a_forked_process(store, monkeypatch):
    monkeypatch.setattr("os.getpid", lambda: -1)  # what a forked process would see
    with pytest.raises(RuntimeError, match="forked"):
        store.stats()
    monkeypatch.undo()
    assert store.stats()["runs"] == 0


def test_threads_share_one_store(store):
    picture = add_picture(store)
    runs, problems = [], []

    def work():
        try:
            for _ in range(5):
                runs.append(add_run(store, picture=picture))
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(set(runs)) == 30 == store.stats()["runs"]


# --- pictures ---------------------------------------------------------------------------------------------


def test_a_picture_is_kept_byte_for_byte_under_its_checksum(store):
    data = drawn(1, "JPEG")
    sha256 = store.add_picture(open_picture(data), data)
    assert sha256 == hashlib.sha256(data).hexdigest()
    assert store.picture_path(sha256) == store.path.parent / "pictures" / f"{sha256}.jpg"
    assert store.picture_path(sha256).read_bytes() == data
    row = store.picture(sha256)
    assert (row["width"], row["height"], row["format"], row["bytes"]) == (64, 48, "JPEG", len(data))
    assert (row["notes"], row["crs"], row["transform"]) == ((), None, None)


def test_the_same_picture_twice_is_one(store):
    assert add_picture(store, 3) == add_picture(store, 3)
    assert store.stats()["pictures"] == 1
    assert len(list(store.pictures.iterdir())) == 1


def test_a_damaged_file_is_put_right_when_its_picture_comes_again(store):
    sha256 = add_picture(store, 3)
    store.picture_path(sha256).write_bytes(b"half")
    add_picture(store, 3)
    assert store.picture_path(sha256).read_bytes() == drawn(3)


def test_a_file_that_is_not_the_picture_is_refused(store):
    with pytest.raises(Refused, match="do not belong together"):
        store.add_picture(open_picture(drawn(1)), drawn(2))
    assert store.stats()["pictures"] == 0


def test_what_was_done_to_a_picture_and_where_it_lies_are_kept(store):
    from tinyrs.image import GeoReference

    data = drawn(1)
    geo = GeoReference("EPSG:32633", (0.5, 0.0, 1.0, 0.0, -0.5, 2.0))
    image = Image.new("RGB", (64, 48))
    store.add_picture(Picture(image, hashlib.sha256(data).hexdigest(), "TIFF", ("Stretched.",), geo), data)
    row = store.picture(hashlib.sha256(data).hexdigest())
    assert (row["notes"], row["crs"], row["transform"]) == (("Stretched.",), geo.crs, geo.transform)


@pytest.mark.parametrize("key", ["", "0" * 64, "../x", "é", "\ud800", "\0", None, 7, 2**70, ["a"], b"a"])
def test_what_is_not_there_is_a_sentence_whatever_is_asked_for(store, key):
    for ask in (store.picture, store.picture_path, store.run, store.caption, store.history, store.revision):
        with pytest.raises(NotFound, match="There is no such"):
            ask(key)


# --- runs -------------------------------------------------------------------------------------------------


def test_a_run_comes_back_as_it_was(store):
    picture = add_picture(store)
    a = side("<reasoning> 1. It is é 港. </reasoning> <answer> [[1,2,30,40]] </answer>", "pocket-r1")
    broken = Answer(
        "<answer> [[", "", (), (Box(1.5, 2, 3, 4, "ship", 30.0),), (Box(0, 0, 1, 1),), False, True, ("Cut.",)
    )
    b = Side("http://host:1/v1#m", broken, 3, None, 1.25, "The model stopped.")
    run = store.add_run(picture, ROOF, {"A": a, "B": b}, author=" Ann ")
    back = store.run(run)
    assert back["sides"] == {"A": a, "B": b}
    assert (back["picture"], back["question"], back["author"]) == (picture, ROOF, "Ann")
    assert (back["flags"], back["votes"]) == ([], {})
    assert store.runs() == [run]


def test_ids_of_runs_cannot_be_guessed(store):
    runs = {add_run(store) for _ in range(20)}
    assert len(runs) == 20
    assert all(len(run) >= 22 for run in runs)  # 128 bits


def test_what_sqlite_or_utf8_cannot_hold_in_a_models_text_does_not_lose_the_run(store):
    answer = Answer("a\0b\ud800c", "a\ud800", ("s\0",), (Box(float("nan"), 1, 2, 3), Box(1, 2, 3, 4)))
    run = store.add_run(add_picture(store), ROOF, {"A": Side("m", answer, seconds=float("inf"))})
    back = store.run(run)["sides"]["A"]
    assert back.answer.raw == "a\ufffdb?c"
    assert back.answer.boxes == (Box(1, 2, 3, 4),)
    assert back.seconds == 0


@pytest.mark.parametrize(
    "sides",
    [
        {},
        {"": side("a")},
        {"tie": side("a")},
        {"A B": side("a")},
        {"A": Side("m", Answer("x" * (LONGEST["raw"] + 1)))},
    ],
)
def test_a_run_that_makes_no_sense_is_refused_whole(store, sides):
    with pytest.raises(Refused):
        store.add_run(add_picture(store), ROOF, sides)
    assert store.stats()["runs"] == 0


def test_a_run_needs_its_picture(store):
    with pytest.raises(NotFound, match="picture"):
        store.add_run("0" * 64, ROOF, {"A": side("a")})


# --- flags and votes --------------------------------------------------------------------------------------


def test_a_flag_puts_the_answer_into_the_queue(store):
    run = add_run(store)
    flag = store.add_flag(run, "B", ["wrong box", "wrong class"], "left of it", author="Ann")
    assert store.run(run)["flags"] == [
        {
            "id": flag,
            "run": run,
            "side": "B",
            "reasons": ("wrong class", "wrong box"),
            "note": "left of it",
            "author": "Ann",
            "caption": 1,
            "created_at": "2023-11-14T22:13:20.000Z",
        }
    ]
    caption = store.caption(1)
    assert (caption["run"], caption["side"], caption["state"]) == (run, "B", "annotate")
    assert caption["why"].splitlines()[-1] == "flagged: wrong class, wrong box"
    assert caption["flags"] == store.run(run)["flags"]
    assert caption["revision"]["reasoning"] == "The roof is bright. It lies left."
    assert caption["revision"]["answer"] == "[[80,100,470,520]]"
    assert caption["revision"]["boxes"] == (Box(80, 100, 470, 520),)
    assert caption["revision"]["author"] == "model:model-B"


def test_flags_of_one_answer_share_one_caption(store):
    run = add_run(store)
    store.add_flag(run, "A", ["other"], author="Ann")
    store.add_flag(run, "A", ["wrong box"], author="Bob")
    assert store.stats()["captions"]["total"] == 1
    assert len(store.caption(1)["flags"]) == 2


def test_the_boxes_of_another_dialect_are_annotated_in_ours(store):
    answer = Answer("x", "{<10><20><30><40>|<90>}", (), (Box(100, 200, 300, 400),))
    run = store.add_run(add_picture(store), ROOF, {"A": Side("geochat", answer)})
    store.add_flag(run, "A", ["wrong box"], author="Ann")
    assert store.caption(1)["revision"]["answer"] == "[[100,200,300,400]]"


def test_a_reasoning_keeps_the_layout_that_the_model_gave_it(store):
    text = "<reasoning>\n1. A roof.\n2. It is bright. </reasoning> <answer> port </answer>"
    run = add_run(store, SCENE, A=text)
    store.add_flag(run, "A", ["other"], author="Ann")
    assert store.caption(1)["revision"]["reasoning"] == "1. A roof.\n2. It is bright."


def test_the_steps_are_kept_of_a_reasoning_without_its_form(store):
    run = add_run(store, SCENE, A="<reasoning> A roof. It is bright.")
    store.add_flag(run, "A", ["format"], author="Ann")
    assert store.caption(1)["revision"]["reasoning"] == "A roof.\nIt is bright."


def test_a_side_without_text_can_be_flagged_but_gives_nothing_to_correct(store):
    run = store.add_run(add_picture(store), ROOF, {"A": Side("m", Answer(""), error="It failed.")})
    store.add_flag(run, "A", ["other"], author="Ann")
    assert store.stats()["captions"]["total"] == 0
    assert store.run(run)["flags"][0]["caption"] is None


@pytest.mark.parametrize("reasons", [[], "other", ["nonsense"], ["other", "nonsense"], [None], None])
def test_a_flag_gives_reasons_from_the_fixed_list(store, reasons):
    with pytest.raises(Refused, match="Say what is wrong"):
        store.add_flag(add_run(store), "A", reasons, author="Ann")


def test_every_reason_can_be_given(store):
    store.add_flag(add_run(store), "A", REASONS, author="Ann")
    assert store.stats()["flags"] == {"total": 1, **dict.fromkeys(REASONS, 1)}


def test_a_note_may_have_2000_characters_and_no_more(store):
    run = add_run(store)
    store.add_flag(run, "A", ["other"], "é" * 2000, author="Ann")
    for note in ("é" * 2001, "x" * 10_000_000):
        with pytest.raises(Refused, match="at most 2,000"):
            store.add_flag(run, "A", ["other"], note, author="Ann")
    assert len(store.run(run)["flags"]) == 1


def test_ten_flags_a_minute_are_taken_from_one_author_and_no_more(store, clock):
    run = add_run(store)
    for _ in range(10):
        store.add_flag(run, "A", ["other"], author="Spam")
    with pytest.raises(TooFast, match=r"^You have sent 10 flags within a minute: please wait a little\.$"):
        store.add_flag(run, "A", ["other"], author="Spam")
    store.add_flag(run, "A", ["other"], author="Ann")
    # The limit is in the file: opening it anew does not reset it.
    with Store(store.path, clock=clock) as second, pytest.raises(TooFast):
        second.add_flag(run, "A", ["other"], author="Spam")
    clock.pass_minutes(1.01)
    store.add_flag(run, "A", ["other"], author="Spam")
    assert len(store.run(run)["flags"]) == 12


def test_flags_name_a_side_that_is_there(store):
    run = add_run(store)
    with pytest.raises(NotFound, match="no such side"):
        store.add_flag(run, "C", ["other"], author="Ann")
    with pytest.raises(NotFound, match="no such run"):
        store.add_flag("nowhere", "A", ["other"], author="Ann")


def test_an_authors_last_vote_counts(store):
    run = add_run(store)
    for author, choice in (("Ann", "A"), ("Bob", "tie"), ("Ann", "B"), ("Cem", "B"), ("Dan", "neither")):
        store.add_vote(run, choice, author=author)
    assert store.run(run)["votes"] == {"B": 2, "neither": 1, "tie": 1}
    with pytest.raises(Refused, match="Vote for"):
        store.add_vote(run, "C", author="Ann")


# --- captions and corrections -----------------------------------------------------------------------------


def test_captions_come_in_once_whatever_number_of_times_they_are_added(store):
    picture = add_picture(store)
    new = [NewCaption(picture, SCENE, f"Reason {i}.", "port", "import:x") for i in range(2500)]
    ids, added = store.add_captions([*new, new[7]])
    assert (added, len(ids), ids[-1]) == (2500, 2501, ids[7])
    assert store.add_captions(new) == (ids[:-1], 0)
    assert store.stats()["captions"]["annotate"] == 2500


def test_a_caption_that_breaks_a_rule_keeps_the_others_out(store):
    picture = add_picture(store)
    good = NewCaption(picture, SCENE, "r", "port", "import:x")
    for bad in (
        NewCaption(picture, SCENE, "r", " ", "import:x"),
        NewCaption(picture, SCENE, "r\0", "port", "import:x"),
        NewCaption(picture, SCENE, "r", "port", ""),
        NewCaption("0" * 64, SCENE, "r", "port", "import:x"),
    ):
        with pytest.raises(StoreError):
            store.add_captions([good, bad])
    assert store.stats()["captions"]["total"] == 0


def test_a_correction_follows_its_parent(store):
    caption = add_caption(store)
    revision = store.save_correction(
        head(store, caption), reasoning="Better.\r\nMore.", answer="[[1,2,3,4]]", author="Ann", note="why"
    )
    first, second = store.history(caption)
    assert (first["parent"], first["author"]) == (None, "import:test")
    assert second == {
        "id": revision,
        "caption": caption,
        "parent": first["id"],
        "restores": None,
        "reasoning": "Better.\nMore.",
        "answer": "[[1,2,3,4]]",
        "boxes": (Box(1, 2, 3, 4),),
        "author": "Ann",
        "note": "why",
        "created_at": "2023-11-14T22:13:20.000Z",
        "reviews": [],
    }
    assert store.caption(caption)["state"] == "review"
    assert store.revision(revision)["reasoning"] == "Better.\nMore."


def test_who_saves_second_gets_a_conflict_with_the_others_text_and_both_can_be_found(store):
    caption = add_caption(store)
    opened = head(store, caption)  # A and B look at the same revision
    a = store.save_correction(opened, reasoning="A's.", answer="[[1,2,3,4]]", author="A")
    with pytest.raises(Conflict, match="A saved another version") as conflict:
        store.save_correction(opened, reasoning="B's.", answer="[[5,6,7,8]]", author="B")
    other = conflict.value.other
    assert (other["id"], other["reasoning"], other["boxes"]) == (a, "A's.", (Box(1, 2, 3, 4),))
    assert len(store.history(caption)) == 2  # B's was not mixed in
    b = store.save_correction(other["id"], reasoning="B's.", answer="[[5,6,7,8]]", author="B")
    assert [row["reasoning"] for row in store.history(caption)] == ["The roof is bright.", "A's.", "B's."]
    assert store.revision(b)["parent"] == a


def test_boxes_that_were_drawn_become_the_answer_of_a_grounding_question_only(store):
    boxes = [Box(10.4, 20, 30, 39.6)]
    roof, scene = add_caption(store), add_caption(store, answer="port", question=SCENE)
    store.save_correction(head(store, roof), reasoning="r", answer="", author="Ann", boxes=boxes)
    store.save_correction(head(store, scene), reasoning="r", answer="port", author="Ann", boxes=boxes)
    assert store.caption(roof)["revision"]["answer"] == "[[10,20,30,40]]"
    assert store.caption(roof)["revision"]["boxes"] == (Box(10, 20, 30, 40),)
    assert store.caption(scene)["revision"]["answer"] == "port"


def test_a_draft_that_no_parser_can_read_may_be_saved_but_not_accepted(store):
    caption = add_caption(store)
    draft = store.save_correction(head(store, caption), reasoning="so", answer="[[1,2", author="Ann")
    with pytest.raises(Refused, match="cannot be accepted"):
        store.add_review(draft, "accept", author="Bob")
    assert store.caption(caption)["state"] == "review"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reasoning", "x" * 20_001),
        ("reasoning", "a\0b"),
        ("reasoning", "a\x1b[31m"),
        ("reasoning", "\ud800"),
        ("reasoning", None),
        ("answer", "x" * 8_001),
        ("author", ""),
        ("author", "   "),
        ("author", "x" * 101),
        ("author", "a\nb\u202ec"),
        ("author", "model:pocket"),
        ("author", "\uff29MPORT:x"),  # a full-width I is the same letter
        ("author", None),
        ("note", "x" * 2_001),
    ],
)
def test_what_is_no_text_or_no_name_is_refused_and_nothing_is_saved(store, field, value):
    caption = add_caption(store)
    given = {"reasoning": "r", "answer": "a", "author": "Ann", "note": "", field: value}
    with pytest.raises(Refused):
        store.save_correction(head(store, caption), **given)
    assert len(store.history(caption)) == 1


def test_undo_is_a_new_revision_and_undo_twice_is_redo(store):
    caption = add_caption(store)
    first = head(store, caption)
    second = store.save_correction(first, reasoning="Better.", answer="[[1,2,3,4]]", author="Ann")
    undone = store.undo(second, author="Ann")
    row = store.caption(caption)["revision"]
    assert (row["id"], row["parent"], row["restores"]) == (undone, second, first)
    assert row["reasoning"] == "The roof is bright."
    assert store.caption(caption)["state"] == "annotate"  # the text it came in with: still to be done
    store.undo(undone, author="Ann")
    assert store.caption(caption)["revision"]["reasoning"] == "Better."
    assert store.caption(caption)["state"] == "review"
    assert len(store.history(caption)) == 4


def test_there_is_nothing_to_undo_in_a_caption_as_it_came_in(store):
    with pytest.raises(Refused, match="nothing to undo"):
        store.undo(head(store, add_caption(store)), author="Ann")


def test_undo_does_not_take_back_what_somebody_else_saved_meanwhile(store):
    caption = add_caption(store)
    mine = store.save_correction(head(store, caption), reasoning="Mine.", answer="a", author="Ann")
    store.save_correction(mine, reasoning="Bob's.", answer="a", author="Bob")
    with pytest.raises(Conflict) as conflict:
        store.undo(mine, author="Ann")
    assert conflict.value.other["reasoning"] == "Bob's."


# --- reviews ----------------------------------------------------------------------------------------------


def corrected(store, author="Ann", **more):
    caption = add_caption(store, **more)
    return store.save_correction(
        head(store, caption), reasoning="The roof is bright.", answer="[[80,100,470,521]]", author=author
    )


def test_an_accepted_revision_is_what_an_export_may_hold(store):
    revision = corrected(store)
    assert store.accepted() == []
    store.add_review(revision, "accept", author="Bob", note="fine")
    (row,) = store.accepted()
    assert (row["revision"], row["author"], row["reviewer"], row["self_reviewed"]) == (
        revision,
        "Ann",
        "Bob",
        False,
    )
    assert (row["question"], row["boxes"]) == (ROOF, (Box(80, 100, 470, 521),))
    assert store.caption(1)["state"] == "accepted"
    assert store.history(1)[1]["reviews"][0]["note"] == "fine"


@pytest.mark.parametrize("name", ["Ann", "ann", " ANN ", "\uff21nn"])
def test_nobody_accepts_their_own_text_under_whatever_spelling(store, name):
    with pytest.raises(Refused, match="somebody else"):
        store.add_review(corrected(store), "accept", author=name)
    assert store.accepted() == []


def test_an_undo_by_somebody_else_does_not_wash_a_text_clean(store):
    mine = corrected(store, author="Ann")
    theirs = store.save_correction(mine, reasoning="x", answer="[[1,2,3,4]]", author="Bob")
    restored = store.undo(theirs, author="Bob")  # Ann's words, saved by Bob
    for author in ("Ann", "Bob"):
        with pytest.raises(Refused, match="somebody else"):
            store.add_review(restored, "accept", author=author)
    store.add_review(restored, "accept", author="Cem")


def test_a_lone_person_may_accept_own_text_only_where_the_store_allows_it_and_it_shows(store, clock):
    with Store(store.path, self_review=True, clock=clock) as laptop:
        revision = corrected(laptop)
        laptop.add_review(revision, "accept", author="Ann")
        assert laptop.accepted()[0]["self_reviewed"] is True
        assert laptop.stats()["reviews"]["self_reviewed"] == 1
        laptop.add_review(revision, "accept", author="Bob")  # a second pair of eyes takes the mark away
        assert (laptop.accepted()[0]["self_reviewed"], laptop.accepted()[0]["reviewer"]) == (False, "Bob")


def test_a_caption_as_it_came_in_may_be_accepted_as_it_is(store):
    caption = add_caption(store)
    store.add_review(head(store, caption), "accept", author="Ann")
    assert store.accepted()[0]["author"] == "import:test"


def test_an_amendment_is_a_new_text_that_somebody_else_has_to_accept(store):
    revision = corrected(store)
    amended = store.add_review(revision, "amend", author="Bob", answer="[[80,100,470,522]]", note="edge")
    row = store.caption(1)
    assert (row["state"], row["revision"]["id"], row["revision"]["author"]) == ("review", amended, "Bob")
    assert row["revision"]["reasoning"] == "The roof is bright."
    assert store.accepted() == []
    with pytest.raises(Refused):
        store.add_review(amended, "accept", author="Bob")
    store.add_review(amended, "accept", author="Ann")
    assert store.accepted()[0]["answer"] == "[[80,100,470,522]]"


def test_an_amendment_that_changes_nothing_leaves_no_review_behind(store):
    revision = corrected(store)
    with pytest.raises(Refused, match="changes nothing"):
        store.add_review(revision, "amend", author="Bob", answer="[[80,100,470,521]]")
    assert store.history(1)[1]["reviews"] == []


def test_who_reviews_an_older_text_than_the_newest_gets_a_conflict(store):
    old = corrected(store)
    store.save_correction(old, reasoning="Newer.", answer="[[1,2,3,4]]", author="Ann")
    for verdict, text in (("accept", {}), ("amend", {"answer": "x"})):
        with pytest.raises(Conflict) as conflict:
            store.add_review(old, verdict, author="Bob", **text)
        assert conflict.value.other["reasoning"] == "Newer."


def test_the_last_verdict_counts(store):
    revision = corrected(store)
    for verdict, exported in (("accept", 1), ("reject", 0), ("accept", 1)):
        store.add_review(revision, verdict, author="Bob")
        assert len(store.accepted()) == exported
    assert store.caption(1)["state"] == "accepted"


def test_an_accepted_text_stays_exportable_while_a_newer_one_waits_and_can_be_withdrawn(store):
    accepted = corrected(store)
    store.add_review(accepted, "accept", author="Bob")
    newer = store.save_correction(accepted, reasoning="Newer.", answer="[[1,2,3,4]]", author="Ann")
    assert [row["revision"] for row in store.accepted()] == [accepted]
    store.add_review(newer, "accept", author="Bob")
    assert [row["revision"] for row in store.accepted()] == [newer]
    store.add_review(newer, "reject", author="Bob")
    assert [row["revision"] for row in store.accepted()] == [accepted]
    store.add_review(accepted, "reject", author="Bob")
    assert store.accepted() == []


def test_a_verdict_on_an_older_text_leaves_the_newest_where_it_waits(store):
    older = corrected(store)
    store.save_correction(older, reasoning="Newer.", answer="[[1,2,3,4]]", author="Ann")
    store.add_review(older, "reject", author="Bob")
    assert store.caption(1)["state"] == "review"


@pytest.mark.parametrize(
    ("verdict", "text"),
    [("maybe", {}), ("", {}), (None, {}), ("accept", {"answer": "x"}), ("reject", {"reasoning": "x"})],
)
def test_a_review_is_one_of_three_verdicts(store, verdict, text):
    with pytest.raises(Refused):
        store.add_review(corrected(store), verdict, author="Bob", **text)


# --- search, lineage, counts ------------------------------------------------------------------------------


def test_words_are_found_in_reasoning_and_answer_of_every_revision(store):
    caption = add_caption(store, "A harbour with cranes.", "port", SCENE)
    other = add_caption(store, "Fields.", "farmland", SCENE)
    store.save_correction(head(store, caption), reasoning="Containers.", answer="port", author="Ann")
    assert [row["id"] for row in store.search("crane")] == [caption]
    assert [row["id"] for row in store.search("container PORT")] == [caption]
    assert store.search("contai port") == store.search("containers farmland") == []
    assert [row["id"] for row in store.search("field")] == [other]
    assert store.search("zebra") == store.search("") == []


@pytest.mark.parametrize("words", ['"', "a OR b", "NEAR(", "x*", "-y", "col:z", "(", "'; DROP TABLE runs"])
def test_search_takes_any_words_as_words(store, words):
    add_caption(store)
    assert store.search(words) == []


def test_where_a_caption_went_can_be_told(store):
    first = corrected(store)
    store.add_review(first, "accept", author="Bob")
    export = store.record_export("cot_sft", "a" * 64, [first])
    assert store.record_export("cot_sft", "a" * 64, [first]) == export
    assert [(row["export"], row["row"], row["revision"]) for row in store.exports_of(1)] == [
        (export, 0, first)
    ]
    with pytest.raises(StoreError):
        store.record_export("sft", "b" * 64, [first, 999])
    assert store.stats()["exports"] == 1


def test_stats_count_everything(store):
    run = add_run(store)
    store.add_flag(run, "A", ["other", "wrong box"], author="Ann")
    store.add_vote(run, "A", author="Ann")
    store.add_review(corrected(store), "reject", author="Bob")
    stats = store.stats()
    assert stats["captions"] == {"total": 2, "annotate": 1, "review": 0, "accepted": 0, "rejected": 1}
    assert stats["flags"] == {"total": 1, "wrong box": 1, "other": 1}
    assert stats["reviews"] == {"accept": 0, "amend": 0, "reject": 1, "self_reviewed": 0}
    assert (stats["pictures"], stats["runs"], stats["votes"], stats["exportable"]) == (1, 1, 1, 0)


def test_nobody_is_taken_at_a_word_about_a_task(store):
    with pytest.raises(Refused, match="no such task"):
        store.add_run(add_picture(store), Question("q", "nonsense"), {"A": side("a")})
    run = store.add_run(add_picture(store), Question("q", Task.OPEN, ("a", "b")), {"A": side("a")})
    assert store.run(run)["question"].labels == ("a", "b")
