"""Crops, turns, flips and light: one picture and its boxes -> another view of both. Numpy and Pillow only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from tinyrs.example import BOX_SCALE, Box


def turn(pixels: np.ndarray, boxes: Sequence[Box], quarters: int, flip: bool) -> tuple[np.ndarray, list[Box]]:
    """Mirror left-right when `flip`, then turn counterclockwise by `quarters` x 90 degrees; boxes go along."""
    boxes = list(boxes)
    if flip:
        pixels = pixels[:, ::-1]
        boxes = [Box(BOX_SCALE - b.x2, b.y1, BOX_SCALE - b.x1, b.y2, b.label) for b in boxes]
    for _ in range(quarters % 4):
        pixels = np.rot90(pixels)
        boxes = [Box(b.y1, BOX_SCALE - b.x2, b.y2, BOX_SCALE - b.x1, b.label) for b in boxes]
    return pixels, boxes


def crop(
    pixels: np.ndarray,
    boxes: Sequence[Box],
    window: tuple[float, float, float, float],
    least_visible: float = 0.6,
) -> tuple[np.ndarray, list[Box], bool]:
    """Cut `window` (x1, y1, x2, y2 on 0..1000) out. Boxes are cut at the frame; one of which less than
    `least_visible` is left is dropped. The last value says whether any box was cut or dropped in part, so that
    nobody counts objects in such a view."""
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = window
    left, top = round(x1 * width / BOX_SCALE), round(y1 * height / BOX_SCALE)
    right, bottom = max(left + 1, round(x2 * width / BOX_SCALE)), max(top + 1, round(y2 * height / BOX_SCALE))
    kept, cut = [], False
    sx, sy = BOX_SCALE / (x2 - x1), BOX_SCALE / (y2 - y1)
    for b in boxes:
        inside = (max(b.x1, x1), max(b.y1, y1), min(b.x2, x2), min(b.y2, y2))
        if inside[0] >= inside[2] or inside[1] >= inside[3]:
            continue
        part = (inside[2] - inside[0]) * (inside[3] - inside[1]) / max(1e-9, (b.x2 - b.x1) * (b.y2 - b.y1))
        cut = cut or part < 0.999
        if part >= least_visible:
            kept.append(
                Box(
                    (inside[0] - x1) * sx,
                    (inside[1] - y1) * sy,
                    (inside[2] - x1) * sx,
                    (inside[3] - y1) * sy,
                    b.label,
                )
            )
    return pixels[top:bottom, left:right], kept, cut


def random_window(rng: np.random.Generator, least: float = 0.5) -> tuple[float, float, float, float]:
    """A window whose sides are `least`..1 of the picture's, anywhere inside it."""
    w, h = rng.uniform(least, 1, 2) * BOX_SCALE
    x, y = rng.uniform(0, BOX_SCALE - w), rng.uniform(0, BOX_SCALE - h)
    return x, y, x + w, y + h


def light(pixels: np.ndarray, rng: np.random.Generator, strength: float = 0.15) -> np.ndarray:
    """Another exposure, contrast and colour cast, as another day or sensor would give."""
    gain = rng.uniform(1 - strength, 1 + strength) * rng.uniform(1 - strength / 3, 1 + strength / 3, 3)
    offset = rng.uniform(-strength, strength) * 128
    mixed = (pixels.astype(np.float32) - 128) * gain.astype(np.float32) + np.float32(128 + offset)
    return np.clip(mixed, 0, 255).astype(np.uint8)


def resize(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Bicubic, as the image processor does it."""
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))
