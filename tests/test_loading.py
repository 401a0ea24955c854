"""tinyrs.loading: checkpoints of every layout and family, and what is refused of them (THREATS row 23)."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForImageTextToText

from tinyrs.engine import EngineUnavailable, Options, open_engine
from tinyrs.example import Question, Task
from tinyrs.loading import SMALL, dtype_for, load_model, load_processor
from tinyrs.local import LocalEngine
from tinyrs.models import UnknownModel, resolve

WHERE = Question("Identify the location of the ship.", Task.GROUNDING)
WHAT = Question("What is the colour of the roof next to the long road?", Task.VQA)


@pytest.fixture(scope="module")
def engine(untrained):
    """One engine for the tests that leave it as it was."""
    return LocalEngine(resolve(str(untrained)))


def last(engine, picture, question=WHERE, options=Options()):
    return list(engine.stream(picture, question, options))[-1]


def test_two_models_are_never_loaded_at_once(untrained, monkeypatch):
    """transformers swaps `tie_weights` for the whole process while it loads: overlapping loads lose every lm_head."""
    load, together = AutoModelForImageTextToText.from_pretrained, threading.Barrier(2)
    met = []

    def meet(*args, **kwargs):
        try:
            together.wait(timeout=0.5)
            met.append(True)
        except threading.BrokenBarrierError:
            pass
        return load(*args, **kwargs)

    monkeypatch.setattr(AutoModelForImageTextToText, "from_pretrained", meet)
    made = []
    threads = [threading.Thread(target=lambda: made.append(load_model(untrained))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not met and len(made) == 2
    for model in made:
        assert model.lm_head.weight is model.get_input_embeddings().weight


def test_the_old_layout_of_the_hub_loads(untrained, tmp_path, engine, picture):
    """Flat text config, `visual.*` and `model.*` keys: how the base model's and the paper's files look."""
    folder = tmp_path / "old"
    shutil.copytree(untrained, folder)
    config = json.loads((folder / "config.json").read_text())
    text = config.pop("text_config")
    rope = text.pop("rope_parameters")
    text["rope_theta"] = rope["rope_theta"]
    text["rope_scaling"] = {"type": "mrope", "mrope_section": rope["mrope_section"]}
    text.pop("layer_types", None), text.pop("model_type")
    vision = config["vision_config"]
    vision.pop("rope_parameters", None), vision.pop("model_type", None)
    vision["in_chans"] = vision.pop("in_channels")
    vision["spatial_patch_size"] = vision["patch_size"]
    config.pop("dtype", None)
    (folder / "config.json").write_text(json.dumps({**config, **text, "torch_dtype": "bfloat16"}))
    weights = load_file(folder / "model.safetensors")
    old = {
        key.replace("model.visual.", "visual.").replace("model.language_model.", "model."): value
        for key, value in weights.items()
    }
    assert any(key.startswith("visual.") for key in old) and any(
        key.startswith("model.layers.") for key in old
    )
    save_file(old, folder / "model.safetensors", {"format": "pt"})
    (folder / "chat_template.jinja").rename(folder / "template")
    template = (folder / "template").read_text()
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    own = LocalEngine(resolve(str(folder)))
    options = Options(max_new_tokens=10)
    assert last(own, picture, options=options).text == last(engine, picture, options=options).text


def test_a_hub_model_is_loaded_at_one_commit(untrained, hub, picture):
    commit = hub("owner/name", {path.name: path for path in untrained.iterdir()})
    engine = open_engine("owner/name")
    assert engine.spec.revision == commit and engine.spec.name == "owner/name"
    assert last(engine, picture, options=Options(max_new_tokens=2)).tokens == 2
    assert open_engine("owner/name") is engine


def test_a_hub_model_that_is_not_here_is_one_sentence():
    with pytest.raises(EngineUnavailable, match=r"tinyrs-r1 is not on this machine, .* could not be fetched"):
        open_engine("tinyrs-r1")


def test_pickled_weights_are_not_read(checkpoint):
    weights = load_file(checkpoint / "model.safetensors")
    torch.save(weights, checkpoint / "pytorch_model.bin")
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(EngineUnavailable, match="not safetensors"):
        open_engine(str(checkpoint))


def test_code_beside_the_weights_is_not_run(checkpoint, tmp_path):
    trap = tmp_path / "trapped"
    (checkpoint / "trap.py").write_text(f"open({str(trap)!r}, 'w')\nclass Trap: pass\n")
    for name in ("config.json", "preprocessor_config.json", "tokenizer_config.json"):
        path = checkpoint / name
        values = json.loads(path.read_text())
        kinds = (
            "AutoConfig",
            "AutoModelForImageTextToText",
            "AutoProcessor",
            "AutoImageProcessor",
            "AutoTokenizer",
        )
        values["auto_map"] = {kind: "trap.Trap" for kind in kinds}
        path.write_text(json.dumps(values))
    try:
        open_engine(str(checkpoint))
    except EngineUnavailable:
        pass
    assert not trap.exists()


def test_a_folder_without_weights_is_one_sentence(checkpoint):
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(EngineUnavailable, match="There are no weights"):
        open_engine(str(checkpoint))


def test_weights_that_are_missing_are_not_made_up(checkpoint, caplog):
    path = checkpoint / "model.safetensors"
    weights = load_file(path)
    gone = next(key for key in weights if "layers.1.mlp" in key)
    save_file({key: value for key, value in weights.items() if key != gone}, path, {"format": "pt"})
    with pytest.raises(EngineUnavailable, match=r"do not fit their config\.json"):
        open_engine(str(checkpoint))
    assert gone in caplog.text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", b"not weights"),
        ("config.json", b"{}"),
        ("config.json", b'{"model_type": "klingon"}'),
        ("config.json", b'{"model_type": "bert"}'),
        ("tokenizer.json", b"{"),
        ("preprocessor_config.json", b"{"),
        ("chat_template.jinja", None),
    ],
)
def test_a_broken_checkpoint_is_one_sentence(checkpoint, name, content):
    (checkpoint / name).unlink()
    if content is not None:
        (checkpoint / name).write_bytes(content)
    with pytest.raises(EngineUnavailable) as error:
        open_engine(str(checkpoint))
    assert "\n" not in str(error.value) and str(error.value).endswith(".")


def test_a_folder_that_declares_nothing_is_refused(checkpoint):
    (checkpoint / "tinyrs.json").unlink()
    with pytest.raises(UnknownModel):
        open_engine(str(checkpoint))
    assert open_engine(f"{checkpoint}?dialect=qwen2-vl").spec.dialect == "qwen2-vl"


def test_small_models_are_computed_in_float32_however_they_are_stored(checkpoint):
    path = checkpoint / "model.safetensors"
    save_file({key: value.bfloat16() for key, value in load_file(path).items()}, path, {"format": "pt"})
    assert LocalEngine(resolve(str(checkpoint))).model.dtype == torch.float32


def test_large_models_are_computed_in_what_the_machine_multiplies(tmp_path):
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(SMALL)
    assert dtype_for(tmp_path, "cpu") in (torch.bfloat16, torch.float32)
    assert dtype_for(tmp_path.parent, "cpu") == torch.float32


def test_no_secret_is_logged_when_loading_fails(checkpoint, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("HF_TOKEN", "hf_canary123456")
    (checkpoint / "config.json").write_text('{"model_type": "hf_canary123456"}')
    for name in (str(checkpoint), "tinyrs-r1", "owner/name"):
        with pytest.raises((EngineUnavailable, UnknownModel)) as error:
            open_engine(name)
        assert "canary" not in str(error.value)
    assert "canary" not in caplog.text


# --- other families ---------------------------------------------------------------------------------------


def other_family(folder, untrained, kind):
    """A checkpoint of another family, with the tokenizer and picture processor of `untrained`."""
    shutil.copytree(untrained, folder)
    (folder / "model.safetensors").unlink()
    base = AutoConfig.from_pretrained(untrained)
    text = dict(
        vocab_size=base.text_config.vocab_size,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        eos_token_id=base.text_config.eos_token_id,
        pad_token_id=base.text_config.pad_token_id,
    )
    ids = {
        key: getattr(base, key)
        for key in ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    }
    vision = dict(
        depth=1, hidden_size=32, intermediate_size=32, num_heads=2, out_hidden_size=64, patch_size=14
    )
    config = AutoConfig.for_model(
        kind,
        text_config={**text, **TEXT.get(kind, {})},
        vision_config={**vision, **VISION.get(kind, {})},
        **ids,
    )
    AutoModelForImageTextToText.from_config(config).save_pretrained(folder)
    return folder


TEXT = {
    "qwen2_5_vl": {
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}
    },
    "qwen3_vl": {
        "head_dim": 16,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e4,
            "mrope_section": [2, 3, 3],
            "mrope_interleaved": True,
        },
    },
}


VISION = {"qwen2_5_vl": {"fullatt_block_indexes": [0]}, "qwen3_vl": {"deepstack_visual_indexes": [0]}}


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "qwen3_vl"])
def test_other_families_are_loaded_and_answer(tmp_path, untrained, picture, kind):
    engine = LocalEngine(resolve(str(other_family(tmp_path / kind, untrained, kind))))
    options = Options(max_new_tokens=6)
    pairs = [(picture, WHERE), (picture.resize((240, 100)), WHAT)]
    able, engine.two_steps = engine.two_steps, False
    plain = [last(engine, *pair, options).text for pair in pairs]
    assert plain == [reply.text for reply in engine.batch(pairs, options)]
    engine.two_steps = able
    for _ in range(2):  # the second time, with what was kept of the pictures
        assert plain == [last(engine, *pair, options).text for pair in pairs]
    assert plain == [reply.text for reply in engine.batch(pairs, options)]
    assert len(engine.prefixes) == 2


def test_a_family_with_a_processor_of_another_kind_answers(tmp_path, untrained, picture):
    """LLaVA: pictures of one size, a processor without a video processor."""
    from transformers import CLIPImageProcessorPil, LlavaConfig, LlavaForConditionalGeneration

    folder = Path(shutil.copytree(untrained, tmp_path / "llava"))
    for name in ("model.safetensors", "preprocessor_config.json", "video_preprocessor_config.json"):
        (folder / name).unlink()
    base = AutoConfig.from_pretrained(untrained)
    text = dict(
        model_type="llama", vocab_size=base.text_config.vocab_size, hidden_size=32, intermediate_size=32
    )
    text |= dict(
        num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, eos_token_id=2, pad_token_id=0
    )
    vision = dict(model_type="clip_vision_model", hidden_size=32, intermediate_size=32, num_hidden_layers=2)
    vision |= dict(num_attention_heads=2, image_size=56, patch_size=14)
    config = LlavaConfig(text_config=text, vision_config=vision, image_token_id=base.image_token_id)
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}).save_pretrained(
        folder
    )
    (folder / "processor_config.json").write_text(
        json.dumps(
            {
                "processor_class": "LlavaProcessor",
                "patch_size": 14,
                "num_additional_image_tokens": 1,
                "vision_feature_select_strategy": "default",
                "image_token": "<|image_pad|>",
            }
        )
    )
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(
        json.dumps(tokenizer | {"processor_class": "LlavaProcessor"})
    )
    engine = LocalEngine(resolve(str(folder)))
    assert type(engine.processor).__name__ == "LlavaProcessor"
    options = Options(max_new_tokens=6)
    pairs = [(picture, WHERE), (picture.resize((240, 100)), WHAT)]
    together = [reply.text for reply in engine.batch(pairs, options)]
    assert together == [last(engine, *pair, options).text for pair in pairs]
    assert (
        not engine.two_steps and len(engine.prefixes) == 0
    )  # nothing is known of how it looks at what stands before a picture


def test_the_processor_needs_no_video_processor(untrained):
    processor = load_processor(untrained)
    assert type(processor.image_processor).__name__ == "Qwen2VLImageProcessorPil"
    assert not hasattr(processor, "video_processor") and processor.tokenizer.padding_side == "left"
