"""What a reasoning says twice: in the same words, in other ones, and how the weights are made."""

import pytest

from tinyrs import repeats
from tinyrs.parse import sentences, split_steps
from tinyrs.repeats import Before, content, twice, weigh
from training import linear
from training import repeats as trainer

TWICE = (
    "A road bridge spans the canal at the lower left. It has two lanes. At the lower left, the canal is spanned by a road bridge.",
    "Four white planes sit nose-in at the gates along this edge. Along the edge, four white aircraft are parked nose-in at the gates.",
    "The tank farm has both rusty and white tanks. Seven of the tanks are white. The farm's tanks are partly rusty and partly white.",
)
ONCE = (
    "On the left side three tanks stand in a row. On the right side five tanks stand in two rows. That makes eight.",
    "The left field is green. The right field is brown. So the two differ.",
    "I count the ships at the quay and find three. I count the ships at anchor and find four. Three and four make seven.",
    "A bridge spans the canal. The bridge has two lanes, and its shadow falls on the water.",
)


def said_twice(text: str) -> str:
    return twice(split_steps(text), text, "Is there a bridge in the image?")


@pytest.mark.parametrize("text", TWICE)
def test_the_same_in_other_words_is_quoted(text):
    assert said_twice(text) in sentences(split_steps(text))[1:]


@pytest.mark.parametrize("text", ONCE)
def test_the_same_words_for_something_new_are_no_repetition(text):
    assert said_twice(text) == ""


def test_words_that_stand_twice_are_quoted():
    run = "one two three four five six seven eight nine ten"
    assert said_twice(f"We see {run} here, and after that again {run} there.") == run


def test_how_much_is_new():
    before = Before(["A ship lies at the pier.", "It is grey.", "At the pier lies a grey ship.", "The grey ship lies at another quay."])
    assert before.signs(0) == set() == before.signs(1), "nothing was said before, or it says too little"
    assert {"all 10", "all left 0", "numbers 0, new 0, elsewhere False"} <= before.signs(2)
    assert "all left 1" in before.signs(3)


def test_forms_of_a_word_are_one_and_numbers_are_figures():
    assert set(content("The canals are spanned by three bridges")) == set(content("3 bridge spanning a canal"))


@pytest.mark.parametrize("text", ["", " ", "...", "\x00", "\ud800", "桥", "the ship lies here. " * 500])
def test_any_text_can_be_read(text):
    assert isinstance(said_twice(text), str)


def test_what_is_trained_is_what_is_read_afterwards(tmp_path, monkeypatch):
    rows = trainer.read()[::15]
    model = trainer.train(rows)
    path = tmp_path / "repeats.json"
    linear.keep(model, path)
    monkeypatch.setattr(repeats, "WEIGHTS", path)
    for row in rows:
        for signs, _ in row.sentences:
            assert weigh(signs) == pytest.approx(weigh(signs, (model["pieces"], model["unit"])))
    again = [trainer.doubted(model, row) for row in rows if row.again]
    sound = [trainer.doubted(model, row) for row in rows if not row.again]
    assert sum(again) / len(again) > 0.8 and sum(sound) / len(sound) < 0.03, "it has learnt what it was shown"


def test_a_lot_is_judged_by_a_model_that_has_not_seen_it(monkeypatch):
    seen = []
    blank = {"unit": 1.0, "pieces": {"sentence": [-5]}}
    monkeypatch.setattr(trainer, "train", lambda rows: seen.append({row.lot for row in rows}) or blank)
    for told, lots in zip(trainer.unseen(trainer.read()[::60]), seen, strict=True):
        assert told["lot"] not in lots and told["found"] == told["alarms"] == 0


def test_a_line_whose_repetition_is_no_sentence_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"lot": 1, "question": "", "reasoning": "One ship. It is grey.", "again": 3}\n')
    with pytest.raises(ValueError, match="rows.jsonl, line 1: sentence 3"):
        trainer.read(path)


def test_nothing_that_was_written_for_training_is_in_the_examinations():
    known = {row["reasoning"] for row in linear.read(trainer.DATA)}
    rows = linear.read(trainer.DATA.parents[1] / "tests" / "captions_natural.jsonl")
    assert rows and not [row for row in rows if row["reasoning"] in known]
