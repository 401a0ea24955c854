"""The app as a process of its own, and a Chromium to look at it: for benchmarks, screenshots and browser tests.

Needs what requirements-dev.txt installs and a chromium on the PATH (or its path in CHROMIUM).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tinyrs.config import ROOT

ARGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


@contextlib.contextmanager
def chromium() -> Iterator:
    """A playwright Browser that asks no host by itself."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), "/usr/bin/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGS)
        try:
            yield browser
        finally:
            browser.close()


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def the_app(data: Path, seconds: float = 120, cwd: Path = ROOT, env: dict | None = None) -> Iterator[str]:
    """`python app.py` of the folder `cwd` on a free port with its store in `data`; its address once it answers, without
    a slash. `env`: its environment instead of this process's.

    RuntimeError where it ended or did not answer within `seconds`.
    """
    with app_process(data, cwd, env) as (process, answers):
        _wait_for(process, answers, seconds)
        yield answers.url


@contextlib.contextmanager
def app_process(
    data: Path, cwd: Path = ROOT, env: dict | None = None
) -> Iterator[tuple[subprocess.Popen, Answers]]:
    """`python app.py` on a free port with its store in `data`, and whether its page answers."""
    answers = Answers(f"http://127.0.0.1:{(port := free_port())}")
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port)],
        cwd=cwd,
        env=(os.environ if env is None else env) | {"TINYRS_DATA": str(data), "GRADIO_ANALYTICS_ENABLED": "False"},
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process, answers
    finally:
        process.terminate()
        process.wait(30)


class Answers:
    """Whether there is a page at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self) -> bool:
        try:
            with urllib.request.urlopen(self.url, timeout=5):
                return True
        except OSError:
            return False


def _wait_for(process: subprocess.Popen, answers: Answers, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"app.py ended with {process.returncode}")
        if answers():
            return
        time.sleep(0.05)
    raise RuntimeError(f"app.py did not answer within {seconds:.0f} s")
