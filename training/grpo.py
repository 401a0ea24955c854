"""Stage R: answers that are right and well-formed become more likely (GRPO), on any vision-language model.

    python -m training.grpo --config training/recipes/4_grpo_smoke.yaml --data DIR --output_dir runs/grpo

DIR is what `python -m annotate export` wrote, a JSON file of the VHM layout, or the published GRPO columns (a
parquet file or a folder of them; pictures inside are unpacked into --image_dir, else into a temporary folder). Every
setting of the recipe is a flag of the same name. `--dry-run` prints what would be trained, and trains nothing.
Open-ended rows need a judge: judge_model and OPENAI_API_KEY, see training/judge.py.

From Python, `run(recipe, rows, model=..., output=...)` takes any sequence of rows. A row is made when it is asked
for: `{"image": PIL.Image, "prompt": [chat messages], "example": Example}`; `truth(question, answer)` makes the
Example. To keep a resumed run equal to an uninterrupted one, `rows[i]` must depend on nothing but `i` and the epoch,
which is told through `rows.set_epoch(epoch)` if that exists.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tinyrs.datasets import scale_of
from tinyrs.example import Example, Question, Task
from tinyrs.parse import boxes
from tinyrs.prompt import messages
from training.balance import drawn_share
from training.checkpoint import (
    base_folder,
    open_processor,
    pixel_budget,
    skeleton,
)
from training.command import check, devices, first, follow, need, wrote
from training.judge import MAX_PIXELS, Judge
from training.memory import describe as describe_memory
from training.rates import describe_rates
from training.recipe import GRPO_FIELDS, BadRecipe, GrpoRecipe
from training.rewards import Reward, needs_judge
from training.seeing import see_once

COMPLETIONS = "completions.jsonl"

# ---- rows


class Prompts:
    """Examples as rows for `run`: opened and put into chat messages when asked for."""

    def __init__(self, examples: Sequence[Example], dialect: str = "tinyrs", thinking: bool = True):
        self.examples, self.dialect, self.thinking = examples, dialect, thinking

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def tasks(self) -> list[str]:
        """The task of each row, for balancing."""
        return [example.question.task.value for example in self.examples]

    @property
    def identity(self) -> str:
        """A checksum over what the rows say: a run is resumed only over the same rows."""
        from training.data import Rows

        return Rows(self.examples).identity

    def __getitem__(self, index: int) -> dict:
        from training.data import open_rgb

        example = self.examples[index]
        return {
            "image": open_rgb(example.picture),
            "prompt": messages(example.question, self.dialect, self.thinking),
            "example": example,
        }


def truth(question: Question, answer: str, picture: Path = Path()) -> Example:
    """The Example of a question and its true answer; a grounding answer holds its boxes, 0..1000."""
    found = boxes(answer) if question.task is Task.GROUNDING else ()
    return Example(picture, question, answer, found)


# ---- training


def _settings(recipe: GrpoRecipe) -> dict:
    """TRL's own defaults differ from the paper in most of these, so each is set."""
    accumulation = recipe.accumulation(devices())
    return {
        "num_generations": recipe.num_generations,
        "max_completion_length": recipe.max_completion_length,
        "temperature": recipe.temperature,
        "top_p": 1.0,
        "top_k": 0,
        "repetition_penalty": 1.0,
        "loss_type": recipe.loss,
        "beta": recipe.beta,
        "epsilon": recipe.epsilon,
        "num_iterations": 1,
        "scale_rewards": "group",
        "importance_sampling_level": "token",
        "use_bias_correction_kl": False,
        "mask_truncated_completions": False,
        "per_device_train_batch_size": recipe.answers // devices() // accumulation,
        "num_completions_to_print": 0,
        "log_completions": False,  # ours are lines of text, see COMPLETIONS
        **_rollouts(recipe),
    }


