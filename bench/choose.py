"""Where a question has a closed set of labels, what does choosing among them save, and what does it do to the answers?

    python -m bench.choose --data cls_AID.json [--rows 120] [--model pocket] [--json]

DATA is a classification file of the published evaluation layout, such as `python -m bench.pocket` writes; without it,
drawn scenes are asked about. Every question is answered freely and by choosing, turn by turn, each picture being read
anew.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tinyrs.example import Example, Question, Task
from tinyrs.metrics import score
from tinyrs.parse import parse
from tinyrs.prompt import CLASSIFY


def drawn(count: int) -> Iterator[tuple[object, Example]]:
    """Pictures of the scene generator, each with the question that lists the classes of all of them."""
    from PIL import Image

    from training.pocket.scenes import draw

    scenes = [draw(7_000_000 + number) for number in range(count)]
    labels = tuple(sorted({scene.label for scene in scenes}))
    question = Question(CLASSIFY.format(labels=", ".join(labels)), Task.CLASSIFICATION, labels)
    for scene in scenes:
        yield Image.fromarray(scene.pixels), Example(Path(), question, scene.label)


def published(data: Path, count: int) -> Iterator[tuple[object, Example]]:
    """The rows of a file, evenly spaced."""
    from tinyrs.benchmarks import read_evaluation
    from tinyrs.image import open_picture
    from training.asking import spread

    examples = read_evaluation(data, "cls")
    for row in spread(len(examples), count):
        yield open_picture(examples[row].picture).image, examples[row]


def measure(model: str, data: Path | None, count: int) -> dict:
    """Accuracy, processor seconds and tokens of an answer, freely and by choosing; how often both say the same."""
    from tinyrs.engine import Options, open_engine

    engine = open_engine(model)
    ways = {"free": Options(), "chosen": Options(choose=True)}
    found = {way: {"right": 0.0, "seconds": 0.0, "tokens": 0} for way in ways}
    rows = labels = same = 0
    for picture, example in published(data, count) if data else drawn(count):
        texts = {}
        for way, options in ways.items():
            engine.prefixes.clear()
            begun = time.process_time()
            (reply,) = engine.batch([(picture, example.question)], options)
            found[way]["seconds"] += time.process_time() - begun
            found[way]["tokens"] += reply.tokens
            answer = parse(reply.text, dialect=engine.spec.dialect, thinking=engine.spec.thinking)
            found[way]["right"] += score(example, answer).value or 0.0
            texts[way] = reply.text
        rows += 1
        if texts["free"] in example.question.labels:
            labels, same = labels + 1, same + (texts["free"] == texts["chosen"])
    for told in found.values():
        for name in told:
            told[name] /= rows
    return {"model": model, "data": data.stem if data else "drawn scenes", "rows": rows, "labels": labels, "same": same, **found}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.choose", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, help="a classification file of the evaluation layout (default: drawn scenes)")
    parser.add_argument("--rows", type=int, default=120, help="questions asked")
    parser.add_argument("--model", default="pocket", help="a name of the model table or a folder, one that does not think")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(arguments)
    if args.rows < 1:
        print("Ask at least one question.", file=sys.stderr)
        return 2
    found = measure(args.model, args.data, args.rows)
    if args.json:
        print(json.dumps(found))
        return 0
    print(f"{found['model']} on {found['data']}, n = {found['rows']}")
    for way in ("free", "chosen"):
        told = found[way]
        print(f"{way:7} {told['right']:.3f} right, {1000 * told['seconds']:.0f} ms of processor, {told['tokens']:.1f} tokens")
    print(f"{found['same']} of the {found['labels']} free answers that are labels were chosen, too")
    return 0


if __name__ == "__main__":
    sys.exit(main())
