"""A base for pocket ablations: the shipped pair's eyes under a language model that has forgotten how to answer.

    python -m training.untaught --anew 2 --out runs/ablate/base
    python -m training.untaught --steps 300 --data DIR --out runs/ablate/base
    python -m training.ablate --table 2 --data DIR --base runs/ablate/base

`python -m training.pocket` leaves its own base in runs/pocket, after an hour. Here the tower, its merger and the words of a
shipped checkpoint are kept, and the last layers of its language model (--anew; all of them by default) start anew. With
--steps it then learns where things are (training/pocket/place.py), as it does before stage P. That stands in for what
Qwen2-VL knew before the paper's stages.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tinyrs.models import SHIPPED, UnknownModel
from tinyrs.prompt import SYSTEM
from tinyrs.strictjson import BadData
from training.recipe import BadRecipe

PIXELS = 224 * 224
"""The pixel budget: that of stage P."""
VIEWS = 4000
"""At most so many views are read for --steps."""
ABOUT = "A base for ablations: eyes, and a language model that has forgotten how to answer."


def untaught(source: Path, folder: Path, known: Sequence, anew: int | None, steps: int, seed: int, say=print) -> Path:
    """Write the base made of checkpoint `source` into `folder`; it is whole once tinyrs.json is there.

    anew   so many layers of the language model start anew, the last ones; None: it does as a whole, words and all
    """
    import torch

    from tinyrs.loading import load_processor
    from training.checkpoint import declared, open_network, save_like
    from training.pocket.features import read
    from training.pocket.mixtures import MIXTURES, TOGETHER
    from training.pocket.model import look_outward, number_line
    from training.pocket.place import ROWS, train_place
    from training.pocket.rows import VariedRows

    taught, processor = open_network(source), load_processor(source)
    torch.manual_seed(seed)
    model = type(taught)(taught.config)
    number_line(model, processor.tokenizer)
    look_outward(model)
    model.model.visual.load_state_dict(taught.model.visual.state_dict())
    layers = model.model.language_model.layers
    if anew is not None:
        if not 0 <= anew <= len(layers):
            raise BadRecipe(f"{source} has {len(layers)} layers: --anew lies between 0 and that.")
        fresh = [layer.state_dict() for layer in layers[len(layers) - anew :]]
        fresh = [{name: value.clone() for name, value in layer.items()} for layer in fresh]
        model.load_state_dict(taught.state_dict())
        for layer, values in zip(layers[len(layers) - anew :], fresh, strict=True):
            layer.load_state_dict(values)
    model.generation_config = taught.generation_config
    if steps:
        processor.image_processor.size = {"shortest_edge": 112 * 112, "longest_edge": PIXELS}
        shown = VariedRows(known, MIXTURES["0_place"], 0, False, seed + 7, together=TOGETHER)
        views = read(model, processor, shown, min(ROWS * steps, VIEWS), say=say)
        asked = VariedRows(views, MIXTURES["0_place"], 0, False, seed + 8, together=TOGETHER)
        # Its merger has been quietened already: `again`.
        train_place(model, processor, [asked], steps, again=True, say=say)
    save_like(model, source, folder, PIXELS)
    told = declared(folder) | {"thinking": False, "system": SYSTEM, "about": ABOUT, "measured": {}}
    (folder / "tinyrs.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return folder


def main(argv: Sequence[str] | None = None) -> int:
    """The command `python -m training.untaught`; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.untaught", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with any of aid, nwpu_vhr10, rsvqa; default: drawn pictures")
    parser.add_argument("--out", type=Path, required=True, help="where the base goes")
    parser.add_argument("--model", default=SHIPPED[-1], help="whose tower and words (the shipped one that reasons: it knows all the words)")
    parser.add_argument("--anew", type=int, help="layers of the language model that start anew, the last ones (all)")
    parser.add_argument("--steps", type=int, default=0, help="steps of 8 rows that teach where things are (0)")
    parser.add_argument("--drawn", type=int, default=600, help="drawn pictures to learn from (600)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and views")
    args = parser.parse_args(argv)
    if args.steps < 0 or args.drawn < 1:
        parser.error("there must be 0 or more steps, and at least 1 drawn picture")
    try:
        if (args.out / "tinyrs.json").exists():
            raise BadRecipe(f"{args.out} already holds a checkpoint: give another --out.")
        if args.data is not None and not args.data.is_dir():
            raise BadData(f"There is no folder {args.data}.")
        from training.checkpoint import base_folder
        from training.pocket import pictures
        from training.pocket.pool import split

        known = []
        if args.steps:
            known, _ = split(pictures.load(args.data)[0] + pictures.drawn(range(args.drawn)))
        untaught(
            base_folder(args.model), args.out, known, args.anew, args.steps, args.seed,
            lambda line: print(line, file=sys.stderr),
        )  # fmt: skip
    except (BadRecipe, BadData, UnknownModel) as error:
        print(error, file=sys.stderr)
        return 2
    print(args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
