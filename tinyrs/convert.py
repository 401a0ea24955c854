"""A checkpoint as OpenVINO graphs with weights of 8 or of 4 bits: less memory, and words sooner on a CPU.

    pip install -r requirements-openvino.txt
    python -m tinyrs convert --to openvino-int8 tinyrs-r1 --out runs/tinyrs-r1-int8
    python -m tinyrs ask PICTURE "QUESTION" --model runs/tinyrs-r1-int8

The graphs (tinyrs/graphs.py) are built from the tensors of the checkpoint, one at a time: no torch model is loaded and
nothing is traced, so that any transformers will do and the memory is that of the result. tinyrs/openvino.py runs them.
Only the architecture of Qwen2-VL is known, in any size and in either layout of keys.
"""

from __future__ import annotations

import errno
import json
import shutil
import uuid
from functools import partial
from pathlib import Path

import numpy as np

from tinyrs.engine import EngineUnavailable
from tinyrs.graphs import ACTIVATIONS, language, vision
from tinyrs.models import DECLARATION, KINDS_OF_VALUE, ModelSpec, resolve
from tinyrs.weights import folder_of

TARGETS = {"openvino-int8": 8, "openvino-int4": 4}
"""What `convert` can make of a checkpoint, and the bits of the language model's weights. The tower's always have 8: it
is bound by its multiplications, so fewer would cost answers and gain nothing."""

PARTS = "openvino"
"""The folder beside config.json with vision.xml, language.xml, their weights (.bin), and embeddings.npy."""

COPIED = ("*.json", "*.jinja", "*.txt", "*.model")
"""What else a model needs: its configuration and its tokenizer."""


class CannotConvert(ValueError):
    """A model that cannot be converted, or a place where nothing can be written; str(e) is one sentence."""


def convert(model: str, out: Path, to: str = "openvino-int8") -> Path:
    """Write `model` (a name of the table, a folder, a hub id) as a new folder `out` that is itself a model's name.

    The folder appears at the end, whole. Raises `CannotConvert`, `UnknownModel` or `EngineUnavailable`.
    """
    runtime()
    if to not in TARGETS:
        raise CannotConvert(f"Nothing is known of {to!r}; there is {', '.join(TARGETS)}.")
    spec = resolve(model)
    if spec.kind != "local":
        raise CannotConvert(f"{spec.name} has no weights here that could be converted.")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise CannotConvert(f"{out} is there already: give another --out.")
    folder = folder_of(spec)
    config = shape_of(folder)
    beside = out.with_name(f"{out.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        _write(folder, config, beside, TARGETS[to])
        (beside / DECLARATION).write_text(json.dumps(declaration(spec, TARGETS[to]), indent=1, ensure_ascii=False) + "\n")
        if out.exists():
            out.rmdir()
        beside.rename(out)
    except KeyError as error:
        raise CannotConvert(f"The weights of {spec.name} have no tensor called {error}.") from None
    except OSError as error:
        raise CannotConvert(f"{out} cannot be written: {error.strerror}.") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return out


def _write(folder: Path, config, out: Path, bits: int) -> None:
    """The graphs of the checkpoint in `folder`, and what else it needs."""
    (out / PARTS).mkdir(parents=True)
    tensors = _Tensors(folder)
    for name, build in (("vision", vision), ("language", partial(language, bits=bits))):
        try:
            model = build(tensors, config)
        except (RuntimeError, ValueError):
            raise CannotConvert(f"The weights in {folder} do not fit their config.json.") from None
        try:
            runtime().save_model(model, out / PARTS / f"{name}.xml", compress_to_fp16=False)
        except RuntimeError:
            raise OSError(errno.EIO, "OpenVINO could not write the graph") from None
    # Only the rows of the words at hand are read: that they have 16 bits costs no time and no memory.
    np.save(out / PARTS / "embeddings.npy", tensors["embed_tokens.weight"].astype(np.float16))
    for path in (path for pattern in COPIED for path in folder.glob(pattern)):
        if path.name != DECLARATION and not path.name.endswith(".safetensors.index.json"):
            shutil.copyfile(path, out / path.name)


def declaration(spec: ModelSpec, bits: int) -> dict:
    """What tinyrs.json says of the converted model: all that the model's own says, but for what was measured of it."""
    told = {key: getattr(spec, key) for key in KINDS_OF_VALUE if key not in ("measured", "kind")}
    told["about"] = f"{spec.about} Weights of {bits} bits, run by OpenVINO.".strip()
    return {key: value for key, value in told.items() if value is not None} | {"kind": "openvino"}


def runtime():
    """The module `openvino`. Raises `EngineUnavailable`, which says how to get it."""
    try:
        import openvino
    except ImportError:
        raise EngineUnavailable(
            "OpenVINO is not installed here: pip install -r requirements-openvino.txt brings it."
        ) from None
    return openvino


def shape_of(folder: Path):
    """The config of the checkpoint in `folder`. Raises `CannotConvert` where it is no Qwen2-VL of the plain kind."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError):
        raise CannotConvert(f"The config.json in {folder} cannot be read.") from None
    if config.model_type != "qwen2_vl":
        raise CannotConvert(f"Only Qwen2-VL can be converted; {folder} holds a model of type {config.model_type}.")
    text, sizes = config.text_config, config.vision_config
    plain = all(kind == "full_attention" for kind in text.layer_types) and text.hidden_act == "silu"
    if not plain or sizes.hidden_act not in ACTIVATIONS:
        raise CannotConvert(f"The Qwen2-VL in {folder} has layers that are not known here.")
    return config


class _Tensors:
    """The tensors of a checkpoint by their shortest name, in float32, read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        from safetensors import safe_open

        # Through torch: numpy has no bfloat16.
        files = [safe_open(path, "pt") for path in sorted(folder.glob("*.safetensors"))]
        self._where = {_short(name): (file, name) for file in files for name in file.keys()}

    def __contains__(self, name: str) -> bool:
        return name in self._where

    def __getitem__(self, name: str) -> np.ndarray:
        file, full = self._where[name]
        return file.get_tensor(full).float().numpy()


def _short(name: str) -> str:
    """`name` without what the layouts differ in: the hub's old ones have `visual.` and `model.layers.`."""
    return name.removeprefix("model.").removeprefix("language_model.")
