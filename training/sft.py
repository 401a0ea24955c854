"""Stages pretrain, sft and cot_sft: teach a vision-language model to answer rows.

    python -m training.sft --config training/recipes/smoke.yaml --data DIR --output_dir runs/smoke

DIR is what `python -m annotate export` wrote, or a JSON file of the VHM layout. Every setting of the recipe
is a flag of the same name. `--dry-run` prints what would be trained, and trains nothing.

From Python, `run(recipe, rows, model=..., output=...)` takes any sequence of rows. A row is made when it is
asked for: `{"image": PIL.Image, "prompt": [chat messages], "completion": [chat messages]}`; so pictures may
be opened and varied on the way and are never held all at once. To keep a resumed run equal to an
uninterrupted one, `rows[i]` must depend on nothing but `i` and the epoch, which is told through
`rows.set_epoch(epoch)` if that exists.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tinyrs.datasets import scale_of
from training.checkpoint import (
    base_folder,
    open_processor,
    pixel_budget,
    skeleton,
)
from training.command import check, follow, wrote
from training.memory import describe as describe_memory
from training.rates import describe_rates
from training.recipe import FIELDS, BadRecipe, Recipe

# ---- rows -> batches


class Collator:
    """Rows -> one batch of tensors; only the completion, up to and with its end-of-turn token, has labels.

    Prompt and completion are tokenized apart, as they are when the model is asked. The template's newline
    after the end-of-turn token is cut off: no model is ever asked to write it (the released code even trained
    on two).
    """

    def __init__(self, processor):
        self.processor = processor
        self.end = processor.tokenizer.eos_token

    def text(self, row: dict) -> tuple[str, str]:
        """Prompt and completion of a row as the model sees them, one picture placeholder for its picture."""
        render = self.processor.apply_chat_template
        prompt = render(row["prompt"], tokenize=False, add_generation_prompt=True)
        whole = render([*row["prompt"], *row["completion"]], tokenize=False)
        if not whole.startswith(prompt) or self.end not in whole[len(prompt) :]:
            raise BadRecipe(
                f"The chat template does not end an answer with the tokenizer's end token {self.end}."
            )
        return prompt, whole[len(prompt) : whole.rindex(self.end) + len(self.end)]

    def __call__(self, rows: Sequence[dict]) -> dict:
        import torch

        texts = [self.text(row) for row in rows]
        asked = self.processor(
            text=[prompt for prompt, _ in texts],
            images=[[row["image"]] for row in rows],
            padding=True,
            add_special_tokens=False,
            return_tensors="pt",
        )
        answers = [answer for _, answer in texts]
        told = self.processor.tokenizer(answers, add_special_tokens=False)["input_ids"]
        masks = asked["attention_mask"].bool()
        prompts = [ids[mask] for ids, mask in zip(asked["input_ids"], masks, strict=True)]
        length = max(len(prompt) + len(answer) for prompt, answer in zip(prompts, told, strict=True))
        shape = (len(rows), length)
        input_ids = torch.full(shape, self.processor.tokenizer.pad_token_id)
        attention_mask, labels = torch.zeros(shape, dtype=torch.long), torch.full(shape, -100)
        for i, (prompt, answer) in enumerate(zip(prompts, told, strict=True)):
            start, end = len(prompt), len(prompt) + len(answer)
            answer = torch.tensor(answer)
            input_ids[i, :start], input_ids[i, start:end], labels[i, start:end] = prompt, answer, answer
            attention_mask[i, :end] = 1
        text = {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}
        batch = {**asked, **text}
        if "mm_token_type_ids" in asked:
            batch["mm_token_type_ids"] = (input_ids == self.processor.image_token_id).long()
        return batch


# ---- training


def run(
    recipe: Recipe, rows: Sequence[dict], *, model: str | Path, output: Path, quiet: bool = False
) -> Path:
    """Train `model` (a folder or hub id) on `rows` as `recipe` says; returns `output`, then a checkpoint.

    Raises BadRecipe where the recipe, the folder or the rows make no sense. A run that was killed goes on
    from its newest checkpoint and ends with the very weights that it would have had (same machine, same
    number of threads).
    """
    from trl import SFTConfig, SFTTrainer

    from training.trainer import HouseTrainer, begin, train

    class Trainer(HouseTrainer, SFTTrainer):
        def _get_train_sampler(self, train_dataset=None):
            return self.order or super()._get_train_sampler(train_dataset)

    # TRL's own max_length cuts answers off at 1024 tokens.
    settings = {"max_length": None, "completion_only_loss": True}
    start = begin(SFTConfig, recipe, rows, model, output, **settings)
    trainer = Trainer(recipe, start, rows, data_collator=Collator(start.processor))
    return train(trainer, start, rows, quiet)


# ---- command line


def main(argv: Sequence[str] | None = None) -> int:
    """The command `python -m training.sft`; returns its exit status."""
    return follow("training.sft", __doc__, FIELDS, _command, argv)


def _command(recipe: Recipe, dry_run: bool) -> int:
    check(recipe, ("pretrain", "sft", "cot_sft"), dry_run)
    from tinyrs.leaks import check as check_leaks
    from training.data import Rows, cautions, lengths, read, summary

    examples = read(recipe.data, recipe.image_dir, scale_of(recipe.box_scale), recipe.thinking)
    rows = Rows(examples, recipe.dialect, recipe.thinking)
    if recipe.corrections:
        from training.corrections import mix

        rows = mix(examples, recipe.corrections, recipe.dialect, recipe.thinking)
        print(f"Mixed in: {rows.corrected:,} reviewed captions. Left out as refused or reviewed: {rows.left_out:,}.")
    for path in filter(None, (recipe.data, recipe.corrections)):
        for caution in cautions(path):
            print(f"Note: {caution}", file=sys.stderr)
    check_leaks(rows.examples, recipe.benchmarks)
    base = base_folder(recipe.model)
    pixels = pixel_budget(base, recipe)
    processor = open_processor(base, pixels)
    measured = lengths(rows, processor)
    if recipe.max_row_tokens:
        kept = [i for i, length in enumerate(measured) if sum(length) <= recipe.max_row_tokens]
        if not kept:
            raise BadRecipe(f"No row has at most {recipe.max_row_tokens:,} tokens.")
        print(f"Left out for more than {recipe.max_row_tokens:,} tokens: {len(rows) - len(kept):,} rows.")
        rows, measured = rows.only(kept), [measured[i] for i in kept]
    print(summary(rows, measured, recipe))
    if dry_run:
        network, longest = skeleton(base), max(measured, key=sum)
        print(describe_rates(network, recipe))
        at_once = min(recipe.per_device_batch_size, recipe.batch_size)
        print(describe_memory(network, recipe, *longest, at_once))
        return 0
    return wrote(run(recipe, rows, model=recipe.model, output=Path(recipe.output_dir)))


if __name__ == "__main__":
    sys.exit(main())
