"""Every figure about speed, measured one after the other, and docs/benchmarks.md written from them.

    python -m bench                          # the pocket pair: about ten minutes of a processor core
    python -m bench --only engine,start      # these anew; the others stay as they were measured
    python -m bench --only engine-2b         # the 2B model's sizes with random weights: minutes, and 5 GiB of memory
    python -m bench --write                  # measure nothing, write the page from docs/benchmarks.json

Each bench runs in a process of its own. Its figures go into docs/benchmarks.json with the day, the machine and how busy
it was, and stay there until they are measured again.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence

from bench.page import JSON, PAGE, page
from tinyrs.config import ROOT

RUNS = {
    "start": "start",
    "app": "app",
    "engine": "engine",
    "follow_up": "follow_up",
    "batch": "batch",
    "choose": "choose --rows 60",
    "visitors": "visitors",
    "pictures": "pictures",
    "two_against_seven": "two_against_seven",
    "engine-2b": "engine --architecture 2b --pictures 1 --max-new-tokens 6",
    "follow_up-2b": "follow_up --architecture 2b --pictures 1 --compared 1 --max-new-tokens 2",
    "batch-2b": "batch --architecture 2b --questions 1,8 --rows 8 --batch 8 --max-new-tokens 3",
}
"""What each bench is called with, but for --json."""

LARGE = tuple(name for name in RUNS if name.endswith("-2b"))


def machine() -> dict:
    """What was measured on, and how busy it was before."""
    model = platform.processor() or platform.machine()
    if sys.platform == "linux":
        lines = open("/proc/cpuinfo").read().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    import importlib.metadata as installed

    return {
        "day": datetime.date.today().isoformat(),
        "processor": model,
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "torch": installed.version("torch"),
        "transformers": installed.version("transformers"),
    }


def run(name: str) -> dict:
    """The figures of one bench. Raises subprocess.CalledProcessError."""
    told = machine()
    words = RUNS[name].split()
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{words[0]}", *words[1:], "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return keep(name, done.stdout, told)


def keep(name: str, lines: str, told: dict) -> dict:
    """What is stored of the JSON lines that a bench printed."""
    return {"command": f"python -m bench.{RUNS[name]}", **told, "found": [json.loads(line) for line in lines.splitlines()]}


def stored() -> dict:
    """What was measured so far."""
    return json.loads(JSON.read_text(encoding="utf-8")) if JSON.exists() else {}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, store and write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", help=f"names with commas between them, of {', '.join(RUNS)}")
    parser.add_argument("--write", action="store_true", help="measure nothing")
    args = parser.parse_args(arguments)
    names = args.only.split(",") if args.only else [name for name in RUNS if name not in LARGE]
    if unknown := [name for name in names if name not in RUNS]:
        print(f"There is no bench called {unknown[0]}; there are {', '.join(RUNS)}.", file=sys.stderr)
        return 2
    for name in () if args.write else names:
        print(name, file=sys.stderr, flush=True)
        try:
            found = run(name)
        except subprocess.CalledProcessError as error:
            print(f"{name} ended with {error.returncode}; what was measured before it is kept.", file=sys.stderr)
            return 1
        # Read again: others may have been measured meanwhile.
        JSON.write_text(json.dumps({**stored(), name: found}, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(stored()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
