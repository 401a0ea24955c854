"""What the commands of all stages share: flags, refusals, exit codes, and one voice where many processes run.

    main = functools.partial(follow, "training.sft", __doc__, FIELDS, _command)
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from tinyrs.models import UnknownModel
from tinyrs.strictjson import BadData
from training.judge import JudgeFailed
from training.recipe import BadRecipe, Recipe, add_flags, from_flags


def first() -> bool:
    """Is this the process that speaks and writes? `accelerate launch` numbers them in RANK."""
    return os.environ.get("RANK", "0") == "0"


def devices() -> int:
    """How many processes train together, one to a device."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def follow(
    name: str,
    about: str,
    fields: Mapping,
    command: Callable[[Recipe, bool], int],
    argv: Sequence[str] | None = None,
) -> int:
    """Run `command(recipe, dry_run)` with the recipe that the flags ask for; returns the exit status."""
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=about.partition("\n")[0])
    add_flags(parser, fields)
    parser.add_argument("--dry-run", action="store_true", help="say what would be trained, and train nothing")
    args = parser.parse_args(argv)
    with contextlib.ExitStack() as stack:
        if not first():
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
        try:
            return command(from_flags(args), args.dry_run)
        except (BadRecipe, BadData, UnknownModel) as error:
            return _said(error, 2)
        except JudgeFailed as error:
            return _said(error, 1)
        except KeyboardInterrupt:
            return _said("Stopped. The same command goes on from the newest checkpoint.", 130)


def _said(sentence: object, code: int) -> int:
    if first():
        print(sentence, file=sys.stderr)
    return code


def check(recipe: Recipe, stages: Sequence[str], dry_run: bool) -> None:
    """Raise BadRecipe where a recipe lacks something, or another command follows it."""
    if recipe.stage not in stages:
        other = recipe.stage if recipe.stage in ("grpo", "dpo") else "sft"
        raise BadRecipe(
            f"This recipe is for stage {recipe.stage}, and this command trains {', '.join(stages)}: "
            f"use training.{other}."
        )
    for name in ("model", "data") if dry_run else ("model", "data", "output_dir"):
        if not getattr(recipe, name):
            raise BadRecipe(f"--{name} is missing.")
    recipe.accumulation(devices())


def need(library: str, setting: str) -> None:
    """Raise BadRecipe where a setting wants a library that is not installed."""
    if importlib.util.find_spec(library) is None:
        raise BadRecipe(f"{setting} needs {library}, which is not installed: pip install {library}.")


def wrote(output: object) -> int:
    """Say what can be done with a finished checkpoint."""
    print(f'Wrote {output}. Ask it: python -m tinyrs ask PICTURE "QUESTION" --model {output}')
    return 0
