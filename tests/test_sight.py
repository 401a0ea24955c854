"""What the model saw: the same numbers as the real processor's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tinyrs.models import MODELS, ModelSpec
from tinyrs.sight import resized, seen, sent

SIDES = st.integers(28, 3000) | st.integers(28, 60)
BUDGETS = st.sampled_from([(3136, 1_003_520), (12_544, 78_400), (3136, 12_845_056), (784, 784 * 3)])


@settings(max_examples=300, deadline=None)
@given(SIDES, SIDES, BUDGETS)
def test_the_size_is_that_of_qwens_processor(width, height, budget):
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    if max(width, height) <= 50 * min(width, height):
        high, wide = smart_resize(height, width, 28, *budget)
        assert resized(width, height, *budget) == (wide, high)


@pytest.mark.parametrize("size", [(28, 28), (400, 300), (1400, 28), (999, 1333)])
def test_the_tokens_are_those_that_the_real_processor_makes(size):
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    spec = MODELS["pocket-r1"]
    processor = Qwen2VLImageProcessorPil(
        size={"shortest_edge": spec.min_pixels, "longest_edge": spec.max_pixels}
    )
    _, rows, columns = processor(images=[Image.new("RGB", size)], return_tensors="np")["image_grid_thw"][0]
    sight = seen(*size, spec)
    assert sight.tokens == rows * columns / 4
    assert (sight.width, sight.height) == (14 * columns, 14 * rows)
    assert sight.shrunk == pytest.approx(math.sqrt(size[0] * size[1] / (sight.width * sight.height)))


def test_one_sentence_says_it():
    spec = ModelSpec("m", "nowhere", min_pixels=3136, max_pixels=78_400)
    assert seen(1000, 900, spec).sentence == (
        "The model saw it at 280 x 252 pixels (90 visual tokens; its limit is 78,400 pixels)."
    )


def test_of_a_server_only_what_was_sent_is_known():
    spec = ModelSpec("m", "http://127.0.0.1/v1#m", kind="server", max_pixels=78_400)
    sight = seen(1000, 900, spec)
    assert (sight.width, sight.height) == sent(1000, 900, 78_400) and sight.tokens is None
    assert 70_000 < sight.width * sight.height <= 78_400 and "the server may" in sight.sentence
    assert sent(28, 28, 78_400) == (28, 28)
