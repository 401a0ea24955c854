"""The engine for OpenAI-compatible servers, against a real one on the loopback."""

from __future__ import annotations

import base64
import io
import logging
import socket
import threading
import time

import pytest
from PIL import Image

from tests.loopback import begin, event, loopback, raw, refuses, says
from tinyrs.engine import EngineFailure, Options, open_engine
from tinyrs.example import Question, Task
from tinyrs.models import resolve
from tinyrs.server import ServerEngine, data_url

WHERE = Question("Identify the location of the ship.", Task.GROUNDING)
CANARY = "sk-canary-0123456789"


def connect(server, query="", timeout=5.0, retries=0):
    return ServerEngine(resolve(f"{server.address}#the/model{query}"), timeout, retries)


def ask(engine, picture, options=Options(), **kwargs):
    return list(engine.stream(picture, WHERE, options, **kwargs))


def failing(engine, picture):
    """(texts that were read, the sentence)"""
    texts = []
    with pytest.raises(EngineFailure) as error:
        for reply in engine.stream(picture, WHERE):
            texts.append(reply.text)
    assert "\n" not in str(error.value) and str(error.value).endswith(".")
    return texts, str(error.value)


# --- answers ----------------------------------------------------------------------------------------------


def test_an_answer_comes_in_pieces_and_counts_the_servers_tokens(picture):
    with loopback(says("[[1,", "2,3,", "4]]", usage=11)) as server:
        replies = ask(connect(server), picture)
    assert replies[-1].text == "[[1,2,3,4]]" and replies[-1].tokens == 11
    assert replies[-1].finished and not replies[-1].truncated
    assert all(not reply.finished and "[[1,2,3,4]]".startswith(reply.text) for reply in replies[:-1])
    assert 0 < replies[-1].first_token <= replies[-1].seconds


def test_a_server_that_does_not_count_has_its_pieces_counted(picture):
    with loopback(says("a ", "b")) as server:
        assert ask(connect(server), picture)[-1].tokens == 2


def test_an_answer_at_its_budget_is_truncated(picture):
    with loopback(says("a b", reason="length")) as server:
        reply = ask(connect(server), picture)[-1]
    assert reply.finished and reply.truncated


def test_what_is_sent_is_the_picture_before_the_question(picture):
    with loopback(says("ok")) as server:
        ask(connect(server), picture, Options(max_new_tokens=9, temperature=0.5, seed=4, stop=("#",)))
        headers, body = server.requests[0]
    assert (body["model"], body["max_tokens"], body["temperature"], body["seed"]) == ("the/model", 9, 0.5, 4)
    assert body["stop"] == ["#"] and body["stream"] is True
    system, user = body["messages"]
    assert system == {"role": "system", "content": "You are a helpful assistant."}
    shown, text = user["content"]
    assert text == {"type": "text", "text": "{VG} Identify the location of the ship."}
    kind, _, data = shown["image_url"]["url"].partition(",")
    assert shown["type"] == "image_url" and kind == "data:image/png;base64"
    sent = Image.open(io.BytesIO(base64.b64decode(data)))
    assert sent.size == picture.size and sent.tobytes() == picture.tobytes()


def test_a_closed_set_of_answers_reaches_the_server_and_a_thinking_model_is_not_held_to_it(picture):
    scene = Question("Which is it?", Task.CLASSIFICATION, ("beach", "port"))
    with loopback(says("port")) as server:
        for question in (scene, WHERE):
            list(connect(server).stream(picture, question, Options(choose=True)))
        with pytest.raises(EngineFailure, match="reasons before it answers"):
            list(connect(server, "?thinking=1").stream(picture, scene, Options(choose=True)))
    held, free = (body for _, body in server.requests)
    assert held["structured_outputs"] == {"choice": ["beach", "port"]} and "structured_outputs" not in free


def test_a_pixel_budget_is_kept_and_one_that_is_too_small_is_a_sentence():
    with loopback(says("ok")) as server:
        engine = connect(server)
        ask(engine, Image.new("RGB", (400, 400)), Options(max_pixels=10 * 28 * 28))
        with pytest.raises(EngineFailure, match="needs at least 3,136 pixels"):
            ask(engine, Image.new("RGB", (400, 400)), Options(max_pixels=3135))
    (body,) = (body for _, body in server.requests)
    url = body["messages"][1]["content"][0]["image_url"]["url"]
    assert Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).size == (84, 84)


def test_the_declared_budget_and_no_stop_are_sent_by_default(picture):
    with loopback(says("ok")) as server:
        ask(connect(server, "?max_new_tokens=77"), picture)
        body = server.requests[0][1]
    assert body["max_tokens"] == 77 and body["temperature"] == 0 and "stop" not in body


