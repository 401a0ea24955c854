"""Satellite-like pictures drawn from a seed: what the pocket pair learns from where no data set is at hand.

    python -m training.pocket.scenes --out assets/examples --seed 0     # the page's gallery
    python -m training.pocket.scenes --sheet sheet.png --seed 0         # every class, side by side

`draw(seed)` gives a picture with its scene class, true captions and the boxes of all objects of NWPU VHR-10's
ten names that stand in it. The classes are named as AID names them, in lower case. Numpy and Pillow only.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tinyrs.example import Box, Task
from tinyrs.prompt import CLASSIFY, COUNT, DESCRIBE, LOCATE, RURAL_URBAN
from training.pocket.drawing import built, land, sport, transport, water  # noqa: F401  (they register drawers)
from training.pocket.drawing.canvas import Canvas
from training.pocket.drawing.layout import DRAWERS

CLASSES: tuple[str, ...] = tuple(sorted(DRAWERS))
"""The scene classes that can be drawn."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A drawn picture and all that is true of it.

    pixels    uint8, (size, size, 3)
    label     its scene class
    captions  two or three true sentences in lower case
    boxes     every object of NWPU VHR-10's names in it, 0..1000; none stands there without its box
    """

    pixels: np.ndarray
    label: str
    captions: tuple[str, ...]
    boxes: tuple[Box, ...]


def draw(seed: int, size: int = 224, label: str = "") -> Scene:
    """The scene of that seed, `size` x `size` pixels: of any class, or of `label` (KeyError if unknown).

    The same arguments give the same scene: the same pixels where numpy and Pillow are the same.
    """
    canvas, label, captions = _compose(seed, size, label)
    return Scene(canvas.develop(), label, captions, tuple(thing.box for thing in canvas.things))


def captions(seed: int, label: str = "") -> tuple[str, ...]:
    """Sentences such as a scene of that seed may carry, without the cost of a finished picture."""
    return _compose(seed, 56, label)[2]


def _compose(seed: int, size: int, label: str) -> tuple[Canvas, str, tuple[str, ...]]:
    rng = np.random.default_rng(seed)
    chosen = CLASSES[int(rng.integers(len(CLASSES)))]
    canvas, sentences = DRAWERS[label or chosen](rng, size)
    sentences = list(dict.fromkeys(sentences))
    told = rng.permutation(len(sentences))[: int(rng.integers(2, 4))]
    return canvas, label or chosen, tuple(sentences[i] for i in told)


def sheet(seed: int, columns: int = 5, size: int = 224) -> Image.Image:
    """Every class in a row of its own, `columns` pictures each."""
    image = Image.new("RGB", (columns * size, len(CLASSES) * size))
    for row, label in enumerate(CLASSES):
        for column in range(columns):
            pixels = draw(seed + row * columns + column, size, label).pixels
            image.paste(Image.fromarray(pixels), (column * size, row * size))
    return image


GALLERY: tuple[tuple[str, int, Task, str], ...] = (
    ("airport", 0, Task.GROUNDING, LOCATE.format(phrase="the leftmost airplane")),
    ("port", 0, Task.COUNTING, COUNT.format(things="ships")),
    ("storage tanks", 3, Task.GROUNDING, LOCATE.format(phrase="the topmost storage tank")),
    ("playground", 5, Task.CLASSIFICATION, CLASSIFY.format(labels=", ".join(CLASSES))),
    ("dense residential", 4, Task.VQA, RURAL_URBAN),
    ("bridge", 2, Task.CAPTIONING, DESCRIBE),
)
"""The page's pictures: class, seed, and a question in the paper's words to ask of each."""

LARGEST_FILE = 350_000


def small_png(image: Image.Image, limit: int = LARGEST_FILE) -> bytes:
    """`image` as a PNG of at most `limit` bytes, with as many of its colours as that leaves."""
    for colours in (256, 192, 128, 96, 64, 32):
        file = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        if file.tell() <= limit:
            break
    return file.getvalue()


def write_gallery(out: Path, seed: int = 0, size: int = 512) -> None:
    """The page's pictures and examples.json (rows of "file", "question", "task") into the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for label, offset, task, question in GALLERY:
        name = f"{label.replace(' ', '_')}.png"
        (out / name).write_bytes(small_png(Image.fromarray(draw(seed + offset, size, label).pixels)))
        rows.append({"file": name, "question": question, "task": task.value})
    (out / "examples.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see the module's first lines."""
    parser = argparse.ArgumentParser(prog="python -m training.pocket.scenes", description="Draw scenes.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="write the page's gallery into this folder")
    what.add_argument("--sheet", type=Path, help="write one picture with every class to this file")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other pictures (default 0)")
    args = parser.parse_args(arguments)
    if args.seed < 0:
        parser.error("--seed must be 0 or more.")
    try:
        if args.out:
            write_gallery(args.out, args.seed)
        else:
            sheet(args.seed).save(args.sheet)
    except (OSError, ValueError) as error:
        parser.error(f"Cannot write there: {error}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
