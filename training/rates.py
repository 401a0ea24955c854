"""One learning rate for each kind of module (language, vision, merger), and proof that it is in force.

The released code lost its vision rate to a clash of settings and trained flat; here a run that would do so
stops.
"""

from __future__ import annotations

from collections.abc import Sequence

from training.recipe import Recipe

MERGER_WORDS = ("merger", "multi_modal_projector", "connector", "mm_projector")
VISION_WORDS = ("visual", "vision_tower", "vision_model", "vision_encoder")


def module_kind(name: str) -> str:
    """language, vision or merger: which learning rate the parameter called `name` follows."""
    parts = name.split(".")
    if any(word in part for part in parts for word in MERGER_WORDS):
        return "merger"
    return "vision" if any(part in VISION_WORDS for part in parts) else "language"


def parameter_groups(model, recipe: Recipe, decaying: Sequence[str] = ()) -> list[dict]:
    """Optimizer groups of `model`'s trainable parameters: by kind of module, with decay and without."""
    decaying, groups = set(decaying), {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((module_kind(name), name in decaying), []).append(parameter)
    rates = recipe.learning_rates()
    return [
        {"params": members, "lr": rates[kind], "weight_decay": recipe.weight_decay if decays else 0.0}
        for (kind, decays), members in sorted(groups.items(), key=lambda item: item[0])
    ]


def check_learning_rates(model, optimizer, recipe: Recipe) -> None:
    """Raise RuntimeError unless every parameter will be trained at the rate that the recipe gives it."""
    optimizer = getattr(optimizer, "optimizer", optimizer)
    in_force = {
        id(parameter): group.get("initial_lr", group["lr"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    rates = recipe.learning_rates()
    for name, parameter in model.named_parameters():
        expected = rates[module_kind(name)] if parameter.requires_grad else None
        if in_force.get(id(parameter)) != expected:
            raise RuntimeError(
                f"{name} would be trained at {in_force.get(id(parameter))}, but the recipe says {expected}."
            )


def check_groups(model, optimizer, recipe: Recipe) -> None:
    """The same where parameters were cut into parts (DeepSpeed), and only the groups' rates can still be seen."""
    optimizer = getattr(optimizer, "optimizer", optimizer)
    in_force = {group.get("initial_lr", group["lr"]) for group in optimizer.param_groups}
    rates = recipe.learning_rates()
    expected = {rates[module_kind(name)] for name, each in model.named_parameters() if each.requires_grad}
    if in_force != expected:
        raise RuntimeError(f"Rates of {sorted(in_force)} are in force, but the recipe says {sorted(expected)}.")


def describe_rates(model, recipe: Recipe) -> str:
    """One line for each kind of module: how many parameters, at which learning rate."""
    counts = {"language": 0, "vision": 0, "merger": 0}
    for name, parameter in model.named_parameters():
        # Under ZeRO-3 a parameter holds nothing but knows its size.
        counts[module_kind(name)] += getattr(parameter, "ds_numel", parameter.numel())
    rates = recipe.learning_rates()
    return "\n".join(
        f"{kind:9}{count:>15,} parameters  " + (f"learning rate {rates[kind]:g}" if rates[kind] else "frozen")
        for kind, count in counts.items()
    )
