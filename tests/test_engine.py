"""engine.py's promises: one engine per model, replies that wait for slow readers, no secret in the log."""

from __future__ import annotations

import logging
import threading

import pytest

from tests.fake import FakeEngine
from tinyrs import engine
from tinyrs.engine import (
    EngineFailure,
    EngineUnavailable,
    Job,
    Options,
    Reply,
    capped,
    conversation,
    ending,
    failure,
    open_engine,
    redact,
)
from tinyrs.example import Question, Task
from tinyrs.models import MODELS, ModelSpec, UnknownModel, replace

SERVER = ModelSpec("m", "http://127.0.0.1:9/v1#m", kind="server")


@pytest.fixture
def opened(monkeypatch):
    """The specs that were really opened; opening costs nothing."""
    import tinyrs.server

    specs = []

    def opener(spec):
        specs.append(spec)
        return FakeEngine(spec=spec)

    monkeypatch.setattr(tinyrs.server, "ServerEngine", opener)
    return specs


def test_a_model_is_opened_once_whatever_it_is_called_by(opened):
    name = "http://127.0.0.1:9/v1#m?dialect=tinyrs"
    first = open_engine(name)
    assert open_engine(name) is first and open_engine(first.spec) is first
    assert len(opened) == 1


def test_many_threads_share_one_opening(opened):
    engines, start = [], threading.Barrier(8)

    def work():
        start.wait()
        engines.append(open_engine(SERVER))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1 and len(set(map(id, engines))) == 1


def test_closed_engines_are_opened_anew(opened):
    first = open_engine(SERVER)
    engine.close_engines()
    assert first.closed and open_engine(SERVER) is not first


def test_another_declaration_is_another_engine(opened):
    assert open_engine(SERVER) is not open_engine(replace(SERVER, thinking=True))


def test_a_model_that_cannot_be_opened_can_be_tried_again(monkeypatch, opened):
    import tinyrs.server

    working = tinyrs.server.ServerEngine

    def broken(spec):
        raise EngineUnavailable("Not now.")

    monkeypatch.setattr(tinyrs.server, "ServerEngine", broken)
    with pytest.raises(EngineUnavailable, match="Not now"):
        open_engine(SERVER)
    monkeypatch.setattr(tinyrs.server, "ServerEngine", working)
    assert open_engine(SERVER).spec is SERVER


def test_unknown_names_are_unknown():
    with pytest.raises(UnknownModel):
        open_engine("zz")


@pytest.mark.parametrize("name", ["vhm", "geochat", "skysensegpt", "lhrs-bot-nova"])
def test_a_peer_without_a_server_says_how_to_reach_it(name):
    with pytest.raises(
        EngineUnavailable, match=rf"serve {MODELS[name].source} with .*#{MODELS[name].source}\."
    ):
        open_engine(name)


@pytest.mark.parametrize(
    "options",
    [
        {"max_new_tokens": 0},
        {"max_new_tokens": -5},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"max_pixels": 0},
    ],
)
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(ValueError):
        Options(**options)


@pytest.mark.parametrize(("allowed", "left"), [(None, 9000), (9001, 9000), (8000, 8000), (100, 100)])
def test_a_pixel_budget_only_ever_gets_smaller(allowed, left):
    spec = ModelSpec("m", "m", min_pixels=100, max_pixels=9000)
    assert capped(spec, Options(max_pixels=allowed)) == replace(spec, max_pixels=left)


def test_fewer_pixels_than_a_model_can_take_are_refused_in_a_sentence():
    with pytest.raises(EngineFailure, match="^m needs at least 2,000 pixels of a picture; 1,999 were allowed.$"):
        capped(ModelSpec("m", "m", min_pixels=2000), Options(max_pixels=1999))


# --- jobs -------------------------------------------------------------------------------------------------


def test_a_slow_reader_misses_replies_but_never_the_last():
    read, written = threading.Event(), threading.Event()

    def work(job):
        job.publish(Reply("", 0))
        read.wait(5)
        for i in range(1, 1000):
            job.publish(Reply("x" * i, i))
        job.publish(Reply("x" * 1000, 1000, finished=True))
        written.set()

    replies = Job(work, "test").replies()
    assert next(replies).tokens == 0
    read.set()
    assert written.wait(5)
    assert [reply.tokens for reply in replies] == [1000]


def test_what_was_written_before_a_failure_is_read_before_it():
    def work(job):
        job.publish(Reply("half of", 2))
        raise EngineFailure("It broke.")

    read = []
    with pytest.raises(EngineFailure, match="^It broke.$"):
        for reply in Job(work, "test").replies():
            read.append(reply.text)
    assert read == ["half of"]


