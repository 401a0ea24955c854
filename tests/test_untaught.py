"""A base that sees, and knows no answers any more: what is kept, what starts anew, and how it is told."""

import json

import pytest
import torch

from training import untaught
from training.checkpoint import open_network, weights_digest


def make(folder, base, *more):
    return untaught.main(["--out", str(folder), "--model", str(base), *more])


def same(one, two):
    """Which parameters of two models are equal, by name."""
    other = dict(two.named_parameters())
    return {name: torch.equal(value, other[name]) for name, value in one.named_parameters()}


def test_the_last_layers_start_anew_and_all_else_is_kept(untrained, tmp_path):
    assert make(tmp_path / "base", untrained, "--anew", "2", "--seed", "5") == 0
    kept = same(open_network(untrained), open_network(tmp_path / "base"))
    weights = {name: equal for name, equal in kept.items() if "norm" not in name and "bias" not in name}
    assert {name for name, equal in weights.items() if not equal} == {
        name for name in weights if ".language_model.layers.3." in name or ".language_model.layers.4." in name
    }
    told = json.loads((tmp_path / "base" / "tinyrs.json").read_text())
    assert (told["thinking"], told["max_pixels"], told["measured"]) == (False, untaught.PIXELS, {})


def test_without_a_number_only_the_tower_is_kept(untrained, tmp_path):
    assert make(tmp_path / "base", untrained, "--seed", "5") == 0
    kept = same(open_network(untrained), open_network(tmp_path / "base"))
    assert all(equal for name, equal in kept.items() if ".visual." in name)
    assert not any(equal for name, equal in kept.items() if name.endswith(("q_proj.weight", "embed_tokens.weight")))


def test_steps_teach_where_things_are(untrained, tmp_path):
    assert make(tmp_path / "still", untrained) == make(tmp_path / "taught", untrained, "--steps", "1", "--drawn", "12") == 0
    kept = same(open_network(tmp_path / "still"), open_network(tmp_path / "taught"))
    tower = {equal for name, equal in kept.items() if ".visual." in name and ".merger." not in name}
    assert tower == {True} and not all(kept.values())


@pytest.mark.parametrize(
    "more, words",
    [(["--anew", "6"], "has 5 layers"), (["--anew", "-1"], "has 5 layers"), (["--steps", "1", "--data", "nowhere"], "no folder")],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(untrained, tmp_path, capsys, more, words):
    assert make(tmp_path / "base", untrained, *more) == 2
    assert words in capsys.readouterr().err and not (tmp_path / "base").exists()


def test_a_finished_folder_is_not_written_over(checkpoint, untrained, capsys):
    before = weights_digest(checkpoint)
    assert make(checkpoint, untrained) == 2
    assert "already holds a checkpoint" in capsys.readouterr().err and weights_digest(checkpoint) == before
