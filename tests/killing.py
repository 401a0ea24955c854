"""Training commands that are killed in the middle, and what goes on after them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tinyrs.config import ROOT


def command(module: str, config: str, model: Path, data: Path, out: Path, **settings) -> list[str]:
    """`python -m training.<module>` with `settings` laid over the recipe in `config`."""
    head = [sys.executable, "-m", f"training.{module}", "--config", config, "--model", str(model)]
    flags = [f"--{name}={value}" for name, value in settings.items()]
    return [*head, "--data", str(data), "--output_dir", str(out), *flags]


def finish(command: Sequence[str]) -> str:
    """Run to the end, which must be a good one; what it said on stderr."""
    done = subprocess.run(command, cwd=ROOT, env=_one_thread(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def kill_after(command: Sequence[str], out: Path, step: int, within: float = 120) -> None:
    """Run until the checkpoint of `step` lies in `out`, then kill -9; the run is not at its end by then."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=ROOT, env=_one_thread(), **quiet)
    mark = out / f"checkpoint-{step}" / "trainer_state.json"
    deadline = time.monotonic() + within
    while not mark.exists():
        assert process.poll() is None and time.monotonic() < deadline, "it ended, or saved nothing"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "tinyrs.json").exists()


def _one_thread() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}
