"""Where the files of a local model lie: a folder of this machine, or the hub's cache."""

from __future__ import annotations

from pathlib import Path

from tinyrs.engine import EngineUnavailable, failure
from tinyrs.models import SHIPPED, ModelSpec


def folder_of(spec: ModelSpec) -> Path:
    """The folder with the weights of `spec`, fetched from the hub if need be. Raises `EngineUnavailable`."""
    folder = Path(spec.source)
    if not folder.is_dir() and spec.name not in SHIPPED:
        folder = _fetch(spec)
    if any(folder.glob("*.safetensors")):
        return folder
    if spec.name in SHIPPED:
        raise EngineUnavailable(
            f"The weights of {spec.name} are not in {folder}; python -m training.pocket builds them."
        )
    if any(folder.glob("*.bin")):
        raise EngineUnavailable(f"The weights of {spec.name} are not safetensors, and nothing else is read.")
    raise EngineUnavailable(f"There are no weights (*.safetensors) in {folder}.")


def _fetch(spec: ModelSpec) -> Path:
    from huggingface_hub import snapshot_download

    error = None
    try:
        # No code and no pickles: they are not even downloaded.
        wanted = ["*.json", "*.safetensors", "*.txt", "*.jinja", "*.model"]
        return Path(snapshot_download(spec.source, revision=spec.revision, allow_patterns=wanted))
    except Exception as e:
        error = failure(
            f"{spec.name} is not on this machine, and {spec.source} could not be fetched from the hub.",
            e,
            EngineUnavailable,
        )
    raise error
