"""Does the pocket tower learn sooner by Muon than by AdamW, from nothing, in the same minutes?

    python -m bench.eyes --data DIR --minutes 10 [--work runs/pocket]

DIR is what `python -m training.pocket --data` took. The convolutional teachers of --work are asked where they are there. Each optimiser
has its minutes, one after the other, with the same pictures in the same order; the scores are of pictures that were kept out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Train a tower by each optimiser and rate, print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m bench.eyes", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, help="folder with any of aid, nwpu_vhr10; default: drawn pictures")
    parser.add_argument("--work", type=Path, default=Path("runs/pocket"), help="folder of a build, for its teachers")
    parser.add_argument("--minutes", type=float, default=10, help="minutes for each")
    parser.add_argument("--drawn", type=int, default=1500, help="drawn pictures to learn from")
    parser.add_argument("--rates", default="0.0008,0.002", help="highest rates to try")
    args = parser.parse_args(arguments)

    import torch

    from training.checkpoint import open_network, with_weights
    from training.pocket import __main__ as command
    from training.pocket.batches import ObjectBatches, SceneBatches
    from training.pocket.build import Build, say
    from training.pocket.detector import Detector
    from training.pocket.eyes import look_around, muon_and_adam, train_eyes
    from training.pocket.model import LARGE
    from training.pocket.muon import BETAS
    from training.pocket.teacher import Teacher, accuracy

    def of_work(name: str, network):
        path = args.work / f"{name}.safetensors"
        return with_weights(network, path) if path.exists() else None

    movers = {
        "AdamW": lambda eyes: [torch.optim.AdamW(eyes.parameters(), weight_decay=0.05, betas=BETAS)],
        "Muon and AdamW": muon_and_adam,
    }
    with tempfile.TemporaryDirectory() as scratch:
        settings = ["--work", scratch, "--drawn", str(args.drawn), "--pasted", str(args.drawn)]
        build = Build(command.parser().parse_args([*settings, *(["--data", str(args.data)] if args.data else [])]))
        build.pictures()
        train, kept = build.scenes(build.train, LARGE), build.scenes(build.kept, LARGE)
        teacher, detector = of_work("teacher", Teacher(len(train[2]))), of_work("detector", Detector())
        print(f"| optimiser | rate | steps | scenes right at 140, %, n = {len(kept[0])} | at {LARGE}, % | objects: IoU >= 0.5, % | n |")
        print("|---|---|---|---|---|---|---|")
        for rate in map(float, args.rates.split(",")):
            for name, moved_by in movers.items():
                steps, model = 0, open_network(build.start())
                look_around(model.model.visual)

                def counted(eyes, moved_by=moved_by):
                    """The optimisers; the last one counts its steps."""
                    made = moved_by(eyes)
                    made[-1].register_step_post_hook(count)
                    return made

                def count(*_) -> None:
                    nonlocal steps
                    steps += 1

                eyes = train_eyes(
                    model.model.visual, SceneBatches(*train), ObjectBatches(build.train), args.minutes,
                    teacher, detector, peak=rate, moved_by=counted, say=say,
                )  # fmt: skip
                small, large = (accuracy(eyes, *kept[:2], side) for side in (140, LARGE))
                found = build.spotted(eyes.find)
                print(
                    f"| {name} | {rate:g} | {steps:,} | {100 * small:.1f} | {100 * large:.1f} | {100 * found['half']:.1f} | {found['n']} |",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
