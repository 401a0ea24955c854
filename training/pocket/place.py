"""Between the eyes and stage P: teach the language model where things are.

A tower with relative positions only says what lies where *in respect to* a token; the language model has to add
where the token is, and to say it in numbers. From the answers alone it does not find that out in the rows that two
cores can make (dev/LOG.md). So for a few hundred steps of stage P's questions it is also asked, at every visual
token, for the token's own place, and where an object lies for the four sides of its box, in the words that answers
use: the tokens of the numbers. The heads that ask are thrown away.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from tinyrs.parse import parse
from training.pocket.batches import cells_of
from training.pocket.model import NUMBERS
from training.pocket.questions import Row, snap
from training.pocket.rows import VariedRows

LAYER = 1
"""Places are read after this layer; the ones above are left to find and copy them."""
SEEKING, LOOKING, HEADS = 2, 3, 2
"""The layers in which a name in the question learns to look at what it names, and an answer at the object that it
tells of; and how many of their heads do so."""
VISIBLE = 0.15
"""The merger's output is scaled by this once, or what the first layers add to a visual token is lost beside it."""


class Places(nn.Module):
    """Hidden states of visual tokens -> six numbers each, x, y of the token, x1, y1, x2, y2 of its object, and the
    name of what lies there."""

    def __init__(self, width: int):
        super().__init__()
        self.where = nn.Linear(width, 6 * width)
        self.what = nn.Linear(width, width)

    def forward(self, hidden: torch.Tensor, table: torch.Tensor, numbers: torch.Tensor):
        """(tokens, width), embeddings (words, width), rows of the numbers among them -> logits (tokens, 6, numbers)
        and (tokens, words)."""
        hidden = hidden / hidden.pow(2).mean(-1, keepdim=True).sqrt().clamp(min=1e-6)
        return (
            self.where(hidden).reshape(len(hidden), 6, -1) @ table[numbers].T,
            self.what(hidden) @ table.T,
        )


def near(values: torch.Tensor) -> torch.Tensor:
    """Values 0..1000 -> target distributions over NUMBERS, so that ten beside the mark is nearly right."""
    numbers = torch.tensor(list(NUMBERS), dtype=torch.float32)
    return torch.softmax(-((values[..., None] - numbers) ** 2) / (2 * 20.0**2), -1)


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


