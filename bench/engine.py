"""How fast does a model answer in this process, and how near is that to what the machine can do at all?

    python -m bench.engine [--models pocket,pocket-r1] [--pictures 10] [--max-new-tokens 32] [--json]
    python -m bench.engine --architecture 2b --pictures 2 --max-new-tokens 8     # random weights, 5 GiB of memory

Seconds to the first token about a picture that was not seen before, seconds for each later token, and the most memory
held; beside them plain `generate` on the same questions, turn by turn. Two floors are measured in the same run: how
long the first token's multiplications take as one large product of matrices, and how long it takes to read all weights
of the language model once, which every token has to.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence

from bench.follow_up import pictures, plain, seconds, which
from bench.memory import peak
from tinyrs.example import Question, Task

TELL = Question("Describe the image in detail.", Task.CAPTIONING)
SIDE = 1024
"""Of the square matrices whose product is the floor of the first token."""


def measure(model: str, count: int, max_new_tokens: int, side: int | None = None) -> dict:
    """Medians on the clock and of processor time, floors, MiB. `side`: pictures of that many pixels squared."""
    from tinyrs.engine import Options, open_engine

    engine, options = open_engine(model), Options(max_new_tokens=max_new_tokens)
    shown = [each.resize((side, side)) if side else each for each in pictures(count + 1)]
    times = {way: {"first": [], "token": []} for way in ("engine", "generate")}
    processor = {way: {"first": [], "token": []} for way in times}

    def ask(way: str, picture) -> None:
        moments = []
        for reply in engine.stream(picture, TELL, options):
            if reply.first_token is not None and not moments:
                moments.append((reply.first_token, reply.tokens, time.process_time()))
        if reply.tokens - moments[0][1] > 1:
            steps = reply.tokens - moments[0][1]
            times[way]["token"].append((reply.seconds - moments[0][0]) / steps)
            processor[way]["token"].append((time.process_time() - moments[0][2]) / steps)
        times[way]["first"].append(moments[0][0])
        processor[way]["first"].append(moments[0][2] - begun)

    for number, picture in enumerate(shown):
        begun = time.process_time()
        ask("engine", picture)
        begun = time.process_time()
        with plain(engine):
            ask("generate", picture)
        if number == 0:  # the process's first question waits for more than the model
            for found in (times, processor):
                for way in found.values():
                    way["first"].clear(), way["token"].clear()
    floors = _floors(engine, shown[0])
    return {
        "model": model,
        "n": count,
        "dtype": str(engine.model.dtype).removeprefix("torch."),
        "clock": {way: {name: statistics.median(all_) for name, all_ in each.items()} for way, each in times.items()},
        "processor": {
            way: {name: statistics.median(all_) for name, all_ in each.items()} for way, each in processor.items()
        },
        "floors": floors,
        "peak_mib": peak(),
    }


def _floors(engine, picture) -> dict:
    """Processor seconds that the machine needs at least: for the first token's products, and to read the weights once."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from tinyrs.engine import Options

    engine.prefixes.clear()
    with FlopCounterMode(display=False) as counter:
        engine.batch([(picture, TELL)], Options(max_new_tokens=1))
    network, dtype = engine.model, engine.model.dtype
    with torch.inference_mode():
        square = torch.randn(SIDE, SIDE).to(dtype)
        each = seconds(lambda: square @ square, 5)
        read = sum(part.numel() * part.element_size() for part in network.model.language_model.layers.parameters())
        read += network.lm_head.weight.numel() * network.lm_head.weight.element_size()
        # As many numbers as the weights have, in rows short enough for the cache and in 32 bits, whatever theirs.
        weights = torch.ones(read // 4 // SIDE, SIDE)
        reading = seconds(lambda: weights.sum(), 5)
    rate = 2 * SIDE**3 / each
    return {
        "gflop": counter.get_total_flops() / 1e9,
        "gflop_a_second": rate / 1e9,
        "first": counter.get_total_flops() / rate,
        "weights_mib": read / 2**20,
        "gib_a_second": read / reading / 2**30,
        "token": reading,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.engine", description=__doc__.split("\n\n")[0])
    parser.add_argument("--models", default="pocket,pocket-r1", help="names of the model table or folders")
    parser.add_argument("--architecture", choices=("2b",), help="instead: random weights of the 2B model's sizes")
    parser.add_argument("--pictures", type=int, default=10, help="one question is asked about each")
    parser.add_argument("--side", type=int, help="pixels of a picture's side (as drawn; 448 with --architecture)")
    parser.add_argument("--max-new-tokens", type=int, default=32, help="the longest answer")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(arguments)
    if args.pictures < 1 or args.max_new_tokens < 4:
        print("Ask about at least one picture, for at least four tokens.", file=sys.stderr)
        return 2
    with which(args.models, args.architecture) as models:
        for model in models:
            side = args.side or (448 if args.architecture else None)
            found = measure(model, args.pictures, args.max_new_tokens, side)
            found["model"] = f"{args.architecture} architecture" if args.architecture else model
            if args.json:
                print(json.dumps(found), flush=True)
                continue
            floors = found["floors"]
            print(f"{found['model']}, {found['dtype']}, n = {found['n']}, at most {found['peak_mib']:.0f} MiB held")
            for name in ("first", "token"):
                for clock in ("clock", "processor"):
                    ours, bare = (found[clock][way][name] for way in ("engine", "generate"))
                    print(
                        f"  {'first' if name == 'first' else 'later'} token, {clock}: {1000 * ours:.1f} ms, plain generate {1000 * bare:.1f} ms, "
                        f"floor {1000 * floors[name]:.1f} ms ({ours / floors[name]:.1f} x)"
                    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
