"""The pair that ships: small, standard, and truly looking at the picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinyrs.config import ROOT
from tinyrs.engine import Options, open_engine
from tinyrs.example import Question, Task
from tinyrs.metrics import iou
from tinyrs.models import resolve
from tinyrs.parse import parse
from tinyrs.prompt import CLASSIFY, LOCATE
from training.pocket.scenes import draw
from training.pocket.texts import AID

PAIR = ("pocket", "pocket-r1")
FOLDERS = {name: Path(resolve(name).source) for name in PAIR}
SEEDS = range(2_000_000, 2_000_044)
"""Scenes that no build draws: it stays below a million and its kept-out ones below 1.1 million."""


def test_both_together_weigh_at_most_32_megabytes_in_safetensors_alone():
    files = [path for folder in FOLDERS.values() for path in folder.iterdir()]
    assert sum(path.stat().st_size for path in files if path.suffix == ".safetensors") <= 32 * 2**20
    assert not [path for path in files if path.suffix in (".bin", ".pt", ".pth", ".pickle", ".pkl")]


@pytest.mark.parametrize("name", PAIR)
def test_the_folder_loads_like_any_qwen2_vl(name):
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoTokenizer

    assert AutoConfig.from_pretrained(FOLDERS[name]).model_type == "qwen2_vl"
    model, told = AutoModelForImageTextToText.from_pretrained(
        FOLDERS[name], dtype=torch.float32, output_loading_info=True
    )
    assert not told["missing_keys"] and not told["unexpected_keys"]
    tokenizer = AutoTokenizer.from_pretrained(FOLDERS[name])
    assert tokenizer.convert_tokens_to_ids("<|image_pad|>") == model.config.image_token_id
    text = "Größe: [[12,345,678,1000]] <reasoning> ☃"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    for file in ("preprocessor_config.json", "video_preprocessor_config.json", "tokenizer_config.json"):
        assert json.loads((FOLDERS[name] / file).read_text())["processor_class"] == "Qwen2VLProcessor"


@pytest.fixture(scope="module")
def scenes():
    return [draw(seed) for seed in SEEDS]


def ask_all(name: str, asked: list[tuple[np.ndarray, Question]]):
    engine = open_engine(name)
    replies = engine.batch([(Image.fromarray(pixels), question) for pixels, question in asked], Options())
    return [parse(reply.text, thinking=engine.spec.thinking, truncated=reply.truncated) for reply in replies]


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIR)
def test_scenes_are_told_apart_by_looking(name, scenes):
    question = Question(CLASSIFY.format(labels=", ".join(AID)), Task.CLASSIFICATION, tuple(AID))
    answers = ask_all(name, [(scene.pixels, question) for scene in scenes])
    right = [answer.text == scene.label for answer, scene in zip(answers, scenes, strict=True)]
    moved = [
        answer.text == scene.label for answer, scene in zip(answers, scenes[7:] + scenes[:7], strict=True)
    ]
    print(name, np.mean(right), np.mean(moved))
    assert np.mean(right) >= 0.6, "a guess among 30 classes gets 0.03"
    assert np.mean(moved) <= np.mean(right) / 2, "the same answers to other pictures must fall to chance"
    assert np.mean([answer.well_formed for answer in answers]) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIR)
def test_boxes_follow_the_object(name, scenes):
    alone = [
        (scene, box)
        for scene in map(draw, range(2_100_000, 2_100_150))
        for box in scene.boxes
        if sum(other.label == box.label for other in scene.boxes) == 1
    ][:40]
    asked = [
        (scene.pixels, Question(LOCATE.format(phrase=f"the {box.label}"), Task.GROUNDING))
        for scene, box in alone
    ]
    found = [answer.boxes[0] if answer.boxes else None for answer in ask_all(name, asked)]

    def overlap(boxes) -> float:
        return float(np.mean([iou(f, true) if f else 0.0 for f, (_, true) in zip(boxes, alone, strict=True)]))

    print(name, overlap(found), overlap(found[5:] + found[:5]))
    assert overlap(found) >= 2 * overlap(found[5:] + found[:5]), "boxes of other questions fit as well"
    assert overlap(found) >= 0.15, "a box in the middle gets about 0.03"


def test_the_cards_say_what_the_models_are_and_how_good():
    for folder in FOLDERS.values():
        told = json.loads((folder / "tinyrs.json").read_text())
        assert told["about"] and told["measured"]["cls_AID"]["n"] >= 300
    assert (ROOT / "assets" / "pocket" / "tinyrs" / "README.md").exists()
