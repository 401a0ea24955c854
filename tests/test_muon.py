"""Which optimiser moves which parameter, and that both do."""

from __future__ import annotations

import torch
from torch import nn

from training.pocket.muon import optimisers


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
        self.frozen = nn.Linear(8, 8)
        self.frozen.requires_grad_(False)
        self.read = nn.Linear(8, 2)


def test_each_parameter_that_learns_has_one_optimiser_and_vectors_do_not_decay():
    small = Small()
    muon, adam = optimisers(small, "blocks.", decay=0.03)
    assert isinstance(muon, torch.optim.Muon) and isinstance(adam, torch.optim.AdamW)
    inside, (deep, flat) = muon.param_groups[0]["params"], adam.param_groups
    assert [id(each) for each in inside] == [id(small.blocks[0].weight), id(small.blocks[1].weight)]
    assert [id(each) for each in deep["params"]] == [id(small.read.weight)] and deep["weight_decay"] == 0.03
    assert {id(each) for each in flat["params"]} == {id(m.bias) for m in (*small.blocks, small.read)}
    assert flat["weight_decay"] == 0


def test_one_rate_moves_both_alike_and_what_is_frozen_not_at_all():
    torch.manual_seed(0)
    small = Small()
    before = {name: each.clone() for name, each in small.named_parameters()}
    both = optimisers(small, "blocks.")
    for optimiser in both:
        for group in optimiser.param_groups:
            group["lr"] = 1e-3
    small.read(small.blocks(torch.randn(32, 8))).pow(2).sum().backward()
    for optimiser in both:
        optimiser.step()
    moved = {name: (each - before[name]).pow(2).mean().sqrt().item() for name, each in small.named_parameters()}
    assert moved.pop("frozen.weight") == moved.pop("frozen.bias") == 0
    assert all(3e-5 < each < 2e-3 for each in moved.values()), moved
