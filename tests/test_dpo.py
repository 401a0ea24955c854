"""Training on corrections: what a pair is, what is refused, what becomes likelier, and exact resume."""

import json
import subprocess
import sys

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from annotate.export import export
from annotate.store import Store
from tests import exports, killing
from tests.store_parts import SCENE, add_caption, add_picture, head
from tinyrs.config import ROOT
from tinyrs.example import Question, Task
from tinyrs.local import LocalEngine
from tinyrs.models import resolve
from tinyrs.prompt import SYSTEM_THINKING, messages
from tinyrs.strictjson import BadData
from training.checkpoint import open_network, open_processor, weights_digest
from training.dpo import PairCollator, main, read_pairs, run
from training.rates import module_kind
from training.recipe import BadRecipe, load, make

RECIPES = ROOT / "training" / "recipes"
SMOKE = str(RECIPES / "5_dpo_smoke.yaml")
ASKED = Question("What is shown?", Task.VQA)


def message(text):
    return [{"role": "assistant", "content": [{"type": "text", "text": text}]}]


class Told:
    """Drawn pairs of texts of unlike length, each made from its number alone."""

    def __init__(self, count=5):
        self.count, self.asked = count, []

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.asked.append(index)
        return {
            "image": Image.new("RGB", (112 + 28 * (index % 2), 112), (50 * index, 90, 30)),
            "prompt": messages(ASKED, thinking=True),
            "chosen": message("farmland" + " and fields" * index),
            "rejected": message("a port" + " with ships" * (3 - index % 3)),
        }


def small(**values):
    """A recipe of a few steps."""
    settled = {"stage": "dpo", "thinking": True, "max_steps": 4, "batch_size": 2, "learning_rate": 1e-3}
    settled |= {"warmup": 0, "save_steps": 0, "logging_steps": 1, "lr_scheduler": "constant"}
    return make(**(settled | {"min_pixels": 56 * 56, "max_pixels": 140 * 140} | values))


def pairs_export(folder, count=5):
    """An export of kind dpo, through the store: each caption corrected by one person, accepted by another."""
    with Store(folder / "tinyrs.db") as store:
        for number in range(count):
            caption = add_caption(
                store, f"Water {number}.", "port", question=SCENE, picture=add_picture(store, 40 * number)
            )
            better = store.save_correction(
                head(store, caption), reasoning=f"Green fields {number}.", answer="farmland", author="Ann"
            )
            store.add_review(better, "accept", author="Bob")
        export(store, folder / "pairs", "dpo")
    return folder / "pairs"


@pytest.fixture
def processor(untrained):
    return open_processor(untrained, (56 * 56, 140 * 140))


# ---- pairs


def test_an_export_becomes_pairs(tmp_path):
    chosen, rejected = read_pairs(pairs_export(tmp_path, 2))
    assert [(e.reasoning, e.answer) for e in chosen] == [
        ("Green fields 0.", "farmland"),
        ("Green fields 1.", "farmland"),
    ]
    assert [(e.reasoning, e.answer) for e in rejected] == [("Water 0.", "port"), ("Water 1.", "port")]
    assert [e.picture for e in chosen] == [e.picture for e in rejected]


@pytest.mark.parametrize(
    ("rejected", "words"),
    [
        (None, 'has no "rejected" text'),
        ("  ", 'has no "rejected" text'),
        (7, 'has no "rejected" text'),
        ("<reasoning> cut off", "breaks the form"),
        ("<reasoning> a </reasoning> <answer> </answer>", "breaks the form"),
        ("{same}", "is the accepted one"),
    ],
)
def test_a_row_without_a_usable_rejected_text_is_refused_by_number(tmp_path, rejected, words):
    folder = exports.make(tmp_path / "export", 3)
    rows = json.loads((folder / "cot_sft.json").read_text())
    for row in rows:
        row["rejected"] = "<reasoning> Dark. </reasoning> <answer> [[1,2 </answer>"
    rows[1]["rejected"] = rows[1]["conversations"][1]["value"] if rejected == "{same}" else rejected
    exports.seal(folder, rows)
    with pytest.raises(BadData, match=f"row 2 .*{words}"):
        read_pairs(folder)


