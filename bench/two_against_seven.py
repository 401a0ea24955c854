"""What do the 2B and the 7B model cost, side by side? The paper says: one third of the memory and of the time.

    python -m bench.two_against_seven [--side 448] [--tokens 8] [--json]

Both architectures in their true widths with random weights, bfloat16 where the processor multiplies it. Only a few
layers of each are built: every layer is timed on its own, on a real pass over a picture and a question, and counted as
often as the whole model has it. Memory is the weights of the whole model and what it keeps of one picture. Processor
time, because other work may share the cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Sequence

from bench.architecture import TEXT, VISION

SIZES = {
    "2B": ({**TEXT, "tie_word_embeddings": True}, VISION),
    "7B": (
        {
            **TEXT,
            "hidden_size": 3584,
            "intermediate_size": 18_944,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "vocab_size": 152_064,
            "tie_word_embeddings": False,
        },
        VISION | {"hidden_size": 3584},
    ),
}
LAYERS, DEPTH = 28, 32
BUILT = {"2B": 5, "7B": 2}
"""Layers that are built: enough that their weights do not fit into a cache, as those of the whole do not."""
QUESTION = 40
"""Tokens of the prompt beside the picture."""


def config_of(size: str, layers: int, depth: int):
    """The configuration of `size`, with so many layers of text and of vision."""
    from transformers import Qwen2VLConfig

    text, vision = SIZES[size]
    made = Qwen2VLConfig(
        text_config=text | {"num_hidden_layers": layers, "layer_types": ["full_attention"] * layers},
        vision_config=vision | {"depth": depth},
        image_token_id=9,
        vision_start_token_id=7,
        vision_end_token_id=8,
    )
    made.tie_word_embeddings = text["tie_word_embeddings"]
    return made


def build(size: str, layers: int, depth: int, dtype):
    """A model with random weights, quickly: one block of random numbers, again and again."""
    import torch
    from transformers import Qwen2VLForConditionalGeneration

    with torch.device("meta"):
        network = Qwen2VLForConditionalGeneration(config_of(size, layers, depth)).to(dtype)
    network = network.to_empty(device="cpu")
    network.tie_weights()
    block = (torch.randn(2**20, generator=torch.Generator().manual_seed(0)) * 0.02).to(dtype)
    for part in network.parameters():
        flat = part.data.view(-1)
        for start in range(0, len(flat), len(block)):
            flat[start : start + len(block)] = block[: len(flat) - start]
    for module in network.modules():  # the angles are no parameters
        if hasattr(module, "original_inv_freq"):
            fresh = type(module)(module.config)
            module.inv_freq, module.original_inv_freq = fresh.inv_freq, fresh.original_inv_freq
    return network.eval()


def weights(size: str) -> tuple[int, int]:
    """(parameters of the whole model, numbers that it keeps for each token)."""
    import torch
    from transformers import Qwen2VLForConditionalGeneration

    with torch.device("meta"):
        network = Qwen2VLForConditionalGeneration(config_of(size, LAYERS, DEPTH))
    text = SIZES[size][0]
    kept = 2 * LAYERS * text["num_key_value_heads"] * text["hidden_size"] // text["num_attention_heads"]
    network.tie_weights()
    return sum(part.numel() for part in network.parameters()), kept


def cost(size: str, side: int, tokens: int, dtype) -> dict:
    """Processor seconds to the first token and for each later one, of the whole model; GiB in 16 bits."""
    import torch

    network = build(size, BUILT[size], 2, dtype)
    parts = {
        "patches": [network.model.visual.patch_embed],
        "blocks": network.model.visual.blocks,
        "merger": [network.model.visual.merger],
        "layers": network.model.language_model.layers,
        "head": [network.lm_head],
    }
    spent: dict[str, list[float]] = defaultdict(list)
    begun: dict[int, float] = {}
    for name, modules in parts.items():
        for module in modules:
            module.register_forward_pre_hook(lambda m, *_: begun.__setitem__(id(m), time.process_time()))
            module.register_forward_hook(
                lambda m, *_, name=name: spent[name].append(time.process_time() - begun[id(m)])
            )
    visual = (side // 28) ** 2
    grid = torch.tensor([[1, side // 14, side // 14]])
    ids = torch.full((1, visual + QUESTION), 100)
    ids[0, 4 : 4 + visual] = 9
    times = {"patches": 1, "blocks": DEPTH, "merger": 1, "layers": LAYERS, "head": 1}

    def take() -> float:
        total = sum(statistics.median(spent[name]) * count for name, count in times.items() if spent[name])
        spent.clear()
        return total

    with torch.inference_mode():
        shown = dict(
            pixel_values=torch.rand(4 * visual, 3 * 2 * 14 * 14).to(dtype),
            image_grid_thw=grid,
            mm_token_type_ids=(ids == 9).long(),
        )
        network(input_ids=ids, logits_to_keep=1, **shown)
        spent.clear()
        made = network(input_ids=ids, logits_to_keep=1, use_cache=True, **shown)
        first = take()
        cache = getattr(made, "cache", None) or made.past_key_values
        word = "cache" if hasattr(made, "cache") else "past_key_values"
        for _ in range(tokens):
            network(input_ids=ids[:, -1:], use_cache=True, **{word: cache})
        each = take()
    count, kept = weights(size)
    memory = 2 * (count + kept * (visual + QUESTION))
    return {"parameters": count, "gib": memory / 2**30, "first": first, "token": each}


def measure(side: int, tokens: int) -> dict:
    """Both costs and 2B's share of 7B's."""
    import torch

    fits = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    dtype = torch.bfloat16 if fits else torch.float32
    found = {size: cost(size, side, tokens, dtype) for size in SIZES}
    ratio = {name: found["2B"][name] / found["7B"][name] for name in found["2B"]}
    short = {size: each["first"] + 4 * each["token"] for size, each in found.items()}
    long = {size: each["first"] + 200 * each["token"] for size, each in found.items()}
    ratio |= {"answer of 5 tokens": short["2B"] / short["7B"], "answer of 201 tokens": long["2B"] / long["7B"]}
    return {"side": side, "n": tokens, "dtype": str(dtype).removeprefix("torch."), **found, "ratio": ratio}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.two_against_seven", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--side", type=int, default=448, help="pixels of the picture's side, a multiple of 28")
    parser.add_argument("--tokens", type=int, default=8, help="tokens after the first, of which the median counts")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(arguments)
    if args.side < 28 or args.side % 28 or args.tokens < 1:
        print("The side must be a multiple of 28, and there must be at least one token.", file=sys.stderr)
        return 2
    found = measure(args.side, args.tokens)
    if args.json:
        print(json.dumps(found))
        return 0
    print("| | 2B | 7B | 2B / 7B |\n|---|---|---|---|")
    for name, label, form in (
        ("parameters", "parameters", "{:,}"),
        ("gib", "GiB of weights and one picture", "{:.1f}"),
        ("first", "s to the first token", "{:.2f}"),
        ("token", "s for each later token", "{:.3f}"),
    ):
        both = (form.format(found[size][name]) for size in SIZES)
        print(f"| {label} | {' | '.join(both)} | {found['ratio'][name]:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
