"""annotate/desk.py from the flag on an answer to the accepted caption, called without a browser."""

from __future__ import annotations

import pytest

from annotate import queue
from tests.pages import SHORT, Hands, become_a_space, hub_login, page, picture_file


@pytest.fixture
def hands(tmp_path):
    """Hands on a page whose Compare tab shows a picture."""
    hands = Hands(page())
    hands.upload(picture_file(tmp_path))
    return hands


@pytest.fixture
def flagged(hands):
    """Hands with B's answer flagged and its caption open."""
    hands.ask()
    hands.flag("B", ["wrong box"], "too low")
    hands.seen = hands.next()
    return hands


def test_the_next_caption_comes_with_its_picture_text_box_and_flags(flagged):
    seen = flagged.seen
    assert (
        seen["edit-reasoning"] == "Water covers the left half.\nThe longest hull lies beside the upper dock."
    )
    assert seen["edit-answer"] == "[[140,320,400,600]]"
    assert [seen[f"edit-{corner}"] for corner in ("x1", "y1", "x2", "y2")] == [140, 320, 400, 600]
    assert "box side-b" in seen["annotate-viewer"] and "Well-formed, 1 box" in seen["check"]
    assert seen["caption"]["visible"] and "1</b> caption waits" in seen["progress"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("[[100,300,380,560]]", "Well-formed, 1 box, IoU 0.65"),
        ("[[100,300,380,5", "Cannot be accepted yet"),
        ("[[380,300,100,560]]", "Cannot be accepted yet"),  # corners exchanged
        ("", "The answer is empty."),
        (None, "The answer is empty."),  # what Gradio sends for an emptied field
        ("<answer>", "Cannot be accepted yet"),
    ],
)
def test_the_check_line_follows_the_text(flagged, words, said):
    seen = flagged.read("check", flagged.event("check").fn(flagged.caption, "Long hull.", words))
    assert said in seen["check"]


def test_a_number_moves_one_side_of_the_box_in_the_answer(flagged):
    def typed(words, which, *numbers):
        update = flagged.event(f"check_corner_{which}").fn(
            flagged.caption, "Long hull.", words, which, *numbers
        )
        return flagged.read(f"check_corner_{which}", update)

    seen = typed("It is [[1,2,30,40]] there.", 0, 10, 99, 99, 99)  # the other fields lag behind the answer
    assert seen["edit-answer"] == "It is [[10,2,30,40]] there."
    assert "[10, 2, 30, 40]" in seen["annotate-layers"]
    assert typed("A ship.", 3, 5, 6, 70, 80)["edit-answer"] == "A ship. [[5,6,70,80]]"
    assert typed(None, 0, 5, 6, 70, 80)["edit-answer"] == "[[5,6,70,80]]"
    assert typed("", 0, 5, None, 70, 80) == {} and typed("[[1,2,30,40]]", 0, None, 2, 30, 40) == {}


def test_a_correction_is_saved_and_accepted(flagged):
    caption = flagged.caption["id"]
    seen = flagged.judge("save", "The hull is long.", "[[100,300,380,560]]")
    assert "Saved" in seen["annotate-notice"]
    assert (
        "Nothing was changed"
        in flagged.judge("save", "The hull is long.", "[[100,300,380,560]]")["annotate-notice"]
    )
    seen = flagged.judge("accept", "The hull is long.\nIt is white.", "[[100,300,380,560]]")
    store = flagged.demo.page.store
    assert "Accepted" in seen["annotate-notice"] and not seen["caption"]["visible"]
    assert store.caption(caption)["state"] == "accepted"
    revisions = store.history(caption)
    assert [row["author"] for row in revisions] == ["model:thinker", "Ada", "Ada"]
    assert (
        revisions[-1]["reasoning"] == "The hull is long.\nIt is white."
        and revisions[-1]["boxes"][0].x1 == 100
    )
    assert len(store.accepted()) == 1


def test_what_the_parser_cannot_read_can_be_saved_but_not_accepted(flagged):
    seen = flagged.judge("accept", "The hull is long.", "[[100,300,380")
    assert "cannot be accepted yet" in seen["annotate-notice"]
    assert flagged.demo.page.store.caption(flagged.caption["id"])["state"] == "annotate"
    assert "Saved" in flagged.judge("save", "The hull is long.", "[[100,300,380")["annotate-notice"]


def test_who_saves_second_sees_the_others_text_and_loses_nothing(flagged):
    store, caption = flagged.demo.page.store, flagged.caption
    store.save_correction(
        caption["revision"]["id"], reasoning="Bob's <b>view</b>.", answer=SHORT, author="Bob"
    )
    seen = flagged.judge("save", "Ada's view.", "[[1,2,30,40]]")
    assert "Bob</b>" not in seen["conflict"] and "Bob saved another version first" in seen["conflict"]
    assert "Bob&#x27;s &lt;b&gt;view" in seen["conflict"] and "edit-reasoning" not in seen
    assert "Saved" in flagged.judge("save", "Ada's view.", "[[1,2,30,40]]")["annotate-notice"]
    assert [row["author"] for row in store.history(caption["id"])] == ["model:thinker", "Bob", "Ada"]


def test_reject_and_skip(flagged):
    store, caption = flagged.demo.page.store, flagged.caption["id"]
    seen = flagged.judge("skip")
    assert seen["caption"]["visible"], "the only caption comes back"
    assert "Rejected" in flagged.judge("reject")["annotate-notice"]
    assert store.caption(caption)["state"] == "rejected" and queue.left(store)["annotate"] == 0


def test_without_a_name_nothing_is_opened_or_written(hands):
    hands.ask()
    hands.flag()
    assert "Write your name first" in hands.next("  ")["annotate-notice"] and hands.caption is None
    assert "caption" not in hands.call("annotate", None, "", 0)
    assert hands.call("annotate", None, "Ada", 0)["caption"]["visible"]
    assert "edit-answer" not in hands.call("annotate", hands.caption, "Ada", 0), "what is being edited stays"
    for verb, fields in (("save", ("a", "b")), ("accept", ("a", "b")), ("reject", ()), ("skip", ())):
        assert "name" in hands.judge(verb, *fields, name="")["annotate-notice"]


def test_on_a_public_space_only_a_login_may_correct(monkeypatch, tmp_path):
    become_a_space(monkeypatch, TINYRS_REVIEWERS="ada")
    hands = Hands(page())
    hands.upload(picture_file(tmp_path))
    hands.ask()
    hands.flag()
    store = hands.demo.page.store
    assert not store.self_review
    hands.request.username = "ada"  # Gradio's passwords are no login of the hub
    hands.caption = store.caption(1)
    for verb, fields in (("save", ("a", SHORT)), ("accept", ("a", SHORT)), ("reject", ()), ("skip", ())):
        assert "need a login" in hands.judge(verb, *fields, name="Ada")["annotate-notice"], verb
    assert "need a login" in hands.next("Ada")["annotate-notice"]
    assert len(store.history(1)) == 1 and store.caption(1)["state"] == "annotate"
    hands.request.request = hub_login("ada")
    hands.next("ignored")
    hands.judge("save", "The hull is long.", SHORT)
    assert store.history(1)[-1]["author"] == "ada"
    assert "somebody else" in hands.judge("accept", "The hull is long.", SHORT)["annotate-notice"]
