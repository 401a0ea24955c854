"""Which of several outcomes a reasoning comes to, and what its numbers say of a box: on captions that the weights have not
seen, and how the weights are made."""

import json
from pathlib import Path

import pytest

from tinyrs import alternatives, coordinates
from tinyrs.amounts import Count, Number, numbers, relation
from tinyrs.checks import check
from tinyrs.example import Box, Question
from tinyrs.offered import Offer
from tinyrs.orders import Order, compared
from tinyrs.parse import split_steps
from tinyrs.prompt import guess_task
from tinyrs.sentences import stem
from training import alternatives as trainer
from training import coordinates as places_trainer
from training import linear

UNSEEN = linear.read(Path(__file__).with_name("alternatives_unseen.jsonl"))


def names(row: dict) -> set[str]:
    return {each.check for each in check(Question(row["question"], *guess_task(row["question"])), row["reasoning"], row["answer"])}


@pytest.mark.parametrize(("finds", "least"), [("counts", 0.5), ("contradiction", 0.44), ("numbers", 0.8)])
def test_captions_of_an_unseen_writer_who_set_traps(finds, least):
    """What the rules alone found of the same: 8 of 24, 11 of 48, 15 of 18."""
    known = {row["reasoning"] for row in linear.read(trainer.DATA)}
    rows = [row for row in UNSEEN if row["finds"] == finds]
    assert rows and not [row for row in rows if row["reasoning"] in known]
    assert sum(finds in names(row) for row in rows) / len(rows) >= least


def test_sound_ones_of_the_same_writer():
    rows = [row for row in UNSEEN if not row["finds"]]
    assert len(rows) == 60
    assert sum(bool(names(row) & {"counts", "contradiction"}) for row in rows) <= 6


# --- numbers ----------------------------------------------------------------------------------------------


def told(text: str) -> list[Number]:
    return list(numbers(text.split()))


def test_numbers_in_words_are_read_whole():
    assert [each.value for each in told("twenty - one ships , half a dozen yachts , two dozen and a pair")] == [21, 6, 24, 2]
    assert [(each.value, each.sort) for each in told("the third of 3 rd 1,200 none")] == [
        (3, "ordinal"), (3, "ordinal"), (1200, "plain"), (0, "said"),
    ]  # fmt: skip
    assert told("² ships") == [], "no number that can be told"


def test_a_number_is_equal_near_or_far():
    assert [relation(value, 20) for value in (20, 19, 21, 17, 5, 40)] == ["=", "-1", "+1", "~", "<", ">"]


def test_what_a_reasoning_may_come_to():
    two = Count("How many ships are there?", ("Three ships lie here.", "Four more lie there."))
    assert {7, 3, 4, 12} <= two.alternatives
    assert 15 in Count("How many cars are there?", ("Three rows of five.",)).alternatives
    assert {"all sum =", "all run of 2", "near <"} <= two.signs(7)
    assert "all sum -1" in two.signs(8) and "all run of 2" not in two.signs(8)


@pytest.mark.parametrize(
    ("reasoning", "comes_to"),
    [
        ("Three ships lie at the pier and four more are anchored in the bay. Adding three and four yields seven ships.", 7),
        ("I count four rows of five ships each, so there are twenty ships in total.", 20),
        ("There are two ships in the harbor, each with one mast. There are no other ships.", 2),
    ],
)
def test_counts(reasoning, comes_to):
    steps = split_steps(reasoning)
    assert alternatives.count("How many ships are there?", steps, comes_to) is None
    assert alternatives.count("How many ships are there?", steps, comes_to + 3) == comes_to


# --- comparisons ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "one", "other", "yes"),
    [
        ("Are there more ships than cranes in the image?", {"ships"}, {"cranes"}, {">"}),
        ("Are there fewer large buildings than small buildings?", {"large"}, {"small"}, {"<"}),
        ("Is the number of roads equal to the number of ponds?", {"roads"}, {"ponds"}, {"="}),
        ("Are there as many planes as gates?", {"planes"}, {"gates"}, {"="}),
        ("Is the number of trees at least the number of houses?", {"trees"}, {"houses"}, {">", "="}),
    ],
)
def test_what_a_question_compares(question, one, other, yes):
    asked = compared(question)
    assert (asked.one, asked.other, asked.yes) == (set(map(stem, one)), set(map(stem, other)), yes)
    assert asked.outcomes(True) | asked.outcomes(False) == {">", "<", "="}


@pytest.mark.parametrize("question", ["Is there a ship?", "More ships than cranes", "Are there more ships than ships?", "", "How many more ships?"])
def test_what_compares_nothing(question):
    assert compared(question) is None


def test_fewer_is_more_with_the_two_changed_over():
    steps = ("The quay is lined with cranes.", "Only one ship lies there.")
    one, other = compared("Are there more ships than cranes?"), compared("Are there more cranes than ships?")
    assert Order(one, steps).signs("<") == Order(other, steps).signs(">")
    assert Order(one, steps).signs("<") != Order(one, steps).signs(">")


def test_comparisons():
    asked = compared("Are there more ships than cranes?")
    assert alternatives.order(asked, ("Twelve cranes stand there.", "There are two ships.", "The cranes outnumber the ships."), None) is False
    assert alternatives.order(asked, ("Hm.",), True) is True, "what a rule reads holds where the model is not sure"
    assert alternatives.order(asked, ("Hm.",), None) is None


