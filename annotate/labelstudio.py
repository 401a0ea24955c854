"""Label Studio's tasks <-> captions: its JSON and JSON-MIN exports in, tasks that it imports out.

    python -m annotate import project-1.json --images media/upload
    python -m annotate export --kind labelstudio --out DIR

Boxes are rectangles in per cent of the picture (labelstud.io/guide/task_format), so no scale has to be told. CONFIG is
the labelling configuration that the tasks we write belong to; an export of any other configuration comes in as long as
`Names` says which control holds the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from annotate.foreign import Names, Told, labels_in, picture_in, question_in, words
from tinyrs.example import BOX_SCALE, Box, Task
from tinyrs.parse import format_boxes
from tinyrs.prompt import guess_task

PERCENT = BOX_SCALE / 100
"""Units of 0..1000 in one per cent."""
ASKED = "Identify the location of the {}."
"""The question about rectangles with a label that nobody put a question to."""
LOCAL = "/data/local-files/?d="
"""What Label Studio serves a file below LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT as."""
LABEL = "object"
"""The label of the rectangles that we write: our boxes have none, the question says what they hold."""

CONFIG = f"""<View>
  <Header value="$question"/>
  <Image name="picture" value="$image" zoom="true"/>
  <TextArea name="reasoning" toName="picture" rows="6" maxSubmissions="1" editable="true" placeholder="Reasoning"/>
  <TextArea name="answer" toName="picture" rows="1" maxSubmissions="1" editable="true" placeholder="Answer"/>
  <RectangleLabels name="boxes" toName="picture">
    <Label value="{LABEL}"/>
  </RectangleLabels>
</View>
"""
"""What belongs into Settings > Labeling Interface > Code of the project that the tasks are imported into."""


def is_task(row: Mapping[str, Any]) -> bool:
    """Whether a row is one of Label Studio's: JSON has `data`, JSON-MIN says which annotation it comes from."""
    return isinstance(row.get("data"), Mapping) or "annotation_id" in row


def told_by(row: Mapping[str, Any], names: Names) -> list[Told]:
    """The captions of one task: of every annotation that was submitted, or of the newest prediction."""
    if "data" not in row:
        return _captions(row, _of_values(row), names)
    sides = {key: [] if row.get(key) is None else row[key] for key in ("annotations", "predictions")}
    for key, side in sides.items():
        if not isinstance(side, list) or not all(isinstance(each, Mapping) for each in side):
            raise ValueError(f"its {key} must be a list of objects")
    done = [_results(each) for each in sides["annotations"] if not each.get("was_cancelled")]
    done = done or [_results(each) for each in sides["predictions"][-1:]]
    return [told for results in done for told in _captions(row["data"], _of_results(results), names)]


def _results(annotation: Mapping) -> list:
    results = annotation.get("result")
    if not isinstance(results, list):
        raise ValueError("an annotation without a result is not Label Studio's")
    return results


def _of_results(results: Sequence) -> tuple[dict[str, str], list[Box]]:
    """({control: text}, boxes) of the `result` of an annotation."""
    texts: dict[str, list[str]] = {}
    boxes = []
    for result in results:
        if isinstance(result, Mapping) and result.get("type") == "relation":
            continue  # a line between two regions, which says nothing that a caption holds
        value = result.get("value") if isinstance(result, Mapping) else None
        if not isinstance(value, Mapping):
            raise ValueError("a result without a value is not Label Studio's")
        kind, control = result.get("type"), str(result.get("from_name"))
        if kind in ("rectanglelabels", "rectangle"):
            boxes.append(_box(value))
        elif kind in ("choices", "textarea"):
            texts.setdefault(control, []).append(
                words(value.get("text" if kind == "textarea" else kind), control)
            )
    return {control: "\n".join(each) for control, each in texts.items()}, boxes


def _of_values(row: Mapping) -> tuple[dict[str, str], list[Box]]:
    """The same of a JSON-MIN row, which has a key for each control and tells no types."""
    texts, boxes = {}, []
    for control, value in row.items():
        if (
            isinstance(value, list)
            and value
            and all(isinstance(each, Mapping) and "x" in each for each in value)
        ):
            boxes += [_box(each) for each in value]
        elif isinstance(value, Mapping) and "choices" in value:
            texts[control] = words(value["choices"], control)
        elif (
            isinstance(value, str) or isinstance(value, list) and all(isinstance(each, str) for each in value)
        ):
            texts[control] = words(value, control)
    return texts, boxes


