"""annotate/votes.py and Store.add_vote: votes on answers and on reasoning, blind and open, counted for two models."""

from __future__ import annotations

import pytest

from annotate.store import Refused, Store, TooFast
from annotate.votes import Tally, tally
from tests.store_parts import SCENE, Clock, add_picture, add_run, side

THOUGHT = "<reasoning> Water. </reasoning> <answer> port </answer>"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    with Store(tmp_path / "a.db", clock=clock) as store:
        yield store


def run_of(store, a, b, shade=0, text_a="port", text_b=THOUGHT) -> str:
    return store.add_run(add_picture(store, shade), SCENE, {"A": side(text_a, a), "B": side(text_b, b)})


def test_votes_are_counted_by_model_on_whichever_side_it_stood(store):
    first, swapped = run_of(store, "one", "two"), run_of(store, "two", "one", 1)
    for run, choice, author in (
        (first, "A", "Ann"), (swapped, "A", "Ann"), (swapped, "B", "Bob"), (first, "tie", "Bob"), (first, "neither", "Cem"),
    ):  # fmt: skip
        store.add_vote(run, choice, author=author, blind=True)
    assert tally(store, "one", "two") == Tally((2, 1), 1, 1)
    assert tally(store, "two", "one") == Tally((1, 2), 1, 1)
    low, high = tally(store, "one", "two").interval
    assert tally(store, "one", "two").share == pytest.approx(2 / 3) and low < 0.25 and high > 0.9
    assert tally(store, "one", "three") == Tally() == tally(store, "one", "one")
    assert Tally().share is None and Tally().interval == (0.0, 1.0)


def test_blind_and_open_votes_are_apart_and_an_authors_last_one_counts(store):
    run = run_of(store, "one", "two")
    store.add_vote(run, "A", author="Ann", blind=True)
    store.add_vote(run, "A", author="Bob")
    assert tally(store, "one", "two").wins == (1, 0) and tally(store, "one", "two", blind=False).wins == (
        1,
        0,
    )
    store.add_vote(run, "B", author="Ann")
    assert tally(store, "one", "two").total == 0 and tally(store, "one", "two", blind=False).wins == (1, 1)


def test_a_vote_on_the_reasoning_is_not_one_on_the_answer(store):
    one_reasons, both = run_of(store, "one", "two"), run_of(store, "one", "two", 1, text_a=THOUGHT)
    for run in (one_reasons, both):
        store.add_vote(run, "B", author="Ann", about="reasoning")
    assert store.run(both)["votes"] == {}
    assert tally(store, "one", "two", blind=False).total == 0
    assert tally(store, "one", "two", about="reasoning", blind=False).wins == (0, 1), (
        "only where both reasoned"
    )
    with pytest.raises(Refused, match="about the answer or the reasoning"):
        store.add_vote(both, "B", author="Ann", about="looks")


def test_the_thirty_first_vote_within_a_minute_is_refused_and_the_others_stay(store, clock):
    run = add_run(store)
    for _ in range(30):
        store.add_vote(run, "A", author="Ann")
    with pytest.raises(TooFast, match="30 votes within a minute"):
        store.add_vote(run, "B", author="Ann")
    assert store.run(run)["votes"] == {"A": 1}
    store.add_vote(run, "B", author="Bob")
    clock.pass_minutes(1.1)
    store.add_vote(run, "B", author="Ann")
    assert store.run(run)["votes"] == {"B": 2}
