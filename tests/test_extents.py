"""How large a reasoning says that a thing is, as a share of the picture, held against the box."""

import pytest

from tinyrs.example import Box
from tinyrs.extents import Extent, extents, wrong_size

SMALL, LARGE = Box(470, 440, 550, 520), Box(300, 220, 680, 640)


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("Its diameter is close to a third of the image width.", [("w", 333, "")]),
        ("It's no more than 5% of the image in either direction.", [("wh", 50, "most")]),
        ("It occupies 40 % of the picture's width and about half of its height.", [("w", 400, ""), ("h", 500, "")]),
        ("It is at least two thirds of the frame high.", [("h", 667, "least")]),
        ("Its diameter is roughly a tenth of the picture.", [("wh", 100, "")]),
        # shares that are places, or of something else
        ("It lies in the right third of the image.", []),
        ("It is a quarter of the way down the image.", []),
        ("It spans from 20% to 60% of the image width.", []),
        ("Half of the tanks are white.", []),
        ("It covers two thirds of the image.", []),  # an area: of any form
    ],
)
def test_shares_of_the_picture(sentence, told):
    assert [(each.axes, round(each.share), each.bound) for each in extents(sentence)] == told


def test_about_as_large_is_enough_and_a_bound_holds_on_its_side():
    about, most, least = (Extent(100, "w", bound) for bound in ("", "most", "least"))
    boxes = [Box(0, 0, width, 500) for width in (20, 60, 100, 200, 300)]
    assert [about.fits(box) for box in boxes] == [False, True, True, True, False]
    assert [most.fits(box) for box in boxes] == [True, True, True, True, False]
    assert [least.fits(box) for box in boxes] == [False, True, True, True, True]


def test_what_is_said_of_the_thing_is_held_against_every_box():
    steps = ["The basin has a bridge.", "It takes up 40 % of the picture's width."]
    assert wrong_size(steps, [SMALL], "the basin") == steps[1]
    assert not wrong_size(steps, [SMALL, LARGE], "the basin") and not wrong_size(steps, [], "the basin")
    assert not wrong_size(["A lake takes up 40 % of the picture's width."], [SMALL], "the basin")


@pytest.mark.parametrize("text", ["", "half", "a third of", "100 %", "\x00", "half " * 5_000])
def test_any_text_can_be_read(text):
    assert isinstance(wrong_size([text], [SMALL], text), str)
