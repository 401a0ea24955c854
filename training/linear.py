"""Small linear models over the pieces of texts: fitted whole, kept as whole numbers of 8 bits, one piece a line.

training.sentences, .sides, .outcomes, .alternatives and .coordinates say what the pieces are and what is to be learnt; `command` is what
they have in common as commands.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

STEPS = 127
LEAST = 2
"""In how many texts a piece must stand."""


def fit(found: Sequence[set[str]], outputs: int, loss: Callable, penalty: float, history: int = 100):
    """(pieces, weights (pieces, outputs), bias (outputs)) at which `loss` of the sums (texts, outputs), a number, and
    `penalty` / 2 times the squares of the weights are least together. `history` is how many steps the optimiser keeps, each
    as large as the weights."""
    import numpy as np
    import torch
    import torch.nn.functional as F

    counts = Counter(piece for each in found for piece in each)
    words = sorted(piece for piece, count in counts.items() if count >= LEAST)
    number = {piece: at for at, piece in enumerate(words)}
    lists = [[number[piece] for piece in sorted(each) if piece in number] for each in found]
    flat = torch.tensor([at for each in lists for at in each])
    starts = torch.tensor(np.cumsum([0, *(len(each) for each in lists)])[:-1])
    weight = torch.zeros(len(words), outputs, requires_grad=True)
    bias = torch.zeros(outputs, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, history_size=history, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        value = loss(F.embedding_bag(flat, weight, starts, mode="sum") + bias) + penalty / 2 * weight.square().sum()
        value.backward()
        return value

    optimiser.step(closure)
    return words, weight.detach(), bias.tolist()


def softmax(outcomes: Sequence[tuple[set[str], int, bool]], penalty: float, smallest: int) -> dict:
    """{"unit", "pieces"}: the weights at which the good ones of several outcomes are likeliest; from (its pieces, of which text
    it is, counted from 0, whether it is good) of every outcome of every text."""
    import torch

    group, good = torch.tensor([each[1] for each in outcomes]), torch.tensor([each[2] for each in outcomes])
    texts = int(group.max()) + 1

    def log_sums(values):
        most = torch.full((texts,), -torch.inf).scatter_reduce(0, group, values.detach(), "amax")
        return most + torch.zeros(texts).index_add(0, group, (values - most[group]).exp()).log()

    def loss(sums):
        values = sums[:, 0]
        return (log_sums(values) - log_sums(values.masked_fill(~good, -1e4))).sum()

    words, weight, _ = fit([each[0] for each in outcomes], 1, loss, penalty, history=20)
    unit = float(weight.abs().max()) / STEPS
    return {"unit": unit, "pieces": whole(words, weight, unit, smallest)}


def whole(words: Sequence[str], weight, unit: float, smallest: int) -> dict[str, list[int]]:
    """{piece: its weights in steps of `unit`}, without the pieces all of whose weights are below `smallest` steps."""
    steps = (weight / unit).round().clamp(-STEPS, STEPS).int().tolist()
    return {word: row for word, row in zip(words, steps, strict=True) if any(abs(step) >= smallest for step in row)}


def read(path: Path) -> list[dict]:
    """The rows of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, head: dict, table: dict[str, list[int]]) -> None:
    """`head` and, as "pieces", one piece a line, so that a change can be read."""
    lines = [f"{json.dumps(piece, ensure_ascii=False)}:{json.dumps(row, separators=(',', ':'))}" for piece, row in table.items()]
    path.write_text(json.dumps(head)[:-1] + ', "pieces": {\n' + ",\n".join(lines) + "\n}}\n", encoding="utf-8")


def keep(model: dict, path: Path) -> None:
    """Write a model of one output, {"unit", "pieces"}, as tinyrs.weighing reads it."""
    write(path, {"unit": model["unit"]}, model["pieces"])


def command(
    arguments: Sequence[str] | None, name: str, about: str, weights: Path, read: Callable, measure: Callable, keep: Callable, show: Callable
) -> int:
    """The command line of a trainer: rows = read(), found = measure(rows), keep(rows, found) where --write asks for it, then
    `found` as JSON or by show(found). `weights` is the file that `keep` writes."""
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=about.split("\n\n")[0])
    parser.add_argument("--write", action="store_true", help=f"train on all lots and write tinyrs/{weights.name}")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(arguments)
    rows = read()
    found = measure(rows)
    if args.write:
        keep(rows, found)
    if args.json:
        print(json.dumps(found))
    else:
        show(found)
    return 0
