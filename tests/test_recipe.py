"""A recipe is what its YAML says, with flags over it; nonsense is refused in one sentence."""

import argparse

import pytest

from tinyrs.config import ROOT
from training.recipe import FIELDS, BadRecipe, Recipe, add_flags, from_flags, load, make

RECIPES = sorted((ROOT / "training" / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_of_the_project_loads(path):
    recipe = load(path)
    assert recipe.about
    assert recipe.thinking == (recipe.stage in ("cot_sft", "grpo", "dpo"))
    recipe.accumulation(1)


@pytest.mark.parametrize("name", ["1_pretrain", "2_sft", "3_cot_sft"])
def test_stages_have_the_values_of_the_paper(name):
    recipe = load(ROOT / "training" / "recipes" / f"{name}.yaml")
    assert (recipe.num_train_epochs, recipe.batch_size, recipe.learning_rate) == (1, 16, 1e-5)
    assert recipe.bf16 and recipe.weight_decay == 0 and recipe.max_steps == -1
    assert set(recipe.learning_rates().values()) == {1e-5}
    assert recipe.accumulation(4) == 1


def test_flags_are_laid_over_the_file(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("stage: sft\nlearning_rate: 1.0e-4\nbf16: true\nmax_pixels: 50176\n")
    parser = argparse.ArgumentParser()
    add_flags(parser)
    flags = ["--config", str(path), "--learning_rate", "2e-5", "--bf16", "false", "--max_pixels", "none"]
    recipe = from_flags(parser.parse_args(flags))
    assert (recipe.learning_rate, recipe.bf16, recipe.max_pixels, recipe.stage) == (2e-5, False, None, "sft")


def test_a_setting_that_is_younger_than_a_run_had_its_default_there():
    older = make(stage="grpo", beta=0.1).trajectory()
    del older["rollouts"], older["lora_rank"]
    assert make(stage="grpo", beta=0.1).continues(older)
    assert make(stage="grpo", beta=0.1, vllm_memory=0.5, save_steps=7).continues(older)
    assert not make(stage="grpo", beta=0.2).continues(older)
    assert not make(stage="grpo", beta=0.1, lora_rank=8).continues(older)
    assert not make(stage="grpo", beta=0.1).continues({**older, "unknown": 1})


def test_there_is_one_flag_for_each_field():
    parser = argparse.ArgumentParser()
    add_flags(parser)
    text = parser.format_help()
    assert all(f"--{name} " in text for name in FIELDS)


def test_yaml_may_write_a_rate_without_a_dot(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("learning_rate: 1e-5\n")  # YAML reads this as text
    assert load(path).learning_rate == 1e-5


@pytest.mark.parametrize(
    "values, words",
    [
        ({"learning_rat": 1}, "learning_rat"),  # misspelt keys were silent in the released code
        ({"learning_rate": "fast"}, "learning_rate must be float"),
        ({"learning_rate": float("nan")}, "learning_rate must be 0 or more"),
        ({"learning_rate": -1e-5}, "learning_rate must be 0 or more"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"batch_size": 2.5}, "batch_size must be int"),
        ({"bf16": "perhaps"}, "bf16 must be bool"),
        ({"max_steps": True}, "max_steps must be int"),
        ({"max_steps": None}, "max_steps must be int"),
        ({"max_steps": 0}, "Nothing would be trained"),
        ({"num_train_epochs": 0}, "Nothing would be trained"),
        ({"stage": "magic"}, "stage 'magic' is unknown"),
        ({"min_pixels": 100, "max_pixels": 10}, "min_pixels 100 is above"),
    ],
)
def test_nonsense_is_refused(values, words):
    with pytest.raises(BadRecipe, match=words):
        make(**values)


@pytest.mark.parametrize("text", ["- a\n- b\n", "stage: [", "\xff", ""])
def test_a_file_that_is_no_recipe_is_refused_by_name(tmp_path, text):
    path = tmp_path / "broken.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadRecipe, match="broken.yaml"):
        load(path)
    with pytest.raises(BadRecipe, match="There is no recipe"):
        load(tmp_path / "missing.yaml")


def test_a_batch_is_dealt_in_equal_parts_or_refused():
    assert Recipe(batch_size=16, per_device_batch_size=4).accumulation(2) == 2
    assert Recipe(batch_size=2, per_device_batch_size=4).accumulation(1) == 1
    with pytest.raises(BadRecipe, match="multiple of 12"):
        Recipe(batch_size=16, per_device_batch_size=4).accumulation(3)


def test_modules_without_a_rate_follow_the_language_model():
    recipe = Recipe(learning_rate=1e-5, vision_learning_rate=0.0)
    assert recipe.learning_rates() == {"language": 1e-5, "vision": 0.0, "merger": 1e-5}


def test_benchmarks_are_a_list_in_yaml_and_words_between_commas_as_a_flag(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("benchmarks: [a.json, b c.json]\n")
    assert load(path).benchmarks == ("a.json", "b c.json") and Recipe().benchmarks == ()
    parser = argparse.ArgumentParser()
    add_flags(parser)
    for text, expected in (("c.json, d.json", ("c.json", "d.json")), ("none", ())):
        assert (
            from_flags(parser.parse_args(["--config", str(path), "--benchmarks", text])).benchmarks
            == expected
        )
    for wrong in (5, [1], {"a": 1}, None):
        with pytest.raises(BadRecipe, match="benchmarks must be a list of texts"):
            make(benchmarks=wrong)
