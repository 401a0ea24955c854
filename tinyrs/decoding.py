"""Answers written token by token, many at once, each after its own picture: transformers' `generate`, but for what
these answers do not need. A row leaves the batch when it ends; positions are passed, not kept on the model.

    kept = Kept.read(model, inputs, end)                 # [system + picture], once
    write(model, [kept, kept], [one_question, another], rows, options, pad)
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from transformers import DynamicCache
from transformers.modeling_layers import GradientCheckpointingLayer

from tinyrs.engine import Options
from tinyrs.tokens import Row


class Stopped(Exception):
    """What was being computed is no longer wanted."""


@dataclass(frozen=True)
class Kept:
    """What a model needs of the tokens up to the end of a picture in order to go on after them.

    layers  keys and values of every layer, each (1, heads, tokens, size)
    shift   what is added to the number of a later token to get its position: a picture of 6 x 8 tokens takes 8
            positions, not 48. With another picture's shift every later token would be taken for one elsewhere
    """

    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    shift: int

    @property
    def tokens(self) -> int:
        """Tokens that were read."""
        return self.layers[0][0].shape[2]

    @property
    def nbytes(self) -> int:
        """Bytes of the keys and values."""
        return sum(tensor.nbytes for layer in self.layers for tensor in layer)

    @classmethod
    def read(cls, model, inputs, end: int, stop: threading.Event | None = None) -> Kept:
        """Have `model` read the first `end` tokens of `inputs`, one row of what its processor makes.

        Raises `Stopped` before the next layer once `stop` is set.
        """
        cache, device = DynamicCache(), model.device
        ids = inputs["input_ids"][:, :end].to(device)
        model.model.rope_deltas = None
        with _layer_by_layer(model, stop):
            model.model(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                mm_token_type_ids=inputs["mm_token_type_ids"][:, :end].to(device),
                pixel_values=inputs["pixel_values"].to(device),
                image_grid_thw=inputs["image_grid_thw"].to(device),
                use_cache=True,
                **{cache_word(model): cache},
            )
        return cls(tuple((layer.keys, layer.values) for layer in cache.layers), int(model.model.rope_deltas))


class Sampler:
    """Sampling as greedy choice after Gumbel noise, with random numbers of its own for each row.

    torch's own sampling draws from one stream for the whole process: answers would depend on what else runs.
    """

    def __init__(self, temperature: float, seed: int, rows: int) -> None:
        self.temperature = temperature
        self.sources = [torch.Generator().manual_seed(seed) for _ in range(rows)]

    def __call__(
        self, input_ids, scores: torch.Tensor, numbers: Sequence[int] | None = None
    ) -> torch.Tensor:
        """Scores whose highest is the token drawn, for the rows of these `numbers` (all)."""
        sources = self.sources if numbers is None else [self.sources[number] for number in numbers]
        noise = torch.stack([torch.rand(scores.shape[1], generator=source) for source in sources])
        gumbel = -torch.log(-torch.log(noise.clamp_(1e-20, 1 - 1e-7)))
        return scores.float() / self.temperature + gumbel.to(scores.device)


def sampler(options: Options, rows: int) -> list[Sampler]:
    """One sampler where `options` ask for sampling, else none."""
    return [Sampler(options.temperature, options.seed, rows)] if options.temperature > 0 else []


def write(
    model, kept: Sequence[Kept], questions: Sequence[torch.Tensor], rows: Sequence[Row], options: Options, pad: int
) -> None:
    """Write the answers of `rows` to `questions` (ids), each after what was `kept` of its picture.

    A row of the batch is [padding, what was kept, padding, question]; the padding is masked and has no positions.
    Padding is left out where all rows are of one shape, and a row is no longer computed once it is over.
    """
    device, numbers = model.device, list(range(len(rows)))
    noise = sampler(options, len(rows))
    layers = kept[0].layers
    if len(kept) > 1:
        sides = [[[each.layers[layer][side] for each in kept] for side in (0, 1)] for layer in range(len(layers))]
        layers = [tuple(_on_the_right(tensors, 2) for tensors in pair) for pair in sides]
    cache = DynamicCache(layers)  # copies: what is kept stays as it is
    ids = _on_the_right([question[None] for question in questions], 1, pad).to(device)
    mask = torch.cat(
        [
            _on_the_right([torch.ones(1, each.tokens, dtype=torch.long) for each in kept], 1),
            _on_the_right([torch.ones(1, len(question), dtype=torch.long) for question in questions], 1),
        ],
        1,
    ).to(device)
    if mask.all():
        mask = None
    ends = torch.tensor([each.tokens + each.shift + len(ids) for each, ids in zip(kept, questions, strict=True)])
    positions = (ends[:, None] + torch.arange(-ids.shape[1], 0)).to(device)
    word = cache_word(model)
    while True:
        scores = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions[None].expand(3, -1, -1),
            use_cache=True,
            logits_to_keep=1,
            **{word: cache},
        ).logits[:, -1]
        for each in noise:
            scores = each(None, scores, numbers)
        tokens = choose(scores, [rows[number] for number in numbers])
        left = [place for place, number in enumerate(numbers) if not rows[number].over]
        if not left:
            return
        ids, positions = torch.tensor(tokens, device=device)[:, None], positions[:, -1:] + 1
        if len(left) < len(numbers):
            numbers = [numbers[place] for place in left]
            chosen = torch.tensor(left, device=device)
            cache.batch_select_indices(chosen)
            ids, positions = ids[chosen], positions[chosen]
            mask = None if mask is None else mask[chosen]
        if mask is not None:
            mask = torch.cat([mask, mask.new_ones(len(numbers), 1)], 1)


def choose(scores: torch.Tensor, rows: Sequence[Row]) -> list[int]:
    """Give each row its likeliest token, among those that it may still take, and say which."""
    tokens = scores.argmax(-1).tolist()
    for place, row in enumerate(rows):
        if (allowed := row.allowed()) is not None:
            tokens[place] = allowed[int(scores[place, allowed].argmax())]
        row.take(tokens[place])
    return tokens


def cache_word(model) -> str:
    """What `model` calls the cache that it is given: transformers is about to rename it."""
    word = getattr(model, "_tinyrs_cache_word", None)
    if word is None:
        word = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
        model._tinyrs_cache_word = word
    return word


@contextmanager
def _layer_by_layer(model, stop: threading.Event | None) -> Iterator[None]:
    """In here `model` looks before each of its layers whether it is to stop: a large one takes seconds for all of them."""

    def look(*args) -> None:
        if stop is not None and stop.is_set():
            raise Stopped

    layers = [part for part in model.modules() if isinstance(part, GradientCheckpointingLayer)]
    hooks = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _on_the_right(tensors: Sequence[torch.Tensor], dim: int, fill: int = 0) -> torch.Tensor:
    """`tensors` below each other (along 0), each with `fill` before it along `dim` up to the longest one's length."""
    length = max(tensor.shape[dim] for tensor in tensors)
    padded = []
    for tensor in tensors:
        shape = list(tensor.shape)
        shape[dim] = length - shape[dim]
        padded.append(torch.cat([tensor.new_full(shape, fill), tensor], dim) if shape[dim] else tensor)
    return torch.cat(padded)
