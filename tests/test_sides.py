"""Where a reasoning says that a thing lies: words of place, whose place it is, and how the weights are made."""

import pytest

from tinyrs import sides
from tinyrs.example import Box
from tinyrs.parse import split_steps
from tinyrs.regions import SIDES, mentions, words
from tinyrs.sides import NOTHING, Telling, lies, weigh, wrong_side
from training import linear
from training import sides as trainer

UPPER_LEFT, LOWER_RIGHT = [Box(30, 40, 210, 190)], [Box(800, 790, 960, 950)]


@pytest.mark.parametrize(
    ("sentence", "named"),
    [
        ("It lies in the upper left corner.", [{"x": "left", "y": "top"}]),
        ("the bottom-left corner", [{"x": "left", "y": "bottom"}]),
        ("In the north-east, that is the NE corner.", [{"x": "right", "y": "top"}] * 2),
        ("at about two o'clock, not at 8 o'clock", [{"x": "right", "y": "top"}, {"x": "left", "y": "bottom"}]),
        ("the middle of the left edge", [{"x": "left", "y": "middle"}]),
        ("bottom center", [{"x": "middle", "y": "bottom"}]),
        ("dead centre", [{"x": "middle", "y": "middle"}]),
        ("halfway down, and midway across", [{"y": "middle"}, {"x": "middle"}]),
        ("midway between top and bottom, at the left", [{"y": "middle"}, {"x": "left"}]),
        ("vertically centered, on the left or on the right", [{"y": "middle"}, {"x": "left"}, {"x": "right"}]),
        ("from left to right and from top to bottom", []),
        ("two trees and a roof", []),
    ],
)
def test_words_of_place(sentence, named):
    assert [each.sides for each in mentions(words(sentence))] == named


def test_a_box_lies_on_every_side_that_is_not_plainly_another():
    assert [side for side in SIDES["x"] if lies(UPPER_LEFT[0], "x", side)] == ["left"]
    assert [side for side in SIDES["y"] if lies(Box(0, 300, 10, 600), "y", side)] == ["top", "middle", "bottom"]
    assert [side for side in SIDES["y"] if lies(Box(0, 600, 10, 740), "y", side)] == ["middle", "bottom"]


@pytest.mark.parametrize(
    ("phrase", "reasoning"),
    [
        ("the red barn", "The farmyard lies along a track. The red barn is in the upper left of the picture, next to a pond."),
        ("the swimming pool", "Two lawns surround it. It's in the top left corner."),
        ("the orange crane", "The blue crane stands bottom right, the orange one top left."),
        ("the lighthouse", "The runway crosses the lower right half. The lighthouse is at the left edge of the image."),
        ("the ship", "a white hull with a wake. upper left of the img, heading for the right."),
    ],
)
def test_the_place_of_what_is_asked_for_is_held_against_the_box(phrase, reasoning):
    steps = split_steps(reasoning)
    assert not wrong_side(steps, UPPER_LEFT, phrase)
    assert "left" in wrong_side(steps, LOWER_RIGHT, phrase)
    assert not wrong_side(steps, [*LOWER_RIGHT, *UPPER_LEFT], phrase), "any of several boxes may be meant"


@pytest.mark.parametrize(
    "reasoning",
    [
        "The ship is to the left of the pier.",
        "The ship lies at right angles to the quay, right next to a tug.",
        "The left wing of the terminal is under repair. The ship is painted grey.",
        "The ship sails towards the left.",
        "The ship lies at 120 from the left.",  # numbers are read elsewhere
        "",
    ],
)
def test_what_says_nothing_of_the_picture_is_held_against_no_box(reasoning):
    for boxes in (UPPER_LEFT, LOWER_RIGHT, []):
        assert not wrong_side(split_steps(reasoning), boxes, "the ship")


def test_what_is_asked_for_is_one_sign_whatever_it_is():
    def signs(thing):
        return Telling([f"The {thing} is at the top."], f"the {thing}").signs("y")

    assert signs("ship") == signs("quarry") and signs("ship").keys() == {"top", NOTHING}
    assert Telling(["The ship is grey."], "the ship").signs("y") == {}


@pytest.mark.parametrize("text", ["", " ", "...", "\x00", "\ud800", "桥", "left " * 3_000])
def test_any_text_can_be_read(text):
    assert isinstance(wrong_side(split_steps(text), UPPER_LEFT, text), str)


def test_what_is_trained_is_what_is_read_afterwards(tmp_path, monkeypatch):
    rows = [each for row in trainer.read()[::40] for each in trainer.rows_of(row)]
    model = trainer.train(rows)
    path = tmp_path / "sides.json"
    linear.keep(model, path)
    monkeypatch.setattr(sides, "WEIGHTS", path)
    for row in rows:
        for signs in row.signs.values():
            assert weigh(signs) == pytest.approx(weigh(signs, (model["pieces"], model["unit"])))
    found, of, alarms = (sum(each) for each in zip(*((found, of, alarm) for of, found, alarm in map(lambda row: trainer.judge(model, row), rows))))
    assert found / of > 0.9 and alarms / len(rows) < 0.02, "it has learnt what it was shown"


def test_a_box_teaches_that_the_other_sides_are_not_told():
    (row,) = trainer.rows_of({"lot": "0", "question": "Where is the ship?", "reasoning": "It is left of a pier.", "box": [800, 0, 900, 90]})
    assert row.told == {NOTHING} and set(row.signs) == {"left", NOTHING}
    assert trainer.judge({"unit": 1.0, "pieces": {}}, row) == (0, 0, False)


def test_a_lot_is_judged_by_a_model_that_has_not_seen_it(monkeypatch):
    seen = []
    monkeypatch.setattr(trainer, "train", lambda rows: seen.append({row.lot for row in rows}) or {"unit": 1.0, "pieces": {}})
    rows = [each for row in trainer.read()[::200] for each in trainer.rows_of(row)]
    for told, lots in zip(trainer.unseen(rows), seen, strict=True):
        assert told["lot"] not in lots and told["found"] == told["alarms"] == 0


def test_nothing_that_was_written_for_training_is_in_the_examinations():
    known = {row["reasoning"] for row in linear.read(trainer.DATA)}
    for name in ("captions_unseen", "captions_natural"):
        rows = linear.read(trainer.DATA.parents[1] / "tests" / f"{name}.jsonl")
        assert rows and not [row for row in rows if row["reasoning"] in known]


SPANS = {"left": (30, 190), "middle": (440, 560), "right": (800, 960), "top": (30, 190), "bottom": (800, 960)}
OPPOSITE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}


def test_single_sentences_of_unseen_writers_are_held_against_the_box():
    rows = linear.read(trainer.DATA.parents[1] / "tests" / "sentences_unseen.jsonl")
    plain = [row for row in rows if row["kind"] == "place" and row["lot"] == 2 and {row["x"], row["y"]} & OPPOSITE.keys()]

    def doubted(row, x, y):
        (x1, x2), (y1, y2) = SPANS[x or "middle"], SPANS[y or "middle"]
        steps = ("Let me look carefully.", "Much is green or grey.", row["sentence"])
        return bool(wrong_side(steps, [Box(x1, y1, x2, y2)], "the target object"))

    assert sum(doubted(row, row["x"], row["y"]) for row in plain) / len(plain) <= 0.06
    assert sum(doubted(row, OPPOSITE.get(row["x"], row["x"]), OPPOSITE.get(row["y"], row["y"])) for row in plain) / len(plain) >= 0.85
