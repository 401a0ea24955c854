"""The second teacher of the eyes: what is read of a cell is what was put into the object map."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tinyrs.example import Box
from training.pocket.batches import TOKEN, ObjectBatches, object_map
from training.pocket.detector import Detector, boxes_of, object_loss, pick, spotted, train_detector
from training.pocket.pictures import OBJECTS, Known, drawn

BOXES = (Box(130, 260, 380, 490, "ship"), Box(610, 640, 660, 700, "vehicle"))


def reading(boxes=BOXES, cells: int = 8) -> torch.Tensor:
    """What a head that knows everything would read, (1, cells, len(OBJECTS) + 4)."""
    classes, placed, _ = object_map(boxes, cells)
    return torch.from_numpy(np.concatenate([classes * 20 - 10, placed], 1))[None]


def test_boxes_come_back_out_of_an_object_map():
    _, _, there = object_map(BOXES, 8)
    found = boxes_of(reading()[0], 8, 8)[torch.from_numpy(there)]
    for box in BOXES:
        assert min((found - torch.tensor([box.x1, box.y1, box.x2, box.y2])).abs().amax(1)) < 0.5


def test_who_reads_everything_spots_everything_and_who_reads_another_class_nothing():
    picture = Known(np.zeros((8 * TOKEN, 8 * TOKEN, 3), np.uint8), "test", boxes=BOXES, complete=True)
    told = spotted(lambda _: reading(), [picture], 10**6)
    assert told == {"class": 1.0, "overlap": 1.0, "half": 1.0, "meant": 1.0, "n": 2, "phrases": 2}
    turned = [Box(b.x1, b.y1, b.x2, b.y2, OBJECTS[0]) for b in BOXES]
    told = spotted(lambda _: reading(turned), [picture], 10**6)
    assert (told["class"], told["meant"]) == (0.0, 0.0) and told["overlap"] == 1.0


def test_of_several_the_one_that_the_phrase_means_is_picked():
    left, twin, right, doubtful = (
        Box(0, 0, 100, 100),
        Box(10, 0, 110, 100),
        Box(700, 500, 900, 800),
        Box(950, 0, 999, 50),
    )
    boxes, sure = [twin, left, right, doubtful], [0.7, 0.9, 0.6, 0.4]
    assert pick(boxes, sure, "leftmost") == left and pick(boxes, sure, "rightmost") == right
    assert pick(boxes, sure, "largest") == right and pick(boxes, sure, "topmost") == left
    assert pick(boxes, sure, "airplane") == left  # the only one of its class: the surest
    assert pick(boxes, [0.1, 0.2, 0.3, 0.4], "leftmost") == doubtful


def test_being_off_by_a_share_of_its_size_costs_a_small_object_as_much_as_a_large_one():
    def cost(side: float) -> float:
        box = Box(500 - side, 500 - side, 500 + side, 500 + side, "ship")
        classes, placed, there = (torch.from_numpy(each)[None] for each in object_map([box], 5))
        read = torch.cat([classes * 40 - 20, placed.clone()], -1)
        read[0, 12, len(OBJECTS)] += 2 * side / 200 * 0.3
        return object_loss(read, classes, placed, there).item() * there.sum().item()

    assert cost(60) == pytest.approx(cost(250), rel=0.01) and cost(60) > 0.2


@pytest.mark.train
def test_a_few_seconds_teach_it_something():
    torch.manual_seed(0)
    known = drawn(range(40))
    told: list[str] = []
    before = object_loss(Detector(4)(torch.zeros(4, 3, 112, 112)), *ObjectBatches(known).draw(0, 4, 112)[1:])
    detector = train_detector(ObjectBatches(known), 0.1, side=112, width=4, say=told.append)
    with torch.no_grad():
        pictures, *wanted = ObjectBatches(known, 1).draw(0, 32, 112)
        after = object_loss(detector(pictures), *wanted)
    assert after < before / 2
