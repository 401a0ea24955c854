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

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tinyrs.datasets import scale_of
from tinyrs.models import UnknownModel
from tinyrs.strictjson import BadData
from training.checkpoint import (
    base_folder,
    open_network,
    open_processor,
    pixel_budget,
    resumable,
    skeleton,
)
from training.rates import describe_rates
from training.recipe import BadRecipe, Recipe, add_flags, from_flags

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


def _arguments(recipe: Recipe, output: Path):
    import torch
    from trl import SFTConfig

    devices = int(os.environ.get("WORLD_SIZE", "1"))
    rates = recipe.learning_rates()
    return SFTConfig(
        output_dir=str(output),
        max_length=None,  # TRL's own default cuts answers off at 1024 tokens
        completion_only_loss=True,
        remove_unused_columns=False,
        per_device_train_batch_size=min(recipe.per_device_batch_size, recipe.batch_size),
        gradient_accumulation_steps=recipe.accumulation(devices),
        num_train_epochs=recipe.num_train_epochs,
        max_steps=recipe.max_steps,
        learning_rate=max(rates.values()),
        lr_scheduler_type=recipe.lr_scheduler,
        warmup_steps=recipe.warmup,
        weight_decay=recipe.weight_decay,
        adam_beta2=recipe.adam_beta2,
        max_grad_norm=recipe.max_grad_norm,
        bf16=recipe.bf16,
        use_cpu=not torch.accelerator.is_available(),  # or bf16 is refused on a machine without a GPU
        activation_checkpointing=recipe.gradient_checkpointing,
        dataloader_num_workers=recipe.num_workers,
        dataloader_pin_memory=torch.cuda.is_available(),
        logging_steps=recipe.logging_steps,
        save_strategy="steps" if recipe.save_steps else "no",
        save_steps=recipe.save_steps or 500,
        save_total_limit=recipe.save_total_limit,
        report_to=recipe.report_to,
        seed=recipe.seed,
    )


def run(
    recipe: Recipe, rows: Sequence[dict], *, model: str | Path, output: Path, quiet: bool = False
) -> Path:
    """Train `model` (a folder or hub id) on `rows` as `recipe` says; returns `output`, then a checkpoint.

    Raises BadRecipe where the recipe, the folder or the rows make no sense. A run that was killed goes on
    from its newest checkpoint and ends with the very weights that it would have had (same machine, same
    number of threads).
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if not len(rows):
        raise BadRecipe("There are no rows to train on.")
    output, base = Path(output), base_folder(model)
    pixels = pixel_budget(base, recipe)
    arguments = _arguments(recipe, output)
    start_from = resumable(output, recipe, rows, base)
    processor, network = open_processor(base, pixels), open_network(base, recipe.attn_implementation)
    from trl import SFTTrainer

    from training.trainer import HouseTrainer, freeze, train

    class Trainer(HouseTrainer, SFTTrainer):
        def _get_train_sampler(self, train_dataset=None):
            return self.order or super()._get_train_sampler(train_dataset)

    freeze(network, recipe)
    trainer = Trainer(
        recipe,
        base,
        pixels,
        rows,
        model=network,
        args=arguments,
        data_collator=Collator(processor),
        processing_class=processor,
    )
    return train(trainer, start_from, model, output, len(rows), quiet)


# ---- command line


def main(argv: Sequence[str] | None = None) -> int:
    """The command `python -m training.sft`; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.sft", description=__doc__.partition("\n")[0])
    add_flags(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would be trained, and train nothing")
    args = parser.parse_args(argv)
    try:
        return _command(from_flags(args), args.dry_run)
    except (BadRecipe, BadData, UnknownModel) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from the newest checkpoint.", file=sys.stderr)
        return 130


def _command(recipe: Recipe, dry_run: bool) -> int:
    for name in ("model", "data") if dry_run else ("model", "data", "output_dir"):
        if not getattr(recipe, name):
            raise BadRecipe(f"--{name} is missing.")
    if recipe.stage == "grpo":
        raise BadRecipe("This recipe is for stage grpo, and this command trains pretrain, sft and cot_sft.")
    recipe.accumulation(int(os.environ.get("WORLD_SIZE", "1")))
    from training.data import Rows, cautions, lengths, read, summary

    examples = read(recipe.data, recipe.image_dir, scale_of(recipe.box_scale), recipe.thinking)
    for caution in cautions(recipe.data):
        print(f"Note: {caution}", file=sys.stderr)
    base = base_folder(recipe.model)
    pixels = pixel_budget(base, recipe)
    processor = open_processor(base, pixels)
    rows = Rows(examples, recipe.dialect, recipe.thinking)
    measured = lengths(rows, processor)
    if recipe.max_row_tokens:
        kept = [i for i, length in enumerate(measured) if sum(length) <= recipe.max_row_tokens]
        if not kept:
            raise BadRecipe(f"No row has at most {recipe.max_row_tokens:,} tokens.")
        print(f"Left out for more than {recipe.max_row_tokens:,} tokens: {len(rows) - len(kept):,} rows.")
        rows, measured = rows.only(kept), [measured[i] for i in kept]
    print(summary(rows, measured, recipe))
    if dry_run:
        print(describe_rates(skeleton(base), recipe))
        return 0
    output = run(recipe, rows, model=recipe.model, output=Path(recipe.output_dir))
    print(f'Wrote {output}. Ask it: python -m tinyrs ask PICTURE "QUESTION" --model {output}')
    return 0


if __name__ == "__main__":
    sys.exit(main())
