"""Questions that come while a model is busy: answered together, in order, and nobody fails by another's."""

from __future__ import annotations

import threading

import pytest

from bench.choose import drawn
from bench.follow_up import QUESTIONS, pictures, plain
from tinyrs.engine import EngineFailure, Options, Reply
from tinyrs.example import Question, Task
from tinyrs.local import LocalEngine
from tinyrs.models import replace, resolve
from tinyrs.sharing import TOGETHER, Asked, Queue
from tinyrs.tokens import Row


class Busy:
    """An answerer that is busy with its first question until `go`; `groups` holds what it was asked at once."""

    def __init__(self, fail=lambda names: None):
        self.go, self.begun, self.groups, self.fail = threading.Event(), threading.Event(), [], fail

    def __call__(self, asked):
        names = [each.pair for each in asked]
        self.groups.append(names)
        self.begun.set()
        assert self.go.wait(10)
        if error := self.fail(names):
            raise error
        return [Reply(name, finished=True) for name in names]


def visit(queue, busy, names, options=lambda name: Options(), left=()):
    """Ask everything at once while `busy` is at "first": {name: reply or error}."""
    found, stops = {}, {name: threading.Event() for name in left}

    def ask(name):
        try:
            found[name] = queue.ask(Asked(name, options(name), stops.get(name) or threading.Event())).text
        except EngineFailure as error:
            found[name] = error

    threads = [threading.Thread(target=ask, args=("first",))]
    threads[0].start()
    assert busy.begun.wait(10)
    for count, name in enumerate(names, 1):  # in this order
        threads.append(threading.Thread(target=ask, args=(name,)))
        threads[-1].start()
        while len(queue._waiting) < count:
            assert threads[-1].is_alive()
    for stop in stops.values():
        stop.set()
    busy.go.set()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads) and not queue._waiting
    return found


def test_what_gathers_while_the_model_is_busy_is_answered_together():
    busy = Busy()
    names = [str(number) for number in range(TOGETHER + 2)]
    found = visit(Queue(busy), busy, names)
    assert found == {name: name for name in ("first", *names)}
    assert busy.groups == [["first"], names[:TOGETHER], names[TOGETHER:]]


def test_other_options_are_another_group_and_the_oldest_goes_first():
    busy = Busy()
    visit(Queue(busy), busy, "abAcB", lambda name: Options(max_new_tokens=5 if name.isupper() else 6))
    assert busy.groups == [["first"], ["a", "b", "c"], ["A", "B"]]


def test_who_left_before_the_turn_came_is_not_asked_for():
    busy = Busy()
    found = visit(Queue(busy), busy, "abc", left="ac")
    assert busy.groups == [["first"], ["b"]] and found["a"] == found["c"] == ""
    busy = Busy()
    visit(Queue(busy), busy, "ab", left="ab")
    assert [names for names in busy.groups if names] == [["first"]]


def test_one_that_cannot_be_answered_does_not_take_others_with_it():
    busy = Busy(lambda names: EngineFailure("Too large.") if "b" in names else None)
    found = visit(Queue(busy), busy, "abc")
    assert (found["a"], found["c"], str(found["b"])) == ("a", "c", "Too large.")
    assert busy.groups == [["first"], ["a", "b", "c"], ["a"], ["b"], ["c"]]


def test_an_unforeseen_error_leaves_nobody_waiting():
    busy = Busy(lambda names: ZeroDivisionError() if "b" in names else None)
    queue = Queue(busy)
    found = {}

    def ask(name):
        try:
            found[name] = queue.ask(Asked(name))
        except (EngineFailure, ZeroDivisionError) as error:
            found[name] = error

    busy.go.set()
    ask("b")
    assert isinstance(found["b"], ZeroDivisionError)
    ask("a")
    assert found["a"].text == "a"


# --- with a model -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def thinker():
    """The reasoning pocket model, whose visitors share it."""
    return LocalEngine(resolve("pocket-r1"))


def test_eight_visitors_of_a_thinking_model_share_it_and_get_the_cold_answers(thinker):
    options = Options(max_new_tokens=24)
    shown = list(pictures(8, first=4_200_000))
    with plain(thinker):
        cold = [thinker.batch([(picture, QUESTIONS[0])], options)[0].text for picture in shown]
    groups, answer = [], thinker._answer

    def counted(asked):
        groups.append(len(asked))
        return answer(asked)

    thinker._answer = counted
    found, together = {}, threading.Barrier(len(shown))

    def visit(number):
        together.wait(10)
        replies = list(thinker.stream(shown[number], QUESTIONS[0], options))
        assert [a.text.startswith(b.text) for a, b in zip(replies[1:], replies, strict=False)]
        found[number] = replies[-1]

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(len(shown))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    del thinker._answer
    assert [found[number].text for number in range(len(shown))] == cold
    assert sum(groups) == 8 and len(groups) < 8  # and they did share it


