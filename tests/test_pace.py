"""What is told of the time an answer will take: right where the machine is regular, unbent by what is not."""

from __future__ import annotations

import random
import threading

import pytest

from tinyrs.engine import Reply
from tinyrs.pace import REMEMBERED, Pace, line


def answered(visual: int, tokens: int = 10, *, fixed=0.5, each=0.02, writes=0.1, **changes) -> Reply:
    """A reply of a machine that is regular."""
    first = fixed + each * visual
    values = dict(tokens=tokens, first_token=first, seconds=first + writes * tokens, finished=True) | changes
    return Reply("text", **values)


def taught(*replies: tuple[int, Reply]) -> Pace:
    pace = Pace()
    for visual, reply in replies:
        pace.learn("m", visual, reply)
    return pace


def test_nothing_is_told_before_anything_was_seen():
    pace = taught((64, answered(64)))
    assert pace.estimate("other", 64) is None and pace.first_token("other", 64) is None


def test_two_sizes_tell_the_fixed_part_from_the_growing_one():
    pace = taught((16, answered(16)), (100, answered(100)))
    assert pace.first_token("m", 1280) == pytest.approx(0.5 + 0.02 * 1280)
    assert pace.estimate("m", 1280, 40) == pytest.approx(0.5 + 0.02 * 1280 + 4)
    assert pace.estimate("m", 1280) == pytest.approx(0.5 + 0.02 * 1280 + 1)  # answers had 10 tokens


def test_one_size_is_told_exactly_and_others_in_proportion():
    pace = taught((50, answered(50)), (50, answered(50)))
    assert pace.first_token("m", 50) == pytest.approx(1.5)
    assert pace.first_token("m", 100) == pytest.approx(3)


def test_slow_answers_while_something_else_was_busy_do_not_count_for_much():
    chance = random.Random(3)
    replies = []
    for number in range(20):
        visual = chance.choice((16, 48, 100, 256))
        slow = 6 if number % 5 == 0 else 1
        reply = answered(visual, fixed=0.5 * slow, each=0.02 * slow, writes=0.1 * slow)
        replies.append((visual, reply))
    told = taught(*replies).estimate("m", 144, 20)
    assert told == pytest.approx(0.5 + 0.02 * 144 + 2, rel=0.15)


@pytest.mark.parametrize(
    "reply",
    [
        answered(900, finished=False),  # cancelled
        answered(900, first_token=None),  # failed before its first word
    ],
)
def test_what_did_not_end_says_nothing(reply):
    assert taught((900, reply)).estimate("m", 900) is None


def test_a_picture_that_was_known_tells_how_fast_it_writes_and_nothing_of_reading():
    known = answered(100, 10, fixed=0.01, each=0, writes=0.3, kept=True)
    assert taught((100, known)).estimate("m", 100, 10) is None
    pace = taught((16, answered(16)), (100, answered(100)), *[(100, known)] * 5)
    assert pace.first_token("m", 100) == pytest.approx(2.5)
    assert pace.estimate("m", 100, 10) == pytest.approx(2.5 + 3)


def test_models_are_told_apart():
    pace = taught((50, answered(50)))
    pace.learn("slow", 50, answered(50, fixed=20))
    assert pace.first_token("slow", 50) > 10 > pace.first_token("m", 50)


def test_what_was_long_ago_is_forgotten():
    pace = taught(*[(50, answered(50, fixed=60))] * 50, *[(50, answered(50))] * REMEMBERED)
    assert pace.first_token("m", 50) == pytest.approx(1.5)


def test_an_answer_of_one_word_tells_nothing_of_writing():
    pace = taught((50, answered(50, 1, seconds=9.0)))
    assert pace.estimate("m", 50, 100) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(10, 5.0), (20, 5.0)], (5.0, 0.0)),  # all overhead
        ([(10, 5.2), (20, 5.0)], (5.1, 0.0)),  # noise that falls: no larger picture is read sooner
        ([(10, 1.0), (20, 3.0)], (0.0, 0.125)),  # no picture takes less than no time
        ([(10, 1.0)], (0.0, 0.1)),
    ],
)
def test_a_line_never_falls_and_never_begins_below_nothing(points, expected):
    assert line(points) == pytest.approx(expected)


def test_many_threads_may_learn_and_ask():
    pace, wrong = Pace(), []

    def work(own: int) -> None:
        for number in range(300):
            visual = 10 + (number * own) % 50
            pace.learn("m", visual, answered(visual))
            if not pace.estimate("m", 200, 10):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(own,)) for own in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and pace.estimate("m", 200, 10) == pytest.approx(5.5)
