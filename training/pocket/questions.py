"""What is known of a picture -> a question, its answer, and reasoning by rule from what is truly there.

Every maker takes (view, rng) and gives a `Row`, or None where the view (training.pocket.views) cannot carry such a question.
Reasoning is written from the same facts as the answer: what is seen, where, how many; never from the answer alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tinyrs.example import BOX_SCALE, Box, Question, Task
from tinyrs.parse import format_boxes
from tinyrs.prompt import CLASSIFY, COUNT, DESCRIBE, LOCATE, PRESENCE
from tinyrs.sources import ORDERS, phrases, sentence
from training.pocket.drawing.layout import number
from training.pocket.pictures import OBJECTS
from training.pocket.views import View


@dataclass(frozen=True, eq=False)
class Row:
    """One question about one view.

    kind     names its maker in counts and logs
    boxes    all objects of the view
    spoken   for each number of the reasoning and then of the answer, the box that it is of; () where none is
    """

    pixels: np.ndarray
    question: Question
    answer: str
    reasoning: str
    kind: str = ""
    boxes: tuple[Box, ...] = ()
    spoken: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Phrases:
    """Wordings to draw from; a seeded choice keeps a build repeatable."""

    rng: np.random.Generator = field(repr=False)

    def one(self, *options: str) -> str:
        return options[int(self.rng.integers(len(options)))]


def plural(name: str) -> str:
    """ "ship" -> "ships"; "ground track field" -> "ground track fields"."""
    return name if name.endswith("s") else name + "s"


def a(name: str) -> str:
    """With its article: "an airplane", "a ship"."""
    return ("an " if name[0] in "aeiou" else "a ") + name


def place(box: Box) -> str:
    """Where a box lies in words, by thirds of the picture."""
    x, y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
    column = "left" if x < BOX_SCALE / 3 else "right" if x > BOX_SCALE * 2 / 3 else ""
    row = "upper" if y < BOX_SCALE / 3 else "lower" if y > BOX_SCALE * 2 / 3 else ""
    if not column and not row:
        return "in the middle"
    if not column:
        return "at the top" if row == "upper" else "at the bottom"
    return f"at the {row} {column}" if row else f"at the {column}"


def snap(box: Box) -> Box:
    """`box` on the grid of coordinates that the pocket pair writes (training.pocket.model.NUMBERS)."""
    x1, y1, x2, y2 = (min(max(_ten(side), 0), BOX_SCALE) for side in (box.x1, box.y1, box.x2, box.y2))
    return Box(min(x1, 990), min(y1, 990), max(x2, x1 + 10), max(y2, y1 + 10), box.label)


def _ten(value: float) -> int:
    return 10 * round(value / 10)


def _spot(box: Box) -> str:
    """The middle of a box in words, on 0..1000."""
    return f"{_ten((box.x1 + box.x2) / 2)} across and {_ten((box.y1 + box.y2) / 2)} down"


def classify(view: View, rng: np.random.Generator, labels: Sequence[str] = ()) -> Row | None:
    """The paper's classification form over `labels`: all of them or some, in order or shuffled."""
    if not view.label:
        return None
    listed = sorted({*labels, view.label})
    if rng.random() < 0.4:  # a list of another length
        others = rng.permutation([label for label in listed if label != view.label])
        listed = sorted([*others[: int(rng.integers(2, max(3, len(listed))))].tolist(), view.label])
    if rng.random() < 0.35:
        listed = rng.permutation(listed).tolist()
    say = Phrases(rng)
    seen = sentence(view.captions[int(rng.integers(len(view.captions)))]) if view.captions else ""
    reasoning = " ".join(
        part
        for part in (
            say.one(
                "Let me look at the picture.",
                "User asks me to classify this image. Let me look carefully.",
                "I look at the whole scene first.",
            ),
            seen,
            say.one(
                f"Among the given classes this fits {view.label} best.",
                f"So the scene is {view.label}.",
                f"What I see is typical of {view.label}.",
            ),
        )
        if part
    )
    question = Question(CLASSIFY.format(labels=", ".join(listed)), Task.CLASSIFICATION, tuple(listed))
    return Row(view.pixels, question, view.label, reasoning, "classify")


def describe(view: View, rng: np.random.Generator) -> Row | None:
    """Captioning: RSICD's sentences, or those of a drawn scene."""
    if not view.captions:
        return None
    told = view.captions[int(rng.integers(len(view.captions)))]
    question = Question(
        Phrases(rng).one(DESCRIBE, "Describe the image.", "What does the image show?"), Task.CAPTIONING
    )
    reasoning = f"User wants a description. {'The scene looks like ' + view.label + '. ' if view.label else ''}I name what stands out."
    return Row(view.pixels, question, sentence(told), reasoning, "describe")


def _shown(boxes: Sequence[Box], relation: str = "leftmost") -> list[Box]:
    """Those of `boxes` that a listing tells of, in the order in which somebody looks who was asked for the leftmost, ..., the
    largest one: the wanted one comes first."""
    return sorted(boxes, key=ORDERS[relation])[:5]


