"""Grounding over a large scene: overlapping tiles are asked one by one, and their boxes are merged.

    side = tile_side(spec)                                    # what the model sees without shrinking it
    for step in ground(engine, picture.image, question, tiles(picture.width, picture.height, side)):
        print(step.done, step.of, step.answer.boxes)

It changes the question, and WARNING says so to whoever asks.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tinyrs.containers import MAX_ASPECT, MIN_SIDE
from tinyrs.example import BOX_SCALE, Answer, Box, Question, Task
from tinyrs.parse import format_boxes, parse

if TYPE_CHECKING:
    from PIL.Image import Image

    from tinyrs.engine import Engine, Options, Reply
    from tinyrs.models import ModelSpec

WARNING = (
    'Tiles change the question: each tile was asked on its own, so a word such as "largest" or "on the left" '
    "is about a tile, a tile without the thing may still get a box, and what is larger than a tile is cut."
)

OVERLAP = 0.25
"""Share of a tile's side that the next tile sees too; an object that is smaller than that is whole in one."""

MERGE = 0.5
"""Two boxes are one where this share of the smaller one lies in the other."""

MAX_TILES = 400


class BadTiles(ValueError):
    """The tiles, or the question for them, make no sense; str(e) is one sentence."""


@dataclass(frozen=True)
class Tile:
    """A part of a picture, in its pixels: columns left..left + width, rows top..top + height."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Step:
    """After one more tile.

    done, of   tiles asked, and all of them
    answer     the merged boxes so far on the scale of the whole picture, as an answer of its own
    tokens, seconds   summed over the tiles;  truncated: how many tiles' answers were cut off
    reply      what was answered about this tile
    """

    done: int
    of: int
    answer: Answer
    tokens: int
    seconds: float
    truncated: int
    reply: Reply


def check_question(question: Question) -> None:
    """Raise BadTiles unless `question` is one that tiles can answer."""
    if question.task is not Task.GROUNDING:
        raise BadTiles(
            f"Tiles are for finding things (grounding); this question is of the task {question.task.value}."
        )


def tile_side(spec: ModelSpec) -> int:
    """Pixels of the largest square that the model of `spec` sees as it is."""
    return max(MIN_SIDE, math.isqrt(spec.max_pixels) // MIN_SIDE * MIN_SIDE)


def tiles(width: int, height: int, side: int, overlap: float = OVERLAP) -> list[Tile]:
    """Squares of `side` pixels that cover the picture, row by row, spread evenly; smaller where it is smaller.

    Neighbours share at least `overlap` of their side. Raises BadTiles for what makes no sense or takes too long.
    """
    if side < MIN_SIDE:
        raise BadTiles(f"A tile needs sides of at least {MIN_SIDE} pixels, not {side}.")
    if not 0 <= overlap <= 0.9:
        raise BadTiles(f"Tiles overlap by a share from 0 to 0.9, not {overlap}.")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise BadTiles(f"One side of the picture may be at most {MAX_ASPECT} times as long as the other.")
    columns, rows = _starts(width, side, overlap), _starts(height, side, overlap)
    if len(columns) * len(rows) > MAX_TILES:
        raise BadTiles(
            f"That makes {len(columns) * len(rows):,} tiles; at most {MAX_TILES} are asked. "
            "Choose a smaller window or larger tiles."
        )
    return [
        Tile(left, top, min(side, width - left), min(side, height - top)) for top in rows for left in columns
    ]


def _starts(length: int, side: int, overlap: float) -> list[int]:
    if length <= side:
        return [0]
    count = math.ceil((length - side) / max(1, math.floor(side * (1 - overlap)))) + 1
    return [round(i * (length - side) / (count - 1)) for i in range(count)]


def moved(boxes: Sequence[Box], tile: Tile, width: int, height: int) -> list[Box]:
    """Boxes on a tile (0..1000 of it) as boxes on the picture of `width` x `height` (0..1000 of that)."""
    found = []
    for box in boxes:
        x1, y1, x2, y2 = box.to_pixels(tile.width, tile.height)
        corners = tile.left + x1, tile.top + y1, tile.left + x2, tile.top + y2
        found.append(replace(Box.from_pixels(*corners, width, height, box.label), angle=box.angle))
    return found


def merged(found: Sequence[tuple[Tile, Box]], width: int, height: int, threshold: float = MERGE) -> list[Box]:
    """Non-maximum suppression over the boxes of all tiles, given on the picture's scale, by label.

    Models give no confidence, so a box that a tile's border does not cut goes before one that it cuts, then the
    larger before the smaller: what is left of an object is its most complete box. Overlap is measured on the
    smaller of two boxes, because a cut box is a part of the whole one.
    """
    if not found:
        return []
    import warnings

    import numpy as np

    with warnings.catch_warnings():
        # supervision works without OpenCV and says so on every import.
        warnings.filterwarnings("ignore", message="OpenCV", category=UserWarning)
        from supervision.detection.utils.iou_and_nms import OverlapMetric, box_non_max_suppression

    labels = sorted({box.label for _, box in found})
    rows = []
    for tile, box in found:
        area = abs((box.x2 - box.x1) * (box.y2 - box.y1)) / BOX_SCALE**2
        score = (0.0 if _is_cut(tile, box, width, height) else 1.0) + min(area, 1.0) / 2
        (x1, x2), (y1, y2) = sorted((box.x1, box.x2)), sorted((box.y1, box.y2))
        rows.append([x1, y1, x2, y2, score, labels.index(box.label)])
    keep = box_non_max_suppression(np.array(rows, float), threshold, OverlapMetric.IOS)
    return [box for (_, box), kept in zip(found, keep) if kept]


def _is_cut(tile: Tile, box: Box, width: int, height: int) -> bool:
    """Does the box reach a border of its tile that lies inside the picture? Within a hundredth of the tile."""
    x1, y1, x2, y2 = box.to_pixels(width, height)
    near = 0.01 * min(tile.width, tile.height)
    right, bottom = tile.left + tile.width, tile.top + tile.height
    return (
        (tile.left > 0 and x1 <= tile.left + near)
        or (tile.top > 0 and y1 <= tile.top + near)
        or (right < width and x2 >= right - near)
        or (bottom < height and y2 >= bottom - near)
    )


def ground(
    engine: Engine,
    image: Image,
    question: Question,
    parts: Sequence[Tile],
    options: Options | None = None,
    cancelled: threading.Event | None = None,
) -> Iterator[Step]:
    """Ask `question` of every tile of `image`, one after the other, and yield the merged boxes after each.

    Ends early once `cancelled` is set. Raises BadTiles unless the question is a grounding one, and what the
    engine raises; the steps until then stand.
    """
    check_question(question)
    settings = () if options is None else (options,)
    spec, found, problems = engine.spec, [], []
    tokens, seconds, truncated, well_formed = 0, 0.0, 0, True
    for done, tile in enumerate(parts, 1):
        area = (tile.left, tile.top, tile.left + tile.width, tile.top + tile.height)
        reply = None
        with closing(engine.stream(image.crop(area), question, *settings, cancelled=cancelled)) as replies:
            for reply in replies:
                pass
        if reply is None or not reply.finished:
            return
        answer = parse(
            reply.text,
            dialect=spec.dialect,
            thinking=spec.thinking,
            truncated=reply.truncated,
            box_scale=spec.box_scale,
        )
        found += [(tile, box) for box in moved(answer.boxes, tile, *image.size)]
        problems += [problem for problem in answer.problems if problem not in problems]
        tokens, seconds = tokens + reply.tokens, seconds + reply.seconds
        truncated, well_formed = truncated + reply.truncated, well_formed and answer.well_formed
        boxes = tuple(merged(found, *image.size))
        text = format_boxes(boxes)
        whole = Answer(text, text, (), boxes, (), well_formed, truncated > 0, tuple(problems))
        yield Step(done, len(parts), whole, tokens, seconds, truncated, reply)
