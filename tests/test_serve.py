"""The OpenAI-compatible server, asked over real connections: by httpx, by openai's own client and by our engine."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import httpx
import openai
import pytest
from PIL import Image

from tests.fake import FakeEngine
from tests.serving import serving, until
from tinyrs.__main__ import main
from tinyrs.chat import question_of
from tinyrs.config import ROOT, Config
from tinyrs.engine import EngineFailure, Options, conversation, open_engine
from tinyrs.example import Question, Task
from tinyrs.models import ModelSpec, resolve
from tinyrs.prompt import SYSTEM, SYSTEM_THINKING, guess_task
from tinyrs.serve import name_of

ASKED = "Is there a road in the image?"


def url_of(picture: Image.Image, kind: str = "PNG") -> str:
    file = io.BytesIO()
    picture.save(file, kind)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(file.getvalue()).decode()


def body(picture, text: str = ASKED, url: str | None = None, system: str | None = None, **more) -> dict:
    """A request as clients write it."""
    parts = [
        {"type": "image_url", "image_url": {"url": url or url_of(picture)}},
        {"type": "text", "text": text},
    ]
    messages = [{"role": "user", "content": parts}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    return {"model": "fake", "messages": messages, **more}


def post(address: str, content, **headers: str) -> httpx.Response:
    data = content if isinstance(content, (bytes, str)) else json.dumps(content)
    headers = {"Content-Type": "application/json", **headers}
    return httpx.post(f"{address}/chat/completions", content=data, headers=headers, timeout=30)


def error_of(answer: httpx.Response) -> dict:
    """The error of a refusal, in OpenAI's form: one sentence, and nothing from inside."""
    found = answer.json()
    assert set(found) == {"error"} and set(found["error"]) == {"message", "type", "param", "code"}
    sentence = found["error"]["message"]
    assert sentence.endswith(".") and "\n" not in sentence
    assert not any(word in answer.text for word in ("Traceback", "pydantic", "tinyrs/", str(ROOT)))
    return found["error"]


# --- answers ----------------------------------------------------------------------------------------------


def test_an_answer_comes_whole(picture):
    engine = FakeEngine("yes it is")
    with serving(engine) as address:
        found = post(address, body(picture, max_tokens=7, seed=3, temperature=0.5, stop="zzz")).json()
    assert found["object"] == "chat.completion" and found["model"] == "fake"
    assert found["choices"][0]["message"] == {"role": "assistant", "content": "yes it is"}
    assert found["choices"][0]["finish_reason"] == "stop" and found["usage"]["completion_tokens"] == 3
    seen, question, options = engine.asked[0]
    assert seen.tobytes() == picture.tobytes() and options == Options(7, 0.5, 3, ("zzz",))
    assert (question.text, question.task) == (ASKED, Task.VQA)


def test_openais_own_client_reads_answers_and_streams(picture):
    with serving(FakeEngine("yes it is", "one two three")) as address:
        with openai.OpenAI(base_url=address, api_key="none") as client:
            assert [model.id for model in client.models.list()] == ["fake"]
            asked = body(picture)
            whole = client.chat.completions.create(**asked)
            assert whole.choices[0].message.content == "yes it is"
            chunks = list(
                client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
            )
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(filter(None, pieces)) == "one two three" and chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop" and chunks[-1].usage.completion_tokens == 3


def test_an_answer_at_its_budget_says_so(picture):
    with serving(FakeEngine("a b c d")) as address:
        found = post(address, body(picture, max_completion_tokens=2)).json()
    assert found["choices"][0]["finish_reason"] == "length"


def test_the_beginning_of_a_stop_is_never_sent(picture):
    engine = FakeEngine(["one ST", "AMP ", "two S", "T"])
    with serving(engine) as address:
        asked = body(picture, stream=True, stop=["STOP"])
        sent = [json.loads(line[6:]) for line in post(address, asked).text.split("\n\n") if "{" in line]
    pieces = [chunk["choices"][0]["delta"].get("content") for chunk in sent]
    assert [piece for piece in pieces if piece] == ["one ", "STAMP ", "two ", "ST"]


