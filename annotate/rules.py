"""What may be written into the store: the errors, the limits, and the checks of text, names and captions.

The page shows `caption_problems` while a person edits, a review refuses what it names, and the export asks
it once more: one rule in all three places.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence

from tinyrs.example import BOX_SCALE, Answer, Box, Question, Task
from tinyrs.parse import boxes, count_boxes, parse
from tinyrs.prompt import defuse, target

REASONS = (
    "hallucinated object",
    "wrong class",
    "wrong count",
    "wrong relation",
    "wrong box",
    "reasoning contradicts answer",
    "answer wrong",
    "format",
    "other",
)
"""What a flag may say is wrong: the fixed list, in the order in which it is shown."""

VERDICTS = ("accept", "amend", "reject")
FLAGS_A_MINUTE = 10
VOTES_A_MINUTE = 30
VOTED_ON = ("answer", "reasoning")
LONGEST = {
    "note": 2_000,
    "question": 4_000,
    "reasoning": 20_000,
    "answer": 8_000,
    "step": 4_000,
    "name": 100,
    "raw": 1_000_000,
}
"""Characters."""
MACHINES = ("model:", "import:")
"""How the author of a text that no person wrote begins. No person may be called so."""


class StoreError(Exception):
    """Something could not be read or saved; str() is one sentence for the person who tried."""


class Refused(StoreError):
    """What was given breaks a rule: too long, unknown reason, own text reviewed, not well-formed, ..."""


class NotFound(StoreError):
    """No such run, caption, revision or picture."""


class TooFast(StoreError):
    """More than FLAGS_A_MINUTE flags or VOTES_A_MINUTE votes by one author within a minute."""


class StoreFull(StoreError):
    """The disk is full; nothing was saved, what was saved before is safe."""


class StoreBusy(StoreError):
    """Another process held the database for longer than the timeout."""


class Conflict(StoreError):
    """Somebody saved first. `other` is the revision that is the newest now (a dict as in `Store.history`)."""

    def __init__(self, other: dict):
        super().__init__(
            f"{other['author']} saved another version of this caption in the meantime: "
            "compare it with yours and save again."
        )
        self.other = other


_NO_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters but for line ends and tabs, and halves of surrogate pairs, which are no text in UTF-8."""


def text(value: object, what: str, *, limit: str = "", empty: bool = True) -> str:
    """What a person typed, with plain line ends and no white space around it. Raises Refused."""
    if not isinstance(value, str):
        raise Refused(f"The {what} must be text.")
    most = LONGEST[limit or what]
    if len(value) > most:
        raise Refused(f"The {what} has {len(value):,} characters; at most {most:,} are kept.")
    value = value.replace("\r\n", "\n").replace("\r", "\n").strip()
    if found := _NO_TEXT.search(value):
        raise Refused(f"The {what} holds a character that is not text: U+{ord(found[0]):04X}.")
    if not value and not empty:
        raise Refused(f"The {what} is empty.")
    return value


def model_text(value: str) -> str:
    """What a model wrote, kept as it is but for what SQLite or UTF-8 cannot hold. Raises Refused."""
    if len(value) > LONGEST["raw"]:
        raise Refused(f"The model wrote {len(value):,} characters; at most {LONGEST['raw']:,} are kept.")
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def person(name: object) -> str:
    """A person's name in the one spelling that is stored. Raises Refused for none, or a machine's."""
    name = " ".join(unicodedata.normalize("NFKC", text(name, "name", empty=False)).split())
    if not name.isprintable():
        raise Refused("The name holds a character that cannot be shown.")
    if name.casefold().startswith(MACHINES):
        raise Refused(f"A name cannot begin with {' or '.join(MACHINES)}")
    return name


def same_person(one: str, other: str) -> bool:
    """Whether two stored names are one person's: capitals do not make another person."""
    return one.casefold() == other.casefold()


def machine(model: str) -> str:
    """The author of a model's text; of a folder or an address only the last part, for names are exported."""
    short = model.rsplit("#", 1)[-1].rstrip("/\\").replace("\\", "/")
    if model.startswith(("/", ".", "~")) or "://" in model or "\\" in model:
        short = short.rsplit("/", 1)[-1]
    return "model:" + (model_text(short)[:200] or "unknown")


def question(value: Question) -> Question:
    """A question with clean text, a known task, and labels that are single lines. Raises Refused."""
    labels = tuple(text(label, "label", limit="name", empty=False) for label in value.labels)
    if len(labels) > 1000:
        raise Refused("A question can have at most 1,000 labels.")
    if value.task not in list(Task):
        raise Refused("There is no such task.")
    return Question(text(value.text, "question", empty=False), Task(value.task), labels)


def reasons(values: Sequence[str]) -> list[str]:
    """The reasons of a flag, in the order of REASONS. Raises Refused for none or an unknown one."""
    if isinstance(values, str) or not values or not all(value in REASONS for value in values):
        raise Refused("Say what is wrong with one or more of: " + ", ".join(REASONS) + ".")
    return [reason for reason in REASONS if reason in values]


def boxes_to_json(boxes: Iterable[Box]) -> str:
    """Boxes as a list of [x1, y1, x2, y2, label, angle]; one with a number that is not finite is left out."""
    rows = [[b.x1, b.y1, b.x2, b.y2, b.label, b.angle] for b in boxes]
    rows = [row for row in rows if all(math.isfinite(row[i]) for i in (0, 1, 2, 3, 5))]
    return json.dumps(rows, ensure_ascii=False)


def boxes_from_json(rows: str) -> tuple[Box, ...]:
    """The inverse of boxes_to_json."""
    return tuple(Box(*row) for row in json.loads(rows))


def answer_boxes(reasoning: str, answer: str) -> tuple[Box, ...]:
    """The boxes that the parser reads in the answer."""
    if "<" not in reasoning and "<" not in answer:  # no tag can make something else of it
        return boxes(answer)
    return parse(target(reasoning, answer)).boxes


def reasoning_text(answer: Answer) -> str:
    """The reasoning as the model wrote it, line breaks and list marks included, where its form is kept.

    Otherwise its steps, one on a line. Steps alone lose the layout that a model should go on to learn.
    """
    if answer.well_formed:
        written = answer.raw.partition("<reasoning>")[2].partition("</reasoning>")[0].strip()
        if parse(target(written, answer.text)).reasoning == answer.reasoning:
            return written
    return "\n".join(answer.reasoning)


def caption_problems(asked: Question, reasoning: str, answer: str) -> list[str]:
    """Why this caption cannot be accepted: one sentence for each reason, none when it can.

    What counts is what the parser reads in the text that training would see.
    """
    if not answer.strip():
        return ["The answer is empty."]
    found = parse(target(reasoning, answer), thinking=bool(reasoning))
    grounding = asked.task is Task.GROUNDING
    # Outside grounding something written like half a box, as "(1, 2, 3)", may be a fine answer.
    problems = list(found.problems) if grounding or not found.well_formed else []
    written = count_boxes(reasoning) + count_boxes(answer)
    if written > len(found.boxes) + len(found.reasoning_boxes) and not problems:
        problems.append(f"A box is broken or not inside the picture, which runs from 0 to {BOX_SCALE}.")
    if defuse(reasoning) != reasoning or defuse(answer) != answer:
        problems.append("The text holds a tag or a special token: put a space after each < that begins one.")
    elif " ".join(found.text.split()) != " ".join(answer.split()):
        problems.append("The parser reads another answer than the one written.")
    if grounding and not found.boxes and not problems:
        problems.append(f"The answer to a grounding question is a box: [[x1,y1,x2,y2]], 0 to {BOX_SCALE}.")
    return problems
