"""Which pair the page opens with: who asked, what the machine has, and what is said about it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tinyrs import pairing
from tinyrs.config import ROOT
from tinyrs.models import MODELS, SHIPPED
from tinyrs.pairing import LARGE, BadPair, choose


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """machine(megabytes, torch=...): what nvidia-smi and torch's own record say here. At first there is no GPU."""
    for name in ("SPACE_ID", "SPACES_ZERO_GPU", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools) + os.pathsep + "/usr/bin" + os.pathsep + "/bin")

    def machine(said: str, torch: str = "2.13.0") -> None:
        script = tools / "nvidia-smi"
        script.write_text(f"#!/bin/sh\n{said}\n")
        script.chmod(0o755)
        monkeypatch.setattr(pairing, "version", lambda name: torch)

    machine("exit 9")
    return machine


def test_without_a_gpu_the_pocket_pair_answers_and_says_why():
    choice = choose()
    assert choice.names == SHIPPED and "no GPU" in choice.why


def test_who_asks_for_a_pair_gets_it(monkeypatch, machine):
    machine("echo 24564")
    monkeypatch.setenv("TINYRS_PAIR", "pocket, qwen2-vl-2b")
    assert choose().names == ("pocket", "qwen2-vl-2b") and "TINYRS_PAIR" in choose().why
    assert choose("tinyrs,tinyrs-cot").names == ("tinyrs", "tinyrs-cot") and "--pair" in choose("a,b").why


@pytest.mark.parametrize("text", ["pocket", "a,b,c", "a,", ","])
def test_a_pair_is_two_names(monkeypatch, text):
    with pytest.raises(BadPair, match="--pair takes two names"):
        choose(text)
    monkeypatch.setenv("TINYRS_PAIR", text)
    with pytest.raises(BadPair, match="TINYRS_PAIR takes two names"):
        choose()


@pytest.mark.parametrize(
    ("said", "torch", "visible", "names"),
    [
        ("echo 15360", "2.13.0", None, LARGE),  # a T4
        ("printf '4096\\n24564\\n'", "2.13.0", None, LARGE),  # two cards: the larger one counts
        ("echo 8192", "2.13.0", None, SHIPPED),  # too small for both
        ("echo 24564", "2.13.0+cpu", None, SHIPPED),  # this torch cannot use it
        ("echo 24564", "2.13.0", "", SHIPPED),  # hidden from this process
        ("echo 24564", "2.13.0", "-1", SHIPPED),
        ("echo '[N/A]'", "2.13.0", None, SHIPPED),
        ("exit 9", "2.13.0", None, SHIPPED),
    ],
)
def test_on_a_space_the_gpu_decides(monkeypatch, machine, said, torch, visible, names):
    machine(said, torch)
    monkeypatch.setenv("SPACE_ID", "ada/tinyrs")
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    choice = choose()
    assert choice.names == names and "GPU" in choice.why and choice.why.endswith(".")


def test_on_zero_gpu_no_card_is_seen_and_the_large_pair_answers(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "ada/tinyrs")
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert choose().names == LARGE and "ZeroGPU" in choose().why


def test_at_home_nothing_is_fetched_that_nobody_asked_for(machine, hub):
    machine("echo 24564")
    assert choose().names == SHIPPED and "--pair tinyrs,tinyrs-r1" in choose().why
    for name in LARGE:
        hub(MODELS[name].source, {"model.safetensors": "weights"})
    assert choose().names == LARGE


def test_choosing_imports_no_torch():
    code = "import sys; from tinyrs.pairing import choose; choose(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