@pytest.mark.parametrize("name", ["pocket", "pocket-r1"])
def test_our_engine_answers_through_it_as_in_this_process(name, picture):
    """Streamed and in a batch, small pictures and large ones, greedy and not; also what nobody guesses the task of."""
    local = open_engine(name)
    with Image.open(ROOT / "assets/examples/bridge.png") as file:
        large = file.convert("RGB")
    options = Options(max_new_tokens=8)
    pairs = [
        (picture, Question("Identify the location of the leftmost roof.", Task.GROUNDING)),
        (large, Question(ASKED, Task.VQA)),
        (large, Question("Which is it? <|im_start|>", Task.OPEN, ("A", "B"))),
    ]
    here = local.batch(pairs, options)
    with serving(local, name) as address:
        remote = open_engine(f"{address}#{name}")
        there = remote.batch(pairs, options)
        assert [told(reply) for reply in there] == [told(reply) for reply in here]
        for options in (Options(8), Options(8, temperature=0.8, seed=5)):
            replies = list(remote.stream(*pairs[1], options))
            assert told(replies[-1]) == told(list(local.stream(*pairs[1], options))[-1])
            assert len(replies) > 1 and all(replies[-1].text.startswith(reply.text) for reply in replies)


def told(reply) -> tuple:
    return reply.text, reply.tokens, reply.finished, reply.truncated


@pytest.mark.parametrize("dialect, thinking", [("tinyrs", False), ("tinyrs", True), ("qwen2-vl", False)])
@pytest.mark.parametrize(
    "text",
    [
        "Identify the location of a gray dam.",
        "the leftmost ship",
        "Where is the ship?",
        "How many ships are there?",
        "Classify the image within one of the given classes: port, river.",
        "Which?\nChoices: A. one B. two Answer from the given choices with A., B., C., D., etc.",
        "{IDK} Is there a <|im_start|>system in it?",
    ],
)
def test_what_was_composed_is_put_to_the_model_unchanged(text, dialect, thinking):
    spec = ModelSpec("m", "m", dialect=dialect, thinking=thinking)
    for task in Task:
        composed = conversation(spec, Question(text, task))
        sent = composed[-1]["content"][-1]["text"]
        assert conversation(spec, question_of(sent, spec, composed=True)) == composed


def test_a_plain_text_is_put_as_ask_puts_it():
    spec = resolve("pocket")
    for text in ("Is there a road?", "Find the ship", "How many ships are there?"):
        assert question_of(text, spec, composed=False) == Question(text, *guess_task(text))


@pytest.mark.parametrize("thinking, system", [(False, SYSTEM), (True, SYSTEM_THINKING)])
def test_the_models_own_system_prompt_is_taken_and_no_other(picture, thinking, system):
    with serving(FakeEngine("yes", thinking=thinking)) as address:
        assert post(address, body(picture, system=system)).status_code == 200
        refused = post(address, body(picture, system="You are a pirate."))
    assert refused.status_code == 400 and "leave the system message out" in error_of(refused)["message"]


# --- what is refused --------------------------------------------------------------------------------------


WRONG = {
    "not JSON": "{",
    "a list": [],
    "nested too deeply": "[" * 100_000,
    "no number": lambda asked: json.dumps({**asked, "temperature": float("nan")}),
    "no messages": {"model": "fake"},
    "a limit below one": lambda asked: {**asked, "max_tokens": 0},
    "a limit beyond reason": lambda asked: {**asked, "max_tokens": 10**9},
    "a number as text": lambda asked: {**asked, "seed": "1"},
    "a huge seed": lambda asked: {**asked, "seed": 2**70},
    "a misspelt limit": lambda asked: {**asked, "max_token": 5},
    "two answers": lambda asked: {**asked, "n": 2},
    "another sampling": lambda asked: {**asked, "top_p": 0.5},
    "tools": lambda asked: {**asked, "tools": [{"type": "function"}]},
    "five stops": lambda asked: {**asked, "stop": list("abcde")},
    "an empty stop": lambda asked: {**asked, "stop": ""},
    "a conversation": lambda asked: {**asked, "messages": asked["messages"] * 2},
    "no picture": lambda asked: {**asked, "messages": [{"role": "user", "content": "What?"}]},
    "two pictures": lambda asked: with_parts(asked, asked["messages"][0]["content"][:1] * 2),
    "a sound": lambda asked: with_parts(asked, [{"type": "input_audio"}]),
    "no question": lambda asked: with_parts(asked, [{"type": "text", "text": " "}]),
    "a NUL": lambda asked: with_parts(asked, [{"type": "text", "text": "a\0b"}]),
    "a novel": lambda asked: with_parts(asked, [{"type": "text", "text": "a" * 20_001}]),
    "half a letter": lambda asked: json.dumps(asked).replace(ASKED, "\\ud800"),
}


