"""Does a converted model answer as the one that it was made from? Refuses to call them equal on too little evidence.

    python -m bench.parity pocket runs/pocket-int8 --data cls_AID.json --kind cls
    python -m bench.parity pocket runs/pocket-int8 --data VG_NWPU.json --kind grounding --agreement 0.9 --limit 300

Both answer every row of a file in the published evaluation layout. Two answers agree where tinyrs.metrics.score would
call the second right if the first were the truth: the same label, number or letter, or boxes at IoU >= 0.5. Equal means
that the lower end of the 95 % interval of that share reaches --agreement: 73 answers of which all agree are the fewest
that can show 95 %. Exit codes: 0 equal, 1 not, 2 one sentence says what is wrong.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tinyrs.benchmarks import KINDS, read_evaluation
from tinyrs.datasets import scale_of
from tinyrs.engine import EngineFailure, open_engine
from tinyrs.example import Answer, Example
from tinyrs.metrics import score, wilson
from tinyrs.models import UnknownModel
from tinyrs.strictjson import BadData
from training.asking import ask, spread
from training.scores import answers


def compare(models: Sequence[str], examples: Sequence[Example], agreement: float, batch: int = 16) -> dict:
    """What two models answer to `examples`, side by side, and whether that is `equal`."""
    given, texts = [], []
    for model in models:
        engine = open_engine(model)
        with tempfile.TemporaryDirectory(prefix="tinyrs-") as place:
            lines = ask(engine, examples, Path(place), batch=batch)
        given.append(answers(lines, engine.spec.dialect, engine.spec.thinking, engine.spec.box_scale))
        texts.append([line["pred"] for line in lines])
    pairs = list(zip(examples, *given, strict=True))
    same = [agree(example, first, second) for example, first, second in pairs]
    low, high = wilson(sum(same), len(same))
    right = [tuple(score(example, answer).value for answer in (first, second)) for example, first, second in pairs]
    right = [(first, second) for first, second in right if first is not None and second is not None]
    overlaps = [found for example, first, second in pairs if (found := _as_truth(example, first, second).iou) is not None]
    return {
        "models": list(models),
        "n": len(same),
        "agreement": sum(same) / len(same),
        "agreement_interval": (low, high),
        "wanted": agreement,
        "equal": low >= agreement,
        "same_text": sum(first == second for first, second in zip(*texts, strict=True)) / len(same),
        "mean_iou": sum(overlaps) / len(overlaps) if overlaps else None,
        "strict": [sum(side) / len(right) for side in zip(*right, strict=True)] if right else None,
        "difference": difference(right) if right else None,
    }


def agree(example: Example, first: Answer, second: Answer) -> bool:
    """Would the second answer be right if the first were the truth? What only a judge could say must be the same text."""
    value = _as_truth(example, first, second).value
    return first.text == second.text if value is None else value == 1.0


def _as_truth(example: Example, first: Answer, second: Answer):
    return score(replace(example, answer=first.text, boxes=first.boxes), second)


def difference(right: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """By how much the second scores above the first, with its 95 % interval: of the pairs, whose errors go together."""
    gains = [second - first for first, second in right]
    mean = sum(gains) / len(gains)
    error = math.sqrt(sum((gain - mean) ** 2 for gain in gains)) / len(gains)
    return mean, mean - 1.96 * error, mean + 1.96 * error


def sentence(found: dict) -> str:
    """The verdict, for a person."""
    low, high = (100 * end for end in found["agreement_interval"])
    told = (
        f"{100 * found['agreement']:.1f} % of {found['n']} answers agree (95 % interval {low:.1f}-{high:.1f}), "
        f"{100 * found['same_text']:.1f} % are the same text"
    )
    if found["mean_iou"] is not None:
        told += f", mean IoU of their boxes {found['mean_iou']:.3f}"
    if found["strict"]:
        change, least, most = (100 * value for value in found["difference"])
        first, second = (100 * value for value in found["strict"])
        told += f"; strict score {first:.1f} and {second:.1f} ({change:+.1f}, {least:+.1f} to {most:+.1f})"
    verdict = "EQUAL" if found["equal"] else "NOT EQUAL"
    return f"{verdict}: {told}; wanted: at least {100 * found['wanted']:g} %."


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask both, and print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.parity", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs=2, metavar="MODEL", help="names of the model table, folders, servers")
    parser.add_argument("--data", type=Path, required=True, help="a JSON file of the evaluation layout")
    parser.add_argument("--kind", choices=KINDS, required=True, help="what it measures")
    parser.add_argument("--image_dir", type=Path, help="where the pictures are, if not where the file says")
    parser.add_argument("--box_scale", help="what its true boxes run to (default: as training.evaluate)")
    parser.add_argument("--agreement", type=_share, default=0.95, help="what counts as equal (0.95)")
    parser.add_argument("--limit", type=int, help="ask only this many rows, evenly spaced over the file")
    parser.add_argument("--batch", type=int, default=16, help="questions asked at once (16)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(arguments)
    try:
        examples = read_evaluation(args.data, args.kind, args.image_dir, scale_of(args.box_scale))
        examples = [examples[row] for row in spread(len(examples), args.limit)]
        if not examples:
            raise BadData(f"{args.data} has no rows.")
        found = compare(args.models, examples, args.agreement, args.batch)
    except (BadData, UnknownModel, EngineFailure) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename or 'A file'} cannot be used: {error.strerror}.", file=sys.stderr)
        return 2
    print(json.dumps(found) if args.json else sentence(found))
    return 0 if found["equal"] else 1


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share above 0, up to 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
