"""The two scales of an ablation: what each takes for its base, its rows and questions, and how it trains and asks.

    pipeline = Pocket(args)       # a few million parameters, drawn rows, everything in this process
    pipeline = Published(args)    # the paper's models and files; each training is a command of its own, under --launch

`args` is the command line of training.ablate. Both follow the recipes in training/recipes/ and call the same pipeline.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tinyrs.config import ROOT
from tinyrs.strictjson import BadData
from training.ablations import TABLES, change
from training.cells import Cell, digest, say, short
from training.recipe import BadRecipe, GrpoRecipe, Recipe, load

RECIPES = {
    "pocket": {
        "P": "pocket_1_pretrain",
        "S": "pocket_2_sft",
        "C": "pocket_3_cot_sft",
        "R": "pocket_4_grpo",
    },
    "2b": {"P": "1_pretrain", "S": "2_sft", "C": "3_cot_sft", "R": "4_grpo"},
}
BALANCED = "SC"
"""The stages whose tasks the paper balances."""
FILES = {
    "P": "list_pretrain_corrected.json",
    "S": "VHM-Instruct.json",
    "C": "VHM-Instruct-Think.json",
    "R": "VHM-RL.json",
}
"""What the stages of scale 2b learn from, in --data: VHM's captions, and what `python -m training.splits` writes."""
ROWS = {"P": 640, "S": 4800, "C": 2400, "R": 320}
BASES = ("0_place", "0_eyes")
"""Where `python -m training.pocket` leaves a base that sees but has not been taught to answer."""


class Pipeline:
    """What one scale does in its own way: the base, the rows of a cell, how it is trained and asked."""

    def __init__(self, args: argparse.Namespace):
        self.args = args

    def recipe(self, cell: Cell) -> Recipe:
        """The recipe of the last step of `cell`."""
        return load(ROOT / "training" / "recipes" / f"{self.recipe_file(cell)}.yaml", **self.overrides(cell))

    def recipe_file(self, cell: Cell) -> str:
        return RECIPES[self.args.scale][change(cell.steps[-1])[0]]

    def steps(self, cell: Cell) -> int | None:
        """How many steps the last step of `cell` trains; None where only its file could tell."""
        steps = self.recipe(cell).max_steps
        return steps if steps > 0 else None

    def overrides(self, cell: Cell) -> dict:
        """What is laid over the recipe's file; the later the stronger."""
        letter, changed = change(cell.steps[-1])
        values: dict = {"seed": cell.seed}
        if letter in BALANCED:
            values["balance"] = True
        if (steps := self.args.steps.get(letter)) is not None:
            values["max_steps"] = steps
        return values | self.args.set.get(letter, {}) | changed