def _rollouts(recipe: GrpoRecipe) -> dict:
    """What writes the answers. vLLM's probabilities differ a little from the trainer's own, and TRL weighs each
    answer by that; a run with vLLM can be resumed, but not to the bit."""
    if recipe.rollouts == "transformers":
        return {"use_vllm": False}
    common = {"use_vllm": True, "vllm_mode": recipe.rollouts, "vllm_importance_sampling_correction": True}
    if recipe.rollouts == "server":
        return common | {"vllm_server_base_url": recipe.vllm_base_url}
    longest = recipe.max_row_tokens and recipe.max_row_tokens + recipe.max_completion_length
    return common | {
        "vllm_gpu_memory_utilization": recipe.vllm_memory,
        "vllm_tensor_parallel_size": recipe.vllm_tensor_parallel,
        "vllm_max_model_length": longest,
    }


def _trainer_class():
    import torch
    from trl import GRPOTrainer
    from trl.trainer.utils import RepeatSampler, split_pixel_values_by_grid, unsplit_pixel_values_by_grid

    from training.trainer import HouseTrainer

    def only(batch: dict, kept: list[int], count: int) -> dict:
        """The answers at `kept` of a batch of `count`, each with its own picture."""
        chosen = {}
        for name, value in split_pixel_values_by_grid(batch).items():
            if isinstance(value, torch.Tensor) and value.dim() and len(value) == count:
                value = value[kept]
            elif isinstance(value, list) and len(value) == count:
                value = [value[i] for i in kept]
            chosen[name] = value
        return unsplit_pixel_values_by_grid(chosen)

    class EpochSampler(RepeatSampler):
        """The order of prompts depends on seed and epoch alone, so that a resumed run finds it again."""

        epoch, order = 0, None

        def set_epoch(self, epoch: int) -> None:
            self.epoch = epoch

        def __iter__(self):
            if self.order:
                # The places of the balanced order, each with its repeats: groups stay whole.
                self.order.set_epoch(self.epoch)
                rows, self.shuffle = list(self.order), False
                return (rows[place] for place in super().__iter__())
            self.generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            return super().__iter__()

    class Trainer(HouseTrainer, GRPOTrainer):
        """GRPOTrainer with what all stages share, an order of prompts that survives a restart, and a table.

        Answers whose group was rewarded alike have an advantage, and so a gradient, of exactly 0 where no distance
        to another model counts: these are left out of the forward pass, and the loss is the same.
        """

        def _compute_loss(self, model, inputs):
            advantages = inputs["advantages"]
            count = len(advantages)
            kept = advantages.nonzero().flatten().tolist()
            if self.beta or self.recipe.loss not in ("grpo", "dr_grpo") or len(kept) == count:
                return super()._compute_loss(model, inputs)
            kept = kept or [0]  # every device takes part in every backward pass
            return super()._compute_loss(model, only(inputs, kept, count)) * (len(kept) / count)

        def _get_train_sampler(self, dataset=None):
            sampler = super()._get_train_sampler(dataset)
            mine = EpochSampler(
                sampler.data_source,
                mini_repeat_count=sampler.mini_repeat_count,
                batch_size=sampler.batch_size,
                repeat_count=sampler.repeat_count,
                shuffle=sampler.shuffle,
                seed=sampler.seed,
            )
            mine.order = self.order
            return mine

        def log(self, logs, start_time=None):
            super().log(logs, start_time)
            if "loss" in logs and self.is_world_process_zero() and self.recipe.completions:
                rows = self.reward_funcs[0].table[: self.recipe.completions]
                with open(Path(self.args.output_dir) / COMPLETIONS, "a", encoding="utf-8") as file:
                    for row in rows:
                        line = {"step": self.state.global_step, **row}
                        file.write(json.dumps(line, ensure_ascii=False) + "\n")

    return Trainer


def _cut_table(output: Path, step: int) -> None:
    """Take the lines of later steps out of the table: they are about to be made again."""
    path = output / COMPLETIONS
    if path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        path.write_text("".join(kept), encoding="utf-8")


