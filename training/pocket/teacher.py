"""A small convolutional network: the teacher of the pocket pair's eyes, and the peer that they are held against.

On a few thousand pictures and two cores a plain CNN learns scenes several times faster than a transformer does.
The tower of the pocket pair has to be Qwen2-VL's transformer, so it learns from this network's feature maps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from training.pocket.batches import SceneBatches, normalise


def _convolution(into: int, out: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(into, out, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(out))


SIDE = 128
"""Pixels of a side of what the teacher is shown."""


class Residual(nn.Module):
    """Two 3x3 convolutions with a way around them (He et al. 2016)."""

    def __init__(self, into: int, out: int, stride: int):
        super().__init__()
        self.first = _convolution(into, out, stride)
        self.second = _convolution(out, out)
        self.around = _convolution(into, out, stride, 1)
        nn.init.zeros_(self.second[1].weight)

    def forward(self, x):
        return F.relu(self.around(x) + self.second(F.relu(self.first(x))))


def trunk(width: int, *blocks: tuple[int, int]) -> nn.Sequential:
    """Pictures -> a feature map: a convolution to `width` channels at half the size, then a Residual for each of `blocks`
    (channels, stride)."""
    layers, into = [_convolution(3, width, 2), nn.ReLU()], width
    for out, stride in blocks:
        layers.append(Residual(into, out, stride))
        into = out
    return nn.Sequential(*layers)


def rate(peak: float, step: int, warm: int, share: float, least: float) -> float:
    """The learning rate at `step`: up to `peak` over `warm` steps, down along a cosine by the `share` of the time that is over;
    `least` of `peak` is added throughout."""
    return peak * min(1, (step + 1) / warm) * (0.5 * (1 + math.cos(math.pi * share)) + least)


class Teacher(nn.Module):
    """Normalised pictures (batch, 3, side, side) -> scene logits, and features (batch, 8 width, side/16, side/16)."""

    def __init__(self, classes: int, width: int = 32):
        super().__init__()
        self.channels = 8 * width
        self.body = trunk(width, (2 * width, 2), (4 * width, 2), (8 * width, 2))
        self.head = nn.Linear(self.channels, classes)
        self.to(memory_format=torch.channels_last)

    def features(self, pictures):
        """The last feature map."""
        return self.body(pictures.contiguous(memory_format=torch.channels_last))

    def forward(self, pictures):
        return self.head(self.features(pictures).mean((2, 3)))


def train_teacher(
    batches: SceneBatches,
    minutes: float,
    side: int = SIDE,
    width: int = 32,
    say: Callable[[str], None] = print,
) -> Teacher:
    """A Teacher trained for `minutes` on the scene labels of `batches`."""
    teacher = Teacher(len(batches.classes), width)
    optimiser = torch.optim.AdamW(teacher.parameters(), weight_decay=0.05)
    started, step, running = time.monotonic(), 0, math.log(len(batches.classes))
    while (share := (time.monotonic() - started) / 60 / minutes) < 1:
        for group in optimiser.param_groups:
            group["lr"] = rate(3e-3, step, 50, share, 0.005)
        pictures, labels = batches.draw(64, side)
        with torch.autocast("cpu", torch.bfloat16):
            logits = teacher(pictures)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step, running = step + 1, 0.98 * running + 0.02 * loss.item()
        if step % 200 == 0:
            say(f"teacher: {share:4.0%}, {step * 64:,} views, loss {running:.3f}")
    return teacher.eval()


@torch.no_grad()
def accuracy(model: Callable, pictures: torch.Tensor, labels: torch.Tensor, side: int) -> float:
    """Share of `pictures` (uint8, N x 3 x H x W) whose highest logit is their label."""
    right = 0
    for at in range(0, len(pictures), 64):
        view = F.interpolate(
            pictures[at : at + 64].float(), (side, side), mode="bicubic", antialias=True, align_corners=False
        )
        with torch.autocast("cpu", torch.bfloat16):
            right += (model(normalise(view)).argmax(1) == labels[at : at + 64]).sum().item()
    return right / len(pictures)


def stack(pictures: Sequence, side: int = 150) -> torch.Tensor:
    """uint8 arrays of any size -> one uint8 tensor (N, 3, side, side)."""
    from training.pocket.vary import resize

    same = [p if p.shape[:2] == (side, side) else resize(p, side, side) for p in pictures]
    return torch.stack([torch.from_numpy(p.copy()).permute(2, 0, 1) for p in same])
