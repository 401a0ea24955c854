"""Two sides at once: neither may hold up, break or change the other."""

from __future__ import annotations

import threading
import time
from collections import defaultdict

import pytest

from tests.fake import FakeEngine
from tests.loopback import begin, event, loopback, says
from tinyrs.compare import FAILED, Event, compare
from tinyrs.engine import EngineFailure, Options, Reply
from tinyrs.example import Question, Task
from tinyrs.local import LocalEngine
from tinyrs.models import replace, resolve

WHERE = Question("Identify the location of the ship.", Task.GROUNDING)
THOUGHT = "<reasoning> It floats. It is grey. </reasoning> <answer> [[100,200,300,400]] </answer>"


def run(engines, **kwargs):
    """Every event, by side."""
    sides = defaultdict(list)
    for news in compare(engines, None, WHERE, **kwargs):
        sides[news.side].append(news)
    return sides


def ends(events: list[Event]) -> Event:
    """The last event of a side, which is its only one that is done."""
    assert [event.done for event in events] == [False] * (len(events) - 1) + [True]
    return events[-1]


def test_each_side_answers_in_its_own_dialect():
    quick = FakeEngine("[[1,2,3,4]]")
    thinking = FakeEngine(THOUGHT, thinking=True)
    peer = FakeEngine("{<10><20><30><40>|<5>}", dialect="geochat", box_scale=100)
    sides = run({"A": quick, "B": thinking, "C": peer})
    a, b, c = (ends(sides[name]).answer for name in "ABC")
    assert a.boxes[0].corners() == [1, 2, 3, 4] and a.well_formed and a.reasoning == ()
    assert b.boxes[0].corners() == [100, 200, 300, 400] and len(b.reasoning) == 2 and b.well_formed
    assert c.boxes[0].corners() == [100, 200, 300, 400]


def test_every_side_gets_the_same_question():
    options = Options(max_new_tokens=5)
    a, b = FakeEngine("x"), FakeEngine("y")
    run({"A": a, "B": b}, options=options)
    assert a.asked == b.asked == [(None, WHERE, options)]


def test_an_answer_is_taken_apart_while_it_grows():
    go = threading.Event()
    engine = FakeEngine(
        ["<reasoning> It floats. </reasoning> <ans", go, "wer> [[1,2,3,4]] </answer>"], thinking=True
    )
    events = compare({"A": engine}, None, WHERE)
    first = next(events)
    assert first.answer.reasoning == ("It floats.",) and first.answer.text == "" and not first.answer.problems
    go.set()
    assert list(events)[-1].answer.well_formed


def test_a_side_that_hangs_does_not_stall_the_other():
    forever = threading.Event()
    hung, quick = FakeEngine(["so ", forever, "on"]), FakeEngine("one two three")
    events = compare({"A": hung, "B": quick}, None, WHERE)
    seen = []
    for news in events:
        seen.append(news)
        if news.side == "B" and news.done:
            break
    assert seen[-1].answer.text == "one two three"
    forever.set()
    assert ends([news for news in events if news.side == "A"]).answer.text == "so on"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (EngineFailure("It ran out of memory."), "It ran out of memory."),
        (ZeroDivisionError("inner detail"), FAILED),
    ],
)
def test_a_side_that_dies_keeps_its_words_and_the_other_finishes(error, sentence, caplog):
    other = threading.Event()
    dying, living = FakeEngine(["half ", "of", error]), FakeEngine(["one ", other, "two"])
    events = compare({"A": dying, "B": living}, None, WHERE)
    sides = defaultdict(list)
    for news in events:
        sides[news.side].append(news)
        if news.error:
            other.set()
    dead, alive = ends(sides["A"]), ends(sides["B"])
    assert dead.error == sentence and dead.reply.text == "half of" and dead.answer.text == "half of"
    assert alive.error is None and alive.answer.text == "one two"
    assert all(news.error is None for news in sides["A"][:-1])


def test_a_side_that_dies_without_a_word_has_no_reply():
    dead = ends(run({"A": FakeEngine([EngineFailure("No.")])})["A"])
    assert (dead.reply, dead.answer, dead.error) == (None, None, "No.")


def test_a_name_that_cannot_be_opened_is_that_sides_error(tmp_path):
    sides = run({"A": "zz", "B": FakeEngine("yes"), "C": str(tmp_path), "D": "vhm"})
    assert "No model is called 'zz'" in ends(sides["A"]).error
    assert ends(sides["B"]).answer.text == "yes"
    assert "tinyrs.json" in ends(sides["C"]).error and "serve FitzPC/vhm_7B" in ends(sides["D"]).error


