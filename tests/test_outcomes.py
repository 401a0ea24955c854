"""Outcomes that a reasoning does not say outright, on captions that the weights have not seen, and how the weights are made."""

import json
from pathlib import Path

import pytest

from tinyrs import outcomes
from tinyrs.checks import check
from tinyrs.example import Question
from tinyrs.parse import split_steps
from tinyrs.prompt import guess_task
from training import outcomes as trainer

UNSEEN = trainer.read(Path(__file__).with_name("outcomes_unseen.jsonl"))
OTHER = {"yes": "no", "no": "yes", "rural": "urban", "urban": "rural"}


def doubted(row: dict, answer: str) -> bool:
    question = Question(row["question"], *guess_task(row["question"]))
    return any(found.check == "contradiction" for found in check(question, row["reasoning"], answer))


@pytest.mark.parametrize(("kind", "found", "alarms"), [("presence", 0.8, 0.02), ("area", 0.8, 0.0)])
def test_on_captions_of_an_unseen_writer(kind, found, alarms):
    rows = [row for row in UNSEEN if row["kind"] == kind]
    known = {row["reasoning"] for row in trainer.read()}
    assert rows and not [row for row in rows if row["reasoning"] in known]
    assert sum(doubted(row, OTHER[row["answer"]]) for row in rows) / len(rows) >= found
    assert sum(doubted(row, row["answer"]) for row in rows) / len(rows) <= alarms


def test_a_question_with_both_words_that_is_answered_by_yes_is_none_about_which_of_them():
    row = {"question": "Is this area more urban than rural?", "reasoning": "Tall blocks and a dense grid of streets: it is urban."}
    assert not doubted(row, "yes")
    assert doubted({**row, "question": "Is this area rather urban or rural?"}, "rural")


def test_the_thing_that_is_asked_for_is_one_sign_whatever_it_is():
    one = outcomes.signs("Is there a ship in the image?", ("No ship is moored here.",))
    assert one == outcomes.signs("Is there a tractor in the image?", ("No tractor is moored here.",))
    assert "no @" in one and "$:no @" in one
    assert "no @" not in outcomes.signs("Is there a ship in the image?", ("No tractor is moored here.",))


def test_a_rule_and_the_words_are_weighed_together():
    assert outcomes.read("presence", 0.0) is None and outcomes.read("presence", 0.0, True) is True
    assert outcomes.read("presence", -1.0, True) is None and outcomes.read("presence", -5.0, True) is False
    assert outcomes.read("area", 1.5) is True and outcomes.read("area", -0.5) is None


@pytest.mark.parametrize("text", ["", " ", "...", "\x00", "\ud800", "桥", "x" * 10_000])
def test_any_text_can_be_read(text):
    assert outcomes.yes(text, split_steps(text)) in (True, False, None)
    assert outcomes.urban(split_steps(text)) in (True, False, None)


def test_what_is_trained_is_what_is_read_afterwards(tmp_path, monkeypatch):
    rows = trainer.read()[::9]
    model = trainer.train(rows)
    path = tmp_path / "outcomes.json"
    trainer.write(model, path)
    assert json.loads(path.read_text("utf-8")) == model
    monkeypatch.setattr(outcomes, "WEIGHTS", path)
    outcomes._weights.cache_clear()
    try:
        for row in rows:
            steps, odds = split_steps(row["reasoning"]), trainer.log_odds(model, row)
            read = outcomes.yes(row["question"], steps) if row["kind"] == "presence" else outcomes.urban(steps)
            assert read == outcomes.read(row["kind"], odds)
        right = [(trainer.log_odds(model, row) > 0) == (row["answer"] == trainer.POSITIVE[row["kind"]]) for row in rows]
        assert sum(right) / len(right) > 0.95, "it has learnt what it was shown"
    finally:
        outcomes._weights.cache_clear()


def test_a_lot_is_judged_by_a_model_that_has_not_seen_it(monkeypatch):
    seen = []
    blank = {"unit": 1.0, "bias": [0.0, 0.0], "pieces": {}}
    monkeypatch.setattr(trainer, "train", lambda rows: seen.append({row["lot"] for row in rows}) or blank)
    rows = [
        {"lot": lot, "kind": kind, "question": "Is there a ship?", "reasoning": "Hm.", "answer": trainer.POSITIVE[kind]}
        for lot in (1, 2)
        for kind in outcomes.KINDS
    ]
    told = trainer.unseen(rows)
    assert seen == [{2}, {1}]
    assert [(each["lot"], each["kind"], each["n"], each["found"]) for each in told] == [
        (1, "presence", 1, 0), (1, "area", 1, 0), (2, "presence", 1, 0), (2, "area", 1, 0),
    ]  # fmt: skip
