"""Whoever asks, however often it is stopped: every row once, and the same files at the end."""

import json
import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from tests.benchmarks import CLASSES, read_lines, turns, write_benchmark
from tests.fake import FakeEngine
from tests.loopback import loopback, says
from tinyrs.benchmarks import read_evaluation
from tinyrs.config import ROOT
from tinyrs.models import ModelSpec, replace
from tinyrs.strictjson import BadData
from training.asking import Part, Together, _own_file, ask, claim, identity, kept, key, spread, title
from training.evaluate import main

ROWS = 7


@pytest.fixture
def data(tmp_path):
    rows = [turns(f"<image>\n{{VQA}} Is {i} odd?", ("no", "yes")[i % 2]) for i in range(ROWS)]
    return write_benchmark(tmp_path, rows, "vqa_X")


class Oracle(FakeEngine):
    """It answers what the question says, so that the order in which rows are asked does not matter."""

    def batch(self, pairs, options=None):
        self.queue.extend(oracle(question.text) for _, question in pairs)
        return super().batch(pairs)

    @property
    def texts(self):
        return [question.text for _, question, _ in self.asked]


def oracle(text):
    return "yes" if int(re.search(r"Is (\d+) odd", text)[1]) % 2 else "Well, no"


def quietly(*args, **kwargs):
    return ask(*args, progress=False, **kwargs)


def files(out):
    return {path.name: path.read_bytes() for path in out.glob("answers*")}


@pytest.fixture
def whole(data, tmp_path):
    """What one process that nobody stops leaves behind."""
    out = tmp_path / "whole"
    out.mkdir()
    quietly(Oracle(), read_evaluation(data, "vqa"), out, batch=2)
    assert list(files(out)) == ["answers.jsonl"]
    return files(out)


# ---- several processes


@pytest.mark.parametrize("world", [2, 3, 9])
def test_processes_share_the_rows_and_the_last_one_puts_them_together(data, tmp_path, whole, world):
    examples, out = read_evaluation(data, "vqa"), tmp_path / "out"
    out.mkdir()
    engines = [Oracle() for _ in range(world)]
    told = [
        quietly(engine, examples, out, batch=2, part=Part(rank, world)) for rank, engine in enumerate(engines)
    ]
    # With more processes than rows, the last ones find everything done.
    first = min(world, ROWS) - 1
    assert told[:first] == [None] * first and all(lines == told[-1] for lines in told[first:])
    assert [line["row"] for line in told[-1]] == list(range(ROWS))
    asked = [text for engine in engines for text in engine.texts]
    assert len(asked) == len(set(asked)) == ROWS
    assert files(out) == whole


def test_a_run_that_was_begun_by_three_may_be_ended_by_one(data, tmp_path, whole):
    examples, out = read_evaluation(data, "vqa"), tmp_path / "out"
    out.mkdir()
    assert quietly(Oracle(), examples, out, part=Part(1, 3)) is None
    with open(out / "answers-1-of-3.jsonl", "a") as file:
        file.write('{"row": 2, "pr')  # killed while it wrote
    rest = Oracle()
    quietly(rest, examples, out)
    assert len(rest.asked) == ROWS - 2 and files(out) == whole


@pytest.mark.parametrize("world, rank", [("2", "2"), ("2", "-1"), ("0", "0"), ("two", "0")])
def test_a_rank_that_makes_no_sense_is_refused(monkeypatch, world, rank):
    monkeypatch.setenv("WORLD_SIZE", world)
    monkeypatch.setenv("RANK", rank)
    with pytest.raises(BadData, match="whole numbers"):
        Part.own()


def test_two_runs_of_one_folder_at_once_are_one_too_many(data, tmp_path):
    examples, part = read_evaluation(data, "vqa"), Part(0, 2)
    made = Oracle()
    with _own_file(tmp_path, part):
        for second in (part, Part()):
            with pytest.raises(BadData, match="Another process is writing"):
                quietly(made, examples, tmp_path, part=second)
        quietly(made, examples, tmp_path, part=Part(1, 2))
    with _own_file(tmp_path, Part()), pytest.raises(BadData, match="Another process is writing"):
        quietly(made, examples, tmp_path, part=Part(1, 2))
    assert len(made.asked) == 3


# ---- several servers, and real processes


def odd(handler):
    says(oracle(handler.body["messages"][-1]["content"][-1]["text"]), usage=2)(handler)


def command(data, out, *addresses, batch=1):
    models = [word for address in addresses for word in ("--model", f"{address}#the/model")]
    rest = ["--data", str(data), "--kind", "vqa", "--out", str(out), "--batch", str(batch)]
    return [*models, *rest]


def result(out):
    return files(out) | {"scores.json": (out / "scores.json").read_bytes()}


