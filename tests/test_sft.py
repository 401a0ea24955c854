"""Supervised training: what has labels, what is refused, what comes out, and exact resume."""

import json
import random
import subprocess
import sys

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests import exports, killing
from tinyrs.config import ROOT
from tinyrs.example import Question, Task
from tinyrs.local import LocalEngine
from tinyrs.models import resolve
from tinyrs.prompt import SYSTEM_THINKING, messages
from training.checkpoint import open_processor, weights_digest
from training.rates import module_kind
from training.recipe import BadRecipe, make
from training.sft import Collator, main, run

RATES = {"learning_rate": 1e-3, "vision_learning_rate": 1e-4, "merger_learning_rate": 5e-4}
SMOKE = str(ROOT / "training" / "recipes" / "smoke.yaml")


class Told:
    """Drawn rows, each varied by its number and the epoch and by nothing else."""

    epoch = 0

    def __init__(self, count=6, thinking=False):
        self.count, self.thinking, self.asked = count, thinking, []

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.asked.append((self.epoch, index))
        shade = random.Random(f"{self.epoch} {index}").randrange(256)
        words = ["dark", "light"][shade > 127] + " and flat" * (index % 2)
        question = Question("What is shown?", Task.VQA)
        return {
            "image": Image.new("RGB", (120, 100), (shade, shade, shade)),
            "prompt": messages(question, thinking=self.thinking),
            "completion": [{"role": "assistant", "content": [{"type": "text", "text": words}]}],
        }


def small(**values):
    """A recipe of a few steps."""
    settled = {"max_steps": 4, "batch_size": 2, "learning_rate": 1e-3, "warmup": 0, "save_steps": 0}
    return make(**(settled | {"min_pixels": 56 * 56, "max_pixels": 112 * 112} | values))


@pytest.fixture
def processor(untrained):
    return open_processor(untrained, (56 * 56, 112 * 112))


# ---- labels


def test_only_the_answer_and_its_end_token_have_labels(processor):
    batch = Collator(processor)([Told()[0], Told()[1]])
    end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    for number in range(2):
        labels = batch["labels"][number]
        kept = labels[labels != -100].tolist()
        told = Told()[number]["completion"][0]["content"][0]["text"]
        # No newline before the end token, as in the released code, and none after it.
        assert processor.tokenizer.decode(kept) == f"{told}<|im_end|>"
        assert kept.count(end) == 1 and kept[-1] == end
        assert torch.equal(batch["input_ids"][number][labels != -100], labels[labels != -100])


def test_the_prompt_is_tokenized_as_it_is_when_the_model_is_asked(processor):
    row = Told(thinking=True)[0]
    batch = Collator(processor)([row])
    asked = processor(
        text=[processor.apply_chat_template(row["prompt"], add_generation_prompt=True, tokenize=False)],
        images=[[row["image"]]],
        return_tensors="pt",
    )
    length = asked["input_ids"].shape[1]
    for name in ("input_ids", "mm_token_type_ids"):
        assert torch.equal(batch[name][:, :length], asked[name])
    assert torch.equal(batch["pixel_values"], asked["pixel_values"])
    assert (batch["labels"][:, :length] == -100).all()


def test_rows_of_a_batch_do_not_touch_each_other(processor):
    collate, rows = Collator(processor), [Told()[index] for index in range(3)]
    together = collate(rows)
    for number, row in enumerate(rows):
        alone = collate([row])
        length = alone["input_ids"].shape[1]
        for name in ("input_ids", "labels", "attention_mask", "mm_token_type_ids"):
            assert torch.equal(together[name][number, :length], alone[name][0])
        assert (together["attention_mask"][number, length:] == 0).all()
        assert (together["labels"][number, length:] == -100).all()


def test_a_template_that_does_not_end_an_answer_is_refused(processor):
    processor.chat_template = "{% for m in messages %}{{ m['role'] }}{% endfor %}"
    with pytest.raises(BadRecipe, match="does not end an answer"):
        Collator(processor)([Told()[0]])


# ---- the command line, up to the first step


