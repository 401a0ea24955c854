"""The published evaluation layout (also LHRS-Bench's raw one) -> Examples that a benchmark scores.

A row that makes no sense raises BadData with the file and the row. Boxes come out on the 0..1000 scale.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tinyrs.datasets import Scale, answered, picture_size, size_of, turns_of, untag
from tinyrs.example import BOX_SCALE, Example, Question, Task
from tinyrs.paths import inside
from tinyrs.prompt import CHOOSE, guess_task
from tinyrs.strictjson import BadData, each_row, load_json

KINDS = ("cls", "vqa", "grounding", "choice")
"""What a benchmark measures: a class of a closed set, a short answer, a box, a letter."""

LHRS_TYPES = {
    "1": "identity",
    "2": "color",
    "3": "orientation",
    "4": "shape",
    "5": "quantity",
    "6": "area",
    "7": "distance",
    "8": "resolution",
    "9": "modality",
    "10": "location",
    "11": "reasoning",
}
"""What the types of LHRS-Bench's questions mean; a question may have several."""


def read_evaluation(
    path: Path, kind: str, image_dir: Path | None = None, box_scale: Scale = None
) -> list[Example]:
    """The published evaluation layout (also LHRS-Bench's raw one) -> one Example a row, in order.

    `{"image", optional "image_path", optional "size": [height, width], optional "type", "conversations":
    [2]}`. The picture lies in the folder `image_path` (absolute, or relative to the file), else in `<stem>/`
    beside the file, else beside the file; `image_dir` overrides all of that. A leading task tag is taken off
    the question. `box_scale` is what the true boxes run to: a number, or "pixels" of "size". None takes the
    layout's own (`layout_scale`), and a box outside of it is refused.
    """
    if kind not in KINDS:
        raise BadData(f"The kind {kind!r} is unknown; it is one of {', '.join(KINDS)}.")
    path = Path(path)
    rows = load_json(path)
    if isinstance(rows, dict) and isinstance(rows.get("data"), list):
        return each_row(path, rows["data"], lambda row: _lhrs_row(row, path, image_dir))
    if kind == "grounding" and box_scale is None:
        box_scale = layout_scale(path, rows)
    examples = each_row(path, rows, lambda row: [_evaluation_row(row, path, kind, image_dir, box_scale)])
    return closed_set(examples) if kind == "cls" else examples


def layout_scale(path: Path, rows: Any) -> Scale:
    """What true boxes run to in an evaluation file that nobody said it of: "pixels" where the rows have a
    "size", as in DIOR-RSVG, else 1000, which is what TinyRS writes. BadData where only some rows have a size.
    """
    sized = (
        [isinstance(row, dict) and row.get("size") is not None for row in rows]
        if isinstance(rows, list)
        else []
    )
    if any(sized) and not all(sized):
        raise BadData(
            f"{path} has rows with a size and rows without: say what its boxes run to with --box_scale."
        )
    return "pixels" if any(sized) else BOX_SCALE


def closed_set(examples: list[Example]) -> list[Example]:
    """`examples` of a classification, where questions without a list of classes get that of all true ones."""
    classes = tuple(sorted({example.answer for example in examples}))
    return [
        example
        if example.question.labels
        else replace(example, question=replace(example.question, labels=classes))
        for example in examples
    ]


def _evaluation_row(row: dict, path: Path, kind: str, image_dir: Path | None, box_scale: Scale) -> Example:
    turns = turns_of(row)
    if len(turns) != 1:
        raise ValueError("it must hold one question and one answer")
    asked, told = turns[0]
    if asked.count("<image>") > 1:
        raise ValueError("<image> stands more than once in its question")
    picture = _picture(row, path, image_dir)
    size = size_of(row.get("size"))[::-1]
    if kind == "grounding" and box_scale == "pixels" and not all(size):
        size = picture_size(picture)
    asked = asked.replace("<image>", "")
    return benchmark_example(picture, asked, told, kind, box_scale, size, row.get("type"), path.stem)


