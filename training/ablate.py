"""Train and evaluate every row of the paper's ablations, and say which of its trends repeat.

    python -m training.ablate --table 2 --out runs/ablate --data DIR
    python -m training.ablate --table 2 --table 3 --table 4 --dry-run
    python -m training.ablate --table 3 --scale 2b --data data/splits --benchmarks DIR --launch "accelerate launch"

Table 2 switches the stages P, S, C, R on and off, table 3 changes R's reward, table 4 leaves tasks unbalanced
(training/ablations.py). At pocket scale the rows are drawn from the folders aid, nwpu_vhr10 and rsvqa below --data, or
from drawn pictures alone, and the questions are about kept-out pictures. At scale 2b --data holds the files of the
stages, --benchmarks those of the paper's benchmarks, and --launch says what starts each training on your GPUs.

OUT/cells holds a checkpoint for each beginning of a row and each seed, named by a checksum over all that decides it:
recipes, rows, seed, base. Rows and tables that share a beginning share the checkpoint, and a run that was stopped goes
on. OUT/table_N gets table.md and table.json, anew after each row.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

from tinyrs.models import UnknownModel
from tinyrs.strictjson import BadData, load_json
from tinyrs.whole import write_whole
from training.ablations import COLUMNS, TABLES, Measure, build, markdown
from training.cells import (
    CELL,
    SECONDS,
    STEPS,
    Cell,
    Work,
    leaves,
    parents,
    say,
    spoken,
    tree,
    versions,
)
from training.judge import JudgeFailed
from training.pipelines import FILES, RECIPES, Pipeline, Pocket, Published
from training.recipe import FIELDS, GRPO_FIELDS, BadRecipe, Recipe

# ---- the tables


def tables(args: argparse.Namespace, work: Work, measured: dict[Cell, dict[str, dict]]) -> None:
    """Write table.md and table.json of every table, of what has been measured so far."""
    setting = {
        **work.pipeline.setting(),
        "base": Path(work.base_name).name,
        "seeds": ", ".join(map(str, args.seeds)),
        "steps at most": ", ".join(f"{letter} {count}" for letter, count in args.steps.items()) or "as the recipes say",
        **({"settings over those of the recipes": ", ".join(args.settings)} if args.set else {}),
        "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
    }
    for number in args.table:
        found: dict[int, dict[int, dict[str, Measure]]] = {}
        bounds: dict[str, dict] = {"chance": {}, "majority": {}}
        for place, row in enumerate(TABLES[number].rows):
            for seed in args.seeds:
                rows = measured.get(Cell(row.steps, seed if row.steps else 0))
                if rows is None:
                    continue
                found.setdefault(place, {})[seed] = {
                    key: Measure(one["macro"], tuple(one["macro_interval"]), one["n"]) for key, one in rows.items()
                }
                for name, values in bounds.items():
                    values |= {COLUMNS[key]: one[name] for key, one in rows.items() if key in COLUMNS}
        told = build(number, found, {"setting": setting, "seeds": args.seeds, **bounds})
        told["cells"] = [
            {"steps": cell.steps, "seed": cell.seed, "folder": work.folder(cell).name, "answers": rows}
            for cell, rows in measured.items()
            if cell.steps in {row.steps for row in TABLES[number].rows}
        ]
        folder = args.out / f"table_{number}"
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "table.json", json.dumps(told, indent=1) + "\n")
        write_whole(folder / "table.md", markdown(told))


# ---- dry run


def describe(args: argparse.Namespace, pipeline: Pipeline) -> str:
    """The tree, how many runs it has, and how long they should take."""
    cells, times = tree(args.table, args.seeds), known_times(args.out / "cells")
    lines, seconds, unknown, cold, first = [], 0.0, set(), set(), [cell for cell in cells if cell.seed == args.seeds[0]]
    for cell in sorted(first, key=lambda cell: cell.steps):
        recipe = pipeline.recipe(cell)
        size = pipeline.steps(cell)
        told = f"{size:,} steps of {recipe.batch_size}" if size else f"{recipe.num_train_epochs:g} epochs"
        base = "base" if len(cell.steps) == 1 else " + ".join(cell.steps[:-1])
        name = f"{'    ' * (len(cell.steps) - 1)}{cell.steps[-1]}"
        lines.append(f"{name:32}from {base:32}{told}, {Path(pipeline.recipe_file(cell)).name}")
        if size and recipe.warmup >= max(1, size):
            cold.add(f"{cell.steps[-1][0]} ({recipe.warmup:g} steps)")
        pace = times.get(pace_key(recipe))
        if pace is None or not size:
            unknown.add(cell.steps[-1])
        else:
            seconds += len(args.seeds) * pace * size
    lines.append(
        f"\n{len(cells)} trainings ({len(first)} for each of {len(args.seeds)} seeds) and "
        f"{len(leaves(args.table, args.seeds))} evaluations; without sharing it would be "
        f"{len(args.seeds) * sum(len(row.steps) for table in args.table for row in TABLES[table].rows)} trainings."
    )
    if cold:
        lines.append(f"Never at its full learning rate, because the warm-up is as long: {', '.join(sorted(cold))}.")
    asked = len(leaves(args.table, args.seeds)) * 4 * (args.questions or 0) if args.scale == "pocket" else 0
    seconds += asked * (known_pace(args.out / "answers") or 0)
    if seconds:
        told = f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{max(1, round(seconds / 60))} minutes"
        lines.append(f"What has a known pace takes about {told}, as measured in {args.out}.")
    if unknown:
        lines.append(
            f"No pace is known of {', '.join(sorted(unknown))}: a short run (--steps 5 --seeds {args.seeds[0]}, the "
            "same --out) measures it."
        )
    return "\n".join(lines)


def pace_key(recipe: Recipe | dict) -> str:
    """Trainings that take as long for a step: same stage, same batch."""
    told = spoken(recipe) if isinstance(recipe, Recipe) else recipe
    names = ("stage", "batch_size", "num_generations", "max_completion_length", "max_pixels", "bf16")
    return json.dumps([told.get(name) for name in names])


def known_times(cells: Path) -> dict[str, float]:
    """Seconds for a step, by pace_key: the shortest that the finished cells took, starting included."""
    found: dict[str, float] = {}
    for path in cells.glob(f"*/{CELL}"):
        told = load_json(path)
        if told[SECONDS] and told[STEPS]:
            key = pace_key(told["recipe"])
            found[key] = min(told[SECONDS] / told[STEPS], found.get(key, math.inf))
    return found


def known_pace(answers: Path) -> float | None:
    """Seconds for an answer, over all that have been given; None where none has."""
    from training.report import collect

    costs = [result.cost for folder in sorted(path.parent for path in answers.glob("*/done")) for result in collect([folder])]
    count = sum(cost["answers"] for cost in costs if cost)
    return sum(cost["seconds"] for cost in costs if cost) / count if count else None


# ---- the command


def main(argv: Sequence[str] | None = None) -> int:
    """The command `python -m training.ablate`; returns its exit status."""
    from tinyrs.engine import EngineFailure

    try:
        return run(arguments(argv))
    except (BadRecipe, BadData, UnknownModel, EngineFailure) as error:
        say(str(error))
        return 2
    except JudgeFailed as error:
        say(str(error))
        return 1
    except OSError as error:
        say(f"{error.filename or 'A file'} cannot be used: {error.strerror}.")
        return 2
    except KeyboardInterrupt:
        say("Stopped. The same command goes on from here.")
        return 130


def run(args: argparse.Namespace) -> int:
    """Train, ask, and write the tables."""
    pipeline = {"pocket": Pocket, "2b": Published}[args.scale](args)
    cells = tree(args.table, args.seeds)
    for cell in cells:
        pipeline.recipe(cell)  # a setting that makes no sense is found before the first hour
    if args.dry_run:
        print(describe(args, pipeline))
        return 0
    work = Work(args.out, pipeline)
    work.prepare()
    wanted, measured, number = leaves(args.table, args.seeds), {}, 0
    for leaf in sorted(wanted, key=lambda leaf: leaf.seed):
        for cell in parents(leaf):
            if cell in cells:
                number += 1
                cells.remove(cell)
                work.train(cell, f"{number}/{number + len(cells)}")
        measured[leaf] = work.measure(leaf)
        tables(args, work, measured)
    say(f"trained {work.trained}, found {work.found}, asked {work.answered}")
    for table in args.table:
        print(args.out / f"table_{table}" / "table.md")
    return 0


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.ablate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--table", type=int, choices=sorted(TABLES), action="append", required=True, help="may be given again")
    add("--scale", choices=sorted(RECIPES), default="pocket", help="pocket (default), or 2b: the paper's recipes")
    add("--out", type=Path, default=Path("runs/ablate"), help="where everything goes (runs/ablate)")
    add(
        "--base",
        help="the untaught model: a folder, a name or a hub id (default: what python -m training.pocket left in "
        "runs/pocket; for 2b qwen2-vl-2b)",
    )
    add("--data", type=Path, help="pocket: aid, nwpu_vhr10, rsvqa; 2b: " + ", ".join(FILES.values()))
    add("--benchmarks", type=Path, help="2b: the folder with the paper's benchmarks")
    add("--launch", help='2b: what starts a training, such as "accelerate launch --config_file FILE"')
    add("--seeds", type=_seeds, default=[0, 1, 2], help="of rows, order, views and sampling (0,1,2)")
    per = "one number for all stages, or P=640,S=4800,C=2400,R=320"
    add("--rows", type=_by_stage, default={}, help=f"pocket: rows to learn from; {per} (the default)")
    add("--steps", type=_by_stage, default={}, help="steps at most, likewise (default: as the recipes say)")
    add("--drawn", type=int, default=600, help="pocket: drawn pictures to learn from (600)")
    add("--questions", type=int, help="questions of each benchmark (pocket: 300; 2b: all)")
    add("--batch", type=int, default=16, help="questions asked at once (16)")
    add("--max_new_tokens", type=int, help="the longest answer (default: each checkpoint's own)")
    add(
        "--set",
        action="append",
        default=[],
        metavar="[STAGE:]NAME=VALUE",
        help="a setting laid over the recipes: R:num_generations=4, or bf16=false for all that have it",
    )
    add("--dry-run", action="store_true", help="print the tree of trainings and an estimate, and train nothing")
    args = parser.parse_args(argv)
    args.table = sorted(set(args.table))
    if args.scale == "2b" and args.rows:
        parser.error("--rows goes with drawn rows: at scale 2b the files say how many there are")
    if args.scale == "pocket":
        args.questions = args.questions or 300
        if args.benchmarks or args.launch:
            parser.error("--benchmarks and --launch go with --scale 2b")
    if min(args.drawn, args.batch, args.questions or 1, *args.rows.values(), *args.steps.values(), 1) < 1:
        parser.error("a number of pictures, questions, rows or steps must be at least 1")
    args.settings = args.set
    try:
        args.set = _settings(args.settings)
    except ValueError as error:
        parser.error(str(error))
    return args


def _seeds(text: str) -> list[int]:
    return list(dict.fromkeys(int(word) for word in text.split(",")))


def _by_stage(text: str) -> dict[str, int]:
    """"8" -> 8 for every stage; "P=640,R=16" -> these."""
    if text.isascii() and text.isdigit():
        return dict.fromkeys(FILES, int(text))
    found = {}
    for word in text.split(","):
        letter, _, count = word.partition("=")
        if letter not in FILES:
            raise ValueError(letter)
        found[letter] = int(count)
    return found


def _settings(words: Sequence[str]) -> dict[str, dict[str, str]]:
    """{stage: {name: value}} from [STAGE:]NAME=VALUE; ValueError with a sentence."""
    found: dict[str, dict[str, str]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        stage, colon, after = name.partition(":")
        letters = [stage] if colon else list(FILES)
        name = after if colon else name
        ours = {"seed", "model", "data", "output_dir", "stage", "balance", "reward", "max_steps"}
        fields = {letter: GRPO_FIELDS if letter == "R" else FIELDS for letter in letters if letter in FILES}
        fitting = [letter for letter in fields if name in fields[letter]]
        if not equals or not fitting or name in ours:
            raise ValueError(f"--set {word!r} is no [STAGE:]NAME=VALUE with a recipe's setting that is free here")
        for letter in fitting:
            found.setdefault(letter, {})[name] = value
    return found


if __name__ == "__main__":
    import sys

    sys.exit(main())
