"""Which two models the page opens with: those that were asked for, else what this machine can run, and why.

    choice = choose("tinyrs,tinyrs-r1")     # what --pair says; None leaves it to TINYRS_PAIR and the hardware
    print(choice.names, choice.why)

A GPU gets the paper's 2B pair, a CPU the pocket pair. Off a Space nothing is fetched that nobody asked for: there the 2B
pair is chosen only where its weights are on the disk already. Torch is not imported to find out.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from tinyrs.models import MODELS, SHIPPED

LARGE = ("tinyrs", "tinyrs-r1")
"""The paper's pair of 2B models."""

NEEDED = 12.0
"""Gigabytes of GPU memory for both 2B models in 16 bits (2 x 4.5) and what they compute with."""

ZERO_GIGABYTES = 70.0
"""What ZeroGPU lends by the call; it shows no GPU in between."""


class BadPair(ValueError):
    """A pair that is not two names; str(e) is one sentence."""


@dataclass(frozen=True)
class Pair:
    """Two names of tinyrs/models.py, and one sentence for whoever wants to know why these."""

    names: tuple[str, str]
    why: str


def choose(asked: str | None = None) -> Pair:
    """The pair to open with. Raises `BadPair`."""
    for text, where in ((asked, "--pair"), (os.environ.get("TINYRS_PAIR"), "TINYRS_PAIR")):
        if text and text.strip():
            names = tuple(name.strip() for name in text.split(","))
            if len(names) != 2 or not all(names):
                raise BadPair(f"{where} takes two names with a comma between them, such as pocket,pocket-r1.")
            return Pair(names, f"Chosen by whoever runs this page ({where}).")
    gigabytes = gpu_gigabytes()
    if gigabytes < NEEDED:
        seen = f"its GPU has only {gigabytes:.0f} GB" if gigabytes else "there is no GPU"
        return Pair(SHIPPED, f"The pocket pair, because {seen} here; the paper's 2B models need one.")
    lent = "ZeroGPU lends this Space a GPU" if on_zero_gpu() else f"there is a GPU with {gigabytes:.0f} GB here"
    if os.environ.get("SPACE_ID") or all(_fetched(name) for name in LARGE):
        return Pair(LARGE, f"The paper's 2B models, because {lent}.")
    return Pair(SHIPPED, f"The pocket pair, although {lent}: --pair {','.join(LARGE)} fetches 9 GB first.")


def on_zero_gpu() -> bool:
    """Whether this is a Space on ZeroGPU hardware."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def gpu_gigabytes() -> float:
    """Memory of the largest GPU that torch can use here, in 10^9 bytes; 0 without one."""
    if on_zero_gpu():
        return ZERO_GIGABYTES
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1") or _torch_for_cpus():
        return 0.0
    ask = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(ask, capture_output=True, text=True, timeout=20, check=True).stdout
        return max(float(line) for line in said.split()) * 2**20 / 1e9
    except (OSError, subprocess.SubprocessError, ValueError):
        return 0.0


def _torch_for_cpus() -> bool:
    try:
        return version("torch").endswith("+cpu")
    except PackageNotFoundError:
        return True


def _fetched(name: str) -> bool:
    """Whether the weights of a model of the table are in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache

    spec = MODELS[name]
    files = ("model.safetensors", "model.safetensors.index.json")
    return any(
        isinstance(try_to_load_from_cache(spec.source, file, revision=spec.revision), str) for file in files
    )
