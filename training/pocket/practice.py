"""The loop of the trainings before stage P: rate, step, what is told, and what is kept so that a stopped one goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from tinyrs.whole import whole

TELL, KEEP = 30.0, 300.0
"""Seconds between two lines of progress, and between two states that are kept."""


def rate(peak: float, step: int, warm: int, share: float, least: float) -> float:
    """The learning rate at `step`: up to `peak` over `warm` steps, down along a cosine by the `share` of the time that is over;
    `least` of `peak` is added throughout."""
    return peak * min(1, (step + 1) / warm) * (0.5 * (1 + math.cos(math.pi * share)) + least)


class Practice:
    """A training of `learner` by `optimisers`, for so many minutes or steps; an iteration gives the number of the next step.

        for step in practice:
            practice.learn(loss)

    peak, warm, least   of the rate (`rate`)
    clip                largest norm of the gradients
    kept                a file for the state: one that lies there is gone on from. Minutes are those spent in all sittings; of
                        a training by steps the weights come out as if it had never been stopped.
    """

    def __init__(
        self,
        name: str,
        learner: nn.Module,
        optimisers: Sequence[torch.optim.Optimizer],
        *,
        peak: float,
        warm: int,
        least: float,
        minutes: float = math.inf,
        steps: int = 0,
        clip: float = math.inf,
        kept: Path | None = None,
        say: Callable[[str], None] = print,
    ):
        self.name, self.learner, self.optimisers, self.kept, self.say = name, learner, optimisers, kept, say
        self.peak, self.warm, self.least = peak, warm, least
        self.minutes, self.steps, self.clip = minutes, steps, clip
        self.step, self.spent, self.running = 0, 0.0, {}
        if kept and kept.exists():
            state = torch.load(kept, weights_only=True)
            learner.load_state_dict(state["learner"])
            for optimiser, own in zip(optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(own)
            self.step, self.spent, self.running = state["step"], state["spent"], state["running"]
            say(f"{name}: goes on after {self.step:,} steps")

    @property
    def share(self) -> float:
        """How much of it is over, 0..1."""
        return self.step / self.steps if self.steps else self.spent / 60 / self.minutes

    def __iter__(self) -> Iterator[int]:
        before, told, saved = time.monotonic(), -math.inf, self.spent
        while self.share < 1:
            for group in (group for optimiser in self.optimisers for group in optimiser.param_groups):
                group["lr"] = rate(self.peak, self.step, self.warm, self.share, self.least)
            yield self.step
            self.step += 1
            now = time.monotonic()
            self.spent, before = self.spent + now - before, now
            if self.spent - told >= TELL or self.share >= 1:
                told = self.spent
                losses = ", ".join(f"{name} {value:.3f}" for name, value in self.running.items())
                self.say(f"{self.name}: {self.share:4.0%}, {self.step:,} steps, {self.spent:.0f} s, {losses}")
            if self.kept and (self.spent - saved >= KEEP or self.share >= 1):
                saved = self.spent
                self._keep()

    def learn(self, loss: torch.Tensor, told: Mapping[str, torch.Tensor] | None = None) -> None:
        """One step down `loss`; `told` are its parts, or what else the lines of progress shall have a running mean of."""
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.learner.parameters(), self.clip)
        for optimiser in self.optimisers:
            optimiser.step()
        for name, value in (told or {"loss": loss}).items():
            if value.isfinite():
                self.running[name] = 0.97 * self.running.get(name, value.item()) + 0.03 * value.item()

    def _keep(self) -> None:
        state = {
            "learner": self.learner.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "step": self.step, "spent": self.spent, "running": self.running,
        }  # fmt: skip
        with whole(self.kept) as part:
            torch.save(state, part)
