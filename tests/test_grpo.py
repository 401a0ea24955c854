"""Stage R: what the model sees, whose reward moves what, what comes out, refusals, and exact resume."""

import json
import random
import subprocess
import sys

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests import exports, killing
from tests.test_columns import as_published
from tinyrs.config import ROOT
from tinyrs.example import Question, Task
from tinyrs.local import LocalEngine
from tinyrs.models import resolve
from tinyrs.prompt import SYSTEM_THINKING, messages
from training.checkpoint import open_network, open_processor, weights_digest
from training.data import read
from training.grpo import Prompts, _settings, main, run, truth
from training.rates import module_kind
from training.recipe import BadRecipe, GrpoRecipe, load, make
from training.rewards import Reward
from training.seeing import see_once

RECIPES = ROOT / "training" / "recipes"
SMOKE = str(RECIPES / "4_grpo_smoke.yaml")


class Asked:
    """Drawn rows, each varied by its number and the epoch and by nothing else. The width tells whose picture it is."""

    epoch = 0

    def __init__(self, count=6):
        self.count, self.asked = count, []

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.asked.append((self.epoch, index))
        shade = random.Random(f"{self.epoch} {index}").randrange(256)
        question = Question("What is shown?" + " Say it again." * index, Task.VQA)
        return {
            "image": Image.new("RGB", (112 + 28 * (index % 3), 112), (shade, 40 * index, shade)),
            "prompt": messages(question, thinking=True),
            "example": truth(question, ["dark", "light"][shade > 127]),
        }


def small(**values):
    """A recipe of a few steps. The form is rewarded for what an untrained model can do: see `fickle`."""
    settled = {"stage": "grpo", "thinking": True, "max_steps": 2, "batch_size": 2, "num_generations": 2}
    settled |= {"max_completion_length": 6, "learning_rate": 1e-3, "warmup": 0, "save_steps": 0}
    settled |= {"lr_scheduler": "constant", "logging_steps": 1}
    return make(**(settled | {"min_pixels": 56 * 56, "max_pixels": 140 * 140} | values))


@pytest.fixture
def fickle(monkeypatch):
    """Rewards that an untrained model can earn: by the tokens of its answer, so that a resumed run finds them again."""
    original = Reward.__call__

    def reward(self, prompts, completions, completion_ids, example, **columns):
        original(self, prompts, completions, completion_ids, example, **columns)
        for row, ids in zip(self.table, completion_ids, strict=True):
            row["reward"] = sum(ids) % 7 / 7
        return [row["reward"] for row in self.table]

    monkeypatch.setattr(Reward, "__call__", reward)


# ---- recipes


@pytest.mark.parametrize("name", ["4_grpo", "4_grpo_cold", "4_grpo_binary", "4_grpo_quantized"])
def test_the_stage_has_the_values_of_the_paper(name):
    recipe = load(RECIPES / f"{name}.yaml")
    assert (recipe.num_train_epochs, recipe.batch_size, recipe.learning_rate) == (1, 16, 1e-6)
    assert (recipe.num_generations, recipe.max_completion_length, recipe.max_row_tokens) == (4, 8192, 8192)
    assert (recipe.loss, recipe.temperature, recipe.weight_decay) == ("grpo", 1.0, 0)
    assert recipe.judge_model == "gpt-4.1-mini-2025-04-14" and recipe.judge_temperature == 0.2
    assert recipe.accumulation(16) == 1  # 16 x H100, one group each
    assert recipe.reward == {"4_grpo_binary": "binary", "4_grpo_quantized": "quantized"}.get(
        name, "continuous"
    )


def test_the_release_differs_in_what_its_readme_says():
    paper, release = (load(RECIPES / f"{name}.yaml") for name in ("4_grpo", "4_grpo_release"))
    differing = {name for name in paper.trajectory() if getattr(paper, name) != getattr(release, name)}
    assert differing == {"num_train_epochs", "beta", "max_pixels"}
    assert (release.num_train_epochs, release.beta, release.max_pixels) == (64, 0.001, 2359296)


