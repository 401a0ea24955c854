"""Tiled grounding: every part is looked at, boxes come back where they belong, and twice-seen things count once."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.fake import FakeEngine
from tinyrs.engine import EngineFailure, Options, Reply
from tinyrs.example import Box, Question, Task
from tinyrs.models import MODELS
from tinyrs.parse import format_boxes
from tinyrs.tiles import MAX_TILES, BadTiles, Tile, ground, merged, moved, tile_side, tiles

WHERE = Question("Where are the bright things?", Task.GROUNDING)


class Finder(FakeEngine):
    """A perfect model of bright rectangles: it answers with the box of every one that it sees."""

    def __init__(self, **declared):
        super().__init__(**{"thinking": False, **declared})

    def stream(self, picture, question, options=Options(), cancelled=None):
        self.asked.append((picture, question, options))
        boxes = [
            Box.from_pixels(*corners, picture.width, picture.height)
            for corners in rectangles(np.asarray(picture)[..., 0] > 128)
        ]
        yield Reply(format_boxes(boxes) or "none", 5, 0.0, 0.5, finished=True)


def rectangles(bright: np.ndarray) -> list[tuple[int, int, int, int]]:
    """The boxes of the pieces that hang together."""
    left, found = bright.copy(), []
    while left.any():
        row, column = np.argwhere(left)[0]
        right = column + int(np.argmin(np.append(left[row, column:], False)))
        bottom = row + int(np.argmin(np.append(left[row:, column], False)))
        found.append((int(column), int(row), right, bottom))
        left[row:bottom, column:right] = False
    return found


def scene(width: int, height: int, *things: tuple[int, int, int, int]) -> Image.Image:
    image = Image.new("RGB", (width, height))
    for thing in things:
        image.paste((255, 255, 255), thing)
    return image


def last(steps):
    *_, step = steps
    return step


# --- the tiles --------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    st.integers(28, 2000), st.integers(28, 2000), st.integers(28, 600), st.sampled_from([0, 0.1, 0.25, 0.5])
)
def test_tiles_cover_the_picture_and_overlap(width, height, side, overlap):
    try:
        parts = tiles(width, height, side, overlap)
    except BadTiles as refused:
        assert "at most" in str(refused)
        return
    assert len(parts) <= MAX_TILES
    for full, starts in (
        (width, sorted({(part.left, part.width) for part in parts})),
        (height, sorted({(part.top, part.height) for part in parts})),
    ):
        assert starts[0][0] == 0 and sum(starts[-1]) == full
        assert all(length == min(side, full) for _, length in starts)
        for (at, length), (following, _) in zip(starts, starts[1:]):
            assert 0 < following - at <= max(1, length * (1 - overlap)) + 1
    assert len(set(parts)) == len(parts)


def test_a_picture_that_fits_is_one_tile():
    assert tiles(200, 100, 280) == [Tile(0, 0, 200, 100)]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((100, 100, 27), "at least 28"),
        ((100, 100, 50, 1.0), "from 0 to 0.9"),
        ((20_000, 20_000, 280), "9,"),
        ((1500, 29, 28), "50 times"),
    ],
)
def test_tiles_that_make_no_sense(arguments, words):
    with pytest.raises(BadTiles, match=words):
        tiles(*arguments)


def test_the_default_tile_is_seen_without_shrinking():
    from tinyrs.sight import seen

    for spec in MODELS.values():
        side = tile_side(spec)
        if spec.kind == "local":
            assert (seen(side, side, spec).width, seen(side, side, spec).height) == (side, side)
    assert tile_side(MODELS["pocket-r1"]) == 336


# --- the boxes --------------------------------------------------------------------------------------------


def test_boxes_are_moved_back():
    (box,) = moved([Box(500, 0, 1000, 250, "ship", 30.0)], Tile(100, 200, 200, 400), 1000, 2000)
    assert box == Box(200, 100, 300, 150, "ship", 30.0)


def test_a_thing_seen_by_four_tiles_is_found_once_and_whole():
    thing = (240, 240, 290, 290)
    engine = Finder()
    parts = tiles(500, 500, 280)
    step = last(ground(engine, scene(500, 500, thing), WHERE, parts))
    assert step.done == step.of == len(parts) == len(engine.asked)
    (box,) = step.answer.boxes
    assert box.to_pixels(500, 500) == pytest.approx(thing, abs=1)
    assert step.answer.text == format_boxes([box]) and step.answer.well_formed
    assert (step.tokens, step.seconds) == (5 * len(parts), 0.5 * len(parts))


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_every_small_thing_is_found_once_wherever_it_lies(dice):
    things = []
    for column in range(0, 700, 100):
        for row in range(0, 500, 100):
            if dice.random() < 0.4:
                left, top = column + dice.randrange(1, 30), row + dice.randrange(1, 30)
                things.append((left, top, left + dice.randrange(10, 60), top + dice.randrange(10, 60)))
    step = last(ground(Finder(), scene(700, 500, *things), WHERE, tiles(700, 500, 280)))
    found = sorted(tuple(round(v) for v in box.to_pixels(700, 500)) for box in step.answer.boxes)
    assert len(found) == len(things)
    for one, true in zip(found, sorted(things)):
        assert one == pytest.approx(true, abs=1)


def test_neighbours_that_touch_stay_two():
    step = last(
        ground(
            Finder(), scene(500, 300, (100, 100, 140, 140), (142, 100, 182, 140)), WHERE, tiles(500, 300, 280)
        )
    )
    assert len(step.answer.boxes) == 2


def test_labels_are_merged_apart():
    tile = Tile(0, 0, 100, 100)
    boxes = [(tile, Box(100, 100, 300, 300, "ship")), (tile, Box(100, 100, 300, 300, "dock"))]
    assert len(merged(boxes, 100, 100)) == 2
    assert len(merged(boxes + boxes, 100, 100)) == 2


def test_an_order_of_tiles_changes_nothing():
    parts = tiles(500, 500, 280)
    image = scene(500, 500, (240, 240, 290, 290), (10, 400, 60, 480))
    there, back = (last(ground(Finder(), image, WHERE, order)).answer.boxes for order in (parts, parts[::-1]))
    assert sorted(box.corners() for box in there) == sorted(box.corners() for box in back)


def test_nothing_found_is_an_answer():
    step = last(ground(Finder(), scene(300, 300), WHERE, tiles(300, 300, 200)))
    assert step.answer.boxes == () and step.answer.text == ""


# --- the questions ----------------------------------------------------------------------------------------


def test_only_a_thing_to_be_found_can_be_asked_for():
    with pytest.raises(BadTiles, match="counting"):
        next(ground(Finder(), scene(300, 300), Question("How many?", Task.COUNTING), tiles(300, 300, 200)))


def test_boxes_are_read_in_the_models_own_dialect_and_scale():
    engine = FakeEngine("{<10><20><30><40>|<0>}", dialect="geochat", box_scale=100)
    (box,) = last(ground(engine, scene(100, 100), WHERE, tiles(100, 100, 100))).answer.boxes
    assert box.corners() == [100, 200, 300, 400]


def test_a_failure_leaves_the_steps_until_then():
    engine = FakeEngine("[[0,0,500,500]]", [EngineFailure("It broke.")])
    steps = ground(engine, scene(300, 100), WHERE, tiles(300, 100, 200))
    assert len(next(steps).answer.boxes) == 1
    with pytest.raises(EngineFailure):
        next(steps)


def test_cancelling_ends_after_the_tile_in_hand():
    stop = threading.Event()
    engine = FakeEngine("[[0,0,500,500]]", [stop.set, "[[1,"], "never")
    steps = list(ground(engine, scene(500, 100), WHERE, tiles(500, 100, 200), cancelled=stop))
    assert [step.done for step in steps] == [1] and len(engine.asked) == 2


def test_answers_that_were_cut_off_are_counted():
    engine = FakeEngine("[[0,0,500,500]]", "[[1, 2 3 4", max_new_tokens=2)
    step = last(ground(engine, scene(300, 100), WHERE, tiles(300, 100, 200)))
    assert step.truncated == 1 and step.answer.truncated
    assert "token budget" in step.answer.problems[0]
