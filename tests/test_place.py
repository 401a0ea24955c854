"""What teaches the pocket pair where things are: targets, and what counts as looking."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tinyrs.example import Box, Question, Task
from tinyrs.parse import format_boxes
from training.pocket.place import names, near, unseen, unsought, wanted
from training.pocket.questions import Row, snap

GRID = torch.tensor([[1, 8, 12]])
"""4 rows of 6 visual tokens."""
SHIP = Box(0, 0, 330, 480, "ship")
PIXELS = np.zeros((8, 8, 3), np.uint8)


@pytest.fixture(scope="module")
def tokenizer(untrained):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(untrained)


def asked(tokenizer, text: str, answer: str) -> dict:
    """A batch of one: the picture's 24 tokens, the question, the answer."""
    question, told = (tokenizer(each)["input_ids"] for each in (f" {text}", answer))
    picture = [tokenizer.convert_tokens_to_ids("<|image_pad|>")] * 24
    ids = torch.tensor([picture + question + told])
    labels = ids.clone()
    labels[:, : -len(told)] = -100
    kinds = torch.zeros_like(ids)
    kinds[:, :24] = 1
    return {"input_ids": ids, "labels": labels, "mm_token_type_ids": kinds, "image_grid_thw": GRID}


def test_a_token_knows_its_middle_and_the_sides_of_its_object():
    values, known = wanted(GRID, [[SHIP]])
    assert values.shape == (24, 6) and known[:, :2].all()
    assert values[0, :2].tolist() == pytest.approx([1000 / 12, 125]) and values[7, 0] == pytest.approx(250)
    assert known[0, 2:].all() and values[0, 2:].tolist() == list(snap(SHIP).corners())
    assert not known[23, 2:].any()


def test_a_number_beside_the_right_one_is_nearly_right():
    (target,) = near(torch.tensor([500.0]))
    assert target.argmax() == 50 and target.sum() == pytest.approx(1)
    assert target[51] > 10 * target[55] > 0


def test_tokens_are_named_after_their_object_or_the_scene(tokenizer):
    located = Row(
        PIXELS, Question("Where is the ship?", Task.GROUNDING), "[[0,0,330,480]]", "", "locate", (SHIP,)
    )
    where, words = names(GRID, [located], tokenizer)
    ship = tokenizer(" ship")["input_ids"]
    assert 0 in where and 23 not in where
    assert words.shape == (len(where), len(tokenizer)) and torch.allclose(
        words[:, ship].sum(1), torch.ones(len(where))
    )
    scene = Row(PIXELS, Question("Which?", Task.CLASSIFICATION), "port", "", "classify")
    where, words = names(torch.cat([GRID, GRID]), [located, scene], tokenizer)
    assert set(range(24, 48)) <= set(where.tolist())
    assert torch.allclose(words[-1, tokenizer(" port")["input_ids"]].sum(), torch.tensor(1.0))


def test_looking_at_the_object_costs_less_than_looking_elsewhere(tokenizer):
    answer = format_boxes([snap(SHIP)])
    row = Row(PIXELS, Question("Where is the ship?", Task.GROUNDING), answer, "", "locate", (SHIP,))
    batch = asked(tokenizer, row.question.text, answer)
    numbers = torch.tensor([tokenizer(str(number))["input_ids"][0] for number in range(0, 1001, 10)])
    length = batch["input_ids"].shape[1]

    def looking_at(cell: int) -> torch.Tensor:
        weights = torch.zeros(1, 4, length, length)
        weights[..., cell] = 1
        return weights

    for lost in (
        lambda weights: unseen(weights, batch, [row], numbers),
        lambda weights: unsought(weights, batch, [row], tokenizer),
    ):
        assert lost(looking_at(0)).item() == pytest.approx(0, abs=1e-3)
        assert lost(looking_at(23)).item() > 9
    nothing = Row(PIXELS, Question("Is there a ship?", Task.VQA), "no", "", "presence", ())
    assert unsought(looking_at(0), batch, [nothing], tokenizer) == 0
