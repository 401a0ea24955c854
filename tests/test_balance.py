"""Balancing changes the shares of an epoch and nothing else, and a resumed run finds the same order again."""

import json
from collections import Counter

import pytest
from PIL import Image

from tests.test_grpo import Asked
from tests.test_grpo import small as small_grpo
from tests.test_sft import SMOKE, Stopped, Told
from tests.test_sft import small as small_sft
from training import grpo, sft
from training.balance import CAP, EpochOrder, drawn, drawn_share, epoch_order, table, weights
from training.checkpoint import weights_digest
from training.recipe import BadRecipe, load, make

UNEVEN = ["vqa"] * 90 + ["grounding"] * 10


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        # 90 rows of weight 1 and 10 of weight 5 are 140 parts; the epoch has 100 of them
        ({"vqa": 90, "grounding": 10}, {"vqa": 64, "grounding": 36}),
        # 60 / 20 = 3 is below the cap, so both get half
        ({"vqa": 60, "grounding": 20}, {"vqa": 40, "grounding": 40}),
        ({"vqa": 7}, {"vqa": 7}),
        ({"a": 1, "b": 1, "c": 1}, {"a": 1, "b": 1, "c": 1}),
        # 97 + 5 + 10 = 112 parts: 86.6, 4.5 and 8.9 of 100; what is cut off goes to the largest remainders
        ({"vqa": 97, "open": 1, "counting": 2}, {"vqa": 87, "open": 4, "counting": 9}),
    ],
)
def test_an_epoch_draws_by_weight_and_is_as_long_as_the_data(counts, expected):
    tasks = [task for task, count in counts.items() for _ in range(count)]
    assert drawn(tasks) == expected and sum(expected.values()) == len(tasks)
    assert Counter(tasks[row] for row in epoch_order(tasks, 0, 0)) == expected


def test_no_weight_is_above_the_cap():
    assert weights({"vqa": 1000, "open": 3, "counting": 500}) == {"vqa": 1, "open": 5, "counting": 2}
    assert CAP == 5


@pytest.mark.parametrize("rare", [1, 2, 3, 7])
def test_no_row_comes_more_often_than_the_cap_and_those_of_a_task_come_equally_often(rare):
    tasks = ["vqa"] * 500 + ["open"] * rare
    for epoch in range(5):
        times = Counter(epoch_order(tasks, 1, epoch))
        seldom = [times[row] for row in range(500, 500 + rare)]
        assert max(times.values()) <= CAP and max(seldom) - min(seldom) <= 1
    over_epochs = Counter(row for epoch in range(40) for row in epoch_order(tasks, 1, epoch))
    common = [over_epochs[row] for row in range(500)]
    assert max(common) - min(common) <= 1  # what one epoch leaves out, another brings


def test_the_order_is_a_function_of_seed_and_epoch():
    sampler, again = EpochOrder(UNEVEN, 3), EpochOrder(UNEVEN, 3)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) == list(sampler) == epoch_order(UNEVEN, 3, 1) != first
    assert list(again) == first != epoch_order(UNEVEN, 4, 0) and len(sampler) == 100


def test_the_share_of_a_task_is_how_often_an_epoch_draws_its_rows():
    assert drawn_share(UNEVEN, True) == {"grounding": 3.6, "vqa": 64 / 90}
    assert drawn_share(UNEVEN, False) == {"grounding": 1, "vqa": 1}


def test_the_dry_run_counts_the_judge_s_questions_after_balancing(tmp_path, untrained, capsys):
    turns = [{"from": "human", "value": "<image>{VQA} Is a road present?"}, {"from": "gpt", "value": "no"}]
    open_ended = [{"from": "human", "value": "<image>{IT} Describe the image in detail."}, turns[1]]
    save_picture(tmp_path / "a.png")
    rows = [{"image": "a.png", "conversations": told} for told in [turns] * 8 + [open_ended] * 2]
    path = tmp_path / "list.json"
    path.write_text(json.dumps(rows))
    args = ["--config", SMOKE.replace("smoke", "4_grpo_smoke"), "--model", str(untrained), "--data", str(path)]
    args += ["--dry-run", "--judge_model", "gpt", "--max_steps=-1", "--num_train_epochs=3"]
    for flags, questions in ([], 24), (["--balance", "true"], 60):
        # 2 open-ended rows, or 8 and 8 of 16 parts and so 5 of 10 rows; 3 epochs, 4 answers
        assert grpo.main([*args, *flags]) == 0
        assert f"at most {questions} questions" in capsys.readouterr().out


