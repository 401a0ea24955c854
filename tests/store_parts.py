"""What the tests of annotate/ put into a store (drawn pictures, runs, captions), and processes for them."""

from __future__ import annotations

import io
import multiprocessing
import time

from PIL import Image

from annotate.store import Conflict, NewCaption, Side, Store
from tinyrs.example import Question, Task
from tinyrs.image import open_picture
from tinyrs.parse import parse

ROOF = Question("Identify the location of the bright roof.", Task.GROUNDING)
SCENE = Question(
    "Classify the image within one of the given classes: farmland, port.",
    Task.CLASSIFICATION,
    ("farmland", "port"),
)

# A clean process per test: forking the one that runs pytest would carry its threads and open files along.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.store_parts"])
PROCESSES = 8
PATIENCE = 60  # seconds after which a process that should have answered counts as hung


def together(work, *args) -> list:
    """Run `work(number, *args)` in 8 processes that start at one moment; returns what each returned."""
    gate, results = processes.Event(), processes.Queue()
    running = [processes.Process(target=_one, args=(work, i, gate, results, args)) for i in range(PROCESSES)]
    for process in running:
        process.start()
    gate.set()
    returned = [results.get(timeout=PATIENCE) for _ in running]
    for process in running:
        process.join(PATIENCE)
        assert process.exitcode == 0
    for each in returned:
        if isinstance(each, Exception):
            raise each
    return returned


def _one(work, number, gate, results, args) -> None:
    gate.wait()
    try:
        results.put(work(number, *args))
    except Exception as problem:
        results.put(problem)


def save_often(number: int, path, caption: int, saves: int) -> list[tuple[int, float]]:
    """One editor's work: (conflicts until it was in, seconds until then) of each save of the caption."""
    done = []
    with Store(path) as store:
        for i in range(saves):
            start, conflicts = time.monotonic(), 0
            parent = head(store, caption)
            while True:
                try:
                    store.save_correction(parent, reasoning=f"{number} {i}", answer="port", author=f"p{number}")
                    break
                except Conflict as conflict:
                    conflicts += 1
                    parent = conflict.other["id"]
            done.append((conflicts, time.monotonic() - start))
    return done


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def __call__(self) -> float:
        return self.seconds

    def pass_minutes(self, minutes: float) -> None:
        self.seconds += 60 * minutes


def drawn(shade: int = 0, kind: str = "PNG", **options) -> bytes:
    """A file with a picture of 64 x 48 pixels; each `shade` is another one."""
    image = Image.new("RGB", (64, 48), (40, 80, shade % 256))
    image.paste((220, 220, 210), (5, 5, 30, 25))
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def add_picture(store: Store, shade: int = 0, kind: str = "PNG", **options) -> str:
    data = drawn(shade, kind, **options)
    return store.add_picture(open_picture(data), data)


def side(text: str, model: str = "pocket", **more) -> Side:
    return Side(model, parse(text), tokens=7, first_token=0.1, seconds=0.5, **more)


def add_run(store: Store, question: Question = ROOF, picture: str | None = None, **sides: str) -> str:
    """A run with sides A and B, or those that are given by name."""
    sides = sides or {
        "A": "[[100,100,400,500]]",
        "B": "<reasoning> The roof is bright. It lies left. </reasoning>"
        " <answer> [[80,100,470,520]] </answer>",
    }
    answered = {name: side(text, f"model-{name}") for name, text in sides.items()}
    return store.add_run(picture or add_picture(store), question, answered)


def add_caption(
    store: Store,
    reasoning: str = "The roof is bright.",
    answer: str = "[[80,100,470,520]]",
    question: Question = ROOF,
    picture: str | None = None,
) -> int:
    """An imported caption; the same words twice are the same caption."""
    new = NewCaption(picture or add_picture(store), question, reasoning, answer, "import:test", "test")
    return store.add_captions([new])[0][0]


def head(store: Store, caption: int) -> int:
    """The id of the newest revision."""
    return store.caption(caption)["revision"]["id"]


def check_whole(store: Store) -> None:
    """The file passes SQLite's own checks, nothing points nowhere, and the index of heads tells the truth."""
    with store.read() as db:
        assert db.conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.conn.execute("PRAGMA foreign_key_check").fetchall() == []
        newest = db.conn.execute("SELECT caption, max(id) FROM revisions GROUP BY caption").fetchall()
        assert db.conn.execute("SELECT caption, revision FROM heads ORDER BY caption").fetchall() == newest
    with store.write() as db:
        for table in ("sides", "revisions"):
            db.conn.execute(f"INSERT INTO {table}_fts ({table}_fts) VALUES ('integrity-check')")