def test_one_who_leaves_a_shared_answer_ends_nobody_elses(thinker):
    """While the first is being answered two more come; one of them leaves in the middle of the answer that they share."""
    options, shown = Options(max_new_tokens=40), list(pictures(3, first=4_300_000))
    question = Question("Describe the image in detail.", Task.CAPTIONING)
    (expected,) = thinker.batch([(shown[2], question)], options)
    holding = thinker._turns.asked()
    found, left = {}, threading.Event()

    def visit(number):
        for reply in thinker.stream(shown[number], question, options, left if number == 1 else None):
            found[number] = reply
            if number == 1 and reply.tokens:
                left.set()

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(3)]
    with holding:  # the model is busy until all three wait
        threads[0].start()
        while thinker._queue._waiting or not thinker._queue._turn.locked():
            assert threads[0].is_alive()
        for thread in threads[1:]:
            thread.start()
        while len(thinker._queue._waiting) < 2:
            assert all(thread.is_alive() for thread in threads)
    for thread in threads:
        thread.join()
    assert not found[1].finished and found[1].tokens < found[2].tokens
    assert (found[2].text, found[2].finished) == (expected.text, True) and found[0].finished


def test_a_model_that_answers_at_once_is_not_shared_on_a_processor():
    """Its answers are mostly the reading of their pictures, which a batch makes no shorter: all would wait for all."""
    assert LocalEngine(resolve("pocket"))._queue is None


# --- choosing ---------------------------------------------------------------------------------------------

LABELS = ("park", "parking lot", "port", "beach")
SCENE = Question(
    "Classify the image within one of the given classes: park, parking lot, port, beach.", Task.CLASSIFICATION, LABELS
)


@pytest.fixture(scope="module")
def quick():
    return LocalEngine(resolve("pocket"))


@pytest.mark.parametrize("way", ["two steps", "generate"])
def test_a_choice_is_always_a_label_and_is_what_greedy_writes_where_that_is_one(quick, way):
    pairs = [(picture, example.question) for picture, example in drawn(6)]
    labels = pairs[0][1].labels
    free = [reply.text for reply in quick.batch(pairs)]
    able, quick.two_steps = quick.two_steps, way == "two steps"
    chosen = quick.batch(pairs, Options(choose=True))
    quick.two_steps = able
    assert all(reply.text in labels and reply.finished and not reply.truncated for reply in chosen)
    assert sum(text in labels for text in free) > 3
    assert all(a == b.text for a, b in zip(free, chosen, strict=True) if a in labels)


def row(quick, *choices):
    return Row(quick.processor.tokenizer, quick.spec, Options(), frozenset({2}), 0.0, 64, choices=choices)


def test_a_label_that_begins_another_may_end_or_go_on(quick):
    park = row(quick, (7,), (7, 8), (9, 9, 9))
    assert park.allowed() == [7, 9]
    park.take(7)
    assert park.allowed() == [2, 8] and not park.done
    park.take(2)
    assert park.done and park.ids == [7]
    lot = row(quick, (7,), (7, 8), (9, 9, 9))
    lot.take(7), lot.take(8)
    assert lot.done and lot.ids == [7, 8]
    forced = row(quick, (7,), (7, 8), (9, 9, 9))
    forced.take(9)  # the rest follows from it
    assert forced.done and forced.ids == [9, 9, 9]


def test_a_single_label_and_an_answer_without_labels(quick):
    assert row(quick).allowed() is None
    assert row(quick, (7, 8)).allowed() == [7]


def test_a_random_model_that_writes_nonsense_still_chooses(untrained, picture):
    engine = LocalEngine(resolve(str(untrained)))
    nonsense, held = (list(engine.stream(picture, SCENE, options))[-1].text for options in (Options(), Options(choose=True)))
    assert nonsense not in LABELS and held in LABELS
    free = Question("What is it?", Task.VQA)
    assert list(engine.stream(picture, free, Options(choose=True, max_new_tokens=5)))[-1].tokens == 5


def test_what_is_left_without_a_choice_is_not_computed(quick):
    steps = []
    hook = quick.model.lm_head.register_forward_hook(lambda *args: steps.append(1))
    (picture,) = pictures(1)
    one = replace(SCENE, labels=("storage tanks", "bridge over a wide river"))
    (reply,) = quick.batch([(picture, one)], Options(choose=True))
    hook.remove()
    assert len(steps) == 1 and reply.tokens > 1 and reply.text in one.labels


def test_a_thinking_model_cannot_be_held_to_labels(thinker):
    (picture,) = pictures(1)
    with pytest.raises(EngineFailure, match="^pocket-r1 reasons before it answers"):
        thinker.batch([(picture, SCENE)], Options(choose=True))


# --- budgets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "thinking", "asked", "expected"),
    [
        (Task.CLASSIFICATION, False, None, 32),
        (Task.COUNTING, False, None, 32),
        (Task.GROUNDING, False, None, 64),  # the model's own is less
        (Task.CAPTIONING, False, None, 64),
        (Task.CLASSIFICATION, True, None, 64),  # who thinks needs room before the label
        (Task.CLASSIFICATION, False, 50, 50),
    ],
)
def test_an_answer_is_cut_off_by_its_task(untrained, picture, task, thinking, asked, expected):
    engine = LocalEngine(replace(resolve(str(untrained)), thinking=thinking, max_new_tokens=64))
    engine._ends = frozenset({-1})  # never by itself
    reply = list(engine.stream(picture, Question("What?", task), Options(max_new_tokens=asked)))[-1]
    assert (reply.tokens, reply.truncated) == (expected, True)
