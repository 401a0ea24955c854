"""Does memory stay bounded, however many pictures come?

    python -m bench.pictures [--pictures 1000] [--model pocket] [--json]

As many different pictures, one word about each. What the process holds is read when what is kept of pictures is full,
so that the next one takes the place of the oldest, and at the end: between the two nothing should grow.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from bench.follow_up import QUESTIONS
from bench.memory import held


def measure(model: str, count: int) -> dict:
    """MiB held when the share for pictures was full (after how many) and at the end; MiB kept of them, and that share."""
    import numpy as np
    from PIL import Image

    from tinyrs.engine import Options, open_engine

    engine, chance = open_engine(model), np.random.default_rng(0)
    kept, full, then = engine.prefixes, None, None
    for number in range(count):
        pixels = chance.integers(0, 256, (140 + 14 * (number % 11), 224, 3), dtype=np.uint8)
        for _ in engine.stream(Image.fromarray(pixels), QUESTIONS[0], Options(max_new_tokens=1)):
            pass
        if full is None and len(kept) <= number:
            full, then = number + 1, held()
    return {
        "model": model,
        "pictures": count,
        "full_after": full,
        "mib_when_full": then,
        "mib": held(),
        "kept": len(kept),
        "kept_mib": kept.bytes / 2**20,
        "limit_mib": kept.limit / 2**20,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.pictures", description=__doc__.split("\n\n")[0])
    parser.add_argument("--pictures", type=int, default=1000, help="how many")
    parser.add_argument("--model", default="pocket", help="a name of the model table or a folder")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(arguments)
    if args.pictures < 1:
        print("Ask about at least one picture.", file=sys.stderr)
        return 2
    found = measure(args.model, args.pictures)
    if args.json:
        print(json.dumps(found))
        return 0
    when = "never full" if found["full_after"] is None else (
        f"{found['mib_when_full']:.0f} MiB after {found['full_after']} pictures, when its share was full"
    )
    print(
        f"{found['model']}: {when}; {found['mib']:.0f} MiB after {found['pictures']}; of {found['kept']} of them "
        f"{found['kept_mib']:.0f} MiB is kept, at most {found['limit_mib']:.0f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