def _box(value: Mapping) -> Box:
    sides = [value.get(key) for key in ("x", "y", "width", "height")]
    if not all(isinstance(side, (int, float)) and not isinstance(side, bool) for side in sides):
        raise ValueError("a rectangle must have x, y, width and height in per cent")
    if value.get("rotation"):
        raise ValueError(
            f"a rectangle is turned by {value['rotation']} degrees: only upright boxes can be kept"
        )
    x, y, width, height = sides
    if not (
        -0.05 <= x and -0.05 <= y and x + width <= 100.05 and y + height <= 100.05 and min(width, height) >= 0
    ):
        raise ValueError("a rectangle leads out of the picture, which runs from 0 to 100 per cent")
    corners = (PERCENT * x, PERCENT * y, PERCENT * (x + width), PERCENT * (y + height))
    labels = value.get("rectanglelabels") or [""]
    return Box(*(min(max(corner, 0.0), BOX_SCALE) for corner in corners), str(labels[0]))


def _captions(data: Mapping, found: tuple[dict[str, str], list[Box]], names: Names) -> list[Told]:
    texts, boxes = found
    pictures = _files(picture_in(data, names))
    reasoning, answer = texts.get(names.reasoning, ""), texts.get(names.answer, "")
    task = words(data.get(names.task), names.task) or None
    asked = words(data.get(names.question), names.question) or names.ask
    if boxes and asked and Task.GROUNDING in (task, guess_task(asked)[0]):
        return [Told(pictures, asked, reasoning, format_boxes(boxes), "grounding", (), True)]
    told = []
    if answer:
        told.append(Told(pictures, question_in(data, names), reasoning, answer, task, labels_in(data, names)))
    for label in dict.fromkeys(box.label for box in boxes):
        answer = format_boxes(box for box in boxes if box.label == label)
        told.append(Told(pictures, ASKED.format(label or LABEL), "", answer, "grounding", (), True))
    return told


def _files(address: str) -> tuple[str, ...]:
    """Where the file may lie in the folder of pictures: as the project stored it, or beside the others.

    A picture in the cloud (s3://bucket/a.jpg, https://...) is not fetched: its file is looked for under its path.
    """
    if address.startswith("/data/local-files/"):
        address = (parse_qs(urlsplit(address).query).get("d") or [""])[0]
    elif address.startswith("/data/upload/"):
        address = unquote(address.removeprefix("/data/upload/"))
    elif "://" in address:
        address = unquote(urlsplit(address).path.lstrip("/"))
    else:
        return (address,)
    return tuple(dict.fromkeys((address, address.rsplit("/", 1)[-1])))


def task_of(caption: Mapping, picture: str, size: tuple[int, int]) -> dict:
    """A caption of `Store.accepted` as a task with one annotation, for a project with CONFIG.

    `picture` is the file's name in the export, served by Label Studio as a local file; `size` is (width, height).
    """
    question, number = caption["question"], caption["caption"]
    results = []
    if caption["reasoning"]:
        results.append(
            {"from_name": "reasoning", "type": "textarea", "value": {"text": [caption["reasoning"]]}}
        )
    if question.task is Task.GROUNDING:
        results += [
            {"from_name": "boxes", "type": "rectanglelabels", "value": _value(box)}
            for box in caption["boxes"]
        ]
    else:
        results.append({"from_name": "answer", "type": "textarea", "value": {"text": [caption["answer"]]}})
    shared = {
        "to_name": "picture",
        "original_width": size[0],
        "original_height": size[1],
        "image_rotation": 0,
    }
    return {
        "id": number,
        "data": {
            "image": LOCAL + quote(picture),
            "question": question.text,
            "task": question.task.value,
            "labels": list(question.labels),
        },
        "annotations": [
            {"result": [{"id": f"{number}-{at}", **shared, **each} for at, each in enumerate(results)]}
        ],
    }


def _value(box: Box) -> dict:
    x1, y1, x2, y2 = box.corners()
    sides = {"x": x1 / PERCENT, "y": y1 / PERCENT}
    sides |= {"width": (x2 - x1) / PERCENT, "height": (y2 - y1) / PERCENT}
    return {**sides, "rotation": 0, "rectanglelabels": [LABEL]}
