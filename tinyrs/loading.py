"""A checkpoint's model and processor, as transformers loads them, put right for one picture and a question.

    model, processor = load_model(folder, "cpu"), load_processor(folder)
"""

from __future__ import annotations

import inspect
import logging
import threading
from pathlib import Path

import torch
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.utils import logging as transformers_logging

from tinyrs.engine import EngineUnavailable

log = logging.getLogger("tinyrs")

SMALL = 2**30
"""Weights of fewer bytes than this are computed in float32 everywhere: small models are fast as it is."""

_loading = threading.Lock()
"""Held while transformers loads a model: for that time it swaps PreTrainedModel.tie_weights and torch's default dtype,
for the whole process. Two loads at once can leave the swap in place, and every later model without its lm_head."""


def load_model(folder: Path, device: str = "cpu"):
    """The model in `folder`, ready to answer, in the type that suits `device` (see `dtype_for`).

    Raises `EngineUnavailable` where weights are missing: transformers would make some up.
    """
    with _loading:
        shown = transformers_logging.is_progress_bar_enabled()
        transformers_logging.disable_progress_bar()
        try:
            model, info = AutoModelForImageTextToText.from_pretrained(
                folder,
                dtype=dtype_for(folder, device),
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
        finally:
            if shown:
                transformers_logging.enable_progress_bar()
    if wrong := sorted(str(key) for kind in ("missing_keys", "mismatched_keys") for key in info[kind]):
        log.error("%s: weights missing or of another shape: %s", folder, ", ".join(wrong))
        raise EngineUnavailable(f"The weights in {folder} do not fit their config.json; the log names them.")
    _patches_at_once(model)
    return model.to(device).eval()


class _Product(torch.nn.Module):
    """A convolution whose windows lie side by side, as the product of matrices that it is: on a processor, torch takes
    several times as long for the convolution."""

    def __init__(self, convolution: torch.nn.Conv3d) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(windows.flatten(1), self.weight.flatten(1), self.bias)


def _patches_at_once(model) -> None:
    """Have the Qwen family's models cut pictures into patches by `_Product`."""
    patches = getattr(getattr(model.base_model, "visual", None), "patch_embed", None)
    convolution = getattr(patches, "proj", None)
    if isinstance(convolution, torch.nn.Conv3d) and convolution.kernel_size == convolution.stride:
        patches.proj = _Product(convolution)


def dtype_for(folder: Path, device: str) -> torch.dtype:
    """float32 for small models, and for CPUs that cannot multiply bfloat16; else bfloat16."""
    if sum(path.stat().st_size for path in folder.glob("*.safetensors")) < SMALL:
        return torch.float32
    if device == "cpu":
        capable = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return torch.bfloat16 if capable else torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def load_processor(folder: Path):
    """The processor of the checkpoint in `folder`: its tokenizer, chat template and picture processor.

    transformers refuses the processors of the Qwen family and its relatives where torchvision is missing,
    because of their video processor, which pictures do not need: such a processor is taken without it. Its
    pictures are resized by Pillow, torchvision or not, so that a model sees the same pixels on every machine.
    """
    known = dict(trust_remote_code=False, local_files_only=True)
    config = AutoConfig.from_pretrained(folder, **known)
    kind = PROCESSOR_MAPPING.get(type(config), None)
    if kind is not None and list(inspect.signature(kind.__init__).parameters)[1:4] == _WITH_VIDEO:
        processor = _without_video(kind).from_pretrained(folder, **known)
        processor.image_processor = AutoImageProcessor.from_pretrained(folder, backend="pil", **known)
    else:
        processor = AutoProcessor.from_pretrained(folder, **known)
    processor.tokenizer.padding_side = "left"
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return processor


_WITH_VIDEO = ["image_processor", "tokenizer", "video_processor"]


def _without_video(kind: type) -> type:
    """The processor class `kind` without a video processor: `__init__` says to transformers what to load."""

    class PictureProcessor(kind):
        def __init__(self, image_processor=None, tokenizer=None, chat_template=None, **kwargs):
            super().__init__(image_processor, tokenizer, chat_template=chat_template, **kwargs)

    return PictureProcessor
