"""Does memory stay bounded, however many pictures come?

    python -m bench.pictures [--pictures 1000] [--model pocket] [--json]

As many different pictures, one word about each. What the process holds is read after a tenth of them, when what is kept
of pictures has filled its share, and at the end.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from bench.follow_up import QUESTIONS
from bench.memory import held


def measure(model: str, count: int) -> dict:
    """MiB held after a tenth of the pictures and at the end, MiB kept of pictures, and their limit."""
    import numpy as np
    from PIL import Image

    from tinyrs.engine import Options, open_engine

    engine, chance, early = open_engine(model), np.random.default_rng(0), 0.0
    for number in range(count):
        pixels = chance.integers(0, 256, (140 + 14 * (number % 11), 224, 3), dtype=np.uint8)
        for _ in engine.stream(Image.fromarray(pixels), QUESTIONS[0], Options(max_new_tokens=1)):
            pass
        if number + 1 == max(1, count // 10):
            early = held()
    kept = engine.prefixes
    return {
        "model": model,
        "pictures": count,
        "mib_after_a_tenth": early,
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
    print(
        f"{found['model']}: {found['mib_after_a_tenth']:.0f} MiB after {max(1, args.pictures // 10)} pictures, "
        f"{found['mib']:.0f} MiB after {found['pictures']}; of {found['kept']} of them {found['kept_mib']:.0f} MiB is "
        f"kept, at most {found['limit_mib']:.0f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
