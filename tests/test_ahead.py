"""A picture is read while its question is still being written: the same answers, sooner, and nobody waits for it."""

from __future__ import annotations

import threading

import pytest

from bench.follow_up import QUESTIONS, pictures, plain
from tests.fake import FakeEngine
from tests.openvino_parts import converted
from tests.pages import Hands, engines, page, picture_file
from tests.serving import until
from tinyrs import openvino
from tinyrs.compare import compare_here, lend, look_ahead
from tinyrs.decoding import Kept, Stopped
from tinyrs.engine import Options, open_engine
from tinyrs.local import LocalEngine
from tinyrs.models import resolve
from tinyrs.openvino import OpenVINOEngine

__all__ = ["converted"]  # a fixture

SHORT = Options(max_new_tokens=6)


@pytest.fixture(params=["torch", "openvino"])
def engine(request, untrained):
    if request.param == "torch":
        return LocalEngine(resolve(str(untrained)))
    return OpenVINOEngine(resolve(str(request.getfixturevalue("converted"))))


@pytest.fixture
def local(untrained):
    return LocalEngine(resolve(str(untrained)))


def ask(engine, picture, question=QUESTIONS[0], options=SHORT):
    return list(engine.stream(picture, question, options))[-1]


def at_layer(model, number, do):
    """Call `do` before the layer of that number, counted through the tower and the language model: a list of all that began."""
    begun = []

    def look(layer, args):
        begun.append(layer)
        if len(begun) == number:
            do()

    for layer in (*model.model.visual.blocks, *model.model.language_model.layers):
        layer.register_forward_pre_hook(look)
    return begun


# --- one model --------------------------------------------------------------------------------------------


def test_the_first_question_about_a_picture_that_was_looked_at_reads_only_the_question(engine):
    for picture in pictures(2):
        cold = ask(engine, picture)
        engine.prefixes.clear()
        assert engine.look(picture) > 0
        warm = ask(engine, picture.copy())
        assert (cold.kept, warm.kept) == (False, True)
        assert (warm.text, warm.tokens) == (cold.text, cold.tokens)


def test_what_was_read_is_not_read_again_and_another_size_is_another_picture(engine, picture):
    few = Options(max_pixels=16 * 28 * 28)
    large = picture.resize((640, 480))
    assert engine.look(large) > 0 and engine.look(large) is None
    assert engine.look(large, few) > 0 and engine.look(large, few) is None
    assert len(engine.prefixes) == 2


def test_a_model_that_cannot_go_on_from_a_picture_does_not_look(local, picture):
    with plain(local):
        assert local.look(picture) is None
    local.close()
    assert local.look(picture) is None


def test_looking_that_fails_is_logged_and_fails_nobody(local, picture, monkeypatch, caplog):
    def full(*args, **kwargs):
        raise MemoryError

    ask(local, picture.rotate(90))
    with monkeypatch.context() as patch:
        patch.setattr(local.model.model, "forward", full)
        assert local.look(picture) is None
    assert "could not be read ahead" in caplog.text
    assert len(local.prefixes) == 0  # who asks next may need the memory
    assert local.look(picture, Options(max_pixels=1)) is None  # fewer than it needs
    assert not ask(local, picture).kept


def test_a_question_about_another_picture_ends_it_before_the_next_layer(local, picture):
    other, answers = picture.rotate(180), []
    thread = threading.Thread(target=lambda: answers.append(ask(local, other)))

    def come():
        thread.start()
        until(lambda: local._turns._waiting)

    begun = at_layer(local.model, 3, come)
    assert local.look(picture) is None
    thread.join()
    assert begun[3:6] == begun[:3]  # after the third layer the other picture's first one
    assert not answers[0].kept and len(local.prefixes) == 1
    with plain(local):
        assert answers[0].text == ask(local, other).text


def test_a_question_about_this_picture_lets_it_finish(local, picture):
    answers, reads = [], []
    local.model.model.visual.register_forward_hook(lambda *args: reads.append(1))
    thread = threading.Thread(target=lambda: answers.append(ask(local, picture.copy())))

    def come():
        thread.start()
        until(lambda: local._turns._waiting)

    at_layer(local.model, 3, come)
    assert local.look(picture) > 0
    thread.join()
    assert answers[0].kept and len(reads) == 1


def test_a_question_that_was_stopped_does_not_read_its_picture_to_the_end(local, picture):
    cancelled = threading.Event()

    def leave():
        cancelled.set()
        (job,) = local._jobs
        assert job.stop.wait(5)

    begun = at_layer(local.model, 2, leave)
    list(local.stream(picture, QUESTIONS[0], SHORT, cancelled))
    with local._turns.asked():
        assert len(begun) == 2 and len(local.prefixes) == 0
    assert ask(local, picture).finished


def test_a_stopped_reading_leaves_the_model_as_it_was(local, picture):
    _, inputs = local._key(picture, QUESTIONS[0], local.spec)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        Kept.read(local.model, inputs, 4, stop)
    assert not any(part._forward_pre_hooks for part in local.model.modules())


