"""A tower in new coordinates says to the language model what the old one said."""

from __future__ import annotations

import pytest
import torch

from tinyrs.loading import load_processor
from training.checkpoint import open_network
from training.pocket.align import align, to_size
from training.pocket.eyes import tokens_of
from training.pocket.pictures import drawn
from training.pocket.rows import VariedRows

COUNT = 64


@pytest.fixture
def rows():
    return VariedRows(drawn(range(COUNT)), {"locate": 1.0}, COUNT, False, 3)


def tokens(model, pictures) -> torch.Tensor:
    with torch.no_grad():
        return tokens_of(model.model.visual, pictures)


def test_a_turned_tower_is_turned_back_and_keeps_all_else(untrained, rows):
    torch.manual_seed(0)
    model, seeing = open_network(untrained).eval(), open_network(untrained).eval()
    last = seeing.model.visual.merger.mlp[2]
    with torch.no_grad():
        mixed = torch.linalg.qr(torch.randn(last.out_features, last.out_features))[0]
        last.weight.copy_(mixed @ last.weight)
        last.bias.copy_(mixed @ last.bias + 1)
        seeing.model.visual.blocks[0].mlp.fc1.bias += 1e-4
    pictures = torch.randn(4, 3, 140, 140)
    known, strange = tokens(model, pictures), tokens(seeing, pictures)
    words = {name: each.clone() for name, each in model.model.language_model.named_parameters()}
    assert align(model, seeing, load_processor(untrained), rows, COUNT) > 0.9
    found = tokens(model, pictures)
    assert (found - known).pow(2).mean() < 0.1 * (strange - known).pow(2).mean()
    assert torch.equal(model.model.visual.blocks[0].mlp.fc1.bias, seeing.model.visual.blocks[0].mlp.fc1.bias)
    assert all(torch.equal(each, words[name]) for name, each in model.model.language_model.named_parameters())


def test_tokens_are_scaled_to_the_size_that_is_asked_for(untrained):
    torch.manual_seed(0)
    model, pictures = open_network(untrained).eval(), torch.randn(4, 3, 140, 140)
    before = tokens(model, pictures)
    to_size(model.model.visual, pictures, 2.0)
    after = tokens(model, pictures)
    assert after.pow(2).mean().sqrt().item() == pytest.approx(2.0, rel=0.02)
    assert torch.cosine_similarity(before, after, dim=-1).min() > 0.99