def with_parts(asked: dict, parts: list[dict]) -> dict:
    shown = asked["messages"][0]["content"][:1]
    return {**asked, "messages": [{"role": "user", "content": shown + parts}]}


URLS = {
    "an address": "https://example.org/a.png",
    "an address of this network": "http://169.254.169.254/latest/meta-data",
    "a file": "file:///etc/passwd",
    "a path": "/etc/passwd",
    "no picture": "data:text/html;base64,PGI+",
    "not base64": "data:image/png;base64,???",
    "base64 in letters beyond ASCII": "data:image/png;base64,ü",
    "no data": "data:image/png;base64,",
    "not encoded": "data:image/png,abc",
    "another format": "data:image/png;base64," + base64.b64encode(b"<svg></svg>").decode(),
}


def test_what_cannot_be_answered_is_one_sentence(picture):
    engine = FakeEngine("yes")
    with serving(engine) as address:
        for what, wrong in WRONG.items():
            answer = post(address, wrong(body(picture)) if callable(wrong) else wrong)
            assert answer.status_code == 400, what
            assert error_of(answer)["type"] == "invalid_request_error", what
        for what, url in URLS.items():
            answer = post(address, body(picture, url=url))
            assert answer.status_code == 400, what
            assert error_of(answer)["param"] == "messages", what
        answer = post(address, {**body(picture), "model": "gpt-9"})
        assert answer.status_code == 404 and error_of(answer)["code"] == "model_not_found"
        assert not engine.asked
        assert post(address, body(picture, n=1, top_p=1.0, user="ada", logprobs=None)).status_code == 200


def test_a_bomb_is_refused_from_its_header():
    bomb = Image.new("1", (13_000, 13_000))
    with serving(FakeEngine("yes")) as address:
        answer = post(address, body(None, url=url_of(bomb)))
    assert answer.status_code == 400 and "pixels" in error_of(answer)["message"]


def test_what_is_too_large_is_refused_before_it_has_come(picture):
    with serving(FakeEngine("yes"), config=Config(max_bytes=10_000)) as address:
        answer = post(address, b" " * 10_001)
        assert answer.status_code == 413 and "smaller picture" in error_of(answer)["message"]

        def endless():
            yield b'{"model": "' + b"a" * 10_000
            yield b"a" * 10_000

        headers = {"Content-Type": "application/json"}
        answer = httpx.post(f"{address}/chat/completions", content=endless(), headers=headers)
        assert answer.status_code == 413 and error_of(answer)


def test_a_page_of_another_site_cannot_ask(picture):
    """A browser sends such a request without asking first only as text or as a form."""
    with serving(FakeEngine("yes")) as address:
        answer = post(address, body(picture), **{"Content-Type": "text/plain"})
        asked_first = httpx.options(f"{address}/chat/completions", headers={"Origin": "https://example.org"})
    assert answer.status_code == 415 and error_of(answer)
    assert "access-control-allow-origin" not in asked_first.headers


def test_other_addresses_and_methods_are_errors_of_the_same_form():
    with serving(FakeEngine()) as address:
        nowhere = httpx.get(f"{address}/completions")
        method = httpx.get(f"{address}/chat/completions")
    assert nowhere.status_code == 404 and "/v1/models" in error_of(nowhere)["message"]
    assert method.status_code == 405 and error_of(method) and method.headers["allow"] == "POST"


# --- keys -------------------------------------------------------------------------------------------------


def test_with_a_key_only_health_is_open(picture, monkeypatch, caplog):
    monkeypatch.setenv("TINYRS_API_KEY", "canary-ä-4711")
    caplog.set_level("DEBUG")
    with serving(FakeEngine("yes")) as address:
        for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic canary"}):
            answer = post(address, body(picture), **wrong)
            assert answer.status_code == 401 and error_of(answer)["code"] == "invalid_api_key"
            assert httpx.get(f"{address}/models", headers=wrong).status_code == 401
            assert "canary" not in answer.text
        assert httpx.get(f"{address[:-3]}/health").json()["status"] == "ok"
    monkeypatch.setenv("TINYRS_API_KEY", "canary-4711")
    with serving(FakeEngine("yes")) as address:
        answer = post(address, body(picture), Authorization="Bearer canary-4711")
        assert answer.json()["choices"][0]["message"]["content"] == "yes"
    assert "canary" not in caplog.text


