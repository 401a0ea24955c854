"""How long do other visitors wait for the page while one of them does something heavy?

    python -m bench.others [--seconds 5] [--side 20000] [--json]

Starts `python app.py` on a free port. One visitor at a time does, over and over for so many seconds: nothing; hands in
pictures that would unpack to gigabytes; opens a GeoTIFF of many megapixels; asks both models. Meanwhile others ask for
something small, one after the other: an answer of the server (`app_id`) and one that reads the record (`/stats`). Prints the
median, the 95th percentile and the longest wait of each, and how often the longest is of the quiet one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import struct
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from bench.follow_up import pictures
from bench.scene import FILES, write
from dev.served import the_app

PICTURE = {"_type": "gradio.FileData"}


def bomb(side: int = 14_000) -> bytes:
    """A PNG that says it has `side` x `side` pixels; its data are short."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 + 3 * side) * 64)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class Server:
    """The running app, as a program reaches it."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=300)
        self.events = self.client.get("/config").json()["dependencies"]

    def uploaded(self, path: Path) -> dict:
        with path.open("rb") as file:
            stored = self.client.post("/gradio_api/upload", files={"files": (path.name, file)}).json()[0]
        return {"path": stored, "orig_name": path.name, "meta": PICTURE}

    def event(self, name: str, data: list) -> dict:
        """The outcome of one event. It goes through the queue as the page's do, or past it where the page's does."""
        number = next(event["id"] for event in self.events if event["api_name"] == name)
        session = f"{name}{time.monotonic_ns()}"
        sent = {"data": data, "fn_index": number, "session_hash": session, "event_data": None, "trigger_id": None}
        self.client.post("/gradio_api/queue/join", json=sent).raise_for_status()
        with self.client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as lines:
            for line in lines.iter_lines():
                told = json.loads(line[5:]) if line.startswith("data:") else {}
                if told.get("msg") == "process_completed":
                    return told
        raise RuntimeError(f"{name} came to no end")


def measure(seconds: float, side: int) -> dict:
    """{what one visitor does: {what another asks for: {"median", "p95", "max", "n"}}}, in seconds."""
    found = {}
    with tempfile.TemporaryDirectory() as folder, the_app(Path(folder) / "data") as url:
        server, heavy = Server(url), works(Server(url), Path(folder), side)
        asks = {
            "app_id": lambda: server.client.get("/gradio_api/app_id").raise_for_status(),
            "stats": lambda: server.event("stats", []),
        }
        for work in heavy.values():
            work()  # what is loaded once
        for name, work in {"nothing": None, **heavy}.items():
            found[name] = beside(work, asks, seconds)
    return found


def works(server: Server, folder: Path, side: int) -> dict[str, Callable[[], dict]]:
    """What one visitor does."""
    small, large, scene = folder / "small.png", folder / "large.png", folder / "scene.tif"
    next(pictures(1)).save(small)
    large.write_bytes(bomb())
    write(scene, side, **FILES["deflate"])
    picture, opened = server.uploaded(small), server.uploaded(scene)

    def explode() -> None:
        told = server.event("ask", [server.uploaded(large), "Is there a road?", "", ""])
        assert not told["success"]

    def open_scene() -> None:
        server.event("scene_upload", [opened])

    def ask() -> None:
        assert server.event("compare", [picture, "Describe the image.", "", "", "", False, ""])["success"]

    return {"a bomb": explode, "a scene": open_scene, "both models": ask}


def beside(work: Callable[[], dict] | None, asks: dict[str, Callable], seconds: float) -> dict:
    """The waits of those who ask for something small while `work` is done over and over."""
    over, broken = threading.Event(), []

    def go_on() -> None:
        try:
            while not over.is_set():
                work()
        except Exception as error:
            broken.append(error)

    worker = threading.Thread(target=go_on)
    if work:
        worker.start()
    waits = {name: [] for name in asks}
    end = time.monotonic() + seconds
    while time.monotonic() < end and not broken:
        for name, ask in asks.items():
            started = time.monotonic()
            ask()
            waits[name].append(time.monotonic() - started)
    over.set()
    if work:
        worker.join()
    if broken:
        raise broken[0]
    return {name: summary(each) for name, each in waits.items()}


def summary(waits: Sequence[float]) -> dict:
    ordered = sorted(waits)
    return {
        "median": statistics.median(ordered),
        "p95": ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))],
        "max": ordered[-1],
        "n": len(ordered),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.others", description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each is done")
    parser.add_argument("--side", type=int, default=20_000, help="pixels of the GeoTIFF's side")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(arguments)
    if args.seconds <= 0 or args.side < 1024:
        print("Seconds are above 0, and a side has at least 1024 pixels.", file=sys.stderr)
        return 2
    found = measure(args.seconds, args.side)
    if args.json:
        print(json.dumps(found))
        return 0
    print("| one visitor | others ask for | median s | 95th percentile | longest | of the quiet one | n |")
    print("|---|---|---|---|---|---|---|")
    for work, told in found.items():
        for name, waits in told.items():
            times = waits["max"] / found["nothing"][name]["max"]
            print(
                f"| {work} | {name} | {waits['median']:.3f} | {waits['p95']:.3f} | {waits['max']:.3f} | {times:.1f} "
                f"| {waits['n']} |"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
