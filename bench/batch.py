"""How many more answers a second does a batch give than one question at a time, and are they the same?

    python -m bench.batch [--models pocket,pocket-r1] [--questions 1,5,20] [--rows 80] [--batch 40] [--json]
    python -m bench.batch --architecture 2b --questions 1,8 --rows 8 --batch 8 --max-new-tokens 3   # random weights, 5 GiB

Questions of several kinds about drawn pictures of several shapes, a batch at once and then the same ones one at a
time by plain `generate`, turn by turn: with a picture of its own for every question, and with several questions about
each picture, as the published question sets have (RSVQA about a hundred). The processor's time counts where other work
shares the cores.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from bench.follow_up import QUESTIONS, pictures, plain, which
from tinyrs.example import Question, Task
from tinyrs.prompt import COUNT, PRESENCE

THINGS = ("ship", "airplane", "storage tank", "bridge", "vehicle", "road", "tree", "building")

CLOCKS = {"clock": time.perf_counter, "processor": time.process_time}


def questions(count: int) -> list[Question]:
    """`count` different ones, as question sets about one picture have them (16 more than QUESTIONS at most)."""
    more = [
        question
        for thing in THINGS
        for question in (
            Question(PRESENCE.format(phrase=f"any {thing}"), Task.VQA),
            Question(COUNT.format(things=f"{thing}s"), Task.COUNTING),
        )
    ]
    return [*QUESTIONS, *more][:count]


def now() -> dict[str, float]:
    """The seconds that each clock shows."""
    return {name: clock() for name, clock in CLOCKS.items()}


def measure(
    model: str, rows: int, batch: int, max_new_tokens: int, a_picture: int, side: int | None = None
) -> dict:
    """Answers a second, both ways, by the clock and by processor time, and how many answers are the same.

    `a_picture` questions are asked about each picture, which is of `side` pixels squared.
    """
    from tinyrs.engine import Options, open_engine

    engine, options = open_engine(model), Options(max_new_tokens=max_new_tokens)
    shown = [each.resize((side, side)) if side else each for each in pictures(-(-rows // a_picture))]
    asked = questions(max(a_picture, len(QUESTIONS)))
    pairs = [(shown[i // a_picture], asked[i % len(asked)]) for i in range(rows)]
    engine.batch(pairs[:2], options)
    engine.prefixes.clear()
    spent = {name: {"alone": 0.0, "together": 0.0} for name in CLOCKS}
    same = tokens = 0
    for start in range(0, rows, batch):
        some = pairs[start : start + batch]
        moments = [now()]
        at_once = engine.batch(some, options)
        moments.append(now())
        with plain(engine):
            one_by_one = [engine.batch([pair], options)[0] for pair in some]
        moments.append(now())
        for name in CLOCKS:
            spent[name]["together"] += moments[1][name] - moments[0][name]
            spent[name]["alone"] += moments[2][name] - moments[1][name]
        tokens += sum(reply.tokens for reply in at_once)
        same += sum(
            (a.text, a.tokens) == (b.text, b.tokens) for a, b in zip(at_once, one_by_one, strict=True)
        )
    found = {"model": model, "rows": rows, "batch": batch, "a_picture": a_picture, "same": same}
    found["tokens"] = tokens / rows
    for name, seconds in spent.items():
        found[name] = {way: rows / taken for way, taken in seconds.items()}
        found[name]["ratio"] = seconds["alone"] / seconds["together"]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.batch", description=__doc__.split("\n\n")[0])
    parser.add_argument("--models", default="pocket,pocket-r1", help="names of the model table or folders")
    parser.add_argument("--architecture", choices=("2b",), help="instead: random weights of the 2B model's sizes")
    parser.add_argument("--side", type=int, help="pixels of a picture's side (as drawn; 448 with --architecture)")
    parser.add_argument("--rows", type=int, default=80, help="questions asked")
    parser.add_argument("--batch", type=int, default=40, help="questions asked at once")
    parser.add_argument("--questions", default="1,5,20", help="how many are asked about each picture, one run each")
    parser.add_argument("--max-new-tokens", type=int, default=32, help="the longest answer")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(arguments)
    most = len(QUESTIONS) + 2 * len(THINGS)
    counts = [int(count) if count.isdecimal() else 0 for count in args.questions.split(",")]
    if min(args.rows, args.batch, args.max_new_tokens, *counts) < 1 or max(counts) > most:
        print(f"Every number must be at least 1, and of --questions at most {most}.", file=sys.stderr)
        return 2
    if not args.json:
        print(
            "| model | questions a picture | answers a second of | alone | in batches | ratio | same answers |"
        )
        print("|---|---|---|---|---|---|---|")
    with which(args.models, args.architecture) as models:
        for model in models:
            side = args.side or (448 if args.architecture else None)
            for a_picture in counts:
                found = measure(model, args.rows, args.batch, args.max_new_tokens, a_picture, side)
                found["model"] = f"{args.architecture} architecture" if args.architecture else model
                if args.json:
                    print(json.dumps(found), flush=True)
                    continue
                for name in CLOCKS:
                    rates = found[name]
                    print(
                        f"| {found['model']} | {a_picture} | {name} | {rates['alone']:.2f} | {rates['together']:.2f} "
                        f"| {rates['ratio']:.1f} | {found['same']} of {found['rows']} |",
                        flush=True,
                    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