def _listing(name: str, count: int, shown: Sequence[Box]) -> str:
    """What somebody says who sees `count` of them and tells of those `shown`."""
    if count == 1:
        return f"I see one {name}, {place(shown[0])}, around {_spot(shown[0])}."
    more = " and more" if count > len(shown) else ""
    return f"I see {number(count)} {plural(name)}: " + "; ".join(f"one at {_spot(b)}" for b in shown) + more + "."


_EXTENTS = (
    "It reaches from {0} across and {1} down to {2} across and {3} down.",
    "Its corners are at {0} across and {1} down and at {2} across and {3} down.",
)
"""Both corners, once the middle has been told: in the order of the box, so that nothing is left to be reckoned."""


def locate(view: View, rng: np.random.Generator) -> Row | None:
    """Grounding: the only object of its class, or the one that a relation means."""
    meant = phrases(view.boxes)
    if not meant:
        return None
    phrase, target = meant[int(rng.integers(len(meant)))]
    name, say = target.label, Phrases(rng)
    same = [b for b in view.boxes if b.label == name]
    if len(same) == 1:
        pairs = shown = same
        phrase, why = say.one(phrase, phrase, a(name)), "It is the only one."
    else:
        relation = phrase.split()[1]
        shown = _shown(same, relation)
        pairs = [*shown, target]
        why = f"The {relation} one is {place(target)}, around {_spot(target)}."
    form = say.one(LOCATE, LOCATE, LOCATE, "Where is {phrase}?", "Locate {phrase}.")
    reasoning = " ".join(
        (
            say.one(
                f"User wants me to find {phrase}.",
                f"I look for {phrase}.",
                f"Let me search for {plural(name)}.",
            ),
            _listing(name, len(same), shown),
            why,
            say.one(*_EXTENTS).format(*snap(target).corners()),
        )
    )
    return Row(
        view.pixels,
        Question(form.format(phrase=phrase), Task.GROUNDING),
        format_boxes([snap(target)]),
        reasoning,
        "locate",
        view.boxes,
        tuple(box for box in pairs for _ in range(2)) + (target,) * 8,
    )


def whereabouts(view: View, rng: np.random.Generator) -> Row | None:
    """In which part of the picture is it: the coarse half of grounding, in words."""
    meant = phrases(view.boxes)
    if not meant:
        return None
    phrase, target = meant[int(rng.integers(len(meant)))]
    question = Question(f"In which part of the image is {phrase}?", Task.VQA)
    same = [b for b in view.boxes if b.label == target.label]
    return Row(view.pixels, question, place(target), _listing(target.label, len(same), _shown(same)), "whereabouts", view.boxes)


def locate_all(view: View, rng: np.random.Generator) -> Row | None:
    """Every object of one class: more coordinates to learn from in one view. For training only."""
    names = sorted({b.label for b in view.boxes})
    if not names:
        return None
    name = names[int(rng.integers(len(names)))]
    same = sorted((b for b in view.boxes if b.label == name), key=lambda b: (b.x1 + b.x2, b.y1 + b.y2))[:8]
    answer = ", ".join(format_boxes([snap(b)]) for b in same)
    question = Question(LOCATE.format(phrase=f"all {plural(name)}"), Task.GROUNDING)
    shown = _shown(same)
    spoken = tuple(box for box in shown for _ in range(2)) + tuple(box for box in same for _ in range(4))
    return Row(view.pixels, question, answer, _listing(name, len(same), shown), "locate_all", view.boxes, spoken)


def count(view: View, rng: np.random.Generator) -> Row | None:
    """How many objects of one class, where every object is view."""
    if not view.complete:
        return None
    names = sorted({b.label for b in view.boxes})
    if names and rng.random() < 0.8:
        name = names[int(rng.integers(len(names)))]
    else:
        name = OBJECTS[int(rng.integers(len(OBJECTS)))]
    same = [b for b in view.boxes if b.label == name]
    if len(same) > 12:
        return None
    reasoning = (
        _listing(name, len(same), _shown(same)) + f" That makes {len(same)}."
        if same
        else f"I look for {plural(name)} all over the image and see none."
    )
    question = Question(COUNT.format(things=plural(name)), Task.COUNTING)
    return Row(view.pixels, question, str(len(same)), reasoning, "count", view.boxes)


def presence(view: View, rng: np.random.Generator) -> Row | None:
    """Is there a ...: as often yes as no."""
    if not view.complete:
        return None
    there = sorted({b.label for b in view.boxes})
    absent = [name for name in OBJECTS if name not in there]
    yes = bool(there) and rng.random() < 0.5
    name = there[int(rng.integers(len(there)))] if yes else absent[int(rng.integers(len(absent)))]
    question = Question(PRESENCE.format(phrase=a(name)), Task.VQA)
    same = [b for b in view.boxes if b.label == name]
    seen = _listing(name, len(same), _shown(same)) if same else f"I look for {plural(name)} all over the image and see none."
    return Row(view.pixels, question, "yes" if yes else "no", seen, "presence", view.boxes)
