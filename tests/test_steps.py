"""Steps and boxes as places in a text: tables of texts, and what one change makes of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.steps import box_spans, put_box, replace_step, step_spans
from tinyrs.parse import boxes, split_steps

BOX = (9, 8, 70, 60)


@pytest.mark.parametrize(
    ("text", "index", "corners", "becomes"),
    [
        ("[[1,2,30,40]]", 0, BOX, "[[9,8,70,60]]"),
        ("It is [[1,2,30,40]] there.", 0, BOX, "It is [[9,8,70,60]] there."),  # words stay
        ("[[1,2,30,40],[5,6,7,8]]", 1, BOX, "[[1,2,30,40],[9,8,70,60]]"),
        ("[[1,2,30,40],[5,6,7,8]]", 0, None, "[[5,6,7,8]]"),
        ("[[1,2,30,40],[5,6,7,8]]", 1, None, "[[1,2,30,40]]"),
        ("[[1,2,30,40]]", 0, None, ""),
        ("A ship [[1,2,30,40]] here", 0, None, "A ship here"),
        ("[[1,2,30,40]]", None, BOX, "[[1,2,30,40],[9,8,70,60]]"),  # drawn beside the first
        ("[[1,2,30,40]]", 5, BOX, "[[1,2,30,40],[9,8,70,60]]"),
        ("A ship.", None, BOX, "A ship. [[9,8,70,60]]"),
        ("", None, BOX, "[[9,8,70,60]]"),
        ("", None, None, ""),
        ("(1,2),(30,40)", 0, BOX, "[9,8,70,60]"),  # another notation becomes ours
        ("at [1,2,30,40].", 0, BOX, "at [9,8,70,60]."),
        ("[[1,2,30,40]]", 0, (-5, 8.4, 2000, 8.4), "[[0,8,1000,9]]"),  # inside the picture, never without area
        ("[[1,2,30,4000]]", None, BOX, "[[1,2,30,4000]] [[9,8,70,60]]"),  # a broken one is left to the person
    ],
)
def test_a_box_in_a_text(text, index, corners, becomes):
    assert put_box(text, index, corners) == becomes


@given(
    st.lists(st.integers(0, 1000), min_size=4, max_size=4).filter(lambda c: c[0] < c[2] and c[1] < c[3]),
    st.sampled_from(["[[1,2,30,40]]", "See [5,5,6,6] and [[1,2,30,40]].", "nothing", ""]),
    st.sampled_from([0, 1, None]),
)
def test_what_is_put_is_what_the_parser_reads(corners, text, index):
    after = put_box(text, index, corners)
    assert corners in [box.corners() for box in boxes(after)]
    assert [box.corners() for _, _, box in box_spans(after)] == [box.corners() for box in boxes(after)]


@pytest.mark.parametrize(
    "text",
    ["The roof is bright. It lies left.\n1. A third, e.g. one.", "- one\n- two", "", "same. Same. Same.", "\u3042\u3002\u3044\u3002"],
)
def test_spans_are_the_steps_of_the_parser(text):
    assert tuple(text[start:end] for start, end in step_spans(text)) == split_steps(text)


def test_one_step_is_reworded_and_nothing_else():
    text = "1. The roof is bright. It lies left.\n2. It is round."
    assert replace_step(text, "It lies left.", "It lies\n right.") == text.replace("left", "right")
    assert replace_step(text, "It lies", "x") is None, "half a step is none"
    assert replace_step("", "x", "y") is None
