"""A small convolutional network: the teacher of the pocket pair's eyes, and the peer that they are held against.

On a few thousand pictures and two cores a plain CNN learns scenes several times faster than a transformer does.
The tower of the pocket pair has to be Qwen2-VL's transformer, so it learns from this network's feature maps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from training.pocket.batches import SceneBatches, normalise
from training.pocket.practice import Practice


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
    kept: Path | None = None,
    say: Callable[[str], None] = print,
) -> Teacher:
    """A Teacher trained for `minutes` on the scene labels of `batches`; a state in `kept` is gone on from."""
    teacher = Teacher(len(batches.classes), width)
    optimiser = torch.optim.AdamW(teacher.parameters(), weight_decay=0.05)
    practice = Practice(
        "teacher", teacher, [optimiser], peak=3e-3, warm=50, least=0.005, minutes=minutes, kept=kept, say=say
    )
    for step in practice:
        pictures, labels = batches.draw(step, 64, side)
        with torch.autocast("cpu", torch.bfloat16):
            logits = teacher(pictures)
        practice.learn(F.cross_entropy(logits.float(), labels, label_smoothing=0.1))
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
