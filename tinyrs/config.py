"""Paths and limits, read once from the environment. Every variable starts with TINYRS_."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise SystemExit(f"{name} must be a whole number, not {text!r}.") from None


@dataclass(frozen=True)
class Config:
    """The limits of one process.

    data            folder for the database and the pictures beside it
    max_bytes       largest upload, bytes
    max_pixels      largest picture held in memory, pixels
    max_scene_bytes largest upload that the Scene tab reads by windows, bytes; where strangers meet, max_bytes
    scenes          folder of TIFFs that the Scene tab offers to every visitor; None offers none
    results         folder of what training.evaluate measured, for the Results tab; None shows what checkpoints say
    backup          where the record of annotations is kept beside the disk: a folder, or hf://user/name; "" nowhere
    backup_seconds  time between two savings to it
    overlap         people who judge each caption of the random sample in the Review tab
    queue_size      visitors who may wait for an answer
    threads         CPU threads of a local model; 0 goes by its size (tinyrs/local.py)
    rounded         values that OpenVINO rounds to 8 bits together while it computes; 0 rounds none, -1 goes by the
                    model's size (tinyrs/openvino.py)
    prefix_bytes    memory in which each local model keeps what it made of the last pictures; 0 keeps nothing
    batch_tokens    tokens, padding included, that a local model reads at once where it answers many questions
    pair            names of the two models the page opens with
    """

    data: Path = field(default_factory=lambda: Path(os.environ.get("TINYRS_DATA", ROOT / "data")))
    max_bytes: int = field(default_factory=lambda: _number("TINYRS_MAX_BYTES", 100 * 2**20))
    max_pixels: int = field(default_factory=lambda: _number("TINYRS_MAX_PIXELS", 40_000_000))
    max_scene_bytes: int = field(
        default_factory=lambda: _number("TINYRS_MAX_SCENE_BYTES", 0 if os.environ.get("SPACE_ID") else 2 * 2**30)
    )
    scenes: Path | None = field(
        default_factory=lambda: Path(os.environ["TINYRS_SCENES"]) if os.environ.get("TINYRS_SCENES") else None
    )
    results: Path | None = field(
        default_factory=lambda: Path(os.environ["TINYRS_RESULTS"]) if os.environ.get("TINYRS_RESULTS") else None
    )
    backup: str = field(default_factory=lambda: os.environ.get("TINYRS_BACKUP", "").strip())
    backup_seconds: int = field(default_factory=lambda: max(_number("TINYRS_BACKUP_SECONDS", 60), 1))
    overlap: int = field(default_factory=lambda: max(_number("TINYRS_OVERLAP", 1), 1))
    queue_size: int = field(default_factory=lambda: _number("TINYRS_QUEUE_SIZE", 20))
    threads: int = field(default_factory=lambda: _number("TINYRS_THREADS", 0))
    rounded: int = field(default_factory=lambda: _number("TINYRS_OPENVINO_ROUNDED", -1))
    prefix_bytes: int = field(default_factory=lambda: _number("TINYRS_PREFIX_BYTES", 256 * 2**20))
    batch_tokens: int = field(default_factory=lambda: _number("TINYRS_BATCH_TOKENS", 16_384))
    pair: tuple[str, str] = field(
        default_factory=lambda: tuple(os.environ.get("TINYRS_PAIR", "pocket,pocket-r1").split(","))[:2]
    )

    @property
    def max_upload(self) -> int:
        """Bytes of the largest file that the page takes at all; each tab then has a limit of its own."""
        return max(self.max_bytes, self.max_scene_bytes)

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.data / "tinyrs.db"
