"""The folder that a run starts from and the one that it becomes: weights, processor, tinyrs.json."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from tinyrs.models import MODELS, SHIPPED, resolve, weights_digest
from tinyrs.whole import write_whole
from training.command import first
from training.recipe import BadRecipe, Recipe

EXPORTS = "exports.json"
"""The file beside a checkpoint that names the exports it learnt from; annotate/lineage.py reads it."""

PROCESSOR_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "processor_config.json",
)
"""What a processor is made of on disk. Copied from the base, so that what loaded it loads the result."""


def base_folder(model: str | Path) -> Path:
    """The folder of a checkpoint: a folder, a name of the model table, or the local copy of a hub id."""
    name = str(model)
    if name not in MODELS and Path(model).is_dir():  # in a checkout `tinyrs` is also a folder: of code
        return _whole(Path(model))
    if "/" in name and "?" not in name and "://" not in name:
        name += "?dialect=tinyrs"  # a base is trained, not asked, so it need not declare its dialect
    spec = resolve(name)
    if spec.kind != "local":
        raise BadRecipe(f"{model} is behind a server; training needs its weights.")
    if spec.name in SHIPPED:
        return _whole(Path(spec.source))
    from huggingface_hub import snapshot_download

    wanted = ["*.json", "*.txt", "*.jinja", "*.safetensors"]
    try:
        return Path(snapshot_download(spec.source, revision=spec.revision, allow_patterns=wanted))
    except Exception as error:
        raise BadRecipe(
            f"{model} is not on this machine, and the hub did not give it ({error!r:.200})."
        ) from None


def _whole(folder: Path) -> Path:
    if not (folder / "config.json").is_file():
        raise BadRecipe(f"{folder} holds no checkpoint: there is no config.json.")
    return folder


def declared(base: Path) -> dict:
    """What lies beside the checkpoint `base` in tinyrs.json; {} if nothing does."""
    return _json(base / "tinyrs.json")


def _json(path: Path) -> dict:
    """The object in `path`; {} if there is no such file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise BadRecipe(f"{path} cannot be read as a JSON object.")
    return found


def _write(path: Path, values: dict) -> None:
    write_whole(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def pixel_budget(base: Path, recipe: Recipe) -> tuple[int, int]:
    """(min_pixels, max_pixels): the recipe's, else those declared beside the base, else its processor's."""
    # transformers 5 writes one file for all parts of a processor; before, the pictures had their own.
    whole = _json(base / "processor_config.json").get("image_processor") or {}
    config = _json(base / "preprocessor_config.json") or whole
    size = config.get("size") or {}
    told = declared(base) | {
        name: value for name in ("min_pixels", "max_pixels") if (value := getattr(recipe, name))
    }
    smallest = told.get("min_pixels") or config.get("min_pixels") or size.get("shortest_edge")
    largest = told.get("max_pixels") or config.get("max_pixels") or size.get("longest_edge")
    if not smallest or not largest:
        raise BadRecipe(f"{base} declares no pixel limits: set min_pixels and max_pixels.")
    return int(smallest), int(largest)


def save_processor_files(base: Path, folder: Path, pixels: tuple[int, int]) -> None:
    """Copy the processor of `base` into `folder`, with the pixel budget that was trained on."""
    for name in (*PROCESSOR_FILES, "generation_config.json"):
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)
    size = {"shortest_edge": pixels[0], "longest_edge": pixels[1]}
    whole = _json(folder / "processor_config.json")
    if "image_processor" in whole:
        whole["image_processor"] = _sized(whole["image_processor"], size)
        _write(folder / "processor_config.json", whole)
    config = _json(folder / "preprocessor_config.json")
    if not config:
        return
    _write(folder / "preprocessor_config.json", _sized(config, size))
    video = folder / "video_preprocessor_config.json"
    if not video.is_file() and config.get("image_processor_type", "").startswith("Qwen2VL"):
        shared = ("patch_size", "temporal_patch_size", "merge_size", "image_mean", "image_std")
        kept = {key: config[key] for key in shared if key in config}
        kind = {"video_processor_type": "Qwen2VLVideoProcessor", "processor_class": "Qwen2VLProcessor"}
        _write(video, {**kept, **kind, "size": size})


def save_like(model, other: Path, folder: Path, most_pixels: int | None = None) -> None:
    """Save `model` into `folder` with the processor files of the checkpoint `other`, and another pixel budget when
    `most_pixels` is given; its declaration comes last."""
    told = declared(other)
    told["max_pixels"] = most_pixels or told["max_pixels"]
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    save_processor_files(other, folder, (told["min_pixels"], told["max_pixels"]))
    if (other / EXPORTS).is_file():  # whose corrections it learnt from
        shutil.copyfile(other / EXPORTS, folder / EXPORTS)
    _write(folder / "tinyrs.json", told)


def _sized(config: dict, size: dict) -> dict:
    # The hub's Qwen2-VL files name the limits twice; one truth is enough.
    return {key: value for key, value in config.items() if key not in ("min_pixels", "max_pixels")} | {
        "size": size
    }


