"""What a run starts from is found or refused; what it becomes is a standard folder that says what it is."""

import contextlib
import json

import pytest
from safetensors.torch import load_file, save_file

from training.checkpoint import (
    base_folder,
    declare,
    open_network,
    open_processor,
    pixel_budget,
    save_like,
    save_processor_files,
    skeleton,
    weights_digest,
)
from training.recipe import BadRecipe, Recipe


def test_a_base_is_a_folder_a_name_or_a_hub_id(tmp_path, untrained, hub):
    assert base_folder(untrained) == untrained
    with pytest.raises(BadRecipe, match="holds no checkpoint"):
        base_folder(tmp_path)
    hub("owner/base", {"config.json": "{}"})
    assert base_folder("owner/base").parts[-2] == "snapshots"  # declares no dialect, and needs none
    with pytest.raises(BadRecipe, match="not on this machine"):
        base_folder("owner/other")


def test_the_pixel_budget_is_the_recipes_or_the_bases(untrained, checkpoint):
    declared = json.loads((untrained / "tinyrs.json").read_text())
    own = declared["min_pixels"], declared["max_pixels"]
    assert pixel_budget(untrained, Recipe()) == own
    assert pixel_budget(untrained, Recipe(max_pixels=50176)) == (own[0], 50176)
    (checkpoint / "tinyrs.json").unlink()
    config = json.loads((checkpoint / "preprocessor_config.json").read_text())
    config = {**config, "size": None, "min_pixels": 3136, "max_pixels": 100352}  # as the hub's files say it
    (checkpoint / "preprocessor_config.json").write_text(json.dumps(config))
    assert pixel_budget(checkpoint, Recipe()) == (3136, 100352)


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_declaration_that_is_no_json_is_one_sentence(checkpoint, text):
    (checkpoint / "tinyrs.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(BadRecipe, match="tinyrs.json cannot be read"):
        pixel_budget(checkpoint, Recipe())


def test_limits_are_found_where_transformers_5_writes_them(checkpoint, tmp_path):
    pictures = json.loads((checkpoint / "preprocessor_config.json").read_text())
    whole = {"processor_class": "Qwen2VLProcessor", "image_processor": pictures}
    (checkpoint / "processor_config.json").write_text(json.dumps(whole))
    for name in ("preprocessor_config.json", "tinyrs.json"):
        (checkpoint / name).unlink()
    size = pictures["size"]
    assert pixel_budget(checkpoint, Recipe()) == (size["shortest_edge"], size["longest_edge"])
    out = tmp_path / "out"
    out.mkdir()
    save_processor_files(checkpoint, out, (3136, 50176))
    saved = json.loads((out / "processor_config.json").read_text())["image_processor"]["size"]
    assert saved == {"shortest_edge": 3136, "longest_edge": 50176}


def test_a_processor_is_copied_with_the_pixels_that_were_trained_on(checkpoint, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (checkpoint / "video_preprocessor_config.json").unlink()  # the hub's older folders have none
    save_processor_files(checkpoint, out, (3136, 50176))
    assert (out / "tokenizer.json").read_bytes() == (checkpoint / "tokenizer.json").read_bytes()
    size = {"shortest_edge": 3136, "longest_edge": 50176}
    for name in ("preprocessor_config.json", "video_preprocessor_config.json"):
        config = json.loads((out / name).read_text())
        assert config["size"] == size and config["processor_class"] == "Qwen2VLProcessor"
        assert "min_pixels" not in config


def test_a_declaration_says_what_the_stage_made_of_the_base(checkpoint, tmp_path):
    told = json.loads((checkpoint / "tinyrs.json").read_text())
    (checkpoint / "tinyrs.json").write_text(json.dumps({**told, "measured": {"AID": 0.5}}))
    declare(checkpoint, tmp_path, Recipe(about="Short answers."), (3136, 50176))
    plain = json.loads((tmp_path / "tinyrs.json").read_text())
    assert plain["max_new_tokens"] == told["max_new_tokens"] and not plain["thinking"]
    assert (plain["about"], plain["measured"], plain["box_scale"]) == ("Short answers.", {}, 1000)
    # Short answers' budget would cut reasoning off.
    declare(checkpoint, tmp_path, Recipe(thinking=True), (3136, 50176))
    assert json.loads((tmp_path / "tinyrs.json").read_text())["max_new_tokens"] == 1024


def test_weights_that_do_not_fit_are_refused(checkpoint):
    path = checkpoint / "model.safetensors"
    weights = load_file(path)
    weights.pop(next(name for name in weights if "merger" in name))
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(BadRecipe, match="do not fit its config.json"):
        open_network(checkpoint)
    path.unlink()
    with pytest.raises(BadRecipe, match="cannot be loaded"):
        open_network(checkpoint)


def test_pickled_weights_are_not_opened(checkpoint, tmp_path):
    import torch

    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "trapped"), "w")

    torch.save({"lm_head.weight": Trap()}, checkpoint / "pytorch_model.bin")
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(BadRecipe, match="cannot be loaded"):
        open_network(checkpoint)
    assert not (tmp_path / "trapped").exists()


def test_code_beside_the_weights_is_not_run(checkpoint, tmp_path):
    trap = tmp_path / "trapped"
    (checkpoint / "trap.py").write_text(f"open({str(trap)!r}, 'w')\nclass Trap: pass\n")
    kinds = ("AutoConfig", "AutoModelForImageTextToText", "AutoProcessor", "AutoImageProcessor", "AutoTokenizer")
    for name in ("config.json", "preprocessor_config.json", "tokenizer_config.json"):
        path = checkpoint / name
        path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": dict.fromkeys(kinds, "trap.Trap")}))
    for opened in (open_network, skeleton, lambda folder: open_processor(folder, (3136, 50176))):
        with contextlib.suppress(BadRecipe):
            opened(checkpoint)
    assert not trap.exists()


def test_a_processor_that_is_not_there_is_one_sentence(checkpoint):
    for path in checkpoint.glob("*token*"):
        path.unlink()
    with pytest.raises(BadRecipe, match="processor in .* cannot be loaded") as caught:
        open_processor(checkpoint, (3136, 50176))
    assert "\n" not in str(caught.value)


def test_a_checkpoint_is_known_by_its_weights(checkpoint, untrained):
    assert weights_digest(checkpoint) == weights_digest(untrained)
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    assert weights_digest(checkpoint) != weights_digest(untrained)


def test_saved_like_another_it_keeps_the_others_processor_budget_and_what_it_learnt_from(untrained, checkpoint, tmp_path):
    model = open_network(checkpoint)
    save_like(model, checkpoint, tmp_path / "plain")
    assert json.loads((tmp_path / "plain" / "tinyrs.json").read_text()) == json.loads((checkpoint / "tinyrs.json").read_text())
    assert not (tmp_path / "plain" / "exports.json").exists()
    (checkpoint / "exports.json").write_text(json.dumps({"exports": ["f" * 64]}))
    save_like(model, checkpoint, tmp_path / "next", 196 * 28 * 28)
    assert json.loads((tmp_path / "next" / "exports.json").read_text()) == {"exports": ["f" * 64]}
    told = open_processor(tmp_path / "next", pixel_budget(tmp_path / "next", Recipe())).image_processor.size
    assert told["longest_edge"] == 196 * 28 * 28
    assert load_file(tmp_path / "next" / "model.safetensors").keys() == load_file(checkpoint / "model.safetensors").keys()
