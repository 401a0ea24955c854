"""Sound captions in many wordings, for the tests of checks.py.

They hold what sound captions hold: other classes that are ruled out, numbers in passing, places of other
things, the words "given" and "provided" in innocent use.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tinyrs.example import Box, Question, Task
from tinyrs.parse import format_boxes
from tinyrs.prompt import CHOOSE, CLASSIFY, COUNT, LOCATE, RURAL_URBAN

CLASSES = (
    "airport beach bridge church desert farmland forest harbor highway intersection island lake meadow "
    "mountain overpass park pond port railway_station river stadium wetland"
).split() + [
    "baseball field",
    "dense residential",
    "storage tank",
    "tennis court",
    "parking lot",
    "industrial area",
    "thermal power station",
    "rectangular farmland",
]
THINGS = [
    "ship",
    "plane",
    "building",
    "road",
    "storage tank",
    "bridge",
    "car",
    "tennis court",
    "pond",
    "crane",
]
NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()


@dataclass(frozen=True)
class Caption:
    """What check() is given, with its keyword arguments."""

    question: Question
    reasoning: str
    answer: str
    boxes: tuple[Box, ...] = ()
    given: str = ""
    size: tuple[int, int] = (0, 0)
    subject: str = ""  # the thing or class that it is about
    count: int = 0


def an(word: str) -> str:
    return ("an " if word[0] in "aeiou" else "a ") + word


def plural(word: str) -> str:
    return word + "s"


OPENINGS = (
    "User asks me to {task}. Let me carefully analyze the image.",
    "Let me look at the image step by step.",
    "The user wants me to {task}. I see a top-down aerial view with several structures.",
    "Okay, let me think about this satellite image.",
    "I need to {task}, so I start from the overall layout of the provided image.",
    "Hmm, let me think. The given image shows the ground from above, at roughly 0.5 m per pixel.",
)
DETAILS = (
    "There are a few roads with two or three lanes crossing the lower part of the picture.",
    "The colours are mostly gray and green, which points to built-up land mixed with vegetation.",
    "Shadows fall to the upper left, so the picture was probably taken in the morning.",
    "I also notice some smaller structures near the edge, e.g. sheds or parked vehicles.",
    "The surroundings look dry, with bare soil and little vegetation.",
    "But wait, let me check the details again before I decide.",
    "Oh, I see, the texture is quite regular and looks man-made.",
    "The contrast between the bright roofs and the dark asphalt is strong.",
)


def classification(rng: random.Random) -> Caption:
    labels = rng.sample(CLASSES, rng.randint(5, 20))
    label, other, third = rng.sample(labels, 3)
    parts = [rng.choice(OPENINGS).format(task="classify this image"), rng.choice(DETAILS)]
    if rng.random() < 0.6:
        parts.append(
            rng.choice(
                (
                    f"It is not {an(other)}, since there is nothing of the kind here.",
                    f"At first it could be {an(other)}, but the layout is different.",
                    f"There is no {other} visible, and I can rule out {third} as well.",
                    f"I considered {other} and {third}, though neither fits.",
                )
            )
        )
    parts.append(
        rng.choice(
            (
                f"Therefore, the best fitting class from the list is {label}.",
                f"So the image most likely shows {an(label)}.",
                f"This strongly suggests {an(label)} rather than {an(other)}.",
                f"Overall, this scene matches {label} best, unlike {other} or {third}.",
                f"Thus I would classify the image as {label}.",
                f"The most appropriate category for this scene is {label}, not {other}.",
                f"All of this is typical of {an(label)}.",
                f"Based on these features, the answer is {label}.",
                f"The given classes include {other}, but the features I see fit {label} much better.",
                f"Hence, among the given classes, {label} is the one that describes the picture.",
            )
        )
    )
    question = Question(CLASSIFY.format(labels=", ".join(labels)), Task.CLASSIFICATION, tuple(labels))
    return Caption(question, " ".join(parts), label.replace("_", " "), given=label, subject=label)


def presence(rng: random.Random) -> Caption:
    thing, other = rng.sample(THINGS, 2)
    yes = rng.random() < 0.5
    question = rng.choice(
        (f"Is there {an(thing)} in the image?", f"Is {an(thing)} present?", f"Are there any {thing}s?")
    )
    parts = [rng.choice(OPENINGS).format(task=f"check for {an(thing)}"), rng.choice(DETAILS)]
    if rng.random() < 0.5:
        parts.append(rng.choice((f"I can see {an(other)} on one side.", f"There is no {other} nearby.")))
    parts.append(
        rng.choice(
            (
                f"There is clearly {an(thing)} near the middle, so the answer is yes.",
                f"I can see {an(thing)} in the upper part of the image.",
                f"Yes, {an(thing)} is visible next to the road.",
                f"One {thing} is visible at the lower edge, which confirms that it is present.",
                f"Therefore, {an(thing)} is present in the image.",
                f"There is no doubt that this object is {an(thing)}.",
            )
            if yes
            else (
                f"I do not see any {thing} in the image.",
                f"There is no {thing} visible, so the answer is no.",
                f"No {thing} is present in this area.",
                f"None of these structures is {an(thing)}.",
                f"Therefore, the image does not contain {an(thing)}.",
                f"After checking every part of the picture, the {thing} is absent.",
            )
        )
    )
    return Caption(Question(question, Task.VQA), " ".join(parts), "yes" if yes else "no", subject=thing)


def comparison(rng: random.Random) -> Caption:
    a, b = rng.sample(THINGS, 2)
    n, m = rng.randint(0, 12), rng.randint(0, 12)
    word = rng.choice(("more", "less", "equal"))
    if word == "equal":
        m = n if rng.random() < 0.5 else m
        question = f"Is the number of {a}s equal to the number of {b}s?"
        yes = n == m
    else:
        question = f"Are there {word} {a}s than {b}s?"
        yes = n > m if word == "more" else n < m
    relation = (
        f"there are as many {a}s as {b}s"
        if n == m
        else f"there are {rng.choice(('more', 'far more') if n > m else ('fewer', 'less'))} {a}s than {b}s"
    )
    parts = [rng.choice(OPENINGS).format(task=f"compare {a}s and {b}s"), rng.choice(DETAILS)]
    parts.append(
        rng.choice(
            (
                f"I count {n} {a}s and {m} {b}s.",
                f"There are {NUMBERS[n]} {a}s and {NUMBERS[m]} {b}s in view.",
                f"I can find {n} {a}s. On the other hand, there are {m} {b}s.",
            )
        )
    )
    if rng.random() < 0.7:
        parts.append(rng.choice((f"So {relation}.", f"Therefore, {relation} in this image.")))
    if rng.random() < 0.4:
        parts.append(f"So the answer is {'yes' if yes else 'no'}.")
    return Caption(Question(question, Task.VQA), " ".join(parts), "yes" if yes else "no", subject=a)


def rural_urban(rng: random.Random) -> Caption:
    urban = rng.random() < 0.5
    word, other = ("urban", "rural") if urban else ("rural", "urban")
    parts = [
        rng.choice(OPENINGS).format(
            task=f"tell whether this is a {other} or a {word} area".replace("a urban", "an urban")
        )
    ]
    parts.append(
        "I see many buildings and streets close together."
        if urban
        else "I see open fields and only a few scattered houses."
    )
    parts.append(
        rng.choice(
            (
                f"This is typical of {an(word)} area.",
                f"Therefore, it is {an(word)} area rather than {an(other)} one.",
                f"So the area is {word}.",
                f"The low density of other land use indicates {an(word)} setting.",
            )
        )
    )
    return Caption(Question(RURAL_URBAN, Task.VQA, ("rural", "urban")), " ".join(parts), word, subject=word)


def counting(rng: random.Random) -> Caption:
    thing = rng.choice(THINGS)
    n = rng.randint(0, 12)
    said = rng.choice((str(n), NUMBERS[n]))
    parts = [rng.choice(OPENINGS).format(task=f"count the {thing}s"), rng.choice(DETAILS)]
    if n > 2 and rng.random() < 0.5:
        parts.append(
            f"{NUMBERS[n - 1].capitalize()} of them stand in a row, and there is one more near the edge."
        )
    parts.append(
        rng.choice(
            (
                f"Therefore, the total number of {thing}s visible in the image is {said}.",
                f"I count {said} {thing}s.",
                f"There are {said} {thing}s in total, and there are no other {thing}s.",
                f"So the answer is {said}.",
                f"That makes {said} {thing}s altogether.",
                f"In the whole picture there are exactly {said} {thing}s.",
                f"So the count is {said}.",
            )
            if n
            else (
                f"There are no {thing}s in the image.",
                f"I do not find any {thing}, so the count is zero.",
                f"No {thing} is visible anywhere.",
            )
        )
    )
    if n and rng.random() < 0.3:
        parts.append(f"There are no other visible {thing}s.")
    return Caption(
        Question(COUNT.format(things=thing + "s"), Task.COUNTING),
        " ".join(parts),
        str(n),
        subject=thing,
        count=n,
    )


def choice(rng: random.Random) -> Caption:
    words = rng.sample(
        ["a road", "a river", "a bridge", "a harbor", "a stadium", "an airport", "a forest"], 4
    )
    at = rng.randrange(4)
    letter = "ABCD"[at]
    listed = " ".join(f"{chr(65 + i)}. {word}." for i, word in enumerate(words))
    question = CHOOSE.format(question="What is the main object in the middle of the image?", choices=listed)
    parts = [
        rng.choice(OPENINGS).format(task="pick one of the choices"),
        rng.choice(DETAILS),
        f"It does not look like {words[at - 1]}.",
        rng.choice(
            (
                f"So the correct option is {letter}.",
                f"Therefore, the answer is {letter}.",
                f"The object in the middle is {words[at]}.",
                f"This must be {words[at]}, so I choose option {letter}.",
                f"So the best match is {words[at]}.",
            )
        ),
    ]
    said = rng.choice((letter, f"{letter}.", f"{letter}. {words[at]}"))
    return Caption(Question(question, Task.OPEN, tuple("ABCD")), " ".join(parts), said, subject=words[at])


def _area(box: Box) -> str:
    x, y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
    row = "upper" if y < 400 else "lower" if y > 600 else ""
    column = "left" if x < 400 else "right" if x > 600 else ""
    return f"{row} {column}".strip() + " part" if row or column else "center"


def grounding(rng: random.Random) -> Caption:
    thing = rng.choice(THINGS)
    phrase = rng.choice((f"the {thing}", f"{an(thing)} on the left side of the road", f"the largest {thing}"))
    x1, y1 = rng.randint(0, 800), rng.randint(0, 800)
    x2, y2 = rng.randint(x1 + 60, min(1000, x1 + 500)), rng.randint(y1 + 60, min(1000, y1 + 500))
    box = Box(x1, y1, x2, y2)
    size = rng.choice(((0, 0), (800, 800), (640, 480), (1024, 768)))
    parts = [rng.choice(OPENINGS).format(task=f"identify the location of {phrase}"), rng.choice(DETAILS)]
    if rng.random() < 0.4:
        parts.append(
            f"Another {thing} can be found around ({rng.randint(0, 1000)}, {rng.randint(0, 1000)}), "
            "but it is smaller."
        )
    if rng.random() < 0.6:
        parts.append(f"The {thing} is located in the {_area(box)} of the image.")
    kind = rng.randrange(8)
    if kind == 6 and all(size):
        a, b, c, d = (round(v) for v in box.to_pixels(*size))
        parts.append(f"It extends from {a} to {c} pixels horizontally and from {b} to {d} pixels vertically.")
    elif kind == 7:
        a, b, c, d = (v / 1000 for v in (x1, y1, x2, y2))
        parts.append(f"In normalized coordinates the box runs from x = {a} to {c} and y = {b} to {d}.")
    else:
        r = [round(v, -1) for v in (x1, y1, x2, y2)]
        parts.append(
            (
                f"The coordinates for this bounding box would start around the left side near {x1 + 2} "
                f"pixels horizontally and {max(0, y1 - 2)} pixels vertically, extending to about {x2 - 1} "
                "pixels horizontally and "
                f"{y2} pixels vertically.",
                f"So the bounding box is [[{x1}, {y1}, {x2}, {y2}]].",
                f"Its left edge is at about {r[0]} and its right edge at about {r[2]}, while the top is "
                f"near {r[1]} and the bottom near {r[3]}.",
                f"The top-left corner is at ({x1}, {y1}) and the bottom-right corner at ({x2}, {y2}).",
                f"It spans {x2 - x1} across and {y2 - y1} down. It lies around {(x1 + x2) // 2} across and "
                f"{(y1 + y2) // 2} down.",
                f"It stretches from x={x1} to x={x2} and from y={y1} to y={y2}.",
            )[kind if kind < 6 else 0]
        )
    return Caption(
        Question(LOCATE.format(phrase=phrase), Task.GROUNDING),
        " ".join(parts),
        format_boxes([box]),
        (box,),
        "",
        size,
        thing,
    )


def open_ended(rng: random.Random) -> Caption:
    a, b = rng.sample(THINGS, 2)
    reasoning = " ".join(
        (
            rng.choice(OPENINGS).format(task="describe what can be observed"),
            *rng.sample(DETAILS, 2),
            f"The image shows a combination of {a}s and {b}s, which serve the people who live here.",
        )
    )
    return Caption(
        Question("What can be observed in the image?"),
        reasoning,
        f"Both {a}s and {b}s can be observed.",
        subject=a,
    )


KINDS: tuple[Callable[[random.Random], Caption], ...] = (
    classification,
    presence,
    comparison,
    rural_urban,
    counting,
    choice,
    grounding,
    open_ended,
)
