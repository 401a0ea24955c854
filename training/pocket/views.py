"""A picture as it is shown once: which part of it, turned how, in what light. Questions are made about a view, so that what they
say is true of what is seen."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from tinyrs.example import Box
from training.pocket import vary
from training.pocket.model import MAX_PIXELS
from training.pocket.pictures import Known

ABOUT_SCENES = ("classify", "describe")
ABOUT_OBJECTS = ("locate", "locate_all", "whereabouts", "count", "presence")
ABOUT_ONE_VIEW = (ABOUT_SCENES, ABOUT_OBJECTS, ("published",))
"""Makers (training.pocket.rows.MAKERS) that can ask about one and the same view."""

SIDES = re.compile(r"\b(left|right|top|bottom|above|below|north|south|east|west)\b")
"""What a published question says that is no longer true once a picture is turned."""


class View(Known):
    """What is known of a view, which nothing varies any more. Its pixels may be what the tower made of them
    (training.pocket.features)."""


def view_of(known: Known, rng: np.random.Generator, maker: str) -> View:
    """A view for the questions of `maker` and of those that ask about the same. Questions about sides are left out where it was turned."""
    if isinstance(known, View):
        return known
    if maker in ABOUT_SCENES:
        return View(_scene(known.pixels, rng), known.source, known.label, known.captions)
    if maker in ABOUT_OBJECTS:
        pixels, boxes = _objects(known.pixels, known.boxes, rng)
        return View(pixels, known.source, boxes=tuple(boxes), complete=known.complete)
    turned = rng.random() < 0.5
    asked = tuple(q for q in known.questions if not (turned and SIDES.search(q[0].lower())))
    pixels = _turned(known.pixels, (), rng)[0] if turned else known.pixels
    return View(vary.light(pixels, rng), known.source, questions=asked)


def _scene(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Most of a scene, turned, and every other time larger than it is: a set of small pictures teaches nothing about large ones."""
    if rng.random() < 0.8:
        pixels, _, _ = vary.crop(pixels, (), vary.random_window(rng, 0.7))
    pixels, _ = _turned(pixels, (), rng)
    height, width = pixels.shape[:2]
    most = math.sqrt(MAX_PIXELS / (width * height))
    if most > 1 and rng.random() < 0.5:
        larger = rng.uniform(1, most)
        pixels = vary.resize(pixels, round(larger * width), round(larger * height))
    return vary.light(pixels, rng)


def _objects(
    pixels: np.ndarray, boxes: Sequence[Box], rng: np.random.Generator
) -> tuple[np.ndarray, Sequence[Box]]:
    """Whole or a window that cuts no object, turned: what is cut ends at the frame, as next to nothing does in whole pictures; and what
    is cut, nobody can count."""
    seen, found = pixels, boxes
    if rng.random() < 0.6:
        for _ in range(6):
            window = vary.random_window(rng, rng.uniform(0.4, 0.9))
            part, inside, cut = vary.crop(pixels, boxes, window, 0.7)
            if (inside or not boxes) and not cut:
                seen, found = part, inside
                break
    seen, found = _turned(seen, found, rng)
    return vary.light(seen, rng), found


def _turned(
    pixels: np.ndarray, boxes: Sequence[Box], rng: np.random.Generator
) -> tuple[np.ndarray, Sequence[Box]]:
    pixels, boxes = vary.turn(pixels, boxes, int(rng.integers(4)), bool(rng.integers(2)))
    return np.ascontiguousarray(pixels), boxes