def test_a_dry_run_says_what_would_be_trained_and_trains_nothing(tmp_path, untrained, capsys):
    export = exports.make(tmp_path / "export")
    args = ["--config", SMOKE, "--data", str(export), "--model", str(untrained), "--dry-run"]
    assert main([*args, "--output_dir", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "grounding" in said and "visual tokens" in said and "learning rate 2e-05" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--data", "nowhere"], "There is no file nowhere."),
        (["--data", ""], "--data is missing."),
        (["--output_dir", ""], "--output_dir is missing."),
        (["--model", "no-such-model"], "No model is called 'no-such-model'"),
        (["--model", "http://127.0.0.1:8000/v1#m"], "behind a server"),
        (["--learning_rate", "fast"], "learning_rate must be float"),
        (["--batch_size", "6"], "multiple of 4"),
        (["--stage", "grpo"], "stage grpo"),
        (["--box_scale", "big"], "A box scale is"),
        (["--max_row_tokens", "10"], "No row has at most 10 tokens."),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(tmp_path, untrained, capsys, flags, words):
    export = exports.make(tmp_path / "export")
    args = ["--config", SMOKE, "--data", str(export), "--model", str(untrained)]
    assert main([*args, "--output_dir", str(tmp_path / "out"), *flags]) == 2
    said = capsys.readouterr().err
    assert words in said and len(said.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_bad_row_stops_the_command_before_anything_is_written(tmp_path, untrained, capsys):
    export = exports.make(tmp_path / "export")
    rows = json.loads((export / "cot_sft.json").read_text())
    rows[2]["conversations"][1]["value"] = exports.REASONED.format(answer="[[1,2,3,4000]]")
    exports.seal(export, rows)
    args = ["--config", SMOKE, "--data", str(export), "--model", str(untrained)]
    assert main([*args, "--output_dir", str(tmp_path / "out")]) == 2
    assert "cot_sft.json, row 3 (line 1)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from training.sft import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'trl', 'datasets', 'PIL', 'yaml'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def test_no_rows_are_refused(untrained, tmp_path):
    with pytest.raises(BadRecipe, match="no rows"):
        run(small(), [], model=untrained, output=tmp_path / "out")


# ---- training


@pytest.mark.train
def test_a_trained_checkpoint_is_whole_and_answers(untrained, tmp_path, picture):
    rows = Told(thinking=True)
    recipe = small(max_steps=15, thinking=True, max_new_tokens=40, logging_steps=1, **RATES)
    out = run(recipe, rows, model=untrained, output=tmp_path / "out", quiet=True)
    assert {epoch for epoch, _ in rows.asked} >= {0, 1, 4}

    losses = [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0] / 2
    declared = json.loads((out / "tinyrs.json").read_text())
    assert declared["thinking"] and declared["system"] == SYSTEM_THINKING and declared["measured"] == {}
    assert (declared["min_pixels"], declared["max_pixels"]) == (56 * 56, 112 * 112)
    spec = resolve(str(out))
    assert spec.thinking and spec.max_pixels == 112 * 112 and spec.max_new_tokens == 40

    # In the form that AutoProcessor and vLLM look for.
    size = {"shortest_edge": 56 * 56, "longest_edge": 112 * 112}
    for name in ("preprocessor_config.json", "video_preprocessor_config.json"):
        config = json.loads((out / name).read_text())
        assert config["processor_class"] == "Qwen2VLProcessor"
    assert json.loads((out / "preprocessor_config.json").read_text())["size"] == size
    assert not [path.name for path in out.rglob("*") if path.suffix in (".bin", ".pt", ".pth", ".pkl")]
    card = (out / "README.md").read_text()
    assert "pipeline_tag: image-text-to-text" in card and "15 steps" in card and str(tmp_path) not in card

    (reply,) = LocalEngine(spec).batch([(picture, Question("What is shown?", Task.VQA))])
    assert reply.finished and reply.text.startswith(("dark", "light")) and not reply.truncated


@pytest.mark.train
def test_a_module_with_rate_0_stays_as_it_was(untrained, tmp_path):
    recipe = small(max_steps=2, vision_learning_rate=0)
    out = run(recipe, Told(), model=untrained, output=tmp_path / "out", quiet=True)
    before, after = load_file(untrained / "model.safetensors"), load_file(out / "model.safetensors")
    changed = {module_kind(name) for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"language", "merger"}


@pytest.mark.train
def test_weights_with_the_names_of_the_hub_are_trained_too(checkpoint, tmp_path):
    path = checkpoint / "model.safetensors"
    renamed = {
        name.replace("model.visual.", "visual.").replace("model.language_model.", "model."): tensor
        for name, tensor in load_file(path).items()
    }
    assert any(name.startswith("visual.") for name in renamed)
    save_file(renamed, path, metadata={"format": "pt"})
    out = run(small(max_steps=1), Told(), model=checkpoint, output=tmp_path / "out", quiet=True)
    after = load_file(out / "model.safetensors")
    kinds = {"visual": [], "rest": []}
    for name, tensor in after.items():
        old = renamed[name.replace("model.visual.", "visual.").replace("model.language_model.", "model.")]
        kinds["visual" if "visual" in name else "rest"].append((tensor - old).abs().max().item())
    # One step of Adam at 1e-3 moves a weight by no more: it began at these weights, not random ones.
    assert 0 < max(kinds["visual"]) < 1.1e-3 and 0 < max(kinds["rest"]) < 1.1e-3


class Stopped(Exception):
    """Stands for whatever ends a run."""


@pytest.mark.train
def test_a_run_that_stopped_ends_with_the_weights_of_one_that_did_not(untrained, tmp_path):
    class Stopping(Told):
        def __getitem__(self, index):
            if len(self.asked) > 11:
                raise Stopped
            return super().__getitem__(index)

    recipe = small(max_steps=8, save_steps=2, logging_steps=1)
    whole = run(recipe, Told(5), model=untrained, output=tmp_path / "whole", quiet=True)
    with pytest.raises(Stopped):
        run(recipe, Stopping(5), model=untrained, output=tmp_path / "parts", quiet=True)
    saved = sorted(path.name for path in (tmp_path / "parts").glob("checkpoint-*"))
    assert saved and not (tmp_path / "parts" / "tinyrs.json").exists()
    # A checkpoint that was cut off while it was written is passed over.
    (tmp_path / "parts" / "checkpoint-999").mkdir()
    parts = run(recipe, Told(5), model=untrained, output=tmp_path / "parts", quiet=True)
    assert weights_digest(parts) == weights_digest(whole) != weights_digest(untrained)
    assert not (parts / "checkpoint-999").exists()
    # And what is logged is the same, step by step.
    logs = [
        [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()] for out in (whole, parts)
    ]
    assert [line["loss"] for line in logs[0]] == [line["loss"] for line in logs[1]]


@pytest.mark.train
def test_two_runs_do_not_mix_in_one_folder(untrained, tmp_path):
    recipe = small(max_steps=2, save_steps=1)
    out = run(recipe, Told(), model=untrained, output=tmp_path / "out", quiet=True)
    with pytest.raises(BadRecipe, match="already holds a finished checkpoint"):
        run(recipe, Told(), model=untrained, output=out, quiet=True)
    (out / "tinyrs.json").unlink()
    for other in ({"learning_rate": 1e-4}, {"seed": 1}, {"max_steps": 3}):
        with pytest.raises(BadRecipe, match="of another recipe, base or data"):
            run(small(**({"max_steps": 2, "save_steps": 1} | other)), Told(), model=untrained, output=out)
    with pytest.raises(BadRecipe, match="of another recipe, base or data"):
        run(recipe, Told(7), model=untrained, output=out)
    with pytest.raises(BadRecipe, match="resume is off"):
        run(small(max_steps=2, save_steps=1, resume=False), Told(), model=untrained, output=out)


@pytest.mark.train
def test_a_killed_process_goes_on_bit_for_bit(untrained, tmp_path):
    export = exports.make(tmp_path / "export", 5)

    settings = {"max_steps": 6, "batch_size": 2, "per_device_batch_size": 2, "save_steps": 2}
    settings |= {"max_pixels": 112 * 112}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    killing.finish(killing.command("sft", SMOKE, untrained, export, whole, **settings))
    again = killing.command("sft", SMOKE, untrained, export, parts, **settings)
    killing.kill_after(again, parts, step=2)
    said = killing.finish(again)
    assert weights_digest(parts) == weights_digest(whole)
    assert f"Going on from {parts / 'checkpoint-2'}" in said
