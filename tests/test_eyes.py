"""The short cuts that teach the tower to see compute what Qwen2-VL's own code computes."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Qwen2VLImageProcessorPil
from transformers.models.qwen2_vl.configuration_qwen2_vl import Qwen2VLVisionConfig
from transformers.models.qwen2_vl.modeling_qwen2_vl import (
    Qwen2VisionTransformerPretrainedModel,
    apply_rotary_pos_emb_vision,
)

from tinyrs.example import Box
from training.pocket import eyes as eyes_module
from training.pocket.batches import ObjectBatches, SceneBatches, normalise, object_map
from training.pocket.detector import Detector
from training.pocket.eyes import (
    Eyes,
    finding_loss,
    look_around,
    patches,
    pictures_of_one_size,
    scene_loss,
    train_eyes,
)
from training.pocket.pictures import OBJECTS, Known
from training.pocket.teacher import Teacher


@pytest.fixture(scope="module")
def tower():
    torch.manual_seed(0)
    config = Qwen2VLVisionConfig(depth=3, embed_dim=64, hidden_size=32, num_heads=8)
    return Qwen2VisionTransformerPretrainedModel(config).eval()


@pytest.fixture
def ship() -> Known:
    """A white box on black."""
    pixels = np.zeros((112, 112, 3), np.uint8)
    pixels[20:60, 30:90] = 255
    return Known(pixels, "test", boxes=(Box.from_pixels(30, 20, 90, 60, 112, 112, "ship"),), complete=True)


def noise(count: int = 2, side: int = 112) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (count, side, side, 3), np.uint8)


def test_patches_are_those_of_the_image_processor():
    pictures = noise()
    processor = Qwen2VLImageProcessorPil(size={"shortest_edge": 28 * 28, "longest_edge": 112 * 112})
    expected = processor([Image.fromarray(each) for each in pictures], return_tensors="pt")
    ours = patches(normalise(torch.from_numpy(pictures).permute(0, 3, 1, 2).float()))
    assert torch.allclose(ours, expected["pixel_values"], atol=1e-4)


@torch.no_grad()
def test_attention_in_batches_equals_attention_picture_by_picture(tower):
    flat = patches(normalise(torch.from_numpy(noise()).permute(0, 3, 1, 2).float()))
    grid = torch.tensor([[1, 8, 8]] * 2)
    expected = tower(flat, grid).pooler_output
    with pictures_of_one_size():
        assert torch.allclose(tower(flat, grid).pooler_output, expected, atol=1e-5)
    assert torch.equal(tower(flat, grid).pooler_output, expected)


@torch.no_grad()
def test_the_tower_starts_by_looking_at_its_eight_neighbours():
    config = Qwen2VLVisionConfig(depth=6, embed_dim=192, hidden_size=32, num_heads=8)
    tower = Qwen2VisionTransformerPretrainedModel(config)
    look_around(tower)
    attention = tower.blocks[0].attn
    attention.qkv.weight.zero_()  # what the biases alone do
    ys, xs = torch.meshgrid(torch.arange(7), torch.arange(7), indexing="ij")
    cos, sin = tower.rotary_pos_emb(torch.zeros(1), torch.stack([ys.flatten(), xs.flatten()], -1))
    bias = attention.qkv.bias.view(3, 8, 24)
    query, key = (bias[i].expand(49, 8, 24) for i in range(2))
    query, key = apply_rotary_pos_emb_vision(query, key, cos, sin)
    middle = query[24].unsqueeze(1)  # the patch in row 3, column 3
    weights = (middle @ key.permute(1, 2, 0) * attention.scaling).squeeze(1).softmax(-1).view(8, 7, 7)
    looked_at = {divmod(int(each.flatten().argmax()), 7) for each in weights}
    assert looked_at == {(3 + y, 3 + x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)}
    assert weights.amax((1, 2)).min() > 0.5


def test_an_object_map_says_where_the_box_is():
    box = Box(130, 260, 380, 490, "ship")
    classes, placed, there = object_map([box], 8)
    cells = np.flatnonzero(there)
    assert len(cells) > 1 and set(np.flatnonzero(classes.sum(1))) == set(cells)
    for cell in cells:
        row, column = divmod(cell, 8)
        dx, dy, width, height = placed[cell]
        x, y, width, height = column + 0.5 + dx, row + 0.5 + dy, np.exp(width), np.exp(height)
        assert classes[cell].argmax() == OBJECTS.index("ship")
        corners = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2]) * 125
        assert np.allclose(corners, [130, 260, 380, 490], atol=0.1)


def test_a_small_object_keeps_its_cell_in_front_of_a_large_one():
    boxes = [Box(400, 400, 480, 480, "vehicle"), Box(0, 0, 1000, 1000, "harbor")]
    classes, _, _ = object_map(boxes, 8)
    assert classes[3 * 8 + 3].argmax() == OBJECTS.index("vehicle")
    assert classes[4 * 8 + 4].argmax() == OBJECTS.index("harbor")


def test_a_batch_depends_on_its_number_alone(ship):
    scenes = SceneBatches(torch.from_numpy(noise(6, 64)).permute(0, 3, 1, 2), torch.arange(6), "abcdef", seed=3)
    objects = ObjectBatches([ship], seed=3)
    for draw in (lambda number: scenes.draw(number, 4, 56), lambda number: objects.draw(number, 4, 112)):
        first, second = draw(0), draw(1)
        assert all(torch.equal(a, b) for a, b in zip(first, draw(0), strict=True))
        assert not torch.equal(first[0], second[0])


def test_what_is_too_fine_for_a_small_view_is_not_grain_in_it():
    board = np.indices((400, 400)).sum(0) % 2 * 255
    pictures = torch.from_numpy(board.astype(np.uint8)).expand(1, 3, 400, 400)
    views, _ = SceneBatches(pictures, torch.zeros(1, dtype=torch.long), ["board"]).draw(0, 4, 56)
    assert views.std((2, 3)).max() < 0.1


@pytest.mark.train
def test_a_few_steps_lower_every_loss(tower, ship):
    torch.manual_seed(0)
    pictures = torch.from_numpy(noise(16, 64)).permute(0, 3, 1, 2)
    pictures[::2] //= 4  # dark against bright: something to learn
    scenes = SceneBatches(pictures, torch.arange(16) % 2, ["dark", "bright"])
    objects = ObjectBatches([ship])
    teacher = Teacher(2, width=4).eval()
    detector = Detector(width=2).eval()
    eyes = Eyes(tower, 2, teacher, detector)
    optimiser = torch.optim.AdamW(eyes.parameters(), lr=2e-3)
    first, last = {}, {}
    with pictures_of_one_size():
        for step in range(12):
            for name, measure in (
                ("scenes", lambda: scene_loss(eyes, teacher, *scenes.draw(step, 16, 56))),
                ("objects", lambda: finding_loss(eyes, detector, *objects.draw(step, 4, 112))),
            ):
                optimiser.zero_grad()
                loss = measure()
                loss.backward()
                optimiser.step()
                first.setdefault(name, loss.item())
                last[name] = loss.item()
    assert last["scenes"] < first["scenes"]
    assert last["objects"] < first["objects"] / 2


@pytest.mark.train
@pytest.mark.parametrize("heads, moves", [(10**6, False), (0, True)])
def test_new_heads_learn_before_a_tower_that_has_eyes(tower, ship, monkeypatch, heads, moves):
    monkeypatch.setattr(eyes_module, "HEADS", heads)
    monkeypatch.setattr(eyes_module, "LARGE", 112)
    monkeypatch.setattr(eyes_module, "NEAR_SCENES", ((4, 56),))
    pictures = torch.from_numpy(noise(8, 64)).permute(0, 3, 1, 2)
    scenes = SceneBatches(pictures, torch.arange(8) % 2, ["dark", "bright"])
    tower = copy.deepcopy(tower)
    before = {name: each.clone() for name, each in tower.named_parameters()}
    told = []
    train_eyes(tower, scenes, ObjectBatches([ship]), 0.02, again=True, say=told.append)
    assert told
    assert moves is any(not torch.equal(each, before[name]) for name, each in tower.named_parameters())
