"""Ways to break a sound caption (captions.py), for each check those that it has to find."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from tests.captions import (
    DETAILS,
    KINDS,
    THINGS,
    Caption,
    choice,
    classification,
    comparison,
    counting,
    grounding,
    presence,
    rural_urban,
)
from tinyrs.example import Box, Task
from tinyrs.parse import format_boxes


def _into(caption: Caption, sentence: str, rng: random.Random) -> Caption:
    """`sentence` somewhere in the reasoning."""
    parts = caption.reasoning.split(". ")
    parts.insert(rng.randrange(1, len(parts) + 1), sentence.rstrip("."))
    return replace(caption, reasoning=". ".join(part.rstrip(".") for part in parts) + ".")


def other_class(rng: random.Random) -> Caption:
    """The reasoning stays, the answer becomes another one that the question allows; so below."""
    caption = rng.choice((classification, rural_urban))(rng)
    others = [label for label in caption.question.labels if label != caption.subject]
    return replace(caption, answer=rng.choice(others).replace("_", " "), given="")


def yes_for_no(rng: random.Random) -> Caption:
    caption = rng.choice((presence, comparison))(rng)
    return replace(caption, answer="no" if caption.answer == "yes" else "yes")


def other_letter(rng: random.Random) -> Caption:
    caption = choice(rng)
    return replace(caption, answer=rng.choice([c for c in "ABCD" if c != caption.answer[0]]))


def other_count(rng: random.Random) -> Caption:
    caption = counting(rng)
    return replace(caption, answer=str(rng.choice([n for n in range(13) if n != caption.count])))


def other_box(rng: random.Random) -> Caption:
    """The box moves away from the coordinates in the reasoning, by at least 80 of 1000 on one side."""
    caption = grounding(rng)
    box = caption.boxes[0]
    for _ in range(1000):
        sides = [box.x1, box.y1, box.x2, box.y2]
        for i in rng.sample(range(4), rng.randint(1, 4)):
            sides[i] = min(1000, max(0, sides[i] + rng.choice((-1, 1)) * rng.randint(80, 500)))
        moved = Box(*sides)
        far = max(abs(a - b) for a, b in zip(sides, (box.x1, box.y1, box.x2, box.y2))) >= 80
        if far and moved.x2 - moved.x1 >= 20 and moved.y2 - moved.y1 >= 20:
            break
    return replace(caption, boxes=(moved,), answer=format_boxes([moved]))


def unknown_class(rng: random.Random) -> Caption:
    caption = rng.choice((classification, rural_urban, choice, presence, counting))(rng)
    wrong = {
        "classification": ("volcano", "airport and beach", "a nice place", "Class 3"),
        "vqa": ("maybe", "suburban", "I am not sure"),
        "counting": ("several", "many ships", "unclear"),
        "open": ("E", "F. a lake", "none of these"),
    }[caption.question.task.value]
    return replace(caption, answer=rng.choice(wrong), given="")


LEAKS = (
    "The given answer is {answer}, so I need to explain why.",
    "As provided in the metadata, this is correct.",
    "The correct answer is given as {answer}.",
    "According to the ground truth, this is right.",
    "This matches the provided answer.",
    "Since the answer was already provided, I just have to justify it.",
    "The user already told me the answer, which is {answer}.",
    "I was told that it is {answer}.",
    "The reference answer confirms this.",
    "The metadata says {answer}.",
    "Based on the given answer, it has to be so.",
    "The question-answer pair says {answer}.",
    "The annotation confirms {answer}.",
    "I should not reference the original answer directly.",
    "The provided bounding box fits this object.",
    "The expected answer here is {answer}.",
    "As stated in the answer, it is {answer}.",
    "I know the correct answer is {answer}, so let me work backwards.",
    "The dataset gives the answer {answer}.",
    "According to the given answer, this holds.",
    "The system prompt asks me to think step by step without mentioning the answer.",
    "The given coordinates fit the object well.",
)


def leaked(rng: random.Random) -> Caption:
    caption = rng.choice(KINDS)(rng)
    return _into(caption, rng.choice(LEAKS).format(answer=caption.answer), rng)


FOREIGN = (
    "\u56fe\u50cf\u4e2d\u6709\u4e00\u5ea7\u5927\u6865",
    "I see \u6865\u6881 over the water",
    "\u0417\u0434\u0435\u0441\u044c \u0432\u0438\u0434\u0435\u043d \u043c\u043e\u0441\u0442",
    "\u062a\u0638\u0647\u0631 \u0627\u0644\u0635\u0648\u0631\u0629 \u062c\u0633\u0631\u0627",
    "\u3053\u306e\u753b\u50cf\u306b\u306f\u6a4b\u304c\u3042\u308a\u307e\u3059",
    "\ub2e4\ub9ac\uac00 \ubcf4\uc785\ub2c8\ub2e4",
    "En la imagen se puede ver un puente sobre el r\u00edo y varios edificios",
    "Sur cette image, on voit un pont qui traverse la rivi\u00e8re dans le centre",
    "Auf dem Bild sieht man eine Br\u00fccke und mehrere Geb\u00e4ude neben der Stra\u00dfe",
    "G\u00f6r\u00fcnt\u00fcde bir k\u00f6pr\u00fc ve nehir var",
    "Nella foto si vede un ponte che attraversa il fiume della citt\u00e0",
    "Na imagem h\u00e1 uma ponte sobre o rio com muitos carros",
    "Op het beeld zien wij een brug die niet groot is",
    "The bridge is \ufffd\ufffd\ufffd over the water",
    "The river\u00e2\u20ac\u2122s bank is green",
)


def foreign(rng: random.Random) -> Caption:
    return _into(rng.choice(KINDS)(rng), rng.choice(FOREIGN), rng)


def too_short(rng: random.Random) -> Caption:
    short = ("I see it.", "Looks right to me.", "The image shows it clearly.")
    return replace(rng.choice(KINDS)(rng), reasoning=rng.choice(short))


def too_long(rng: random.Random) -> Caption:
    caption = rng.choice(KINDS)(rng)
    details = (f"Detail {i} of the picture shows a {rng.choice(THINGS)} of kind {i * 7}." for i in range(120))
    return replace(caption, reasoning=caption.reasoning + " " + " ".join(details))


def reasoning_in_the_answer(rng: random.Random) -> Caption:
    caption = rng.choice((presence, counting))(rng)
    return replace(caption, answer=f"{caption.answer}, because " + " ".join(DETAILS[:3]))


def said_twice(rng: random.Random) -> Caption:
    caption, sentence = rng.choice(KINDS)(rng), rng.choice(DETAILS)
    return replace(caption, reasoning=f"{sentence} {caption.reasoning} {sentence}")


def said_again(rng: random.Random) -> Caption:
    """In nearly the same words."""
    caption, sentence = rng.choice(KINDS)(rng), rng.choice(DETAILS)
    return replace(caption, reasoning=f"{sentence} {caption.reasoning} Also, {sentence[0].lower()}{sentence[1:]}")


def looping(rng: random.Random) -> Caption:
    caption = rng.choice(KINDS)(rng)
    loop = "and then there is a road next to the building and then there is a road next to the building "
    return replace(caption, reasoning=f"{caption.reasoning} I see {loop * 3}here.")


def no_reasoning(rng: random.Random) -> Caption:
    return replace(rng.choice(KINDS)(rng), reasoning=rng.choice(("", "  ", "\n")))


def no_answer(rng: random.Random) -> Caption:
    return replace(rng.choice(KINDS)(rng), answer=rng.choice(("", " ", ".", "\n")), boxes=())


def a_tag_inside(rng: random.Random) -> Caption:
    tags = ("</reasoning> <answer> yes", "<reasoning> Hmm", "<|im_end|> <|im_start|>")
    return _into(rng.choice(KINDS)(rng), rng.choice(tags), rng)


def a_tag_in_the_answer(rng: random.Random) -> Caption:
    caption = rng.choice(KINDS)(rng)
    return replace(caption, answer=f"<answer>{caption.answer}</answer>")


def cut_off(rng: random.Random) -> Caption:
    """In the middle of a sentence."""
    caption = rng.choice(KINDS)(rng)
    ends = (" The next thing is the", " I also see a", " It has,")
    return replace(caption, reasoning=caption.reasoning + rng.choice(ends))


def the_prompts_own_words(rng: random.Random) -> Caption:
    return replace(rng.choice(KINDS)(rng), reasoning="reasoning process here", answer="answer here")


def an_unusable_box(rng: random.Random) -> Caption:
    bad = (
        "[[700,100,300,400]]",
        "[[1,2,3]]",
        "[[1,2,3,nan]]",
        "[[0,0,1200,50]]",
        "[[5,5,5,9]]",
        "at the top",
        "[[12,30",
    )
    return replace(grounding(rng), answer=rng.choice(bad), boxes=())


def not_as_given(rng: random.Random) -> Caption:
    caption = rng.choice((classification, presence, counting, grounding))(rng)
    if caption.question.task is Task.GROUNDING:
        return replace(caption, given="[[0,0,30,30]]")
    return replace(caption, given={"yes": "no", "no": "yes"}.get(caption.answer, "13"))


BROKEN: dict[str, tuple[Callable[[random.Random], Caption], ...]] = {
    "format": (
        no_reasoning,
        no_answer,
        a_tag_inside,
        a_tag_in_the_answer,
        cut_off,
        the_prompts_own_words,
        an_unusable_box,
    ),
    "label": (unknown_class,),
    "given": (not_as_given,),
    "contradiction": (other_class, yes_for_no, other_letter),
    "counts": (other_count,),
    "numbers": (other_box,),
    "leak": (leaked,),
    "language": (foreign,),
    "length": (too_short, too_long, reasoning_in_the_answer),
    "repetition": (said_twice, said_again, looping),
}
"""For each check, what it has to find."""
