"""ZeroGPU: one call of a lent GPU for both models, in a forked process, for as long as the question may take."""

from __future__ import annotations

import os
import sys
import threading
import time

import gradio as gr
import pytest

import app
from annotate.store import Store
from screens.about import about
from screens.page import default_open
from tests.fake import FakeEngine
from tests.lent_gpu import LentGPU
from tests.pages import ASKED, SHORT, THOUGHT, Hands, _in_a_loop, harbour, page, picture_file
from tests.test_tiles import Finder
from tinyrs import engine as engines_here
from tinyrs import many, zero
from tinyrs.compare import compare, lend
from tinyrs.config import ROOT
from tinyrs.engine import Options
from tinyrs.example import Question, Task
from tinyrs.lens import Tiled
from tinyrs.models import ModelSpec
from tinyrs.tiles import tiles

# Newer Pythons warn of what ZeroGPU does: it forks a process that has threads.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

WHERE = Question(ASKED, Task.GROUNDING)


class Whose(FakeEngine):
    """A model that says in which process it answers."""

    def stream(self, picture, question, options=Options(), cancelled=None):
        self.queue.append(f"process {os.getpid()}")
        yield from super().stream(picture, question, options, cancelled)


@pytest.fixture(autouse=True)
def _at_home_again():
    yield
    lend(None)


@pytest.fixture
def borrow(monkeypatch):
    """borrow(models by name): they are loaded, as specs would find them, and every comparison has a lent GPU."""

    def borrow(models: dict, **settings) -> LentGPU:
        for model in models.values():
            engines_here._engines[model.spec] = model
        gpu = LentGPU(**settings)
        monkeypatch.setitem(sys.modules, "spaces", gpu)
        app.borrow_gpu()
        return gpu

    return borrow


def two(kind=Whose, **outputs) -> dict[str, FakeEngine]:
    return {
        "quick": kind(*outputs.get("a", ()), name="quick", max_new_tokens=50),
        "thinker": kind(*outputs.get("b", ()), name="thinker", thinking=True, max_new_tokens=100),
    }


def specs(models: dict) -> dict[str, ModelSpec]:
    return dict(zip("AB", (model.spec for model in models.values())))


def test_both_models_answer_in_one_call_in_another_process(borrow):
    gpu = borrow(models := two())
    said = {event.side: event for event in compare(specs(models), harbour(), WHERE)}
    ((_, process),) = gpu.calls
    assert process != os.getpid()
    assert {event.reply.text for event in said.values()} == {f"process {process}"}
    assert all(event.done and event.error is None for event in said.values())


def test_without_zero_gpu_the_models_answer_here_and_spaces_is_not_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "spaces", None)  # an import would raise
    models = two()
    said = {event.side: event.reply.text for event in compare(dict(zip("AB", models.values())), harbour(), WHERE)}
    assert set(said.values()) == {f"process {os.getpid()}"}


def test_the_page_asks_on_the_lent_gpu_and_no_database_is_touched_there(borrow, tmp_path, monkeypatch):
    def poison():
        def forbidden(self, name):
            raise AssertionError(f"the GPU's process read {name} of the store")

        Store.__getattribute__ = forbidden
        sys.addaudithook(lambda event, _: sys.exit(9) if event.startswith("sqlite3.") else None)

    models = two(FakeEngine, a=(SHORT,), b=(THOUGHT,))
    gpu = borrow(models, in_child=poison)
    demo = page(models)
    demo.page.open_engine = default_open
    hands = Hands(demo)
    hands.upload(picture_file(tmp_path))
    seen = hands.ask()
    assert "Well-formed, 1 box" in seen["card-a"] and "The longest hull" in seen["card-b"]
    assert len(gpu.calls) == 1 and demo.page.keep(hands.shown, "x").run
    assert demo.page.store.stats()["runs"] == 1  # and here it can be written as before


def test_a_question_that_is_stopped_gives_the_gpu_back(borrow):
    never, stop = threading.Event(), threading.Event()
    models = two(FakeEngine, a=("port",), b=(["<reasoning> Water ", never],))
    # An event of threading cannot be pickled, but what was loaded before the fork is simply there.
    borrow(models)
    said, started = {}, None
    for event in compare(specs(models), harbour(), WHERE, cancelled=stop):
        said[event.side] = event
        if event.side == "B" and event.reply and started is None:
            started = time.monotonic()
            stop.set()
    assert time.monotonic() - started < 5
    assert "Water" in said["B"].reply.text and said["B"].done and not said["B"].reply.finished
    assert said["B"].error is None


