"""How well does a small convolutional network tell AID's scenes, on the very pictures that the pair is measured on?

    python -m bench.peer --data DIR [--weights runs/pocket/teacher.safetensors] [--minutes 11]

DIR is what `python -m training.pocket --data` took; it must hold `aid`. Without --weights the network is trained anew. It
knows the 30 labels and nothing else: no words, no boxes. Beside it stands what `python -m bench.pocket --write` measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tinyrs.metrics import wilson
from tinyrs.models import SHIPPED, resolve


def main(arguments: Sequence[str] | None = None) -> int:
    """Train or load the network, print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m bench.peer", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with aid")
    parser.add_argument("--weights", type=Path, help="teacher.safetensors of a build of the pair")
    parser.add_argument("--minutes", type=float, default=11, help="minutes of training without --weights")
    args = parser.parse_args(arguments)
    if not (args.data / "aid").is_dir():
        print(f"{args.data} holds no aid.", file=sys.stderr)
        return 2

    import torch

    from training.checkpoint import with_weights
    from training.pocket import pictures
    from training.pocket.batches import SceneBatches
    from training.pocket.teacher import SIDE, Teacher, accuracy, stack, train_teacher

    train, kept = ([each for each in side if each.label] for side in pictures.load(args.data))
    drawn = pictures.drawn(range(1500))  # as the build does
    names = sorted({each.label for each in [*train, *drawn] if each.label})
    if args.weights:
        network = with_weights(Teacher(len(names)), args.weights)
    else:
        known = [*train, *(each for each in drawn if each.label)]
        labels = torch.tensor([names.index(each.label) for each in known])
        batches = SceneBatches(stack([each.pixels for each in known]), labels, names)
        network = train_teacher(batches, args.minutes, say=lambda line: print(line, file=sys.stderr))

    aid = torch.tensor([name in {each.label for each in train} for name in names])

    def among_aid(views: torch.Tensor) -> torch.Tensor:
        return network(views).masked_fill(~aid, -torch.inf)

    truth = torch.tensor([names.index(each.label) for each in kept])
    share = accuracy(among_aid, stack([each.pixels for each in kept]), truth, SIDE)
    low, high = wilson(round(share * len(kept)), len(kept))
    size = sum(each.numel() for each in network.parameters()) / 1e6
    print("| system | parameters, million | pixels | n | AID right, % | 95 % interval |")
    print("|---|---|---|---|---|---|")
    print(f"| CNN | {size:.2f} | {SIDE} x {SIDE} | {len(kept)} | {100 * share:.1f} | {100 * low:.1f}-{100 * high:.1f} |")
    for name in SHIPPED:
        folder = Path(resolve(name).source)
        told = json.loads((folder / "tinyrs.json").read_text(encoding="utf-8"))
        scores = told["measured"].get("cls_AID")
        if scores:
            low, high = scores["strict_interval"]
            print(
                f"| {name} | 7.65 | at most {told['max_pixels']:,} in all | {scores['n']} | "
                f"{100 * scores['strict']:.1f} | {100 * low:.1f}-{100 * high:.1f} |"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
