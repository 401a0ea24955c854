"""What is kept of a picture: bounded, everyone's own, and the same answers as without it.

The reference is plain `generate`, which reads the whole prompt at once and keeps nothing.
"""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from bench.follow_up import QUESTIONS, pictures, plain
from tinyrs.engine import EngineFailure, Options
from tinyrs.example import Question, Task
from tinyrs.local import LocalEngine, _looks_back_only
from tinyrs.models import replace, resolve
from tinyrs.prefix import Prefixes, key_of

SHORT = Options(max_new_tokens=6)
TELLING = (*QUESTIONS[2:4], Question("Describe the image in detail.", Task.CAPTIONING))


# --- the store --------------------------------------------------------------------------------------------


def test_the_one_not_asked_for_the_longest_goes_first():
    prefixes = Prefixes(30)
    for key in (b"a", b"b", b"c"):
        prefixes.put(key, key.decode(), 10)
    assert prefixes.get(b"a") == "a"  # now "b" is the oldest
    prefixes.put(b"d", "d", 10)
    assert [prefixes.get(key) for key in (b"a", b"b", b"c", b"d")] == ["a", None, "c", "d"]
    prefixes.put(b"e", "e", 25)
    assert (len(prefixes), prefixes.bytes, prefixes.get(b"e")) == (1, 25, "e")


def test_what_is_too_large_is_not_kept_and_pushes_nothing_out():
    prefixes = Prefixes(10)
    prefixes.put(b"a", "a", 10)
    prefixes.put(b"b", "b", 11)
    assert (prefixes.get(b"a"), prefixes.get(b"b"), prefixes.bytes) == ("a", None, 10)
    none = Prefixes(0)
    none.put(b"a", "a", 1)
    assert len(none) == 0 == none.bytes


def test_a_key_that_is_put_again_is_counted_once():
    prefixes = Prefixes(30)
    for size in (10, 20, 5):
        prefixes.put(b"a", size, size)
        assert (len(prefixes), prefixes.bytes, prefixes.get(b"a")) == (1, size, size)
    prefixes.put(b"a", "too large", 31)
    assert prefixes.get(b"a") is None and prefixes.bytes == 0  # never the one of before
    prefixes.put(b"a", "a", 3)
    prefixes.clear()
    assert len(prefixes) == 0 == prefixes.bytes


