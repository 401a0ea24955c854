"""What every test stands on: no network, no key, paths in a temporary folder, one small untrained model."""

from __future__ import annotations

import os

# Before the libraries are imported: they read these once.
os.environ.update(
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    GRADIO_ANALYTICS_ENABLED="False",
    TOKENIZERS_PARALLELISM="false",
    TINYRS_MCP="1",  # so that app.py lets Gradio import mcp; each test is without it again
)
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
import signal
import sys
from pathlib import Path

import pytest
from PIL import Image

from tinyrs import engine

# A shell makes what it starts in the background deaf to Ctrl-C, and the processes that tests start would be, too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_world(tmp_path, monkeypatch):
    """Nothing that a test does is seen by another, or outside."""
    for name in list(os.environ):
        if name.startswith("TINYRS_") or name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HF_TOKEN"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TINYRS_DATA", str(tmp_path / "data"))
    yield
    if "tests.pages" in sys.modules:
        sys.modules["tests.pages"].close_pages()
    engine.close_engines()


@pytest.fixture(scope="session")
def untrained(tmp_path_factory) -> Path:
    """A pocket checkpoint with random weights. Do not write into it: `checkpoint` is a copy."""
    from training.pocket.model import save_untrained

    folder = tmp_path_factory.mktemp("untrained")
    save_untrained(folder)
    return folder


@pytest.fixture
def checkpoint(untrained, tmp_path) -> Path:
    """A copy of `untrained` that a test may change."""
    return Path(shutil.copytree(untrained, tmp_path / "checkpoint"))


@pytest.fixture(scope="module")
def _chromium():
    from dev.served import chromium

    with chromium() as started:
        yield started


@pytest.fixture
def browser(_chromium):
    """A real Chromium."""
    return _chromium


@pytest.fixture
def picture() -> Image.Image:
    """A drawn picture of 160 x 120 pixels: something bright in one corner of something dark."""
    image = Image.new("RGB", (160, 120), (40, 80, 60))
    image.paste((220, 220, 210), (10, 10, 60, 50))
    return image


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A function that puts files into the hub's cache as a download would: hub("owner/name", {"file": text}).

    Contents are text, or paths of files to copy. Returns the commit.
    """
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))

    def put(repository: str, files: dict[str, str | Path]) -> str:
        commit = "0123456789abcdef0123456789abcdef01234567"
        folder = cache / f"models--{repository.replace('/', '--')}"
        snapshot = folder / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(commit)
        for name, content in files.items():
            if isinstance(content, Path):
                shutil.copy(content, snapshot / name)
            else:
                (snapshot / name).write_text(content)
        return commit

    return put
