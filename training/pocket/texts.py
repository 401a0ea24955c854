"""Texts to train a tokenizer on without any data set: everything that the pocket pair is asked and answers.

Question forms and tags come from tinyrs.prompt and captions from the drawn scenes, so that a change there
reaches the vocabulary with the next build.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinyrs.example import Box
from tinyrs.parse import format_boxes
from tinyrs.prompt import (
    CHOOSE,
    CLASSIFY,
    COUNT,
    DESCRIBE,
    HONESTY_TAG,
    LOCATE,
    PRESENCE,
    RURAL_URBAN,
    SYSTEM,
    SYSTEM_THINKING,
    TASK_TAGS,
    target,
)
from tinyrs.suggestions import AID
from training.pocket.drawing.layout import NUMBERS
from training.pocket.pictures import OBJECTS
from training.pocket.scenes import CLASSES, captions

RSVQA = (
    ("Is a small building present?", "yes"),
    ("Is there a road next to a residential building in the image?", "no"),
    ("What is the number of roads?", "12"),
    ("How many commercial buildings are there in the image?", "0"),
    ("Are there more water areas than residential areas?", "no"),
    ("Are there less farmlands than buildings at the top of a forest?", "yes"),
    ("Is the number of grass areas equal to the number of parkings?", "no"),
    ("What is the area covered by medium buildings on the right of a place of worship?", "more than 1000m2"),
    (RURAL_URBAN, "rural"),
    (RURAL_URBAN, "urban"),
)
"""How RSVQA asks and answers."""

_STEPS = (
    "User wants me to find {phrase}.",
    "User asks me to classify this image. Let me look carefully.",
    "Let me look at the whole image.",
    "I look for {many} and see none.",
    "I see {count} {many}: one at {x} across and {y} down; one at {y} across and {x} down.",
    "The {relation} one is at the {side}, around {x} across and {y} down.",
    "It spans {x} across and {y} down.",
    "Among the given classes this fits {scene} best.",
    "That makes {digit}.",
    "It is the only one, near the {side} edge of the picture.",
)
_RELATIONS = ("leftmost", "rightmost", "topmost", "bottommost", "largest", "smallest")
_SIDES = (
    "upper left",
    "upper right",
    "lower left",
    "lower right",
    "top",
    "bottom",
    "left",
    "right",
    "middle",
)


def sample_texts(n: int = 400) -> list[str]:
    """`n` texts, the same ones every time, in under a second."""
    texts = _texts(np.random.default_rng(0))
    return [next(texts) for _ in range(n)]


def _texts(rng: np.random.Generator) -> Iterator[str]:
    yield from (SYSTEM, SYSTEM_THINKING)
    captioned = 0
    while True:
        yield _question(rng)
        yield _answer(rng)
        yield " ".join(f"{question} {answer}" for question, answer in rng.permutation(RSVQA)[:2].tolist())
        yield _answer(rng)
        if captioned < 2 * len(CLASSES):  # drawing is what costs time here
            yield " ".join(captions(captioned, CLASSES[captioned % len(CLASSES)]))
            captioned += 1


def _one(rng: np.random.Generator, options) -> str:
    return str(options[int(rng.integers(len(options)))])


def _facts(rng: np.random.Generator) -> dict[str, str]:
    thing = _one(rng, OBJECTS)
    article = "an" if thing[0] in "aeiou" else "a"
    return {
        "phrase": _one(rng, (f"the {_one(rng, _RELATIONS)} {thing}", f"the {thing}", f"{article} {thing}")),
        "one": f"{article} {thing}",
        "many": f"{thing}s",
        "count": _one(rng, (*NUMBERS, "many")),
        "digit": str(rng.integers(0, 100)),
        "relation": _one(rng, _RELATIONS),
        "side": _one(rng, _SIDES),
        "scene": _one(rng, AID),
        "x": str(rng.integers(0, 1001)),
        "y": str(rng.integers(0, 1001)),
    }


def _question(rng: np.random.Generator) -> str:
    facts = _facts(rng)
    labels = rng.permutation(AID if rng.random() < 0.5 else CLASSES)[: int(rng.integers(4, 31))].tolist()
    asked = (
        CLASSIFY.format(labels=", ".join(labels)),
        LOCATE.format(phrase=facts["phrase"]),
        LOCATE.format(phrase=f"all {facts['many']}"),
        f"Where is {facts['phrase']}?",
        COUNT.format(things=facts["many"]),
        PRESENCE.format(phrase=facts["one"]),
        RURAL_URBAN,
        DESCRIBE,
        "What does the image show?",
        CHOOSE.format(
            question="What is in the image?", choices=f"A. {labels[0]} B. {labels[1]} C. {labels[2]}."
        ),
    )
    tags = (*TASK_TAGS.values(), HONESTY_TAG, "")
    return f"{_one(rng, tags)} {_one(rng, asked)}".strip()


def _answer(rng: np.random.Generator) -> str:
    facts = _facts(rng)
    x1, y1, x2, y2 = rng.integers(0, 500, 4).tolist()
    box = format_boxes([Box(x1, y1, x1 + x2 + 1, y1 + y2 + 1)])
    answer = _one(rng, (box, box, facts["scene"], facts["digit"], "yes", "no", "rural", "urban"))
    steps = [_STEPS[int(i)].format(**facts) for i in rng.permutation(len(_STEPS))[: int(rng.integers(0, 4))]]
    return target(" ".join(steps), answer)
