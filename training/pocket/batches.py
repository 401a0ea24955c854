"""Batches for the eyes: scene pictures with labels, and pictures with object maps. A batch depends on the seed and its number, on
nothing else, so that a training that was stopped goes on with what it had not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from tinyrs.example import BOX_SCALE, Box
from training.pocket import vary
from training.pocket.pictures import OBJECTS, Known, Mixed

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)
TOKEN = 28
"""Pixels of a side of one visual token: 2 x 2 patches of 14."""


def normalise(pictures: torch.Tensor) -> torch.Tensor:
    """0..255 -> what the image processor gives the tower."""
    return (pictures / 255 - MEAN) / STD


class SceneBatches:
    """Endless batches of (normalised pictures, class numbers): a random crop, turn, mirror and light each."""

    def __init__(self, pictures: torch.Tensor, labels: torch.Tensor, classes: Sequence[str], seed: int = 0):
        self.pictures, self.labels, self.classes = pictures, labels, tuple(classes)
        self.seed = seed

    def draw(self, number: int, count: int, side: int, least: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
        """Batch `number`: `count` views of `side` x `side` pixels; a view shows `least`..1 of its picture's area."""
        random = torch.Generator().manual_seed(int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0]))

        def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
            return torch.rand(*shape, generator=random) * (high - low) + low

        chosen = torch.randint(0, len(self.pictures), (count,), generator=random)
        pictures = self.pictures[chosen].float()
        enough = round(1.3 * side)  # what a grid picks out of more pixels than that is grain
        if enough < pictures.shape[-1]:
            pictures = F.interpolate(pictures, (enough, enough), mode="bilinear", antialias=True, align_corners=False)
        scale = uniform(least, 1, count).sqrt()
        shift = uniform(-1, 1, count, 2) * (1 - scale)[:, None]
        angle = torch.randint(0, 4, (count,), generator=random) * (math.pi / 2)
        mirror = torch.where(uniform(0, 1, count) < 0.5, -1.0, 1.0)
        place = torch.zeros(count, 2, 3)
        place[:, 0, 0], place[:, 0, 1] = scale * angle.cos() * mirror, -scale * angle.sin()
        place[:, 1, 0], place[:, 1, 1] = scale * angle.sin() * mirror, scale * angle.cos()
        place[:, :, 2] = shift
        grid = F.affine_grid(place, (count, 3, side, side), align_corners=False)
        pictures = F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
        pictures = pictures * uniform(0.85, 1.15, count, 3, 1, 1) + uniform(-25, 25, count, 1, 1, 1)
        return normalise(pictures), self.labels[chosen]


class ObjectBatches:
    """Endless batches of (normalised pictures, object maps) from pictures of which every object is known.

    An object map has one cell for each visual token, with a row of len(OBJECTS) class targets and, where an
    object lies, its box: how far its middle is right of and below the cell's, and the logarithms of its width and
    height, all in cells. (Distances to the sides could not tell of a box that lies beside the cell's middle, as
    those of most small objects do.)
    """

    def __init__(self, known: Sequence[Known], seed: int = 0):
        self.known = Mixed(each for each in known if each.complete)
        self.seed = seed

    def view(self, each: Known, side: int, rng: np.random.Generator):
        """One varied square view of `each` and its boxes."""
        height, width = each.pixels.shape[:2]
        if rng.random() < 0.7:
            share = 1 - 0.65 * rng.random() ** 1.5  # mostly at the size that the app shows, some from near
            w, h = (
                share * min(width, height) / width * BOX_SCALE,
                share * min(width, height) / height * BOX_SCALE,
            )
            if each.boxes and rng.random() < 0.8:
                near = each.boxes[rng.integers(len(each.boxes))]
                cx, cy = (near.x1 + near.x2) / 2, (near.y1 + near.y2) / 2
                x = np.clip(cx - rng.uniform(0.1, 0.9) * w, 0, BOX_SCALE - w)
                y = np.clip(cy - rng.uniform(0.1, 0.9) * h, 0, BOX_SCALE - h)
            else:
                x, y = rng.uniform(0, BOX_SCALE - w), rng.uniform(0, BOX_SCALE - h)
            pixels, boxes, _ = vary.crop(each.pixels, each.boxes, (x, y, x + w, y + h), 0.4)
        else:
            pixels, boxes = each.pixels, list(each.boxes)
        pixels, boxes = vary.turn(pixels, boxes, int(rng.integers(4)), bool(rng.integers(2)))
        return vary.light(vary.resize(np.ascontiguousarray(pixels), side, side), rng), boxes

    def draw(self, number: int, count: int, side: int):
        """Batch `number`: (pictures, classes (count, cells, len(OBJECTS)), boxes (count, cells, 4), there (count, cells))."""
        rng = np.random.default_rng([self.seed, number])
        pictures, classes, placed, there = [], [], [], []
        for _ in range(count):
            pixels, boxes = self.view(self.known.draw(rng), side, rng)
            pictures.append(torch.from_numpy(pixels.copy()).permute(2, 0, 1))
            for into, made in zip((classes, placed, there), object_map(boxes, side // TOKEN), strict=True):
                into.append(torch.from_numpy(made))
        return (
            normalise(torch.stack(pictures).float()),
            torch.stack(classes),
            torch.stack(placed),
            torch.stack(there),
        )


def cells_of(boxes: Sequence[Box], rows: int, columns: int) -> dict[int, Box]:
    """Which cells of a grid belong to which box: its middle, and what lies within three fifths of it.

    Keys are cell numbers, row by row. Where boxes meet, the smaller one keeps the cell.
    """
    xs, ys = (np.arange(columns) + 0.5) * BOX_SCALE / columns, (np.arange(rows) + 0.5) * BOX_SCALE / rows
    found: dict[int, Box] = {}
    for box in sorted(boxes, key=lambda b: -(b.x2 - b.x1) * (b.y2 - b.y1)):
        cx, cy = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
        across = set(np.flatnonzero(np.abs(xs - cx) <= (box.x2 - box.x1) * 0.3))
        down = set(np.flatnonzero(np.abs(ys - cy) <= (box.y2 - box.y1) * 0.3))
        across.add(min(columns - 1, int(cx * columns / BOX_SCALE)))
        down.add(min(rows - 1, int(cy * rows / BOX_SCALE)))
        found |= {int(row * columns + column): box for row in down for column in across}
    return found


def object_map(boxes: Sequence[Box], cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The object map of `boxes` on a grid of `cells` x `cells` (see ObjectBatches), flattened row by row."""
    unit = BOX_SCALE / cells
    classes = np.zeros((cells * cells, len(OBJECTS)), np.float32)
    placed = np.zeros((cells * cells, 4), np.float32)
    there = np.zeros(cells * cells, bool)
    for cell, box in cells_of(boxes, cells, cells).items():
        y, x = np.array(divmod(cell, cells)) + 0.5
        width, height = (max(0.3, side / unit) for side in (box.x2 - box.x1, box.y2 - box.y1))
        classes[cell, OBJECTS.index(box.label)] = 1
        placed[cell] = (
            (box.x1 + box.x2) / 2 / unit - x,
            (box.y1 + box.y2) / 2 / unit - y,
            math.log(width),
            math.log(height),
        )
        there[cell] = True
    return classes, placed, there
