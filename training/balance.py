"""Rare tasks are drawn more often, up to five times, and common ones less; no row is ever copied in a file.

    from training.balance import EpochOrder, drawn
    drawn(["vqa"] * 90 + ["grounding"] * 10)              # {"grounding": 36, "vqa": 64}
    order = EpochOrder(tasks, seed=0); order.set_epoch(3); list(order)

A task's weight is the size of the largest task over its own, at most `CAP`. An epoch has as many rows as the data
set, so its length, its steps and its learning-rate schedule stay as they are; only the shares change. Which rows an
epoch draws is a function of the seed and the epoch alone: every process finds the same, and so does a resumed run.

The paper's section 4.2: tasks with few rows come up to five times an epoch (its release wrote copies into the file).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence

CAP = 5
"""The largest weight, and the largest number of times that an epoch draws one row."""

CORRECTED = ", corrected"
"""Stands after the task of a row that people reviewed: such rows have a weight of their own on top."""


def weights(
    counts: dict[str, int], cap: float = CAP, balance: bool = True, corrected: float = 1
) -> dict[str, float]:
    """The weight of a row of each task, from the number of rows that each task has."""
    whole = Counter()
    for task, count in counts.items():
        whole[task.removesuffix(CORRECTED)] += count
    most = max(whole.values(), default=0)
    return {
        task: (min(cap, most / whole[task.removesuffix(CORRECTED)]) if balance else 1)
        * (corrected if task.endswith(CORRECTED) else 1)
        for task in sorted(counts)
    }


def drawn(
    tasks: Sequence[str], cap: float = CAP, balance: bool = True, corrected: float = 1
) -> dict[str, int]:
    """How many rows of each task an epoch draws: in proportion to weight x rows, len(tasks) in all."""
    counts = Counter(tasks)
    heavy = weights(counts, cap, balance, corrected)
    share = {task: weight * counts[task] for task, weight in heavy.items()}
    whole = sum(share.values())
    exact = {task: len(tasks) * part / whole for task, part in share.items()}
    quota = {task: int(value) for task, value in exact.items()}
    left = len(tasks) - sum(quota.values())
    for task in sorted(exact, key=lambda task: (quota[task] - exact[task], task))[:left]:
        quota[task] += 1
    return quota


def drawn_share(tasks: Sequence[str], balance: bool, cap: float = CAP) -> dict[str, float]:
    """How often an epoch draws a row of each task, on average: 1 where nothing is balanced."""
    counts = Counter(tasks)
    return {task: n / counts[task] for task, n in (drawn(tasks, cap) if balance else counts).items()}


def epoch_order(
    tasks: Sequence[str],
    seed: int,
    epoch: int,
    cap: float = CAP,
    balance: bool = True,
    corrected: float = 1,
) -> list[int]:
    """The rows (their places in `tasks`) that an epoch draws, shuffled.

    Within a task all rows come equally often, to within one: those that come once more than the others in this
    epoch are the next ones round a circle, so that over the epochs nothing is left out.
    """
    rows: dict[str, list[int]] = {}
    for index, task in enumerate(tasks):
        rows.setdefault(task, []).append(index)
    order = []
    for task, quota in drawn(tasks, cap, balance, corrected).items():
        circle = rows[task]
        random.Random(f"{seed} {task}").shuffle(circle)
        times, rest = divmod(quota, len(circle))
        start = epoch * rest
        order += circle * times + [circle[(start + i) % len(circle)] for i in range(rest)]
    random.Random(f"{seed} epoch {epoch}").shuffle(order)
    return order


class EpochOrder:
    """A sampler for a DataLoader: the places of the rows of one epoch, told by `set_epoch`.

    `balance` off leaves all tasks at weight 1; `corrected` is the weight of rows that people reviewed.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        seed: int,
        cap: float = CAP,
        balance: bool = True,
        corrected: float = 1,
    ):
        self.tasks, self.seed, self.epoch = list(tasks), seed, 0
        self.how = (cap, balance, corrected)

    def set_epoch(self, epoch: int) -> None:
        """The trainer says which epoch begins, also when it goes on in the middle of one."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[int]:
        return iter(epoch_order(self.tasks, self.seed, self.epoch, *self.how))


def table(
    tasks: Sequence[str], balance: bool, cap: float = CAP, corrected: float = 1
) -> list[tuple[str, str]]:
    """What an epoch draws of each task, as (name, text) lines for a person."""
    counts = Counter(tasks)
    if not balance and corrected == 1:
        return [("balance", "off: an epoch draws each row once")]
    heavy = weights(counts, cap, balance, corrected)
    most = f" (at most {cap:g})" if balance else ", by review alone"
    lines = [("balance", f"on: what an epoch draws, and the weight of a row{most}")]
    return lines + [
        (f"  {task}", f"{count:,} (weight {heavy[task]:.3g})")
        for task, count in drawn(tasks, cap, balance, corrected).items()
    ]
