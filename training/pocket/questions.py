"""What is known of a picture -> a question, its answer, and reasoning by rule from what is truly there.

Every maker takes (known, rng) and gives a `Row` or None where the picture cannot carry such a question. A maker
varies the picture first and asks afterwards, so that the truth is always that of the view. Reasoning is written
from the same facts as the answer: what is seen, where, how many; never from the answer alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tinyrs.example import BOX_SCALE, Box, Question, Task
from tinyrs.parse import format_boxes
from tinyrs.prompt import CLASSIFY, COUNT, DESCRIBE, LOCATE, PRESENCE
from tinyrs.sources import phrases, sentence
from training.pocket import vary
from training.pocket.pictures import OBJECTS, Known


@dataclass(frozen=True, eq=False)
class Row:
    """One question about one view; `kind` names its maker in counts and logs, `boxes` are all objects of the view."""

    pixels: np.ndarray
    question: Question
    answer: str
    reasoning: str
    kind: str = ""
    boxes: tuple[Box, ...] = ()


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


NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


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


# ---- views


def scene_view(known: Known, rng: np.random.Generator) -> np.ndarray:
    """A view of a scene picture: most of it, turned, in other light, at one of the sizes that people upload."""
    if known.view:
        return known.pixels
    pixels, _, _ = (
        vary.crop(known.pixels, (), vary.random_window(rng, 0.7))
        if rng.random() < 0.8
        else (known.pixels, 0, 0)
    )
    pixels, _ = vary.turn(pixels, (), int(rng.integers(4)), bool(rng.integers(2)))
    return vary.light(np.ascontiguousarray(pixels), rng)


def object_view(known: Known, rng: np.random.Generator) -> tuple[np.ndarray, list[Box], bool]:
    """A view of a picture with boxes; the last value says that objects may be cut off, so nobody counts them."""
    pixels, boxes, cut = known.pixels, list(known.boxes), False
    if known.view:
        return pixels, boxes, not known.complete
    if rng.random() < 0.7:
        least = rng.uniform(0.35, 0.9)
        pixels, boxes, cut = vary.crop(pixels, boxes, vary.random_window(rng, least), 0.7)
    pixels, boxes = vary.turn(pixels, boxes, int(rng.integers(4)), bool(rng.integers(2)))
    return vary.light(np.ascontiguousarray(pixels), rng), boxes, cut


def published_view(known: Known, rng: np.random.Generator, sides: bool) -> np.ndarray:
    """A view of a picture with published questions: in other light and, unless its `sides` are asked for, turned."""
    if known.view:
        return known.pixels
    pixels = known.pixels
    if not sides:
        pixels, _ = vary.turn(pixels, (), int(rng.integers(4)), bool(rng.integers(2)))
    return vary.light(np.ascontiguousarray(pixels), rng)


def view_of(known: Known, rng: np.random.Generator, maker: str) -> Known:
    """One view of a picture, as `maker` would make it, about which it and those like it can ask several questions."""
    if maker == "published":
        sides = rng.random() < 0.5
        asked = tuple(q for q in known.questions if sides or not _SIDES.search(q[0].lower()))
        return replace(known, pixels=published_view(known, rng, sides), questions=asked, view=True)
    if maker in ABOUT_ONE_VIEW[0]:
        return replace(known, pixels=scene_view(known, rng), view=True)
    pixels, boxes, cut = object_view(known, rng)
    return replace(known, pixels=pixels, boxes=tuple(boxes), complete=known.complete and not cut, view=True)


# ---- makers


def classify(known: Known, rng: np.random.Generator, labels: Sequence[str] = ()) -> Row | None:
    """The paper's classification form over `labels`: all of them or some, in order or shuffled."""
    if not known.label:
        return None
    listed = sorted({*labels, known.label})
    if rng.random() < 0.4:  # a list of another length
        others = rng.permutation([label for label in listed if label != known.label])
        listed = sorted([*others[: int(rng.integers(2, max(3, len(listed))))].tolist(), known.label])
    if rng.random() < 0.35:
        listed = rng.permutation(listed).tolist()
    say = Phrases(rng)
    seen = sentence(known.captions[int(rng.integers(len(known.captions)))]) if known.captions else ""
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
                f"Among the given classes this fits {known.label} best.",
                f"So the scene is {known.label}.",
                f"What I see is typical of {known.label}.",
            ),
        )
        if part
    )
    question = Question(CLASSIFY.format(labels=", ".join(listed)), Task.CLASSIFICATION, tuple(listed))
    return Row(scene_view(known, rng), question, known.label, reasoning, "classify")