# --- when something goes wrong ----------------------------------------------------------------------------


def test_a_failure_is_its_sentence_and_the_next_question_works(picture):
    engine = FakeEngine(
        [EngineFailure("The model broke.")],
        ["half ", EngineFailure("The model broke.")],
        [ValueError("secret detail")],
        ["half ", ValueError("secret detail")],
        "yes",
    )
    with serving(engine) as address:
        answer = post(address, body(picture))
        assert answer.status_code == 500 and error_of(answer)["message"] == "The model broke."
        streamed = post(address, body(picture, stream=True)).text
        assert "half " in streamed and "The model broke." in streamed and "[DONE]" not in streamed
        for stream in (False, True):
            answer = post(address, body(picture, stream=stream))
            assert "secret" not in answer.text and "server_error" in answer.text
        assert post(address, body(picture)).json()["choices"][0]["message"]["content"] == "yes"
        assert httpx.get(f"{address[:-3]}/health").json()["requests"] == 0


def test_our_engine_keeps_the_words_before_a_failure(picture):
    with serving(FakeEngine(["half ", EngineFailure("It broke.")])) as address:
        replies = open_engine(f"{address}#fake").stream(picture, Question(ASKED))
        with pytest.raises(EngineFailure):
            seen = [reply.text for reply in iter(lambda: next(replies), None)]
            assert seen == ["half "]


@pytest.mark.parametrize("stream", [False, True])
def test_a_caller_who_leaves_ends_the_answer(picture, stream):
    begun, ended = threading.Event(), threading.Event()
    engine = FakeEngine([begun.set, "half ", threading.Event(), "never"], "yes")
    real = engine.stream

    def watched(*arguments):
        try:
            yield from real(*arguments)
        finally:
            ended.set()

    engine.stream = watched
    with serving(engine) as address:
        host, port = address.split("/")[2].split(":")
        data = json.dumps(body(picture, stream=stream)).encode()
        with socket.create_connection((host, int(port))) as caller:
            caller.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                + f"Content-Length: {len(data)}\r\n\r\n".encode()
                + data
            )
            assert begun.wait(20)
        assert ended.wait(20)
        until(lambda: httpx.get(f"{address[:-3]}/health").json()["requests"] == 0)
        assert post(address, body(picture)).status_code == 200


def test_our_engine_that_is_cancelled_frees_the_model_behind_the_server(picture):
    ended = threading.Event()
    engine = FakeEngine(["half ", threading.Event(), "never"], "yes")
    real = engine.stream

    def watched(*arguments):
        try:
            yield from real(*arguments)
        finally:
            ended.set()

    engine.stream = watched
    cancelled = threading.Event()
    with serving(engine) as address:
        remote = open_engine(f"{address}#fake")
        replies = remote.stream(picture, Question(ASKED), cancelled=cancelled)
        assert next(replies).text == "half "
        cancelled.set()
        assert all(reply.text == "half " and not reply.finished for reply in replies)
        assert ended.wait(20)
        until(lambda: httpx.get(f"{address[:-3]}/health").json()["requests"] == 0)
        assert list(remote.stream(picture, Question(ASKED)))[-1].text == "yes"


SERVER = """
import socket, sys, threading
from tests.fake import FakeEngine
from tinyrs.serve import application, server
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
    print(listener.getsockname()[1], flush=True)
    server(application(FakeEngine(["half ", threading.Event()] if sys.argv[1] == "0" else "yes"), "m")).run([listener])
"""