def test_an_openvino_computation_that_gives_way_ends_in_its_middle(converted, picture, monkeypatch):
    engine, cancelled = OpenVINOEngine(resolve(str(converted))), threading.Event()
    monkeypatch.setattr(openvino, "POLL", 0)
    real = engine.model._tokens

    def tokens(*args):
        cancelled.set()
        return real(*args)

    monkeypatch.setattr(engine.model, "_tokens", tokens)
    assert engine.look(picture, SHORT, cancelled) is None and len(engine.prefixes) == 0
    monkeypatch.setattr(engine.model, "_tokens", real)
    assert ask(engine, picture).finished


# --- the pair ---------------------------------------------------------------------------------------------


def test_only_models_that_are_open_look_one_after_the_other(untrained, checkpoint, picture):
    here, elsewhere = resolve(str(untrained)), resolve(str(checkpoint))
    assert list(look_ahead({"A": here, "B": elsewhere}, picture)) == []
    engine, given = open_engine(here), LocalEngine(elsewhere)
    looked = list(look_ahead({"A": here, "B": elsewhere, "C": given}, picture))
    assert [side for side, _ in looked] == ["A", "C"] and len(engine.prefixes) == len(given.prefixes) == 1
    events = list(compare_here({"A": here}, picture, QUESTIONS[0], SHORT))
    assert events[-1].reply.kept


def test_no_gpu_is_borrowed_to_look(picture):
    fake = FakeEngine()
    lend(lambda *args: iter(()))
    try:
        assert list(look_ahead({"A": fake}, picture)) == [] == fake.looked
    finally:
        lend(None)
    assert list(look_ahead({"A": fake}, picture)) == [] and len(fake.looked) == 1


# --- the page ---------------------------------------------------------------------------------------------


def see(hands, size="full", a="quick", b="thinker"):
    return hands.call("sight", hands.shown, size, a, b)


def test_the_pair_looks_at_a_chosen_picture_once_and_at_each_size(tmp_path):
    hands = Hands(page(models := engines()))
    assert see(hands)["sight"] == ""
    hands.upload(picture_file(tmp_path))
    for _ in range(2):
        assert "quick sees" in see(hands)["sight"]
    until(lambda: models["thinker"].looked)  # a reading is left for the next one, wherever it is
    see(hands, "quarter")
    until(lambda: len(models["thinker"].looked) == 2)
    for model in models.values():
        assert [options.max_pixels is None for _, options in model.looked] == [True, False]
        assert model.looked[0][0].size == (320, 240) and not model.asked
    hands.ask()
    see(hands, "quarter")
    assert len(models["quick"].looked) == 2


def test_a_picture_that_is_chosen_while_the_pair_is_loaded_is_read_after_that(tmp_path):
    demo = page(models := engines())
    demo.page._warmed.clear()
    hands = Hands(demo)
    hands.upload(picture_file(tmp_path))
    see(hands)
    first = demo.page._ahead["one"][1]
    see(hands, "half")
    assert first.is_set() and not models["quick"].looked
    demo.page._warmed.set()
    until(lambda: models["thinker"].looked)
    assert [options.max_pixels is None for _, options in models["quick"].looked] == [False]


class Slow(FakeEngine):
    """Looks until it is told not to."""

    def look(self, picture, options=Options(), cancelled=None):
        super().look(picture, options, cancelled)
        self.stops = [*getattr(self, "stops", []), cancelled]
        assert cancelled.wait(10)


def test_the_next_picture_and_a_visitor_who_leaves_end_what_was_begun(tmp_path):
    models = engines()
    models["quick"] = slow = Slow(name="quick")
    hands = Hands(page(models))
    hands.upload(picture_file(tmp_path))
    see(hands)
    until(lambda: slow.looked)
    see(hands, "half")
    until(lambda: len(slow.stops) == 2)
    assert slow.stops[0].is_set() and not slow.stops[1].is_set()
    next(fn for fn in hands.demo.fns.values() if "unload" in str(fn.targets)).fn(hands.request)
    assert slow.stops[1].is_set() and not hands.demo.page._ahead


def test_another_visitors_picture_ends_nobodys(tmp_path):
    models = engines()
    models["quick"] = slow = Slow(name="quick")
    demo = page(models)
    for session in ("one", "two"):
        hands = Hands(demo, session=session)
        hands.upload(picture_file(tmp_path, f"{session}.png"))
        see(hands)
    until(lambda: len(getattr(slow, "stops", ())) == 2)
    assert not any(stop.is_set() for stop in slow.stops)
    for session in ("one", "two"):
        demo.page.leave(session)


def test_a_picture_that_vanished_or_a_model_that_is_not_offered_is_told_when_it_is_asked(tmp_path):
    hands = Hands(page(models := engines()))
    hands.upload(path := picture_file(tmp_path))
    path.unlink()
    assert "quick sees" in see(hands)["sight"]
    assert see(hands, a="other")["sight"] == ""
    assert "no longer here" in hands.ask()["notice"] or not models["quick"].asked


def test_how_long_a_picture_takes_is_learned_from_looking(tmp_path):
    class Timed(FakeEngine):
        def look(self, picture, options=Options(), cancelled=None):
            return 7.0

    models = engines()
    models["quick"] = Timed(name="quick")
    demo = page(models)
    hands = Hands(demo)
    hands.upload(picture_file(tmp_path))
    see(hands)
    until(lambda: demo.page.pace.first_token("quick", 99) is not None)
    assert demo.page.pace.first_token("quick", 99) == pytest.approx(7.0)
    assert demo.page.pace.first_token("thinker", 99) is None
