"""What the docs say of the code, taken from the code.

    python -m dev.docs           # writes docs/commands.md, docs/benchmarks.md and the measured numbers in README.md
    python -m dev.docs --check   # exit 1 where they have fallen behind

tests/test_docs.py runs the check.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from bench.page import JSON, PAGE, page, quoted

ROOT = Path(__file__).resolve().parent.parent

COMMANDS = (
    "tinyrs",
    "tinyrs ask",
    "tinyrs models",
    "tinyrs serve",
    "tinyrs convert",
    "tinyrs deploy",
    "annotate",
    "annotate import",
    "annotate import-errors",
    "annotate export",
    "annotate generate",
    "annotate check",
    "annotate replay",
    "annotate lineage",
    "annotate stats",
    "annotate delete",
    "annotate backup",
    "annotate restore",
    "annotate user",
    "training.splits",
    "training.sft",
    "training.grpo",
    "training.dpo",
    "training.card",
    "training.evaluate",
    "training.evaluate score",
    "training.evaluate report",
    "training.evaluate export-task",
    "training.ablate",
    "training.untaught",
    "training.pocket",
    "training.pocket.scenes",
    "training.sentences",
    "training.sides",
    "training.repeats",
    "training.outcomes",
    "training.alternatives",
    "training.coordinates",
    "bench",
    "bench.engine",
    "bench.start",
    "bench.two_against_seven",
    "bench.choose",
    "bench.visitors",
    "bench.others",
    "bench.pictures",
    "bench.pocket",
    "bench.app",
    "bench.scene",
    "bench.leaks",
    "bench.checks",
    "bench.follow_up",
    "bench.batch",
    "bench.many",
    "bench.threads",
    "bench.openvino",
    "bench.parity",
    "bench.store",
    "dev.docs",
    "dev.screenshots",
)

TITLES = {
    "cls_AID": "AID scenes, 30 classes",
    "cls_AID_enlarged": "the same, enlarged to 336 x 336 pixels",
    "VG_NWPU": "NWPU VHR-10 grounding, IoU >= 0.5",
    "RSVQA_LR-comp": "RSVQA LR compare",
    "RSVQA_LR-presence": "RSVQA LR presence",
    "RSVQA_LR-count": "RSVQA LR count",
    "RSVQA_LR-rural_urban": "RSVQA LR rural or urban",
    "RSVQA_HR-comp": "RSVQA HR compare",
    "RSVQA_HR-presence": "RSVQA HR presence",
    "RSVQA_HR-count": "RSVQA HR count",
}


def help_of(command: str) -> str:
    """What `python -m COMMAND --help` prints, at a fixed width."""
    words = command.split()
    done = subprocess.run(
        [sys.executable, "-m", *words, "--help"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "110", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.rstrip()


def commands() -> str:
    """docs/commands.md."""
    parts = ["# Commands\n\nWritten by `python -m dev.docs` from each command's own help.\n"]
    parts += [f"## python -m {command}\n\n```text\n{help_of(command)}\n```\n" for command in COMMANDS]
    return "\n".join(parts)


def measured() -> str:
    """The README's table: strict score, 95 % interval and n of each pocket model on kept-out pictures."""
    models = {"TinyRS (pocket)": "tinyrs", "TinyRS-R1 (pocket-r1)": "tinyrs-r1"}
    told = {
        title: json.loads((ROOT / "assets" / "pocket" / folder / "tinyrs.json").read_text())["measured"]
        for title, folder in models.items()
    }
    lines = [
        "On pictures kept out of training, strict score in per cent with its 95 % interval",
        "(`python -m bench.pocket --data DIR --write`; AID's pictures at 150 pixels, so not comparable with published scores):",
        "",
        "| benchmark | n | majority | " + " | ".join(models) + " |",
        "|---|---|---|" + "---|" * len(models),
    ]
    for name, title in TITLES.items():
        rows = [numbers.get(name) for numbers in told.values()]
        if not all(rows):
            continue
        cells = []
        for row in rows:
            low, high = row["strict_interval"]
            other = f", n = {row['n']}" if row["n"] != rows[0]["n"] else ""
            overlap = f", mean IoU {row['mean_iou']:.3f}" if row.get("mean_iou") is not None else ""
            cells.append(f"{100 * row['strict']:.1f} ({100 * low:.1f}-{100 * high:.1f}){other}{overlap}")
        lines.append(
            f"| {title} | {rows[0]['n']} | {100 * rows[0]['majority']:.1f} | " + " | ".join(cells) + " |"
        )
    return "\n".join(lines)


def filled(readme: str) -> str:
    """`readme` with what was measured between its marks: `<!-- measured: ... -->` and `<!-- benchmarks: ... -->`."""
    for name, text in (("measured", measured), ("benchmarks", lambda: quoted(_speeds()))):
        block = re.compile(rf"(<!-- {name}: [^>]*-->\n).*?(<!-- /{name} -->)", re.S)
        readme = block.sub(lambda found: f"{found[1]}{text()}\n{found[2]}", readme)
    return readme


def _speeds() -> dict:
    return json.loads(JSON.read_text(encoding="utf-8"))


def pages() -> dict[Path, str]:
    """Every page that is written from the code, with what it should hold."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return {ROOT / "docs" / "commands.md": commands(), PAGE: page(_speeds()), ROOT / "README.md": filled(readme)}


def main() -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(prog="python -m dev.docs", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 where a page has fallen behind"
    )
    args = parser.parse_args()
    behind = 0
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            behind += 1
            print(
                f"{path.relative_to(ROOT)} {'has fallen behind' if args.check else 'written'}",
                file=sys.stderr,
            )
            if not args.check:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
    return int(args.check and behind > 0)


if __name__ == "__main__":
    sys.exit(main())