def describe(known: Known, rng: np.random.Generator) -> Row | None:
    """Captioning: RSICD's sentences, or those of a drawn scene."""
    if not known.captions:
        return None
    told = known.captions[int(rng.integers(len(known.captions)))]
    question = Question(
        Phrases(rng).one(DESCRIBE, "Describe the image.", "What does the image show?"), Task.CAPTIONING
    )
    reasoning = f"User wants a description. {'The scene looks like ' + known.label + '. ' if known.label else ''}I name what stands out."
    return Row(scene_view(known, rng), question, sentence(told), reasoning, "describe")


_ORDERS: dict[str, Callable[[Box], float]] = {
    "leftmost": lambda box: box.x1 + box.x2,
    "rightmost": lambda box: -(box.x1 + box.x2),
    "topmost": lambda box: box.y1 + box.y2,
    "bottommost": lambda box: -(box.y1 + box.y2),
    "largest": lambda box: -(box.x2 - box.x1) * (box.y2 - box.y1),
}
"""In which order somebody looks who was asked for the leftmost, ..., the largest one: the wanted one comes first."""


def _listing(name: str, boxes: Sequence[Box], relation: str = "leftmost") -> str:
    if len(boxes) == 1:
        return f"I see one {name}, {place(boxes[0])}, around {_spot(boxes[0])}."
    shown = sorted(boxes, key=_ORDERS[relation])[:5]
    more = " and more" if len(boxes) > len(shown) else ""
    count = NUMBERS[len(boxes)] if len(boxes) <= 10 else "many"
    return f"I see {count} {plural(name)}: " + "; ".join(f"one at {_spot(b)}" for b in shown) + more + "."


_EXTENTS = (
    "It reaches from {0} across and {1} down to {2} across and {3} down.",
    "Its corners are at {0} across and {1} down and at {2} across and {3} down.",
)
"""Both corners, once the middle has been told: in the order of the box, so that nothing is left to be reckoned."""


def locate(known: Known, rng: np.random.Generator) -> Row | None:
    """Grounding: the only object of its class, or the one that a relation means."""
    pixels, boxes, _ = object_view(known, rng)
    if not boxes:
        return None
    meant = phrases(boxes)
    if not meant:
        return None
    phrase, target = meant[int(rng.integers(len(meant)))]
    name, say = target.label, Phrases(rng)
    same = [b for b in boxes if b.label == name]
    relation = "leftmost"
    if len(same) == 1:
        phrase, why = say.one(phrase, phrase, a(name)), "It is the only one."
    else:
        relation = phrase.split()[1]
        why = f"The {relation} one is {place(target)}, around {_spot(target)}."
    form = say.one(LOCATE, LOCATE, LOCATE, "Where is {phrase}?", "Locate {phrase}.")
    reasoning = " ".join(
        (
            say.one(
                f"User wants me to find {phrase}.",
                f"I look for {phrase}.",
                f"Let me search for {plural(name)}.",
            ),
            _listing(name, same, relation),
            why,
            say.one(*_EXTENTS).format(*snap(target).corners()),
        )
    )
    return Row(
        pixels,
        Question(form.format(phrase=phrase), Task.GROUNDING),
        format_boxes([snap(target)]),
        reasoning,
        "locate",
        tuple(boxes),
    )


