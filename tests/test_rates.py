"""Every parameter follows the rate of its kind of module, and a run that would not is stopped."""

import pytest
import torch

from training.checkpoint import skeleton
from training.rates import check_groups, check_learning_rates, describe_rates, module_kind, parameter_groups
from training.recipe import Recipe


@pytest.mark.parametrize(
    "name, kind",
    [
        ("model.visual.blocks.0.attn.qkv.weight", "vision"),
        ("visual.patch_embed.proj.weight", "vision"),  # as the hub's files name it
        ("model.visual.merger.mlp.0.weight", "merger"),
        ("visual.merger.ln_q.bias", "merger"),
        ("model.language_model.layers.0.mlp.up_proj.weight", "language"),
        ("lm_head.weight", "language"),
        ("model.vision_tower.encoder.layers.0.fc1.weight", "vision"),  # LLaVA and SmolVLM
        ("model.multi_modal_projector.linear_1.weight", "merger"),
        ("model.connector.modality_projection.proj.weight", "merger"),
        ("model.visual.deepstack_merger_list.0.norm.weight", "merger"),  # Qwen3-VL
    ],
)
def test_each_parameter_belongs_to_one_kind_of_module(name, kind):
    assert module_kind(name) == kind


RATES = {"learning_rate": 1e-3, "vision_learning_rate": 1e-4, "merger_learning_rate": 5e-4}


def test_each_kind_of_module_is_trained_at_its_rate(untrained):
    model, recipe = skeleton(untrained), Recipe(**RATES)
    optimizer = torch.optim.AdamW(parameter_groups(model, recipe, ["model.visual.merger.mlp.0.weight"]))
    check_learning_rates(model, optimizer, recipe)
    kinds = {name: module_kind(name) for name, _ in model.named_parameters()}
    assert set(kinds.values()) == {"language", "vision", "merger"}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(kinds)


def test_a_flat_rate_does_not_pass_for_the_recipe(untrained):
    model = skeleton(untrained)
    flat = torch.optim.AdamW(model.parameters(), lr=1e-3)
    with pytest.raises(RuntimeError, match="would be trained at 0.001, but the recipe says 0.0001"):
        check_learning_rates(model, flat, Recipe(**RATES))


def test_where_parameters_are_cut_into_parts_the_groups_are_checked(untrained):
    model, recipe = skeleton(untrained), Recipe(**RATES)
    parts = [{"params": [torch.zeros(3, requires_grad=True)], "lr": rate} for rate in RATES.values()]
    check_groups(model, torch.optim.AdamW(parts), recipe)
    # An optimizer of DeepSpeed's own would have one rate for all.
    with pytest.raises(RuntimeError, match="0.001.* in force, but the recipe says"):
        check_groups(model, torch.optim.AdamW(parts[0]["params"], lr=1e-3), recipe)


def test_rates_are_told_with_their_parameter_counts(untrained):
    model = skeleton(untrained)
    lines = describe_rates(
        model, Recipe(learning_rate=1e-3, vision_learning_rate=0, merger_learning_rate=5e-4)
    ).splitlines()
    assert [line.split()[0] for line in lines] == ["language", "vision", "merger"]
    assert lines[0].endswith("learning rate 0.001") and lines[1].endswith("frozen")
    counted = sum(int(line.split()[1].replace(",", "")) for line in lines)
    assert counted == sum(parameter.numel() for parameter in model.parameters())
