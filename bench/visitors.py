"""Several visitors ask at once: how long do they wait, one after the other and sharing the model?

    python -m bench.visitors [--visitors 6] [--model pocket-r1] [--json]

Each asks about a picture of his own, all in the same moment. "Shared" is how the engine answers them (tinyrs/sharing.py:
those who come while it is busy are answered together), "in turn" one after the other.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Sequence

from bench.engine import TELL
from bench.follow_up import pictures


def measure(model: str, visitors: int) -> dict:
    """Seconds to the first words and to the end, median and longest, each way; and how many answers are the same."""
    from tinyrs.engine import Options, open_engine
    from tinyrs.sharing import Queue

    engine, options = open_engine(model), Options()
    shown = list(pictures(visitors + 1))
    queues = {"in_turn": None, "shared": Queue(engine._answer_all)}
    engine.batch([(shown.pop(), TELL)], options)
    found, texts = {"model": model, "visitors": visitors}, {}
    for way, engine._queue in queues.items():
        engine.prefixes.clear()
        moments: list = [None] * visitors
        together = threading.Barrier(visitors + 1)

        def visit(number: int) -> None:
            first = None
            together.wait()
            begun = time.perf_counter()
            for reply in engine.stream(shown[number], TELL, options):
                first = first or (time.perf_counter() - begun if reply.tokens else None)
            moments[number] = first, time.perf_counter() - begun, reply.text

        threads = [threading.Thread(target=visit, args=(number,)) for number in range(visitors)]
        for thread in threads:
            thread.start()
        spent = time.process_time()
        together.wait()
        for thread in threads:
            thread.join()
        texts[way] = [text for *_, text in moments]
        found[way] = {"processor": time.process_time() - spent}
        for place, name in enumerate(("first", "done")):
            all_ = [each[place] for each in moments]
            found[way][name] = {"median": statistics.median(all_), "max": max(all_)}
    found["same"] = sum(a == b for a, b in zip(*texts.values(), strict=True))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.visitors", description=__doc__.split("\n\n")[0])
    parser.add_argument("--visitors", type=int, default=6, help="who ask in the same moment")
    parser.add_argument("--model", default="pocket-r1", help="a name of the model table or a folder")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(arguments)
    if args.visitors < 1:
        print("Somebody has to ask.", file=sys.stderr)
        return 2
    found = measure(args.model, args.visitors)
    if args.json:
        print(json.dumps(found))
        return 0
    for way in ("in_turn", "shared"):
        told = found[way]
        print(
            f"{way.replace('_', ' '):8} first words {told['first']['median']:.2f} s ({told['first']['max']:.2f} at most), "
            f"done {told['done']['median']:.2f} s ({told['done']['max']:.2f}), {told['processor']:.2f} s of processor"
        )
    print(f"{found['same']} of {found['visitors']} answers the same")
    return 0


if __name__ == "__main__":
    sys.exit(main())
