"""A model is had by one at a time, and a picture that nobody asked about yet never keeps a question waiting."""

from __future__ import annotations

import threading

import pytest
from PIL import Image

from tests.serving import until
from tinyrs.turns import Turns

FIELD, SEA = Image.new("RGB", (40, 30), (90, 120, 60)), Image.new("RGB", (40, 30), (20, 60, 110))


def ask(turns, pictures, done):
    """A question that waits in a thread of its own."""

    def work():
        with turns.asked(pictures):
            done.append(pictures)

    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: turns._waiting or not thread.is_alive())
    return thread


def test_questions_go_one_after_another():
    turns, inside, most = Turns(), [], []

    def work(number):
        with turns.asked([FIELD]):
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8 and not turns._waiting


def test_a_turn_that_does_not_come_in_time_is_an_error_and_leaves_no_trace():
    turns = Turns()
    with turns.asked([FIELD]):
        with pytest.raises(TimeoutError), turns.asked([FIELD], timeout=0.01):
            pytest.fail("had by two")
        assert not turns._waiting
    with turns.asked([FIELD], timeout=0.01):
        pass


def test_an_unasked_picture_gives_way_to_a_question_about_another_one():
    turns, done = Turns(), []
    with turns.unasked(FIELD) as stop:
        assert not stop.is_set()
        waiting = ask(turns, [SEA], done)
        until(stop.is_set)
        assert not done
    waiting.join()
    assert done == [[SEA]]


def test_a_question_about_it_waits_until_it_was_read():
    turns, done = Turns(), []
    with turns.unasked(FIELD) as stop:
        waiting = ask(turns, [SEA, FIELD.copy()], done)  # among others; the same pixels, not the same object
        assert not stop.is_set() and not done
        other = ask(turns, [SEA], done)
        until(lambda: len(turns._waiting) == 2)
        assert stop.is_set()
    waiting.join()
    other.join()
    assert len(done) == 2


@pytest.mark.parametrize("other", [FIELD.resize((30, 40)), FIELD.convert("L"), SEA])
def test_pictures_are_told_apart_by_shape_mode_and_pixels(other):
    turns = Turns()
    with turns.unasked(FIELD) as stop:
        waiting = ask(turns, [other], [])
        assert stop.is_set()
    waiting.join()


def test_while_a_question_has_the_model_nothing_unasked_does(monkeypatch):
    monkeypatch.setattr("tinyrs.turns.GRACE", 0.01)
    turns = Turns()
    with turns.asked([FIELD]), turns.unasked(FIELD) as stop:
        assert stop is None
    with turns.unasked(FIELD) as stop:
        assert stop is not None


def test_what_was_called_off_is_not_begun_and_stops_where_it_is():
    turns, cancelled = Turns(), threading.Event()
    with turns.unasked(FIELD, cancelled) as stop:
        assert not stop.is_set()
        cancelled.set()
        assert stop.is_set()
    with turns.unasked(FIELD, cancelled) as stop:
        assert stop is None
    with turns.asked([SEA], timeout=0.01):
        pass
