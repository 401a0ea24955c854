"""Small files of the published evaluation layout, with drawn pictures."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

CLASSES = "<image>\n{CLS} Classify the image within one of the given classes: port, beach, bare land."


def turns(asked: str, told: str, **more) -> dict:
    """One row."""
    return {"conversations": [{"from": "human", "value": asked}, {"from": "gpt", "value": told}], **more}


def write_benchmark(folder: Path, rows: list[dict], name: str = "cls_X", size=(80, 60)) -> Path:
    """`folder/name.json` with a picture of its own for each row that names none."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(rows):
        row.setdefault("image", f"{number}.png")
        path = folder / name / row["image"]
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", size, (number % 256, 90, 90)).save(path)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(rows))
    return path


def read_lines(path: Path) -> list[dict]:
    """A .jsonl file."""
    return [json.loads(line) for line in path.read_text().splitlines()]
