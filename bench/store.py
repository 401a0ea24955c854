"""How long does an annotator wait for the next caption when 100,000 are in the store?

    python -m bench.store [--captions 100000] [--rounds 40]

Fills a fresh store (by SQL, as an import would leave it), lets one person take, judge and give back captions in turn,
and prints the median and the worst time of each step as milliseconds, how much of the median this process computed,
and the ratio to one saved transaction with nothing in it, which is what carries over to other disks.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from annotate import marks, queue
from annotate.store import Store
from tinyrs.image import open_picture

TEXT = "Water covers the left half of the picture. A long white hull lies beside the upper dock, number {}."


def fill(store: Store, captions: int) -> None:
    """`captions` captions of one picture, a tenth of them with a sign of a fault."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (40, 80, 90)).save(file, "PNG")
    picture = store.add_picture(open_picture(file.getvalue()), file.getvalue())
    now = store.now()
    with store.write() as db:
        db.conn.executemany(
            "INSERT INTO captions (id, key, picture, question, task, labels, source, rank, why, created_at)"
            " VALUES (?,?,?,'Where is the ship?','grounding','[]','bench',?,'',?)",
            (
                (i, hashlib.sha256(str(i).encode()).hexdigest(), picture, 7 if i % 10 == 0 else 15, now)
                for i in range(1, captions + 1)
            ),
        )
        db.conn.executemany(
            "INSERT INTO revisions (id, caption, reasoning, answer, boxes, author, note, created_at)"
            " VALUES (?,?,?,'[[100,330,400,430]]','[[100,330,400,430,\"\",0]]','import:bench','',?)",
            ((i, i, TEXT.format(i), now) for i in range(1, captions + 1)),
        )


def timed(times: list[tuple[float, float]], work: Callable):
    """Do `work` and note its seconds, by the clock and of this process."""
    start, own = time.perf_counter(), time.process_time()
    done = work()
    times.append((time.perf_counter() - start, time.process_time() - own))
    return done


def measure(store: Store, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each step: {"next": {"median", "worst", "computed", "ratio"}, ...}."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ("write", "next", "mark", "left", "accept")}

    def write():
        with store.write() as db:
            db.conn.execute("PRAGMA user_version = 0")

    for _ in range(rounds):
        timed(times["write"], write)
        caption = timed(times["next"], lambda: queue.next_to_annotate(store, "Ann"))
        revision = caption["revision"]["id"]
        timed(times["mark"], lambda: marks.add(store, revision, 0, "ok", author="Ann"))
        timed(times["left"], lambda: queue.left(store))
        timed(times["accept"], lambda: store.add_review(revision, "accept", author="Ann"))
        queue.release(store, caption["id"], "Ann")
    base = statistics.median(wall for wall, _ in times["write"])
    return {
        name: {
            "median": round(1000 * (median := statistics.median(wall for wall, _ in taken)), 2),
            "worst": round(1000 * max(wall for wall, _ in taken), 2),
            "computed": round(1000 * statistics.median(own for _, own in taken), 2),
            "ratio": round(median / base, 2),
        }
        for name, taken in times.items()
    }


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code, 1 when the next caption took 50 ms or more."""
    parser = argparse.ArgumentParser(prog="python -m bench.store", description=__doc__.split("\n")[0])
    parser.add_argument("--captions", type=int, default=100_000, help="how many are in the store (100000)")
    parser.add_argument("--rounds", type=int, default=40, help="captions that are worked on (40)")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "bench.db") as store:
        fill(store, args.captions)
        found = measure(store, args.rounds)
    print(json.dumps({"captions": args.captions, "milliseconds": found}, indent=1))
    return int(found["next"]["median"] >= 50)


if __name__ == "__main__":
    sys.exit(main())