def test_a_step_is_dealt_in_whole_groups_or_refused():
    assert GrpoRecipe(batch_size=16, num_generations=4, per_device_batch_size=4).accumulation(4) == 4
    assert GrpoRecipe(batch_size=2, num_generations=4, per_device_batch_size=64).accumulation(1) == 1
    with pytest.raises(BadRecipe, match="cannot be dealt"):
        GrpoRecipe(batch_size=2, num_generations=3, per_device_batch_size=4).accumulation(1)
    with pytest.raises(BadRecipe, match="use more prompts"):
        GrpoRecipe(batch_size=2, num_generations=4, per_device_batch_size=2).accumulation(4)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"num_generations": 1}, "at least 2"),
        ({"temperature": 0}, "temperature must be above 0"),
        ({"beta": -1}, "beta must be 0 or more"),
        ({"reward": "scaled"}, "continuous, binary, quantized"),
        ({"loss": "ppo"}, "loss must be"),
        ({"judge_base_url": "http://me:secret@host/v1"}, "must hold no key"),
        ({"max_completion_length": 0}, "at least 1"),
    ],
)
def test_nonsense_is_refused(values, words):
    with pytest.raises(BadRecipe, match=words):
        small(**values)


def test_answers_can_be_written_by_vllm_beside_the_trainer_or_by_a_server(tmp_path):
    from trl import GRPOConfig

    def chosen(**values):
        settings = _settings(small(**values))
        made = GRPOConfig(
            output_dir=str(tmp_path), use_cpu=True, bf16=False, activation_checkpointing=False, **settings
        )
        return {name: getattr(made, name) for name in settings if "vllm" in name}

    assert chosen() == {"use_vllm": False}
    beside = chosen(rollouts="colocate", vllm_memory=0.4, vllm_tensor_parallel=2, max_row_tokens=100)
    assert beside["use_vllm"] and beside["vllm_mode"] == "colocate"
    assert (beside["vllm_gpu_memory_utilization"], beside["vllm_tensor_parallel_size"]) == (0.4, 2)
    assert beside["vllm_max_model_length"] == 106  # prompt and answer
    apart = chosen(rollouts="server", vllm_base_url="http://node-2:8000")
    assert apart["vllm_mode"] == "server" and apart["vllm_server_base_url"] == "http://node-2:8000"
    for values in ({"rollouts": "server"}, {"rollouts": "magic"}, {"rollouts": "colocate", "vllm_memory": 2}):
        with pytest.raises(BadRecipe):
            small(**values)


def test_a_library_that_is_not_there_is_named_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadRecipe, match="needs vllm, which is not installed"):
        run(small(rollouts="colocate"), Asked(), model="x", output=tmp_path / "out")


# ---- the command line, up to the first step


def test_a_dry_run_says_what_would_be_trained_and_trains_nothing(tmp_path, untrained, capsys):
    export = exports.make(tmp_path / "export", 5)
    args = ["--config", SMOKE, "--data", str(export), "--model", str(untrained), "--dry-run"]
    assert main([*args, "--output_dir", str(tmp_path / "out"), "--max_steps=-1", "--num_train_epochs=3"]) == 0
    said = capsys.readouterr().out
    lines = dict(line.split(None, 1) for line in said.splitlines() if line[:1].strip())
    assert lines["rows"] == "5"
    assert "6 of 2 rows" in lines["steps"]  # 5 rows make 2 steps an epoch: a group of prompts is never cut
    assert lines["answers"].startswith("60, 4 to each prompt, of at most 64 tokens")
    assert "learning rate 1e-05" in said and "GiB" in lines["memory"] and "judge" not in lines
    processor = open_processor(untrained, (112 * 112, 224 * 224))
    row = Prompts(read(export))[1]
    text = processor.apply_chat_template(row["prompt"], add_generation_prompt=True, tokenize=False)
    alone = processor(text=[text], images=[[row["image"]]])["input_ids"][0]
    visual = alone.count(processor.image_token_id)
    assert f"{len(alone) - visual:,}" in lines["text"] and f"{visual:,}" in lines["visual"]
    assert not (tmp_path / "out").exists()