def whereabouts(known: Known, rng: np.random.Generator) -> Row | None:
    """In which part of the picture is it: the coarse half of grounding, in words."""
    pixels, boxes, _ = object_view(known, rng)
    meant = phrases(boxes)
    if not meant:
        return None
    phrase, target = meant[int(rng.integers(len(meant)))]
    question = Question(f"In which part of the image is {phrase}?", Task.VQA)
    same = [b for b in boxes if b.label == target.label]
    return Row(pixels, question, place(target), _listing(target.label, same), "whereabouts", tuple(boxes))


def locate_all(known: Known, rng: np.random.Generator) -> Row | None:
    """Every object of one class: more coordinates to learn from in one view. For training only."""
    pixels, boxes, _ = object_view(known, rng)
    names = sorted({b.label for b in boxes})
    if not names:
        return None
    name = names[int(rng.integers(len(names)))]
    same = sorted((b for b in boxes if b.label == name), key=lambda b: (b.x1 + b.x2, b.y1 + b.y2))[:8]
    answer = ", ".join(format_boxes([snap(b)]) for b in same)
    question = Question(LOCATE.format(phrase=f"all {plural(name)}"), Task.GROUNDING)
    return Row(pixels, question, answer, _listing(name, same), "locate_all", tuple(boxes))


def count(known: Known, rng: np.random.Generator) -> Row | None:
    """How many objects of one class; asked only of views that cut none of them."""
    if not known.complete:
        return None
    pixels, boxes, cut = object_view(known, rng)
    if cut:
        return None
    names = sorted({b.label for b in boxes})
    if names and rng.random() < 0.8:
        name = names[int(rng.integers(len(names)))]
    else:
        name = OBJECTS[int(rng.integers(len(OBJECTS)))]
    same = [b for b in boxes if b.label == name]
    if len(same) > 12:
        return None
    reasoning = (
        _listing(name, same) + f" That makes {len(same)}."
        if same
        else f"I look for {plural(name)} all over the image and see none."
    )
    question = Question(COUNT.format(things=plural(name)), Task.COUNTING)
    return Row(pixels, question, str(len(same)), reasoning, "count")


def presence(known: Known, rng: np.random.Generator) -> Row | None:
    """Is there a ...: as often yes as no."""
    if not known.complete:
        return None
    pixels, boxes, cut = object_view(known, rng)
    if cut:
        return None
    there = sorted({b.label for b in boxes})
    absent = [name for name in OBJECTS if name not in there]
    yes = bool(there) and rng.random() < 0.5
    name = there[int(rng.integers(len(there)))] if yes else absent[int(rng.integers(len(absent)))]
    question = Question(PRESENCE.format(phrase=a(name)), Task.VQA)
    same = [b for b in boxes if b.label == name]
    seen = _listing(name, same) if same else f"I look for {plural(name)} all over the image and see none."
    return Row(pixels, question, "yes" if yes else "no", seen, "presence")


_SIDES = re.compile(r"\b(left|right|top|bottom|above|below|north|south|east|west)\b")
_COUNTED = re.compile(r"(?:number of|amount of|how many) (.+?)(?: are there)?(?: in the image)?\??$", re.I)
_COMPARED = re.compile(
    r"are there (more|less) (.+?) than (.+?)(?: in the image)?\??$|"
    r"is the number of (.+?) equal to the number of (.+?)(?: in the image)?\??$",
    re.I,
)


DERIVED = 0.6
"""Share of the yes-or-no questions about an RSVQA picture that are made from its published counts."""


def _counts(known: Known) -> dict[str, int]:
    """What the published questions count in a picture: {"small water areas": 9, ...}."""
    found = {}
    for text, number, kind in known.questions:
        asked = _COUNTED.search(text)
        if kind == "count" and asked and number.isdigit():
            found[asked[1].strip().lower()] = int(number)
    return found


def singular(things: str) -> str:
    """ "roads next to a  water area" -> "road next to a  water area", as RSVQA makes the one of the other."""
    return re.sub(r"s(?= (?:next|on|at) |$)", "", things, count=1)