def test_an_unforeseen_error_is_a_fixed_sentence(caplog):
    def work(job):
        raise ZeroDivisionError("the inner detail")

    with pytest.raises(EngineFailure) as error:
        list(Job(work, "test").replies())
    assert "detail" not in str(error.value) and "inner detail" in caplog.text


def test_cancelling_ends_a_job_with_its_last_words():
    cancelled, waiting = threading.Event(), threading.Event()

    def work(job):
        job.publish(Reply("one", 1))
        waiting.set()
        assert job.stop.wait(5)
        job.publish(Reply("one two", 2))

    replies = Job(work, "test").replies(cancelled)
    assert next(replies).text == "one"
    assert waiting.wait(5)
    cancelled.set()
    assert [reply.text for reply in replies] == ["one two"]


def test_cancelling_does_not_wait_for_work_that_hangs():
    cancelled, forever = threading.Event(), threading.Event()
    interrupted = []
    cancelled.set()
    job = Job(lambda job: forever.wait(30), "test")
    assert list(job.replies(cancelled, lambda: interrupted.append(1))) == []
    assert interrupted and job.thread.is_alive()
    forever.set()
    job.thread.join(5)


def test_a_reader_that_leaves_stops_the_work():
    stopped = threading.Event()

    def work(job):
        job.publish(Reply("one", 1))
        if job.stop.wait(5):
            stopped.set()

    replies = Job(work, "test").replies()
    next(replies)
    replies.close()
    assert stopped.wait(5)


# --- endings ----------------------------------------------------------------------------------------------

QUICK, THINKING = ModelSpec("q", "q"), ModelSpec("t", "t", thinking=True)


@pytest.mark.parametrize(
    ("spec", "text", "stop", "since", "cut"),
    [
        (QUICK, "a ship", (), 0, None),
        (QUICK, "a ship###and more", ("###",), 0, "a ship"),
        (QUICK, "a ship###", ("###",), 7, "a ship"),  # the stop began before the newest piece
        (QUICK, "a ship\n\n", ("zz", "\n"), 0, "a ship"),  # the first of several
        (QUICK, "###", ("###",), 0, ""),
        (QUICK, "a ship", ("",), 0, None),  # an empty stop ends nothing
        (QUICK, "x</answer>y", (), 0, None),  # a model that does not think has no such tag
        (THINKING, "<answer>4</answer> so", (), 0, "<answer>4</answer>"),
        (THINKING, "<answer>4</answer>", (), 17, "<answer>4</answer>"),
        (THINKING, "<answer>4</ans", (), 0, None),
        (THINKING, "<answer>4#</answer>", ("#",), 0, "<answer>4"),
    ],
)
def test_an_answer_ends_at_its_stop(spec, text, stop, since, cut):
    assert ending(spec, text, stop, since) == cut


# --- what the model reads ---------------------------------------------------------------------------------


def test_a_model_with_a_system_prompt_of_its_own_is_asked_under_it():
    question = Question("How many ships?", Task.COUNTING)
    plain = conversation(QUICK, question)
    own = conversation(replace(QUICK, system="Be brief."), question)
    assert own[0] == {"role": "system", "content": [{"type": "text", "text": "Be brief."}]}
    assert own[1:] == plain[1:] and plain[0]["role"] == "system"


def test_the_scorers_model_is_asked_to_think_in_its_own_tags():
    prompt = conversation(MODELS["qwen2-vl-rs-r1"], Question("?"))[0]["content"][0]["text"]
    assert "<think> reasoning process here </think><answer> answer here </answer>" in prompt


# --- secrets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "HF_TOKEN", "MY_SECRET", "DB_PASSWORD"])
def test_secrets_are_not_logged(monkeypatch, caplog, name):
    monkeypatch.setenv(name, "canary-98765")
    assert redact("with canary-98765 inside") == "with *** inside"
    caplog.set_level(logging.DEBUG)
    try:
        try:
            raise ValueError("canary-98765 is wrong")
        except ValueError as cause:
            raise RuntimeError("and canary-98765 again") from cause
    except RuntimeError as error:
        told = failure("It broke.", error)
    assert str(told) == "It broke." and "ValueError" in caplog.text and "canary" not in caplog.text


def test_short_values_are_not_taken_for_secrets(monkeypatch):
    monkeypatch.setenv("SORT_KEY", "a")
    assert redact("a banana") == "a banana"
