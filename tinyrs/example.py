"""The values that the whole house passes around: Task, Box, Question, Answer, Example.

Frozen, pure, and without identity: ids, paths to databases and who wrote what live in the store.
This module imports nothing of ours, and nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

BOX_SCALE = 1000
"""Boxes inside the house run from 0 to this on both axes, whatever scale a file or a model uses."""


class Task(str, Enum):
    """What kind of answer a question wants. The value is the word used in files and on the page."""

    CLASSIFICATION = "classification"
    VQA = "vqa"
    GROUNDING = "grounding"
    COUNTING = "counting"
    CAPTIONING = "captioning"
    OPEN = "open"


@dataclass(frozen=True)
class Box:
    """An upright rectangle, normalised to 0..1000 of the picture's width (x) and height (y).

    `x1, y1` is the upper left corner and `x2, y2` the lower right one. `label` is what the box is said to
    hold ("" when unknown); `angle` is in degrees and only kept for dialects that write one (GeoChat).
    """

    x1: float
    y1: float
    x2: float
    y2: float
    label: str = ""
    angle: float = 0.0

    def to_pixels(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The corners in pixels of a picture of `width` x `height`."""
        sx, sy = width / BOX_SCALE, height / BOX_SCALE
        return self.x1 * sx, self.y1 * sy, self.x2 * sx, self.y2 * sy

    @classmethod
    def from_pixels(
        cls, x1: float, y1: float, x2: float, y2: float, width: int, height: int, label: str = ""
    ) -> Box:
        """A box given in pixels of a picture of `width` x `height`."""
        sx, sy = BOX_SCALE / width, BOX_SCALE / height
        return cls(x1 * sx, y1 * sy, x2 * sx, y2 * sy, label)

    def corners(self) -> list[int]:
        """`[x1, y1, x2, y2]` rounded to whole units: the notation of the TinyRS models."""
        return [round(self.x1), round(self.y1), round(self.x2), round(self.y2)]


@dataclass(frozen=True)
class Question:
    """What a person asks about one picture. `labels` is the closed label set, empty when there is none."""

    text: str
    task: Task = Task.OPEN
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a model wrote, taken apart.

    raw          the text as the model wrote it
    reasoning    the steps of its reasoning, in order; empty when it did not reason
    text         the answer itself, without tags
    boxes        every box in the answer, on the 0..1000 scale
    reasoning_boxes  every box that is mentioned in the reasoning, on the 0..1000 scale
    well_formed  the text keeps to its dialect's form (for a thinking model: one reasoning, then one answer)
    truncated    generation stopped at its token budget before the form was complete
    problems     one plain sentence for each thing that is wrong with the form
    """

    raw: str
    text: str = ""
    reasoning: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    reasoning_boxes: tuple[Box, ...] = ()
    well_formed: bool = True
    truncated: bool = False
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Example:
    """A question about a picture together with its true answer; `reasoning` is "" when none is known.

    `answer` is the reference text. `boxes` holds the true boxes of a grounding question, 0..1000.
    `size` is (width, height) in pixels, (0, 0) when not read. `source` says which data set it came from.
    """

    picture: Path
    question: Question
    answer: str
    boxes: tuple[Box, ...] = ()
    reasoning: str = ""
    size: tuple[int, int] = (0, 0)
    source: str = ""
    kinds: tuple[str, ...] = ()
