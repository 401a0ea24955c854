"""A small convolutional network that finds objects: the second teacher of the pocket pair's eyes.

It looks at a picture through the cells of the tower's visual tokens: one cell for each, with features from which a class
and a box are read. Convolutions learn that from a few hundred pictures and in minutes; the tower learns it from them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tinyrs.example import BOX_SCALE, Box
from tinyrs.metrics import iou
from tinyrs.sight import resized
from tinyrs.sources import ORDERS, phrases
from training.pocket import vary
from training.pocket.batches import TOKEN, ObjectBatches, normalise
from training.pocket.model import MIN_PIXELS
from training.pocket.pictures import OBJECTS, Known
from training.pocket.practice import Practice
from training.pocket.teacher import trunk

STRIDE = 32
"""Pixels of a cell after the picture was made larger: a power of two, where a token has 28."""


class Detector(nn.Module):
    """Normalised pictures (batch, 3, 28 rows, 28 columns) -> (batch, rows x columns, len(OBJECTS) + 4), see `object_map`."""

    def __init__(self, width: int = 20):
        super().__init__()
        self.channels = 16 * width
        two, four, eight, sixteen = (share * width for share in (2, 4, 8, 16))
        self.body = trunk(width, (two, 2), (four, 2), (eight, 2), (eight, 1), (sixteen, 2), (sixteen, 1))
        self.read = nn.Linear(self.channels, len(OBJECTS) + 4)
        nn.init.constant_(self.read.bias[: len(OBJECTS)], -4.0)
        self.to(memory_format=torch.channels_last)

    def features(self, pictures: torch.Tensor) -> torch.Tensor:
        """The last feature map, cell by cell: (batch, rows x columns, channels)."""
        size = [side // TOKEN * STRIDE for side in pictures.shape[-2:]]
        large = F.interpolate(pictures, size, mode="bilinear", align_corners=False)
        with torch.autocast("cpu", torch.bfloat16):
            return self.body(large.contiguous(memory_format=torch.channels_last)).flatten(2).transpose(1, 2)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.read(self.features(pictures).float())


def object_loss(read: torch.Tensor, classes, placed, there) -> torch.Tensor:
    """What a head reads of every cell (batch, cells, len(OBJECTS) + 4) against an object map: focal loss (Lin et al. 2017)
    on the classes; smooth L1 on the boxes, whose middles are off by a share of their sides (Girshick 2015): an overlap
    of half asks the same of small objects as of large ones."""
    logits, boxes = read[..., : len(OBJECTS)], read[..., len(OBJECTS) :][there]
    plain = F.binary_cross_entropy_with_logits(logits, classes, reduction="none")
    sure = torch.exp(-plain)
    focal = (plain * (1 - sure) ** 2 * torch.where(classes > 0, 0.75, 0.25)).sum()
    found = there.sum().clamp(min=1)
    off = boxes - placed[there]
    off = torch.cat([off[:, :2] / placed[there][:, 2:].exp(), off[:, 2:]], -1)
    return focal * 4 / found + F.smooth_l1_loss(off, torch.zeros_like(off), beta=0.1, reduction="sum") / found


def train_detector(
    batches: ObjectBatches,
    minutes: float,
    side: int = 280,
    width: int = 20,
    kept: Path | None = None,
    say: Callable[[str], None] = print,
) -> Detector:
    """A Detector trained for `minutes` on the objects of `batches`; a state in `kept` is gone on from."""
    detector = Detector(width)
    optimiser = torch.optim.AdamW(detector.parameters(), weight_decay=0.05)
    practice = Practice(
        "detector", detector, [optimiser],
        peak=2e-3, warm=100, least=0.005, minutes=minutes, clip=5.0, kept=kept, say=say,
    )  # fmt: skip
    for step in practice:
        pictures, *wanted = batches.draw(step, 16, side)
        practice.learn(object_loss(detector(pictures), *wanted))
    return detector.eval()


def boxes_of(read: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """What a head reads of one picture (rows x columns, len(OBJECTS) + 4) -> boxes (cells, 4), x1 y1 x2 y2 on 0..1000."""
    dx, dy, w, h = read[:, len(OBJECTS) :].T
    y, x = (each.flatten() for each in torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij"))
    x, y = (x + 0.5 + dx) / columns, (y + 0.5 + dy) / rows
    w, h = w.exp() / columns / 2, h.exp() / rows / 2
    return (torch.stack([x - w, y - h, x + w, y + h], -1) * BOX_SCALE).clamp(0, BOX_SCALE)


@torch.no_grad()
def spotted(reader: Callable, known: Sequence[Known], pixels: int) -> dict[str, float]:
    """How well `reader` (pictures -> what is read of each cell) finds the objects of `known`: for the cell in which an
    object's middle lies, `class` right and `overlap` with its box; for the phrases that mean one of them
    (tinyrs.sources.phrases), `meant` is the share of those for which the box that `pick` chooses overlaps by half."""
    right, overlaps, hits = [], [], []
    for each in known:
        height, width = each.pixels.shape[:2]
        width, height = resized(width, height, MIN_PIXELS, pixels)  # as the models see it
        rows, columns = height // TOKEN, width // TOKEN
        view = vary.resize(each.pixels, width, height)
        read = reader(normalise(torch.from_numpy(view.copy()).permute(2, 0, 1)[None].float()))[0].float()
        boxes = [Box(*sides) for sides in boxes_of(read, rows, columns).tolist()]
        for box in each.boxes:
            x, y = (box.x1 + box.x2) / 2 / BOX_SCALE, (box.y1 + box.y2) / 2 / BOX_SCALE
            cell = min(rows - 1, int(y * rows)) * columns + min(columns - 1, int(x * columns))
            right.append(read[cell, : len(OBJECTS)].argmax().item() == OBJECTS.index(box.label))
            overlaps.append(iou(boxes[cell], box))
        for phrase, box in phrases(each.boxes):
            sure = read[:, OBJECTS.index(box.label)].sigmoid().tolist()
            hits.append(iou(pick(boxes, sure, phrase.split()[1]), box) >= 0.5)
    told = {"class": right, "overlap": overlaps, "half": [o >= 0.5 for o in overlaps], "meant": hits}
    return {name: round(float(np.mean(values)), 3) for name, values in told.items()} | {
        "n": len(right),
        "phrases": len(hits),
    }


def pick(boxes: Sequence[Box], sure: Sequence[float], relation: str) -> Box:
    """Of the boxes of cells the one that is `relation` (of tinyrs.sources.ORDERS) among those of a class, when `sure` says how sure
    each cell is of the class; the surest one for another word, or where none is at least half sure."""
    falling = sorted(range(len(boxes)), key=lambda cell: -sure[cell])
    if relation not in ORDERS or sure[falling[0]] < 0.5:
        return boxes[falling[0]]
    kept: list[Box] = []  # of boxes that overlap, the surest
    for cell in falling:
        if sure[cell] >= 0.5 and all(iou(boxes[cell], other) < 0.3 for other in kept):
            kept.append(boxes[cell])
    return min(kept, key=ORDERS[relation])
