"""How much sooner do words come from OpenVINO with weights of 8 or 4 bits than from transformers in bfloat16?

    python -m bench.openvino                                  # the 2B model's true sizes, random weights: 9 GiB of memory
    python -m bench.openvino --layers 8 --depth 8             # fewer layers of the same width
    python -m bench.openvino --to openvino-int4               # the language model's weights in 4 bits
    python -m bench.openvino --model pocket                   # any Qwen2-VL that is here
    python -m bench.openvino --model DIR --converted DIR-int8 # one that was converted before

Both engines answer the same questions about the same pictures, one after the other in turns, in one process and on
TINYRS_THREADS threads. Times are medians, on the clock and of processor time, and the least that was seen: where other
work takes the caches and the memory from under it, processor time grows, too. "Kept" is the first token of another
question about a picture that was read before.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from bench.architecture import checkpoint
from bench.follow_up import QUESTIONS
from bench.memory import peak
from tinyrs.convert import TARGETS


def measure(model: str, pictures: int, tokens: int, to: str, converted: Path | None = None) -> dict:
    """Seconds of each engine: to the first token of a first and of a later question, and of each token after it."""
    from tinyrs.convert import convert
    from tinyrs.engine import Options, open_engine

    with tempfile.TemporaryDirectory(prefix="tinyrs-") as place:
        began = time.perf_counter()
        small = converted or convert(model, Path(place) / "converted", to)
        took = time.perf_counter() - began
        engines = {"transformers": open_engine(model), "openvino": open_engine(str(small))}
        times = {name: defaultdict(list) for name in engines}
        for name, engine in engines.items():
            # What only the first call pays, on a small picture.
            _ask(engine, _picture(-1).resize((112, 112)), QUESTIONS[0], Options(2), defaultdict(list))
        for number in range(pictures):
            for question in QUESTIONS[:3]:
                for name, engine in engines.items():
                    _ask(engine, _picture(number), question, Options(tokens), times[name])
        found = {
            "model": model,
            "dtype": str(engines["transformers"].model.dtype).removeprefix("torch."),
            "threads": os.environ.get("TINYRS_THREADS", ""),
            "convert_seconds": None if converted else took,
            "mib": {name: _size(Path(engine.spec.source)) for name, engine in engines.items()},
            "peak_mib": peak(),
        }
        for engine in engines.values():
            engine.close()
    return found | {
        name: {
            what: {"median": statistics.median(values), "least": min(values), "n": len(values)}
            for what, values in by_kind.items()
        }
        for name, by_kind in times.items()
    }


def _ask(engine, picture, question, options, times) -> None:
    """Add the seconds of one answer to `times`: those to its first token, and those of each token after it."""
    before, last = time.process_time(), None
    for reply in engine.stream(picture, question, options):
        now = time.process_time()
        if last is None and reply.first_token is not None:
            kind = "kept" if reply.kept else "first"
            times[f"{kind}, clock"].append(reply.first_token)
            times[f"{kind}, processor"].append(now - before)
        elif last is not None and (written := reply.tokens - last[0].tokens) > 0:
            times["token, clock"].append((reply.seconds - last[0].seconds) / written)
            times["token, processor"].append((now - last[1]) / written)
        elif reply.first_token is None or reply.tokens == last[0].tokens:
            continue
        last = reply, now


def _picture(number: int):
    from PIL import Image

    from training.pocket.scenes import draw

    return Image.fromarray(draw(6_000_000 + number).pixels).resize((448, 448))


def _size(folder: Path) -> float:
    files = [*folder.glob("*.safetensors"), *folder.glob("openvino/*")]
    return sum(path.stat().st_size for path in files) / 2**20


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.openvino", description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", help="a name of the model table or a folder (default: random weights, 2B sizes)")
    parser.add_argument("--converted", type=Path, help="what `tinyrs convert` made of --model (default: made now)")
    parser.add_argument("--to", choices=TARGETS, default="openvino-int8", help="into what (openvino-int8)")
    parser.add_argument("--layers", type=int, default=28, help="layers of text with random weights (28)")
    parser.add_argument("--depth", type=int, default=32, help="layers of vision with random weights (32)")
    parser.add_argument("--pictures", type=int, default=3, help="three questions are asked about each (3)")
    parser.add_argument("--max-new-tokens", type=int, default=16, help="the longest answer (16)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(arguments)
    if args.converted and not args.model:
        print("--converted goes with --model: of which model was it made?", file=sys.stderr)
        return 2
    if min(args.layers, args.depth, args.pictures, args.max_new_tokens - 1) < 1:
        print("Ask about at least one picture, for at least two tokens, of at least one layer.", file=sys.stderr)
        return 2
    with nullcontext(args.model) if args.model else checkpoint(args.layers, args.depth) as model:
        found = measure(str(model), args.pictures, args.max_new_tokens, args.to, args.converted)
    if args.json:
        print(json.dumps(found))
        return 0
    name = args.model or f"2B sizes, {args.layers} layers of text, {args.depth} of vision, random weights"
    took = f"; converted in {found['convert_seconds']:.0f} s" if found["convert_seconds"] else ""
    sizes = " and ".join(f"{found['mib'][each]:.0f}" for each in ("transformers", "openvino"))
    print(f"{name}; {found['threads'] or 'all'} threads{took}; weights of {sizes} MiB")
    print(f"\n| seconds | | transformers {found['dtype']} | OpenVINO | ratio | n |\n|---|---|---|---|---|---|")
    for what in sorted(found["transformers"]):
        slow, fast = found["transformers"][what], found["openvino"][what]
        for kind in ("median", "least"):
            ratio = fast[kind] / slow[kind]
            print(f"| {what} | {kind} | {slow[kind]:.4f} | {fast[kind]:.4f} | {ratio:.3f} | {slow['n']}, {fast['n']} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
