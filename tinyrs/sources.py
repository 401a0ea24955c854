"""Data sets that questions are made of, in their published layouts -> Examples: AID, NWPU VHR-10, RSVQA, DIOR-RSVG.

Every reader checks what it reads and raises BadData with the file and the row or line; nothing is skipped in silence.
Every file named inside a data set is opened through tinyrs/paths.py. Boxes come out on the 0..1000 scale.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tinyrs.datasets import answered, picture_size, size_of
from tinyrs.example import Box, Example, Question, Task
from tinyrs.parse import format_boxes
from tinyrs.paths import PathRefused, inside
from tinyrs.prompt import CLASSIFY, DESCRIBE, LOCATE
from tinyrs.strictjson import BadData, each_row, load_json

# ---- AID


def label_words(name: str) -> str:
    """A class name as the prompts write it: BareLand -> "bare land"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", name).lower().strip()


def read_aid(folder: Path, captions: bool = True) -> list[Example]:
    """`<Class>/<name>.jpg` with, if it is there, `metadata.jsonl` lines {"file_name", "label", "captions"}.

    One classification Example for each picture, over the classes that the folder holds, and one captioning
    Example for each caption.
    """
    folder = Path(folder)
    classes = sorted(path.name for path in _folder(folder) if path.is_dir())
    if not classes:
        raise BadData(f"{folder} holds no class folders.")
    labels = tuple(label_words(name) for name in classes)
    question = Question(CLASSIFY.format(labels=", ".join(labels)), Task.CLASSIFICATION, labels)
    examples = [
        Example(picture, question, label, source="AID")
        for name, label in zip(classes, labels, strict=True)
        for picture in sorted((folder / name).iterdir())
        if picture.suffix.lower() in (".jpg", ".jpeg", ".png", ".tif")
    ]
    notes = folder / "metadata.jsonl"
    if captions and notes.is_file():
        describe = Question(DESCRIBE, Task.CAPTIONING)

        def read(row: dict) -> list[Example]:
            picture = inside(folder, row.get("file_name"))
            told = row.get("captions", [])
            if not isinstance(told, list) or not all(isinstance(text, str) and text.strip() for text in told):
                raise ValueError("its captions must be a list of texts")
            return [Example(picture, describe, sentence(text), source="RSICD") for text in told]

        examples += each_row(notes, load_json(notes), read)
    return examples


def sentence(caption: str) -> str:
    """An RSICD caption as a sentence: "many planes are parked ." -> "Many planes are parked."."""
    text = re.sub(r"\s+([.,;!?])", r"\1", " ".join(caption.split())).rstrip(". ")
    return text[:1].upper() + text[1:] + "."