def _manifests(recipe: Recipe) -> list[str]:
    """The sha256 of the manifest beside each of the recipe's data sets that has one."""
    folders = [path if path.is_dir() else path.parent for path in map(Path, filter(None, (recipe.data, recipe.corrections)))]
    files = [folder / "manifest.json" for folder in folders]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()]


def declare(base: Path, folder: Path, recipe: Recipe, pixels: tuple[int, int]) -> None:
    """Write tinyrs.json into `folder`: last, so that its existence means that the checkpoint is whole."""
    from tinyrs.example import Question
    from tinyrs.prompt import dialect_of, messages

    first = messages(Question(""), recipe.dialect, recipe.thinking)[0]
    told = declared(base)
    budget = told.get("max_new_tokens") if told.get("thinking", False) == recipe.thinking else None
    told |= {
        "dialect": recipe.dialect,
        "thinking": recipe.thinking,
        "box_scale": int(dialect_of(recipe.dialect).box_scale),
        "min_pixels": pixels[0],
        "max_pixels": pixels[1],
        "max_new_tokens": recipe.max_new_tokens or budget or 1024,
        "system": first["content"][0]["text"] if first["role"] == "system" else None,
        "about": recipe.about or told.get("about", ""),
        # Numbers that were measured on the base say nothing about what it has become.
        "measured": {},
    }
    # Of the stages before this one, too: python -m annotate lineage goes back from here to who wrote what.
    known = dict.fromkeys([*_json(base / EXPORTS).get("exports", []), *_manifests(recipe)])
    _write(folder / EXPORTS, {"exports": list(known)})
    _write(folder / "tinyrs.json", told)


def open_processor(base: Path, pixels: tuple[int, int]):
    """The processor in `base`, with a pixel budget of `pixels`."""
    from tinyrs.loading import load_processor

    if not any((base / name).is_file() for name in ("tokenizer.json", "vocab.json", "tokenizer.model")):
        # transformers would make an empty one up
        raise BadRecipe(f"The processor in {base} cannot be loaded: it has no tokenizer.")
    try:
        processor = load_processor(base)
    except (OSError, ValueError) as error:
        raise BadRecipe(f"The processor in {base} cannot be loaded: {_first_line(error)}") from None
    set_pixels(processor, pixels)
    return processor


def open_network(base: Path, attn_implementation: str = "sdpa"):
    """The model in `base`, in float32, from safetensors and without code of its own."""
    import torch
    from transformers import AutoModelForImageTextToText

    try:
        network, info = AutoModelForImageTextToText.from_pretrained(
            base,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            attn_implementation=attn_implementation,
            output_loading_info=True,
        )
    except (OSError, ValueError, ImportError) as error:
        raise BadRecipe(f"The weights in {base} cannot be loaded: {_first_line(error)}") from None
    if info["missing_keys"] or info["mismatched_keys"]:
        # transformers would go on with random numbers in their place.
        raise BadRecipe(
            f"The weights in {base} do not fit its config.json: some are missing or of another shape."
        )
    return network


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def set_pixels(processor, pixels: tuple[int, int]) -> None:
    """Give `processor` the pixel budget (smallest area, largest area) of a picture."""
    processor.image_processor.size = {"shortest_edge": pixels[0], "longest_edge": pixels[1]}


def skeleton(base: Path):
    """The model in `base` without weights: names and shapes cost nothing."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(base))


def resumable(output: Path, recipe: Recipe, rows: Sequence[dict], base: Path) -> Path | None:
    """The newest whole checkpoint in `output` to go on from; refuses to mix two runs in one folder.

    Of several processes only the first writes.
    """
    if (output / "tinyrs.json").exists():
        raise BadRecipe(f"{output} already holds a finished checkpoint: give another output_dir.")
    same = {
        "recipe": recipe.trajectory(),
        "rows": [len(rows), getattr(rows, "identity", "")],
        "base": weights_digest(base),
    }
    note = output / "run.json"
    whole = {}
    for folder in output.glob("checkpoint-*"):
        try:
            json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))  # written last
            whole[int(folder.name.rpartition("-")[2])] = folder
        except (OSError, ValueError):
            if first():
                shutil.rmtree(folder, ignore_errors=True)
    if whole and not recipe.resume:
        raise BadRecipe(f"{output} holds checkpoints of an earlier run, and resume is off: empty it first.")
    if whole and not _continues(note, recipe, same):
        raise BadRecipe(f"{output} holds checkpoints of another recipe, base or data: empty it first.")
    try:
        output.mkdir(parents=True, exist_ok=True)
        if first():
            _write(note, same)
    except OSError as error:
        raise BadRecipe(f"{output} cannot be written: {error.strerror}.") from None
    return whole[max(whole)] if whole else None


def _continues(note: Path, recipe: Recipe, same: dict) -> bool:
    told = _json(note)
    recipe_then = told.pop("recipe", None)
    rest = {name: value for name, value in same.items() if name != "recipe"}
    return told == rest and isinstance(recipe_then, dict) and recipe.continues(recipe_then)


def with_weights(network, path: Path):
    """`network`, any torch module, with the weights of the safetensors file `path`, ready to be asked."""
    from safetensors.torch import load_file

    network.load_state_dict(load_file(path))
    return network.eval()
