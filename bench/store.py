"""How long does an annotator wait for the next caption when 100,000 are in the store?

    python -m bench.store [--captions 100000] [--rounds 40] [--imported] [--page] [--editors]

Fills a fresh store (by SQL, as an import would leave it), lets one person take, judge and give back captions in turn,
and prints the median and the worst time of each step as milliseconds, how much of the median this process computed,
and the ratio to one saved transaction with nothing in it, which is what carries over to other disks.

--imported fills it by `python -m annotate import` of a file in VHM's layout instead, of which each ten rows share a
picture, and prints the seconds. --page serves the app on that store and prints what a person in Chromium waits: from
opening the Annotate tab, and from accepting, until a caption with its picture is there.

--editors lets 8 processes save one caption 50 times each, over and over until each is in, and prints how long a save
took: the median, the longest but for one in a hundred (p99), and that as a ratio to one saved transaction.
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
from annotate.imports import import_captions
from annotate.store import Store
from tinyrs.image import open_picture

TEXT = "Water covers the left half of the picture. A long white hull lies beside the upper dock, number {}."


LONGER = (
    "User asks me to identify the location of a ship. Let me look at the image carefully, step by step. The picture shows a "
    "harbor from above, with a wide basin of dark water and a paved quay with containers and a few parked trucks. I also see "
    "two smaller boats near the lower edge, but they are much shorter than a ship would be at this scale. The bright roofs on "
    "the right belong to storage halls, and a narrow road runs along them to the gate. "
    "A bridge crosses the water farther away, and there is no other vessel in sight. "
)
"""What makes a reasoning as long as those of the paper: 110 words and more."""


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


def imported(store: Store, captions: int, folder: Path) -> tuple[float, float]:
    """Seconds that an import of `captions` captions with their pictures takes: by the clock, and of this process."""
    for number in range((captions + 9) // 10):
        shade = (number % 256, number // 256 % 256, 90)
        Image.new("RGB", (256, 256), shade).save(folder / f"{number}.jpg", quality=80)
    rows = [
        {
            "id": f"row-{number}",
            "image": f"{number // 10}.jpg",
            "conversations": [
                {"from": "human", "value": "<image>\n{VG} Identify the location of the ship."},
                {
                    "from": "gpt",
                    "value": f"<reasoning> {LONGER}{TEXT.format(number)} So its box is [[100,330,400,430]]. </reasoning> "
                    f"<answer> [[{100 + number % 3 * 100},330,400,430]] </answer>",
                },
            ],
        }
        for number in range(captions)
    ]
    file = folder / "rows.json"
    file.write_text(json.dumps(rows))
    del rows
    took: list[tuple[float, float]] = []
    done = timed(took, lambda: import_captions(store, file))
    if done.added != captions:
        raise RuntimeError(f"{done.added} of {captions} captions came in.")
    return took[0]


def paged(data: Path, rounds: int = 12) -> dict[str, dict[str, float]]:
    """Milliseconds that a person waits at the page: {"open": {"median", "worst"}, "accept": {...}}."""
    from dev.served import chromium, the_app

    times: dict[str, list[float]] = {"open": [], "accept": []}
    shown = """(before) => {
        const steps = document.querySelector("#steps .steps"), image = document.querySelector("#annotate-viewer .stage img");
        return steps && steps.offsetParent && steps.dataset.revision !== before && image && image.complete && image.naturalWidth > 0;
    }"""
    with the_app(data) as url, chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.set_default_timeout(20_000)
        page.goto(url)
        page.locator("#ask").wait_for()
        tab = page.get_by_role("tab", name="Annotate", exact=True)
        tab.click()
        page.locator("#annotator input, #annotator textarea").first.fill("Ada")
        page.locator("#next").click()
        page.wait_for_function(shown, arg="")
        for _ in range(rounds):
            page.reload()
            page.locator("#ask").wait_for()
            start = time.perf_counter()
            tab.click()
            page.wait_for_function(shown, arg="")
            times["open"].append(time.perf_counter() - start)
            before = page.locator("#steps .steps").get_attribute("data-revision")
            start = time.perf_counter()
            page.locator("#accept").click()
            page.wait_for_function(shown, arg=before)
            times["accept"].append(time.perf_counter() - start)
    return {
        name: {"median": round(1000 * statistics.median(all_)), "worst": round(1000 * max(all_))} for name, all_ in times.items()
    }


def edited(store: Store, saves: int = 50) -> dict[str, float]:
    """8 editors at one caption: {"saves", "conflicts", "median" and "p99" milliseconds from the first try until it was in}."""
    from tests.store_parts import SCENE, add_caption, save_often, together

    caption = add_caption(store, "start", "port", SCENE)
    told = [save for all_ in together(save_often, store.path, caption, saves) for save in all_]
    waits = sorted(1000 * seconds for _, seconds in told)
    return {
        "saves": len(told),
        "conflicts": sum(conflicts for conflicts, _ in told),
        "median": round(statistics.median(waits), 1),
        "p99": round(waits[int(0.99 * len(waits))], 1),
    }


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
    """The command; returns the exit code: 1 when the next caption took 50 ms, a page a second, the import 5 minutes or
    one save in a hundred 5 seconds."""
    parser = argparse.ArgumentParser(prog="python -m bench.store", description=__doc__.split("\n")[0])
    parser.add_argument("--captions", type=int, default=100_000, help="how many are in the store (100000)")
    parser.add_argument("--rounds", type=int, default=40, help="captions that are worked on (40)")
    parser.add_argument("--imported", action="store_true", help="fill the store by an import, and time that")
    parser.add_argument("--page", action="store_true", help="also what a person waits at the page, in Chromium")
    parser.add_argument("--editors", action="store_true", help="also 8 editors who save one caption")
    args = parser.parse_args(argv)
    told: dict = {"captions": args.captions}
    with tempfile.TemporaryDirectory() as scratch:
        data, files = Path(scratch) / "data", Path(scratch) / "files"
        files.mkdir()
        with Store(data / "tinyrs.db") as store:
            if args.imported:
                seconds = imported(store, args.captions, files)
                told["import_seconds"], told["import_computed"] = (round(each, 1) for each in seconds)
            else:
                fill(store, args.captions)
            told["milliseconds"] = measure(store, args.rounds)
            if args.editors:
                told["editors"] = edited(store)
                told["editors"]["ratio"] = round(told["editors"]["p99"] / told["milliseconds"]["write"]["median"], 1)
        try:
            if args.page:
                told["page_milliseconds"] = paged(data)
        finally:  # what took minutes to measure is not lost with a browser
            print(json.dumps(told, indent=1), flush=True)
    slow = [each["median"] >= 1000 for each in told.get("page_milliseconds", {}).values()]
    slow += [told["milliseconds"]["next"]["median"] >= 50, told.get("import_seconds", 0) >= 300]
    slow += [told.get("editors", {"p99": 0})["p99"] >= 5000]
    return int(any(slow))


if __name__ == "__main__":
    sys.exit(main())