def unseen(weights: torch.Tensor, inputs: dict, rows: Sequence[Row], tokens: torch.Tensor) -> torch.Tensor:
    """How little a batch looks at what it tells of: the mean of -log(attention on the object), over the numbers of
    boxes in the answers. `weights` is (rows, heads, tokens, tokens) of the layer LOOKING."""
    losses = []
    for i, row in enumerate(rows):
        boxes = parse(row.answer).boxes
        at = torch.isin(inputs["labels"][i], tokens).nonzero().flatten()
        if not boxes or len(at) != 4 * len(boxes):
            continue
        _, height, width = inputs["image_grid_thw"][i].tolist()
        visual = inputs["mm_token_type_ids"][i].nonzero().flatten()
        for number, box in enumerate(boxes):
            cells = visual[list(cells_of([box], height // 2, width // 2))]
            # The token before a number is the one that chooses it.
            asking = at[4 * number : 4 * number + 4] - 1
            seen = weights[i, :HEADS][:, asking][:, :, cells].sum(-1)
            losses.append(-(seen.float() + 1e-4).log().mean())
    return torch.stack(losses).mean() if losses else torch.zeros(())


def train_place(
    model,
    processor,
    rows: VariedRows,
    steps: int,
    peak: float = 1e-3,
    batch: int = 16,
    again: bool = False,
    say: Callable = print,
) -> None:
    """Train `model` in place, its tower apart: answers to `rows`, and the place of every visual token.

    again   the model knows its places, and learns them anew for a tower or a resolution that has changed: the rate falls
            to nothing over the steps
    """
    from training.sft import Collator

    collate = Collator(processor)
    model.set_attn_implementation("eager")  # the only one that shows its weights
    if not again:
        merger = model.model.visual.merger.mlp[2]
        merger.weight.data *= VISIBLE
        merger.bias.data *= VISIBLE
    model.model.visual.requires_grad_(False)
    model.model.visual.merger.requires_grad_(True)
    tokens = torch.tensor([processor.tokenizer(str(number))["input_ids"][0] for number in NUMBERS])
    heads = Places(model.config.text_config.hidden_size)
    seen = {}
    hook = model.model.language_model.layers[LAYER].register_forward_hook(
        lambda _, __, out: seen.__setitem__("hidden", out[0] if isinstance(out, tuple) else out)
    )
    learning = [p for p in (*model.parameters(), *heads.parameters()) if p.requires_grad]
    optimiser = torch.optim.AdamW(learning, betas=(0.9, 0.98), weight_decay=0.02)
    started, running = time.monotonic(), {}
    for step in range(steps):
        for group in optimiser.param_groups:
            falling = 0.5 * (1 + math.cos(math.pi * step / steps)) if again else 1
            group["lr"] = peak * min(1, (step + 1) / 50) * falling
        made = [rows.make(step * batch + i) for i in range(batch)]
        inputs = collate([rows.chat(row) for row in made])
        with torch.autocast("cpu", torch.bfloat16):
            out = model(**inputs, output_attentions=True)
        visual = seen["hidden"][inputs["mm_token_type_ids"].bool()].float()
        logits, named = heads(visual, model.get_input_embeddings().weight, tokens)
        values, known = wanted(inputs["image_grid_thw"], [row.boxes for row in made])
        losses = -(near(values) * logits.log_softmax(-1)).sum(-1)
        own, objects = losses[:, :2].mean(), losses[:, 2:][known[:, 2:]]
        blind = unseen(out.attentions[LOOKING], inputs, made, tokens)
        lost = unsought(out.attentions[SEEKING], inputs, made, processor.tokenizer)
        where, spread = names(inputs["image_grid_thw"], made, processor.tokenizer)
        what = -(spread * named[where][:, : spread.shape[1]].log_softmax(-1)).sum(-1)
        loss = out.loss.float() + own + blind + lost
        loss = loss + sum(each.mean() for each in (objects, what) if len(each))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learning, 1.0)
        optimiser.step()
        told = {"answers": out.loss.item(), "token": own.item(), "numbers": _said(out.logits, inputs, tokens)}
        told |= {"unseen": blind.item(), "unsought": lost.item()}
        told |= {
            name: each.mean().item() for name, each in (("object", objects), ("what", what)) if len(each)
        }
        running = {name: 0.95 * running.get(name, value) + 0.05 * value for name, value in told.items()} | {
            name: value for name, value in running.items() if name not in told
        }
        if step % 25 == 24:
            say(
                f"place: step {step + 1}, {time.monotonic() - started:.0f} s, "
                + str({name: round(value, 3) for name, value in running.items()})
            )
    hook.remove()
    model.requires_grad_(True)


def unsought(weights: torch.Tensor, inputs: dict, rows: Sequence[Row], tokenizer) -> torch.Tensor:
    """The same for the last word of a name in the question, and all objects of that name. `weights` is of the layer
    SEEKING. A name finds by what it is; an answer would first have to learn which name it is about."""
    losses = []
    for i, row in enumerate(rows):
        named = [box for box in row.boxes if box.label in row.question.text]
        if not named or row.kind not in ("locate", "locate_all", "whereabouts"):
            continue
        name = max((box.label for box in named), key=len)
        ids = {tokenizer(f" {name}{end}")["input_ids"][-1] for end in ("", "s")}
        prompt = int((inputs["labels"][i] != -100).nonzero()[0])
        at = torch.isin(inputs["input_ids"][i, :prompt], torch.tensor(list(ids))).nonzero().flatten()
        if not len(at):
            continue
        _, height, width = inputs["image_grid_thw"][i].tolist()
        visual = inputs["mm_token_type_ids"][i].nonzero().flatten()
        boxes = [box for box in named if box.label == name]
        cells = visual[list(cells_of(boxes, height // 2, width // 2))]
        losses.append(-(weights[i, :HEADS, at[-1], cells].sum(-1).float() + 1e-4).log().mean())
    return torch.stack(losses).mean() if losses else torch.zeros(())


@torch.no_grad()
def _said(logits: torch.Tensor, inputs: dict, tokens: torch.Tensor) -> float:
    """Cross entropy of the numbers in the answers, among numbers; ln 101 = 4.6 is a blind guess."""
    labels = inputs["labels"][:, 1:]
    at = torch.isin(labels, tokens)
    if not at.any():
        return 4.6
    truth = (labels[at][:, None] == tokens).float().argmax(1)
    return F.cross_entropy(logits[:, :-1][at][:, tokens].float(), truth).item()
