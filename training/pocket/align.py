"""A tower that has learnt on, under the language model that knew it as it was.

What a visual token says stands in other numbers after the tower's next hours, and the language model would have to learn to read
them anew. Most of that is a change of coordinates: the merger's last layer is a product, and least squares find the one whose
tokens come nearest to those that the language model knows.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from training.pocket.eyes import pictures_of_one_size, tokens_of
from training.pocket.features import read
from training.pocket.rows import VariedRows

HELD_OUT = 8
"""Every so manieth view tells how well it was found, and is not used to find it."""
RIDGE = 1e-4
"""Of the mean square of what goes into the layer."""


def to_size(tower, pictures: torch.Tensor, size: float = 1.0) -> None:
    """Scale the tokens of `tower` so that those of `pictures` (batch, 3, height, width) have that root mean square: heads on an untaught
    tower are used to one, and language models learn others."""
    with torch.no_grad(), pictures_of_one_size():
        scale = size / tokens_of(tower, pictures).pow(2).mean().sqrt()
        for value in tower.merger.mlp[2].parameters():
            value *= scale


@torch.no_grad()
def align(model, seeing, processor, rows: VariedRows, count: int, say: Callable[[str], None] = print) -> float:
    """Give `model` the tower of `seeing`, whose merger's last layer is fitted on the first `count` views of `rows`, so that its tokens are
    nearly those of the tower that `model` had. Returns the share of their variance that it meets on views held out (1: all)."""
    before, after = (read(each, processor, rows, count, say=say) for each in (model, seeing))
    old, new = model.model.visual.merger, seeing.model.visual.merger
    last: nn.Linear = new.mlp[2]
    given = torch.zeros(last.in_features + 1, last.in_features + 1, dtype=torch.float64)
    wanted = torch.zeros(last.in_features + 1, last.out_features, dtype=torch.float64)
    aside = []
    for number, (view, again) in enumerate(zip(before, after, strict=True)):
        tokens = old(view.pixels.patches.float()).double()
        inside = new.ln_q(again.pixels.patches.float()).view(len(tokens), -1)
        inside = new.mlp[:2](inside).double()
        inside = torch.cat([inside, torch.ones(len(inside), 1, dtype=torch.float64)], 1)
        if number % HELD_OUT == HELD_OUT - 1:
            aside.append((inside, tokens))
            continue
        given += inside.T @ inside
        wanted += inside.T @ tokens
    given += RIDGE * given.diagonal().mean() * torch.eye(len(given), dtype=torch.float64)
    found = torch.linalg.solve(given, wanted)
    last.weight.copy_(found[:-1].T)
    last.bias.copy_(found[-1])
    model.model.visual.load_state_dict(seeing.model.visual.state_dict())
    inside, tokens = (torch.cat(each) for each in zip(*aside, strict=True))
    return 1 - ((inside @ found - tokens).pow(2).sum() / (tokens - tokens.mean(0)).pow(2).sum()).item()
