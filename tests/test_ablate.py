"""The ablations for real, but tiny: a few steps on an untrained pocket model, drawn pictures, four questions."""

import functools
import json
import shutil
import subprocess
import sys

import pytest

from tests import benchmarks, killing
from tinyrs.config import ROOT
from training import ablate
from training.ablations import COLUMNS, TABLES
from training.asking import lock
from training.cells import Cell, Work, leaves, tree
from training.checkpoint import weights_digest
from training.pipelines import FILES, Pocket, Published
from training.pocket import pictures
from training.recipe import load

SMALL = ["--rows=8", "--steps=P=5,S=1,C=1,R=1", "--drawn=12", "--questions=2", "--max_new_tokens=3", "--set=max_pixels=12544"]
SMALL += ["--set=batch_size=2", "--set=per_device_batch_size=4", "--set=num_workers=0"]
SMALL += ["--set=warmup=0"]  # or the first step would have a rate of 0, and all weights be the base's
SMALL += ["--set=R:num_generations=2", "--set=R:max_completion_length=3", "--set=save_steps=1"]

FULL, COLD = Cell(("P", "S", "C", "R"), 0), Cell(("R",), 0)


@pytest.fixture(autouse=True)
def drawn_once(monkeypatch):
    """The same pictures for every run in this process: drawing them takes longer than learning from them."""
    monkeypatch.setattr(pictures, "drawn", _drawn)


@functools.lru_cache
def _drawn(seeds, draw=pictures.drawn):
    return draw(seeds)


def flags(base, out, tables, *more, seeds="0"):
    return [*(f"--table={each}" for each in tables), f"--base={base}", f"--out={out}", f"--seeds={seeds}", *SMALL, *more]


def table(out, number):
    return json.loads((out / f"table_{number}" / "table.json").read_text())


def cells(out):
    return {folder.name.rpartition("-")[0]: folder for folder in (out / "cells").iterdir() if folder.is_dir()}


def work(*args):
    made = ablate.arguments(args)
    return Work(made.out, {"pocket": Pocket, "2b": Published}[made.scale](made))


# ---- the tree


def test_a_beginning_that_rows_share_is_one_cell():
    found = tree((2,), (0,))
    assert len(found) == len(set(found)) == 8
    assert all(Cell(cell.steps[:-1], 0) in found[:at] for at, cell in enumerate(found) if len(cell.steps) > 1)
    assert len(tree((2, 3, 4), (0, 1, 2))) == 3 * 13
    assert len(leaves((2, 3, 4), (0, 1, 2))) == 3 * 11 + 1  # the base has no seed


@pytest.mark.parametrize(
    "step, recipe", [("R", "4_grpo_cold"), ("R binary", "4_grpo_binary"), ("R quantized", "4_grpo_quantized")]
)
def test_at_2b_the_rows_follow_the_papers_recipes(step, recipe):
    pipeline = work("--table=2", "--scale=2b").pipeline
    told = load(ROOT / "training" / "recipes" / f"{recipe}.yaml").trajectory()
    assert pipeline.recipe(Cell((step,), 0)).trajectory() == told


@pytest.mark.parametrize("scale", ["pocket", "2b"])
def test_s_and_c_are_balanced_unless_the_row_says_otherwise(scale):
    pipeline = work("--table=4", f"--scale={scale}").pipeline
    steps = ("P", "S", "S unbalanced", "C", "C unbalanced", "R")
    assert [pipeline.recipe(Cell((step,), 0)).balance for step in steps] == [False, True, False, True, False, False]


def test_settings_are_laid_over_the_stages_that_have_them():
    more = ["--set=learning_rate=0.5", "--set=R:num_generations=6", "--set=beta=0.25", "--steps=S=3,R=2"]
    pipeline = work("--table=2", *more).pipeline
    supervised, rewarded = pipeline.recipe(Cell(("S",), 4)), pipeline.recipe(Cell(("R",), 4))
    assert supervised.learning_rate == rewarded.learning_rate == 0.5
    assert (rewarded.num_generations, rewarded.beta, rewarded.max_steps, rewarded.seed) == (6, 0.25, 2, 4)
    assert supervised.max_steps == 3 and pipeline.recipe(Cell(("P",), 4)).max_steps == -1


