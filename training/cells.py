"""The cells of an ablation: trained beginnings of rows, each made once and found again by what decides it.

    work = Work(out, pipeline); work.prepare()
    work.train(Cell(("P", "S"), seed=0), "1/3"); work.measure(Cell(("P", "S"), seed=0))

A cell's folder is named by a checksum over the base and, for each step so far, the recipe, the rows and the seed. Its
cell.json is written last. What scale it is, `training.pipelines` knows.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tinyrs.strictjson import BadData
from tinyrs.whole import write_whole
from training.ablations import TABLES
from training.checkpoint import base_folder, declared, weights_digest
from training.recipe import Recipe

if TYPE_CHECKING:
    from training.pipelines import Pipeline

CELL, SECONDS, STEPS = "cell.json", "seconds", "trained_steps"


def say(line: str) -> None:
    """Progress goes to standard error."""
    print(line, file=sys.stderr, flush=True)


# ---- the tree of stages


@dataclass(frozen=True)
class Cell:
    """One trained beginning of a row: the steps so far, and the seed. Without steps it is the base."""

    steps: tuple[str, ...]
    seed: int

    @property
    def name(self) -> str:
        """P+S.unbalanced-seed0; base."""
        if not self.steps:
            return "base"
        return "+".join(step.replace(" ", ".") for step in self.steps) + f"-seed{self.seed}"


def tree(tables: Sequence[int], seeds: Sequence[int]) -> list[Cell]:
    """Every cell that the rows of `tables` need, each once, parents first, one seed after the other."""
    cells: dict[Cell, None] = {}
    for seed in seeds:
        for table in tables:
            for row in TABLES[table].rows:
                for end in range(1, len(row.steps) + 1):
                    cells[Cell(row.steps[:end], seed)] = None
    return list(cells)


def parents(cell: Cell) -> list[Cell]:
    """The cells that `cell` goes through, itself last; the base is none of them."""
    return [Cell(cell.steps[:end], cell.seed) for end in range(1, len(cell.steps) + 1)]


def leaves(tables: Sequence[int], seeds: Sequence[int]) -> list[Cell]:
    """The cells that are rows, each once; the base has no seed of its own."""
    found = {
        Cell(row.steps, seed if row.steps else 0): None
        for seed in seeds
        for table in tables
        for row in TABLES[table].rows
    }
    return list(found)


class Work:
    """The folder of all cells and answers. What is there is not made again."""

    def __init__(self, out: Path, pipeline: Pipeline):
        self.out, self.pipeline = out, pipeline
        self.trained = self.found = self.answered = 0

    def prepare(self) -> None:
        """Everything that the keys depend on."""
        name = self.pipeline.base_name()
        self.base_name = name
        path = name.partition("?")[0]
        self.base = base_folder(path if Path(path).is_dir() else name)
        self.base_key = [weights_digest(self.base), declared(self.base)]
        self.pipeline.prepare()
        self._decided: dict[Cell, dict] = {}

    def decides(self, cell: Cell) -> dict:
        """Everything that decides the last step of `cell`."""
        if cell not in self._decided:
            self._decided[cell] = {
                "recipe": spoken(self.pipeline.recipe(cell)),
                "rows": self.pipeline.data_key(cell),
            }
        return self._decided[cell]

    def folder(self, cell: Cell) -> Path:
        """Where the checkpoint of `cell` lies; the base lies where it is."""
        if not cell.steps:
            return self.base
        steps = [self.decides(each) for each in parents(cell)]
        return self.out / "cells" / f"{cell.name}-{short([self.base_key, steps])}"

    def train(self, cell: Cell, number: str) -> None:
        """Train `cell` unless it is there; its parent is."""
        folder = self.folder(cell)
        if whole(folder):
            self.found += 1
            return say(f"[{number}] {cell.name}: there")
        base = self.folder(Cell(cell.steps[:-1], cell.seed))
        say(f"[{number}] {cell.name}: training")
        folder.mkdir(parents=True, exist_ok=True)
        about = {"steps": list(cell.steps), "seed": cell.seed, "base": self.base_name, **self.decides(cell)}
        about["versions"] = versions()
        with only_here(folder) as held:
            started = time.monotonic()
            begun = (folder / "tinyrs.json").is_file() or any(folder.glob("checkpoint-*"))
            if not (folder / "tinyrs.json").is_file():
                self.pipeline.train(cell, base, folder, held)
            # The rest of a run that was killed says nothing about how long a whole one takes.
            about[SECONDS] = None if begun else round(time.monotonic() - started, 2)
            about[STEPS] = self.pipeline.steps(cell) or last_step(folder / "log.jsonl")
            for old in folder.glob("checkpoint-*"):
                shutil.rmtree(old)  # only a run that goes on needs them
            write_whole(folder / CELL, json.dumps(about, indent=1) + "\n")
        self.trained += 1
        say(f"[{number}] {cell.name}: trained" + (f" in {about[SECONDS]:,.0f} s" if about[SECONDS] else ""))

    def measure(self, cell: Cell) -> dict[str, dict]:
        """The averages of `cell` by capability (training.report), after asking what was not asked yet."""
        from training.report import averages, collect
        from training.report import build as report

        folder = self.folder(cell)
        cell_key = folder.name if cell.steps else f"base-{short(self.base_key)}"
        out = self.out / "answers" / f"{cell_key}-{short(self.pipeline.asked)}"
        if not (out / "done").is_file():
            out.mkdir(parents=True, exist_ok=True)
            say(f"{cell.name}: asking")
            with only_here(out) as held:
                self.pipeline.ask(str(folder) if cell.steps else self.base_name, out, held)
            (out / "done").touch()
            self.answered += 1
        return {row["capability"]: row for row in averages(report(collect([out]))["results"])}


def whole(folder: Path) -> bool:
    """Is a trained cell in `folder`? Its cell.json is written last."""
    return (folder / CELL).is_file() and (folder / "tinyrs.json").is_file()


def last_step(log: Path) -> int | None:
    """How many steps a training had, to the last line of its log; None where the log is empty."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    return json.loads(lines[-1])["step"] if lines else None


def spoken(recipe: Recipe) -> dict:
    """What decides the weights and is not a default: a setting that is invented later changes no key."""
    usual = type(recipe)(stage=recipe.stage).trajectory()
    return {
        name: value
        for name, value in recipe.trajectory().items()
        if value != usual[name] or name in ("stage", "seed")
    }


def versions() -> dict[str, str]:
    """Of the libraries that train; they are noted, and no part of a key."""
    return {name: importlib.metadata.version(name) for name in ("torch", "transformers", "trl")}


@contextmanager
def only_here(folder: Path) -> Iterator:
    """Nobody else works on `folder` meanwhile; BadData where somebody does."""
    from training.asking import lock

    with open(folder.with_name(f"{folder.name}.lock"), "w") as held:
        if not lock(held):
            raise BadData(f"Another process is at work in {folder}: wait for it, or give another --out.")
        yield held


def digest(path: Path) -> str:
    """sha256 of a file."""
    with open(path, "rb") as file:
        made = hashlib.sha256()
        while block := file.read(1 << 20):
            made.update(block)
    return made.hexdigest()


def short(values: object) -> str:
    """Ten characters that tell one set of values from another."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:10]
