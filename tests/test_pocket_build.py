"""`python -m training.pocket` from nothing to a pair, every step in small, on drawn pictures alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.serving import until
from tinyrs.config import ROOT
from tinyrs.engine import Options, open_engine
from tinyrs.example import Question, Task
from training.pocket.model import MAX_PIXELS
from training.pocket.scenes import draw

SMALL = (
    "--drawn=24 --teacher_minutes=0.02 --detector_minutes=0.02 --eyes_minutes=0.02 --views=16 --place_steps=3 --again_steps=3 --more_steps=3 "
    "--pretrain_rows=16 --sft_rows=16 --cot_rows=16 --reward_rows=8"
).split()


def build(work, out, *more):
    return subprocess.run(
        [sys.executable, "-m", "training.pocket", *SMALL, f"--work={work}", f"--out={out}", *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


@pytest.mark.train
def test_all_stages_from_nothing_and_a_second_call_repeats_none(tmp_path):
    import torch
    from PIL import Image
    from safetensors.torch import load_file

    work, out = tmp_path / "work", tmp_path / "pair"
    first = build(work, out)
    assert first.returncode == 0, first.stderr[-3000:]
    assert json.loads(first.stdout) == {"out": str(out)}
    steps = [
        "0_eyes",
        "0_place",
        "0_start",
        "1_pretrain",
        "2_again",
        "2_mean",
        "2_more",
        "2_sft",
        "3_cot_sft",
        "4_grpo",
    ]
    assert sorted(path.name for path in work.iterdir() if (path / "tinyrs.json").exists()) == steps
    for name, thinking in (("tinyrs", False), ("tinyrs-r1", True)):
        told = json.loads((out / name / "tinyrs.json").read_text())
        seen = json.loads((out / name / "preprocessor_config.json").read_text())["size"]
        assert told["thinking"] is thinking
        assert told["max_pixels"] == seen["longest_edge"] == MAX_PIXELS
        engine = open_engine(str(out / name))
        asked = (Image.fromarray(draw(5).pixels), Question("Is there a ship?", Task.VQA))
        assert engine.batch([asked], Options(max_new_tokens=4))[0].tokens > 0

    again, mean, more = (load_file(work / f"2_{name}" / "model.safetensors") for name in ("again", "mean", "more"))
    assert all(torch.allclose(mean[key], (again[key] + more[key]) / 2, atol=1e-6) for key in mean)
    assert not list(work.glob("*.state"))  # nothing is unfinished

    made = {path: path.stat().st_mtime_ns for path in work.rglob("model.safetensors")}
    again = build(work, out)
    assert again.returncode == 0, again.stderr[-3000:]
    assert {path: path.stat().st_mtime_ns for path in work.rglob("model.safetensors")} == made


@pytest.mark.train
def test_a_finished_model_is_gone_on_from(tmp_path, checkpoint):
    from safetensors.torch import load_file

    work, out = tmp_path / "work", tmp_path / "pair"
    made = build(work, out, f"--onward={checkpoint}", "--eyes_minutes=0.1", "--reward_rows=0")
    assert made.returncode == 0, made.stderr[-3000:]
    done = sorted(path.name for path in work.iterdir() if (path / "tinyrs.json").exists())
    assert done == ["2_eyes_again", "2_more", "3_cot_sft"]
    before, after = (load_file(folder / "model.safetensors") for folder in (checkpoint, work / "2_eyes_again"))
    changed = {key for key in before if not before[key].equal(after[key])}
    assert changed and all(key.startswith("visual.") for key in changed)
    assert json.loads((out / "tinyrs-r1" / "tinyrs.json").read_text())["thinking"] is True
    assert re.search(r"^align: -?\d+\.\d\d of the variance", made.stderr, re.M)


@pytest.mark.train
def test_a_build_that_is_killed_goes_on_within_its_step(tmp_path):
    often = "from training.pocket import __main__, practice; practice.KEEP = 0; raise SystemExit(__main__.main())"
    asked = [*SMALL, "--place_steps=500", f"--work={tmp_path / 'work'}", f"--out={tmp_path / 'pair'}"]
    state = tmp_path / "work" / "0_place.state"
    with (tmp_path / "log").open("w") as log:
        first = subprocess.Popen([sys.executable, "-c", often, *asked], cwd=ROOT, stderr=log)
        until(lambda: state.exists() or first.poll() is not None, 240)
        first.kill()
        first.wait()
    assert state.exists(), (tmp_path / "log").read_text()[-3000:]
    second = subprocess.Popen(
        [sys.executable, "-m", "training.pocket", *asked], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    try:
        told = next(line for line in second.stderr if "goes on" in line or line.startswith(("eyes:", "place:")))
    finally:
        second.kill()
        second.communicate()
    assert re.fullmatch(r"place: goes on after [1-9]\d* steps\n", told)


def test_what_is_no_model_is_one_sentence(tmp_path):
    refused = build(tmp_path / "work", tmp_path / "pair", f"--onward={tmp_path}")
    assert refused.returncode == 2
    assert refused.stderr.strip() == f"{tmp_path} is no finished model: it has no tinyrs.json."
    assert not (tmp_path / "work").exists()


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    refused = build(tmp_path / "work", tmp_path / "pair", f"--data={tmp_path / 'nowhere'}")
    assert refused.returncode == 2
    assert refused.stderr.strip() == f"There is no folder {tmp_path / 'nowhere'}."
    assert not (tmp_path / "work").exists()