def save_picture(path):
    Image.new("RGB", (120, 100), "grey").save(path)


def test_the_table_says_what_is_drawn():
    assert table(UNEVEN, False) == [("balance", "off: an epoch draws each row once")]
    assert table(UNEVEN, True)[1:] == [("  grounding", "36 (weight 5)"), ("  vqa", "64 (weight 1)")]


def test_the_stages_that_the_paper_balances_are_balanced():
    from tinyrs.config import ROOT

    on = {path.stem for path in (ROOT / "training" / "recipes").glob("*.yaml") if load(path).balance}
    assert on == {"2_sft", "3_cot_sft"}
    # A run from before this setting goes on, but not as another.
    before = {name: value for name, value in make().trajectory().items() if name != "balance"}
    assert make().continues(before) and not make(balance=True).continues(before)


class Uneven(Told):
    """One row of five is of a rare task."""

    tasks = ("vqa", "vqa", "vqa", "vqa", "counting")


def test_rows_without_tasks_cannot_be_balanced(untrained, tmp_path):
    with pytest.raises(BadRecipe, match="do not say their tasks"):
        sft.run(small_sft(balance=True), Told(), model=untrained, output=tmp_path / "out", quiet=True)


@pytest.mark.train
def test_a_balanced_run_draws_the_epoch_it_announced_and_goes_on_in_the_middle_of_it(untrained, tmp_path):
    class Stopping(Uneven):
        def __getitem__(self, index):
            if len(self.asked) >= 10:
                raise Stopped
            return super().__getitem__(index)

    # Three steps an epoch: it stops in the second epoch, after the step that was saved.
    recipe = small_sft(max_steps=6, save_steps=1, balance=True)
    rows = Uneven(5)
    whole = sft.run(recipe, rows, model=untrained, output=tmp_path / "whole", quiet=True)
    for epoch in (0, 1):
        asked = [
            row for told, row in rows.asked if told == epoch
        ]  # TRL looks at the first row before it begins
        assert asked[-5:] == epoch_order(Uneven.tasks, 0, epoch) and len(asked) <= 6
    with pytest.raises(Stopped):
        sft.run(recipe, Stopping(5), model=untrained, output=tmp_path / "parts", quiet=True)
    parts = sft.run(recipe, Uneven(5), model=untrained, output=tmp_path / "parts", quiet=True)
    assert weights_digest(parts) == weights_digest(whole) != weights_digest(untrained)


@pytest.mark.train
def test_groups_stay_whole_when_prompts_are_balanced(untrained, tmp_path, monkeypatch):
    batches = []

    def reward(self, prompts, completions, completion_ids, example, **columns):
        self.table = []
        batches.append([each.question.text for each in example])
        return [float(sum(ids) % 7) for ids in completion_ids]

    monkeypatch.setattr(grpo.Reward, "__call__", reward)

    class UnevenAsked(Asked):
        tasks = Uneven.tasks

    recipe = small_grpo(balance=True, num_generations=3, per_device_batch_size=6, max_steps=4)
    rows = UnevenAsked(5)
    out = grpo.run(recipe, rows, model=untrained, output=tmp_path / "out", quiet=True)
    texts = [UnevenAsked(5)[index]["example"].question.text for index in range(5)]
    expected = [
        [texts[row] for row in order[start : start + 2] for _ in range(3)]
        for order in (epoch_order(Uneven.tasks, 0, 0), epoch_order(Uneven.tasks, 0, 1))
        for start in (0, 2)
    ]
    assert batches == expected
    assert len((out / "log.jsonl").read_text().splitlines()) == 4
    assert json.loads((out / "tinyrs.json").read_text())
