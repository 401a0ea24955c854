"""The pictures that the pocket pair learns from: published data sets where they are at hand, drawn scenes always.

`load(data)` reads what it finds below `data` (folders `aid`, `nwpu_vhr10`, `rsvqa` in their published layouts)
into memory, small: 9,000 pictures of 150 pixels are 600 MB less than their JPEGs decode to at full size.

A share of every set (KEPT) is kept out of training, by the hash of a picture's content: the same picture is always
on the same side, whatever its name, and `kept_out` is the one place that says which.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tinyrs import sources
from tinyrs.example import Box, Task

LARGEST_SIDE = 640
"""Pictures are held at most this wide or high, pixels: above what the pocket's pixel budget lets it see."""

REAL = 0.6
"""At least this share of what is shown is real pictures, where there are any: made ones are many and alike."""
PASTED = 2 / 3
"""Share of pasted pictures (training.pocket.paste) among the made ones; the others are drawn."""

OBJECTS = sources.NWPU_CLASSES
"""The objects that the eyes learn to find; the drawn scenes use the same words."""


@dataclass(frozen=True, eq=False)
class Known:
    """A picture and what is known of it.

    pixels     uint8, (height, width, 3)
    label      its scene class, "" when unknown
    captions   true sentences about it
    boxes      its objects with their names; `complete` says that no object of OBJECTS is missing
    questions  (question, answer, kind) as published, for RSVQA
    path       the file, None for a drawn picture
    """

    pixels: np.ndarray
    source: str
    label: str = ""
    captions: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    complete: bool = False
    questions: tuple[tuple[str, str, str], ...] = ()
    path: Path | None = None


KEPT = {"aid": 10, "nwpu_vhr10": 10, "rsvqa": 5}
"""One picture in so many is kept out of training; RSVQA's sample has few pictures, with a hundred questions each."""


def kept_out(content: bytes, one_in: int = 10) -> bool:
    """Is a picture of this file content kept out of training?"""
    return int(hashlib.sha256(content).hexdigest(), 16) % one_in == 0


def _small(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        image = image.convert("RGB")
        image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.BICUBIC, reducing_gap=3)
        return np.asarray(image)


def _aid(folder: Path) -> dict[Path, dict]:
    found: dict[Path, dict] = {}
    for example in sources.read_aid(folder):
        fact = found.setdefault(example.picture, {"captions": ()})
        if example.question.task is Task.CLASSIFICATION:
            fact["label"] = example.answer
        else:
            fact["captions"] += (example.answer,)
    return {picture: fact for picture, fact in found.items() if "label" in fact}


def _nwpu(folder: Path) -> dict[Path, dict]:
    return {picture: {"boxes": boxes, "complete": True} for picture, _, boxes in sources.nwpu_scenes(folder)}


def _rsvqa(folder: Path) -> dict[Path, dict]:
    found: dict[Path, dict] = {}
    for part in ("LR", "HR"):
        for example in sources.read_rsvqa(folder / f"{part}_questions.json", folder / f"Images_{part}"):
            fact = found.setdefault(example.picture, {"source": f"rsvqa_{part}", "questions": ()})
            fact["questions"] += ((example.question.text, example.answer, example.kinds[0]),)
    return found


def load(data: Path | None) -> tuple[list[Known], list[Known]]:
    """(for training, kept out) of the data sets below `data`; both empty without it. A set that is absent is
    left out."""
    sides: tuple[list[Known], list[Known]] = ([], [])
    for name, read in (("aid", _aid), ("nwpu_vhr10", _nwpu), ("rsvqa", _rsvqa)):
        if data is None or not (Path(data) / name).is_dir():
            continue
        found = read(Path(data) / name)
        for path in sorted(found):
            aside = kept_out(path.read_bytes(), KEPT[name])
            sides[aside].append(Known(_small(path), **{"source": name, "path": path} | found[path]))
    return sides


def drawn(seeds: Iterable[int]) -> list[Known]:
    """Scenes of our own generator (training.pocket.scenes): no data set needed, and every fact known."""
    from training.pocket.scenes import draw

    found = []
    for seed in seeds:
        scene = draw(seed)
        found.append(Known(scene.pixels, "drawn", scene.label, scene.captions, scene.boxes, complete=True))
    return found


class Mixed:
    """Pictures to draw from: real ones at least REAL of the time, made ones the rest."""

    def __init__(self, known: Iterable[Known]):
        groups: dict[str, list[Known]] = {"real": [], "pasted": [], "drawn": []}
        for each in known:
            groups[each.source if each.source in groups else "real"].append(each)
        count = {name: len(group) for name, group in groups.items()}
        real = max(REAL, count["real"] / max(1, sum(count.values())))
        share = {"real": real, "pasted": (1 - real) * PASTED, "drawn": (1 - real) * (1 - PASTED)}
        self.groups = [group for group in groups.values() if group]
        weights = np.array([share[name] for name, group in groups.items() if group])
        self.weights = weights / max(weights.sum(), 1e-9)

    def __bool__(self) -> bool:
        return bool(self.groups)

    def draw(self, rng: np.random.Generator) -> Known:
        """One of them."""
        group = self.groups[int(rng.choice(len(self.groups), p=self.weights))]
        return group[int(rng.integers(len(group)))]
