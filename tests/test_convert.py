"""Converting: what comes out computes what transformers computes with the same weights, and says what it is."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.openvino_parts import converted, seen_logits, with_whole_numbers
from tinyrs.__main__ import main
from tinyrs.convert import CannotConvert, convert
from tinyrs.engine import EngineUnavailable, open_engine
from tinyrs.example import Question, Task
from tinyrs.graphs import GROUP, quantized
from tinyrs.local import LocalEngine
from tinyrs.models import resolve, weights_digest
from tinyrs.openvino import ROUNDED, OpenVINOEngine

WHERE = Question("Identify the location of the dock.", Task.GROUNDING)

__all__ = ["converted"]  # a fixture


@pytest.mark.parametrize(
    "row",
    [
        [-1.0, 0.0, 2.0],
        [0.5, 1.0, 1.5],  # all on one side of zero
        [-3.0, -2.0, -1.0],
        [0.0, 0.0, 0.0],  # nothing in it
        [1e-30, -1e-30, 0.0],
        [1e4, 1e-4, -1e-4],
    ],
)
def test_a_weight_is_as_near_as_its_scale_allows_and_zero_stays_zero(row):
    weight = np.array([row], np.float32)
    whole, scale, zero = quantized(weight)
    back = (whole.astype(np.float32) - zero) * scale
    assert whole.dtype == zero.dtype == np.uint8 and whole.shape == weight.shape and scale.shape == (1, 1)
    assert np.all(np.abs(back - weight) <= 1.01 * scale / 2)
    assert np.all(back[weight == 0] == 0)


def test_each_row_has_a_scale_of_its_own():
    weight = np.random.default_rng(0).normal(size=(8, 50)).astype(np.float32) * np.logspace(-4, 4, 8)[:, None]
    whole, scale, zero = quantized(weight.astype(np.float32))
    error = np.abs((whole.astype(np.float32) - zero) * scale - weight)
    assert np.all(error.max(1) <= np.ptp(weight, 1) / 255)


@pytest.mark.parametrize("length", [GROUP, 3 * GROUP, GROUP + 1, 5])
def test_of_four_bits_each_group_has_a_scale_of_its_own_and_odd_rows_are_one_group(length):
    weight = np.random.default_rng(1).normal(size=(6, length)).astype(np.float32) * np.logspace(-3, 3, length)
    whole, scale, zero = quantized(weight.astype(np.float32), 4)
    groups = weight.reshape(whole.shape)
    assert whole.max() <= 15 and whole.shape[1] == max(1, length // GROUP if length % GROUP == 0 else 1)
    assert np.all(np.abs((whole.astype(np.float32) - zero) * scale - groups) <= 1.01 * scale / 2)
    assert np.all(scale <= 1.01 * np.ptp(np.append(groups, np.zeros_like(scale), -1), -1)[..., None] / 15)


@pytest.mark.parametrize("bits", [8, 4])
def test_the_graphs_are_the_model(bits, converted, untrained, picture, tmp_path):
    """Against transformers with the same rounded weights: what is left is the order of additions."""
    if bits == 4:
        converted = convert(str(untrained), tmp_path / "int4", "openvino-int4")
        assert resolve(str(converted)).about.endswith("Weights of 4 bits, run by OpenVINO.")
    local = LocalEngine(resolve(str(untrained)))
    plain = local.model(**local.inputs.of([(picture, WHERE)], local.spec)).logits[0, -1].detach().numpy()
    with_whole_numbers(local.model, bits)
    with torch.inference_mode():
        right = local.model(**local.inputs.of([(picture, WHERE)], local.spec)).logits[0, -1].numpy()
    found = seen_logits(OpenVINOEngine(resolve(str(converted))), picture, WHERE)
    assert np.abs(found - right).max() < 1e-4 * right.std()
    assert np.abs(plain - right).max() > 1e-3 * right.std()  # and the rounding is not nothing


def test_both_layouts_of_keys_give_the_same_graphs(converted, checkpoint, tmp_path):
    from safetensors.torch import load_file, save_file

    tensors = load_file(checkpoint / "model.safetensors")
    assert "model.norm.weight" in tensors and "visual.merger.ln_q.weight" in tensors  # the hub's
    tensors = {f"model.{name.replace('model.', 'language_model.')}": tensor for name, tensor in tensors.items()}
    save_file(tensors, checkpoint / "model.safetensors", {"format": "pt"})
    out = convert(str(checkpoint), tmp_path / "int8")
    assert parts(out) == parts(converted)


def parts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "openvino").glob("*") if path.suffix != ".xml"}


def test_a_converted_model_says_what_it_is(converted, untrained):
    spec, whole = resolve(str(converted)), resolve(str(untrained))
    assert spec.kind == "openvino" and whole.kind == "local" and "8 bits" in spec.about
    for name in ("dialect", "thinking", "box_scale", "min_pixels", "max_pixels", "max_new_tokens"):
        assert getattr(spec, name) == getattr(whole, name)
    assert not spec.measured  # what was measured was another model
    assert isinstance(open_engine(str(converted)), OpenVINOEngine)
    assert not list(converted.glob("*.safetensors*"))


def test_what_is_computed_is_rounded_by_size_and_as_told(converted, monkeypatch):
    def group() -> int:
        language = OpenVINOEngine(resolve(str(converted))).model._language
        return language.get_compiled_model().get_property("DYNAMIC_QUANTIZATION_GROUP_SIZE")

    assert group() == 0  # a small model
    monkeypatch.setenv("TINYRS_OPENVINO_ROUNDED", "64")
    assert group() == 64
    monkeypatch.delenv("TINYRS_OPENVINO_ROUNDED")
    monkeypatch.setattr("tinyrs.openvino.SMALL", 0)
    assert group() == ROUNDED


def test_two_converted_models_are_told_apart_by_their_weights(converted, tmp_path):
    other = Path(shutil.copytree(converted, tmp_path / "other"))
    assert weights_digest(other) == weights_digest(converted)
    words = np.load(other / "openvino" / "embeddings.npy")
    np.save(other / "openvino" / "embeddings.npy", words * 2)
    assert weights_digest(other) != weights_digest(converted)


def test_the_command_prints_the_folder_and_refuses_in_one_sentence(untrained, tmp_path, capsys):
    out = tmp_path / "deep" / "int8"
    asked = ["convert", "--to", "openvino-int8", str(untrained), "--out"]
    assert main([*asked, str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n" and (out / "openvino" / "language.xml").is_file()
    (tmp_path / "file").write_text("")
    for target, words in ((out, "there already"), (tmp_path / "file", "there already"), (tmp_path / "file" / "x", "cannot be")):
        assert main([*asked, str(target)]) == 2
        told = capsys.readouterr().err
        assert words in told and told.count("\n") == 1
    assert main(["convert", "--to", "openvino-int8", "geochat", "--out", str(tmp_path / "no")]) == 2
    assert "no weights here" in capsys.readouterr().err
    assert main(["convert", "--to", "openvino-int8", str(out), "--out", str(tmp_path / "no")]) == 2  # once is enough
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "deep", "file"] or not (tmp_path / "no").exists()


def test_what_cannot_be_converted_leaves_nothing_behind(checkpoint, tmp_path):
    told = json.loads((checkpoint / "config.json").read_text())
    for change, words in (
        ({"model_type": "llama"}, "Only Qwen2-VL"),
        ({"text_config": told["text_config"] | {"hidden_act": "relu"}}, "not known"),
        ({"text_config": told["text_config"] | {"num_hidden_layers": 6, "layer_types": ["full_attention"] * 6}}, "no tensor called"),
        ({"text_config": told["text_config"] | {"hidden_size": 128}}, "do not fit"),
    ):
        (checkpoint / "config.json").write_text(json.dumps(told | change))
        with pytest.raises(CannotConvert, match=words):
            convert(str(checkpoint), tmp_path / "out")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("out")]


def test_without_openvino_one_sentence_says_what_to_install(converted, untrained, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    for attempt in (lambda: open_engine(str(converted)), lambda: convert(str(untrained), tmp_path / "out")):
        with pytest.raises(EngineUnavailable, match="pip install -r requirements-openvino.txt"):
            attempt()


def test_a_folder_without_its_graphs_is_one_sentence(converted, tmp_path):
    broken = Path(shutil.copytree(converted, tmp_path / "broken"))
    (broken / "openvino" / "language.xml").write_text("<net/>")
    with pytest.raises(EngineUnavailable, match="could not be loaded; the log says why"):
        open_engine(str(broken))
    (broken / "openvino" / "language.xml").unlink()
    with pytest.raises(EngineUnavailable, match="no converted model"):
        open_engine(str(broken))
