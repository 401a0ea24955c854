"""Objects pasted onto other pictures: the boxes say where they truly lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinyrs.example import Box
from training.pocket.paste import cut_outs, pasted
from training.pocket.pictures import Known


def donor(side: int = 200) -> Known:
    """A red ship of 40 x 20 pixels on black, and one that the frame cuts."""
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[100:120, 60:100] = (250, 0, 0)
    return Known(
        pixels,
        "nwpu_vhr10",
        boxes=(Box(300, 500, 500, 600, "ship"), Box(0, 0, 100, 100, "ship")),
        complete=True,
    )


def ground() -> Known:
    return Known(np.full((300, 400, 3), 60, np.uint8), "aid", label="meadow")


def test_an_object_is_cut_out_with_its_margin_and_one_at_the_frame_is_not():
    ((pixels, name),) = cut_outs([donor()])
    assert name == "ship" and pixels.shape == (24, 50, 3)
    assert cut_outs([donor()], least=30) == []


def test_boxes_lie_on_what_was_pasted_and_nowhere_else():
    unknown = replace(donor(), complete=False)  # so it is no ground
    for each in pasted([unknown, ground()], 30, seed=3):
        assert each.source == "pasted" and each.complete and 1 <= len(each.boxes) <= 8
        height, width = each.pixels.shape[:2]
        red = each.pixels[..., 0].astype(int) - each.pixels[..., 1] > 90
        inside = np.zeros_like(red)
        for box in each.boxes:
            assert 0 <= box.x1 < box.x2 <= 1000 and 0 <= box.y1 < box.y2 <= 1000
            area = np.s_[
                round(box.y1 * height / 1000) : round(box.y2 * height / 1000),
                round(box.x1 * width / 1000) : round(box.x2 * width / 1000),
            ]
            assert red[area].mean() > 0.85, "a box holds its object"
            rows, columns = area
            inside[rows.start - 2 : rows.stop + 2, max(0, columns.start - 2) : columns.stop + 2] = True
        assert not (red & ~inside).any(), "no object lies outside its box"


def test_the_same_seed_gives_the_same_pictures_and_the_ground_stays_as_it_was():
    meadow = ground()
    first, second = pasted([donor(), meadow], 4, seed=1), pasted([donor(), meadow], 4, seed=1)
    assert all(
        np.array_equal(a.pixels, b.pixels) and a.boxes == b.boxes for a, b in zip(first, second, strict=True)
    )
    assert not np.array_equal(first[0].pixels, pasted([donor(), meadow], 1, seed=2)[0].pixels)
    assert (meadow.pixels == 60).all()


def test_what_lies_on_the_ground_already_is_known_too_and_nothing_covers_it():
    for each in pasted([donor()], 12, seed=5):
        assert each.boxes[:2] == donor().boxes
        assert (each.pixels[100:120, 60:100] == (250, 0, 0)).all()
    assert any(len(each.boxes) > 2 for each in pasted([donor()], 12, seed=5))


def test_a_tiny_object_keeps_its_colour():
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[40:54, 40:54] = (250, 0, 0)
    tiny = Known(pixels, "nwpu_vhr10", boxes=(Box(400, 400, 540, 540, "ship"),))
    small = [each for each in pasted([tiny, ground()], 40, seed=1) if each.boxes]
    assert len(small) > 30
    for each in small:
        box = min(each.boxes, key=lambda b: b.x2 - b.x1)
        x, y = round((box.x1 + box.x2) / 2 * 0.4), round((box.y1 + box.y2) / 2 * 0.3)
        red, green, _ = each.pixels[y, x].astype(int)
        assert red - green > 90


def test_without_grounds_or_objects_there_is_nothing_to_paste():
    unknown = Known(donor().pixels, "aid", boxes=donor().boxes)
    assert pasted([unknown], 3) == [] and pasted([ground()], 3) == []
    assert pasted([Known(ground().pixels, "aid", label="airport"), unknown], 3) == []
