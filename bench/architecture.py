"""The 2B model of the paper in its true sizes, with random weights: as slow and as large as the real one, and no download.

    with checkpoint() as folder:                 # any name of a model: engines open it, `convert` converts it
        open_engine(str(folder))

It has the pocket pair's tokenizer, of which it knows the words at the start of its own 151,936.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tinyrs.models import DECLARATION, resolve

TEXT = {
    "hidden_size": 1536,
    "intermediate_size": 8960,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "vocab_size": 151_936,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0, "mrope_section": [16, 24, 24]},
}
VISION = {"embed_dim": 1280, "num_heads": 16, "mlp_ratio": 4, "hidden_size": 1536, "patch_size": 14}


@contextmanager
def checkpoint(layers: int = 28, depth: int = 32, pixels: int = 448 * 448) -> Iterator[Path]:
    """A folder with `layers` layers of text and `depth` of vision, in bfloat16, which sees pictures of `pixels`."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    pocket = Path(resolve("pocket").source)
    with tempfile.TemporaryDirectory(prefix="tinyrs-") as place:
        folder = Path(place) / "random-2b"
        folder.mkdir()
        for path in pocket.glob("*"):
            if path.suffix in (".json", ".jinja") and path.name not in ("config.json", DECLARATION):
                shutil.copyfile(path, folder / path.name)
        told = {"dialect": "tinyrs", "min_pixels": 28 * 28, "max_pixels": pixels, "max_new_tokens": 64}
        (folder / DECLARATION).write_text(json.dumps(told))
        config = AutoConfig.from_pretrained(pocket, local_files_only=True).to_dict()
        config["text_config"] |= TEXT | {"num_hidden_layers": layers, "layer_types": ["full_attention"] * layers}
        config["vision_config"] |= VISION | {"depth": depth}
        torch.manual_seed(0)
        config = AutoConfig.for_model(config.pop("model_type"), **config)
        AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
        yield folder