def derived(counts: dict[str, int], kind: str, rng: np.random.Generator) -> tuple[str, str] | None:
    """A question of RSVQA's kind `presence` or `comp` and its answer, from the counts that are published of the same
    picture. (All 1,018 published presence answers that a count speaks of agree with it.)"""
    if len(counts) < 2 or kind not in ("presence", "comp"):
        return None
    say = Phrases(rng)
    end = say.one(*["?"] * 9, " in the image?")
    one, other = (str(each) for each in rng.permutation(sorted(counts))[:2])
    if kind == "presence":
        return say.one("Is there a {}", "Is a {} present").format(singular(one)) + end, _yes(counts[one] > 0)
    if counts[one] == counts[other] and rng.random() < 0.5:  # two that are missing are the most frequent pair
        one, other = (str(each) for each in rng.permutation(sorted(counts))[:2])
    form, holds = (
        ("Are there more {} than {}", counts[one] > counts[other]),
        ("Are there less {} than {}", counts[one] < counts[other]),
        ("Is the number of {} equal to the number of {}", counts[one] == counts[other]),
    )[int(rng.integers(3))]
    return form.format(one, other) + end, _yes(holds)


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def published(known: Known, rng: np.random.Generator) -> Row | None:
    """One of RSVQA's own questions about this picture, with equal shares for its kinds and, now and then, its answers;
    or one of the same kind made from what they count."""
    if not known.questions:
        return None
    kinds = sorted({kind for _, _, kind in known.questions if kind != "area"})
    kind = kinds[int(rng.integers(len(kinds)))]
    asked = [q for q in known.questions if q[2] == kind]
    answers = sorted({answer for _, answer, _ in asked})
    if kind != "count" and rng.random() < 0.15:
        wanted = answers[int(rng.integers(len(answers)))]
        asked = [q for q in asked if q[1] == wanted]
    text, answer, _ = asked[int(rng.integers(len(asked)))]
    if rng.random() < DERIVED:
        text, answer = derived(_counts(known), kind, rng) or (text, answer)
    pixels = published_view(known, rng, bool(_SIDES.search(text.lower())))
    task = Task.COUNTING if kind == "count" else Task.VQA
    return Row(
        pixels, Question(text, task), answer, _rsvqa_reasoning(known, text, answer, kind), f"rsvqa_{kind}"
    )


def _rsvqa_reasoning(known: Known, text: str, answer: str, kind: str) -> str:
    """From the counts that the same picture's other questions give, where they do."""
    counts = _counts(known)
    if kind == "comp" and (found := _COMPARED.search(text)):
        left, right = (found[2], found[3]) if found[1] else (found[4], found[5])
        first, second = (counts.get(side.lower()) for side in (left, right))
        if first is not None and second is not None:
            holds = {"more": first > second, "less": first < second}.get(
                (found[1] or "").lower(), first == second
            )
            # A few published answers contradict the published counts: no reasoning leads to those.
            if holds == (answer == "yes"):
                return f"I count {first} {left} and {second} {right}."
        return f"I look for {left} and for {right} and compare the two."
    if kind == "count" and (found := _COUNTED.search(text)):
        return f"I look for {found[1].strip().lower()} all over the image. I count {answer}."
    if kind == "presence":
        return "I search the image for it. " + ("I can see it." if answer == "yes" else "I cannot see any.")
    if kind == "rural_urban":
        many = (
            "many buildings and streets close together"
            if answer == "urban"
            else "open land and few buildings"
        )
        return f"I see {many}."
    return "Let me look at the whole image."


ABOUT_ONE_VIEW = (
    ("classify", "describe"),
    ("locate", "locate_all", "whereabouts", "count", "presence"),
    ("published",),
)
"""Makers that can ask about one and the same view."""

MAKERS: dict[str, Callable] = {
    "classify": classify,
    "describe": describe,
    "locate": locate,
    "locate_all": locate_all,
    "whereabouts": whereabouts,
    "count": count,
    "presence": presence,
    "published": published,
}