def test_our_engine_comes_back_to_a_server_that_was_killed_and_started_again(picture):
    """The same engine, as the page keeps it: a sentence while the server is away, and answers once it is back."""

    def start(port: str) -> subprocess.Popen:
        command = [sys.executable, "-c", SERVER, port]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    texts = []
    with start("0") as first:
        port = first.stdout.readline().strip()
        remote = open_engine(f"http://127.0.0.1:{port}/v1#m")
        with pytest.raises(EngineFailure, match="broke"):
            for reply in remote.stream(picture, Question(ASKED)):
                texts.append(reply.text)
                first.kill()
    assert texts[-1] == "half "
    with pytest.raises(EngineFailure, match="cannot be reached"):
        list(remote.stream(picture, Question(ASKED)))
    with start(port) as second:
        try:
            assert second.stdout.readline().strip() == port
            assert list(remote.stream(picture, Question(ASKED)))[-1].text == "yes"
        finally:
            second.kill()


def test_a_full_queue_is_said_at_once_and_the_others_are_answered(picture):
    go = threading.Event()
    engine = FakeEngine(*[[go, "yes"]] * 3)
    answers = []
    with serving(engine, config=Config(queue_size=1)) as address:
        threads = [
            threading.Thread(target=lambda: answers.append(post(address, body(picture)))) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        until(lambda: len(engine.asked) == 2)
        refused = post(address, body(picture))
        assert refused.status_code == 429 and error_of(refused)["code"] == "queue_full"
        go.set()
        for thread in threads:
            thread.join(20)
        assert [answer.status_code for answer in answers] == [200, 200]
        assert post(address, body(picture)).status_code == 200


def test_who_waits_long_is_told_that_the_server_is_there(picture, monkeypatch):
    monkeypatch.setattr("tinyrs.serve.PAUSE", 0.05)
    go = threading.Event()
    with serving(FakeEngine([go, "yes"])) as address:
        lines = []
        with httpx.stream("POST", f"{address}/chat/completions", json=body(picture, stream=True)) as answer:
            for line in answer.iter_lines():
                lines.append(line)
                if line.startswith(":"):
                    go.set()
    assert lines[-2] == "data: [DONE]" and any('"yes"' in line for line in lines)


def test_a_request_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr("tinyrs.serve.BODY_SECONDS", 0.2)
    with serving(FakeEngine()) as address:
        host, port = address.split("/")[2].split(":")
        with socket.create_connection((host, int(port)), timeout=20) as slow:
            head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            slow.sendall(head + b"Content-Length: 100\r\n\r\n{")
            assert slow.recv(100).startswith(b"HTTP/1.1 408")


# --- the command ------------------------------------------------------------------------------------------


def test_names_are_no_paths():
    assert name_of("pocket-r1?max_new_tokens=5") == "pocket-r1" and name_of("/home/ada/runs/mine/") == "mine"
    assert name_of("aybora/Qwen2-VL-TinyRS") == "Qwen2-VL-TinyRS"


def test_the_command_serves_without_gradio_and_ends_with_ctrl_c(picture, tmp_path):
    log = tmp_path / "stderr"
    command = [sys.executable, "-m", "tinyrs", "serve", "--model", "pocket", "--port", "0"]
    world = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    with (
        log.open("w") as file,
        subprocess.Popen(
            command, cwd=ROOT, env=world, stdout=subprocess.PIPE, stderr=file, text=True
        ) as process,
    ):
        try:
            address, _, name = process.stdout.readline().strip().partition("#")
            assert name == "pocket", log.read_text()
            asked = {**body(picture), "model": "pocket", "max_tokens": 3}
            assert post(address, asked).json()["choices"][0]["message"]["role"] == "assistant"
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
        finally:
            process.kill()
    lines = log.read_text().splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert "torch" in imported and not any(name.split(".")[0] == "gradio" for name in imported)
    assert not any("Traceback" in line for line in lines)


def test_what_cannot_be_served_is_one_sentence(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, words in (
            (["--model", "pocket", "--port", port], "is it taken?"),
            (["--model", "pocket", "--host", "no.such.host.invalid"], "Nothing can listen"),
            (["--model", "http://127.0.0.1:1/v1#m"], "behind a server already"),
            (["--model", "geochat"], "behind a server already"),
            (["--model", "no-such-model"], "No model is called"),
            (["--name", " "], "name is empty"),
            (["--port", "70000"], "not a port"),
        ):
            try:
                code = main(["serve", *arguments])
            except SystemExit as stop:  # argparse
                code = stop.code
            out, err = capsys.readouterr()
            assert code == 2 and words in err and err.count("\n") == 1 and out == "", arguments
