"""How fast does a scene of 20,000 x 20,000 pixels open, and with how much memory?

    python -m bench.scene [--out runs/scene] [--side 20000]

Writes GeoTIFFs of three 8-bit bands into DIR (about 1.2 GB with content, removed afterwards) and opens each in a
process of its own: the overview on which a window is chosen, then a window of 2048 x 2048 pixels. Prints one line of
JSON per file: seconds of each, on the clock and of the processor (the file was just written, so it is in the disk
cache), and MiB of memory that both added to those of a process which had imported rasterio.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from tinyrs.config import ROOT

BLOCK = 512

FILES = {
    "deflate": {"compress": "deflate", "zlevel": 1, "predictor": 2},
    "deflate, overviews": {"compress": "deflate", "zlevel": 1, "predictor": 2, "overviews": True},
    "plain": {},
    "sparse": {"sparse_ok": True, "every": 8},
}

MEASURE = """
import json, sys, time
import rasterio
from bench.memory import peak
from tinyrs.image import View, open_picture
from tinyrs.view import overview
def clocks():
    return time.perf_counter(), time.process_time()
def since(start):
    return [round(now - then, 2) for now, then in zip(clocks(), start)]
before, start = peak(), clocks()
whole = open_picture(sys.argv[1], overview())
first, start, side = since(start), clocks(), min(whole.file_size) // 2
part = open_picture(sys.argv[1], View(window=(side // 2, side // 2, min(side, 2048), min(side, 2048))))
second = since(start)
print(json.dumps({"overview_seconds": first[0], "overview_cpu_seconds": first[1], "window_seconds": second[0],
                  "window_cpu_seconds": second[1], "added_mib": round(peak() - before)}))
"""


def write(path: Path, side: int, every: int = 1, overviews: bool = False, **profile) -> None:
    """A scene of smooth noise; of a sparse one only each `every`-th block is stored."""
    import rasterio
    from rasterio import Affine
    from rasterio.enums import Resampling
    from rasterio.windows import Window

    walk = np.random.default_rng(0).normal(size=(3, BLOCK, BLOCK)).cumsum(1).cumsum(2)
    block = ((walk - walk.min()) / np.ptp(walk) * 250 + 1).astype("uint8")
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=side,
        height=side,
        count=3,
        dtype="uint8",
        tiled=True,
        blockxsize=BLOCK,
        blockysize=BLOCK,
        interleave="pixel",
        crs="EPSG:32633",
        transform=Affine(0.3, 0, 5e5, 0, -0.3, 5e6),
        **profile,
    ) as scene:
        corners = [(x, y) for y in range(0, side, BLOCK) for x in range(0, side, BLOCK)]
        for x, y in corners[::every]:
            high, wide = min(BLOCK, side - y), min(BLOCK, side - x)
            scene.write(block[:, :high, :wide], window=Window(x, y, wide, high))
        if overviews:
            scene.build_overviews([2, 4, 8, 16], Resampling.average)


def measure(path: Path) -> dict:
    """The numbers of one file, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def main(argv=None) -> int:
    """Write, measure, print, remove."""
    parser = argparse.ArgumentParser(prog="python -m bench.scene", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/scene"),
        metavar="DIR",
        help="where the files go (default: %(default)s)",
    )
    parser.add_argument(
        "--side", type=int, default=20_000, metavar="N", help="pixels of a side (default: %(default)s)"
    )
    args = parser.parse_args(argv)
    if args.side < 1024:
        parser.error("a side has at least 1024 pixels")
    args.out.mkdir(parents=True, exist_ok=True)
    for name, profile in FILES.items():
        path = args.out / "scene.tif"
        try:
            write(path, args.side, **profile)
            size = path.stat().st_size / 2**20
            print(json.dumps({"file": name, "mib": round(size), **measure(path.resolve())}), flush=True)
        finally:
            path.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