def _folder(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        raise BadData(f"There is no folder {folder}.") from None


# ---- NWPU VHR-10

NWPU_CLASSES = (
    "airplane",
    "ship",
    "storage tank",
    "baseball diamond",
    "tennis court",
    "basketball court",
    "ground track field",
    "harbor",
    "bridge",
    "vehicle",
)
_NWPU_LINE = re.compile(r"\(\s*(\d+)\s*,\s*(\d+)\s*\)\s*,\s*\(\s*(\d+)\s*,\s*(\d+)\s*\)\s*,\s*(\d+)\s*")


def nwpu_scenes(folder: Path) -> list[tuple[Path, tuple[int, int], tuple[Box, ...]]]:
    """(picture, (width, height), labelled boxes) for each picture of NWPU VHR-10's published layout.

    `positive_image_set/001.jpg` and `ground_truth/001.txt` with lines `(x1,y1),(x2,y2),class` in pixels.
    """
    folder = Path(folder)
    scenes = []
    for picture in sorted(_folder(folder / "positive_image_set")):
        if picture.suffix.lower() not in (".jpg", ".jpeg", ".png"):
            continue
        truth = folder / "ground_truth" / f"{picture.stem}.txt"
        try:
            lines = truth.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            raise BadData(f"{truth} is missing or cannot be read.") from None
        try:
            width, height = picture_size(picture)
        except ValueError as error:
            raise BadData(f"{picture}: {error}.") from None
        boxes = []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            found = _NWPU_LINE.fullmatch(line)
            if not found or not 1 <= int(found[5]) <= len(NWPU_CLASSES):
                raise BadData(f"{truth}, line {number} is no (x1,y1),(x2,y2),class with a class of 1 to 10.")
            x1, y1, x2, y2 = (int(value) for value in found.groups()[:4])
            # The set itself has boxes that end one or two pixels outside; more than that is an error.
            if not (x1 < x2 <= width + 2 and y1 < y2 <= height + 2):
                raise BadData(f"{truth}, line {number}: the box is outside its {width} x {height} picture.")
            label = NWPU_CLASSES[int(found[5]) - 1]
            boxes.append(Box.from_pixels(x1, y1, min(x2, width), min(y2, height), width, height, label))
        scenes.append((picture, (width, height), tuple(boxes)))
    if not scenes:
        raise BadData(f"{folder / 'positive_image_set'} holds no pictures.")
    return scenes


def _area(box: Box) -> float:
    return (box.x2 - box.x1) * (box.y2 - box.y1)


ORDERS: dict[str, Callable[[Box], float]] = {
    "leftmost": lambda box: box.x1 + box.x2,
    "rightmost": lambda box: -(box.x1 + box.x2),
    "topmost": lambda box: box.y1 + box.y2,
    "bottommost": lambda box: -(box.y1 + box.y2),
    "largest": lambda box: -_area(box),
}
"""By what boxes are ordered for the leftmost, ..., the largest one to come first."""


def phrases(boxes: Sequence[Box], margin: float = 30.0) -> list[tuple[str, Box]]:
    """Phrases that mean exactly one of `boxes`: "the bridge", "the leftmost tennis court", "the largest
    ship".

    A relation is used only where it leaves no doubt: the next one is `margin` (of 1000) away, or 1.3 times
    smaller.
    """
    found = []
    for label in sorted({box.label for box in boxes}):
        same = [box for box in boxes if box.label == label]
        if len(same) == 1:
            found.append((f"the {label}", same[0]))
            continue
        for word, order in ORDERS.items():
            first, second = sorted(same, key=order)[:2]
            clear = order(second) - order(first) >= 2 * margin
            if word == "largest":
                clear = _area(first) >= 1.3 * _area(second)
            if clear:
                found.append((f"the {word} {label}", first))
    return found


def read_nwpu(folder: Path) -> list[Example]:
    """One grounding Example for each phrase that means exactly one object of a picture."""
    return [
        Example(
            picture,
            Question(LOCATE.format(phrase=phrase), Task.GROUNDING),
            format_boxes([box]),
            (box,),
            size=size,
            source="NWPU VHR-10",
        )
        for picture, size, boxes in nwpu_scenes(folder)
        for phrase, box in phrases(boxes)
    ]


# ---- RSVQA

_CLOSED = {"comp": ("yes", "no"), "presence": ("yes", "no"), "rural_urban": ("rural", "urban")}


def read_rsvqa(questions: Path, images: Path) -> list[Example]:
    """RSVQA's three files -> one Example for each active question; `kinds` holds its type (comp, presence,
    ...).

    `questions` is `..._questions.json`; `..._answers.json` and `..._images.json` lie beside it. `images` is
    the folder with `<image id>.jpg`, `.png` or `.tif`.
    """
    questions, images = Path(questions), Path(images)
    stem, mark, rest = questions.name.rpartition("questions")
    if not mark:
        raise BadData(f"{questions} must be the ..._questions.json of a set.")

    def table(word: str) -> list:
        path = questions.with_name(stem + word + rest)
        rows = load_json(path)
        if not isinstance(rows, dict) or not isinstance(rows.get(word), list):
            raise BadData(f"{path} must hold a list called {word!r}.")
        return rows[word]

    def active(word: str) -> list[dict]:
        return [row for row in table(word) if isinstance(row, dict) and row.get("active", True)]

    answers = {row.get("question_id"): row for row in active("answers")}
    pictures = {row.get("id"): _rsvqa_picture(images, row.get("id")) for row in active("images")}

    def read(row: dict) -> list[Example]:
        if not row.get("active", True):
            return []
        kind, text = row.get("type"), row.get("question")
        answer = answers.get(row.get("id"), {}).get("answer")
        if not isinstance(text, str) or not text.strip() or not isinstance(answer, str) or not answer.strip():
            raise ValueError("its question or its answer is missing")
        if row.get("img_id") not in pictures:
            raise ValueError(f"its picture {row.get('img_id')!r:.40} is not listed")
        task = Task.COUNTING if kind == "count" else Task.VQA
        labels = _CLOSED.get(kind, ())
        question = Question(text.strip(), task, labels)
        return [
            Example(pictures[row["img_id"]], question, answer.strip(), source="RSVQA", kinds=(str(kind),))
        ]

    return each_row(questions, table("questions"), read)


def _rsvqa_picture(images: Path, number: Any) -> Path:
    for suffix in (".jpg", ".png", ".tif"):
        try:
            return inside(images, f"{number}{suffix}")
        except PathRefused:
            continue
    raise BadData(f"{images} holds no picture {str(number)!r:.40}.")


# ---- DIOR-RSVG


def read_dior_rsvg(folder: Path, split: str = "") -> list[Example]:
    """One grounding Example for each described object of DIOR-RSVG's published layout.

    `Annotations/00001.xml` (PASCAL VOC with a `description` for each object), `JPEGImages/00001.jpg`, and
    `train.txt`, `val.txt`, `test.txt` with one number a line. Boxes are in pixels of the `size` that each file gives.
    The numbers count the objects of all files from 0, in the order of the files' names; with `split`, only those
    that it lists are read. The release walks the folder in whatever order the disk has, so its own numbers may mean
    other objects: where that matters, check that no picture is in two splits.
    """
    folder = Path(folder)
    wanted = _numbers(folder / f"{split}.txt") if split else None
    examples, count = [], 0
    for notes in sorted(_folder(folder / "Annotations")):
        if notes.suffix.lower() != ".xml":
            continue
        objects, picture, size = _voc(notes, folder / "JPEGImages")
        for number, (phrase, corners) in enumerate(objects, 1):
            if wanted is None or count in wanted:
                question = Question(LOCATE.format(phrase=phrase), Task.GROUNDING)
                text = "[[" + ",".join(corners) + "]]"
                try:
                    examples.append(answered(picture, question, text, "pixels", size, "DIOR-RSVG"))
                except ValueError as error:
                    raise BadData(f"{notes}, object {number}: {error}.") from None
            count += 1
    if not examples:
        raise BadData(f"{folder} holds no described objects{f' of {split}.txt' if split else ''}.")
    if wanted and max(wanted) >= count:
        raise BadData(f"{folder / split}.txt names object {max(wanted)}, and there are {count} (from 0).")
    return examples


def _numbers(path: Path) -> set[int]:
    try:
        return {int(line) for line in path.read_text(encoding="ascii").split()}
    except FileNotFoundError:
        raise BadData(f"There is no file {path}.") from None
    except (OSError, ValueError):
        raise BadData(f"{path} must hold one whole number a line.") from None


def _voc(notes: Path, pictures: Path) -> tuple[list[tuple[str, list[str]]], Path, tuple[int, int]]:
    """(described objects as (phrase, corners), picture, (width, height)) of an annotation file."""
    from xml.etree import ElementTree

    try:
        text = notes.read_bytes()
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            raise ValueError("it declares a document type")  # entities can swell a small file to gigabytes
        root = ElementTree.fromstring(text)
        picture = inside(pictures, root.findtext("filename") or "")
        size = size_of([int(root.findtext(f"size/{side}") or 0) for side in ("width", "height")])
        objects = []
        for each in root.iter("object"):
            corners = [
                (each.findtext(f"bndbox/{name}") or "").strip() for name in ("xmin", "ymin", "xmax", "ymax")
            ]
            phrase = " ".join((each.findtext("description") or "").split()).rstrip(".")
            if not phrase or not all(corners):
                raise ValueError("an object has no description or no box")
            objects.append((phrase[:1].lower() + phrase[1:], corners))
        return objects, picture, size
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise BadData(f"{notes} cannot be used: {error}.") from None