# --- what a question offers -------------------------------------------------------------------------------


def test_names_are_told_apart_by_the_words_that_they_do_not_share():
    offer = Offer(("dense residential", "sparse residential"), ("The sparse houses stand far apart.",))
    assert "named 1" in offer.signs(1) and "named 0" in offer.signs(0)
    offer = Offer(("storageTank", "river"), ("A storage tank beside another tank, and storagetanks.",))
    assert "named 3" in offer.signs(0)


def test_a_is_a_letter_only_where_it_is_no_article():
    offer = Offer(("a road", "a river"), ("A river winds here.", "So A is wrong."), letters=("A", "B"))
    assert "named 1" in offer.signs(0) and "named 1" in offer.signs(1)


def test_choices_on_one_line_after_a_line_break_are_choices():
    row = {"question": "What is it?\nA. a road B. a river C. a canal", "reasoning": "It winds in wide loops between sand bars. This is a river, not a road.", "answer": "A"}
    assert "contradiction" in names(row)
    assert "contradiction" not in names({**row, "answer": "B"})


# --- numbers of a box -------------------------------------------------------------------------------------


def test_numbers_that_fit_nothing_of_the_box():
    box = (Box(290, 340, 410, 430),)
    steps = ("It runs from 290 on the left to 410 on the right, and from 640 at the top to 730 at the bottom.",)
    assert coordinates.misfit(steps, box, "the pond") == steps[0]
    assert coordinates.misfit(("It runs from 290 on the left to 410 on the right, and from 340 at the top to 430 at the bottom.",), box, "the pond") == ""
    assert coordinates.misfit(("It runs from 640 px on the left to 730 px on the right.",), box, "the pond") == "", "pixels are another scale"
    assert coordinates.misfit(("It was built in 1985, with 3,000 seats.",), box, "the stadium") == ""


def test_percents_are_told_of_a_thousand():
    (value, each), _ = coordinates.roles("It starts at 12% of the width and ends at 30%.", "the pond")
    assert value == 120 and set(each) == set(coordinates.ROLES) and sum(each.values()) == pytest.approx(1)


def test_a_slot_is_told_from_a_number_that_is_written_out():
    row = {"question": "Where is the pond?", "reasoning": "It has 2 islands and runs from {x1} to {x2}. The road is at {any}."}
    assert [role for _, role in places_trainer.numbers(row)] == ["any", "x1", "x2", "any"]


# --- how the weights are made -----------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " ", "...", "\x00", "\ud800", "桥", "x" * 5_000, "7 " * 500, "² ٣ half dozen twenty -"])
def test_any_text_can_be_read(text):
    steps = split_steps(text)
    assert alternatives.count(text, steps, 3) != 3
    assert alternatives.offered(("a", "b", text), steps, 0) != 0
    assert alternatives.order(compared("Are there more ships than cranes?"), steps, None) in (True, False, None)
    assert coordinates.misfit(steps, (Box(0, 0, 500, 500),), text) in ("", *steps)


def test_what_is_trained_is_what_is_read_afterwards(tmp_path, monkeypatch):
    rows = trainer.read()[::25]
    model = trainer.train(rows)
    path = tmp_path / "alternatives.json"
    linear.keep(model, path)
    assert json.loads(path.read_text("utf-8")) == model
    monkeypatch.setattr(alternatives, "WEIGHTS", path)
    for row in rows:
        weighed = {outcome: alternatives.weigh(row.kind, signs) for outcome, signs in row.signs.items()}
        assert trainer.judge(model, row)[1] == (alternatives.lead(weighed, row.good) > alternatives.SURE[row.kind])
    assert sum(trainer.judge(model, row)[1] for row in rows) <= 0.05 * len(rows), "it has learnt what it was shown"


def test_a_row_that_asks_for_none_of_it_is_told_with_its_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"lot": 1, "question": "Describe it.", "reasoning": "Hm.", "answer": "A field."}) + "\n", "utf-8")
    with pytest.raises(ValueError, match="line 1"):
        trainer.read(path)


def test_a_lot_is_judged_by_a_model_that_has_not_seen_it(monkeypatch):
    seen = []
    monkeypatch.setattr(trainer, "train", lambda rows: seen.append({row.lot for row in rows}) or {"unit": 1.0, "pieces": {}})
    rows = [trainer.row_of("How many ships are there?", "Two ships.", "2", lot) for lot in (1, 2)]
    assert [(each["lot"], each["n"], each["found"], each["alarms"]) for each in trainer.unseen(rows)] == [(1, 1, 0, 0), (2, 1, 0, 0)]
    assert seen == [{2}, {1}]


def test_the_places_in_a_box_are_learnt_by_lots_too(monkeypatch, capsys):
    rows = places_trainer.read()
    monkeypatch.setattr(places_trainer, "read", lambda: [row for row in rows if row["lot"]][::4])
    assert places_trainer.main(["--json"]) == 0
    told_ = json.loads(capsys.readouterr().out)
    assert [each["lot"] for each in told_] == [1, 2]
    assert all(each["right"] > 0.5 * each["n"] for each in told_)
