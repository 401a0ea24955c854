"""Reviewed boxes -> COCO's object detection layout (cocodataset.org/#format-data): boxes in pixels, a category for
what each question asks for.

    python -m annotate export --kind coco --out DIR
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tinyrs.prompt import phrase_of


def coco(captions: Sequence[Mapping], files: Mapping[str, str], sizes: Mapping[str, tuple[int, int]]) -> dict:
    """The whole file. `files` and `sizes` are the name and (width, height) of each picture, by sha256."""
    images = {sha256: number for number, sha256 in enumerate(files, 1)}
    names = sorted({_category(caption) for caption in captions})
    categories = {name: number for number, name in enumerate(names, 1)}
    annotations = []
    for caption in captions:
        for box in caption["boxes"]:
            x1, y1, x2, y2 = box.to_pixels(*sizes[caption["picture"]])
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": images[caption["picture"]],
                    "category_id": categories[_category(caption)],
                    "bbox": [round(side, 3) for side in (x1, y1, x2 - x1, y2 - y1)],
                    "area": round((x2 - x1) * (y2 - y1), 3),
                    "iscrowd": 0,
                    "caption_id": caption["caption"],
                }
            )
    return {
        "info": {"description": "Boxes reviewed with TinyRS"},
        "licenses": [],
        "images": [
            {"id": images[sha256], "file_name": name, "width": sizes[sha256][0], "height": sizes[sha256][1]}
            for sha256, name in files.items()
        ],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
    }


def _category(caption: Mapping) -> str:
    """What the question asks for, without its article: "the bright roof" -> "bright roof"."""
    return re.sub(r"^(?:the|an?) ", "", phrase_of(caption["question"].text), flags=re.I)
