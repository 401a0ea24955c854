"""Stages pretrain, sft and cot_sft: teach a vision-language model to answer rows.

    python -m training.sft --config training/recipes/smoke.yaml --data DIR --output_dir runs/smoke

DIR is what `python -m annotate export` wrote, or a JSON file of the VHM layout. Every setting of the recipe
is a flag of the same name. `--dry-run` prints what would be trained, and trains nothing.

From Python, `run(recipe, rows, model=..., output=...)` takes any sequence of rows. A row is made when it is
asked for: `{"image": PIL.Image, "prompt": [chat messages], "completion": [chat messages]}`; so pictures may
be opened and varied on the way and are never held all at once. More questions about the same picture may stand in its
`"others"`, a list of `{"prompt": ..., "completion": ...}`: the picture is read once for all of them (see Collator). To keep a resumed run equal to an
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

    A row may ask more about its picture in `others`, each with a prompt that is the same up to the picture and a
    completion. They stand behind one another, so that the picture is read once, and each is asked as if it were alone:
    at the place where the first question stands (`position_ids`), and blind to the other questions (`segments`, which
    `apart` turns into a mask).
    """

    def __init__(self, processor):
        self.processor = processor
        self.end = processor.tokenizer.eos_token
        self.after_picture = processor.image_token + "<|vision_end|>"

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
        masks = asked["attention_mask"].bool()
        prompts = [ids[mask].tolist() for ids, mask in zip(asked["input_ids"], masks, strict=True)]
        # Of each row, its (prompt, answer) in tokens: the first with the picture, the others without it.
        parts = [
            [(ids, self._tokens(answer)), *self._others(row, prompt)]
            for row, ids, (prompt, answer) in zip(rows, prompts, texts, strict=True)
        ]
        length = max(sum(len(ids) + len(answer) for ids, answer in each) for each in parts)
        shape = (len(rows), length)
        input_ids = torch.full(shape, self.processor.tokenizer.pad_token_id)
        labels, segments = torch.full(shape, -100), torch.full(shape, -1)
        for i, each in enumerate(parts):
            at = 0
            for number, (ids, answer) in enumerate(each, 1):
                start, end = at + len(ids), at + len(ids) + len(answer)
                input_ids[i, at:end] = torch.tensor([*ids, *answer])
                labels[i, start:end] = torch.tensor(answer)
                segments[i, at:end] = number
                at = end
        attention_mask = (segments >= 0).long()
        batch = {**asked, "input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}
        if "mm_token_type_ids" in asked:
            batch["mm_token_type_ids"] = (input_ids == self.processor.image_token_id).long()
        if any(len(each) > 1 for each in parts):
            batch |= self._side_by_side(input_ids, segments, asked["image_grid_thw"])
        return batch

    def _tokens(self, text: str) -> list[int]:
        return self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]

    def _others(self, row: dict, prompt: str) -> list[tuple[list[int], list[int]]]:
        shared = prompt[: prompt.index(self.after_picture) + len(self.after_picture)]
        found = []
        for other in row.get("others", ()):
            asked, answer = self.text(other)
            if not asked.startswith(shared):
                raise BadRecipe("Questions about one picture must begin with the same words and that picture.")
            found.append((self._tokens(asked[len(shared) :]), self._tokens(answer)))
        return found

    def _side_by_side(self, input_ids, segments, grids) -> dict:
        """`segments`, 0 for what all questions of a row share, and `position_ids` (3, rows, tokens): those of Qwen2-VL
        for the first question, and the same again for each other one."""
        import torch

        merge = self.processor.image_processor.merge_size
        positions = torch.zeros(3, *input_ids.shape, dtype=torch.long)
        for i, (_, height, width) in enumerate(grids.tolist()):
            rows, columns = height // merge, width // merge
            first = int((input_ids[i] == self.processor.image_token_id).nonzero()[0])
            behind = first + rows * columns
            positions[:, i, :first] = torch.arange(first)
            grid = torch.arange(rows * columns)
            positions[:, i, first:behind] = first + torch.stack(
                [torch.zeros_like(grid), grid // columns, grid % columns]
            )
            segments[i, : behind + 1] = 0  # with the token that ends a picture
            positions[:, i, behind] = first + max(rows, columns)
            for number in range(1, int(segments[i].max()) + 1):
                own = (segments[i] == number).nonzero().flatten()
                positions[:, i, own] = first + max(rows, columns) + 1 + torch.arange(len(own))
        return {"segments": segments, "position_ids": positions}


def apart(module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """A hook before the language model: a token sees what its own question shares with the others, and its own question.

    `segments` (rows, tokens) numbers the questions of a row; 0 is shared, -1 is padding.
    """
    import torch

    segments = kwargs.pop("segments", None)
    if segments is not None:
        dtype = kwargs["inputs_embeds"].dtype
        before = torch.ones(segments.shape[1], segments.shape[1], device=segments.device).tril().bool()
        here, there = segments[:, :, None], segments[:, None, :]
        seen = before & ((there == 0) | (there == here))
        blind = torch.where(seen, 0.0, torch.finfo(dtype).min).to(dtype)
        kwargs["attention_mask"] = blind[:, None]
    return args, kwargs


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
    start.network.model.language_model.register_forward_pre_hook(apart, with_kwargs=True)
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