def test_a_thinking_model_is_asked_to_think_and_is_cut_off_after_its_answer(picture):
    text = "<reasoning> r </reasoning> <answer> 4 </answer>"
    endless = threading.Event()

    def rambles(handler):
        begin(handler)
        event(handler, text[:-4])
        event(handler, text[-4:] + " and")
        while not endless.is_set():
            event(handler, " on")
            time.sleep(0.001)

    with loopback(rambles) as server:
        replies = ask(connect(server, "?thinking=1"), picture)
        assert server.hung_up.wait(5)  # and the server is told to stop
        endless.set()
        system = server.requests[0][1]["messages"][0]
    assert "reasoning process" in system["content"]
    assert replies[-1].text == text and replies[-1].finished and not replies[-1].truncated


def test_stops_that_a_server_ignores_are_kept_anyway(picture):
    with loopback(says("one", ". t", "wo")) as server:
        reply = ask(connect(server), picture, Options(stop=(". ",)))[-1]
    assert reply.text == "one" and reply.finished


def test_letters_that_arrive_by_halves_are_put_together(picture):
    def halves(handler):
        begin(handler)
        letter = "船".encode()
        head = (
            b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'
        )
        head += b'"finish_reason":"stop","delta":{"content":"'
        handler.wfile.write(head + letter[:1])
        handler.wfile.flush()
        time.sleep(0.01)
        handler.wfile.write(letter[1:] + b'"}}]}\n\ndata: [DONE]\n\n')

    with loopback(halves) as server:
        assert ask(connect(server), picture)[-1].text == "船"


def test_a_batch_keeps_its_order(picture):
    def repeats(handler):
        text = handler.body["messages"][-1]["content"][-1]["text"]
        time.sleep(0.01 * (12 - int(text.split()[-1][:-1])))  # the first questions take longest
        says(text)(handler)

    with loopback(repeats) as server:
        replies = connect(server).batch(
            [(picture, Question(f"Is there ship {i}?", Task.VQA)) for i in range(12)]
        )
    assert [reply.text for reply in replies] == [f"{{VQA}} Is there ship {i}?" for i in range(12)]


# --- failing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "refused the question"),
        (401, "another key"),
        (403, "another key"),
        (404, "no model called the/model"),
        (413, "refused the question"),
        (429, "too much to do"),
        (500, "a problem of its own"),
        (503, "a problem of its own"),
    ],
)
def test_errors_are_sentences_that_repeat_nothing_of_the_server(picture, status, words):
    with loopback(refuses(status, "inner <b>detail</b>")) as server:
        texts, sentence = failing(connect(server), picture)
    assert words in sentence and "detail" not in sentence and texts == []


def test_a_passing_error_is_tried_again_once(picture):
    with loopback(refuses(503, retry_after_ms="1"), says("ok")) as server:
        assert ask(connect(server, retries=1), picture)[-1].text == "ok"
    with loopback(refuses(503, retry_after_ms="1"), refuses(503, retry_after_ms="1"), says("ok")) as server:
        failing(connect(server, retries=1), picture)
        assert len(server.requests) == 2


def test_a_server_that_is_not_there_is_one_sentence(picture):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    engine = ServerEngine(resolve(f"http://127.0.0.1:{port}/v1#m"), retries=0)
    assert "cannot be reached" in failing(engine, picture)[1]


def test_a_server_that_says_nothing_times_out(picture):
    release = threading.Event()
    with loopback(lambda handler: release.wait(10)) as server:
        started = time.monotonic()
        texts, sentence = failing(connect(server, timeout=0.2), picture)
        assert "took too long" in sentence and time.monotonic() - started < 5
        release.set()


def test_a_server_that_falls_silent_times_out_with_its_words_kept(picture):
    release = threading.Event()

    def silent(handler):
        begin(handler)
        event(handler, "half of")
        release.wait(10)

    with loopback(silent, says("ok")) as server:
        engine = connect(server, timeout=0.2)
        texts, sentence = failing(engine, picture)
        assert texts == ["half of"] and "took too long" in sentence
        release.set()
        assert ask(engine, picture)[-1].text == "ok"  # the next question works


@pytest.mark.parametrize(
    "broken",
    [
        lambda handler: None,  # closes without a word
        lambda handler: (begin(handler), event(handler, "half of")),  # closes in the middle
        says("half of", reason=None),  # ends without a reason
        lambda handler: (begin(handler), raw(handler, "data: {not json}\n\n")),
        lambda handler: (begin(handler), raw(handler, "data: [1, 2]\n\n")),
        lambda handler: (begin(handler), raw(handler, "<html>a proxy</html>")),
        lambda handler: (begin(handler), raw(handler, 'data: {"error": {"message": "inner detail"}}\n\n')),
        lambda handler: (begin(handler), raw(handler, 'data: {"choices": [{}]}\n\n')),
        lambda handler: (begin(handler), raw(handler, 'data: {"choices": [{"delta": {"content": 5}}]}\n\n')),
        lambda handler: (begin(handler, 200, "application/json"), raw(handler, "{}")),
        lambda handler: begin(handler, 302, Location="http://169.254.169.254/latest/meta-data"),
    ],
)
def test_an_answer_that_is_none_is_one_sentence(picture, broken):
    with loopback(broken, says("ok")) as server:
        engine = connect(server)
        texts, sentence = failing(engine, picture)
        assert "detail" not in sentence and set(texts) <= {"half of"}
        assert ask(engine, picture)[-1].text == "ok"