def test_many_threads_keep_the_bound():
    prefixes, wrong = Prefixes(100), []

    def work(own):
        for i in range(300):
            key = (i * own) % 17
            if (found := prefixes.get(b"%d" % key)) not in (None, key):
                wrong.append(found)
            prefixes.put(b"%d" % key, key, 1 + key)
            if prefixes.bytes > 100:
                wrong.append(prefixes.bytes)

    threads = [threading.Thread(target=work, args=(own,)) for own in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = [size for _, size in prefixes._kept.values()]
    assert not wrong and prefixes.bytes == sum(kept) <= 100


def test_a_key_tells_parts_kinds_and_order_apart():
    one, two = np.arange(4), np.arange(4) + 1
    made = [("a", "b"), ("ab",), ("ab", ""), (b"a", "b"), ("b", "a"), ("a", one), ("a", two), ("a", one[:3])]
    assert len({key_of(*parts) for parts in made}) == len(made)
    assert key_of("a", one) == key_of("a", one.copy())


# --- the engine -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pocket():
    return LocalEngine(resolve("pocket"))


@pytest.fixture
def engine(untrained):
    return LocalEngine(resolve(str(untrained)))


def ask(engine, picture, question, options=SHORT):
    reply = list(engine.stream(picture, question, options))[-1]
    return reply.text, reply.tokens


def cold(engine, picture, question, options=SHORT):
    with plain(engine):
        return ask(engine, picture, question, options)


@pytest.mark.parametrize(("name", "count"), [("pocket", 5), ("pocket-r1", 2)])
def test_follow_ups_get_the_answers_of_a_cold_run(name, count, pocket):
    engine = pocket if name == "pocket" else LocalEngine(resolve(name))
    engine.prefixes.clear()
    options = Options(max_new_tokens=24)
    asked = [(picture, question) for picture in pictures(count) for question in (*QUESTIONS, TELLING[-1])]
    answers = [ask(engine, *pair, options) for pair in asked]
    assert answers == [cold(engine, *pair, options) for pair in asked]
    assert len(engine.prefixes) == count and len(set(answers)) > count


def test_a_wrong_pictures_prefix_would_be_noticed(pocket):
    """The proof that the test above can fail: with each other's prefixes, pictures of one shape answer otherwise."""
    pocket.prefixes.clear()
    first, second = (picture.resize((140, 140)) for picture in pictures(2))
    right = [ask(pocket, picture, question) for picture in (first, second) for question in TELLING]
    (a, kept_a), (b, kept_b) = pocket.prefixes._kept.items()
    pocket.prefixes._kept.update({a: kept_b, b: kept_a})
    wrong = [ask(pocket, picture, question) for picture in (first, second) for question in TELLING]
    assert wrong != right
    pocket.prefixes.clear()
    assert [ask(pocket, picture, question) for picture in (first, second) for question in TELLING] == right


def test_a_stale_rope_delta_would_be_noticed(pocket):
    pocket.prefixes.clear()
    (picture,) = pictures(1)
    right = [ask(pocket, picture, question) for question in TELLING]
    ((key, (kept, size)),) = pocket.prefixes._kept.items()
    pocket.prefixes._kept[key] = replace(kept, shift=kept.shift - 30), size
    wrong = [ask(pocket, picture, question) for question in TELLING]
    pocket.prefixes.clear()
    assert wrong != right and right == [cold(pocket, picture, question) for question in TELLING]


def test_eight_visitors_with_different_pictures_get_the_cold_answers(pocket):
    """With room for three pictures: what one visitor needs is let go of while the others are asking."""
    pocket.prefixes.clear()
    asked = [(picture, TELLING) for picture in pictures(8, first=4_100_000)]
    expected = [[cold(pocket, picture, question) for question in questions] for picture, questions in asked]
    ask(pocket, asked[0][0], TELLING[0])
    limit, pocket.prefixes.limit = pocket.prefixes.limit, 3 * pocket.prefixes.bytes
    found, together = [None] * len(asked), threading.Barrier(len(asked))

    def visit(number):
        picture, questions = asked[number]
        together.wait(10)
        found[number] = [ask(pocket, picture, question) for question in questions]

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(len(asked))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pocket.prefixes.limit = limit
    assert found == expected


def test_a_batch_reads_each_picture_once_and_gives_the_cold_answers(pocket):
    pocket.prefixes.clear()
    read = []
    hook = pocket.model.model.visual.register_forward_hook(lambda *args: read.append(1))
    asked = [(picture, question) for question in QUESTIONS for picture in pictures(3)]  # three shapes, mixed
    options = Options(max_new_tokens=12)
    found = [(reply.text, reply.tokens) for reply in pocket.batch(asked, options)]
    hook.remove()
    assert len(read) == 3
    assert found == [cold(pocket, *pair, options) for pair in asked]


def test_pictures_of_the_same_bytes_and_another_shape_are_told_apart(pocket):
    """A known picture is found by its bytes, before anything is resized: those of one colour are the same in any shape."""
    pocket.prefixes.clear()
    wide, high = Image.new("RGB", (224, 112), (90, 120, 60)), Image.new("RGB", (112, 224), (90, 120, 60))
    asked = [(picture, question) for picture in (wide, high) for question in TELLING]
    assert [ask(pocket, *pair) for pair in asked] == [cold(pocket, *pair) for pair in asked]
    assert len(pocket.prefixes) == 2
    pocket.prefixes.clear()  # what is known of a picture is not what is kept of it
    assert [ask(pocket, *pair) for pair in asked] == [cold(pocket, *pair) for pair in asked]


def test_a_known_picture_is_not_resized_again(engine, picture, monkeypatch):
    ask(engine, picture, QUESTIONS[0])
    monkeypatch.setattr(engine.inputs, "of", lambda *args: pytest.fail("resized"))
    assert ask(engine, picture.copy(), QUESTIONS[1])[1] > 0


def test_the_picture_is_read_once(engine, picture):
    read = []
    engine.model.model.visual.register_forward_hook(lambda *args: read.append(1))
    other = picture.transpose(0)
    for shown in (picture, picture.copy(), other, picture, other):
        for question in QUESTIONS[:2]:
            ask(engine, shown, question, Options(max_new_tokens=1))
    assert len(read) == 2 == len(engine.prefixes)


def test_what_is_kept_is_never_changed(engine, picture):
    ask(engine, picture, QUESTIONS[0])
    kept, size = next(iter(engine.prefixes._kept.values()))
    before = [tensor.clone() for layer in kept.layers for tensor in layer]
    ask(engine, picture, QUESTIONS[3], Options(max_new_tokens=20))
    ask(engine, picture.resize((280, 56)), QUESTIONS[0])
    engine.batch([(picture, QUESTIONS[1])] * 2, SHORT)
    after = [tensor for layer in kept.layers for tensor in layer]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    # No larger storage is held behind what is counted.
    assert sum(tensor.untyped_storage().nbytes() for tensor in after) == size


def test_the_bound_holds_however_many_pictures_come(untrained, engine, picture, monkeypatch):
    ask(engine, picture, QUESTIONS[0])
    room = int(2.5 * engine.prefixes.bytes)
    monkeypatch.setenv("TINYRS_PREFIX_BYTES", str(room))
    bounded = LocalEngine(resolve(str(untrained)))
    for number in range(12):
        ask(bounded, picture.rotate(number), QUESTIONS[0], Options(max_new_tokens=1))
        assert 0 < bounded.prefixes.bytes <= room
    assert len(bounded.prefixes) == 2
    monkeypatch.setenv("TINYRS_PREFIX_BYTES", "0")
    without = LocalEngine(resolve(str(untrained)))
    together = without.batch([(picture, QUESTIONS[0])] * 2, SHORT)
    assert [(reply.text, reply.tokens) for reply in together] == [ask(engine, picture, QUESTIONS[0])] * 2
    assert ask(without, picture, QUESTIONS[0]) == ask(engine, picture, QUESTIONS[0])
    assert len(without.prefixes) == 0


def test_the_system_prompt_and_the_pixel_budget_are_part_of_the_key(engine, picture):
    large = picture.resize((640, 480))
    ask(engine, large, QUESTIONS[0])
    for change in ({"system": "Be brief."}, {"system": None, "max_pixels": 16 * 28 * 28}):
        engine.spec = replace(engine.spec, **change)
        assert ask(engine, large, QUESTIONS[0]) == cold(engine, large, QUESTIONS[0])
    assert len(engine.prefixes) == 3


def test_an_options_pixel_budget_is_part_of_the_key_and_a_refusal_lets_go_of_nothing(engine, picture):
    large = picture.resize((640, 480))
    full, few = ask(engine, large, QUESTIONS[0]), replace(SHORT, max_pixels=16 * 28 * 28)
    capped = ask(engine, large, QUESTIONS[0], few)
    with pytest.raises(EngineFailure, match="needs at least"):
        ask(engine, large, QUESTIONS[0], replace(SHORT, max_pixels=engine.spec.min_pixels - 1))
    assert len(engine.prefixes) == 2
    assert ask(engine, large, QUESTIONS[0]) == full and cold(engine, large, QUESTIONS[0], few) == capped
    assert engine.batch([(large, QUESTIONS[0])] * 2, few)[1].text == capped[0]
    assert ask(engine, large, QUESTIONS[0], replace(SHORT, max_pixels=10**9)) == full
    assert len(engine.prefixes) == 2
    engine.spec = replace(engine.spec, max_pixels=16 * 28 * 28)
    assert ask(engine, large, QUESTIONS[0]) == capped  # the same picture as the model sees it


def test_a_reply_says_whether_the_picture_was_known(engine, picture):
    first, second = (list(engine.stream(picture, question, SHORT))[-1] for question in QUESTIONS[:2])
    assert (first.kept, second.kept) == (False, True)
    with plain(engine):
        assert not list(engine.stream(picture, QUESTIONS[0], SHORT))[-1].kept
    other = picture.rotate(90)
    replies = engine.batch([(other, QUESTIONS[0]), (picture, QUESTIONS[0]), (other, QUESTIONS[0])], SHORT)
    assert [reply.kept for reply in replies] == [False, True, True]


def test_sampling_is_the_same_kept_or_not(engine, picture):
    hot = Options(max_new_tokens=12, temperature=1.0, seed=5)
    assert len({ask(engine, picture, QUESTIONS[0], hot) for _ in range(3)}) == 1


def test_a_closed_or_failing_model_lets_go(engine, picture, monkeypatch):
    ask(engine, picture, QUESTIONS[0])
    assert engine.prefixes.bytes > 0

    def full(*args, **kwargs):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(engine.model, "forward", full)
        with pytest.raises(EngineFailure):
            ask(engine, picture, QUESTIONS[1])
    assert len(engine.prefixes) == 0 == engine.prefixes.bytes
    ask(engine, picture, QUESTIONS[1])
    assert len(engine.prefixes) == 1
    engine.close()
    assert len(engine.prefixes) == 0


def test_models_that_keep_less_than_everything_are_read_whole(engine):
    config = engine.model.config
    assert _looks_back_only(config)
    config.text_config.layer_types = ["sliding_attention", *config.text_config.layer_types[1:]]
    assert not _looks_back_only(config)
