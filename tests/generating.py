"""A model behind a real HTTP server that writes captions, well or badly, and the command that asks it."""

import json

import pytest

from annotate.__main__ import main
from tests.loopback import begin, raw
from tests.store_parts import drawn

LOOKS = "Let me look closely. A bright shape with straight edges lies in the upper left of the picture"
KEY = "sk-canary-4f1b2a"


def asked(body: dict) -> dict:
    """The question and answer that a request holds."""
    return json.loads(body["messages"][1]["content"][1]["text"])


def completion(text, reason="stop", usage=(1000, 100), **message):
    body = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, **message},
                "finish_reason": reason,
            }
        ],
    }
    if usage:
        names = ("prompt_tokens", "completion_tokens")
        body["usage"] = {**dict(zip(names, usage)), "total_tokens": sum(usage)}
    return body


def sends(body) -> callable:
    def answer(handler):
        begin(handler, 200, "application/json")
        raw(handler, body if isinstance(body, str) else json.dumps(body))

    return answer


def good(handler):
    """What a well-behaved model writes."""
    answer = asked(handler.body)["answer"]
    sends(completion(f"<reasoning> {LOOKS}, so I am sure of it. </reasoning> <answer> {answer} </answer>"))(
        handler
    )


def writes(reasoning, answer=None, **more):
    def reply(handler):
        told = asked(handler.body)["answer"] if answer is None else answer
        text = f"<reasoning> {reasoning} </reasoning> <answer> {told} </answer>"
        sends(completion(text, **more))(handler)

    return reply


def row(image, question="{VQA} Is there a roof in the image?", told="yes", **more):
    turns = [
        {"from": "human", "value": f"<image>\n{question}"},
        {"from": "gpt", "value": told},
    ]
    return {"image": image, "conversations": turns, **more}


@pytest.fixture
def data(tmp_path):
    """A function that writes a data set of n rows; its file."""

    def write(n=3, rows=None):
        folder = tmp_path / "set"
        folder.mkdir(exist_ok=True)
        for i in range(n):
            (folder / f"{i}.png").write_bytes(drawn(i))
        file = folder / "list.json"
        file.write_text(json.dumps([row(f"{i}.png") for i in range(n)] if rows is None else rows))
        return file

    return write


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command; returns (exit code, stdout, stderr). The files are out/think.*"""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def go(file, server, *args, out=tmp_path / "out" / "think.json"):
        words = command(file, server, out, *args)
        try:
            code = main(words)
        except SystemExit as end:
            code = end.code
        heard = capsys.readouterr()
        return code, heard.out, heard.err

    return go


def command(file, server, out, *args):
    words = ["generate", "--data", file, "--out", out, "--model", "m", "--base-url", server.address]
    return [str(word) for word in [*words, "--images", file.parent, "--wait", "0.01", *args]]


def rows_of(path):
    return json.loads(path.read_text())


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"
