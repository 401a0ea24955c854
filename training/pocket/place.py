"""Between the eyes and stage P: teach the language model where things are.

A tower with relative positions only says what lies where *in respect to* a token; the language model has to add
where the token is, and to say it in numbers. From the answers alone it does not find that out in the rows that two
cores can make (dev/LOG.md). So it is first asked, about pictures that the tower has read once (features.py), for answers
like those of the stages, and also, at every visual token, for the token's own place, and where an object lies for the
four sides of its box, in the words that answers use: the tokens of the numbers. The heads that ask are thrown away.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tinyrs.example import Box
from tinyrs.parse import parse
from training.pocket.batches import cells_of
from training.pocket.eyes import replaced
from training.pocket.features import FeaturesProcessor, handed_on
from training.pocket.model import NUMBERS
from training.pocket.muon import optimisers
from training.pocket.practice import Practice
from training.pocket.questions import Row, snap
from training.pocket.rows import VariedRows
from training.sft import Collator, apart

NAMED, PLACED = 1, 2
"""After these layers a visual token tells what lies on it, and where. (Places take a layer more: how many columns a picture
has is seen from the tokens of the rows above.)"""
SEEKING, LOOKING, HEADS = 2, 3, 2
"""The layers in which a name in the question learns to look at what it names, and an answer at the object that it
tells of; and how many of their heads do so."""
VISIBLE = 0.15
"""The merger's output is scaled by this once, or what the first layers add to a visual token is lost beside it."""
BESIDE = 15.0
"""A number that lies so far from the right one (of 1000) is nearly right."""
SHORT = 5.0
"""What a token counts that is neither of boxes nor of a caption. A label is three tokens, a yes is one, the boxes of a row are a
hundred."""
ROWS = 8
"""Rows of a step."""


class Places(nn.Module):
    """Hidden states of visual tokens -> six numbers each, x, y of the token, x1, y1, x2, y2 of its object, and the
    name of what lies there."""

    def __init__(self, width: int):
        super().__init__()
        self.where = nn.Linear(width, 6 * width)
        self.what = nn.Linear(width, width)

    def forward(self, named: torch.Tensor, placed: torch.Tensor, table: torch.Tensor, numbers: torch.Tensor):
        """Hidden states after the layers NAMED and PLACED (tokens, width), embeddings (words, width), rows of the numbers
        among them -> logits (tokens, 6, numbers) and (tokens, words)."""
        named, placed = (each / each.pow(2).mean(-1, keepdim=True).sqrt().clamp(min=1e-6) for each in (named, placed))
        return (
            self.where(placed).reshape(len(placed), 6, -1) @ table[numbers].T,
            self.what(named) @ table.T,
        )


def near(values: torch.Tensor) -> torch.Tensor:
    """Values 0..1000 -> target distributions over NUMBERS, so that ten beside the mark is nearly right."""
    numbers = torch.tensor(list(NUMBERS), dtype=torch.float32)
    return torch.softmax(-((values[..., None] - numbers) ** 2) / (2 * BESIDE**2), -1)


def wanted(grids: torch.Tensor, boxes) -> tuple[torch.Tensor, torch.Tensor]:
    """(values (tokens, 6), whether each is known) for the visual tokens of a batch, in its order."""
    values, known = [], []
    for (_, height, width), own in zip(grids.tolist(), boxes, strict=True):
        rows, columns = height // 2, width // 2
        y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
        value = torch.zeros(rows * columns, 6)
        value[:, 0], value[:, 1] = x.flatten() * 1000 / columns, y.flatten() * 1000 / rows
        there = torch.zeros(rows * columns, 6, dtype=torch.bool)
        there[:, :2] = True
        for cell, box in cells_of(own, rows, columns).items():
            value[cell, 2:] = torch.tensor(snap(box).corners(), dtype=torch.float32)
            there[cell, 2:] = True
        values.append(value)
        known.append(there)
    return torch.cat(values), torch.cat(known)


