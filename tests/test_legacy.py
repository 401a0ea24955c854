"""A checkpoint in the layout of the hub's 2B models, made small, down every path that those take.

The layout is Qwen2-VL's of 2024: a flat text config, `visual.*` and `model.*` keys in two files with an index,
min_pixels and max_pixels in preprocessor_config.json, chat_template.json, top_k=1 in generation_config.json, and no
tinyrs.json. It lies in the hub's cache under the ids of the table, so that a name of the table is all there is to say.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import app
from tests import exports, pages
from tests.benchmarks import CLASSES, turns, write_benchmark
from tests.pages import ASKED, Hands, picture_file
from tests.serving import serving
from tinyrs import models
from tinyrs.__main__ import main as tinyrs
from tinyrs.config import ROOT, Config
from tinyrs.engine import Options, open_engine
from tinyrs.example import Question, Task
from tinyrs.image import open_picture
from tinyrs.local import LocalEngine
from tinyrs.models import resolve
from tinyrs.pairing import LARGE
from training import evaluate, sft

SMOKE = str(ROOT / "training" / "recipes" / "smoke.yaml")


def legacy(modern: Path, folder: Path) -> Path:
    """The checkpoint `modern` with the files of 2024."""
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(modern / name, folder / name)
    config = json.loads((modern / "config.json").read_text())
    text, vision = config.pop("text_config"), config.pop("vision_config")
    rope = text.pop("rope_parameters")
    for key in ("layer_types", "model_type", "dtype"):
        text.pop(key, None)
    for key in ("rope_parameters", "model_type", "dtype", "initializer_range"):
        vision.pop(key, None)
    vision["in_chans"], vision["spatial_patch_size"] = vision.pop("in_channels"), vision["patch_size"]
    text |= {
        "rope_theta": rope["rope_theta"],
        "rope_scaling": {"type": "mrope", "mrope_section": rope["mrope_section"]},
        "vision_token_id": config.get("image_token_id"),
    }
    config.pop("dtype", None)
    old = {**config, **text, "vision_config": vision, "torch_dtype": "bfloat16", "transformers_version": "4.41.2"}
    write(folder, "config.json", old)
    images = json.loads((modern / "preprocessor_config.json").read_text())
    size = images.pop("size")
    for key in ("do_convert_rgb", "do_resize", "do_rescale", "rescale_factor", "do_normalize", "resample"):
        images.pop(key, None)
    images |= {"min_pixels": size["shortest_edge"], "max_pixels": size["longest_edge"]}
    write(folder, "preprocessor_config.json", images)
    template = (modern / "chat_template.jinja").read_text()
    write(folder, "chat_template.json", {"chat_template": template})
    shipped = json.loads((modern / "generation_config.json").read_text())
    shipped |= {"do_sample": True, "top_k": 1, "top_p": 0.001, "temperature": 0.01, "repetition_penalty": 1.05}
    write(folder, "generation_config.json", shipped)
    weights = {
        key.replace("model.visual.", "visual.").replace("model.language_model.", "model."): value.bfloat16()
        for key, value in load_file(modern / "model.safetensors").items()
    }
    halves = sorted(weights)[::2], sorted(weights)[1::2]
    files = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    for file, names in zip(files, halves):
        save_file({name: weights[name] for name in names}, folder / file, {"format": "pt"})
    where = {name: file for file, names in zip(files, halves) for name in names}
    write(folder, "model.safetensors.index.json", {"metadata": {"total_size": 1}, "weight_map": where})
    return folder


def write(folder: Path, name: str, content: dict) -> None:
    (folder / name).write_text(json.dumps(content))


@pytest.fixture(scope="module")
def old(untrained, tmp_path_factory) -> Path:
    return legacy(untrained, tmp_path_factory.mktemp("legacy") / "old")


@pytest.fixture
def here(old, hub, monkeypatch):
    """Both models of the pair in the hub's cache; answers are kept short, for random weights never end one."""
    for name in LARGE:
        spec = models.MODELS[name]
        hub(spec.source, {path.name: path for path in old.iterdir()})
        monkeypatch.setitem(models.MODELS, name, models.replace(spec, max_new_tokens=6))


