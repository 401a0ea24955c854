"""The loop of the trainings before stage P: it stops at its end, tells, and goes on where it was stopped."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.pocket import practice
from training.pocket.practice import Practice, rate


class Killed(Exception):
    pass


def train(kept=None, die_at=None, say=lambda line: None, **settings) -> tuple[nn.Module, list[float]]:
    """A line is fitted; (what was learnt, the rates of the steps)."""
    torch.manual_seed(0)
    line = nn.Linear(3, 1)
    optimiser = torch.optim.AdamW(line.parameters())
    settings = {"steps": 40, "peak": 0.1, "warm": 4, "least": 0.01, "kept": kept, "say": say} | settings
    loop, rates = Practice("line", line, [optimiser], **settings), []
    for step in loop:
        if step == die_at:
            raise Killed
        rates.append(optimiser.param_groups[0]["lr"])
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
        loop.learn(((line(x) - x.sum(1, keepdim=True)) ** 2).mean())
    return line, rates


def test_the_rate_rises_falls_and_is_never_nothing():
    _, rates = train()
    assert len(rates) == 40 and max(rates) == rates[3]
    assert rates[0] == pytest.approx(0.1 * 1.01 / 4) and rates[-1] < 0.002
    assert rate(0.1, 10**6, 4, 1.0, 0.01) == pytest.approx(0.001)


def test_a_stopped_one_comes_out_as_if_it_had_not_been(tmp_path, monkeypatch):
    monkeypatch.setattr(practice, "KEEP", 0)
    whole, rates = train()
    state, told = tmp_path / "line.state", []
    with pytest.raises(Killed):
        train(state, die_at=23)
    rest, more = train(state, say=told.append)
    assert more == rates[23:] and told[0] == "line: goes on after 23 steps"
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), rest.parameters(), strict=True))
    # Once over, it is over: only the result was not put away yet.
    done, none = train(state)
    assert none == [] and torch.equal(done.weight, whole.weight)


def test_it_keeps_a_state_only_now_and_then_and_at_its_end(tmp_path):
    state = tmp_path / "line.state"
    with pytest.raises(Killed):
        train(state, die_at=39)
    assert list(tmp_path.iterdir()) == []  # five minutes had not gone by
    train(state)
    assert [path.name for path in tmp_path.iterdir()] == ["line.state"]


def test_minutes_are_those_of_all_sittings(tmp_path, monkeypatch):
    class Clock:
        now = 0.0

        def monotonic(self):
            self.now += 6
            return self.now

    monkeypatch.setattr(practice, "time", Clock())
    monkeypatch.setattr(practice, "KEEP", 0)
    state = tmp_path / "line.state"
    with pytest.raises(Killed):
        train(state, steps=0, minutes=2, die_at=15)
    _, rates = train(state, steps=0, minutes=2)
    assert len(rates) == 5


def test_progress_has_the_share_and_running_means():
    told = []
    train(say=told.append)
    assert len(told) == 2 and told[0].startswith("line:   2%, 1 steps, ")
    assert told[-1].startswith("line: 100%, 40 steps, ") and ", loss " in told[-1]
