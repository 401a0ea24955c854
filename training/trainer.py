"""What the trainers of all stages share: rates per kind of module, rows made when asked for, exact resume, the end.

Heavy: import it when a run begins. A stage mixes `HouseTrainer` into a trainer of TRL.
"""

from __future__ import annotations

import json
import sys
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import pyarrow
from datasets import Dataset
from transformers import TrainerCallback

from training.balance import EpochOrder
from training.checkpoint import card, declare, save_processor_files
from training.rates import check_learning_rates, describe_rates, module_kind, parameter_groups
from training.recipe import BadRecipe, Recipe


class LazyRows(Dataset):
    """`rows` as the datasets.Dataset that TRL insists on, each row made when it is asked for.

    The last `keep` rows are kept: GRPO asks for a row once for each of its answers.
    """

    def __init__(self, rows: Sequence[dict], keep: int = 0):
        super().__init__(pyarrow.table({"row": list(range(len(rows)))}), fingerprint="lazy")
        self._rows, self._keep, self._kept = rows, keep, OrderedDict()

    def set_epoch(self, epoch: int) -> None:
        """Tell the rows, which may look different in each epoch."""
        self._kept.clear()
        if hasattr(self._rows, "set_epoch"):
            self._rows.set_epoch(epoch)

    def __getitem__(self, key):
        if key in self._kept:
            return self._kept[key]
        row = self._rows[key]
        if self._keep:
            self._kept[key] = row
            if len(self._kept) > self._keep:
                self._kept.popitem(last=False)
        return row

    def __getitems__(self, keys):
        return [self[key] for key in keys]

    def __iter__(self):
        return (self[key] for key in range(len(self._rows)))


class TellEpoch(TrainerCallback):
    """Tells the rows which epoch begins."""

    def __init__(self, rows: LazyRows):
        self.rows = rows

    def on_epoch_begin(self, args, state, control, **kwargs):
        self.rows.set_epoch(int(state.epoch or 0))


class CheckRates(TrainerCallback):
    """Stops a run whose learning rates are not those of the recipe."""

    def __init__(self, recipe: Recipe):
        self.recipe = recipe

    def on_train_begin(self, args, state, control, model=None, optimizer=None, **kwargs):
        check_learning_rates(model, optimizer, self.recipe)


class HouseTrainer:
    """Mixed in before a trainer of TRL. `rows` are kept in a LazyRows of `keep` rows.

    `order` is the sampler of a recipe that balances its tasks, None for one that draws each row once.
    """

    def __init__(self, recipe: Recipe, base: Path, pixels, rows, *args, keep: int = 0, **kwargs):
        self.recipe, self.base, self.pixels = recipe, base, pixels
        self.order = EpochOrder(tasks_of(rows), recipe.seed) if recipe.balance else None
        lazy = LazyRows(rows, keep)
        super().__init__(*args, train_dataset=lazy, callbacks=[CheckRates(recipe), TellEpoch(lazy)], **kwargs)

    @property
    def is_lora(self) -> bool:
        return hasattr(self.accelerator.unwrap_model(self.model), "peft_config")

    def create_optimizer(self, model=None):
        if self.optimizer is None:
            groups = parameter_groups(self.model, self.recipe, self.get_decay_parameter_names(self.model))
            make, settings = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            self.optimizer = make(groups, **settings)
        return self.optimizer

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None):
        # transformers loads with strict=False and the names in the file, of which none match Qwen2-VL's:
        # it would go on from the base model with a mere warning.
        if self.is_fsdp_enabled or self.is_deepspeed_enabled or self.is_lora:
            return super()._load_from_checkpoint(resume_from_checkpoint, model)
        model = self.model if model is None else model
        saved = type(self.model).from_pretrained(resume_from_checkpoint, dtype=self.model.dtype)
        model.load_state_dict(saved.state_dict(), strict=True)
        model.tie_weights()

    def _save(self, output_dir=None, state_dict=None):
        super()._save(output_dir, state_dict)
        if self.args.should_save:
            folder = Path(output_dir or self.args.output_dir)
            # The processor writes a form that only our subclass reads; the arguments are a pickle.
            for name in ("processor_config.json", "training_args.bin"):
                (folder / name).unlink(missing_ok=True)
            save_processor_files(self.base, folder, self.pixels)
            if folder.name.startswith("checkpoint-") and not self.is_lora:
                declare(self.base, folder, self.recipe, self.pixels)

    def create_model_card(self, *args, **kwargs):
        """Ours is written by train(), at the end."""

    def _send_telemetry(self):
        """Nobody is told."""


def tasks_of(rows) -> Sequence[str]:
    """The task of each row, which rows tell in `tasks`."""
    if not hasattr(rows, "tasks"):
        raise BadRecipe("These rows do not say their tasks, so nothing can be balanced: set balance to false.")
    return rows.tasks


def freeze(network, recipe: Recipe) -> None:
    """Only what has a learning rate above 0 is trained."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(recipe.learning_rates()[module_kind(name)] > 0)


def train(
    trainer: HouseTrainer, start_from: Path | None, model, output: Path, count: int, quiet: bool
) -> Path:
    """Train, and leave a whole checkpoint in `output`: weights, processor, card, log, and tinyrs.json last."""
    recipe = trainer.recipe
    if not quiet and trainer.is_world_process_zero():
        print(describe_rates(trainer.model, recipe), file=sys.stderr)
        if start_from:
            print(f"Going on from {start_from}.", file=sys.stderr)
    started = time.monotonic()
    trainer.train(resume_from_checkpoint=str(start_from) if start_from else None)
    if trainer.is_lora:
        # What is asked is the model as a whole; the adapter alone stays beside it.
        if trainer.is_world_process_zero():
            trainer.model.save_pretrained(output / "adapter")
        trainer.model = trainer.model.merge_and_unload()
    if recipe.bf16:
        trainer.model.bfloat16()
    trainer.save_model(str(output))
    if trainer.is_world_process_zero():
        log = [line for line in trainer.state.log_history if "loss" in line]
        measured = {
            "steps": trainer.state.global_step,
            "rows": count,
            "seconds": round(time.monotonic() - started),
        }
        (output / "README.md").write_text(card(recipe, model, output.name, measured, log), encoding="utf-8")
        (output / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log), encoding="utf-8")
        declare(trainer.base, output, recipe, trainer.pixels)
    return output
