"""The pictures of a build: read from published layouts, drawn where there are none, some always kept out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from training.pocket import pictures


@pytest.fixture
def aid(tmp_path):
    """Thirty pictures of two classes in AID's layout, three of them with captions."""
    random = np.random.default_rng(0)
    lines = []
    for number in range(30):
        name = f"{('BareLand', 'Port')[number % 2]}/{number}.jpg"
        path = tmp_path / "aid" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (40, 50, 3), np.uint8)).save(path)
        if number < 3:
            lines.append(json.dumps({"file_name": name, "label": "x", "captions": ["a thing is here ."]}))
    (tmp_path / "aid" / "metadata.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_every_picture_is_on_exactly_one_side(aid):
    train, kept = pictures.load(aid)
    assert len(train) + len(kept) == 30
    assert kept, "one in ten of thirty should be kept out"
    assert {each.label for each in train} == {"bare land", "port"}
    assert sum(len(each.captions) for each in (*train, *kept)) == 3


def test_the_side_depends_on_the_content_and_not_on_the_name(aid):
    (aid / "aid" / "metadata.jsonl").unlink()  # it names the files
    train, kept = pictures.load(aid)
    for each in (*train, *kept):
        other = each.path.with_name(f"renamed-{each.path.name}")
        each.path.rename(other)
    again = pictures.load(aid)
    assert {p.pixels.tobytes() for p in again[1]} == {p.pixels.tobytes() for p in kept}


def test_without_data_there_are_drawn_pictures_whose_facts_are_complete():
    assert pictures.load(None) == ([], [])
    drawn = pictures.drawn(range(3))
    assert [each.source for each in drawn] == ["drawn"] * 3
    assert all(each.complete and each.label and each.captions for each in drawn)


def test_large_pictures_are_held_small(tmp_path):
    path = tmp_path / "aid" / "Port" / "0.jpg"
    path.parent.mkdir(parents=True)
    Image.new("RGB", (2000, 1000)).save(path)
    (only,) = [each for side in pictures.load(tmp_path) for each in side]
    assert only.pixels.shape == (320, 640, 3)