def test_only_the_answers_count_and_both_have_the_same_prompt_and_picture(processor):
    rows = [Told()[0], Told()[1]]
    batch = PairCollator(processor)(rows)
    assert "labels" not in batch and len(batch["input_ids"]) == 4
    told = []
    for number in range(4):
        mask = batch["completion_mask"][number].bool()
        told.append(processor.tokenizer.decode(batch["input_ids"][number][mask]))
        assert not (mask & ~batch["attention_mask"][number].bool()).any()
    # First all accepted texts, then all rejected ones; no newline after the end token.
    assert told == [
        "farmland<|im_end|>",
        "farmland and fields<|im_end|>",
        "a port with ships with ships with ships<|im_end|>",
        "a port with ships with ships<|im_end|>",
    ]
    pictures = batch["pixel_values"].split(batch["image_grid_thw"].prod(-1).tolist())
    for one, two in ((0, 2), (1, 3)):
        assert torch.equal(pictures[one], pictures[two])
        length = int(batch["completion_mask"][one].argmax())
        assert torch.equal(batch["input_ids"][one][:length], batch["input_ids"][two][:length])


# ---- recipes and the command line


def test_every_recipe_of_the_stage_is_whole():
    recipe = load(RECIPES / "5_dpo.yaml")
    assert recipe.stage == "dpo" and recipe.thinking and recipe.beta == 0.1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"beta": 0}, "beta must be above 0"),
        ({"loss": "ppo"}, "loss must be"),
        ({"sft_weight": -1}, "sft_weight"),
    ],
)
def test_nonsense_is_refused(values, words):
    with pytest.raises(BadRecipe, match=words):
        small(**values)


