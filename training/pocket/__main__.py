"""Build the pocket pair from nothing: eyes, then the stages P, S, C and, if asked, R of the paper, at a few million parameters.

    python -m training.pocket --data DIR --out assets/pocket

DIR holds any of the folders aid, nwpu_vhr10 and rsvqa in their published layouts; without it the build learns from
drawn pictures alone. Steps leave their results in --work and a step whose result is there is not repeated, and the long ones keep
a state every five minutes, so a build that was stopped goes on. Two cores need six and a half hours; dev/LOG.md has the curve and what was tried.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tinyrs.config import ROOT
from training.pocket.build import Build, say


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m training.pocket", description=__doc__.split("\n\n")[0])
    made.add_argument(
        "--data", type=Path, help="folder with any of aid, nwpu_vhr10, rsvqa; default: drawn pictures"
    )
    made.add_argument("--out", type=Path, default=ROOT / "assets" / "pocket", help="where the pair goes")
    made.add_argument(
        "--work", type=Path, default=ROOT / "runs" / "pocket", help="where the steps leave their results"
    )
    made.add_argument(
        "--onward", type=Path,
        help="a finished model of a build, as assets/pocket/tinyrs: its eyes learn on, then places and stage C again, in place of all steps",
    )  # fmt: skip
    made.add_argument("--drawn", type=int, default=1500, help="drawn pictures to learn from")
    made.add_argument(
        "--teacher_minutes", type=float, default=25, help="minutes for the convolutional teacher"
    )
    made.add_argument(
        "--detector_minutes", type=float, default=24, help="minutes for the convolutional finder of objects"
    )
    made.add_argument("--eyes_minutes", type=float, default=140, help="minutes for the vision tower")
    made.add_argument("--views", type=int, default=20_000, help="views that the tower reads for each lot of lessons")
    made.add_argument("--place_steps", type=int, default=6000, help="steps that teach where things are")
    made.add_argument(
        "--again_steps", type=int, default=8000, help="steps that teach it again after stage S, which forgets it"
    )
    made.add_argument("--more_steps", type=int, default=6300, help="steps that go on from there")
    made.add_argument("--pretrain_rows", type=int, default=640, help="rows of stage P")
    made.add_argument("--sft_rows", type=int, default=14_400, help="rows of stage S, of up to four questions each")
    made.add_argument("--pasted", type=int, default=1500, help="pictures with pasted objects to learn from")
    made.add_argument("--cot_rows", type=int, default=3200, help="rows of stage C")
    made.add_argument(
        "--reward_rows", type=int, default=0, help="prompts of stage R; it made this pair's answers worse (dev/LOG.md)"
    )
    made.add_argument("--seed", type=int, default=0, help="of weights, order and views")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the build; 2 when the arguments make no sense."""
    args = parser().parse_args(arguments)
    if args.data is not None and not args.data.is_dir():
        say(f"There is no folder {args.data}.")
        return 2
    if args.onward is not None and not (args.onward / "tinyrs.json").is_file():
        say(f"{args.onward} is no finished model: it has no tinyrs.json.")
        return 2
    with contextlib.redirect_stdout(sys.stderr):  # the trainers print their logs
        Build(args).run()
    print(json.dumps({"out": str(args.out)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
