"""One stage of training as a value: what a YAML file in training/recipes/ says, and what flags may change.

Every field is a key of the YAML file and a flag of `python -m training.sft` by the same name:

    from training.recipe import load
    recipe = load("training/recipes/2_sft.yaml", learning_rate=2e-5)

A recipe of stage grpo is a GrpoRecipe, whose further settings are flags of `python -m training.grpo`; one of stage
dpo is a DpoRecipe, likewise.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import typing
from dataclasses import dataclass, field
from pathlib import Path

STAGES = ("pretrain", "sft", "cot_sft", "grpo", "dpo")
REWARDS = ("continuous", "binary", "quantized")
LOSSES = ("grpo", "bnpo", "dr_grpo", "dapo")
PAIR_LOSSES = ("sigmoid", "hinge", "ipo")
ROLLOUTS = ("transformers", "colocate", "server")
TRACKERS = ("none", "tensorboard", "trackio")


class BadRecipe(ValueError):
    """The recipe cannot be followed; the message is one sentence for the person who wrote it."""


def _about(text: str, default=dataclasses.MISSING):
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Recipe:
    """The settings of one stage. A rate of None is `learning_rate`; a rate of 0 freezes the module."""

    stage: str = _about("pretrain, sft, cot_sft, grpo or dpo", "sft")
    about: str = _about("one sentence for the model card", "")
    model: str = _about("what to start from: a name of the model table, a folder, or a hub id", "")
    data: str = _about("an export folder, or a JSON file of the VHM layout", "")
    image_dir: str | None = _about(
        "folder that the pictures' paths start from (default: beside the data)", None
    )
    box_scale: str | None = _about(
        "what the data's boxes run to, where it does not say: 1000, 1, pixels ...", None
    )
    balance: bool = _about("draw rare tasks up to 5 times as often, see training/balance.py", False)
    corrections: str | None = _about(
        "an export of reviewed captions: mixed in, and what people refused is left out", None
    )
    corrections_weight: float = _about("how many times as often as other rows these are drawn", 1.0)
    benchmarks: tuple[str, ...] = _about(
        "evaluation files, by commas or as a list: refuse rows whose pictures are in one", ()
    )
    output_dir: str = _about("where the checkpoint goes", "")

    thinking: bool = _about("train on reasoning and answer, under the thinking system prompt", False)
    dialect: str = _about("how tags and boxes are written", "tinyrs")
    min_pixels: int | None = _about("a smaller picture is enlarged to this area (default: the model's)", None)
    max_pixels: int | None = _about("a larger picture is shrunk to this area (default: the model's)", None)
    max_new_tokens: int | None = _about("answer budget declared beside the checkpoint", None)
    max_row_tokens: int | None = _about(
        "leave out rows that are longer than this (grpo: whose prompts are), and count them", None
    )

    num_train_epochs: float = _about("passes over the rows", 1.0)
    max_steps: int = _about("stop after this many steps; -1: by epochs", -1)
    batch_size: int = _about("rows per step, over all devices", 16)
    per_device_batch_size: int = _about("rows that one device holds at once", 4)
    learning_rate: float = _about("of the language model, and of what has no rate of its own", 1e-5)
    vision_learning_rate: float | None = _about("of the vision tower", None)
    merger_learning_rate: float | None = _about("of what joins vision to language", None)
    lr_scheduler: str = _about("cosine, linear, constant, constant_with_warmup ...", "cosine")
    warmup: float = _about("steps (1 or more) or share of all steps (below 1) that warm up", 0.03)
    weight_decay: float = _about("0 makes AdamW the paper's Adam", 0.0)
    adam_beta2: float = _about("second moment decay", 0.999)
    max_grad_norm: float = _about("gradients are clipped to this norm", 1.0)
    bf16: bool = _about("compute in bfloat16 and save the final weights so", False)
    gradient_checkpointing: bool = _about("trade time for memory", False)
    attn_implementation: str = _about("sdpa, eager (faster for short rows on a CPU) or flash_attention_2", "sdpa")
    num_workers: int = _about("processes that prepare rows", 0)

    lora_rank: int = _about("train a LoRA of this rank in the language model; 0: every weight", 0)
    lora_alpha: int = _about("its scale is alpha / rank", 32)

    seed: int = _about("of row order, dropout and augmentation", 0)
    logging_steps: int = _about("steps between two lines of the log", 10)
    save_steps: int = _about("steps between two resumable checkpoints; 0: none", 500)
    save_total_limit: int = _about("resumable checkpoints that are kept", 2)
    resume: bool = _about("go on from the newest whole checkpoint in output_dir", True)
    report_to: str = _about("none, tensorboard or trackio", "none")
    push_to_hub: str | None = _about(
        "owner/name on the hub that the finished checkpoint is sent to, private; needs HF_TOKEN", None
    )

    def __post_init__(self):
        if self.stage not in STAGES:
            raise BadRecipe(f"The stage {self.stage!r} is unknown; it is one of {', '.join(STAGES)}.")
        for name in ("batch_size", "per_device_batch_size", "logging_steps", "save_total_limit"):
            if getattr(self, name) < 1:
                raise BadRecipe(f"{name} must be at least 1, not {getattr(self, name)}.")
        for name in (
            "learning_rate",
            "vision_learning_rate",
            "merger_learning_rate",
            "weight_decay",
            "warmup",
        ):
            if (value := getattr(self, name)) is not None and not 0 <= value < float("inf"):
                raise BadRecipe(f"{name} must be 0 or more, not {value}.")
        if not 0 <= self.lora_rank or self.lora_alpha < 1:
            raise BadRecipe("lora_rank must be 0 or more, and lora_alpha at least 1.")
        if not 0 < self.corrections_weight <= 100:
            raise BadRecipe(f"corrections_weight must be above 0 and at most 100, not {self.corrections_weight}.")
        if self.corrections and self.stage in ("grpo", "dpo"):
            raise BadRecipe(f"Stage {self.stage} takes an export as its data: corrections are mixed into sft.")
        if self.report_to not in TRACKERS:
            raise BadRecipe(f"report_to must be {', '.join(TRACKERS)}, not {self.report_to!r}.")
        if self.push_to_hub is not None and not re.fullmatch(r"[\w.-]+/[\w.-]+", self.push_to_hub, re.ASCII):
            raise BadRecipe(f"push_to_hub must be owner/name, not {self.push_to_hub!r}.")
        if self.max_steps == 0 or (self.max_steps < 0 and self.num_train_epochs <= 0):
            raise BadRecipe("Nothing would be trained: set num_train_epochs or max_steps above 0.")
        if self.min_pixels and self.max_pixels and self.min_pixels > self.max_pixels:
            raise BadRecipe(f"min_pixels {self.min_pixels} is above max_pixels {self.max_pixels}.")

    @property
    def heavy(self) -> float:
        """The weight of reviewed rows; 1 where none are mixed in."""
        return self.corrections_weight if self.corrections else 1.0

    def accumulation(self, devices: int = 1) -> int:
        """How many small batches make one step on `devices` devices."""
        at_once = min(self.per_device_batch_size, self.batch_size) * devices
        if self.batch_size % at_once:
            raise BadRecipe(
                f"A batch_size of {self.batch_size} cannot be dealt in equal parts to {devices} device(s) "
                f"of {self.per_device_batch_size} rows: make it a multiple of {at_once}."
            )
        return self.batch_size // at_once

    def learning_rates(self) -> dict[str, float]:
        """The rate of each kind of module: language, vision, merger."""
        return {
            "language": self.learning_rate,
            "vision": self.learning_rate if self.vision_learning_rate is None else self.vision_learning_rate,
            "merger": self.learning_rate if self.merger_learning_rate is None else self.merger_learning_rate,
        }

    def trajectory(self) -> dict:
        """The settings that decide the weights: what a resumed run must share with the run it resumes."""
        neutral = {"about", "model", "data", "image_dir", "output_dir", "logging_steps", "save_steps"}
        neutral |= {"save_total_limit", "resume", "report_to", "push_to_hub", "num_workers", "max_new_tokens"}
        neutral |= {"corrections"}  # the rows themselves are compared
        neutral |= {"completions", "judge_cache", "judge_price_in", "judge_price_out"}
        neutral |= {"judge_base_url", "judge_concurrency", "judge_timeout", "judge_retries", "benchmarks"}
        neutral |= {"vllm_base_url", "vllm_memory", "vllm_tensor_parallel"}
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in neutral}


    def continues(self, trajectory: dict) -> bool:
        """May a run of this recipe go on from one of that trajectory? Settings younger than it had their defaults."""
        return type(self)(stage=self.stage).trajectory() | trajectory == self.trajectory()


@dataclass(frozen=True)
class GrpoRecipe(Recipe):
    """The settings of stage R. A row is a prompt; `num_generations` answers to it make one group.

    So a step has batch_size * num_generations answers, and a device holds per_device_batch_size *answers* at
    once. Answers are always the newest weights' own: one optimisation step for each generation.
    """

    num_generations: int = _about("answers to each prompt, whose rewards are compared", 4)
    max_completion_length: int = _about("longest answer, in tokens", 1024)
    temperature: float = _about("of the sampling of answers", 1.0)
    loss: str = _about("grpo (the paper's), bnpo, dr_grpo or dapo", "grpo")
    beta: float = _about("weight of the distance to the model that the run began with; 0: none", 0.0)
    epsilon: float = _about("a step changes no token's probability by more than this share", 0.2)

    reward: str = _about("continuous, binary or quantized, see training/rewards.py", "continuous")
    format_weight: float = _about("what a well-formed answer is worth; a right one is worth 1", 1.0)
    completions: int = _about("answers written to completions.jsonl at each line of the log", 4)

    judge_model: str = _about("model that grades open-ended answers; none: such rows are left out", "")
    judge_base_url: str | None = _about("OpenAI-compatible server of the judge (default: OpenAI)", None)
    judge_temperature: float = _about("of the judge", 0.2)
    judge_concurrency: int = _about("questions that the judge is asked side by side", 16)
    judge_timeout: float = _about("seconds until a question to the judge counts as failed", 60.0)
    judge_retries: int = _about("how often a question is asked again while the judge is busy", 4)
    judge_cache: str | None = _about("folder of what the judge said (default: in output_dir)", None)
    judge_price_in: float = _about("US$ for a million tokens read, for the dry run's estimate", 0.4)
    judge_price_out: float = _about("US$ for a million tokens written, likewise", 1.6)

    rollouts: str = _about(
        "what writes the answers: transformers, or vLLM: colocate (beside the trainer) or server "
        "(see training/slurm/train.sh)",
        "transformers",
    )
    vllm_base_url: str | None = _about("of the vLLM server, for example http://node-2:8000", None)
    vllm_memory: float = _about("colocate: the share of a GPU's memory that vLLM may take", 0.3)
    vllm_tensor_parallel: int = _about("colocate: GPUs that share one copy of the model", 1)

    def __post_init__(self):
        super().__post_init__()
        if self.num_generations < 2:
            raise BadRecipe("num_generations must be at least 2: answers are judged against each other.")
        for name in ("max_completion_length", "judge_concurrency"):
            if getattr(self, name) < 1:
                raise BadRecipe(f"{name} must be at least 1, not {getattr(self, name)}.")
        for name in ("temperature", "judge_timeout"):
            if not 0 < getattr(self, name) < float("inf"):
                raise BadRecipe(f"{name} must be above 0, not {getattr(self, name)}.")
        for name in ("beta", "epsilon", "format_weight", "completions", "judge_retries"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise BadRecipe(f"{name} must be 0 or more, not {getattr(self, name)}.")
        for name, known in (("reward", REWARDS), ("loss", LOSSES), ("rollouts", ROLLOUTS)):
            if getattr(self, name) not in known:
                raise BadRecipe(f"{name} must be {', '.join(known)}, not {getattr(self, name)!r}.")
        if self.rollouts == "server" and not self.vllm_base_url:
            raise BadRecipe("rollouts by a server need its vllm_base_url.")
        if not 0 < self.vllm_memory < 1 or self.vllm_tensor_parallel < 1:
            raise BadRecipe("vllm_memory must lie between 0 and 1, and vllm_tensor_parallel be at least 1.")
        if "@" in (self.judge_base_url or ""):
            raise BadRecipe("judge_base_url must hold no key: put it into OPENAI_API_KEY.")

    @property
    def answers(self) -> int:
        """Answers that make one step, over all devices."""
        return self.batch_size * self.num_generations

    def accumulation(self, devices: int = 1) -> int:
        """How many small batches of answers make one step on `devices` devices."""
        at_once = min(self.per_device_batch_size, self.answers // devices)
        if not at_once or self.answers % (at_once * devices):
            raise BadRecipe(
                f"The {self.answers} answers of a step cannot be dealt in equal parts to {devices} device(s) "
                f"of {self.per_device_batch_size}: make batch_size * num_generations a multiple of that."
            )
        if self.answers // devices % self.num_generations:
            raise BadRecipe(
                f"{self.batch_size} prompts cannot be dealt to {devices} devices: use more prompts."
            )
        return self.answers // (at_once * devices)


@dataclass(frozen=True)
class DpoRecipe(Recipe):
    """The settings of training on corrections. A row is a pair: the accepted text, and the one it corrects."""

    beta: float = _about("weight of the distance to the model that the run began with", 0.1)
    loss: str = _about("sigmoid (the usual one), hinge or ipo", "sigmoid")
    sft_weight: float = _about("weight of learning the accepted text as such, too; 0: only the pair", 0.0)

    def __post_init__(self):
        super().__post_init__()
        if not 0 < self.beta < float("inf") or not 0 <= self.sft_weight < float("inf"):
            raise BadRecipe("beta must be above 0, and sft_weight 0 or more.")
        if self.loss not in PAIR_LOSSES:
            raise BadRecipe(f"loss must be {', '.join(PAIR_LOSSES)}, not {self.loss!r}.")


FIELDS = {each.name: each for each in dataclasses.fields(Recipe)}
GRPO_FIELDS = {each.name: each for each in dataclasses.fields(GrpoRecipe)}
DPO_FIELDS = {each.name: each for each in dataclasses.fields(DpoRecipe)}
_KINDS = {"grpo": (GrpoRecipe, GRPO_FIELDS), "dpo": (DpoRecipe, DPO_FIELDS)}
_HINTS = typing.get_type_hints(DpoRecipe) | typing.get_type_hints(GrpoRecipe)


def _kinds(name: str) -> tuple[type, ...]:
    hint = _HINTS[name]
    return typing.get_args(hint) or (hint,)


def _value(name: str, value):
    """`value` in the type of the field `name`; accepts what YAML and a command line make of it."""
    if typing.get_origin(_HINTS[name]) is tuple:
        return _texts(name, value)
    kinds = _kinds(name)
    wrong = BadRecipe(
        f"{name} must be {' or '.join(k.__name__ for k in kinds if k is not type(None))}, not {value!r}."
    )
    if type(None) in kinds and (value is None or str(value).lower() in ("none", "null")):
        return None
    if value is None:
        raise wrong
    if bool in kinds:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if isinstance(value, bool):
            return value
        if str(value).lower() in words:
            return words[str(value).lower()]
        raise wrong
    if isinstance(value, bool):
        raise wrong
    if str in kinds:
        return str(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise wrong from None
    if int in kinds:
        if not number.is_integer():
            raise wrong
        return int(number)
    return number


def _texts(name: str, value) -> tuple[str, ...]:
    """A list of texts: one in YAML, or words between commas on a command line."""
    parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or not all(isinstance(part, str) for part in parts):
        raise BadRecipe(f"{name} must be a list of texts, not {value!r}.")
    return tuple(part for part in parts if part and part.lower() not in ("none", "null"))


def make(**values) -> Recipe:
    """A Recipe (of its stage's class) from loose values; BadRecipe for an unknown name or a wrong type."""
    kind, fields = _KINDS.get(values.get("stage"), (Recipe, FIELDS))
    for name in values:
        if name not in fields:
            raise BadRecipe(f"{name!r} is no setting of a recipe; there are {', '.join(fields)}.")
    return kind(**{name: _value(name, value) for name, value in values.items()})


def load(path: str | Path, **overrides) -> Recipe:
    """The recipe in the YAML file `path`, with `overrides` laid over it."""
    import yaml

    path = Path(path)
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadRecipe(f"There is no recipe {path}.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadRecipe(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(read, dict):
        raise BadRecipe(f"{path} must hold names and values, one to a line.")
    try:
        return make(**{str(name): value for name, value in read.items()} | overrides)
    except BadRecipe as error:
        raise BadRecipe(f"{path}: {error}") from None


def add_flags(parser: argparse.ArgumentParser, fields: typing.Mapping = FIELDS) -> None:
    """Give `parser` --config and one flag for every one of `fields` (those of Recipe)."""
    parser.add_argument("--config", metavar="YAML", required=True, help="the recipe, see training/recipes/")
    group = parser.add_argument_group("settings, laid over the recipe's")
    for name, field_ in fields.items():
        text = field_.metadata["help"]
        group.add_argument(f"--{name}", default=argparse.SUPPRESS, metavar="VALUE", help=text)


def from_flags(args: argparse.Namespace) -> Recipe:
    """The recipe that `args` (of a parser with add_flags) asks for."""
    return load(args.config, **{name: value for name, value in vars(args).items() if name in _HINTS})
