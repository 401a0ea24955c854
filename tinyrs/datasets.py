"""The layout of VHM and LLaVA -> Examples, and what every reader of data sets shares: questions, answers, box scales.

tinyrs/benchmarks.py reads the evaluation layout, tinyrs/sources.py the data sets that questions are made of.
Every reader checks what it reads and raises BadData with the file and the row; nothing is skipped in silence.
Every file named inside a data set is opened through tinyrs/paths.py. Boxes come out on the 0..1000 scale;
what they run to in the file is told by the caller, never guessed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tinyrs.example import BOX_SCALE, Example, Question, Task
from tinyrs.parse import count_boxes, format_boxes, parse
from tinyrs.paths import inside
from tinyrs.prompt import TASK_TAGS, guess_task
from tinyrs.strictjson import BadData, each_row, load_json

Scale = float | str | None
"""What boxes run to: a number (1000, 100, 1), "pixels" of the row's picture, or None where nobody said."""


# ---- questions as text

_TAG = re.compile(r"\s*\{([A-Za-z_]{1,20})\}\s*")
_KNOWN_TAGS = {tag.strip("{}") for tag in TASK_TAGS.values()} | {"IDK"}


def untag(text: str, strict: bool = True) -> tuple[str, str]:
    """(tag, question): the leading task tag of VHM, without braces, taken off; ("", text) if there is none.

    prompt.messages() puts the tag of the asked model's own dialect there. An unknown tag raises ValueError if
    `strict`, else it is part of the question.
    """
    found = _TAG.match(text)
    if not found:
        return "", text.strip()
    if found[1] not in _KNOWN_TAGS:
        if not strict:
            return "", text.strip()
        raise ValueError(
            f"the task tag {{{found[1]}}} is unknown; there are {', '.join(sorted(_KNOWN_TAGS))}"
        )
    return found[1], text[found.end() :].strip()


def question_of(text: str, task: str | None = None) -> Question:
    """The question in `text`, which may begin with VHM's task tag. `task` is a Task's value, if known."""
    tag, bare = untag(text, strict=task is None)
    if not bare:
        raise ValueError("its question is empty")
    guessed, labels = guess_task(text)
    if task is not None:
        try:
            guessed = Task(task)
        except ValueError:
            raise ValueError(
                f"its task {task!r:.60} is unknown; there are {', '.join(each.value for each in Task)}"
            ) from None
    elif tag in ("IT", "IDK") and guessed is Task.GROUNDING:
        guessed = Task.OPEN  # under these tags a question about places wants words
    # The honesty tag stands for no task, so it stays in the text, where prompt.messages() leaves it alone.
    return Question(f"{{IDK}} {bare}" if tag == "IDK" else bare, guessed, labels)


# ---- VHM / LLaVA JSON


def read_vhm(
    path: Path,
    image_dir: Path | None = None,
    box_scale: Scale = None,
    source: str = "",
    rows: Any = None,
    strict_boxes: bool = False,
    needs_reasoning: bool = False,
) -> list[Example]:
    """Rows `{"image", "conversations": [{"from": "human", "value": "<image>\\n{VG} ..."}, {"from": "gpt",
    ...}]}`.

    Pictures are looked for under `image_dir` (default: the folder of the file). A conversation of several
    turns gives one Example for each: every question stands alone. The rows may also hold "id", "task" (a
    Task's value), "labels" and "size" ([width, height], needed where boxes are in pixels). `rows` spares
    reading the file twice. `strict_boxes` refuses an unusable box anywhere, not only in the answer to a
    grounding question; `needs_reasoning` refuses a row without reasoning.
    """
    path = Path(path)
    folder = Path(image_dir) if image_dir else path.parent
    rows = load_json(path) if rows is None else rows

    def read(row: dict) -> list[Example]:
        examples = vhm_row(row, folder, box_scale, source or path.stem, strict_boxes)
        if needs_reasoning and not all(example.reasoning for example in examples):
            raise ValueError("its reasoning is empty")
        return examples

    return each_row(path, rows, read)


