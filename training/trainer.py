"""What the trainers of all stages share: rates per kind of module, rows made when asked for, exact resume, the end.

Heavy: import it when a run begins. A stage mixes `HouseTrainer` into a trainer of TRL.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow
from datasets import Dataset
from transformers import TrainerCallback

from training.balance import EpochOrder
from training.card import card, push, token
from training.checkpoint import (
    base_folder,
    declare,
    open_network,
    open_processor,
    pixel_budget,
    resumable,
    save_processor_files,
)
from training.command import devices, need
from training.rates import (
    check_groups,
    check_learning_rates,
    describe_rates,
    module_kind,
    parameter_groups,
)
from training.recipe import BadRecipe, Recipe


@contextlib.contextmanager
def _old_names():
    """TRL 1.16 and peft read a name that transformers 5.23 has given up."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        yield


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
        check = check_groups if args.deepspeed_plugin is not None else check_learning_rates
        check(model, optimizer, self.recipe)


class HouseTrainer:
    """Mixed in before a trainer of TRL. `rows` are kept in a LazyRows of `keep` rows.

    `order` is the sampler of a recipe that balances its tasks, None for one that draws each row once.
    """

    def __init__(self, recipe: Recipe, start: Start, rows, *args, keep: int = 0, **kwargs):
        self.recipe, self.base, self.pixels = recipe, start.base, start.pixels
        self.done = False
        self.order = None
        if recipe.balance or recipe.heavy != 1:
            settings = {"balance": recipe.balance, "corrected": recipe.heavy}
            self.order = EpochOrder(tasks_of(rows), recipe.seed, **settings)
        lazy = LazyRows(rows, keep)
        with _old_names():
            super().__init__(
                *args,
                model=start.network,
                args=start.arguments,
                processing_class=start.processor,
                peft_config=lora(start.network, recipe),
                train_dataset=lazy,
                callbacks=[CheckRates(recipe), TellEpoch(lazy)],
                **kwargs,
            )

    @property
    def is_lora(self) -> bool:
        return hasattr(self.accelerator.unwrap_model(self.model), "peft_config")

    def create_optimizer(self, model=None):
        if self.optimizer is None:
            groups = parameter_groups(self.model, self.recipe, self.get_decay_parameter_names(self.model))
            make, settings = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            self.optimizer = make(groups, **settings)
            check_learning_rates(self.model, self.optimizer, self.recipe)
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
        if self.done and self.recipe.bf16 and state_dict is not None:
            # Gathered from many devices: these are not the model's own any more.
            state_dict = {name: each.bfloat16() for name, each in state_dict.items()}
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


def lora(network, recipe: Recipe):
    """A LoRA on the linear layers of the language model, by name: "all-linear" would take the vision tower too.

    None where the recipe trains every weight.
    """
    import torch
    from peft import LoraConfig

    if not recipe.lora_rank:
        return None
    head = network.get_output_embeddings()
    names = [
        name
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head and module_kind(name) == "language"
    ]
    return LoraConfig(
        r=recipe.lora_rank, lora_alpha=recipe.lora_alpha, lora_dropout=0.0, target_modules=names
    )


@dataclass(frozen=True)
class Start:
    """What a run begins with: where from, under which arguments, and from which checkpoint it goes on."""

    model: str | Path
    base: Path
    output: Path
    pixels: tuple[int, int]
    arguments: object
    start_from: Path | None
    processor: object
    network: object


