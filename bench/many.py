"""How much sooner is Ask many done than the same questions asked one after the other?

    python -m bench.many [--pictures 8] [--rounds 2] [--json]

The pocket pair answers five questions about each of some drawn pictures as the Ask many tab has them answered, in groups, and
then with groups of one, round by round. Prints answers a second of each way by the clock and by processor time (which
counts where other work shares the cores), how many times as many a group gives, and how many answers are the same.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from bench.batch import CLOCKS, now
from bench.follow_up import QUESTIONS, pictures
from tinyrs import many
from tinyrs.engine import open_engine

PAIR = {"A": "pocket", "B": "pocket-r1"}


def measure(count: int, rounds: int) -> dict:
    """{"answers", "same", "clock": {"groups", "alone", "ratio"}, "processor": as the clock}: answers a second, both ways."""
    engines = {side: open_engine(name) for side, name in PAIR.items()}
    spent = {name: {"groups": 0.0, "alone": 0.0} for name in CLOCKS}
    said: dict[str, list] = {"groups": [], "alone": []}
    largest = {"groups": many.LARGEST, "alone": 1}
    with tempfile.TemporaryDirectory() as folder:
        shown = []
        for number, picture in enumerate(pictures(count)):
            shown.append(many.Source(Path(folder) / f"{number}.png"))
            picture.save(shown[-1].path)
        ask(shown[:1], engines, many.LARGEST)  # what is loaded once
        for _ in range(rounds):
            for way, most in largest.items():
                for engine in engines.values():
                    engine.prefixes.clear()
                begun = now()
                said[way] += ask(shown, engines, most)
                for name, then in begun.items():
                    spent[name][way] += now()[name] - then
    answers = len(said["groups"])
    found = {"pictures": count, "rounds": rounds, "answers": answers}
    found["same"] = sum(one == other for one, other in zip(said["groups"], said["alone"], strict=True))
    for name, seconds in spent.items():
        found[name] = {way: answers / taken for way, taken in seconds.items()}
        found[name]["ratio"] = seconds["alone"] / seconds["groups"]
    return found


def ask(shown: Sequence[many.Source], engines: dict, largest: int) -> list[str]:
    """What both models answer to every question about every picture, in groups of at most so many questions."""
    groups = many.ask(shown, QUESTIONS, engines, PAIR, threading.Event(), largest=largest)
    return [asked.said(side) for group in groups for asked in group for side in PAIR]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.many", description=__doc__.split("\n\n")[0])
    parser.add_argument("--pictures", type=int, default=8, help="how many are asked about")
    parser.add_argument("--rounds", type=int, default=2, help="times that each way is measured")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(arguments)
    if min(args.pictures, args.rounds) < 1:
        print("Every number must be at least 1.", file=sys.stderr)
        return 2
    found = measure(args.pictures, args.rounds)
    if args.json:
        print(json.dumps(found))
        return 0
    for name in CLOCKS:
        told = found[name]
        print(
            f"by the {name}: {told['groups']:.2f} answers a second in groups, {told['alone']:.2f} one by one, "
            f"{told['ratio']:.1f} times as many (n = {found['answers']})"
        )
    print(f"{found['same']} of {found['answers']} answers the same")
    return 0


if __name__ == "__main__":
    sys.exit(main())
