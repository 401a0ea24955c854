"""Objects cut out of pictures whose boxes are known and pasted onto others: more places, more company.

NWPU VHR-10 has 408 pictures to learn from, and in each of them the same objects lie in the same places. A pasted picture
takes its ground from a scene class of AID that shows none of the objects, or from a picture of which every object is
known, so that still every object of it is known (Ghiasi et al. 2021, "Simple Copy-Paste").
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from tinyrs.example import BOX_SCALE, Box
from training.pocket import vary
from training.pocket.pictures import Known

GROUNDS = ("bare land", "desert", "farmland", "forest", "meadow", "mountain", "pond")
"""Scene classes of AID without airplanes, ships, courts, vehicles and the like."""
MARGIN = 0.12
"""Share of an object's sides that is cut out around it and blends into the ground."""


def cut_outs(known: Sequence[Known], least: int = 14) -> list[tuple[np.ndarray, str]]:
    """(pixels with a margin, name) of every object in `known` whose sides have `least` pixels and lie off the frame."""
    found = []
    for each in known:
        height, width = each.pixels.shape[:2]
        for box in each.boxes:
            w, h = (box.x2 - box.x1) * width / BOX_SCALE, (box.y2 - box.y1) * height / BOX_SCALE
            x, y = box.x1 * width / BOX_SCALE, box.y1 * height / BOX_SCALE
            left, top = round(x - MARGIN * w), round(y - MARGIN * h)
            right, bottom = round(x + (1 + MARGIN) * w), round(y + (1 + MARGIN) * h)
            if min(w, h) >= least and left >= 0 and top >= 0 and right <= width and bottom <= height:
                found.append((each.pixels[top:bottom, left:right], box.label))
    return found


def pasted(known: Sequence[Known], count: int, seed: int = 0) -> list[Known]:
    """`count` pictures with one to eight objects of `known` more, on its scenes of GROUNDS and on its own pictures of which all
    is known; [] where it has no object or no ground."""
    real = [each for each in known if each.source != "drawn"]
    bare = [each for each in real if each.label in GROUNDS]
    full = [each for each in real if each.complete and each.boxes]
    objects: dict[str, list[np.ndarray]] = {}
    for pixels, name in cut_outs([each for each in real if each.boxes]):
        objects.setdefault(name, []).append(pixels)
    grounds = [each for each in (bare, full) if each]
    if not grounds or not objects:
        return []
    return [
        _paste(grounds[index % len(grounds)], objects, np.random.default_rng([seed, index]))
        for index in range(count)
    ]


def _paste(grounds: Sequence[Known], objects: dict[str, list[np.ndarray]], rng: np.random.Generator) -> Known:
    ground = grounds[int(rng.integers(len(grounds)))]
    canvas = np.array(ground.pixels)
    names = sorted(objects)
    # Mostly of one kind, so that there is a leftmost and a largest one.
    kinds = rng.permutation(names)[: int(rng.integers(1, 4))]
    boxes: list[Box] = list(ground.boxes)
    for _ in range(int(rng.integers(1, 9))):
        name = str(kinds[int(rng.integers(len(kinds)))])
        piece = objects[name][int(rng.integers(len(objects[name])))]
        box = _put(canvas, piece, name, boxes, rng)
        if box is not None:
            boxes.append(box)
    return Known(canvas, "pasted", boxes=tuple(boxes), complete=True)


def _put(
    canvas: np.ndarray, piece: np.ndarray, name: str, taken: Sequence[Box], rng: np.random.Generator
) -> Box | None:
    """Blend `piece` into `canvas` where nothing lies yet; None where there is no room."""
    piece, _ = vary.turn(piece, (), int(rng.integers(4)), bool(rng.integers(2)))
    height, width = canvas.shape[:2]
    size = rng.uniform(0.4, 1.3) * np.array(piece.shape[1::-1])
    size *= min(1, 0.6 * width / size[0], 0.6 * height / size[1])
    w, h = (max(10, round(side)) for side in size)
    for _ in range(6):
        x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
        frame = Box(x, y, x + w, y + h)
        if not any(_meet(frame, box, width, height) for box in taken):
            break
    else:
        return None
    piece = np.asarray(
        Image.fromarray(np.ascontiguousarray(piece)).resize((w, h), Image.Resampling.BICUBIC), np.float32
    )
    spot = canvas[y : y + h, x : x + w].astype(np.float32)
    weight = np.minimum(_ramp(h)[:, None], _ramp(w)[None, :])[..., None]
    rim = weight[..., 0] < max(0.5, weight.min() + 1e-3)  # a small piece has only its outermost pixels there
    piece = piece + 0.6 * (spot[rim].mean(0) - piece[rim].mean(0))  # the light of the ground
    canvas[y : y + h, x : x + w] = np.clip(weight * piece + (1 - weight) * spot, 0, 255).astype(np.uint8)
    edge = MARGIN / (1 + 2 * MARGIN)
    return Box(
        (x + edge * w) * BOX_SCALE / width,
        (y + edge * h) * BOX_SCALE / height,
        (x + w - edge * w) * BOX_SCALE / width,
        (y + h - edge * h) * BOX_SCALE / height,
        name,
    )


def _ramp(length: int) -> np.ndarray:
    """0 at both ends, 1 from the object's own sides inwards."""
    places = (np.arange(length) + 0.5) / length
    return np.clip(np.minimum(places, 1 - places) / (MARGIN / (1 + 2 * MARGIN)), 0, 1)


def _meet(frame: Box, box: Box, width: int, height: int) -> bool:
    """Does `frame` (pixels) touch `box` (0..1000) with a little room around it?"""
    room = 6
    x1, x2 = box.x1 * width / BOX_SCALE - room, box.x2 * width / BOX_SCALE + room
    y1, y2 = box.y1 * height / BOX_SCALE - room, box.y2 * height / BOX_SCALE + room
    return frame.x1 < x2 and frame.x2 > x1 and frame.y1 < y2 and frame.y2 > y1
