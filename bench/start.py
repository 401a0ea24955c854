"""How soon is everything there: the command line's help, the page, the pocket pair?

    python -m bench.start [--times 3] [--json]

The page is up once it answers; torch is looked for in the memory of its process (Linux). The pair is ready when each
model has written a word, in a process of its own, which does what the page does in the background once it is up.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tinyrs.config import ROOT

HELP = """
import runpy, sys
sys.argv = ["tinyrs", "--help"]
try:
    runpy.run_module("tinyrs", run_name="__main__")
except SystemExit:
    pass
print("torch" in sys.modules, file=sys.stderr)
"""
PAIR = """
import json, resource, time
start, begun = time.process_time(), time.perf_counter()
from PIL import Image
from tinyrs.engine import Options, open_engine
from tinyrs.example import Question
import tinyrs.local
libraries, cpu = time.perf_counter() - begun, time.process_time() - start
begun, start = time.perf_counter(), time.process_time()
for name in ("pocket", "pocket-r1"):
    open_engine(name).batch([(Image.new("RGB", (112, 112)), Question("ready"))], Options(max_new_tokens=1))
print(json.dumps({"libraries": libraries, "pair": time.perf_counter() - begun,
                  "libraries_processor": cpu, "pair_processor": time.process_time() - start}))
"""


def measure(times: int) -> dict:
    """Medians of seconds, and whether torch was loaded by the help, or before the page was up."""
    helps, ups, waits, pairs, torches = [], [], [], [], []
    for _ in range(times):
        begun = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", HELP], cwd=ROOT, capture_output=True, text=True, check=True)
        helps.append((time.perf_counter() - begun, done.stderr.strip() == "True"))
        with tempfile.TemporaryDirectory() as folder:
            up, spent, early, torch = _page(Path(folder))
        ups.append((up, spent))
        torches.append(early)
        waits.append(torch)
        done = subprocess.run([sys.executable, "-c", PAIR], cwd=ROOT, capture_output=True, text=True, check=True)
        pairs.append(json.loads(done.stdout))
    middle = {name: statistics.median(each[name] for each in pairs) for name in pairs[0]}
    return {
        "times": times,
        "help": statistics.median(seconds for seconds, _ in helps),
        "help_loads_torch": any(loaded for _, loaded in helps),
        "page_up": statistics.median(up for up, _ in ups),
        "page_up_processor": statistics.median(spent for _, spent in ups),
        "torch_before_page": any(torches),
        "torch_after_start": statistics.median(waits),
        **middle,
    }


def _page(data: Path) -> tuple[float, float, bool, float]:
    """Seconds until the page answers, on the clock and of its processor, whether torch came first, and when it comes."""
    from dev.served import app_process

    begun = time.perf_counter()
    with app_process(data) as (process, answers):
        early = False
        while not answers():
            early = _torch(process.pid)  # what was there before the page did not answer yet
            if process.poll() is not None:
                raise RuntimeError(f"app.py ended with {process.returncode}")
            time.sleep(0.02)
        up, spent = time.perf_counter() - begun, _processor(process.pid)
        while not _torch(process.pid):
            time.sleep(0.02)
        return up, spent, early, time.perf_counter() - begun


def _processor(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _torch(process: int) -> bool:
    return "libtorch_cpu" in Path(f"/proc/{process}/maps").read_text()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__.split("\n\n")[0])
    parser.add_argument("--times", type=int, default=3, help="starts of each, of which the median counts")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(arguments)
    if args.times < 1 or not sys.platform.startswith("linux"):
        print("Start at least once, on Linux.", file=sys.stderr)
        return 2
    found = measure(args.times)
    if args.json:
        print(json.dumps(found))
        return 0
    print(f"python -m tinyrs --help       {found['help']:6.2f} s, torch {'' if found['help_loads_torch'] else 'not '}loaded")
    early = "before" if found["torch_before_page"] else "after"
    spent = f"{found['page_up_processor']:.2f} s of processor"
    print(f"page up after                 {found['page_up']:6.2f} s ({spent}), torch comes {early} it")
    print(f"torch and transformers loaded {found['libraries']:6.2f} s ({found['libraries_processor']:.2f} s of processor)")
    print(f"the pocket pair after that    {found['pair']:6.2f} s ({found['pair_processor']:.2f} s of processor)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
