"""Small data sets on disk, for the tests of what reads them."""

import json

import pytest
from PIL import Image


def draw(path, size=(64, 48)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 120, 60)).save(path)


def vhm(human, gpt, image="a.jpg", **more):
    return {
        "image": image,
        "conversations": [{"from": "human", "value": human}, {"from": "gpt", "value": gpt}],
        **more,
    }


GOOD = vhm("<image>{VQA} Is a road present?", "yes")


@pytest.fixture
def write(tmp_path):
    """write(rows) -> the JSON file that holds them, beside a picture a.jpg of 64 x 48."""
    draw(tmp_path / "a.jpg")

    def write(rows, name="rows.json"):
        path = tmp_path / name
        path.write_text(json.dumps(rows))
        return path

    return write