def test_a_redirect_is_not_followed(picture):
    with loopback(says("stolen")) as other:
        with loopback(
            lambda handler: begin(handler, 307, Location=other.address + "/chat/completions")
        ) as server:
            failing(connect(server), picture)
        assert other.requests == []


def test_no_proxy_stands_before_this_machine(picture, monkeypatch):
    with loopback(says("direct")) as server, loopback(says("proxied")) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.address)
        assert ask(connect(server), picture)[-1].text == "direct" and proxy.requests == []


def test_a_batch_with_a_failure_fails(picture):
    with loopback(says("ok"), refuses(500)) as server:
        with pytest.raises(EngineFailure):
            connect(server).batch([(picture, WHERE)] * 3)


# --- cancelling -------------------------------------------------------------------------------------------


def test_cancelling_hangs_up_and_keeps_what_was_written(picture):
    release = threading.Event()

    def slow(handler):
        begin(handler)
        event(handler, "half of")
        # A server notices that it was left when its client's connection closes.
        handler.connection.settimeout(5)
        if handler.connection.recv(1) == b"":
            server.hung_up.set()
        release.wait(5)

    cancelled = threading.Event()
    with loopback(slow) as server:
        replies = connect(server, timeout=30).stream(picture, WHERE, cancelled=cancelled)
        assert next(replies).text == "half of"
        cancelled.set()
        started = time.monotonic()
        rest = list(replies)
        assert server.hung_up.wait(5)
        assert time.monotonic() - started < 5
        release.set()
    assert all(reply.text == "half of" and not reply.finished for reply in rest)


def test_cancelling_before_the_first_word_does_not_wait_for_it(picture):
    release, cancelled = threading.Event(), threading.Event()
    with loopback(lambda handler: release.wait(10)) as server:
        timer = threading.Timer(0.1, cancelled.set)
        timer.start()
        started = time.monotonic()
        assert ask(connect(server, timeout=30), picture, cancelled=cancelled) == []
        assert time.monotonic() - started < 5
        release.set()


def test_a_reader_that_leaves_hangs_up(picture):
    endless = threading.Event()

    def rambles(handler):
        begin(handler)
        while not endless.is_set():
            event(handler, "on ")
            time.sleep(0.001)

    with loopback(rambles) as server:
        replies = connect(server).stream(picture, WHERE)
        next(replies)
        replies.close()
        assert server.hung_up.wait(5)
        endless.set()


# --- pictures and keys ------------------------------------------------------------------------------------


def test_a_large_picture_is_sent_no_larger_than_the_model_takes():
    url = data_url(Image.new("RGB", (4000, 1000)), 100_000)
    sent = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    assert sent.size == (616, 140)  # whole visual tokens: the model's own processor does not resize it again


def test_the_key_goes_into_the_request_and_nowhere_else(picture, monkeypatch, caplog):
    """THREATS row 22, with every logger at its most talkative and a server that repeats what it was sent."""
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "httpx", "httpx2", "httpcore", "httpcore2"):
        caplog.set_level(logging.DEBUG, logger=name)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    sentences = []
    answers = [
        refuses(status, f"Incorrect API key provided: {CANARY}") for status in (400, 401, 403, 404, 429, 500)
    ]
    answers.append(lambda handler: (begin(handler), raw(handler, f"data: {CANARY}\n\n")))
    answers.append(
        lambda handler: (begin(handler), raw(handler, f'data: {{"error": {{"message": "{CANARY}"}}}}\n\n'))
    )
    for answer in answers:
        with loopback(answer) as server:
            engine = connect(server)
            sentences.append(failing(engine, picture)[1])
            assert server.requests[0][0]["authorization"] == f"Bearer {CANARY}"
            sentences.append(repr(engine.spec) + repr(vars(engine).keys()))
    engine = ServerEngine(resolve("http://127.0.0.1:9/v1#m"), timeout=1, retries=0)
    sentences.append(failing(engine, picture)[1])
    assert CANARY not in "".join(sentences)
    assert "Traceback" in caplog.text and CANARY not in caplog.text


def test_without_a_key_none_is_sent(picture):
    with loopback(says("ok")) as server:
        ask(connect(server), picture)
        assert server.requests[0][0]["authorization"] == "Bearer none"


def test_open_engine_asks_the_server_nothing(picture):
    with loopback(says("ok")) as server:
        engine = open_engine(f"{server.address}#m")
        assert isinstance(engine, ServerEngine) and server.requests == []
        assert ask(engine, picture)[-1].text == "ok"
        engine.close()
