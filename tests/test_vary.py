"""A varied picture and its boxes stay together: what lay under a box before lies under it after."""

from __future__ import annotations

import numpy as np
import pytest

from tinyrs.example import Box
from training.pocket import vary


@pytest.fixture
def marked() -> tuple[np.ndarray, Box]:
    """A dark picture of 120 x 80 pixels with one white rectangle, and the rectangle's box."""
    pixels = np.zeros((80, 120, 3), np.uint8)
    pixels[20:40, 12:60] = 255
    return pixels, Box.from_pixels(12, 20, 60, 40, 120, 80, "roof")


def under(pixels: np.ndarray, box: Box) -> np.ndarray:
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = (round(value) for value in box.to_pixels(width, height))
    return pixels[y1:y2, x1:x2]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_a_turn_takes_the_box_along(marked, quarters, flip):
    pixels, boxes = vary.turn(marked[0], [marked[1]], quarters, flip)
    inside = under(pixels, boxes[0])
    assert inside.min() == 255
    assert inside.size == (pixels == 255).sum()
    assert boxes[0].label == "roof"


def test_four_quarter_turns_change_nothing(marked):
    pixels, boxes = marked[0], [marked[1]]
    for _ in range(4):
        pixels, boxes = vary.turn(pixels, boxes, 1, False)
    assert (pixels == marked[0]).all()
    assert boxes[0].corners() == marked[1].corners()


def test_a_crop_around_the_box_keeps_it_whole(marked):
    pixels, boxes, cut = vary.crop(marked[0], [marked[1]], (50, 125, 750, 875))
    assert not cut
    assert under(pixels, boxes[0]).min() == 255


@pytest.mark.parametrize(
    ("window", "left", "cut"),
    [
        ((300, 0, 1000, 1000), 1, True),  # a quarter is cut off: still that object, but nobody may count
        ((400, 0, 1000, 1000), 0, True),  # less than 60 % is left: dropped
        ((600, 0, 1000, 1000), 0, False),  # it lies outside: nothing is cut
    ],
)
def test_a_box_at_the_frame_is_cut_dropped_or_gone(window, left, cut):
    pixels = np.zeros((100, 100, 3), np.uint8)
    _, boxes, was_cut = vary.crop(pixels, [Box(200, 200, 600, 600)], window, 0.6)
    assert (len(boxes), was_cut) == (left, cut)
    assert all(0 <= b.x1 < b.x2 <= 1000 and 0 <= b.y1 < b.y2 <= 1000 for b in boxes)


def test_light_moves_no_pixel(marked):
    lit = vary.light(marked[0], np.random.default_rng(0))
    assert lit.shape == marked[0].shape
    assert lit[30, 30].min() > lit[60, 100].max()