class Pocket(Pipeline):
    """A few million parameters, pictures in memory, everything in this process."""

    def base_name(self) -> str:
        if self.args.base:
            return self.args.base
        for name in BASES:
            if (ROOT / "runs" / "pocket" / name / "tinyrs.json").is_file():
                return str(ROOT / "runs" / "pocket" / name)
        raise BadRecipe(
            "There is no base to train from: name one with --base, make one of the shipped pair with python -m "
            "training.untaught, or run python -m training.pocket."
        )

    def prepare(self) -> None:
        """Read the pictures; write the questions."""
        from training.pocket import pictures
        from training.pocket.pool import pictures_digest, split, write_benchmarks

        args = self.args
        if args.data is not None and not args.data.is_dir():
            raise BadData(f"There is no folder {args.data}.")
        train, kept = pictures.load(args.data)
        train += pictures.drawn(range(args.drawn))
        kept += pictures.drawn(range(10**6, 10**6 + max(10, args.drawn // 10)))
        self.taught, self.rewarded = split(train)
        name = short([pictures_digest(kept), args.questions])
        self.files = write_benchmarks(kept, args.out / "benchmarks" / name, args.questions)
        self.asked = [name, args.max_new_tokens]
        say(
            f"pictures: {len(self.taught):,} for P, S and C, {len(self.rewarded):,} for R, {len(kept):,} kept out "
            f"for {args.questions} questions of each kind"
        )

    def rows(self, cell: Cell):
        from training.pocket import pool
        from training.pocket.mixtures import MIXTURES

        letter, _ = change(cell.steps[-1])
        shares = {"P": MIXTURES["1_pretrain"], "R": pool.REWARDED}.get(letter, pool.TASKS_AS_THEY_COME)
        known = self.rewarded if letter == "R" else self.taught
        thinking = self.recipe(cell).thinking
        return pool.Pool(
            known, shares, self.count(letter), thinking=thinking, seed=cell.seed, asked=letter == "R"
        )

    def count(self, letter: str) -> int:
        return self.args.rows.get(letter, ROWS[letter])

    def steps(self, cell: Cell) -> int | None:
        recipe, count = self.recipe(cell), self.count(change(cell.steps[-1])[0])
        epochs = math.ceil(recipe.num_train_epochs * max(1, count // recipe.batch_size))
        return recipe.max_steps if recipe.max_steps > 0 else epochs

    def data_key(self, cell: Cell) -> str:
        return self.rows(cell).identity

    def train(self, cell: Cell, base: Path | str, folder: Path, held) -> None:
        from training import grpo, sft

        recipe = self.recipe(cell)
        run = grpo.run if isinstance(recipe, GrpoRecipe) else sft.run
        with contextlib.redirect_stdout(sys.stderr):
            run(recipe, self.rows(cell), model=base, output=folder, quiet=True)

    def ask(self, model: str, out: Path, held) -> None:
        from tinyrs.engine import close_engines
        from training import evaluate

        try:
            for path, kind in self.files.items():
                asked = ["--model", model, "--data", str(path), "--kind", kind, "--out", str(out / path.stem)]
                with contextlib.redirect_stdout(sys.stderr):
                    status = evaluate.main([*asked, "--batch", str(self.args.batch), *answer_flags(self.args)])
                if status:
                    raise BadData(f"{model} was not measured on {path.stem}.")
        finally:
            close_engines()

    def setting(self) -> dict[str, str]:
        rows = ", ".join(f"{letter} {self.count(letter):,}" for letter in ROWS)
        of = f"{self.args.data.name} and {self.args.drawn:,}" if self.args.data else f"{self.args.drawn:,}"
        return {
            "scale": "pocket, a few million parameters; neither models, data nor benchmarks of the paper",
            "rows": f"{rows}, from {of} drawn pictures",
            "questions": f"{self.args.questions} of each kind about kept-out pictures; Gen. Know. is scenes in "
            "the form of LHRS-Bench, which no stage has shown",
        }


class Published(Pipeline):
    """The paper's models and files; every stage is a command of its own, under --launch.

    A data file counts by its content, the pictures that it names by their names alone: there are a million.
    """

    def base_name(self) -> str:
        return self.args.base or "qwen2-vl-2b"

    def prepare(self) -> None:
        args = self.args
        for name, folder in (("data", args.data), ("benchmarks", args.benchmarks)):
            if folder is None or not folder.is_dir():
                raise BadData(f"--scale 2b needs --{name}, a folder" + (f": there is no {folder}." if folder else "."))
        needed = {change(step)[0] for table in args.table for row in TABLES[table].rows for step in row.steps}
        missing = [FILES[letter] for letter in sorted(needed) if not (args.data / FILES[letter]).is_file()]
        if missing:
            raise BadData(f"{args.data} has no {', '.join(missing)}: see python -m training.splits --help.")
        from training import suite

        here, away = suite.find(args.benchmarks)
        if not here:
            raise BadData(suite.missing_sentence(args.benchmarks, away))
        self.digests = {letter: digest(args.data / FILES[letter]) for letter in needed}
        self.asked = [[digest(path) for path in here.values()], args.max_new_tokens, args.questions]

    def data_key(self, cell: Cell) -> str:
        return self.digests[change(cell.steps[-1])[0]]

    def train(self, cell: Cell, base: Path | str, folder: Path, held) -> None:
        letter, _ = change(cell.steps[-1])
        module = "training.grpo" if letter == "R" else "training.sft"
        config = ROOT / "training" / "recipes" / f"{self.recipe_file(cell)}.yaml"
        flags = {"config": config, "model": base, "data": self.args.data / FILES[letter], "output_dir": folder}
        values = flags | self.overrides(cell)
        self._run([module, *(f"--{name}={value}" for name, value in values.items())], held)

    def ask(self, model: str, out: Path, held) -> None:
        asked = ["--model", model, "--suite", "paper", "--data-root", str(self.args.benchmarks)]
        limit = ["--limit", str(self.args.questions)] if self.args.questions else []
        asked += ["--out", str(out), "--batch", str(self.args.batch), *limit, *answer_flags(self.args)]
        self._run(["training.evaluate", *asked], held)

    def _run(self, words: Sequence[str], held) -> None:
        # The child holds the lock of its cell too: it may outlive this process.
        launch = shlex.split(self.args.launch) if self.args.launch else [sys.executable]
        done = subprocess.run([*launch, "-m", *words], pass_fds=[held.fileno()])
        if done.returncode:
            raise BadRecipe(f"{words[0]} ended with status {done.returncode}; the same command goes on from here.")

    def setting(self) -> dict[str, str]:
        some = f", {self.args.questions} rows of each" if self.args.questions else ""
        return {"scale": "2b, the paper's recipes", "questions": f"the paper's benchmarks{some}"}


def answer_flags(args: argparse.Namespace) -> list[str]:
    """What evaluations are told of the longest answer."""
    return ["--max_new_tokens", str(args.max_new_tokens)] if args.max_new_tokens else []
