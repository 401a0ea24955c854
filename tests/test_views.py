"""Views: what a picture is shown as."""

from __future__ import annotations

import numpy as np

from training.pocket.model import MAX_PIXELS
from training.pocket.pictures import Known
from training.pocket.views import view_of


def areas(width: int, height: int, maker: str) -> np.ndarray:
    known = Known(np.zeros((height, width, 3), np.uint8), "aid", label="port", captions=("A port.",))
    views = [view_of(known, np.random.default_rng(seed), maker).pixels.shape for seed in range(60)]
    return np.array([height * width for height, width, _ in views])


def test_a_small_scene_is_seen_at_all_sizes_that_the_pair_sees():
    for maker in ("classify", "describe"):
        seen = areas(150, 150, maker)
        assert 15 < (seen > 150 * 150).sum() < 45
        assert seen.max() < 1.01 * MAX_PIXELS and seen.max() > 0.8 * MAX_PIXELS


def test_a_scene_that_is_large_already_is_not_enlarged():
    assert areas(640, 480, "classify").max() <= 640 * 480
