"""Published layouts -> Examples: VHM/LLaVA JSON, evaluation JSON, AID, NWPU VHR-10, RSVQA, DIOR-RSVG.

Every reader checks what it reads and raises BadData with the file and the row; nothing is skipped in silence.
Every file named inside a data set is opened through tinyrs/paths.py. Boxes come out on the 0..1000 scale;
what they run to in the file is told by the caller, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinyrs.example import BOX_SCALE, Box, Example, Question, Task
from tinyrs.parse import count_boxes, format_boxes, parse
from tinyrs.paths import PathRefused, inside
from tinyrs.prompt import CHOOSE, CLASSIFY, DESCRIBE, LOCATE, TASK_TAGS, guess_task
from tinyrs.strictjson import BadData as BadData
from tinyrs.strictjson import each_row
from tinyrs.strictjson import load_json as load_json
from tinyrs.strictjson import row_name as row_name

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
        examples = _vhm_row(row, folder, box_scale, source or path.stem, strict_boxes)
        if needs_reasoning and not all(example.reasoning for example in examples):
            raise ValueError("its reasoning is empty")
        return examples

    return each_row(path, rows, read)


def _vhm_row(row: dict, folder: Path, box_scale: Scale, source: str, strict_boxes: bool) -> list[Example]:
    names = row.get("image")
    if isinstance(names, list) and len(names) != 1:
        raise ValueError(f"it has {len(names)} pictures; one is needed")
    picture = inside(folder, names[0] if isinstance(names, list) else names)
    turns = _turns(row)
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
        size = _size(row.get("size"))
        examples.append(answered(picture, question, told, box_scale, size, source, strict_boxes))
    return examples


def _turns(row: dict) -> list[tuple[str, str]]:
    turns = row.get("conversations")
    if not isinstance(turns, list) or not turns or len(turns) % 2:
        raise ValueError("its conversations must be questions and answers by turns")
    texts = []
    for turn, who in zip(turns, ("human", "gpt") * (len(turns) // 2), strict=True):
        if not isinstance(turn, dict) or turn.get("from") != who or not isinstance(turn.get("value"), str):
            raise ValueError('its conversations must be {"from": "human", "value": text} and "gpt" by turns')
        texts.append(turn["value"])
    return list(zip(texts[::2], texts[1::2], strict=True))


def _size(size: Any) -> tuple[int, int]:
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


# ---- evaluation JSON

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
    turns = _turns(row)
    if len(turns) != 1:
        raise ValueError("it must hold one question and one answer")
    asked, told = turns[0]
    if asked.count("<image>") > 1:
        raise ValueError("<image> stands more than once in its question")
    picture = _picture(row, path, image_dir)
    size = _size(row.get("size"))[::-1]
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


def picture_size(picture: Path) -> tuple[int, int]:
    """(width, height) of a picture as it is shown, from its header; ValueError if it is no picture."""
    from PIL import Image

    try:
        with Image.open(picture, formats=("PNG", "JPEG", "WEBP", "TIFF")) as image:
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            return image.size[::-1] if turned else image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise ValueError(f"{picture.name} is no picture that can be opened") from None


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
        relations = {
            "leftmost": lambda box: box.x1 + box.x2,
            "rightmost": lambda box: -(box.x1 + box.x2),
            "topmost": lambda box: box.y1 + box.y2,
            "bottommost": lambda box: -(box.y1 + box.y2),
        }
        for word, key in relations.items():
            first, second = sorted(same, key=key)[:2]
            if key(second) - key(first) >= 2 * margin:
                found.append((f"the {word} {label}", first))
        big, next_big = sorted(same, key=_area, reverse=True)[:2]
        if _area(big) >= 1.3 * _area(next_big):
            found.append((f"the largest {label}", big))
    return found


def _area(box: Box) -> float:
    return (box.x2 - box.x1) * (box.y2 - box.y1)


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
        size = _size([int(root.findtext(f"size/{side}") or 0) for side in ("width", "height")])
        objects = []
        for each in root.iter("object"):
            corners = [(each.findtext(f"bndbox/{name}") or "").strip() for name in ("xmin", "ymin", "xmax", "ymax")]
            phrase = " ".join((each.findtext("description") or "").split()).rstrip(".")
            if not phrase or not all(corners):
                raise ValueError("an object has no description or no box")
            objects.append((phrase[:1].lower() + phrase[1:], corners))
        return objects, picture, size
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise BadData(f"{notes} cannot be used: {error}.") from None
