"""Votes on answers and on reasoning, blind and open: how they are counted, and what the Compare tab does with them."""

from __future__ import annotations

import json

import pytest

from annotate.store import Refused, Store, TooFast
from annotate.votes import Tally, tally
from tests.pages import SHORT, Hands, engines, page, picture_file
from tests.pages import THOUGHT as THOUGHT_BOX
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


# On the page


@pytest.fixture
def picture_path(tmp_path):
    return picture_file(tmp_path)


@pytest.fixture
def hands(picture_path):
    """Hands on a page with a picture, whose models can answer six questions."""
    hands = Hands(page(engines(a=(SHORT,) * 6, b=(THOUGHT_BOX,) * 6)))
    hands.upload(picture_path)
    return hands


def test_a_vote_keeps_the_run_and_says_how_all_votes_stand_with_interval_and_n(hands):
    seen = hands.ask()
    assert seen["votes"]["visible"] and not seen["reveal"]["visible"]
    assert hands.demo.page.store.stats()["votes"] == 0 == hands.demo.page.store.stats()["runs"]
    seen = hands.call("vote_answer", hands.shown, "A")
    store = hands.demo.page.store
    assert "quick won 1 of 1 (100%, 95 % interval 21% to 100%)" in seen["voted"]
    assert "Votes with names shown" in seen["voted"] and "does not tell the two apart" in seen["voted"]
    assert store.run(hands.shown.run)["votes"] == {"A": 1}
    hands.call("vote_answer", hands.shown, "neither")
    assert store.run(hands.shown.run)["votes"] == {"neither": 1} and store.stats()["runs"] == 1


def test_the_reasoning_has_a_vote_of_its_own(hands):
    seen = hands.ask()
    assert seen["vote-reasoning"]["visible"] and "reasoning of B sound" in seen["vote-reasoning"]["label"]
    hands.call("vote_reasoning", hands.shown, "B")
    store = hands.demo.page.store
    assert store.run(hands.shown.run)["votes"] == {} and store.stats()["votes"] == 1


@pytest.mark.parametrize("swapped", [0, 1])
def test_blind_tells_nothing_of_the_models_until_the_vote(hands, monkeypatch, swapped):
    monkeypatch.setattr("secrets.randbelow", lambda n: swapped)
    updates = list(hands.asking(blind=True))
    sent = [{k: v for k, v in update.items() if not k.startswith("state")} for update in updates]
    told = json.dumps(sent, default=str)  # the state stays with the server
    for secret in ("quick", "thinker", "First token", "Well-formed", "longest hull", "<details"):
        assert secret not in told, secret
    assert hands.shown.models == (
        {"A": "thinker", "B": "quick"} if swapped else {"A": "quick", "B": "thinker"}
    )
    last = updates[-1]
    assert "140,320,400,600" in last["card-b" if not swapped else "card-a"]
    assert last["reveal"]["visible"] and not last["vote-reasoning"]["visible"]
    assert not last["flag-a"]["visible"] and last["below"] == ""
    seen = hands.call("vote_answer", hands.shown, "B")
    winner = hands.shown.models["B"]
    assert f"B is {winner}" in seen["voted"] and "Blind votes on the answer" in seen["voted"]
    assert seen["model-b"]["value"] == winner and seen["model-b"]["visible"]
    assert "longest hull" in json.dumps(seen, default=str) and not hands.shown.blind
    counted = tally(hands.demo.page.store, winner, hands.shown.models["A"])
    assert counted.wins == (1, 0)
    hands.call("vote_reasoning", hands.shown, "B")
    assert hands.demo.page.store.stats()["votes"] == 2


def test_who_looks_without_voting_sees_everything_and_has_no_blind_vote(hands):
    hands.ask(blind=True)
    seen = hands.call_plain("reveal", hands.shown)
    assert "First token" in seen["card-a"] and seen["flag-a"]["visible"]
    assert hands.demo.page.store.stats()["runs"] == 0
    hands.call("vote_answer", hands.shown, "A")
    assert tally(hands.demo.page.store, "quick", "thinker").total == 0


@pytest.mark.parametrize("choice", ["C", "", None, "<script>"])
def test_a_vote_for_nothing_is_refused_and_nothing_is_counted(hands, choice):
    hands.ask()
    seen = hands.call("vote_answer", hands.shown, choice)
    assert 'role="alert"' in seen["notice"] and "<script>" not in seen["notice"]
    assert hands.demo.page.store.stats()["votes"] == 0


def test_a_vote_before_any_answer_is_refused(hands):
    assert "Ask something first" in hands.call("vote_answer", hands.shown, "A")["notice"]
    assert "Ask something first" in hands.call("vote_answer", None, "A")["notice"]
    assert "Ask something first" in hands.call_plain("reveal", None)["notice"]


def test_several_questions_about_a_picture_are_kept_in_order_and_come_back(hands, picture_path):
    assert not hands.ask("First?")["talk"].visible
    hands.ask("Second?")
    seen = hands.ask("Third?")
    assert [row[0] for row in seen["talk"].raw_samples] == ["First?", "Second?"]
    assert seen["talk"].raw_samples[0][2] == "[[140,320,400,600]]"
    seen = hands.call("bring_back", hands.shown, 0)
    assert seen["question"] == "First?" and "140,320" in seen["card-b"] and "box side-b" in seen["viewer"]
    assert [row[0] for row in seen["talk"].raw_samples] == ["Second?", "Third?"]
    assert not hands.ask("First?")["talk"].raw_samples[2:], "asked again is no new line"
    for index in (7, -1, None, "0"):
        assert "no longer there" in hands.call("bring_back", hands.shown, index)["notice"]
    hands.upload(picture_path)
    assert hands.shown.earlier == ()


def test_the_card_says_what_thinking_cost_and_whether_it_changed_the_answer(hands):
    below = hands.ask()["below"]
    assert "Did thinking help?" in below and "IoU 0.7" in below and "came to the same answer" in below
    for row in ("First token", "Total", "Tokens", "Steps of reasoning", "Truncated", "Well-formed"):
        assert f'<th scope="row">{row}</th>' in below
