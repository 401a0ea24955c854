"""The docs are true: every command in the README runs, every option is documented, every number is the measured one."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from annotate.store import Store
from dev import docs
from tests.store_parts import add_caption, head

README = (docs.ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S)
LINES = [line.partition("#")[0].strip() for block in BLOCKS for line in block.splitlines()]
PYTHON = [line for line in LINES if line.startswith("python -m ")]


def test_the_readme_opens_with_the_two_commands():
    assert [line for line in LINES if line][:2] == ["make demo", "make test"]


def test_every_line_of_a_shell_block_is_one_that_a_test_runs():
    assert set(filter(None, LINES)) == {"make demo", "make test", *PYTHON}


def test_the_measured_table_is_what_lies_beside_the_checkpoints():
    assert docs.measured() in README


@pytest.mark.slow
def test_every_option_of_every_command_is_documented():
    written = (docs.ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    for command in docs.COMMANDS:
        section = written.partition(f"## python -m {command}\n")[2].partition("\n## ")[0]
        assert section, f"docs/commands.md has no section on {command}"
        options = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", docs.help_of(command)))
        missing = {option for option in options if option not in section}
        assert not missing, f"docs/commands.md does not know {missing} of {command}"


def test_every_setting_of_the_environment_is_in_the_readme():
    read = set()
    for path in (docs.ROOT / "app.py", *(p for part in ("tinyrs", "annotate", "screens") for p in docs.ROOT.glob(f"{part}/*.py"))):
        read |= set(re.findall(r"\bTINYRS_[A-Z_]+\b", path.read_text(encoding="utf-8")))
    missing = {name for name in read if f"`{name}`" not in README}
    assert not missing


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder that looks like a clone, so that what the commands write does not land in this one."""
    for name in ("app.py", "screens", "tinyrs", "annotate", "training", "bench", "dev", "assets", "docs"):
        (tmp_path / name).symlink_to(docs.ROOT / name)
    return tmp_path


def accept_one_caption(path: Path) -> None:
    """What two people do on the page before the README's export: one corrects a caption, the other accepts it."""
    store = Store(path)
    caption = add_caption(store)
    better = "I look for a bright roof. There is one at the upper left."
    revision = store.save_correction(
        head(store, caption), reasoning=better, answer="[[78,104,468,520]]", author="ann"
    )
    store.add_review(revision, "accept", author="bob")


def evaluation_file(folder: Path) -> None:
    """Four drawn scenes in the published evaluation layout, by the name that the README uses."""
    from PIL import Image

    from training.pocket.scenes import draw

    rows = []
    (folder / "cls_AID").mkdir()
    for seed in range(4):
        scene = draw(seed)
        Image.fromarray(scene.pixels).save(folder / "cls_AID" / f"{seed}.png")
        asked = (
            "<image>\n{CLS} Classify the image within one of the given classes: airport, port, "
            + scene.label
            + "."
        )
        rows.append(
            {
                "image": f"{seed}.png",
                "conversations": [{"from": "human", "value": asked}, {"from": "gpt", "value": scene.label}],
            }
        )
    (folder / "cls_AID.json").write_text(json.dumps(rows))


@pytest.mark.slow
def test_every_command_of_the_readme_runs_in_the_order_that_it_is_told(workplace, tmp_path):
    world = {**os.environ, "TINYRS_DATA": str(tmp_path / "data")}
    accept_one_caption(tmp_path / "data" / "tinyrs.db")
    evaluation_file(workplace)
    for line in PYTHON:
        done = subprocess.run(
            [sys.executable, *shlex.split(line)[1:]], cwd=workplace, env=world, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
    assert json.loads((workplace / "runs/aid/scores.json").read_text())["n"] == 4
    assert (workplace / "runs/smoke/tinyrs.json").exists()