@pytest.mark.slow
def test_servers_processes_and_kills_leave_the_same_files(data, tmp_path):
    def run(out, address, rank=0, world=1):
        env = {**os.environ, "RANK": str(rank), "WORLD_SIZE": str(world)}
        words = [sys.executable, "-m", "training.evaluate", *command(data, out, address)]
        return subprocess.Popen(words, cwd=ROOT, env=env, stderr=subprocess.DEVNULL)

    one, two, parted, killed = (tmp_path / name for name in ("one", "two", "parted", "killed"))
    with loopback(odd) as server, loopback(odd) as other:
        assert main(command(data, one, server.address, batch=4)) == 0
        assert json.loads((one / "scores.json").read_text())["model"] == "the/model"
        assert main(command(data, two, server.address, other.address, batch=2)) == 0
        assert len(other.requests) == 3 and len(server.requests) == ROWS + 4
        assert result(two) == result(one)

    with loopback(odd) as server:
        both = [run(parted, server.address, rank, 2) for rank in range(2)]
        assert [process.wait(60) for process in both] == [0, 0]
        assert result(parted) == result(one) and len(server.requests) == ROWS

    reached, never = threading.Event(), threading.Event()

    def hangs(handler):
        reached.set()
        never.wait(60)

    with loopback(odd, odd, odd, hangs, odd) as server:
        process = run(killed, server.address)
        assert reached.wait(60)
        process.send_signal(signal.SIGKILL)
        process.wait()
        never.set()
        assert len(kept(killed)) == 3 and not (killed / "scores.json").exists()
        assert main(command(data, killed, server.address)) == 0
        assert result(killed) == result(one)
        assert len(server.requests) == ROWS + 1  # only the one that hung was asked again


def test_only_servers_of_one_model_work_together(data, tmp_path, capsys):
    for others in (
        ["http://127.0.0.1:9/v1#other"],
        ["http://127.0.0.1:9/v1#the/model?dialect=geochat"],
        ["pocket"],
    ):
        words = command(data, tmp_path / "out", "http://127.0.0.1:8/v1")
        assert main([*words, *(word for name in others for word in ("--model", name))]) == 2
        assert "model" in capsys.readouterr().err


def test_each_server_gets_its_share_and_the_order_stays():
    specs = [ModelSpec("s", f"http://{i}/v1#m", kind="server") for i in range(3)]
    engines = [Oracle(spec=spec) for spec in specs]
    examples = [(None, replace_text(i)) for i in range(5)]
    told = Together(engines).batch(examples, None)
    assert [reply.text for reply in told] == [oracle(f"Is {i} odd") for i in range(5)]
    assert [len(engine.asked) for engine in engines] == [2, 2, 1]


def replace_text(number):
    from tinyrs.example import Question

    return Question(f"Is {number} odd?")


# ---- the folder


def test_a_smaller_limit_keeps_what_was_answered_and_leaves_it_out(data, tmp_path, whole):
    examples, made = read_evaluation(data, "vqa"), Oracle()
    quietly(made, examples, tmp_path)
    few = quietly(made, examples, tmp_path, rows=spread(ROWS, 2))
    assert [line["row"] for line in few] == [line["row"] for line in read_lines(tmp_path / "answers.jsonl")]
    assert len(few) == 2 and len(read_lines(tmp_path / "answers-spare.jsonl")) == ROWS - 2
    assert len(quietly(None, examples, tmp_path)) == ROWS  # no engine is needed
    assert len(made.asked) == ROWS
    assert (tmp_path / "answers.jsonl").read_bytes() == whole["answers.jsonl"]


def test_pictures_of_one_name_in_two_folders_stay_apart(tmp_path):
    rows = [turns(CLASSES, "port", image=f"{name}/1.png") for name in ("a", "b")]
    for name in ("a", "b"):
        (tmp_path / "cls_X" / name).mkdir(parents=True)
    examples = read_evaluation(write_benchmark(tmp_path, rows), "cls")
    out = tmp_path / "out"
    out.mkdir()
    told = quietly(FakeEngine("port", "port"), examples, out)
    assert [line["filename"] for line in told] == ["a/1.png", "b/1.png"]


def test_what_each_batch_took_is_noted(data, tmp_path):
    quietly(Oracle(), read_evaluation(data, "vqa"), tmp_path, batch=4)
    costs = read_lines(tmp_path / "costs.jsonl")
    assert [cost["answers"] for cost in costs] == [4, 3]
    assert all(cost["seconds"] >= 0 and cost["peak_mib"] > 1 for cost in costs)
    assert sum(cost["tokens"] for cost in costs) == 4 * 2 + 3  # "Well, no" is two


def test_a_checkpoint_is_its_weights_and_how_it_is_asked(tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(content)
    a, b, c = (ModelSpec("m", str(tmp_path / name)) for name in "abc")
    keys = {key(identity([spec], None)) for spec in (a, b)}
    assert len(keys) == 1
    others = [c, replace(a, thinking=True), replace(a, max_pixels=9000), replace(a, dialect="qwen2-vl")]
    keys |= {key(identity([spec], None)) for spec in others} | {key(identity([a], 5))}
    assert len(keys) == 6
    servers = [ModelSpec("s", f"http://h:{port}/v1#org/m?thinking=1", kind="server") for port in (1, 2)]
    assert title(servers[0]) == "org/m"
    assert identity(servers, None) == identity(servers[::-1], None) != identity(servers[:1], None)


def test_of_two_models_that_claim_a_folder_at_once_one_gets_it(data, tmp_path):
    gate, won, lost = threading.Barrier(8), [], []

    def run(name):
        gate.wait()
        try:
            claim(tmp_path / "out", {"model": name}, data, "vqa", None, tmp_path)
            won.append(name)
        except BadData:
            lost.append(name)

    threads = [threading.Thread(target=run, args=(i % 2,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(won)) == 1 and len(won) == len(lost) == 4
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["run.json"]
