"""A run of captions that is killed, interrupted, or not alone: what was paid for is kept, and nothing is asked twice."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from tests.generating import KEY, command, data, good, out, rows_of, run
from tests.loopback import loopback

__all__ = ["data", "out", "run"]  # fixtures


@contextmanager
def started(*args, **env):
    words = [sys.executable, "-m", "annotate", *args]
    process = subprocess.Popen(
        words,
        env={**os.environ, "OPENAI_API_KEY": KEY, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


class Gate:
    """A good server that holds every answer from the k-th on until it is opened."""

    def __init__(self, k):
        self.k, self.count, self.lock = k, 0, threading.Lock()
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self, handler):
        with self.lock:
            self.count += 1
            wait = self.count >= self.k
        if wait:
            self.reached.set()
            assert self.open.wait(60)
        good(handler)


@pytest.mark.slow
def test_killed_and_started_again_nothing_is_asked_twice_but_the_call_in_flight(run, data, out):
    file, gate = data(20), Gate(8)
    with loopback(gate) as server:
        words = command(file, server, out / "think.json", "--concurrency", "1")
        with started(*words) as process:
            assert gate.reached.wait(60)
            process.send_signal(signal.SIGKILL)
            process.wait()
        gate.open.set()
        assert not (out / "think.json").exists()
        with open(out / "think.jsonl", "a") as record:
            record.write('{"key": "cut off in the mid')  # as a kill may leave it
        code, said, err = run(file, server, "--concurrency", "1")
    assert code == 0, err
    assert "7 are done, 13 are to be asked" in said
    assert len(server.requests) == 21
    images = [row["image"] for row in rows_of(out / "think.json")]
    assert images == [f"{i}.png" for i in range(20)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_keeps_what_is_in_flight_and_says_how_to_go_on(run, data, out, name):
    file, gate = data(9), Gate(4)
    with loopback(gate) as server:
        words = command(file, server, out / "think.json", "--concurrency", "2")
        with started(*words) as process:
            assert gate.reached.wait(60)
            process.send_signal(getattr(signal, name))
            assert "Waiting for what is in flight" in waited(process.stderr)
            gate.open.set()
            _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "The same command goes on where this one stopped." in err and "Traceback" not in err
        asked = len(server.requests)
        assert asked == len((out / "think.jsonl").read_text().splitlines()) - 1 < 9
        assert rows_of(out / "think.manifest.json")["missing"] == 9 - asked
        assert run(file, server)[0] == 0
    assert len(server.requests) == 9


def waited(stream):
    for line in stream:
        if "Waiting" in line:
            return line
    return ""


@pytest.mark.slow
def test_a_second_interrupt_gives_up_what_is_in_flight(data, out):
    file, gate = data(5), Gate(2)
    with loopback(gate) as server:
        with started(*command(file, server, out / "think.json", "--concurrency", "1")) as process:
            assert gate.reached.wait(60)
            process.send_signal(signal.SIGINT)
            waited(process.stderr)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
        gate.open.set()
    assert process.returncode == 130 and "Traceback" not in err
    manifest = rows_of(out / "think.manifest.json")
    assert (manifest["missing"], manifest["calls"], manifest["lost_calls"]) == (4, 1, 1)


@pytest.mark.slow
def test_of_two_at_once_the_second_is_refused(run, data, out):
    file, gate = data(4), Gate(1)
    with loopback(gate) as server:
        with started(*command(file, server, out / "think.json")) as process:
            assert gate.reached.wait(60)
            before = len(server.requests)
            code, _, err = run(file, server)
            assert code == 2 and "Another process is writing" in err
            assert len(server.requests) == before or before < 4
            gate.open.set()
            _, err = process.communicate(timeout=60)
            assert process.returncode == 0, err
    assert len(server.requests) == 4
