"""Figures about speed: what the page and the README say is what was measured, and each bench runs."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.__main__ import RUNS, keep
from bench.page import JSON, PAGE, SECTIONS, page, quoted
from dev import docs
from tests.fake import FakeEngine

STORED = json.loads(JSON.read_text(encoding="utf-8"))


def test_the_page_says_what_was_measured():
    assert PAGE.read_text(encoding="utf-8") == page(STORED)
    assert set(STORED) <= set(RUNS)


def test_the_readme_quotes_what_was_measured():
    readme = (docs.ROOT / "README.md").read_text(encoding="utf-8")
    assert docs.filled(readme) == readme
    marked = "<!-- benchmarks: python -m bench -->\nold\n<!-- /benchmarks -->"
    assert docs.filled(marked) == marked.replace("old", quoted(STORED))


def test_every_stored_figure_names_the_command_that_repeats_it():
    for name, run in STORED.items():
        assert run["command"] == f"python -m bench.{RUNS[name]}", f"{name} was measured by another command: measure it again"
        assert run["found"] and run["processor"] and run["day"]


def test_no_figure_of_the_readme_is_made_up():
    numbers = {f"{value:.2f}" for value in values(STORED)} | {str(value) for value in values(STORED)}
    for line in quoted(STORED).splitlines()[2:]:
        for share in re.findall(r"\b0\.\d\d\b", line):
            assert share in numbers, line


def values(found):
    """Every number in nested lists and tables."""
    if isinstance(found, dict):
        found = list(found.values())
    if isinstance(found, list):
        return [value for each in found for value in values(each)]
    return [found] if isinstance(found, (int, float)) and not isinstance(found, bool) else []


QUICK = {
    "engine": ("--models", "{model}", "--pictures", "1", "--max-new-tokens", "6"),
    "follow_up": ("--models", "{model}", "--pictures", "1", "--max-new-tokens", "2"),
    "batch": ("--models", "{model}", "--rows", "4", "--batch", "4", "--max-new-tokens", "2"),
    "choose": ("--model", "{model}", "--rows", "2"),
    "visitors": ("--model", "{model}", "--visitors", "2"),
    "pictures": ("--model", "{model}", "--pictures", "3"),
}


@pytest.mark.parametrize("name", QUICK)
def test_a_bench_measures_what_the_page_shows(name, untrained, capsys):
    import importlib

    bench = importlib.import_module(f"bench.{name}")
    words = [word.format(model=untrained) for word in QUICK[name]]
    assert bench.main([*words, "--json"]) == 0
    stored = keep(name, capsys.readouterr().out, {"day": "", "processor": "", "cores": 2, "threads": "1", "load": 0})
    assert all(list(SECTIONS[name](found)) for found in stored["found"])
    assert page({name: stored | {"torch": "", "transformers": ""}})
    assert bench.main(words) == 0 and capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("engine", ["--pictures", "0"]),
        ("follow_up", ["--pictures", "0"]),
        ("batch", ["--rows", "0"]),
        ("choose", ["--rows", "0"]),
        ("visitors", ["--visitors", "0"]),
        ("pictures", ["--pictures", "0"]),
        ("threads", ["--busy", "0"]),
        ("start", ["--times", "0"]),
        ("two_against_seven", ["--side", "30"]),
        ("__main__", ["--only", "zz"]),
    ],
)
def test_a_bench_that_cannot_measure_says_so(name, words, capsys):
    import importlib

    assert importlib.import_module(f"bench.{name}").main(words) == 2
    assert capsys.readouterr().err.endswith(".\n")


def test_threads_are_compared_alone_and_beside_processes_that_spin(monkeypatch, capsys):
    from bench import threads

    beside = []

    def asked(models, picture, question):
        beside.append(len(multiprocessing.active_children()))
        return ask(models, picture, question)

    def engine(name):
        fake = FakeEngine("yes", name=name)
        fake.prefixes = {}
        return fake

    ask = threads.ask
    monkeypatch.setattr(threads, "ask", asked)
    monkeypatch.setattr(threads, "open_engine", engine)
    monkeypatch.setattr(threads, "_worker", lambda number: ThreadPoolExecutor(1))
    words = ["--models", "one,two", "--pictures", "2", "--busy", "1"]
    assert threads.main([*words, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["busy"], row["threads"], row["n"]) for row in rows] == [(0, 1, 2), (0, 2, 2), (1, 1, 2), (1, 2, 2)]
    assert beside == [0] * 6 + [1] * 6 and not multiprocessing.active_children()
    for times in (row["models"][name] for row in rows for name in ("one", "two")):
        assert 0 < times["first"]["median"] <= times["first"]["max"] <= times["done"]["max"]
    assert threads.main(words) == 0 and capsys.readouterr().out.count("| two |") == 4


def test_a_worker_takes_so_many_threads_and_what_spins_beside_it_spins():
    from bench import threads

    def spent(process) -> int:
        return int(Path(f"/proc/{process.pid}/stat").read_text().split()[13])

    with threads.spinning(1), threads._worker(2) as worker:
        (spinner,) = multiprocessing.active_children()
        before = spent(spinner)
        assert worker.submit(os.getenv, "TINYRS_THREADS").result() == "2"
        while spent(spinner) < before + 10:  # hundredths of a second
            assert spinner.is_alive()
    assert not multiprocessing.active_children()


def test_both_architectures_have_the_sizes_of_their_names():
    from bench.two_against_seven import weights

    (two, kept), (seven, kept_seven) = weights("2B"), weights("7B")
    assert round(two / 1e9, 1) == 2.2 and round(seven / 1e9, 1) == 8.3
    assert kept == 2 * 28 * 256 and kept_seven == 2 * 28 * 512