def run(
    recipe: GrpoRecipe, rows: Sequence[dict], *, model: str | Path, output: Path, quiet: bool = False
) -> Path:
    """Train `model` (a folder or hub id) on `rows` as `recipe` says; returns `output`, then a checkpoint.

    Raises BadRecipe where the recipe, the folder or the rows make no sense, JudgeFailed where the judge does. A run
    that was killed goes on from its newest checkpoint and ends with the very weights that it would have had (same
    machine, same number of threads; the judge's grades are kept).
    """
    if not isinstance(recipe, GrpoRecipe):
        raise BadRecipe(f"This recipe is for stage {recipe.stage}; python -m training.sft follows it.")
    if len(rows) < recipe.batch_size:
        raise BadRecipe(
            f"There are {len(rows)} rows, and one step takes {recipe.batch_size}: lower batch_size."
        )
    if recipe.rollouts != "transformers":
        need("vllm", f"rollouts by {recipe.rollouts}")
    from trl import GRPOConfig

    from training.trainer import begin, train

    start = begin(GRPOConfig, recipe, rows, model, output, **_settings(recipe))
    if first():
        _cut_table(start.output, int(start.start_from.name.rpartition("-")[2]) if start.start_from else 0)
    if start.processor.tokenizer.padding_side != "left":
        # Padded on the right, each answer's picture positions would be off, and nothing would say so.
        raise RuntimeError("The processor must pad on the left.")
    reward = Reward(
        recipe.num_generations,
        variant=recipe.reward,
        format_weight=recipe.format_weight,
        thinking=recipe.thinking,
        dialect=recipe.dialect,
        judge=_judge(recipe, start.output),
    )
    trainer = _trainer_class()(recipe, start, rows, keep=2 * recipe.batch_size, reward_funcs=[reward])
    for each in (start.network, trainer.ref_model):
        if each is not None:
            see_once(each)
    train(trainer, start, rows, quiet)
    if not quiet and trainer.is_world_process_zero() and reward.groups:
        share = reward.flat / reward.groups
        print(
            f"{reward.flat:,} of {reward.groups:,} groups ({share:.0%}) had one reward for all answers.",
            file=sys.stderr,
        )
    return start.output


def _judge(recipe: GrpoRecipe, output: Path) -> Judge | None:
    if not recipe.judge_model:
        return None
    return Judge(
        recipe.judge_model,
        recipe.judge_base_url,
        cache=recipe.judge_cache or output / "judge",
        temperature=recipe.judge_temperature,
        concurrency=recipe.judge_concurrency,
        timeout=recipe.judge_timeout,
        retries=recipe.judge_retries,
    )


# ---- command line


def main(argv: Sequence[str] | None = None) -> int:
    """The command `python -m training.grpo`; returns its exit status."""
    return follow("training.grpo", __doc__, GRPO_FIELDS, _command, argv)


def _command(recipe: GrpoRecipe, dry_run: bool) -> int:
    check(recipe, ("grpo",), dry_run)
    with tempfile.TemporaryDirectory(prefix="tinyrs-") as unpacked:
        return _train(recipe, dry_run, Path(recipe.image_dir or unpacked))