def test_cancelling_ends_every_side():
    cancelled, forever = threading.Event(), threading.Event()
    polite = FakeEngine(["one ", forever, "two"])
    sides, rude = defaultdict(list), FakeEngine(["so ", lambda: forever.wait(10), "on"])
    started = None
    for news in compare({"A": polite, "B": rude}, None, WHERE, cancelled=cancelled):
        sides[news.side].append(news)
        if len(sides) == 2 and started is None:
            cancelled.set()
            started = time.monotonic()
    assert time.monotonic() - started < 2
    for side in sides.values():
        last = ends(side)
        assert last.error is None and not last.reply.finished and last.reply.text in ("one ", "so ")
    forever.set()


def test_cancelling_before_the_first_word():
    cancelled, forever = threading.Event(), threading.Event()
    cancelled.set()
    sides = run({"A": FakeEngine([lambda: forever.wait(10)]), "B": FakeEngine("x")}, cancelled=cancelled)
    assert ends(sides["A"]).reply is None and not ends(sides["B"]).reply.finished
    forever.set()


def test_a_reader_that_leaves_stops_both_sides_and_cancels_nobody_else():
    cancelled, stopped = threading.Event(), [threading.Event(), threading.Event()]

    class Endless(FakeEngine):
        def __init__(self, stop):
            super().__init__()
            self.stop = stop

        def stream(self, picture, question, options=Options(), cancelled=None):
            while not cancelled.is_set():
                yield Reply("on and on")
                time.sleep(0.001)
            self.stop.set()

    events = compare({"A": Endless(stopped[0]), "B": Endless(stopped[1])}, None, WHERE, cancelled=cancelled)
    next(events)
    events.close()
    assert all(stop.wait(5) for stop in stopped) and not cancelled.is_set()


def test_a_slow_reader_gets_the_newest_words_not_a_backlog():
    written, begun = threading.Event(), threading.Event()
    engine = FakeEngine(["first ", begun, *["word "] * 500, written.set])
    events = compare({"A": engine}, None, WHERE)
    assert next(events).reply.text == "first "
    begun.set()
    assert written.wait(10)
    rest = list(events)
    assert len(rest) <= 3 and ends(rest).reply.text == "first " + "word " * 500


def test_a_side_that_never_pauses_does_not_hide_the_other():
    stop = threading.Event()

    class Chatty(FakeEngine):
        def stream(self, picture, question, options=Options(), cancelled=None):
            while not stop.is_set():
                yield Reply("on and on")
            yield Reply("over", finished=True)

    seen = []
    for news in compare({"A": Chatty(), "B": FakeEngine("yes"), "C": Chatty()}, None, WHERE):
        seen.append(news)
        if news.side == "B" and news.done:
            stop.set()
    assert len({news.side for news in seen}) == 3
    order = [news.side for news in seen]
    assert order.index("B") <= 4


def test_nothing_to_compare_is_nothing():
    assert list(compare({}, None, WHERE)) == []


def test_one_engine_may_play_both_sides(untrained, picture):
    engine = LocalEngine(resolve(str(untrained)))
    sides = defaultdict(list)
    for news in compare({"A": engine, "B": engine}, picture, WHERE, Options(max_new_tokens=6)):
        sides[news.side].append(news)
    assert ends(sides["A"]).reply.text == ends(sides["B"]).reply.text


def test_a_real_model_finishes_beside_a_server_that_dies(untrained, picture):
    def dies(handler):
        begin(handler)
        event(handler, "half of")

    with loopback(dies, says("fine")) as server:
        engines = {"A": str(untrained), "B": f"{server.address}#m"}
        sides = defaultdict(list)
        for news in compare(engines, picture, WHERE, Options(max_new_tokens=6)):
            sides[news.side].append(news)
        assert "broke off" in ends(sides["B"]).error and ends(sides["B"]).reply.text == "half of"
        assert ends(sides["A"]).reply.truncated and ends(sides["A"]).answer.truncated
        again = list(compare(engines, picture, WHERE, Options(max_new_tokens=6)))
    assert [news.answer.text for news in again if news.side == "B"][-1] == "fine"


def test_truncation_reaches_the_answer():
    engine = FakeEngine("<reasoning> and so on and on and on", thinking=True)
    answer = ends(run({"A": engine}, options=Options(max_new_tokens=3))["A"]).answer
    assert answer.truncated and not answer.well_formed


def test_no_error_text_of_an_engine_reaches_an_event(monkeypatch, caplog):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0123456789")
    events = run({"A": FakeEngine([RuntimeError("sk-canary-0123456789 /home/me")])})["A"]
    assert "canary" not in repr(events) and "canary" not in caplog.text and "/home/me" in caplog.text


def test_the_spec_that_counts_is_the_opened_ones(untrained, picture):
    engine = LocalEngine(replace(resolve(str(untrained)), thinking=True))
    last = list(compare({"A": engine}, picture, WHERE, Options(max_new_tokens=3)))[-1]
    assert "The answer tag is missing." in last.answer.problems
