"""Training on corrections: the text that people accepted becomes likelier than the one that it corrects (DPO).

    python -m annotate export --kind dpo --out exports/pairs
    python -m training.dpo --config training/recipes/5_dpo.yaml --data exports/pairs --output_dir runs/dpo

This goes beyond the paper. Every setting of the recipe is a flag of the same name. `--dry-run` prints what would be
trained, and trains nothing. From Python, `run(recipe, pairs, model=..., output=...)` takes `Pairs`, or any sequence
of rows `{"image": PIL.Image, "prompt": [messages], "chosen": [message], "rejected": [message]}`.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tinyrs.datasets import scale_of
from tinyrs.example import Example
from tinyrs.parse import parse
from tinyrs.strictjson import BadData, load_json, row_name
from training.checkpoint import base_folder, open_processor, pixel_budget, skeleton
from training.command import check, follow, wrote
from training.memory import describe as describe_memory
from training.rates import describe_rates
from training.recipe import DPO_FIELDS, BadRecipe, DpoRecipe

# ---- rows


class Pairs:
    """Examples and, for each, the same with the text that it corrects; a row is made when it is asked for."""

    def __init__(self, chosen, rejected):
        self.chosen, self.rejected = chosen, rejected

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def examples(self) -> Sequence[Example]:
        """What is to be learnt."""
        return self.chosen.examples

    @property
    def tasks(self) -> list[str]:
        """The task of each row, for balancing."""
        return self.chosen.tasks

    @property
    def identity(self) -> str:
        """A checksum over what the rows say: a run is resumed only over the same rows."""
        both = self.chosen.identity + self.rejected.identity
        return hashlib.sha256(both.encode()).hexdigest()

    def only(self, indices: Sequence[int]) -> Pairs:
        """The rows at `indices`."""
        return Pairs(self.chosen.only(indices), self.rejected.only(indices))

    def __getitem__(self, index: int) -> dict:
        row = self.chosen[index]
        told = self.rejected.chat(index)["completion"]
        return {
            "image": row["image"],
            "prompt": row["prompt"],
            "chosen": row["completion"],
            "rejected": told,
        }


def read_pairs(path: str | Path, image_dir: str | None = None, box_scale=None) -> tuple[list, list]:
    """(examples, the same examples with the rejected text) of an export of kind dpo.

    BadData where a row names no rejected text, or one that breaks the form or is the accepted one.
    """
    from training.data import MANIFEST, read

    path = Path(path)
    chosen = read(path, image_dir, box_scale)
    folder = path if path.is_dir() else path.parent
    file = path if path.is_file() else folder / load_json(folder / MANIFEST)["file"]
    rows = load_json(file)
    if len(rows) != len(chosen):
        raise BadData(f"{file} holds conversations of several turns; a pair has one question.")
    rejected = []
    for index, (row, example) in enumerate(zip(rows, chosen, strict=True)):
        try:
            rejected.append(_rejected(row.get("rejected"), example))
        except ValueError as error:
            raise BadData(f"{row_name(file, index)}: {error}.") from None
    return chosen, rejected


def _rejected(text: object, example: Example) -> Example:
    if not isinstance(text, str) or not text.strip():
        raise ValueError('it has no "rejected" text: export it with --kind dpo')
    answer = parse(text)
    # A box may well be what is wrong with it, so the form alone is asked for.
    if not answer.well_formed or not answer.text:
        raise ValueError("its rejected text breaks the form")
    reasoning = text.partition("<reasoning>")[2].partition("</reasoning>")[0].strip()
    if (reasoning, answer.text) == (example.reasoning, example.answer):
        raise ValueError("its rejected text is the accepted one")
    return replace(example, reasoning=reasoning, answer=answer.text, boxes=())


# ---- training


class PairCollator:
    """Pairs -> one batch: first all accepted texts, then all rejected ones, each with its prompt and picture."""

    def __init__(self, processor):
        from training.sft import Collator

        self.collator = Collator(processor)

    def __call__(self, rows: Sequence[dict]) -> dict:
        both = [
            {"image": row["image"], "prompt": row["prompt"], "completion": row[side]}
            for side in ("chosen", "rejected")
            for row in rows
        ]
        batch = self.collator(both)
        batch["completion_mask"] = (batch.pop("labels") != -100).long()
        return batch


def run(
    recipe: DpoRecipe, rows: Sequence[dict], *, model: str | Path, output: Path, quiet: bool = False
) -> Path:
    """Train `model` (a folder or hub id) on `rows` as `recipe` says; returns `output`, then a checkpoint.

    Raises BadRecipe where the recipe, the folder or the rows make no sense. A run that was killed goes on from its
    newest checkpoint and ends with the very weights that it would have had (same machine, same number of threads).
    """
    if not isinstance(recipe, DpoRecipe):
        raise BadRecipe(f"This recipe is for stage {recipe.stage}, which another command trains.")
    from trl import DPOConfig, DPOTrainer

    from training.seeing import see_once
    from training.trainer import HouseTrainer, begin, train

    class Trainer(HouseTrainer, DPOTrainer):
        def _get_train_sampler(self, train_dataset=None):
            return self.order or super()._get_train_sampler(train_dataset)

    losses = {recipe.loss: 1.0} | ({"sft": recipe.sft_weight} if recipe.sft_weight else {})
    # TRL's own max_length cuts answers off at 1024 tokens.
    settings = {"max_length": None, "beta": recipe.beta}
    settings |= {"loss_type": list(losses), "loss_weights": list(losses.values())}
    start = begin(DPOConfig, recipe, rows, model, output, **settings)
    # As many rows as keep one step's pictures from being opened twice.
    trainer = Trainer(recipe, start, rows, keep=1, data_collator=PairCollator(start.processor))
    for each in (start.network, trainer.ref_model):
        if each is not None:
            see_once(each)
    return train(trainer, start, rows, quiet)


# ---- command line


def main(argv: Sequence[str] | None = None) -> int:
    """The command `python -m training.dpo`; returns its exit status."""
    return follow("training.dpo", __doc__, DPO_FIELDS, _command, argv)


def _command(recipe: DpoRecipe, dry_run: bool) -> int:
    check(recipe, ("dpo",), dry_run)
    from tinyrs.leaks import check as check_leaks
    from training.data import Rows, cautions, lengths, summary

    chosen, rejected = read_pairs(recipe.data, recipe.image_dir, scale_of(recipe.box_scale))
    check_leaks(chosen, recipe.benchmarks)
    for caution in cautions(recipe.data):
        print(f"Note: {caution}", file=sys.stderr)
    base = base_folder(recipe.model)
    processor = open_processor(base, pixel_budget(base, recipe))
    sides = [Rows(examples, recipe.dialect, recipe.thinking) for examples in (chosen, rejected)]
    pairs = Pairs(*sides)
    measured = [
        max(both, key=sum) for both in zip(*(lengths(side, processor) for side in sides), strict=True)
    ]
    if recipe.max_row_tokens:
        kept = [i for i, length in enumerate(measured) if sum(length) <= recipe.max_row_tokens]
        if not kept:
            raise BadRecipe(f"No row has at most {recipe.max_row_tokens:,} tokens.")
        print(f"Left out for more than {recipe.max_row_tokens:,} tokens: {len(pairs) - len(kept):,} rows.")
        pairs, measured = pairs.only(kept), [measured[i] for i in kept]
    print(summary(pairs, measured, recipe))
    if dry_run:
        network, longest = skeleton(base), max(measured, key=sum)
        print(describe_rates(network, recipe))
        at_once = min(recipe.per_device_batch_size, recipe.batch_size)
        print(describe_memory(network, recipe, *longest, 2 * at_once))  # a pair is two rows
        return 0
    return wrote(run(recipe, pairs, model=recipe.model, output=Path(recipe.output_dir)))


if __name__ == "__main__":
    sys.exit(main())