def begin(config, recipe: Recipe, rows: Sequence[dict], model: str | Path, output: Path, **settings) -> Start:
    """Open what is trained, under TRL's arguments `config` with the recipe's values and `settings` over them.

    Raises BadRecipe where the recipe, the folder or the rows make no sense.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if not len(rows):
        raise BadRecipe("There are no rows to train on.")
    if recipe.lora_rank and any(
        os.environ.get(f"ACCELERATE_USE_{name}") == "true" for name in ("FSDP", "DEEPSPEED")
    ):
        raise BadRecipe("A LoRA is merged at the end, which needs whole weights: train it without FSDP or ZeRO.")
    if recipe.push_to_hub:
        token()
    if recipe.report_to != "none":
        need(recipe.report_to, f"report_to {recipe.report_to}")
    output, base = Path(output), base_folder(model)
    pixels = pixel_budget(base, recipe)
    # Before the network is opened: under ZeRO-3 it is cut into parts while it is read.
    arguments = config(**{**_common(recipe, output), **settings})
    start_from = resumable(output, recipe, rows, base)
    processor, network = open_processor(base, pixels), open_network(base, recipe.attn_implementation)
    freeze(network, recipe)
    return Start(model, base, output, pixels, arguments, start_from, processor, network)


def _common(recipe: Recipe, output: Path) -> dict:
    """The arguments that all of TRL's trainers share."""
    import torch

    return {
        "output_dir": str(output),
        "remove_unused_columns": False,
        "per_device_train_batch_size": min(recipe.per_device_batch_size, recipe.batch_size),
        "gradient_accumulation_steps": recipe.accumulation(devices()),
        "num_train_epochs": recipe.num_train_epochs,
        "max_steps": recipe.max_steps,
        "learning_rate": max(recipe.learning_rates().values()),
        "lr_scheduler_type": recipe.lr_scheduler,
        "warmup_steps": recipe.warmup,
        "weight_decay": recipe.weight_decay,
        "adam_beta2": recipe.adam_beta2,
        "max_grad_norm": recipe.max_grad_norm,
        "bf16": recipe.bf16,
        "use_cpu": not torch.accelerator.is_available(),  # or bf16 is refused on a machine without a GPU
        "ddp_find_unused_parameters": False,  # every row has a picture, so every part takes part
        "activation_checkpointing": recipe.gradient_checkpointing,
        "dataloader_num_workers": recipe.num_workers,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "logging_steps": recipe.logging_steps,
        "save_strategy": "steps" if recipe.save_steps else "no",
        "save_steps": recipe.save_steps or 500,
        "save_total_limit": recipe.save_total_limit,
        "report_to": recipe.report_to,
        "seed": recipe.seed,
    }


def train(trainer: HouseTrainer, start: Start, rows: Sequence[dict], quiet: bool) -> Path:
    """Train, and leave a whole checkpoint: weights, processor, card, log, and tinyrs.json last."""
    recipe, output, start_from = trainer.recipe, start.output, start.start_from
    if not quiet and trainer.is_world_process_zero():
        print(describe_rates(trainer.model, recipe), file=sys.stderr)
        if start_from:
            print(f"Going on from {start_from}.", file=sys.stderr)
    started = time.monotonic()
    with _old_names():
        trainer.train(resume_from_checkpoint=str(start_from) if start_from else None)
    if trainer.is_lora:
        # What is asked is the model as a whole; the adapter alone stays beside it.
        if trainer.is_world_process_zero():
            trainer.model.save_pretrained(output / "adapter")
        trainer.model = trainer.model.merge_and_unload()
    trainer.done = True
    if recipe.bf16 and not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        trainer.model.bfloat16()
    trainer.save_model(str(output))
    if trainer.is_world_process_zero():
        log = [line for line in trainer.state.log_history if "loss" in line]
        measured = {
            "steps": trainer.state.global_step,
            "rows": len(rows),
            "processes": devices(),
            "seconds": round(time.monotonic() - started),
        }
        (output / "README.md").write_text(card(recipe, start.model, output.name, measured, log, rows), encoding="utf-8")
        (output / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log), encoding="utf-8")
        declare(trainer.base, output, recipe, trainer.pixels)
        if recipe.push_to_hub:
            print(f"Sent to {push(output, recipe.push_to_hub)}", file=sys.stderr)
    return output
