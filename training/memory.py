"""How much memory a run will want: weights, gradients and Adam exactly, activations by rule of thumb.

    from training.memory import estimate, describe
    describe(network, recipe, text=600, visual=300, at_once=4)     # the network may be a skeleton without weights
"""

from __future__ import annotations

from collections import Counter

from training.rates import module_kind
from training.recipe import Recipe


def estimate(network, recipe: Recipe, text: int, visual: int, at_once: int) -> tuple[int, int]:
    """(bytes of weights, gradients and Adam; bytes of activations, roughly) on one device that shares nothing.

    `text` and `visual` are tokens of the longest row, `at_once` how many such rows a device holds. Weights, gradients
    and Adam's two moments are 4 bytes each a parameter; GRPO with a distance to its start holds that model too.
    """
    counts = Counter()
    for name, parameter in network.named_parameters():
        counts[module_kind(name)] += parameter.numel()
    whole, rates = sum(counts.values()), recipe.learning_rates()
    trained = sum(count for kind, count in counts.items() if rates[kind])
    lora = getattr(recipe, "lora_rank", 0)
    if lora:
        trained = whole // 50
    fixed = 4 * whole + 12 * trained + (4 * whole if getattr(recipe, "beta", 0) and not lora else 0)
    return fixed, at_once * _activations(network.config, recipe, text, visual)


def _activations(config, recipe: Recipe, text: int, visual: int) -> int:
    """Bytes that one row leaves for the backward pass: what the matrices and norms of each layer were given."""
    size = 2 if recipe.bf16 else 4
    words = config.get_text_config()
    length = text + visual
    hidden, inner = words.hidden_size, getattr(words, "intermediate_size", 4 * words.hidden_size)
    layers = length * _layers(recipe, words.num_hidden_layers, hidden, 10 * hidden + 4 * inner) * size
    sight = getattr(config, "vision_config", None)
    wide = getattr(sight, "embed_dim", getattr(sight, "hidden_size", 0))
    if wide and recipe.learning_rates()["vision"]:
        merged = getattr(sight, "spatial_merge_size", 1) ** 2
        inside = 10 * wide + 3 * int(wide * getattr(sight, "mlp_ratio", 4))
        layers += visual * merged * _layers(recipe, getattr(sight, "depth", 24), wide, inside) * size
    # Logits in the precision of the pass, in float32, and their gradient.
    return layers + length * words.vocab_size * (size + 8)


def _layers(recipe: Recipe, depth: int, hidden: int, inside: int) -> int:
    """Numbers for each token: all layers, or with checkpointing their inputs and the inside of one."""
    return depth * hidden + inside if recipe.gradient_checkpointing else depth * inside


def describe(network, recipe: Recipe, text: int, visual: int, at_once: int) -> str:
    """A line for a person."""
    fixed, moving = estimate(network, recipe, text, visual, at_once)
    return (
        f"{'memory':18}about {fixed / 2**30:.1f} GiB for weights, gradients and Adam, and very roughly "
        f"{moving / 2**30:.1f} GiB for activations of {at_once:,} rows as long as the longest"
    )
