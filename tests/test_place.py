"""What teaches the pocket pair where things are: targets, and what counts as looking."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tinyrs.example import Box, Question, Task
from tinyrs.parse import format_boxes
from training.pocket.place import (
    SHORT,
    _attend,
    answered,
    batches,
    names,
    near,
    numbers_of,
    overlooked,
    unseen,
    unsought,
    wanted,
)
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
    seen = torch.ones_like(ids)
    return {
        "input_ids": ids, "labels": labels, "mm_token_type_ids": kinds, "image_grid_thw": GRID, "attention_mask": seen
    }  # fmt: skip


def numbers(tokenizer) -> torch.Tensor:
    return torch.tensor([tokenizer(str(number))["input_ids"][0] for number in range(0, 1001, 10)])


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
    row = Row(
        PIXELS, Question("Where is the ship?", Task.GROUNDING), answer, "", "locate", (SHIP,), (SHIP,) * 4
    )
    batch = asked(tokenizer, row.question.text, answer)
    told = numbers_of(batch, [[row]], numbers(tokenizer))
    length = batch["input_ids"].shape[1]

    def looking_at(cell: int) -> torch.Tensor:
        weights = torch.zeros(1, 4, length, length)
        weights[..., cell] = 1
        return weights

    for looks in (unseen(batch, told), unsought(batch, [[row]], tokenizer)):
        assert overlooked(looking_at(0), looks).item() == pytest.approx(0, abs=1e-3)
        assert overlooked(looking_at(23), looks).item() > 9
    nothing = Row(PIXELS, Question("Is there a ship?", Task.VQA), "no", "", "presence", ())
    assert unsought(batch, [[nothing]], tokenizer) == [] and overlooked(looking_at(0), []) == 0


def test_each_question_of_a_row_has_its_own_numbers(tokenizer):
    question = Question("Where is the ship?", Task.GROUNDING)
    first, second = (
        Row(PIXELS, question, format_boxes([box]), "", "locate", (SHIP,), (box,) * 8)
        for box in (snap(SHIP), Box(100, 200, 300, 400, "ship"))
    )
    count = Row(PIXELS, Question("How many ships?", Task.COUNTING), "10", "", "count", (SHIP,))
    one, two, three = (asked(tokenizer, row.question.text, row.answer) for row in (first, second, count))
    batch = {
        name: torch.cat([one[name], two[name][:, 24:], three[name][:, 24:]], 1)
        for name in one
        if "grid" not in name
    }
    lengths = one["input_ids"].shape[1], two["input_ids"].shape[1] - 24, three["input_ids"].shape[1] - 24
    batch["segments"] = torch.repeat_interleave(torch.tensor([1, 2, 3]), torch.tensor(lengths))[None]
    batch["segments"][:, :24] = 0
    found = numbers_of(batch, [[first, second, count]], numbers(tokenizer))
    said = [tokenizer.convert_ids_to_tokens(batch["input_ids"][i, at].tolist()) for i, at, _ in found]
    assert [boxes for _, _, boxes in found] == [first.spoken[:4], second.spoken[:4]]
    assert said == [["0", "0", "330", "480"], ["100", "200", "300", "400"]]  # and not the ten ships


def test_a_near_number_costs_less_than_a_far_one_and_words_cost_what_they_cost(tokenizer):
    row = Row(
        PIXELS, Question("Where?", Task.GROUNDING), "[[100,200,300,400]]", "", "locate", (SHIP,), (SHIP,) * 4
    )
    batch = asked(tokenizer, row.question.text, row.answer)
    table, told = numbers(tokenizer), batch["labels"][0, 1:] != -100
    found = numbers_of(batch, [[row]], table)
    right = batch["labels"][0, 1:][told]

    def cost(beside: int):
        logits = torch.zeros(len(right), len(tokenizer))
        chosen = [int((table == word).nonzero()) + beside if word in table else None for word in right]
        for i, (word, number) in enumerate(zip(right, chosen, strict=True)):
            logits[i, word if number is None else table[number]] = 12
        return answered(logits, batch, [[row]], found, table)

    (_, exact), (_, near_by), (whole, far) = cost(0), cost(1), cost(40)
    assert exact < near_by < far and far - exact > 4 * (near_by - exact)
    words = len(right) - 4
    assert whole.item() == pytest.approx((4 * far.item() + words * 0.012) / len(right), rel=0.05)


@pytest.mark.parametrize("kind, share", [("describe", 1 / 2), ("classify", SHORT / (SHORT + 1)), ("rsvqa_comp", SHORT / (SHORT + 1))])
def test_a_short_answer_counts_more_than_a_caption(tokenizer, kind, share):
    rows = [
        Row(PIXELS, Question(text, Task.VQA), "beach", "", as_kind)
        for text, as_kind in (("What is this?", kind), ("What does it show?", "describe"))
    ]
    one, other = (asked(tokenizer, row.question.text, row.answer) for row in rows)
    batch = {name: torch.cat([one[name], other[name][:, 24:]], 1) for name in one if "grid" not in name}
    lengths = one["input_ids"].shape[1], other["input_ids"].shape[1] - 24
    batch["segments"] = torch.repeat_interleave(torch.tensor([1, 2]), torch.tensor(lengths))[None]
    batch["segments"][:, :24] = 0
    labels, segments = batch["labels"][0, 1:], batch["segments"][0, 1:]
    told = labels != -100
    logits = torch.zeros(int(told.sum()), len(tokenizer))  # knows nothing, but the second answer by heart
    known = segments[told] == 2
    logits[known, labels[told][known]] = 50
    cost, _ = answered(logits, batch, [rows], [], numbers(tokenizer))
    assert cost.item() == pytest.approx(share * math.log(len(tokenizer)), rel=1e-4)


class Lengths:
    """Rows of which the i-th has a question of i % 7 words."""

    seed = 0

    def questions(self, index: int):
        return [Row(PIXELS, Question("word " * (index % 7), Task.VQA), str(index), "")]


def test_batches_hold_every_row_once_and_rows_of_like_length():
    coming = batches(Lengths(), 4, ahead=7)
    made = [next(coming) for _ in range(14)]
    assert sorted(int(rows[0].answer) for batch in made for rows in batch) == list(range(56))
    for batch in made:
        lengths = {len(rows[0].question.text.split()) for rows in batch}
        assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("done", [3, 7, 17])
def test_batches_go_on_where_they_were_stopped(done):
    def read(made):
        return [[rows[0].answer for rows in batch] for batch in itertools.islice(made, 9)]

    whole = batches(Lengths(), 4, ahead=7)
    for _ in range(done):
        next(whole)
    assert read(batches(Lengths(), 4, ahead=7, done=done)) == read(whole)


def test_the_short_attention_is_the_plain_one_but_for_16_bits():
    from transformers.models.qwen2_vl.modeling_qwen2_vl import eager_attention_forward

    torch.manual_seed(0)
    layer = SimpleNamespace(num_key_value_groups=2, training=False)
    query, key, value = (torch.randn(2, heads, 9, 16) for heads in (4, 2, 2))
    mask = (
        torch.full((9, 9), torch.finfo(torch.bfloat16).min).triu(1)[None, None].expand(2, 1, 9, 9).bfloat16()
    )
    plain = eager_attention_forward(layer, query, key, value, mask.float(), 0.25)
    short = _attend(layer, query, key, value, mask, scaling=0.25, dropout=0.0)
    for one, other in zip(plain, short, strict=True):
        assert one.shape == other.shape and torch.allclose(one, other.float(), atol=0.03)
    assert short[1][0, 0, 0, 1:].sum() == 0  # nothing ahead