def _train(recipe: GrpoRecipe, dry_run: bool, unpack: Path) -> int:
    from tinyrs.leaks import check as check_leaks
    from training.columns import is_columns, read_columns
    from training.data import Rows, cautions, lengths, read, summary

    scale = scale_of(recipe.box_scale)
    if is_columns(recipe.data):
        examples = read_columns(recipe.data, unpack, scale)
    else:
        examples = read(recipe.data, recipe.image_dir, scale)
        for caution in cautions(recipe.data):
            print(f"Note: {caution}", file=sys.stderr)
    check_leaks(examples, recipe.benchmarks)
    judged = [example for example in examples if needs_judge(example)]
    if judged and not recipe.judge_model:
        print(f"Left out because no judge_model is named: {len(judged):,} open-ended rows.")
        examples = [example for example in examples if not needs_judge(example)]
        judged = []
    base = base_folder(recipe.model)
    processor = open_processor(base, pixel_budget(base, recipe))
    # The prompts alone: what is answered is the model's own.
    measured = lengths(Asked(examples, recipe), processor) if examples else []
    measured = [(text - 1, visual) for text, visual in measured]  # without the end token of an empty answer
    if recipe.max_row_tokens:
        kept = [i for i, length in enumerate(measured) if sum(length) <= recipe.max_row_tokens]
        left_out = len(examples) - len(kept)
        print(f"Left out for prompts of more than {recipe.max_row_tokens:,} tokens: {left_out:,} rows.")
        examples, measured = [examples[i] for i in kept], [measured[i] for i in kept]
        judged = [example for example in examples if needs_judge(example)]
    if not examples:
        raise BadRecipe("There are no rows to train on.")
    # Prompts that do not fill a step are left for the next epoch's order.
    steps = math.ceil(_epochs(recipe, len(examples)) * (len(examples) // recipe.batch_size))
    print(summary(Rows(examples), measured, dataclasses.replace(recipe, max_steps=max(1, steps))))
    print(_costs(recipe, examples, judged))
    if dry_run:
        network = skeleton(base)
        print(describe_rates(network, recipe))
        text, visual = max(measured, key=sum)
        at_once = min(recipe.per_device_batch_size, recipe.answers)
        print(describe_memory(network, recipe, text + recipe.max_completion_length, visual, at_once))
        return 0
    if judged:
        _judge(recipe, Path(recipe.output_dir)).check()
    rows = Prompts(examples, recipe.dialect, recipe.thinking)
    return wrote(run(recipe, rows, model=recipe.model, output=Path(recipe.output_dir)))


class Asked:
    """Examples for `training.data.lengths`, with nothing answered."""

    def __init__(self, examples: Sequence[Example], recipe: GrpoRecipe):
        self.examples, self.recipe = examples, recipe

    def __len__(self) -> int:
        return len(self.examples)

    def chat(self, index: int) -> dict:
        """Row `index` without its picture."""
        prompt = messages(self.examples[index].question, self.recipe.dialect, self.recipe.thinking)
        return {
            "prompt": prompt,
            "completion": [{"role": "assistant", "content": [{"type": "text", "text": ""}]}],
        }


def _epochs(recipe: GrpoRecipe, count: int) -> float:
    """How often each row is asked."""
    steps_of_epoch = max(1, count // recipe.batch_size)
    return recipe.max_steps / steps_of_epoch if recipe.max_steps > 0 else recipe.num_train_epochs


def _costs(recipe: GrpoRecipe, examples: Sequence[Example], judged: Sequence[Example]) -> str:
    epochs, tasks = _epochs(recipe, len(examples)), [example.question.task.value for example in examples]
    answers = round(len(examples) * epochs * recipe.num_generations)
    lines = [
        (
            "answers",
            f"{answers:,}, {recipe.num_generations} to each prompt, of at most "
            f"{recipe.max_completion_length:,} tokens",
        ),
        ("rewards", f"{recipe.reward}, and {recipe.format_weight:g} for the form"),
    ]
    if judged:
        share = drawn_share(tasks, recipe.balance)
        asked = sum(share[example.question.task.value] for example in judged)
        calls = round(asked * epochs * recipe.num_generations)
        # A tile of 28 x 28 pixels is about a token; four letters are too.
        text = sum(len(e.question.text) + 2 * len(e.answer) for e in judged) / len(judged) / 4 + 220
        tokens = calls * (text + MAX_PIXELS / 28**2)
        dollars = (tokens * recipe.judge_price_in + calls * 10 * recipe.judge_price_out) / 1e6
        lines.append(
            (
                "judge",
                f"{recipe.judge_model}: at most {calls:,} questions, about {tokens:,.0f} tokens, "
                f"{dollars:,.2f} US$ at {recipe.judge_price_in:g} and {recipe.judge_price_out:g} a million",
            )
        )
    return "\n".join(f"{name:18}{value}" for name, value in lines)


if __name__ == "__main__":
    sys.exit(main())
