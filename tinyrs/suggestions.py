"""What a page suggests to ask: kinds of question, one-click questions in the forms that the models were trained on,
and the example pictures. No Gradio in here."""

from __future__ import annotations

import json
from pathlib import Path

from tinyrs import render
from tinyrs.config import ROOT
from tinyrs.example import Question, Task
from tinyrs.prompt import CLASSIFY, COUNT, DESCRIBE, LOCATE, PRESENCE, RURAL_URBAN, guess_task

LONGEST_QUESTION = 4000

AID = (
    "airport", "bare land", "baseball field", "beach", "bridge", "center", "church", "commercial",
    "dense residential", "desert", "farmland", "forest", "industrial", "meadow", "medium residential", "mountain",
    "park", "parking", "playground", "pond", "port", "railway station", "resort", "river", "school",
    "sparse residential", "square", "stadium", "storage tanks", "viaduct",
)  # fmt: skip
"""The classes of AID in words: a model that is trained on it has to write them."""

KINDS = {
    "Any": "any",
    "Scene": Task.CLASSIFICATION.value,
    "Yes or no": Task.VQA.value,
    "Find": Task.GROUNDING.value,
    "Count": Task.COUNTING.value,
    "Describe": Task.CAPTIONING.value,
}
"""The task chips. "Any" leaves it to the words of the question."""

EXAMPLES = {
    Task.CLASSIFICATION.value: (
        ("Which of 30 scenes?", CLASSIFY.format(labels=", ".join(AID))),
        ("City, field or water?", CLASSIFY.format(labels="dense residential, farmland, forest, port, river")),
    ),
    Task.VQA.value: (
        ("A water area?", PRESENCE.format(phrase="a water area")),
        ("A road?", PRESENCE.format(phrase="a road")),
        ("Rural or urban?", RURAL_URBAN),
    ),
    Task.GROUNDING.value: (
        ("The ship", LOCATE.format(phrase="the ship")),
        ("The leftmost tennis court", LOCATE.format(phrase="the leftmost tennis court")),
        ("The storage tank", LOCATE.format(phrase="the storage tank")),
    ),
    Task.COUNTING.value: (
        ("Buildings", COUNT.format(things="buildings")),
        ("Ships", COUNT.format(things="ships")),
        ("Airplanes", COUNT.format(things="airplanes")),
    ),
    Task.CAPTIONING.value: (("The whole picture", DESCRIBE),),
}
"""For each chip: a short name and the question in the form that the models were trained on."""

EXAMPLE_PICTURES = ROOT / "assets" / "examples"


class BadQuestion(ValueError):
    """A question that cannot be asked; str(e) is one sentence for the person."""


def examples() -> list[tuple[Path, str, str]]:
    """The pictures of the gallery, each with a question and its task; [] in a checkout without them."""
    try:
        rows = json.loads((EXAMPLE_PICTURES / "examples.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return [(EXAMPLE_PICTURES / row["file"], row["question"], row["task"]) for row in rows]


def first_questions() -> list[tuple[str, str]]:
    """One example of each kind."""
    return [rows[0] for rows in EXAMPLES.values()]


def question(text: str | None, chosen: str = "any") -> Question:
    """What a person typed under a task chip (a value of KINDS). Raises BadQuestion."""
    text = render.plain(text or "").strip()
    if not text:
        raise BadQuestion("Type a question, or choose one of the examples.")
    if len(text) > LONGEST_QUESTION:
        raise BadQuestion(
            f"The question has {len(text):,} characters; at most {LONGEST_QUESTION:,} are read."
        )
    task, labels = guess_task(text)
    return Question(text, task if chosen not in KINDS.values() or chosen == "any" else Task(chosen), labels)