@pytest.fixture
def picture(tmp_path) -> Path:
    return picture_file(tmp_path)


def test_the_files_are_those_of_the_old_layout(old):
    config = json.loads((old / "config.json").read_text())
    assert "text_config" not in config and config["rope_scaling"]["type"] == "mrope"
    assert {path.name for path in old.iterdir()} == {
        "chat_template.json", "config.json", "generation_config.json", "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors", "model.safetensors.index.json", "preprocessor_config.json",
        "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    with safe_open(old / "model-00001-of-00002.safetensors", "pt") as one:
        with safe_open(old / "model-00002-of-00002.safetensors", "pt") as two:
            names = [*one.keys(), *two.keys()]
    assert any(name.startswith("visual.blocks.") for name in names)
    assert any(name.startswith("model.layers.") for name in names) and not any("language_model" in n for n in names)


def test_it_answers_what_the_same_weights_answer_in_todays_layout(old, untrained, tmp_path, picture):
    today = Path(shutil.copytree(untrained, tmp_path / "today"))
    weights = {key: value.bfloat16() for key, value in load_file(today / "model.safetensors").items()}
    save_file(weights, today / "model.safetensors", {"format": "pt"})
    named = f"{old}?dialect=tinyrs&min_pixels=12544&max_pixels=78400"
    asked, options = Question(ASKED, Task.GROUNDING), Options(max_new_tokens=12)
    image = open_picture(picture).image
    said = [
        list(LocalEngine(resolve(name)).stream(image, asked, options))[-1].text for name in (named, str(today))
    ]
    assert said[0] == said[1]


def test_ask_by_its_name_in_the_table(here, picture, capsys):
    assert tinyrs(["ask", str(picture), ASKED, "--model", "tinyrs-r1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["tokens"] == 6 and told["model"] == "tinyrs-r1"


def test_the_page_compares_the_pair(here, picture):
    demo = pages._in_a_loop(lambda: app.build(Config(), pair=LARGE))
    pages._made.append(demo)
    hands = Hands(demo)
    hands.upload(picture)
    seen = hands.ask(a=LARGE[0], b=LARGE[1])
    assert not hands.shown.errors, hands.shown.errors
    assert [hands.shown.replies[side].tokens for side in "AB"] == [6, 6]
    assert "First token" in seen["card-a"] and "paper&#x27;s 2B model" in seen["about-b"]


def test_it_is_served_and_asked_through_the_server(here, picture):
    with serving(open_engine("tinyrs"), "tinyrs") as address:
        there = open_engine(f"{address}#tinyrs?dialect=tinyrs&max_new_tokens=6")
        reply = list(there.stream(open_picture(picture).image, Question(ASKED, Task.GROUNDING)))[-1]
    alone = list(open_engine("tinyrs").stream(open_picture(picture).image, Question(ASKED, Task.GROUNDING)))[-1]
    assert reply.text == alone.text and reply.finished


def test_it_is_evaluated(here, tmp_path):
    data = write_benchmark(tmp_path, [turns(CLASSES, "port"), turns(CLASSES, "beach")])
    out = tmp_path / "out"
    assert evaluate.main(["--model", "tinyrs-r1", "--data", str(data), "--kind", "cls", "--out", str(out)]) == 0
    scores = json.loads((out / "scores.json").read_text())
    assert (scores["model"], scores["n"], scores["truncated"]) == ("tinyrs-r1", 2, 1.0)


@pytest.mark.train
def test_training_starts_from_it_and_its_checkpoint_answers(here, tmp_path, picture):
    export, out = exports.make(tmp_path / "export"), tmp_path / "out"
    args = ["--config", SMOKE, "--data", str(export), "--model", "tinyrs", "--output_dir", str(out)]
    assert sft.main([*args, "--max_steps", "1", "--max_pixels", "12544", "--min_pixels", "3136"]) == 0
    assert tinyrs(["ask", str(picture), ASKED, "--model", str(out), "--max-new-tokens", "3"]) == 0
