"""annotate/desk.py on both tabs, without a browser: orders from outside, and who may do what."""

from types import SimpleNamespace

import pytest

from annotate import marks
from tests.pages import Hands, page
from tests.store_parts import SCENE, add_caption, add_picture

GREEN = "The fields in the middle are long and green. No water or dock can be seen beside them."


@pytest.fixture
def hands():
    demo = page()
    demo.page.store.self_review = False
    picture = add_picture(demo.page.store)
    for row in range(2):
        add_caption(demo.page.store, f"{GREEN} Row {row}.", "farmland", SCENE, picture)
    return Hands(demo)


def order(hands, name="Ada", tab="", draft=f"{GREEN} Row 0.", answer="farmland", **what):
    """Send an order as page.js would."""
    if what and "revision" not in what and hands.caption:
        what["revision"] = hands.caption["judged"]["id"]
    event = SimpleNamespace(_data={"number": 7, "order": what})
    update = hands.event(f"{tab}order").fn(hands.caption, name, hands.done, draft, answer, hands.request, event)
    seen = hands.read(f"{tab}order", update)
    assert 'data-ack="7"' in seen[f"{'review-' if tab else ''}orders"], "the page may send the next one"
    return seen


def said(hands, name="Ada"):
    found = marks.current(hands.demo.page.store, 1, name)
    return {step: (mark["verdict"], mark["reason"], mark["rewrite"]) for step, mark in found.items()}


def test_marks_classes_and_rewrites_are_stored_and_undone(hands):
    hands.next()
    seen = order(hands, do="mark", step=0, verdict="wrong")
    assert 'data-step="0" data-state="wrong"' in seen["steps"] and "1 of 3 judged" in seen["steps"]
    order(hands, do="class", step=0, reason="wrong class")
    seen = order(hands, do="rewrite", step=0, text="The fields are <b>brown</b>.")
    assert seen["edit-reasoning"] == f"{GREEN} Row 0.".replace(
        "The fields in the middle are long and green.", "The fields are <b>brown</b>."
    )
    assert "<b>" not in seen["steps"] and "&lt;b&gt;brown" in seen["steps"]
    assert said(hands) == {0: ("wrong", "wrong class", "The fields are <b>brown</b>.")}
    seen = order(hands, do="undo", draft=seen["edit-reasoning"])
    assert seen["edit-reasoning"] == f"{GREEN} Row 0." and said(hands) == {0: ("wrong", "wrong class", "")}
    order(hands, do="mark", step=0, verdict="ok")
    assert said(hands) == {0: ("ok", "", "")}


@pytest.mark.parametrize(
    "what",
    [
        {"do": "mark", "step": 99, "verdict": "ok"},
        {"do": "mark", "step": "0", "verdict": "ok"},
        {"do": "mark", "step": 0, "verdict": "<b>"},
        {"do": "mark"},
        {"do": "class", "step": 0, "reason": "x"},
        {"do": "class", "step": None, "reason": "other"},
        {"do": "rewrite", "step": 0, "text": "x" * 5000},
        {"do": "box", "where": "note", "index": 0, "box": [1, 2, 3, 4]},
        {"do": "box", "where": "answer", "index": "0", "box": [1, 2, 3, 4]},
        {"do": "box", "where": "answer", "index": 0, "box": [1, 2, 3]},
        {"do": "box", "where": "answer", "index": 0, "box": [1, 2, 3, float("nan")]},
        {"do": "box", "where": "answer", "index": 0, "box": [True, 2, 3, "4"]},
        {"do": "drop table"},
        {"do": ["mark"]},
    ],
)
def test_what_is_no_order_gets_a_sentence_and_changes_nothing(hands, what):
    hands.next()
    seen = order(hands, **what)
    assert 'role="alert"' in seen["annotate-notice"] and "Something went wrong" not in seen["annotate-notice"]
    assert said(hands) == {} and "edit-answer" not in seen


@pytest.mark.parametrize("data", [None, {}, {"order": 3}, {"order": {}}, [], "x"])
def test_an_event_without_an_order_does_nothing(hands, data):
    hands.next()
    event = SimpleNamespace(_data=data)
    update = hands.event("order").fn(hands.caption, "Ada", 0, "", "", hands.request, event)
    assert 'role="alert"' in hands.read("order", update)["annotate-notice"] and said(hands) == {}


def test_an_order_for_a_caption_that_is_not_shown_any_more_does_nothing(hands):
    hands.next()
    order(hands, do="mark", step=0, verdict="ok", revision=2)
    assert said(hands) == {} and marks.current(hands.demo.page.store, 2, "Ada") == {}


def test_orders_that_write_need_a_name_and_on_a_public_page_a_login(monkeypatch, hands):
    hands.next()
    assert "name" in order(hands, name=" ", do="mark", step=0, verdict="ok")["annotate-notice"]
    assert said(hands) == {}
    monkeypatch.setenv("SPACE_ID", "user/space")
    public = Hands(page())
    store = public.demo.page.store
    public.caption = hands.caption
    for tab in ("", "review_"):
        key = "review-" if tab else ""
        for what in ({"do": "mark", "step": 0, "verdict": "ok"}, {"do": "undo"}):
            assert "need a login" in order(public, tab=tab, **what)[f"{key}annotate-notice"]
        for verb, fields in (("save", ("a", "b")), ("accept", ("a", "b")), ("reject", ()), ("skip", ())):
            assert "need a login" in public.judge(f"{tab}{verb}", *fields)[f"{key}annotate-notice"], (tab, verb)
    assert "need a login" in public.judge("gold", "a", "farmland")["annotate-notice"]
    assert "need a login" in public.call("agreement")["agreement-table"]
    with store.read() as db:
        for table in ("marks", "reviews", "golds", "withdrawals"):
            assert db.conn.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    assert len(store.history(1)) == 1