def names(grids: torch.Tensor, rows: Sequence[Row], tokenizer) -> tuple[torch.Tensor, torch.Tensor]:
    """(visual tokens with a name, distribution over the words of that name) for a batch: the class of the object
    that lies on a token, or of the whole scene where that is what the row asks for."""
    where, words, start = [], [], 0
    ids = {}  # a name lies on many tokens
    for (_, height, width), row in zip(grids.tolist(), rows, strict=True):
        cells = height * width // 4
        if row.kind == "classify":
            told = dict.fromkeys(range(cells), row.answer)
        else:
            told = {cell: box.label for cell, box in cells_of(row.boxes, height // 2, width // 2).items()}
        for cell, name in told.items():
            if name not in ids:
                ids[name] = tokenizer(f" {name}")["input_ids"]
            where.append(start + cell)
            words.append(ids[name])
        start += cells
    spread = torch.zeros(len(words), len(tokenizer))
    for i, word in enumerate(words):
        spread[i, word] = 1 / len(word)
    return torch.tensor(where, dtype=torch.long), spread


def questions_of(inputs: dict, asked: Sequence[Sequence[Row]]) -> Iterator[tuple[int, Row, torch.Tensor]]:
    """(row of the batch, question, where its tokens stand) for all questions of a batch."""
    segments = inputs.get("segments")
    for i, rows in enumerate(asked):
        for number, row in enumerate(rows, 1):
            own = inputs["attention_mask"][i] > 0 if segments is None else segments[i] == number
            yield i, row, own.nonzero().flatten()


NAMING = ("locate", "locate_all", "whereabouts", "count", "presence")
"""Kinds of questions that name what to look for."""
Spoken = tuple[int, torch.Tensor, Sequence[Box]]
"""(row of the batch, where numbers of boxes stand in what is said, the box of each)."""
Look = tuple[int, torch.Tensor, torch.Tensor]
"""(row of the batch, tokens that look, visual tokens that they should look at)."""


def numbers_of(inputs: dict, asked: Sequence[Sequence[Row]], tokens: torch.Tensor) -> list[Spoken]:
    """The numbers of boxes in what is said, question by question. `tokens` are those of NUMBERS."""
    found = []
    for i, row, own in questions_of(inputs, asked):
        at = own[torch.isin(inputs["labels"][i, own], tokens)]
        # Without a reasoning there are those of the answer alone.
        if row.spoken and len(at) in (len(row.spoken), 4 * len(parse(row.answer).boxes)):
            found.append((i, at, row.spoken[-len(at) :]))
    return found


def unseen(inputs: dict, numbers: Sequence[Spoken]) -> list[Look]:
    """At what the numbers of boxes should look, in the layer LOOKING: at their object."""
    looks = []
    for i, at, boxes in numbers:
        # The token before a number is the one that chooses it.
        for box, own in itertools.groupby(range(len(at)), key=lambda each: boxes[each]):
            looks.append((i, at[list(own)] - 1, _cells(inputs, i, [box])))
    return looks


def unsought(inputs: dict, asked: Sequence[Sequence[Row]], tokenizer) -> list[Look]:
    """At what the last word of a name in the question should look, in the layer SEEKING: at all objects of that name. A name
    finds by what it is; an answer would first have to learn which name it is about."""
    looks, ends = [], {}
    for i, row, own in questions_of(inputs, asked):
        named = [box for box in row.boxes if box.label in row.question.text]
        if not named or row.kind not in NAMING:
            continue
        name = max((box.label for box in named), key=len)
        if name not in ends:
            ends[name] = torch.tensor([tokenizer(f" {name}{end}")["input_ids"][-1] for end in ("", "s")])
        prompt = own[inputs["labels"][i, own] == -100]
        at = prompt[torch.isin(inputs["input_ids"][i, prompt], ends[name])]
        if len(at):
            looks.append((i, at[-1:], _cells(inputs, i, [box for box in named if box.label == name])))
    return looks


def _cells(inputs: dict, row: int, boxes: Sequence) -> torch.Tensor:
    """The visual tokens of `boxes` in a row of the batch."""
    _, height, width = inputs["image_grid_thw"][row].tolist()
    return inputs["mm_token_type_ids"][row].nonzero().flatten()[list(cells_of(boxes, height // 2, width // 2))]


def overlooked(weights: torch.Tensor, looks: Sequence[Look]) -> torch.Tensor:
    """How little a batch looks at what it should: the mean of -log(attention on it) over looking tokens and HEADS heads.
    `weights` is (rows, heads, tokens, tokens)."""
    if not looks:
        return torch.zeros(())
    rows = torch.cat([torch.full_like(at, i) for i, at, _ in looks])
    wanted = torch.zeros(len(rows), weights.shape[-1])
    start = 0
    for _, at, cells in looks:
        wanted[start : start + len(at), cells] = 1
        start += len(at)
    # Taken out of the weights at once: every single look would fill a gradient of their whole size.
    seen = weights[rows, :HEADS, torch.cat([at for _, at, _ in looks])].float()
    return -((seen * wanted[:, None]).sum(-1) + 1e-4).log().mean()


def answered(
    logits: torch.Tensor, inputs: dict, asked: Sequence[Sequence[Row]], numbers: Sequence[Spoken], tokens: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross entropy of the answers' tokens, and of the numbers of boxes alone. `logits` (answers' tokens, words) are those
    that choose the labels, in their order. Near numbers are nearly right (`near`)."""
    labels = inputs["labels"][:, 1:]
    told = labels != -100
    counts = torch.ones(labels.shape)
    for i, row, own in questions_of(inputs, asked):
        counts[i, own - 1] = 1.0 if row.kind in ("locate", "locate_all", "describe") else SHORT
    counts = counts[told]
    losses = F.cross_entropy(logits, labels[told], reduction="none")
    boxes = torch.zeros_like(told)
    for i, at, _ in numbers:
        boxes[i, at - 1] = True
    boxes = boxes[told]
    right = near(10.0 * (labels[told][boxes][:, None] == tokens).float().argmax(1))
    soft = -(right * logits[boxes].log_softmax(-1)[:, tokens]).sum(-1)
    total = (losses[~boxes] * counts[~boxes]).sum() + (soft * counts[boxes]).sum()
    return total / counts.sum(), soft.detach().mean()


def batches(rows: VariedRows, size: int, ahead: int = 8, done: int = 0) -> Iterator[list[list[Row]]]:
    """Endless batches of `size` rows from the batch `done` on, of rows that are about as long: what is shorter is filled up to
    the longest one."""
    first, within = divmod(done, ahead)
    for start in itertools.count(first * size * ahead, size * ahead):
        asked = [rows.questions(start + i) for i in range(size * ahead)]
        asked.sort(key=lambda each: sum(len(row.question.text) + len(row.answer) for row in each))
        order, within = np.random.default_rng([rows.seed, start]).permutation(ahead)[within:], 0
        for batch in order:
            yield asked[batch * size : (batch + 1) * size]


def _attend(module, query, key, value, mask, scaling, **_) -> tuple[torch.Tensor, torch.Tensor]:
    """Qwen2-VL's plain attention without its detour to 32 bits, which takes more time than the products: softmax reckons in 32
    bits inside and gives 16 either way."""
    groups = module.num_key_value_groups
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    with torch.autocast("cpu", enabled=False):
        query, key, value = (each.bfloat16() for each in (query, key, value))
        weights = (query * scaling) @ key.transpose(2, 3)
        if mask is not None:
            weights = weights.add_(mask)
        weights = weights.softmax(-1)
        return (weights @ value).transpose(1, 2).contiguous(), weights


class Lessons:
    """What a model is taught about a batch. The heads that ask are thrown away with it; until then it listens to the
    layers NAMED and PLACED."""

    def __init__(self, model, tokenizer):
        self.model, self.tokenizer, self.heard = model, tokenizer, {}
        self.heads = Places(model.config.text_config.hidden_size)
        self.tokens = torch.tensor([tokenizer(str(number))["input_ids"][0] for number in NUMBERS])
        layers = model.model.language_model.layers
        self.hooks = [
            layers[at].register_forward_hook(lambda _, __, out, at=at: self.heard.__setitem__(at, _states(out)))
            for at in (NAMED, PLACED)
        ]

    def close(self) -> None:
        """Listen no more."""
        for hook in self.hooks:
            hook.remove()

    def losses(self, inputs: dict, asked: Sequence[Sequence[Row]]) -> dict[str, torch.Tensor]:
        """What each lesson costs the batch `inputs`, made of the questions `asked`; features in place of pictures. "numbers" is
        the share of "answers" that boxes have, and no lesson of its own."""
        given = {name: value for name, value in inputs.items() if name not in ("features", "labels")}
        grids, labels = inputs["image_grid_thw"], inputs["labels"]
        with torch.autocast("cpu", torch.bfloat16):
            pictures = handed_on(self.model.model.visual, inputs["features"], grids)
            out = self.model.model(**given, mm_encoder_outputs=pictures, output_attentions=True)
            logits = self.model.lm_head(out.last_hidden_state[:, :-1][labels[:, 1:] != -100]).float()
        visual = inputs["mm_token_type_ids"].bool()
        named, placed = (self.heard[at][visual].float() for at in (NAMED, PLACED))
        places, named = self.heads(named, placed, self.model.get_input_embeddings().weight, self.tokens)
        firsts = [each[0] for each in asked]
        values, known = wanted(grids, [row.boxes for row in firsts])
        sides = -(near(values) * places.log_softmax(-1)).sum(-1)
        where, spread = names(grids, firsts, self.tokenizer)
        what = -(spread * named[where][:, : spread.shape[1]].log_softmax(-1)).sum(-1)
        numbers = numbers_of(inputs, asked, self.tokens)
        answers, said = answered(logits, inputs, asked, numbers, self.tokens)
        lessons = {
            "answers": answers,
            "numbers": said,
            "token": sides[:, :2].mean(),
            "unseen": overlooked(out.attentions[LOOKING], unseen(inputs, numbers)),
            "unsought": overlooked(out.attentions[SEEKING], unsought(inputs, asked, self.tokenizer)),
        }
        some = {"object": sides[:, 2:][known[:, 2:]], "what": what}
        return lessons | {name: each.mean() for name, each in some.items() if len(each)}


def _states(out) -> torch.Tensor:
    """The hidden states in what a layer gives."""
    return out[0] if isinstance(out, tuple) else out


def train_place(
    model,
    processor,
    rows: Sequence[VariedRows],
    steps: int,
    peak: float = 1e-3,
    batch: int = ROWS,
    again: bool = False,
    kept: Path | None = None,
    say: Callable = print,
) -> None:
    """Train `model` in place, its tower apart: what `rows` say, and the place of every visual token. The rate falls to nothing
    over the steps.

    rows    with Features for pictures; the steps take them from one after the other
    again   the model knows its places, and learns on
    kept    a state in this file is gone on from
    """
    from transformers.models.qwen2_vl import modeling_qwen2_vl

    short = modeling_qwen2_vl, "eager_attention_forward", _attend
    collate = Collator(FeaturesProcessor(processor))
    model.set_attn_implementation("eager")  # the only one that shows its weights
    tower = model.model.visual
    if not again:
        merger = tower.merger.mlp[2]
        merger.weight.data *= VISIBLE
        merger.bias.data *= VISIBLE
    tower.requires_grad_(False)
    tower.merger.requires_grad_(True)
    lessons = Lessons(model, processor.tokenizer)
    hook = model.model.language_model.register_forward_pre_hook(apart, with_kwargs=True)
    learner = nn.ModuleList([model, lessons.heads])
    moved = optimisers(learner, "0.model.language_model.layers.", decay=0.02)
    practice = Practice(
        "place", learner, moved, peak=peak, warm=50, least=0.01, steps=steps, clip=1.0, kept=kept, say=say
    )
    sources = [
        batches(each, batch, done=(practice.step + len(rows) - 1 - source) // len(rows))
        for source, each in enumerate(rows)
    ]
    for step in practice:
        source = step % len(rows)
        asked = next(sources[source])
        with replaced(short):
            losses = lessons.losses(collate([rows[source].side_by_side(each) for each in asked]), asked)
        practice.learn(sum(loss for name, loss in losses.items() if name != "numbers"), losses)
    lessons.close()
    hook.remove()
    model.requires_grad_(True)
