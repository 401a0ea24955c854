"""The values in the middle: frozen, comparable, and boxes that survive the way to pixels and back."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from tinyrs.example import BOX_SCALE, Answer, Box, Example, Question, Task


@pytest.mark.parametrize("size", [(800, 800), (640, 400), (1, 1000), (4001, 333)])
def test_a_box_survives_the_way_to_pixels_and_back(size):
    box = Box(125.0, 250.0, 500.0, 1000.0, "ship")
    back = Box.from_pixels(*box.to_pixels(*size), *size, label="ship")
    assert (back.x1, back.y1, back.x2, back.y2) == pytest.approx((125, 250, 500, 1000))
    assert back.label == "ship"


def test_width_goes_with_x_and_height_with_y():
    # A picture twice as wide as high: swapping the two (as the released evaluation does) would show here.
    assert Box(0, 0, 500, 500).to_pixels(200, 100) == (0, 0, 100, 50)
    assert Box.from_pixels(0, 0, 100, 50, 200, 100) == Box(0, 0, 500, 500)


def test_the_whole_picture_is_the_whole_scale():
    assert Box.from_pixels(0, 0, 37, 91, 37, 91) == Box(0, 0, BOX_SCALE, BOX_SCALE)


def test_corners_are_whole_units():
    assert Box(0.4, 1.6, 381.49, 999.5).corners() == [0, 2, 381, 1000]


@pytest.mark.parametrize(
    "value",
    [Box(1, 2, 3, 4), Question("Is it?"), Answer("yes"), Example(Path("a.png"), Question("Is it?"), "yes")],
)
def test_values_are_frozen_equal_by_content_and_hashable(value):
    copy = type(value)(**{name: getattr(value, name) for name in value.__dataclass_fields__})
    assert copy == value and hash(copy) == hash(value)
    name = next(iter(value.__dataclass_fields__))
    with pytest.raises(FrozenInstanceError):
        setattr(value, name, None)


def test_a_task_is_the_word_that_stands_in_files():
    assert Task("grounding") is Task.GROUNDING
    assert [task.value for task in Task] == [
        "classification",
        "vqa",
        "grounding",
        "counting",
        "captioning",
        "open",
    ]


def test_an_answer_without_anything_is_empty_and_well_formed():
    answer = Answer(raw="")
    assert (answer.text, answer.reasoning, answer.boxes, answer.problems) == ("", (), (), ())
    assert answer.well_formed and not answer.truncated
