"""A converted model, and what its numbers are held against."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tinyrs.convert import convert
from tinyrs.engine import Options
from tinyrs.graphs import quantized
from tinyrs.openvino import _Writing
from tinyrs.tokens import Row


@pytest.fixture(scope="session")
def converted(untrained, tmp_path_factory) -> Path:
    """`untrained`, converted. Do not write into it."""
    return convert(str(untrained), tmp_path_factory.mktemp("converted") / "int8")


def seen_logits(engine, picture, question) -> np.ndarray:
    """The logits of the first word that `engine` (an `OpenVINOEngine`) writes."""
    row = Row(engine.processor.tokenizer, engine.spec, Options(), engine._ends, 0.0)
    seen, questions = engine._read([(picture, question)], [row], engine.spec)
    return _Writing(engine.model, seen, [ids.numpy() for ids in questions], engine._pad).read()[0]


def with_whole_numbers(model, bits: int) -> None:
    """Give a Qwen2-VL of transformers the weights that one has whose language model has `bits`, in float32."""
    words = model.model.language_model.embed_tokens
    head = torch.nn.Linear(*words.weight.T.shape, bias=False)
    head.weight.data = _rounded(model.lm_head.weight, 8)
    model.lm_head = head
    words.weight.data = words.weight.data.half().float()
    patches = model.model.visual.patch_embed.proj
    for name, layer in model.model.named_modules():
        if isinstance(layer, torch.nn.Linear) or layer is patches:
            layer.weight.data = _rounded(layer.weight, bits if name.startswith("language_model.") else 8)


def _rounded(weight: torch.Tensor, bits: int) -> torch.Tensor:
    whole, scale, zero = quantized(weight.detach().float().reshape(len(weight), -1).numpy(), bits)
    return torch.from_numpy(((whole.astype(np.float32) - zero) * scale).reshape(weight.shape))
