"""RSVQA's questions: as published of a picture, and more of its kinds made from what the published ones count."""

from __future__ import annotations

import re

import numpy as np

from tinyrs.example import Question, Task
from training.pocket.questions import Phrases, Row
from training.pocket.views import View

_COUNTED = re.compile(r"(?:number of|amount of|how many) (.+?)(?: are there)?(?: in the image)?\??$", re.I)
_COMPARED = re.compile(
    r"are there (more|less) (.+?) than (.+?)(?: in the image)?\??$|"
    r"is the number of (.+?) equal to the number of (.+?)(?: in the image)?\??$",
    re.I,
)


DERIVED = 0.6
"""Share of the yes-or-no questions about an RSVQA picture that are made from its published counts."""


def _counts(view: View) -> dict[str, int]:
    """What the published questions count in a picture: {"small water areas": 9, ...}."""
    found = {}
    for text, number, kind in view.questions:
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


def published(view: View, rng: np.random.Generator) -> Row | None:
    """One of RSVQA's own questions about this picture, with equal shares for its kinds and, now and then, its answers;
    or one of the same kind made from what they count."""
    if not view.questions:
        return None
    kinds = sorted({kind for _, _, kind in view.questions if kind != "area"})
    kind = kinds[int(rng.integers(len(kinds)))]
    asked = [q for q in view.questions if q[2] == kind]
    answers = sorted({answer for _, answer, _ in asked})
    if kind != "count" and rng.random() < 0.15:
        wanted = answers[int(rng.integers(len(answers)))]
        asked = [q for q in asked if q[1] == wanted]
    text, answer, _ = asked[int(rng.integers(len(asked)))]
    if rng.random() < DERIVED:
        text, answer = derived(_counts(view), kind, rng) or (text, answer)
    task = Task.COUNTING if kind == "count" else Task.VQA
    reasoning = _rsvqa_reasoning(view, text, answer, kind)
    return Row(view.pixels, Question(text, task), answer, reasoning, f"rsvqa_{kind}")


def _rsvqa_reasoning(view: View, text: str, answer: str, kind: str) -> str:
    """From the counts that the same picture's other questions give, where they do."""
    counts = _counts(view)
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
