"""Exports as `python -m annotate export` writes them, at small size, for the tests of training."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from PIL import Image, ImageDraw

REASONED = "<reasoning> Something bright lies in the upper left. </reasoning> <answer> {answer} </answer>"


def row(number: int, picture: str, question: str, answer: str, task: str) -> dict:
    """One row of a cot_sft export."""
    return {
        "id": f"caption-{number}-1",
        "image": picture,
        "conversations": [
            {"from": "human", "value": f"<image>\n{question}"},
            {"from": "gpt", "value": REASONED.format(answer=answer)},
        ],
        "task": task,
        "labels": [],
    }


def make(folder: Path, count: int = 4) -> Path:
    """A whole export of `count` rows, half of them grounding."""
    rows = []
    for number in range(count):
        image = Image.new("RGB", (120, 90), (30 + 10 * number, 90, 60))
        left, top = 10 + 5 * number, 10
        ImageDraw.Draw(image).rectangle((left, top, left + 30, top + 27), fill=(230, 230, 220))
        part = folder / "pictures" / "new.png"
        part.parent.mkdir(parents=True, exist_ok=True)
        image.save(part)
        name = f"pictures/{sha256(part)}.png"
        part.rename(folder / name)
        if number % 2:
            rows.append(row(number, name, "{VQA} Is a road present?", "no", "vqa"))
        else:
            box = [round(left / 0.12), round(top / 0.09), round((left + 30) / 0.12), round((top + 27) / 0.09)]
            text = f"[[{','.join(map(str, box))}]]"
            rows.append(row(number, name, "{VG} Identify the location of the house.", text, "grounding"))
    return seal(folder, rows)


def seal(folder: Path, rows: list[dict], **changes) -> Path:
    """Write `rows` and the manifest that fits them (with `changes`) into `folder`."""
    (folder / "cot_sft.json").write_text(json.dumps(rows, ensure_ascii=False))
    names = ["cot_sft.json", *(f"pictures/{path.name}" for path in sorted((folder / "pictures").iterdir()))]
    manifest = {
        "kind": "cot_sft",
        "file": "cot_sft.json",
        "count": len(rows),
        "box_scale": 1000,
        "files": {name: sha256(folder / name) for name in names},
        "authors": {"anna": len(rows)},
        "self_reviewed": 0,
    }
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}))
    return folder


def sha256(path: Path) -> str:
    """The checksum of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
