"""The Batch API against a real HTTP server: handed in, polled, collected, resumed by the id that lies on disk."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from annotate import batches
from annotate.__main__ import main
from tests.generating import KEY, LOOKS, completion, row, rows_of
from tests.store_parts import drawn


class BatchServer:
    """Files and batches as OpenAI has them. A batch is done after `polls` looks; `answer(body)` writes one result.

    `stall` names a request that is held until `open` is set: "files", "batches", "retrieve".
    """

    def __init__(self, answer, polls=2, status="completed", stall=""):
        self.answer, self.polls, self.status, self.stall = answer, polls, status, stall
        self.files, self.batches, self.looks, self.calls = {}, {}, 0, []
        self.reached, self.open = threading.Event(), threading.Event()
        self.broken = {}  # call -> statuses to answer with before it works
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                data = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path.endswith("/files"):
                    outer.call(self, "files", lambda: outer.upload(data))
                elif self.path.endswith("/batches"):
                    outer.call(self, "batches", lambda: outer.create(json.loads(data)))
                else:
                    outer.call(self, "chat", lambda: {})

            def do_GET(self):
                name = self.path.rpartition("/")[2]
                if self.path.endswith("/content"):
                    outer.call(self, "content", lambda: outer.files[self.path.split("/")[-2]])
                elif name.startswith("batches"):
                    outer.call(self, "list", lambda: {"object": "list", "data": [*outer.batches.values()]})
                else:
                    outer.call(self, "retrieve", lambda: outer.retrieve(name))

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def call(self, handler, name, work):
        self.calls.append(name)
        status = self.broken[name].pop(0) if self.broken.get(name) else 200
        made = work() if status == 200 else {"error": {"message": KEY}}
        if name == self.stall:
            self.reached.set()
            self.open.wait(60)
        data = made if isinstance(made, bytes) else json.dumps(made).encode()
        try:
            handler.send_response(status)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)
        except OSError:
            pass

    def upload(self, data):
        lines = re.findall(rb'^\{"custom_id".*$', data, re.M)
        name = f"file-{len(self.files)}"
        self.files[name] = b"\n".join(line.rstrip(b"\r") for line in lines)
        return {"id": name, "object": "file"}

    def create(self, body):
        name = f"batch-{len(self.batches)}"
        self.batches[name] = {**body, "id": name, "object": "batch", "status": "in_progress", "polls": 0}
        return self.batches[name]

    def retrieve(self, name):
        batch = self.batches[name]
        batch["polls"] += 1
        if batch["polls"] >= self.polls and batch["status"] == "in_progress":
            batch["status"] = self.status
            asked = [json.loads(line) for line in self.files[batch["input_file_id"]].split(b"\n")]
            results = [self.answer(line) for line in reversed(asked)]  # in no order
            self.files[f"{name}-out"] = "\n".join(text for text in results if text).encode()
            batch["output_file_id"] = f"{name}-out" if any(results) else None
        return batch


@contextmanager
def serving(*args, **more):
    server = BatchServer(*args, **more)
    thread = threading.Thread(target=server.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.open.set()
        server.server.shutdown()
        server.server.server_close()
        thread.join()


def result(line, body, status=200):
    response = {"status_code": status, "body": body}
    return json.dumps({"custom_id": line["custom_id"], "response": response, "error": None})


def good(line):
    told = json.loads(line["body"]["messages"][1]["content"][1]["text"])["answer"]
    text = f"<reasoning> {LOOKS}, so I am sure of it. </reasoning> <answer> {told} </answer>"
    return result(line, completion(text))


@pytest.fixture
def data(tmp_path):
    def write(n):
        (tmp_path / "set").mkdir(exist_ok=True)
        for i in range(n):
            (tmp_path / "set" / f"{i}.png").write_bytes(drawn(i))
        file = tmp_path / "set" / "list.json"
        file.write_text(json.dumps([row(f"{i}.png") for i in range(n)]))
        return file

    return write


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def command(file, server, out, *args):
    words = ["generate", "--batch-api", "--data", file, "--out", out / "think.json", "--model", "m"]
    words += [
        "--images",
        file.parent,
        "--base-url",
        server.address,
        "--poll",
        "0.02",
        "--wait",
        "0.01",
        *args,
    ]
    return [str(word) for word in words]


@pytest.fixture
def run(capsys, out, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def go(file, server, *args):
        code = main(command(file, server, out, *args))
        heard = capsys.readouterr()
        return code, heard.out, heard.err

    return go


def test_rows_are_handed_in_polled_and_collected(run, data, out):
    with serving(good) as server:
        code, said, err = run(data(4), server)
    assert code == 0, err
    assert "4 captions; 0 for people" in said
    assert server.calls == ["files", "batches", "retrieve", "retrieve", "content"]
    (batch,) = server.batches.values()
    assert (batch["endpoint"], batch["completion_window"]) == ("/v1/chat/completions", "24h")
    first = json.loads(server.files["file-0"].split(b"\n")[0])
    assert (first["method"], first["url"], first["body"]["model"]) == ("POST", "/v1/chat/completions", "m")
    assert [row["image"] for row in rows_of(out / "think.json")] == [f"{i}.png" for i in range(4)]
    assert not list(out.glob("*.batch-*"))  # collected: the requests are not needed any more


def test_what_fails_the_checks_goes_into_the_next_batch_with_the_finding(run, data, out):
    def leaks_once(line):
        if line["custom_id"].endswith("-0"):
            return result(
                line, completion(f"<reasoning> The given answer is yes. {LOOKS}. </reasoning> <answer> yes")
            )
        assert "cannot be used" in json.dumps(line["body"])
        return good(line)

    with serving(leaks_once, polls=1) as server:
        assert run(data(3), server)[0] == 0
        assert len(server.batches) == 2
    assert len(rows_of(out / "think.json")) == 3


def test_lines_that_are_no_answer_are_asked_again_and_refusals_go_to_people(run, data, out):
    seen = set()

    def odd(line):
        first = line["custom_id"] not in seen
        seen.add(line["custom_id"])
        number = len(seen) - 1
        if first and number < 4:
            return ["{", result(line, KEY, 500), result(line, {}), ""][number]
        return result(line, {}, 400) if number == 4 and first else good(line)

    with serving(odd, polls=1) as server:
        code, said, _ = run(data(7), server)
    assert code == 0 and "6 captions; 1 for people" in said and len(server.batches) == 2
    assert KEY.encode() not in b"".join(path.read_bytes() for path in out.iterdir())


def test_a_large_job_is_cut_into_several_batches(run, data, out, monkeypatch):
    monkeypatch.setattr(batches, "MOST_REQUESTS", 3)
    with serving(good) as server:
        assert run(data(7), server)[0] == 0
        assert [len(server.files[f"file-{i}"].split(b"\n")) for i in range(3)] == [3, 3, 1]
    monkeypatch.setattr(batches, "MOST_REQUESTS", 50_000)
    monkeypatch.setattr(batches, "MOST_BYTES", 1)
    for path in out.iterdir():
        path.unlink()
    with serving(good) as server:
        assert run(data(3), server)[0] == 0
        assert len(server.batches) == 3


@pytest.mark.parametrize("status", ["failed", "expired", "cancelled"])
def test_a_batch_that_brings_nothing_ends_the_run(run, data, out, status):
    with serving(lambda line: "", status=status) as server:
        code, _, err = run(data(2), server)
        assert code == 1 and f"ended as {status} and brought no answer" in err
        server.answer, server.status = good, "completed"
        assert run(data(2), server)[0] == 0
        assert len(server.batches) == 2


def test_what_an_expired_batch_brought_is_kept(run, data, out):
    def half(line):
        return good(line) if len(server.batches) == 2 or line["custom_id"] < "8" else ""

    with serving(half, status="expired") as server:
        assert run(data(9), server)[0] == 0
    lines = (out / "think.jsonl").read_text().splitlines()
    assert sum('"text"' in line for line in lines) == 9  # none was asked twice


def test_hiccups_of_the_server_are_waited_out(run, data):
    with serving(good) as server:
        server.broken = {name: [500, 429] for name in ("files", "batches", "retrieve", "content")}
        assert run(data(2), server)[0] == 0
        assert len(server.batches) == 1


def test_a_server_without_batches_is_said_to_have_none(run, data):
    with serving(good) as server:
        server.broken = {"files": [404]}
        code, _, err = run(data(2), server)
    assert code == 2 and "has no Batch API" in err


def test_the_budget_decides_how_many_are_handed_in(run, data, out):
    prices = ("--price-in", "10", "--price-out", "1000", "--max-tokens", "200")
    with serving(good, polls=1) as server:
        code, _, err = run(data(9), server, *prices, "--budget", "1")
        assert code == 1 and "does not allow another call" in err
        asked = len(rows_of(out / "think.json"))
        assert 0 < asked < 9 and rows_of(out / "think.manifest.json")["cost"] <= 1


def test_batches_that_are_out_are_not_asked_one_by_one(run, data, out):
    with serving(good) as server:
        server.broken = {"retrieve": [401]}
        assert run(data(2), server)[0] == 2
        words = [word for word in command(data(2), server, out) if word != "--batch-api"]
        assert main(words) == 2
        assert "chat" not in server.calls
        assert run(data(2), server)[0] == 0
        assert len(server.batches) == 1


# --- killed: one test for each place where it may happen ------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("stall", ["files", "batches", "retrieve", "content"])
def test_killed_anywhere_the_batch_is_found_again_and_nothing_is_handed_in_twice(run, data, out, stall):
    file = data(3)
    with serving(good, stall=stall) as server:
        words = [sys.executable, "-m", "annotate", *command(file, server, out)]
        process = subprocess.Popen(words, env={**os.environ, "OPENAI_API_KEY": KEY}, stderr=subprocess.PIPE)
        try:
            assert server.reached.wait(60)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        server.stall = ""
        server.open.set()
        code, _, err = run(file, server)
        assert code == 0, err
        assert len(server.batches) == 1
    assert len(rows_of(out / "think.json")) == 3
    assert not list(out.glob("*.batch-*"))


@pytest.mark.slow
def test_an_interrupted_wait_says_how_to_go_on(run, data, out):
    file = data(3)
    with serving(good, polls=10**9) as server:
        words = [sys.executable, "-m", "annotate", *command(file, server, out)]
        process = subprocess.Popen(
            words, env={**os.environ, "OPENAI_API_KEY": KEY}, stderr=subprocess.PIPE, text=True
        )
        try:
            while "retrieve" not in server.calls and process.poll() is None:
                threading.Event().wait(0.01)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
        assert process.returncode == 130 and "goes on where this one stopped" in err
        server.polls = 1
        assert run(file, server)[0] == 0
        assert len(server.batches) == 1