def test_a_checkpoint_is_found_by_everything_that_decides_it(untrained, checkpoint, tmp_path):
    def folder(*more, base=untrained, cell=FULL):
        made = work(*flags(base, tmp_path / "out", (2,), *more))
        made.prepare()
        return made.folder(cell).name

    usual = folder()
    assert folder() == usual
    others = ["--steps=P=2", "--rows=9", "--drawn=13", "--set=P:weight_decay=0.5", "--set=R:temperature=0.5"]
    found = {folder(more) for more in others} | {folder(cell=Cell(FULL.steps, 1))}
    (checkpoint / "model.safetensors").write_bytes(b"other weights")
    found.add(folder(base=checkpoint))
    assert len(found) == len(others) + 2 and usual not in found
    # What only changes how it is watched or asked is no other training.
    assert folder("--set=logging_steps=1", "--set=save_steps=5", "--questions=3") == usual


# ---- a whole table


@pytest.fixture(scope="module")
def trained(untrained, tmp_path_factory):
    """Table 2 with one seed."""
    out = tmp_path_factory.mktemp("ablate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "drawn", _drawn)
        assert ablate.main(flags(untrained, out, (2,))) == 0
    return out


@pytest.fixture
def copied(trained, tmp_path):
    """The same work in a folder of its own."""
    return shutil.copytree(trained, tmp_path / "out")


@pytest.mark.train
def test_every_row_is_trained_from_the_row_before_and_measured(trained, untrained):
    told, found = table(trained, 2), cells(trained)
    assert set(found) == {cell.name for cell in tree((2,), (0,))}
    for name, folder in found.items():
        run, about = (json.loads((folder / file).read_text()) for file in ("run.json", "cell.json"))
        parent = found.get("+".join(about["steps"][:-1]) + "-seed0", untrained)
        assert run["base"] == weights_digest(parent), name
        assert about["seed"] == run["recipe"]["seed"] == 0 and about["versions"]["trl"]
        assert not list(folder.glob("checkpoint-*"))
    supervised = [weights_digest(folder) for name, folder in found.items() if "R" not in name]
    assert len({*supervised, weights_digest(untrained)}) == 6, "a step that taught nothing"
    assert [row["row"] for row in told["rows"]] == [row.name for row in TABLES[2].rows]
    for row in told["rows"]:
        assert all(row["ours"][column]["n"] == 2 for column in COLUMNS.values())
        assert row["by_seed"]["0"].keys() == set(COLUMNS.values())
    assert told["seeds"] == [0] and len(told["cells"]) == 8 and told["chance"]["Gen. Know."] == 0.25
    assert sum(told["counts"].values()) == 4 * len(TABLES[2].pairs) and told["counts"]["not measured"] == 0
    page = (trained / "table_2" / "table.md").read_text()
    assert "R (cold)" in page and "batch_size=2" in page and "84.7" in page


@pytest.mark.train
def test_models_that_reason_are_asked_to(trained):
    thinking = {}
    for run in (trained / "answers").glob("*/scenes/run.json"):
        thinking[run.parents[1].name.split("-")[0]] = json.loads(run.read_text())["thinking"]
    assert thinking.pop("base") is False
    assert thinking == {name: name[-1] in "CR" for name in thinking} and len(thinking) == 7


@pytest.mark.train
def test_the_same_command_again_makes_nothing_again(copied, untrained, capsys):
    def state():
        return {path: path.stat().st_mtime_ns for path in copied.rglob("*") if path.parent.parent.name == "cells"}

    before, told = state(), table(copied, 2)
    assert ablate.main(flags(untrained, copied, (2,))) == 0
    assert "trained 0, found 8, asked 0" in capsys.readouterr().err
    assert state() == before and table(copied, 2) == told


@pytest.mark.train
def test_other_tables_and_seeds_take_what_is_there(copied, untrained, capsys):
    assert ablate.main(flags(untrained, copied, (3, 4))) == 0
    # Two rewards; S unbalanced, C unbalanced and its R. The last C is no row.
    assert "trained 5, found 4, asked 4" in capsys.readouterr().err
    first = table(copied, 2)["rows"][0]
    assert table(copied, 3)["rows"][0]["by_seed"] == table(copied, 4)["rows"][2]["by_seed"] == first["by_seed"]
    found = cells(copied)
    assert weights_digest(found["P+S-seed0"]) != weights_digest(found["P+S.unbalanced-seed0"])
    # A short run has shown how long things take.
    assert ablate.main(flags(untrained, copied, (3,), "--dry-run", seeds="0,1,2")) == 0
    told = capsys.readouterr().out
    assert "18 trainings (6 for each of 3 seeds) and 9 evaluations" in told and "minutes, as measured" in told
    assert "No pace" not in told


@pytest.mark.train
@pytest.mark.slow
def test_killed_and_started_again_it_ends_as_if_it_had_not_been(trained, untrained, tmp_path, capsys):
    args = flags(untrained, tmp_path / "out", (3,))
    begun = work(*args)
    begun.prepare()
    killing.kill_after([sys.executable, "-m", "training.ablate", *args], begun.folder(Cell(("P",), 0)), 2)
    capsys.readouterr()
    assert ablate.main(args) == 0
    assert "trained 6, found 0, asked 3" in capsys.readouterr().err
    ours, theirs = cells(tmp_path / "out"), cells(trained)
    for name in ("P-seed0", "P+S-seed0", "P+S+C-seed0", "P+S+C+R-seed0"):
        assert ours[name].name == theirs[name].name
        assert weights_digest(ours[name]) == weights_digest(theirs[name])
    first, there = table(tmp_path / "out", 3)["rows"][0], table(trained, 2)["rows"][0]
    assert all(first[part] == there[part] for part in ("steps", "ours", "by_seed", "paper"))
    # The killed one's time is no pace.
    assert json.loads((ours["P-seed0"] / "cell.json").read_text())["seconds"] is None


@pytest.mark.train
def test_a_cell_that_another_process_makes_is_left_alone(copied, untrained, capsys):
    folder = cells(copied)["R-seed0"]
    (folder / "cell.json").unlink()
    with open(folder.with_name(f"{folder.name}.lock"), "w") as held:
        assert lock(held)
        assert ablate.main(flags(untrained, copied, (2,))) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("Another process is at work in ") and folder.name in said


# ---- 2b: every stage a command of its own


@pytest.mark.train
@pytest.mark.slow
def test_at_2b_stages_and_benchmarks_are_the_commands_of_the_pipeline(untrained, tmp_path):
    rows = [benchmarks.turns(benchmarks.CLASSES, ["port", "beach"][number % 2]) for number in range(4)]
    data = tmp_path / "data"
    for file in FILES.values():
        benchmarks.write_benchmark(data, [dict(row) for row in rows], file.removesuffix(".json"))
    benchmarks.write_benchmark(tmp_path / "bench", [dict(row) for row in rows], "cls_AID")
    args = ["--table=2", "--scale=2b", f"--base={untrained}", f"--data={data}", f"--benchmarks={tmp_path / 'bench'}"]
    args += [f"--out={tmp_path / 'out'}", "--steps=1", "--questions=2", "--max_new_tokens=3"]
    args += [f"--launch=env OMP_NUM_THREADS=1 {sys.executable}", "--set=bf16=false", "--set=num_workers=0"]
    args += ["--set=warmup=0", "--set=batch_size=2", "--set=R:max_completion_length=3", "--set=max_pixels=12544"]
    args += [f"--set={letter}:image_dir={data / FILES[letter][:-5]}" for letter in FILES]
    made = work(*args)
    made.prepare()
    for cell in (Cell(("P",), 3), Cell(("P", "R"), 3)):
        made.train(cell, "1/2")
    first, second = (json.loads((made.folder(cell) / "run.json").read_text()) for cell in (Cell(("P",), 3), cell))
    assert (first["recipe"]["stage"], first["recipe"]["seed"]) == ("pretrain", 3)
    assert second["recipe"]["reward"] == "continuous" and second["base"] == weights_digest(made.folder(Cell(("P",), 3)))
    told = made.measure(cell)
    assert list(told) == ["classification"] and told["classification"]["n"] == 2
    # Other data is another training.
    (data / FILES["R"]).write_text(json.dumps([rows[0] | {"image": "0.png"}] * 2))
    again = work(*args)
    again.prepare()
    assert again.folder(cell) != made.folder(cell) and again.folder(Cell(("P",), 3)) == made.folder(Cell(("P",), 3))


def test_a_stage_that_fails_says_so_and_leaves_no_finished_cell(untrained, tmp_path, capsys):
    (tmp_path / "bench").mkdir()
    for file in FILES.values():
        (tmp_path / file).write_text("[]")
    (tmp_path / "bench" / "cls_AID.json").write_text("[]")
    args = ["--table=2", "--scale=2b", f"--base={untrained}", f"--data={tmp_path}", "--launch=false"]
    assert ablate.main([*args, f"--benchmarks={tmp_path / 'bench'}", f"--out={tmp_path / 'out'}"]) == 2
    assert "training.sft ended with status 1" in capsys.readouterr().err
    assert not list((tmp_path / "out" / "cells").glob("*/cell.json"))


# ---- the command line


def test_a_dry_run_shows_the_tree_and_makes_nothing(tmp_path, capsys):
    out = tmp_path / "out"
    assert ablate.main(["--table=2", "--table=3", "--table=4", "--dry-run", f"--out={out}"]) == 0
    told = capsys.readouterr().out
    assert "39 trainings (13 for each of 3 seeds) and 34 evaluations" in told
    assert "without sharing it would be 120 trainings" in told and "No pace is known of C, " in told
    assert "the warm-up is as long: P (50 steps)." in told  # 640 rows are 40 steps
    assert not out.exists()


@pytest.mark.parametrize(
    "more, words",
    [
        (["--base=nowhere"], "No model is called 'nowhere'"),
        (["--data=nowhere"], "There is no folder nowhere."),
        (["--drawn=1"], "pictures carries such questions"),
        (["--set=learning_rate=fast"], "learning_rate must be float"),
        (["--scale=2b", "--data=nowhere"], "--scale 2b needs --data, a folder: there is no nowhere."),
        (["--scale=2b", "--data=."], "--scale 2b needs --benchmarks, a folder."),
        (["--scale=2b", "--data=.", "--benchmarks=."], "has no VHM-Instruct-Think.json, list_pretrain"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(untrained, tmp_path, capsys, more, words):
    args = ["--table=2", f"--base={untrained}", f"--out={tmp_path / 'out'}", "--drawn=12", "--questions=2"]
    assert ablate.main([*args, *more]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert words in said[-1] and not any("Traceback" in line for line in said)
    assert not list((tmp_path / "out").glob("cells/*"))


@pytest.mark.parametrize(
    "more",
    [
        ["--table=5"],
        ["--steps=Q=3"],
        ["--rows=0"],
        ["--seeds=one"],
        ["--set=seed=3"],
        ["--set=R:learning_rat=3"],
        ["--set=P:num_generations=3"],
        ["--scale=2b", "--rows=4"],
        ["--launch=x"],
    ],
)
def test_flags_that_make_no_sense_are_refused_at_once(more, capsys):
    with pytest.raises(SystemExit) as stopped:
        ablate.main(["--table=2", *more])
    assert stopped.value.code == 2 and "error:" in capsys.readouterr().err


def test_without_a_base_it_says_where_one_comes_from(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("training.pipelines.ROOT", tmp_path)
    monkeypatch.setattr("training.pipelines.load", lambda path, **values: load(ROOT / path.relative_to(tmp_path), **values))
    assert ablate.main(["--table=3", f"--out={tmp_path / 'out'}"]) == 2
    assert "There is no base to train from: name one with --base" in capsys.readouterr().err


def test_help_needs_no_torch():
    code = "import sys, training.ablate as a\ntry: a.main(['--help'])\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
