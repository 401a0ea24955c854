"""Tiles as engines: what the model below gets, and how a comparison runs, stops and fails them."""

from __future__ import annotations

import threading

import pytest
from PIL import Image

from tests.fake import FakeEngine
from tests.test_tiles import Finder, scene
from tinyrs.compare import compare
from tinyrs.engine import EngineFailure, Options
from tinyrs.example import Question, Task
from tinyrs.lens import Tiled
from tinyrs.models import MODELS
from tinyrs.tiles import tiles

WHERE = Question("Where is the ship?", Task.GROUNDING)
POCKET = MODELS["pocket"]  # 16 to 144 visual tokens


def test_tiles_run_in_a_comparison_and_keep_exact_boxes():
    thing = (333, 111, 377, 139)
    image, parts = scene(1000, 400, thing), tiles(1000, 400, 280)
    engines = {"A": Tiled(Finder(), parts), "B": Tiled(below := Finder(spec=POCKET), parts)}
    *_, last = compare(engines, image, WHERE, Options(max_pixels=25 * 784))
    assert {options.max_pixels for _, _, options in below.asked} == {25 * 784}
    assert last.done
    for side, engine in engines.items():
        (box,) = engine.step.answer.boxes
        near = 0.3  # the finder writes whole thousandths of a tile
        assert box.to_pixels(1000, 400) == pytest.approx(thing, abs=near)
        assert engine.step.done == engine.step.of == len(parts)


def test_a_tile_that_fails_leaves_what_the_others_found():
    broken = FakeEngine("[[0,0,500,500]]", [EngineFailure("It is tired.")])
    engine = Tiled(broken, tiles(560, 280, 280))
    events = [event for event in compare({"A": engine}, Image.new("RGB", (560, 280)), WHERE)]
    assert events[-1].done and events[-1].error == "It is tired." and events[-1].reply.text
    assert engine.step.done == 1 and len(engine.step.answer.boxes) == 1


def test_stopping_ends_after_the_tile_in_hand():
    cancelled = threading.Event()
    slow = FakeEngine("[[0,0,500,500]]", [cancelled.set, threading.Event()], "[[0,0,9,9]]")
    engine = Tiled(slow, tiles(560, 280, 280, 0.9))
    events = list(compare({"A": engine}, Image.new("RGB", (560, 280)), WHERE, cancelled=cancelled))
    assert events[-1].done and not events[-1].error and not (events[-1].reply and events[-1].reply.finished)
    assert len(slow.asked) == 2


def test_a_spec_is_opened_when_the_first_question_comes(monkeypatch):
    opened = []
    monkeypatch.setattr(
        "tinyrs.lens.open_engine", lambda spec: opened.append(spec) or FakeEngine("no", spec=spec)
    )
    engine = Tiled(POCKET, tiles(99, 99, 112))
    assert not opened and engine.spec == POCKET
    list(compare({"A": engine}, Image.new("RGB", (99, 99)), WHERE))
    assert opened == [POCKET]
    engine.close()
