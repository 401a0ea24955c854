"""How long do both models take beside busy neighbours, with one torch thread each and with two?

    python -m bench.threads [--pictures 8] [--busy 3] [--models pocket,pocket-r1] [--json]

The pair is asked at once about each picture, in turns by a process with TINYRS_THREADS=1 and by one with 2, which waits
meanwhile; first while nothing of ours runs beside, then beside so many processes that only spin. Prints the median and
the longest time to the first words and to the end of each model's answer, and the processor time that both take for a
question. With two threads an answer may take half a minute on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager

from bench.follow_up import QUESTIONS, pictures
from tinyrs.compare import compare
from tinyrs.engine import open_engine

THREADS = (1, 2)
MOMENTS = {"first": "first words", "done": "done"}
# A process that starts as a copy of this one would take its threads over.
FRESH = multiprocessing.get_context("spawn")


def measure(models: Sequence[str], count: int, busy: int) -> list[dict]:
    """One for each number of threads, alone and beside `busy` processes: {"threads", "busy", "n", "processor", "models"}.

    Seconds: `processor` the median of a question, and for each model {"first", "done": {"median", "max"}}.
    """
    found = []
    with ExitStack() as stack:
        workers = {number: stack.enter_context(_worker(number)) for number in THREADS}
        for beside in (0, busy):
            asked: dict[int, list[dict]] = {number: [] for number in THREADS}
            with spinning(beside):
                for place, picture in enumerate(pictures(count + 1)):
                    for number, worker in workers.items():
                        question = QUESTIONS[place % len(QUESTIONS)]
                        asked[number].append(worker.submit(ask, models, picture, question).result())
            # The first question also waits for what is loaded once.
            found += [{"threads": number, "busy": beside, **told(models, asked[number][1:])} for number in THREADS]
    return found


def _worker(threads: int) -> ProcessPoolExecutor:
    """A process whose models take so many threads."""
    return ProcessPoolExecutor(1, mp_context=FRESH, initializer=_take, initargs=(threads,))


def _take(threads: int) -> None:
    os.environ["TINYRS_THREADS"] = str(threads)


def ask(models: Sequence[str], picture, question) -> dict:
    """Both models asked at once, here: the processor seconds, and by model the seconds to its first words and its end."""
    engines = {model: open_engine(model) for model in models}
    for engine in engines.values():
        engine.prefixes.clear()  # whoever asked before, it is a new picture
    spent, begun = time.process_time(), time.perf_counter()
    moments: dict = {model: {} for model in models}
    for event in compare(engines, picture, question):
        if event.error:
            raise RuntimeError(f"{event.side}: {event.error}")
        if event.done or event.reply and event.reply.text.strip():
            moments[event.side].setdefault("first", time.perf_counter() - begun)
        if event.done:
            moments[event.side]["done"] = time.perf_counter() - begun
    return {"processor": time.process_time() - spent, "models": moments}


def told(models: Sequence[str], asked: Sequence[dict]) -> dict:
    """What is told of several questions."""
    found = {"n": len(asked), "processor": statistics.median(each["processor"] for each in asked), "models": {}}
    for model in models:
        times = {moment: [each["models"][model][moment] for each in asked] for moment in MOMENTS}
        found["models"][model] = {
            moment: {"median": statistics.median(all_), "max": max(all_)} for moment, all_ in times.items()
        }
    return found


@contextmanager
def spinning(count: int) -> Iterator[None]:
    """Inside, so many processes do nothing but keep a processor busy."""
    all_there = FRESH.Barrier(count + 1)
    processes = [FRESH.Process(target=_spin, args=(all_there, os.getpid())) for _ in range(count)]
    try:
        for process in processes:
            process.start()
        all_there.wait(120)
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def _spin(all_there, parent: int) -> None:
    all_there.wait(120)
    while os.getppid() == parent:  # nobody else would end it if that one were killed
        for _ in range(100_000):
            pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.threads", description=__doc__.split("\n\n")[0])
    parser.add_argument("--models", default="pocket,pocket-r1", help="names of the model table or folders, asked at once")
    parser.add_argument("--pictures", type=int, default=8, help="one question is asked about each")
    parser.add_argument("--busy", type=int, default=3, help="processes that spin beside")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(arguments)
    if min(args.pictures, args.busy) < 1:
        print("Every number must be at least 1.", file=sys.stderr)
        return 2
    rows = measure(args.models.split(","), args.pictures, args.busy)
    if args.json:
        for row in rows:
            print(json.dumps(row))
        return 0
    print("| busy beside | threads | model | seconds to first words | worst | to done | worst | processor, both | n |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        for model, times in row["models"].items():
            seconds = " | ".join(f"{times[moment][which]:.2f}" for moment in MOMENTS for which in ("median", "max"))
            print(
                f"| {row['busy']} | {row['threads']} | {model} | {seconds} | {row['processor']:.2f} | {row['n']} |"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
