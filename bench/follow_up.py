"""How much sooner does a follow-up question about the same picture get its first token, and is the answer the same?

    python -m bench.follow_up [--models pocket,pocket-r1] [--pictures 100] [--max-new-tokens 32] [--json]
    python -m bench.follow_up --architecture 2b --pictures 1 --compared 1 --max-new-tokens 2    # random weights, 5 GiB

Five questions about each drawn picture: the first has to read the picture, the others find it kept. Every question is
also put to plain `generate`, which reads everything at once and keeps nothing, in the same minute. All times are from
the question's start, picture processing included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from PIL import Image

from tinyrs.example import Question, Task
from tinyrs.prompt import CLASSIFY, COUNT, LOCATE, PRESENCE, RURAL_URBAN

LABELS = "airport, beach, bridge, farmland, forest, harbor, parking lot, river, stadium, storage tanks"
QUESTIONS = (
    Question(PRESENCE.format(phrase="a bridge"), Task.VQA),
    Question(COUNT.format(things="airplanes"), Task.COUNTING),
    Question(LOCATE.format(phrase="the ship in the middle"), Task.GROUNDING),
    Question(CLASSIFY.format(labels=LABELS), Task.CLASSIFICATION),
    Question(RURAL_URBAN, Task.VQA),
)
SHAPES = ((224, 224), (224, 160), (140, 224), (112, 112), (220, 196))


def pictures(count: int, first: int = 4_000_000) -> Iterator[Image.Image]:
    """Drawn pictures of several shapes, the same ones every time."""
    from training.pocket.scenes import draw

    for i in range(count):
        yield Image.fromarray(draw(first + i).pixels).crop((0, 0, *SHAPES[i % len(SHAPES)]))


@contextmanager
def plain(engine) -> Iterator[None]:
    """Inside, `engine` (a `LocalEngine`) is plain `generate`."""
    able, engine.two_steps = engine.two_steps, False
    try:
        yield
    finally:
        engine.two_steps = able


@contextmanager
def which(models: str, architecture: str | None) -> Iterator[list[str]]:
    """The models to measure: names with commas between them, or a folder of random weights for as long as it is needed."""
    if architecture is None:
        yield models.split(",")
        return
    from bench.architecture import checkpoint

    with checkpoint() as folder:
        yield [str(folder)]


def seconds(work: Callable[[], object], times: int) -> float:
    """Processor seconds of `work`: the least of so many times, after one that does not count."""
    work()
    spent = []
    for _ in range(times):
        before = time.process_time()
        work()
        spent.append(time.process_time() - before)
    return min(spent)


def measure(
    model: str, count: int, max_new_tokens: int, side: int | None = None, compared: int = len(QUESTIONS)
) -> dict:
    """Medians of the seconds to the first token, on the clock and of processor time, and how many answers are equal.

    `side`: pictures of that many pixels squared. `compared`: of so many questions a picture the answers are compared.
    """
    from tinyrs.engine import Options, open_engine

    engine, options, one = (
        open_engine(model),
        Options(max_new_tokens=max_new_tokens),
        Options(max_new_tokens=1),
    )
    clock: dict[str, list[float]] = {"plain": [], "first": [], "follow_up": []}
    processor: dict[str, list[float]] = {name: [] for name in clock}
    same, most = 0, 0

    def stream(picture: Image.Image, question: Question, options: Options = one):
        return list(engine.stream(picture, question, options))[-1]

    def cold(picture: Image.Image, question: Question, options: Options = one):
        with plain(engine):
            return stream(picture, question, options)

    def time_it(name: str, ask, picture: Image.Image, question: Question) -> None:
        before = time.process_time()
        clock[name].append(ask(picture, question).first_token)
        processor[name].append(time.process_time() - before)

    def shown(count: int, first: int) -> Iterator[Image.Image]:
        for picture in pictures(count, first):
            yield picture.resize((side, side)) if side else picture

    for picture in pictures(2, first=5_000_000):  # nobody's first question but the process's waits for this
        stream(picture, QUESTIONS[0]), cold(picture, QUESTIONS[0])
    for picture in shown(count, 4_000_000):
        time_it("plain", cold, picture, QUESTIONS[0])
        time_it("first", stream, picture, QUESTIONS[0])
        for question in QUESTIONS[1:]:
            time_it("follow_up", stream, picture, question)
        for question in QUESTIONS[-compared:]:
            warm, right = stream(picture, question, options), cold(picture, question, options)
            same += (warm.text, warm.tokens) == (right.text, right.tokens)
        most = max(most, engine.prefixes.bytes)
    found = {"model": model, "pairs": count * compared, "same": same, "kept_mib": most / 2**20}
    for name, times in (("clock", clock), ("processor", processor)):
        found[name] = {each: statistics.median(values) for each, values in times.items()}
        found[name]["ratio"] = found[name]["follow_up"] / found[name]["first"]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.follow_up", description=__doc__.split("\n\n")[0])
    parser.add_argument("--models", default="pocket,pocket-r1", help="names of the model table or folders")
    parser.add_argument("--architecture", choices=("2b",), help="instead: random weights of the 2B model's sizes")
    parser.add_argument("--side", type=int, help="pixels of a picture's side (as drawn; 448 with --architecture)")
    parser.add_argument("--pictures", type=int, default=100, help="five questions are asked about each")
    parser.add_argument(
        "--compared", type=int, default=len(QUESTIONS), help="of so many of the five the answers are compared (5)"
    )
    parser.add_argument("--max-new-tokens", type=int, default=32, help="the longest answer")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(arguments)
    if args.pictures < 1 or args.max_new_tokens < 1 or not 1 <= args.compared <= len(QUESTIONS):
        print("Ask about at least one picture, for at least one token, and compare 1 to 5 answers.", file=sys.stderr)
        return 2
    if not args.json:
        print(
            "| model | seconds of | plain generate | first question | follow-up | ratio | as plain | kept MiB |"
        )
        print("|---|---|---|---|---|---|---|---|")
    with which(args.models, args.architecture) as models:
        for model in models:
            side = args.side or (448 if args.architecture else None)
            found = measure(model, args.pictures, args.max_new_tokens, side, args.compared)
            found["model"] = f"{args.architecture} architecture" if args.architecture else model
            if args.json:
                print(json.dumps(found), flush=True)
                continue
            for name in ("clock", "processor"):
                times = found[name]
                print(
                    f"| {found['model']} | {name} | {times['plain']:.3f} | {times['first']:.3f} "
                    f"| {times['follow_up']:.3f} | {times['ratio']:.2f} | {found['same']} of {found['pairs']} "
                    f"| {found['kept_mib']:.0f} |",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