def test_a_box_order_changes_the_draft_alone(hands):
    hands.next()
    seen = order(hands, do="box", where="answer", index=None, box=[10.4, 900, 2000, 20], answer="fields")
    assert seen["edit-answer"] == "fields [[10,20,1000,900]]" and "[10, 20, 1000, 900]" in seen["annotate-layers"]
    assert len(hands.demo.page.store.history(1)) == 1
    seen = order(hands, do="look", where="answer", index=None, box=[1, 2, 3, 4])
    assert "1 box" in seen["check"] and "edit-answer" not in seen


def test_a_draft_from_the_browser_is_believed_only_for_its_own_revision_and_author(hands):
    hands.next()
    words = {"reasoning": "Half.", "answer": "farm"}
    for kept, restored in (
        ({"revision": 1, "by": "Ada", **words}, True),
        ({"revision": 2, "by": "Ada", **words}, False),
        ({"revision": 1, "by": "Bob", **words}, False),
        ({"revision": 1, "by": "Ada", "reasoning": 3, "answer": "x"}, False),
        ({"revision": 1, "by": "Ada", "reasoning": "x" * 50_000, "answer": "x"}, False),
        ("<b>", False),
        (None, False),
    ):
        update = hands.event("next_caption").fn(None, "Ada", 0, hands.request, kept)
        assert (hands.read("next_caption", update)["edit-answer"] == "farm") == restored, kept


# Review


def review(hands, name):
    hands.caption = None
    return hands.call("review_next_caption", None, name, hands.done)


def correct(hands, name="Ada", text=GREEN):
    """Ada corrects a caption and gives it away for review."""
    hands.next(name)
    assert "somebody else has to accept it" in hands.judge("accept", text, "farmland", name=name)["annotate-notice"]


def test_a_second_person_sees_the_change_and_accepts(hands):
    hands.next()
    order(hands, do="mark", step=0, verdict="wrong")
    hands.judge("accept", GREEN.replace("green", "brown"), "farmland")
    assert "Nothing waits for a review by you" in review(hands, "Ada")["review-annotate-empty"] or hands.caption is None
    seen = review(hands, "Bob")
    assert "<del>green.</del> <ins>brown.</ins>" in seen["review-beside"]
    assert "appear here when you have judged" in seen["review-beside"], "Bob judges before he is told"
    for step in range(3):
        seen = order(hands, name="Bob", tab="review_", do="mark", step=step, verdict="ok")
    assert "Wrong (you: OK)" in seen["review-beside"]
    hands.judge("review_accept", hands.caption["revision"]["reasoning"], "farmland", name="Bob")
    store = hands.demo.page.store
    (row,) = store.accepted()
    assert (row["author"], row["reviewer"], row["self_reviewed"]) == ("Ada", "Bob", False)
    table = hands.call("agreement")["agreement-table"]
    assert "Ada" in table and "0.00" in table and "kappa" in table
    assert "1 caption judged by two people or more, 0 gold items" in table
    assert '<span class="fine">Class</span> farmland' in table


def test_an_amendment_is_the_reviewers_text_and_a_third_person_has_to_accept_it(hands):
    correct(hands)
    review(hands, "Bob")
    seen = hands.judge("review_accept", "The fields are brown and long, as far as one can see.", "farmland", name="Bob")
    assert "somebody else has to accept it" in seen["review-annotate-notice"]
    store = hands.demo.page.store
    assert store.accepted() == [] and store.history(1)[-1]["author"] == "Bob"
    assert [r["verdict"] for r in store.history(1)[-2]["reviews"]] == ["amend"]
    review(hands, "Cem")
    hands.judge("review_accept", hands.caption["revision"]["reasoning"], "farmland", name="Cem")
    (row,) = store.accepted()
    assert (row["author"], row["reviewer"]) == ("Bob", "Cem")


def test_an_author_cannot_accept_through_the_review_handlers_either(hands):
    correct(hands)
    caption = hands.caption
    review(hands, "Bob")
    hands.caption = hands.caption or caption
    for name in ("Ada", " ADA ", "\uff21da"):
        seen = hands.judge("review_accept", hands.caption["revision"]["reasoning"], "farmland", name=name)
        assert "somebody else has to accept it" in seen["review-annotate-notice"]
    assert hands.demo.page.store.accepted() == []


def test_a_rejected_text_is_not_exported_and_the_undo_brings_it_back(hands):
    correct(hands)
    review(hands, "Bob")
    hands.judge("review_reject", name="Bob")
    store = hands.demo.page.store
    assert store.caption(1)["state"] == "rejected"
    hands.caption = None
    order(hands, name="Bob", tab="review_", do="undo")
    assert store.caption(1)["state"] == "review" and hands.caption["id"] == 1


def test_a_gold_item_is_kept_aside_and_goes_to_somebody_else(hands):
    hands.next("Lea")
    seen = hands.judge("gold", f"{GREEN} Row 0.", "farmland", name="Lea")
    assert "gold item" in seen["annotate-notice"] and hands.caption["id"] == 2
    hands.caption = None
    hands.next("Ada")
    assert hands.caption["id"] == 1
