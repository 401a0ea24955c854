"""Who judged the same thing: second verdicts, reviewed texts, gold items; and who is kept from which caption."""

import pytest

from annotate import marks, overlap, queue
from annotate.agreement import agreement, by
from annotate.overlap import GOLD, add_gold, compared
from annotate.store import Refused, Store
from tests.store_parts import SCENE, add_caption, check_whole, head

BOX, HALF = "[[0,0,100,100]]", "[[0,0,50,100]]"


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "tinyrs.db") as opened:
        yield opened
        check_whole(opened)


@pytest.fixture
def caption(store):
    return add_caption(store, "The roof is bright. It lies left.", BOX)


def mark(store, revision, author, *verdicts):
    for step, verdict in enumerate(verdicts):
        marks.add(store, revision, step, verdict, author=author)


def test_nothing_is_compared_where_one_person_worked_alone(store, caption):
    mark(store, head(store, caption), "Ann", "ok", "wrong")
    store.save_correction(head(store, caption), reasoning="Better.", answer=HALF, author="Ann")
    store.add_review(head(store, caption), "reject", author="Bob")
    assert compared(store) == []


def test_two_peoples_verdicts_on_the_same_steps(store, caption):
    revision = head(store, caption)
    mark(store, revision, "Bob", "ok", "wrong")
    mark(store, revision, "Ann", "ok")
    (row,) = compared(store)
    assert (row.by, row.other, row.kind, row.verdicts) == ("Bob", "Ann", "grounding", (("ok", "ok"),))
    marks.withdraw(store, revision, author="Ann")
    assert compared(store) == []


def test_an_accepted_text_agrees_and_an_amended_one_as_far_as_it_was_kept(store, caption):
    mine = store.save_correction(head(store, caption), reasoning="A bright roof.", answer=BOX, author="Ann")
    store.add_review(mine, "amend", author="Bob", reasoning="A dark roof.", answer=HALF)
    other = add_caption(store, "Another.", BOX)
    mine = store.save_correction(head(store, other), reasoning="Another roof.", answer=BOX, author="Cem")
    store.add_review(mine, "accept", author="Bob")
    numbers = by(compared(store), lambda row: row.by)
    assert set(numbers) == {"Ann", "Cem"}
    assert numbers["Ann"].iou == pytest.approx(0.5) and numbers["Ann"].distance == pytest.approx(2 / 4)
    assert numbers["Cem"].iou == 1.0 and numbers["Cem"].distance == 0.0
    assert agreement(compared(store)).boxes == 2


def test_a_verdict_that_was_withdrawn_compares_nothing(store, caption):
    mine = store.save_correction(head(store, caption), reasoning="A roof.", answer=BOX, author="Ann")
    store.withdraw_review(store.add_review(mine, "accept", author="Bob"), author="Bob")
    assert compared(store) == []


def test_a_gold_item_measures_everybody_but_who_made_it(store, caption):
    first = head(store, caption)
    mark(store, first, "Lea", "ok", "wrong")
    add_gold(store, caption, reasoning="The roof is dark.", answer=HALF, author="Lea")
    assert queue.next_to_annotate(store, "Lea") is None, "who knows the truth is not asked"
    assert queue.next_to_annotate(store, "Ann")["id"] == caption
    mark(store, first, "Ann", "ok", "ok")
    store.save_correction(first, reasoning="The roof is bright.", answer=BOX, author="Ann")
    text, verdicts = compared(store)
    assert (text.by, text.other, verdicts.other) == ("Ann", GOLD, GOLD)
    assert verdicts.verdicts == (("ok", "ok"), ("ok", "wrong"))
    assert agreement([text]).iou == pytest.approx(0.5) and agreement([text]).distance == pytest.approx(2 / 5)


@pytest.mark.parametrize(("answer", "said"), [("[[0,0,", "cannot be a gold item yet"), ("", "empty")])
def test_what_could_not_be_accepted_is_no_gold(store, caption, answer, said):
    with pytest.raises(Refused, match=said):
        add_gold(store, caption, reasoning="r", answer=answer, author="Lea")


def test_a_caption_becomes_gold_once_and_only_before_anybody_worked_on_it(store, caption):
    add_gold(store, caption, reasoning="r", answer=BOX, author="Lea")
    with pytest.raises(Refused, match="already"):
        add_gold(store, caption, reasoning="r", answer=BOX, author="Bob")
    other = add_caption(store, "Another.", BOX)
    store.save_correction(head(store, other), reasoning="r", answer=BOX, author="Ann")
    with pytest.raises(Refused, match="nobody has corrected"):
        add_gold(store, other, reasoning="r", answer=BOX, author="Lea")
    assert overlap.compared(store) == []


def test_a_classified_picture_is_counted_under_its_class_and_every_row_names_its_caption(store, caption):
    scene = add_caption(store, "Long fields. They are green.", "Farmland", SCENE)
    for each in (caption, scene):
        mark(store, head(store, each), "Ann", "ok", "wrong")
        mark(store, head(store, each), "Bob", "ok", "ok")
    rows = compared(store)
    assert [(row.caption, row.label) for row in rows] == [(caption, ""), (scene, "farmland")]
    mine = store.save_correction(head(store, scene), reasoning="Fields.", answer="port", author="Ann")
    store.add_review(mine, "accept", author="Bob")
    assert (compared(store)[-1].caption, compared(store)[-1].label) == (scene, "farmland")