class Unlent(gr.Error):
    def __init__(self, title: str):
        super().__init__("<a href=https://evil.example>Subscribe</a>", title=title, print_exception=False)


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("ZeroGPU quota exceeded", "used up for now"),
        ("ZeroGPU queue timeout", "No GPU was free"),
        ("ZeroGPU illegal duration", "longer than it is lent"),
        ("ZeroGPU worker error", "stopped with an error"),
    ],
)
def test_no_gpu_is_a_sentence_of_ours_on_both_sides(borrow, caplog, title, words):
    borrow(models := two(), refuse=Unlent(title))
    said = {event.side: event for event in compare(specs(models), harbour(), WHERE)}
    assert all(words in event.error and event.done for event in said.values())
    assert "evil" not in str([event.error for event in said.values()])


def test_a_gpu_that_is_taken_away_leaves_the_words_so_far(borrow):
    borrow(models := two(FakeEngine, a=("port",), b=(["<reasoning> Water ", threading.Event()],)))
    asked = zero.borrowed(_dies_after("Water"), lambda error: "It was taken away.")
    said = {event.side: event for event in asked(specs(models), harbour(), WHERE)}
    assert said["B"].error == "It was taken away." and "Water" in said["B"].reply.text
    assert said["A"].error is None and said["A"].reply.text == "port"


def _dies_after(word: str):
    def call(*args):
        sides = set()
        for said in zero.answers(*args):
            yield said
            sides |= {said[0].side} if said and (said[0].done or word in said[0].reply.text) else set()
            if len(sides) == 2:
                raise RuntimeError("GPU task aborted")

    return call


def test_what_the_scene_tab_needs_to_know_of_the_tiles_comes_back(borrow):
    finder = Finder(name="quick", min_pixels=28 * 28, max_pixels=100 * 784)
    gpu = borrow({"quick": finder})
    tiled = Tiled(finder.spec, tiles(320, 240, 112, 0.25))
    list(compare({"A": tiled}, harbour(), WHERE))
    assert tiled.step.done == tiled.step.of == len(tiled.parts) and len(gpu.calls) == 1


def test_many_questions_are_a_call_each_for_both_models(borrow, tmp_path):
    gpu = borrow(models := two(a=["port"] * 3, b=["port"] * 3))
    pictures, questions = many.sources([picture_file(tmp_path)]), [WHERE, Question("How many?"), Question("Why?")]
    named = dict(zip("AB", models))
    groups = list(many.ask(pictures, questions, specs(models), named, threading.Event()))
    assert [row.said("A") for group in groups for row in group] == ["port"] * 3 and len(gpu.calls) == 3


def test_the_duration_follows_pixels_tokens_sides_and_tiles():
    def wanted(*sides, size=(320, 240), options=Options(max_new_tokens=200)):
        return zero.seconds(dict(zip("AB", sides)), harbour(*size), WHERE, options)

    spec = ModelSpec("m", "nowhere", max_pixels=16384 * 784)
    assert zero.LEAST <= wanted(spec) < wanted(spec, spec)
    assert wanted(spec) < wanted(spec, size=(3000, 3000))
    assert wanted(spec) < wanted(spec, options=Options(max_new_tokens=400))
    assert wanted(spec, options=Options()) > wanted(spec)  # the model's own cap, 1024 tokens
    assert wanted(spec, size=(3000, 3000)) > wanted(
        spec, size=(3000, 3000), options=Options(max_new_tokens=200, max_pixels=spec.min_pixels)
    )
    assert wanted(spec) < wanted(Tiled(spec, tiles(320, 240, 112, 0.25))) <= zero.MOST
    assert wanted(spec, spec, size=(9000, 9000), options=Options(max_new_tokens=9999)) == zero.MOST
    paper = ModelSpec("tinyrs", "nowhere")
    assert zero.seconds({"A": paper, "B": paper}, harbour(448, 448), WHERE, Options()) < 90


def test_on_zero_gpu_the_models_are_loaded_between_the_decorator_and_the_page(monkeypatch):
    done = []
    gpu = LentGPU()
    gpu.GPU = lambda duration: done.append("decorated") or (lambda task: task)
    monkeypatch.setitem(sys.modules, "spaces", gpu)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setenv("SPACE_ID", "ada/tinyrs")
    monkeypatch.setattr(app, "open_engine", lambda spec: done.append(spec.name))

    class Up(Exception):
        pass

    def launch(demo, **options):
        done.append("page")
        assert "because ZeroGPU lends this Space a GPU" in about(demo.page)
        demo.page.store.close()
        raise Up

    monkeypatch.setattr(app, "launch", launch)
    with pytest.raises(Up):
        _in_a_loop(lambda: app.main([]))
    assert done == ["decorated", "tinyrs", "tinyrs-r1", "pocket", "pocket-r1", "page"]


def test_the_libraries_for_a_lent_gpu_are_new_enough():
    wanted = (ROOT / "requirements.txt").read_text()
    assert "torch>=2.8" in wanted  # what ZeroGPU supports
