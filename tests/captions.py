"""Captions for the tests of checks.py: sound ones in many wordings, some by hand, and ways to break each.

They hold what sound captions hold: other classes that are ruled out, numbers in passing, places of other
things, the words "given" and "provided" in innocent use.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tinyrs.example import Box, Question, Task
from tinyrs.parse import format_boxes
from tinyrs.prompt import CHOOSE, CLASSIFY, COUNT, LOCATE, RURAL_URBAN, guess_task

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

# --- ways to break a sound caption ------------------------------------------------------------------------


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


# --- written to slip through ------------------------------------------------------------------------------


def hard(missed: bool = False) -> list[tuple[Caption, str]]:
    """(caption, the check that is to find it or ""): sound ones as people and large models write them, and broken ones
    of kinds that nobody had in mind when the checks were first written. One a line in captions_hard.jsonl. `missed`:
    those instead that the checks are known to get wrong."""
    return [(caption, finds) for caption, finds, known in _read("captions_hard.jsonl") if known == missed]


def unseen() -> list[tuple[Caption, str]]:
    """The same of captions by which nothing was made: whoever wrote captions_unseen.jsonl had seen none of the checks."""
    return [(caption, finds) for caption, finds, _ in _read("captions_unseen.jsonl")]


def natural(lot: int) -> list[tuple[Caption, str]]:
    """The same as people and large models write of themselves, without traps: lots 1 to 7 of captions_natural.jsonl, each by another
    writer. 4 and 5 tell places in words alone. The last lot was written after everything was made."""
    return [(caption, finds) for caption, finds, _ in _read("captions_natural.jsonl", lot)]


def _read(name: str, lot: int = 0) -> list[tuple[Caption, str, bool]]:
    found = []
    for line in Path(__file__).with_name(name).read_text("utf-8").splitlines():
        row = json.loads(line)
        if lot and row["lot"] != lot:
            continue
        question = Question(row["question"], *guess_task(row["question"]))
        size = tuple(row.get("size", (0, 0)))
        caption = Caption(question, row["reasoning"], row["answer"], size=size)
        found.append((caption, row["finds"], row.get("missed", False)))
    return found


# --- by hand ----------------------------------------------------------------------------------------------

MANY = CLASSIFY.format(
    labels="airport, beach, bridge, commercial area, dense residential, farmland, forest, golf course, "
    "harbor, overpass, palace, parking lot, pond, railway station, river, runway, school, square, stadium, "
    "storage tank, viaduct"
)
AID = CLASSIFY.format(
    labels="BareLand, BaseballField, Beach, Bridge, Center, Church, Commercial, DenseResidential, Desert, "
    "Farmland, Forest, Industrial, Meadow, MediumResidential, Mountain, Park, Parking, Playground, Pond, "
    "Port, RailwayStation, Resort, River, School, SparseResidential, Square, Stadium, StorageTanks, Viaduct"
)
BY_HAND = (
    (
        MANY,
        "The user wants a classification of this aerial image. Looking closely, I see several "
        "long piers extending into the water, with dozens of white boats moored along them. "
        "There's a breakwater that shelters the basin. This isn't a beach because no sand is "
        "visible, and a river wouldn't have this kind of infrastructure. The arrangement of boats "
        "in slips is a hallmark of a harbor.",
        "harbor",
        "beach",
    ),
    (
        MANY,
        "Okay, so I'm looking at a satellite view. There are several round white structures "
        "arranged in a grid, each casting a circular shadow. They are connected by thin pipes. "
        "Could these be ponds? No, the shadows tell me these are raised. They're industrial "
        "containers holding oil or gas, so storage tank it is.",
        "storage tank",
        "pond",
    ),
    (
        MANY,
        "Let me think. The picture shows an oval structure with seating all around and a green "
        "field in the middle. A running track encircles the field. While a school might have a "
        "track as well, the large stands point to something bigger. I'm going with stadium.",
        "stadium",
        "school",
    ),
    (
        MANY,
        "I see water running diagonally through the scene, with vegetation on both banks. A "
        "bridge crosses it in the upper right, but it occupies only a small part of the image. "
        "The dominant feature is the watercourse itself. Hence river.",
        "river",
        "bridge",
    ),
    (
        MANY,
        "The image displays rows of small houses packed tightly together with narrow streets "
        "between them. There is very little open space. Compared with a commercial area, the "
        "roofs are small and uniform. The high density of homes makes dense residential the most "
        "suitable label.",
        "dense residential",
        "commercial area",
    ),
    (
        MANY,
        "We can observe a curved elevated road supported by pillars, crossing over a valley. An "
        "overpass usually crosses another road, whereas this one spans a long distance over "
        "uneven terrain. That makes me lean toward viaduct.",
        "viaduct",
        "overpass",
    ),
    (
        MANY,
        "Many cars are lined up in neat rows on a paved surface with painted lines. It doesn't "
        "seem to be a square, since pedestrians and monuments are absent. All evidence points to "
        "a parking lot.",
        "parking lot",
        "square",
    ),
    (
        MANY,
        "At the top of the frame there are tracks converging towards a large building with "
        "platforms. Trains are standing at some of them. This combination is exactly what one "
        "would expect at a railway station.",
        "railway station",
        "bridge",
    ),
    (
        "Is a road present?",
        "Let me scan the image. On the right there's a thin gray line that runs from top to "
        "bottom. Vehicles can be seen on it. It has to be a road. So yes, a road is present.",
        "yes",
        "no",
    ),
    (
        "Is there a water area?",
        "I look for blue or dark smooth surfaces. Everything I can see is brown and green: "
        "fields, trees, and a few houses. I couldn't find any water area.",
        "no",
        "yes",
    ),
    (
        "Is a commercial building present in the image?",
        "Scanning the picture, I notice mostly single-family houses with gardens. There are no "
        "large flat roofs or loading docks that would hint at a commercial building. It seems "
        "that there isn't one.",
        "no",
        "yes",
    ),
    (
        "Is there a bridge in the image?",
        "A river flows across the scene. At one point, a narrow strip connects both banks, and "
        "its shadow falls on the water. That must be a bridge.",
        "yes",
        "no",
    ),
    (
        "Are there more buildings than roads in the image?",
        "I can count about 12 buildings, most of them along the southern edge. As for roads, I "
        "see just 3. Since 12 is greater than 3, there are more buildings than roads.",
        "yes",
        "no",
    ),
    (
        "Are there less residential buildings than water areas?",
        "There are two water areas, one large and one small. Residential buildings, on the other "
        "hand, are numerous: at least twenty. So residential buildings outnumber water areas.",
        "no",
        "yes",
    ),
    (
        "Is the number of roads equal to the number of water areas?",
        "I find one road at the bottom. There is also one lake. The two numbers are the same.",
        "yes",
        "no",
    ),
    (
        "Is it a rural or an urban area",
        "The image shows vast patches of farmland in different shades of green. There are hardly "
        "any buildings, just one farmhouse. Such a landscape is clearly rural.",
        "rural",
        "urban",
    ),
    (
        "How many planes can you see in the image?",
        "There's a terminal building with jet bridges. Parked next to it are three large white "
        "planes. A fourth one is taxiing on the apron. Altogether, I can see four planes.",
        "4",
        "3",
    ),
    (
        "How many ships are there?",
        "Let me count them one by one: the first near the dock, the second just behind it, and a "
        "third one farther out at sea. No other ships are visible, so there are three.",
        "3",
        "2",
    ),
    (
        "What is the number of buildings?",
        "I see a row of five buildings on the left side and another row of four on the right. "
        "Adding them up gives nine buildings.",
        "9",
        "5",
    ),
    (
        "How many tennis courts can you see in the image?",
        "In the center there is a sports complex. It has two green courts with white lines, side "
        "by side. I double-checked and there are no more courts, so the number is two.",
        "2",
        "4",
    ),
    (
        "What is the amount of roads?",
        "Only grassland and trees can be seen. There is no road at all. The amount is therefore 0.",
        "0",
        "1",
    ),
    (
        "Identify the location of a red ship.",
        "I need to find a red ship. The sea is dark blue, so a red hull stands out. In the lower "
        "left quadrant I see an elongated red object with a wake behind it. Its bow points right. "
        "Estimating the extents, it begins at roughly x=120, y=640 and ends at about x=260, "
        "y=705.",
        "[[118,642,262,703]]",
        "[[518,142,662,203]]",
    ),
    (
        "Identify the location of the largest storage tank.",
        "Several tanks are visible. The one in the middle right is clearly the biggest. Its "
        "outline goes from 610 to 790 horizontally and from 402 to 580 vertically.",
        "[[612,400,788,579]]",
        "[[612,700,788,879]]",
    ),
    (
        "Where is the airport terminal?",
        "The terminal is a long building near the top of the image. It starts near the "
        "coordinates (210, 95) and its opposite corner lies at (655, 240).",
        "[[208,96,657,238]]",
        "[[208,396,657,538]]",
    ),
    (
        "Identify the location of the bridge on the right.",
        "There are two bridges. The one on the right crosses the river at a slight angle. The box "
        "that encloses it is approximately [690, 310, 880, 450].",
        "[[694,306,883,452]]",
        "[[94,306,283,452]]",
    ),
    (
        "Identify the location of a stadium.",
        "Near the center of the image there's an oval stadium. The bounding box should span from "
        "around 35% to 62% horizontally and 40% to 70% vertically.",
        "[[352,398,618,702]]",
        "[[652,698,918,902]]",
    ),
    (
        "Identify the location of the white plane.",
        "The plane sits on the apron in the upper right corner. Its nose faces north. The tail is "
        "slightly darker. I would draw the box tightly around its wings.",
        "[[780,60,930,190]]",
        "[[80,760,230,890]]",
    ),
    (
        AID,
        "User asks me to classify this image. I see a diamond-shaped infield with brown dirt and "
        "a green outfield. This is unmistakably a baseball field.",
        "BaseballField",
        "Playground",
    ),
    (
        AID,
        "Let me analyze. The area is covered by sand with ripples and dunes. There's no "
        "vegetation and no water, so it can't be a beach. Bare land would show soil rather than "
        "sand. Desert is the best option.",
        "Desert",
        "Beach",
    ),
    (
        AID,
        "There are several houses with large gardens, trees between them and wide spacing. Houses "
        "are far apart. In dense or medium residential areas they would be closer together. So "
        "sparse residential it is.",
        "SparseResidential",
        "MediumResidential",
    ),
    (
        AID,
        "I notice a big cross-shaped building with a dome. Next to it is a small park with trees "
        "and a parking lot. The shape of the building is typical for churches.",
        "Church",
        "Park",
    ),
    (
        AID,
        "The image contains a body of water with ships docked along quays and cranes. Containers "
        "are stacked beside. Considering all options, the scene most likely belongs to the class "
        "Port.",
        "Port",
        "Industrial",
    ),
    (
        AID,
        "A wide river splits the picture. There are two bridges over it, but they are small "
        "compared with the water. I would say the main subject here is the river.",
        "River",
        "Bridge",
    ),
    (
        AID,
        "The dominant features are grass and scattered trees with footpaths and a small pond in "
        "the middle. People seem to stroll around. A pond alone would not have paths or lawns "
        "around it, therefore I think it's a park.",
        "Park",
        "Pond",
    ),
    (
        AID,
        "Oh, I see a complex with swimming pools, palm trees and villas next to the sea. But "
        "wait, is it a beach? The beach is only a strip at the border. These amenities speak for "
        "a resort.",
        "Resort",
        "Beach",
    ),
    (
        "Are there any ships in the image?",
        "Looking at the water, I observe several elongated white shapes with wakes behind them. "
        "These are ships.",
        "yes",
        "no",
    ),
    (
        "Are there any ships in the image?",
        "The water surface is calm and empty. Nothing resembling a vessel can be detected.",
        "no",
        "yes",
    ),
    (
        "Is there a small residential building?",
        "I zoom in on the settlement. Several houses are there and some of them are small. I'm "
        "confident that the answer should be yes.",
        "yes",
        "no",
    ),
    (
        "Is there a grass area in the image?",
        "The image is dominated by buildings. Between them I spot patches of green that look like "
        "lawns. Although they are not large, they count as grass areas.",
        "yes",
        "no",
    ),
    (
        "Is a water area present?",
        "There isn't any lake, river, or pond. All surfaces are land. So no water area is present.",
        "no",
        "yes",
    ),
    (
        "Is there a square road next to a building?",
        "Roads are long and thin, not square. I don't see a square one next to any building.",
        "no",
        "yes",
    ),
    (
        "Does the image contain an airport?",
        "I can make out two runways, taxiways, and a terminal. Those are the typical components "
        "of an airport, so it does contain one.",
        "yes",
        "no",
    ),
    (
        "Are there more commercial buildings than residential buildings?",
        "There seem to be only two commercial buildings, with big flat roofs. On the contrary, I "
        "count fifteen residential buildings.",
        "no",
        "yes",
    ),
    (
        "Are there more water areas than forests in the image?",
        "Three ponds make up the water areas, so there are 3 water areas. There is only 1 forest. 3 > 1.",
        "yes",
        "no",
    ),
    (
        "Is the number of buildings equal to the number of roads?",
        "Buildings: 7. Roads: 2. These numbers are not equal.",
        "no",
        "yes",
    ),
    (
        "How many cars can you see in the image?",
        "I go row by row. First row: two cars. Second row: three cars. Third row: one car. 2 + 3 "
        "+ 1 = 6. So I see six cars.",
        "6",
        "5",
    ),
    (
        "How many buildings are there?",
        "It's a rural scene. I see a single farmhouse with a barn next to it. Both are buildings, "
        "which gives two buildings.",
        "2",
        "3",
    ),
    (
        "How many bridges can you see in the image?",
        "The river is crossed twice: once in the north by a wide road and once in the south by a "
        "railway. Therefore there are two bridges.",
        "2",
        "1",
    ),
    (
        "How many airplanes can you see in the image?",
        "The apron holds planes of different size. On the left I count 3, on the right 2. That "
        "gives a total of 5 airplanes.",
        "5",
        "3",
    ),
    (
        "How many storage tanks can you see in the image?",
        "There's a cluster of round structures. I count eight in the first group and four in the "
        "second group, for a total of twelve.",
        "12",
        "8",
    ),
    (
        "What color is the roof of the largest building?\nChoices: A. red B. blue C. white D. gray"
        " Answer from the given choices with A., B., C., D., etc.",
        "The largest building is in the center. Its roof reflects a lot of light and appears "
        "white. Others are gray. So the answer is C.",
        "C",
        "D",
    ),
    (
        "What is the orientation of the runway?\nChoices: A. north-south B. east-west C. northeast"
        "-southwest D. northwest-southeast Answer from the given choices with A., B., C., D., etc"
        ".",
        "The runway starts in the lower left and ends in the upper right. Assuming north is up, "
        "it goes from southwest to northeast. That corresponds to option C.",
        "C. northeast-southwest",
        "A",
    ),
    (
        "Which object is in the lower right?\nChoices: A. a ship B. a crane C. a truck D. a house "
        "Answer from the given choices with A., B., C., D., etc.",
        "In the lower right corner there's an elongated object floating on the water. It casts no "
        "long shadow like a crane would. It is a ship.",
        "A",
        "B",
    ),
    (
        "Identify the location of the church.",
        "The church has a cross-shaped roof. It stands in the top right corner of the image. Its "
        "bounding box goes from (702, 88) to (861, 240).",
        "[[700,90,860,241]]",
        "[[700,590,860,741]]",
    ),
    (
        "Identify the location of the swimming pool.",
        "I look for a bright blue area. There's one right beside the large house. Roughly, x goes "
        "from 310 to 395 and y goes from 520 to 600.",
        "[[308,518,397,603]]",
        "[[308,218,397,303]]",
    ),
    (
        "Identify the location of the yellow truck.",
        "There are many trucks. Only one is yellow. It's at the bottom left, close to the gate. "
        "The box is [102, 811, 171, 879].",
        "[[102,811,171,879]]",
        "[[802,811,871,879]]",
    ),
    (
        "Identify the location of the dam.",
        "The dam crosses the valley from left to right. The left end touches the slope at about x "
        "= 150, and the right end is at x = 640. Vertically, it covers 300 to 355.",
        "[[148,298,642,356]]",
        "[[448,298,942,356]]",
    ),
    (
        "Identify the location of the ground track field.",
        "It's the oval in the middle of the image. It spans roughly half of the width. I estimate "
        "its center at (480, 510).",
        "[[230,340,730,680]]",
        "[[730,740,930,980]]",
    ),
    (
        AID,
        "The whole area is green with a fine, uniform texture. No trees, crops or buildings "
        "interrupt it. Farmland would be divided into fields, and forest would look coarser. I'd "
        "call this a meadow.",
        "Meadow",
        "Forest",
    ),
    (
        AID,
        "I can see smokestacks, pipelines and large halls. A few round tanks stand next to them, "
        "but they make up only a small share. Commercial zones don't have smokestacks. The "
        "description industrial suits this picture.",
        "Industrial",
        "StorageTanks",
    ),
    (
        AID,
        "Snow-covered ridges and dark valleys alternate. The relief is rugged, which rules out "
        "desert and bare land. What remains is mountain.",
        "Mountain",
        "Desert",
    ),
    (
        AID,
        "Here we have a red running track with a soccer pitch inside, but no stands. Since there "
        "are no stands, it's no stadium. Nearby buildings could belong to a school, yet the track "
        "fills the frame. My choice: playground.",
        "Playground",
        "Stadium",
    ),
    (
        AID,
        "A long elevated road winds through the terrain on pillars. It doesn't cross water, so "
        "calling it a bridge would be misleading. Viaduct seems right.",
        "Viaduct",
        "Bridge",
    ),
    (
        AID,
        "Rows of trees? No, these are crops in rectangular plots with different colors. "
        "Irrigation channels separate the plots. Farmland.",
        "Farmland",
        "Forest",
    ),
    (
        "Is there a residential area in the image?",
        "I see rows of houses with gardens and driveways. They form a neighborhood. Hence a "
        "residential area exists here.",
        "yes",
        "no",
    ),
    (
        "Is there a commercial building in the image?",
        "All of the buildings I can make out are family homes. A commercial building would be "
        "bigger and have a flat roof. I see nothing like that.",
        "no",
        "yes",
    ),
    (
        "Is there a large water area?",
        "There's water in the picture, but it is only a small pond. A large water area is not visible.",
        "no",
        "yes",
    ),
    (
        "Is a forest present?",
        "The upper half is covered with dense tree crowns. That is definitely a forest.",
        "yes",
        "no",
    ),
    (
        "Are there any planes on the runway?",
        "The runway is empty: only markings can be seen on it. The planes are all parked at the "
        "terminal. So there are no planes on the runway.",
        "no",
        "yes",
    ),
    (
        "Is there a road next to the river?",
        "The river bends in the middle. A gray line follows it on the eastern bank. This line is "
        "a road, which means that there's a road next to the river.",
        "yes",
        "no",
    ),
    (
        "Are there less roads than buildings?",
        "The roads are few, just three. Buildings are plentiful, more than thirty. Thus, the "
        "roads are fewer than the buildings.",
        "yes",
        "no",
    ),
    (
        "Are there more residential areas than farmlands in the image?",
        "I identify four farmlands. Residential areas: one. Four is more than one, so farmlands "
        "are in the majority.",
        "no",
        "yes",
    ),
    (
        "Are there more roads than water areas?",
        "I can see five roads and no water areas at all.",
        "yes",
        "no",
    ),
    (
        "Is the number of large buildings equal to the number of roads?",
        "Five large buildings can be seen. In addition, there are five roads. Both numbers are five.",
        "yes",
        "no",
    ),
    (
        "Is it a rural or an urban area",
        "Blocks of high-rise buildings fill the frame, with wide avenues in between. Rural areas "
        "would show fields. I conclude that it is urban.",
        "urban",
        "rural",
    ),
    (
        "How many ships can you see in the image?",
        "I see four ships moored at the pier on the left and another three on the right. One "
        "boat-like shape is just a reflection. In sum, seven ships are visible.",
        "7",
        "4",
    ),
    (
        "How many tennis courts can you see in the image?",
        "The complex contains a pool and a clubhouse. Behind them lie six courts in two rows of "
        "three. So there are 6 tennis courts.",
        "6",
        "3",
    ),
    (
        "How many bridges can you see in the image?",
        "Although there are several roads, only one of them crosses the river. Hence the number "
        "of bridges equals one.",
        "1",
        "2",
    ),
    (
        "How many planes are parked at the gate?\nChoices: A. 1 B. 2 C. 3 D. 4 Answer from the giv"
        "en choices with A., B., C., D., etc.",
        "I look at the terminal. Three planes are connected to it by jet bridges. One is moving "
        "on the taxiway and doesn't count. Three corresponds to choice C.",
        "C",
        "D",
    ),
    (
        "What is the main land use?\nChoices: A. farmland B. forest C. water D. residential Answer"
        " from the given choices with A., B., C., D., etc.",
        "Most of the image shows fields. Trees are only at the margin. The land is mostly "
        "farmland, which is choice A.",
        "A",
        "B",
    ),
    (
        "Identify the location of the white storage tank.",
        "The tank has a bright round roof. Its leftmost point is around x=415 and its rightmost "
        "point is around x=505; it reaches from y=220 at the top to y=312 at the bottom.",
        "[[413,219,507,313]]",
        "[[413,519,507,613]]",
    ),
    (
        "Identify the location of the basketball court.",
        "It's a small orange rectangle near the school. Coordinates: x1=120, y1=610, x2=190, y2=700.",
        "[[121,612,189,698]]",
        "[[121,112,189,198]]",
    ),
    (
        "Identify the location of the harbor.",
        "The harbor occupies the left third of the image, from the top edge to about the middle. "
        "So the box starts at (0, 0) and ends around (330, 510).",
        "[[0,0,335,508]]",
        "[[600,0,935,508]]",
    ),
)
"""(question, sound reasoning, its answer, an answer that contradicts it)"""