def test_a_dry_run_says_what_would_be_trained_and_trains_nothing(tmp_path, untrained, capsys):
    data = pairs_export(tmp_path, 3)
    args = ["--config", SMOKE, "--data", str(data), "--model", str(untrained), "--dry-run"]
    assert main([*args, "--output_dir", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    lines = dict(line.split(None, 1) for line in said.splitlines() if line[:1].strip())
    assert lines["rows"] == "3" and "learning rate 1e-05" in said and not (tmp_path / "out").exists()
    both = 2 * load(SMOKE).per_device_batch_size
    assert "GiB" in lines["memory"] and f"{both} rows" in lines["memory"]  # the accepted texts and the rejected ones


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--data", "nowhere"], "There is no file nowhere."),
        (["--output_dir", ""], "--output_dir is missing."),
        (["--stage", "sft"], "is no setting of a recipe"),
        (["--max_row_tokens", "10"], "No row has at most 10 tokens."),
        (["--report_to", "wandb"], "report_to must be"),
        (["--push_to_hub", "nonsense"], "must be owner/name"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(tmp_path, untrained, capsys, flags, words):
    (tmp_path / "made").mkdir()
    data = pairs_export(tmp_path / "made", 2)
    args = ["--config", SMOKE, "--data", str(data), "--model", str(untrained)]
    flags = flags if flags[0] != "--stage" else [*flags, "--beta", "0.2"]
    assert main([*args, "--output_dir", str(tmp_path / "out"), *flags]) == 2
    said = capsys.readouterr().err
    assert words in said and len(said.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_recipes_and_commands_of_other_stages_are_told_apart(tmp_path, capsys):
    from training.sft import main as sft

    assert main(["--config", str(RECIPES / "smoke.yaml")]) == 2
    assert "use training.sft" in capsys.readouterr().err
    assert sft(["--config", SMOKE]) == 2
    assert "use training.dpo" in capsys.readouterr().err
    with pytest.raises(BadRecipe, match="another command"):
        run(make(), Told(), model="x", output=tmp_path)


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from training.dpo import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'trl', 'datasets', 'PIL', 'yaml', 'openai'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


# ---- training


def margins(folder, base):
    """How much likelier than at the start the accepted text has become than the rejected one, for each pair."""
    processor = open_processor(base, (56 * 56, 140 * 140))
    batch = PairCollator(processor)([Told()[index] for index in range(5)])
    mask = batch.pop("completion_mask")[:, 1:].bool()
    sums = []
    for where in (folder, base):
        with torch.no_grad():
            logits = open_network(where)(**batch).logits[:, :-1].log_softmax(-1)
        picked = logits.gather(-1, batch["input_ids"][:, 1:, None]).squeeze(-1)
        sums.append((picked * mask).sum(1))
    after, before = (row.chunk(2) for row in sums)
    return (after[0] - before[0]) - (after[1] - before[1])


@pytest.mark.train
def test_the_accepted_text_becomes_likelier_and_the_checkpoint_is_whole(untrained, tmp_path, picture):
    rates = {"learning_rate": 1e-3, "vision_learning_rate": 0, "merger_learning_rate": 5e-4}
    recipe = small(max_steps=6, max_new_tokens=40, sft_weight=0.1, **rates)
    out = run(recipe, Told(), model=untrained, output=tmp_path / "out", quiet=True)
    assert (margins(out, untrained) > 0).all()

    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    # Before the first step both models are one: no margin, and half of the pairs by chance.
    assert log[0]["rewards/margins"] == 0 and log[-1]["loss"] < log[0]["loss"]
    before, after = load_file(untrained / "model.safetensors"), load_file(out / "model.safetensors")
    changed = {module_kind(name) for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"language", "merger"}

    declared = json.loads((out / "tinyrs.json").read_text())
    assert declared["thinking"] and declared["system"] == SYSTEM_THINKING and declared["max_new_tokens"] == 40
    assert (declared["min_pixels"], declared["max_pixels"]) == (56 * 56, 140 * 140)
    assert json.loads((out / "run.json").read_text())["recipe"]["stage"] == "dpo"
    assert not [path.name for path in out.rglob("*") if path.suffix in (".bin", ".pt", ".pth", ".pkl")]
    (reply,) = LocalEngine(resolve(str(out))).batch([(picture, ASKED)])
    assert reply.finished


class Stopped(Exception):
    """Stands for whatever ends a run."""


@pytest.mark.train
@pytest.mark.parametrize("lora_rank", [0, 4], ids=["whole", "lora"])
def test_a_run_that_stopped_ends_with_the_weights_of_one_that_did_not(untrained, tmp_path, lora_rank):
    class Stopping(Told):
        def __getitem__(self, index):
            if len(self.asked) > 8:
                raise Stopped
            return super().__getitem__(index)

    recipe = small(max_steps=6, save_steps=2, lora_rank=lora_rank)
    whole = run(recipe, Told(), model=untrained, output=tmp_path / "whole", quiet=True)
    with pytest.raises(Stopped):
        run(recipe, Stopping(), model=untrained, output=tmp_path / "parts", quiet=True)
    assert list((tmp_path / "parts").glob("checkpoint-*"))
    parts = run(recipe, Told(), model=untrained, output=tmp_path / "parts", quiet=True)
    assert weights_digest(parts) == weights_digest(whole) != weights_digest(untrained)
    if lora_rank:
        before, after = load_file(untrained / "model.safetensors"), load_file(parts / "model.safetensors")
        changed = [name for name in before if not torch.equal(before[name], after[name])]
        assert changed and all("proj" in name and module_kind(name) == "language" for name in changed)


@pytest.mark.train
def test_a_killed_process_goes_on_bit_for_bit(untrained, tmp_path):
    data = pairs_export(tmp_path)
    settings = {"max_steps": 4, "save_steps": 1, "max_pixels": 112 * 112, "learning_rate": 1e-3}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    killing.finish(killing.command("dpo", SMOKE, untrained, data, whole, **settings))
    again = killing.command("dpo", SMOKE, untrained, data, parts, **settings)
    killing.kill_after(again, parts, step=1)
    said = killing.finish(again)
    assert weights_digest(parts) == weights_digest(whole) != weights_digest(untrained)
    assert f"Going on from {parts / 'checkpoint-'}" in said