def vhm_row(
    row: dict, folder: Path, box_scale: Scale, source: str, strict_boxes: bool = False
) -> list[Example]:
    """The Examples of one such row, for a caller that names the row itself; ValueError or PathRefused with a clause."""
    names = row.get("image")
    if isinstance(names, list) and len(names) != 1:
        raise ValueError(f"it has {len(names)} pictures; one is needed")
    picture = inside(folder, names[0] if isinstance(names, list) else names)
    turns = turns_of(row)
    count = sum(asked.count("<image>") for asked, _ in turns)
    if count != 1 or "<image>" not in turns[0][0] or any("<image>" in told for _, told in turns):
        raise ValueError(f"<image> must stand once, in its first question; it stands there {count} times")
    labels = row.get("labels", ())
    if not isinstance(labels, (list, tuple)) or not all(isinstance(label, str) for label in labels):
        raise ValueError("its labels must be a list of texts")
    examples = []
    for asked, told in turns:
        question = question_of(asked.replace("<image>", "").strip(), row.get("task"))
        if labels:
            question = Question(question.text, question.task, tuple(labels))
        size = size_of(row.get("size"))
        examples.append(answered(picture, question, told, box_scale, size, source, strict_boxes))
    return examples


def turns_of(row: dict) -> list[tuple[str, str]]:
    """(question, answer) of each turn of the conversation in `row`; ValueError with a clause if they do not alternate."""
    turns = row.get("conversations")
    if not isinstance(turns, list) or not turns or len(turns) % 2:
        raise ValueError("its conversations must be questions and answers by turns")
    texts = []
    for turn, who in zip(turns, ("human", "gpt") * (len(turns) // 2), strict=True):
        if not isinstance(turn, dict) or turn.get("from") != who or not isinstance(turn.get("value"), str):
            raise ValueError('its conversations must be {"from": "human", "value": text} and "gpt" by turns')
        texts.append(turn["value"])
    return list(zip(texts[::2], texts[1::2], strict=True))


def size_of(size: Any) -> tuple[int, int]:
    """Two whole numbers of pixels as a row tells them, in its order; (0, 0) for None, ValueError for anything else."""
    if size is None:
        return 0, 0
    if (
        not isinstance(size, list)
        or len(size) != 2
        or not all(type(n) is int and 0 < n < 10**6 for n in size)
    ):
        raise ValueError("its size must be two whole numbers of pixels")
    return size[0], size[1]


def answered(
    picture: Path,
    question: Question,
    told: str,
    box_scale: Scale,
    size: tuple[int, int],
    source: str,
    strict_boxes: bool = False,
) -> Example:
    """The Example of a question and the text that answers it, with or without reasoning.

    ValueError where the text breaks its own form, where a grounding answer holds no usable box, or where it
    holds one and nobody said what boxes run to.
    """
    grounding = question.task is Task.GROUNDING
    if grounding and box_scale is None:
        raise ValueError(
            "it holds a box, and nothing says what boxes run to: give box_scale, for example 1000"
        )
    answer = parse(told, **_scales(box_scale, size))
    if not answer.well_formed:
        raise ValueError(_clause(answer.problems[0]))
    if grounding and (answer.problems or not answer.boxes):
        raise ValueError(_clause(answer.problems[0]) if answer.problems else "its answer holds no box")
    if strict_boxes and count_boxes(told) > len(answer.boxes) + len(answer.reasoning_boxes):
        raise ValueError("it holds a box that is broken or lies outside the picture")
    reasoning = ""
    if answer.reasoning:
        reasoning = told.partition("<reasoning>")[2].partition("</reasoning>")[0].strip()
    text = answer.text
    if grounding and box_scale != BOX_SCALE:
        if answer.reasoning_boxes:
            raise ValueError("its reasoning names boxes on another scale than 1000; rewrite them first")
        text = format_boxes(answer.boxes)
    boxes = answer.boxes if grounding else ()
    return Example(picture, question, text, boxes, reasoning, size, source)


def _clause(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _scales(box_scale: Scale, size: tuple[int, int]) -> dict:
    """parse()'s arguments for a source whose boxes run to `box_scale`."""
    if box_scale == "pixels":
        if not all(size):
            raise ValueError("its boxes are in pixels, and it does not say the size of its picture")
        return {"size": size}
    return {"box_scale": float(box_scale)} if box_scale is not None else {}


def scale_of(text: str | float | None) -> Scale:
    """A --box_scale as typed: a number above 0, "pixels", or nothing."""
    if text is None or text == "pixels":
        return text
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise BadData(f'A box scale is a number above 0 or "pixels", not {str(text)!r:.60}.')
    return value


def picture_size(picture: Path) -> tuple[int, int]:
    """(width, height) of a picture as it is shown, from its header; ValueError if it is no picture."""
    from PIL import Image

    try:
        with Image.open(picture, formats=("PNG", "JPEG", "WEBP", "TIFF")) as image:
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            return image.size[::-1] if turned else image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise ValueError(f"{picture.name} is no picture that can be opened") from None