def test_a_dry_run_tells_what_the_judge_may_cost_and_asks_for_no_key(tmp_path, untrained, capsys):
    data = as_published(tmp_path)
    args = [
        "--config",
        SMOKE,
        "--data",
        str(data),
        "--model",
        str(untrained),
        "--box_scale",
        "1000",
        "--dry-run",
    ]
    assert main([*args, "--judge_model", "gpt-4.1-mini", "--max_steps=-1", "--num_train_epochs=2"]) == 0
    said = capsys.readouterr().out
    assert "gpt-4.1-mini: at most 16 questions" in said  # 2 open-ended rows, 2 epochs, 4 answers
    assert main([*args]) == 0
    said = capsys.readouterr().out
    assert "Left out because no judge_model is named: 2 open-ended rows." in said


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--data", "nowhere"], "There is no file nowhere."),
        (["--data", ""], "--data is missing."),
        (["--output_dir", ""], "--output_dir is missing."),
        (["--model", "no-such-model"], "No model is called 'no-such-model'"),
        (["--stage", "sft"], "is no setting of a recipe"),
        (["--reward", "scaled"], "continuous, binary, quantized"),
        (["--batch_size", "3", "--per_device_batch_size", "5"], "cannot be dealt"),
        (["--batch_size", "6", "--per_device_batch_size", "4"], "There are 4 rows, and one step takes 6"),
        (["--max_row_tokens", "10"], "There are no rows"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(tmp_path, untrained, capsys, flags, words):
    export = exports.make(tmp_path / "export")
    args = ["--config", SMOKE, "--data", str(export), "--model", str(untrained)]
    assert main([*args, "--output_dir", str(tmp_path / "out"), *flags]) == 2
    said = capsys.readouterr().err
    assert words in said and len(said.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_recipe_of_another_stage_is_refused(tmp_path, capsys):
    assert main(["--config", str(RECIPES / "smoke.yaml")]) == 2
    assert "use training.sft" in capsys.readouterr().err
    with pytest.raises(BadRecipe, match="python -m training.sft"):
        run(make(), Asked(), model="x", output=tmp_path)


def test_open_ended_rows_without_a_key_stop_before_the_first_step(tmp_path, untrained, capsys):
    args = ["--config", SMOKE, "--data", str(as_published(tmp_path)), "--model", str(untrained)]
    out = tmp_path / "out"
    flags = ["--box_scale", "1000", "--judge_model", "gpt-4.1-mini", "--output_dir", str(out)]
    assert main([*args, *flags]) == 1
    assert "OPENAI_API_KEY is not set" in capsys.readouterr().err and not out.exists()


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from training.grpo import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'trl', 'datasets', 'PIL', 'yaml', 'openai'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


# ---- what the model sees


def test_a_picture_that_a_batch_holds_twice_is_seen_once_and_nothing_changes(untrained):
    processor = open_processor(untrained, (56 * 56, 140 * 140))
    rows = [Asked()[index] for index in (0, 1, 0, 2, 1, 0)]
    texts = [
        processor.apply_chat_template(row["prompt"], add_generation_prompt=True, tokenize=False)
        for row in rows
    ]
    batch = processor(text=texts, images=[[row["image"]] for row in rows], padding=True, return_tensors="pt")
    network = open_network(untrained)
    seen, gradients, logits = [], [], []
    for once in (False, True):
        if once:
            see_once(network)
        looked = []
        hook = network.model.visual.register_forward_pre_hook(
            lambda module, args, kwargs: looked.append(len(kwargs["grid_thw"])), with_kwargs=True
        )
        output = network(**batch).logits
        network.zero_grad()
        output.square().mean().backward()
        hook.remove()
        seen.append(looked)
        logits.append(output.detach())
        gradients.append(network.model.visual.patch_embed.proj.weight.grad.clone())
    assert seen == [[6], [3]]
    torch.testing.assert_close(logits[0], logits[1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-6, rtol=1e-3)


@pytest.mark.train
def test_each_answer_is_learnt_beside_its_own_prompt_and_picture(untrained, tmp_path, fickle, monkeypatch):
    from trl import GRPOTrainer

    rows, batches = Asked(6), []
    generated, original = [], GRPOTrainer._compute_loss

    def watched(self, model, inputs):
        batches.append({k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in inputs.items()})
        return original(self, model, inputs)

    single = GRPOTrainer._generate_single_turn

    def answered(self, prompt_ids, images, *args, **kwargs):
        ids, other = single(self, prompt_ids, images, *args, **kwargs)
        generated.extend(
            (tuple(p), i[0].size, tuple(c)) for p, i, c in zip(prompt_ids, images, ids, strict=True)
        )
        return ids, other

    monkeypatch.setattr(GRPOTrainer, "_compute_loss", watched)
    monkeypatch.setattr(GRPOTrainer, "_generate_single_turn", answered)
    recipe = small(batch_size=6, per_device_batch_size=4, num_generations=4, max_steps=1)
    run(recipe, rows, model=untrained, output=tmp_path / "out", quiet=True)

    processor = open_processor(untrained, (56 * 56, 140 * 140))
    widths = {}
    for row in (Asked()[index] for index in range(6)):
        text = processor.apply_chat_template(row["prompt"], add_generation_prompt=True, tokenize=False)
        inputs = processor(text=[text], images=[[row["image"]]], return_tensors="pt")
        widths[tuple(inputs["input_ids"][0].tolist())] = inputs["pixel_values"]
    assert len(generated) == 24 and len({prompt for prompt, _, _ in generated}) == 6
    assert sum(len(batch["advantages"]) for batch in batches) > 4
    end = processor.tokenizer.eos_token_id
    for batch in batches:
        lengths = batch["image_grid_thw"].prod(-1).tolist()
        pictures = batch["pixel_values"].split(lengths)
        for number in range(len(batch["advantages"])):
            prompt = tuple(batch["prompt_ids"][number][batch["prompt_mask"][number].bool()].tolist())
            answer = tuple(batch["completion_ids"][number][batch["completion_mask"][number].bool()].tolist())
            # The very pixels that this prompt was asked about, and an answer that was given to it.
            assert torch.equal(pictures[number], widths[prompt])
            assert answer in {c for p, _, c in generated if p == prompt}
            assert end not in answer[:-1]
            # Padded on the left, and the places of the picture are where its tokens are.
            length = batch["prompt_ids"].shape[1]
            assert torch.equal(
                batch["mm_token_type_ids"][number][:length].bool(),
                batch["prompt_ids"][number] == processor.image_token_id,
            )


# ---- training


@pytest.mark.train
def test_answers_that_earn_more_become_likelier(untrained, tmp_path, monkeypatch):
    wanted = 300

    def reward(self, prompts, completions, completion_ids, example, **columns):
        self.table = []
        return [float(sum(token > wanted for token in ids)) / len(ids) for ids in completion_ids]

    monkeypatch.setattr(Reward, "__call__", reward)
    recipe = small(
        max_steps=12, batch_size=2, num_generations=8, per_device_batch_size=16, learning_rate=3e-3
    )
    out = run(recipe, Asked(4), model=untrained, output=tmp_path / "out", quiet=True)
    rewards = [json.loads(line)["reward"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert sum(rewards[-3:]) / 3 > sum(rewards[:3]) / 3 + 0.05


@pytest.mark.train
def test_a_checkpoint_is_whole_and_answers(untrained, tmp_path, picture):
    recipe = small(max_new_tokens=40, logging_steps=1, completions=3, learning_rate=1e-4)
    rows = Asked()
    out = run(recipe, rows, model=untrained, output=tmp_path / "out", quiet=True)
    assert len(rows.asked) == len(set(rows.asked))  # each row is made once, not once an answer

    declared = json.loads((out / "tinyrs.json").read_text())
    assert declared["thinking"] and declared["system"] == SYSTEM_THINKING and declared["max_new_tokens"] == 40
    assert not [path.name for path in out.rglob("*") if path.suffix in (".bin", ".pt", ".pth", ".pkl")]
    card = (out / "README.md").read_text()
    assert "Stage `grpo`" in card and "Reward: 0.000 at step 1" in card and str(tmp_path) not in card
    table = [json.loads(line) for line in (out / "completions.jsonl").read_text().splitlines()]
    assert [line["step"] for line in table] == [1, 1, 1, 2, 2, 2]
    assert {"task", "question", "truth", "completion", "reward", "task_reward", "format", "tokens"} < set(
        table[0]
    )
    (first, _) = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert first["groups/zero_variance"] == 1 and first["format/vqa"] == 0 and first["tokens/vqa"] <= 6
    # Nothing was earned, so nothing was learnt.
    assert weights_digest(out) == weights_digest(untrained)

    (reply,) = LocalEngine(resolve(str(out))).batch([(picture, Question("What is shown?", Task.VQA))])
    assert reply.finished


@pytest.mark.train
def test_groups_without_a_difference_change_no_weight_and_the_others_change_it_as_if_they_were_there(
    untrained, tmp_path, monkeypatch
):
    from trl import GRPOTrainer

    def reward(self, prompts, completions, completion_ids, example, **columns):
        self.table = []
        values = [sum(ids) % 5 / 5 for ids in completion_ids]
        values[:4] = [1.0] * 4  # the first group
        return values

    monkeypatch.setattr(Reward, "__call__", reward)
    recipe = small(batch_size=3, num_generations=4, per_device_batch_size=12, max_steps=1)
    one = run(recipe, Asked(3), model=untrained, output=tmp_path / "one", quiet=True)
    from training import grpo

    made = grpo._trainer_class

    def whole():
        kind = made()
        kind._compute_loss = GRPOTrainer._compute_loss
        return kind

    monkeypatch.setattr(grpo, "_trainer_class", whole)
    two = run(recipe, Asked(3), model=untrained, output=tmp_path / "two", quiet=True)
    logs = [json.loads((out / "log.jsonl").read_text().splitlines()[0]) for out in (one, two)]
    assert logs[0]["reward"] == logs[1]["reward"] and logs[0]["grad_norm"] > 0
    assert logs[0]["grad_norm"] == pytest.approx(logs[1]["grad_norm"], rel=1e-4)
    assert logs[0]["loss"] == pytest.approx(logs[1]["loss"], abs=1e-6)


@pytest.mark.train
def test_the_distance_to_the_start_is_0_at_first_and_then_grows(untrained, tmp_path, fickle):
    recipe = small(beta=0.04, max_steps=3, num_generations=4, vision_learning_rate=0)
    out = run(recipe, Asked(), model=untrained, output=tmp_path / "out", quiet=True)
    far = [json.loads(line)["kl"] for line in (out / "log.jsonl").read_text().splitlines()]
    # The other model really is the one that the run began with, not one with random weights.
    assert abs(far[0]) < 1e-6 < far[2]
    before, after = load_file(untrained / "model.safetensors"), load_file(out / "model.safetensors")
    changed = {module_kind(name) for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"language", "merger"}


@pytest.mark.train
def test_a_lora_trains_the_language_model_and_is_merged_into_what_is_saved(untrained, tmp_path, fickle):
    out = run(small(lora_rank=4, beta=0.04), Asked(), model=untrained, output=tmp_path / "out", quiet=True)
    before, after = load_file(untrained / "model.safetensors"), load_file(out / "model.safetensors")
    assert before.keys() == after.keys()
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed and all("proj" in name and module_kind(name) == "language" for name in changed)
    assert (out / "adapter" / "adapter_model.safetensors").exists() and resolve(str(out)).thinking


class Stopped(Exception):
    """Stands for whatever ends a run."""


@pytest.mark.train
@pytest.mark.parametrize("lora_rank", [0, 4], ids=["whole", "lora"])
def test_a_run_that_stopped_ends_with_the_weights_of_one_that_did_not(untrained, tmp_path, fickle, lora_rank):
    class Stopping(Asked):
        def __getitem__(self, index):
            if len(self.asked) > 10:
                raise Stopped
            return super().__getitem__(index)

    # Two steps an epoch: it stops in the third epoch, and goes on from the end of the second.
    recipe = small(max_steps=8, save_steps=2, lora_rank=lora_rank)
    whole = run(recipe, Asked(5), model=untrained, output=tmp_path / "whole", quiet=True)
    with pytest.raises(Stopped):
        run(recipe, Stopping(5), model=untrained, output=tmp_path / "parts", quiet=True)
    assert sorted(path.name for path in (tmp_path / "parts").glob("checkpoint-*")) == [
        "checkpoint-2",
        "checkpoint-4",
    ]
    rows = Asked(5)
    parts = run(recipe, rows, model=untrained, output=tmp_path / "parts", quiet=True)
    assert {epoch for epoch, _ in rows.asked} == {2, 3}
    assert weights_digest(parts) == weights_digest(whole) != weights_digest(untrained)
    logs = [
        [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()] for out in (whole, parts)
    ]
    assert [line["reward"] for line in logs[0]] == [line["reward"] for line in logs[1]]
    assert (parts / "completions.jsonl").read_text() == (whole / "completions.jsonl").read_text()


@pytest.mark.train
def test_a_killed_process_goes_on_bit_for_bit(untrained, tmp_path):
    export = exports.make(tmp_path / "export", 5)

    # The distance to the start moves the weights, whatever an untrained model earns.
    settings = {"max_steps": 4, "save_steps": 1, "num_generations": 2, "max_completion_length": 6}
    settings |= {"max_pixels": 112 * 112, "beta": 1, "learning_rate": 1e-3, "weight_decay": 0.1}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    killing.finish(killing.command("grpo", SMOKE, untrained, export, whole, **settings))
    again = killing.command("grpo", SMOKE, untrained, export, parts, **settings)
    killing.kill_after(again, parts, step=1)
    said = killing.finish(again)
    assert weights_digest(parts) == weights_digest(whole) != weights_digest(untrained)
    assert f"Going on from {parts / 'checkpoint-'}" in said
    assert (parts / "completions.jsonl").read_text() == (whole / "completions.jsonl").read_text()