def benchmark_example(
    picture: Path,
    asked: str,
    told: str,
    kind: str,
    box_scale: Scale = None,
    size: tuple[int, int] = (0, 0),
    kinds: Any = None,
    source: str = "",
) -> Example:
    """The Example of one row of a benchmark of `kind`; ValueError with a clause where it makes no sense.

    `size` is (width, height); `kinds` a type or a list of types, which some benchmarks report apart.
    """
    _, text = untag(asked, strict=False)
    if not text:
        raise ValueError("its question is empty")
    if not told.strip():
        raise ValueError("its answer is empty")
    told, (guessed, labels) = told.strip(), guess_task(text)
    kinds = () if kinds is None else tuple(map(str, kinds if isinstance(kinds, (list, tuple)) else [kinds]))
    if kind == "grounding":
        if box_scale is None:
            raise ValueError(
                'nothing says what its box runs to: give --box_scale, for example 1000 or "pixels"'
            )
        example = answered(picture, Question(text, Task.GROUNDING), told, box_scale, size, source)
        return replace(example, reasoning="", kinds=kinds)
    if kind == "choice" and not labels:
        raise ValueError("it offers no choices A, B, C ...")
    if kind == "vqa":
        task = guessed if guessed is Task.COUNTING else Task.VQA
        labels = ("yes", "no") if told.lower() in ("yes", "no") else labels
    else:
        task = Task.CLASSIFICATION if kind == "cls" else Task.OPEN
    return Example(picture, Question(text, task, labels), told, size=size, source=source, kinds=kinds)


def _picture(row: dict, path: Path, image_dir: Path | None) -> Path:
    name, told = row.get("image"), row.get("image_path")
    if isinstance(name, list) and len(name) == 1:
        name = name[0]
    if image_dir:
        return inside(image_dir, name)
    if told in (None, ""):
        beside = path.parent / path.stem
        return inside(beside if beside.is_dir() else path.parent, name)
    if not isinstance(told, str) or not told.isprintable():
        raise ValueError("its image_path is no path")
    if not told.startswith("/"):
        if told.rstrip("/").rpartition("/")[2] == name:  # some files repeat the name there
            return inside(path.parent, told)
        return inside(
            path.parent, "/".join(part for part in (told.strip("/"), name) if part not in ("", "."))
        )
    # The layout allows an absolute folder here; the name itself must still lie within it.
    folder = Path(told)
    return inside(folder.parent if folder.is_file() and folder.name == name else folder, name)


def evaluation_pictures(path: Path, image_dir: Path | None = None) -> list[Path]:
    """The picture of each row of an evaluation file of any kind, in order; questions and answers are not read."""
    path = Path(path)
    rows = load_json(path)
    if isinstance(rows, dict) and isinstance(rows.get("data"), list):
        beside = path.parent / path.stem
        folder = image_dir or (beside if beside.is_dir() else path.parent)
        return each_row(path, rows["data"], lambda row: [inside(folder, row.get("filename"))])
    return each_row(path, rows, lambda row: [_picture(row, path, image_dir)])


def _lhrs_row(row: dict, path: Path, image_dir: Path | None) -> list[Example]:
    beside = path.parent / path.stem
    folder = image_dir or (beside if beside.is_dir() else path.parent)
    picture = inside(folder, row.get("filename"))
    examples = []
    for pair in row.get("qa_pairs") or ():
        if not isinstance(pair, dict) or not all(
            isinstance(pair.get(key), str) for key in ("question", "choices", "answer")
        ):
            raise ValueError("each of its qa_pairs needs a question, choices and an answer")
        text = CHOOSE.format(question=pair["question"], choices=pair["choices"])
        kinds = pair.get("type")
        examples.append(
            benchmark_example(picture, text, pair["answer"], "choice", kinds=kinds, source=path.stem)
        )
    if not examples:
        raise ValueError("it holds no qa_pairs")
    return examples
