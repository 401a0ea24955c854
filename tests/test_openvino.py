"""The OpenVINO engine: streams, batches, keeps pictures, stops, fails, as the protocol says. Real graphs, random weights.

`dictate` puts other logits in the place of those that the graph gave, so that it writes what a test wants to see.
"""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest
from PIL import Image

from bench import parity
from bench.follow_up import QUESTIONS, pictures
from tests.openvino_parts import converted
from tests.serving import serving
from tinyrs import local, openvino
from tinyrs.engine import EngineFailure, Options, open_engine
from tinyrs.example import Answer, Box, Example, Question, Task
from tinyrs.models import replace, resolve
from tinyrs.openvino import OpenVINOEngine
from tinyrs.tokens import Row
from training.evaluate import main as evaluate

WHERE = Question("Identify the location of the ship.", Task.GROUNDING)
WHAT = Question("What is the colour of the roof next to the long road?", Task.VQA)

__all__ = ["converted"]  # a fixture


@pytest.fixture(scope="module")
def engine(converted):
    """One engine for the tests that leave it as it was."""
    return OpenVINOEngine(resolve(str(converted)))


@pytest.fixture
def dictate(engine, monkeypatch):
    """An engine that writes a text, or the texts of a batch. Steps that are callable are called before their word."""

    def set_up(*rows, **spec):
        tokenizer = engine.processor.tokenizer
        written = [
            [*(tokenizer.encode(row, add_special_tokens=False) if isinstance(row, str) else row), tokenizer.eos_token_id]
            for row in rows
        ]
        steps = {}
        real = openvino._Writing._step

        def step(self, *arguments):
            logits = np.full_like(real(self, *arguments), -100.0)
            steps[id(self)] = number = steps.get(id(self), -1) + 1
            for place, row in enumerate(self.left):
                token = written[row][min(number, len(written[row]) - 1)]
                if callable(token):
                    token()
                logits[place, 5 if callable(token) else token] = 100.0
            return logits

        monkeypatch.setattr(openvino._Writing, "_step", step)
        monkeypatch.setattr(engine, "spec", replace(engine.spec, **spec))
        return engine

    return set_up


def last(engine, picture, question=WHERE, options=Options(max_new_tokens=8), **kwargs):
    return list(engine.stream(picture, question, options, **kwargs))[-1]


def told(reply) -> tuple:
    return reply.text, reply.tokens, reply.finished, reply.truncated


# --- answers ----------------------------------------------------------------------------------------------


def test_an_answer_grows_and_ends_at_its_budget(engine, picture):
    replies = list(engine.stream(picture, WHERE, Options(max_new_tokens=12)))
    assert [reply.finished for reply in replies] == [False] * (len(replies) - 1) + [True]
    assert all(b.text.startswith(a.text) for a, b in zip(replies, replies[1:], strict=False))
    end = replies[-1]
    assert end.truncated and end.tokens == 12 and 0 < end.first_token <= end.seconds


def test_the_pocket_pair_answers_nearly_as_in_full_precision(tmp_path):
    from tinyrs.convert import convert

    convert("pocket", tmp_path / "int8")
    pairs = [(picture, question) for picture in pictures(5) for question in QUESTIONS]
    whole, small = (open_engine(name).batch(pairs) for name in ("pocket", str(tmp_path / "int8")))
    assert sum(a.text == b.text for a, b in zip(whole, small, strict=True)) >= 0.8 * len(pairs)


def test_a_batch_answers_each_pair_as_if_it_were_alone(engine, picture):
    wide = Image.effect_noise((280, 90), 80).convert("RGB")
    pairs = [(picture, WHERE), (wide, WHAT), (picture, Question("Why?")), (wide, WHERE)]
    engine.prefixes.clear()
    together = engine.batch(pairs, Options(max_new_tokens=8))
    assert [told(reply) for reply in together] == [told(last(engine, *pair)) for pair in pairs]
    assert engine.batch([]) == []


def test_rows_that_are_done_are_no_longer_computed(dictate, picture, monkeypatch):
    sizes = []
    real = openvino._Graphs.step
    monkeypatch.setattr(
        openvino._Graphs, "step", lambda self, *given: sizes.append(len(given[3])) or real(self, *given)
    )
    texts = ["yes", "no", "a road beside a long road", "yes"]
    engine = dictate(*texts)
    engine.prefixes.clear()
    replies = engine.batch([(picture, Question(f"Is there a road? {each}")) for each in "abcd"])
    # The longest question is answered first; these have one length, so the order is that of the rows.
    assert [reply.text for reply in replies] == texts
    assert sizes[:2] == [1, 4] and sizes[-1] == 1 and sizes[2:] == sorted(sizes[2:], reverse=True)


def test_what_is_left_of_a_batch_goes_on_as_if_it_were_alone(engine, picture):
    """The rows of the state are those of the answers that go on, not the first ones."""
    wide = Image.effect_noise((280, 90), 80).convert("RGB")
    pairs = [(picture, WHAT), (wide, WHERE), (picture, WHERE)]
    alone = [last(engine, *pair, Options(max_new_tokens=9)) for pair in pairs]
    rows = [
        Row(engine.processor.tokenizer, engine.spec, Options(9), engine._ends, 0.0, limit) for limit in (3, 9, 9)
    ]
    engine._generate(pairs, engine.spec, Options(9), rows, threading.Event(), None)
    assert [len(row.ids) for row in rows] == [3, 9, 9]
    assert [row.text for row in rows[1:]] == [reply.text for reply in alone[1:]]


def test_an_answer_ends_at_its_tag_its_stop_and_its_end_token(dictate, picture):
    engine = dictate("<reasoning> r </reasoning> <answer> 4 </answer> and on", thinking=True)
    assert last(engine, picture, options=Options(64)).text.endswith("</answer>")
    engine = dictate("one. two. three")
    reply = last(engine, picture, options=Options(64, stop=(". t",)))
    assert (reply.text, reply.finished, reply.truncated) == ("one", True, False)
    reply = last(dictate("yes"), picture, options=Options(64))
    assert told(reply)[0] == "yes" and reply.finished and not reply.truncated


def test_sampling_repeats_with_its_seed_alone_and_in_a_batch(engine, picture):
    def warm(seed):
        return Options(max_new_tokens=8, temperature=1.5, seed=seed)

    first = last(engine, picture, options=warm(1)).text
    assert last(engine, picture, options=warm(1)).text == first != last(engine, picture, options=warm(2)).text
    assert [reply.text for reply in engine.batch([(picture, WHERE)] * 2, warm(1))] == [first] * 2


def test_fewer_pixels_are_fewer_tokens(engine, picture):
    large = picture.resize((280, 280))
    engine.prefixes.clear()
    assert not last(engine, large).kept and last(engine, large).kept
    assert not last(engine, large, options=Options(8, max_pixels=engine.spec.min_pixels)).kept


# --- what is kept of a picture ----------------------------------------------------------------------------


def test_follow_ups_get_the_answers_of_a_cold_run(engine):
    asked = [(picture, question) for picture in pictures(4) for question in QUESTIONS]
    engine.prefixes.clear()
    warm = [last(engine, *pair) for pair in asked]
    cold = [(engine.prefixes.clear(), last(engine, *pair))[1] for pair in asked]
    assert [told(reply) for reply in warm] == [told(reply) for reply in cold]
    assert [reply.kept for reply in warm] == ([False] + [True] * (len(QUESTIONS) - 1)) * 4
    assert not any(reply.kept for reply in cold)


def test_another_pictures_state_and_a_stale_position_would_be_noticed(engine, picture, monkeypatch):
    other = Image.effect_noise((280, 90), 80).convert("RGB")
    right = [told(last(engine, shown, WHAT)) for shown in (picture, other)]
    assert right[0] != right[1]
    engine.prefixes.clear()
    engine._known.clear()
    monkeypatch.setattr(local, "key_of", lambda *parts: b"the same for all")
    last(engine, other, WHAT)
    assert told(last(engine, picture, WHAT)) != right[0]
    (key, (seen, size)), = engine.prefixes._kept.items()
    engine.prefixes.put(key, seen._replace(after=seen.after + 40), size)
    assert told(last(engine, other, WHAT)) != right[1]
    engine.prefixes.clear(), engine._known.clear()


def test_the_bytes_are_bounded_and_nothing_kept_is_changed(converted):
    engine = OpenVINOEngine(resolve(str(converted)))
    made = list(pictures(6))
    first = told(last(engine, made[0]))
    one = engine.prefixes.bytes
    assert one > 0
    engine.prefixes.limit = int(2.5 * one)
    for picture in made:
        last(engine, picture)
        assert engine.prefixes.bytes <= engine.prefixes.limit
    assert told(last(engine, made[0])) == first
    seen = {key: {name: part.copy() for name, part in kept.state.items()} for key, (kept, _) in engine.prefixes._kept.items()}
    engine.batch([(made[0], QUESTIONS[0]), (made[5], QUESTIONS[3])], Options(8))
    for key, state in seen.items():
        kept = engine.prefixes.get(key)
        assert kept is None or all(np.array_equal(kept.state[name], part) for name, part in state.items())
    engine.close()
    assert engine.prefixes.bytes == 0
    with pytest.raises(EngineFailure, match="was closed"):
        last(engine, made[0])


@pytest.mark.parametrize("thinking", [False, True])
def test_visitors_with_different_pictures_do_not_disturb_each_other(converted, thinking):
    """One after the other, and together where a model thinks aloud."""
    engine = OpenVINOEngine(replace(resolve(str(converted)), thinking=thinking))
    asked = [(picture, question) for picture in pictures(4) for question in QUESTIONS[:2]]
    right = [told(last(engine, *pair)) for pair in asked]
    engine.prefixes.clear()
    found: dict[int, tuple] = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: told(last(engine, *asked[i]))})) for i in range(len(asked))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [found[i] for i in range(len(asked))] == right


# --- stopping and failing ---------------------------------------------------------------------------------


def test_cancelling_keeps_what_was_written_and_the_next_question_works(dictate, picture):
    cancelled = threading.Event()
    engine = dictate([20, 21, cancelled.set, *[22] * 200])
    replies = list(engine.stream(picture, WHERE, Options(200), cancelled))
    assert replies and not replies[-1].finished and replies[-1].tokens < 10
    assert last(dictate("yes"), picture).text == "yes"


def test_a_picture_that_is_no_longer_wanted_is_not_read_to_its_end(engine, picture, monkeypatch):
    """The computation itself is called off: nobody waits for 11 seconds of vision that nobody reads."""
    monkeypatch.setattr(openvino, "POLL", 0)
    stop = threading.Event()
    stop.set()
    grid, patches = np.array([1, 2, 2]), np.zeros((4, 1176), np.float32)
    monkeypatch.setattr(engine.model, "stop", stop)
    with pytest.raises(openvino.Stopped):
        engine.model._tokens(grid, patches)
    engine.model.stop = threading.Event()
    assert engine.model._tokens(grid, patches).shape[0] == 1
    assert last(engine, picture).finished


def test_a_failure_comes_after_the_words_before_it_and_the_next_question_works(dictate, picture, caplog):
    def fail():
        raise RuntimeError("secret detail")

    engine = dictate([20, 21, fail])
    texts = []
    with pytest.raises(EngineFailure) as error:
        for reply in engine.stream(picture, WHERE, Options(20)):
            texts.append(reply.text)
    assert "secret" not in str(error.value) and "secret" in caplog.text and texts
    assert engine.prefixes.bytes == 0
    assert last(dictate("yes"), picture).text == "yes"


def test_a_cancelled_stream_returns_soon(engine, picture):
    cancelled = threading.Event()
    replies = engine.stream(picture, WHERE, Options(100_000), cancelled)
    next(replies)
    cancelled.set()
    started = time.monotonic()
    assert all(not reply.finished for reply in replies) and time.monotonic() - started < 5


# --- behind the same names --------------------------------------------------------------------------------


def test_the_evaluation_and_the_server_take_it_by_its_folder(converted, picture, tmp_path):
    file = evaluation(tmp_path, picture)
    out = tmp_path / "out"
    assert evaluate(["--model", str(converted), "--data", str(file), "--kind", "cls", "--out", str(out)]) == 0
    assert json.loads((out / "scores.json").read_text())["n"] == 6
    with serving(open_engine(str(converted)), "int8") as address:
        there = open_engine(f"{address}#int8").batch([(picture, WHAT)], Options(8))[0]
    assert told(there) == told(open_engine(str(converted)).batch([(picture, WHAT)], Options(8))[0])


def evaluation(folder, picture):
    (folder / "cls").mkdir()
    rows = []
    for number in range(6):
        picture.rotate(30 * number).save(folder / "cls" / f"{number}.png")
        asked = "<image>\n{CLS} Classify the image within one of the given classes: port, river."
        talk = [{"from": "human", "value": asked}, {"from": "gpt", "value": "river"}]
        rows.append({"image": f"{number}.png", "conversations": talk})
    (folder / "cls.json").write_text(json.dumps(rows))
    return folder / "cls.json"


# --- parity -----------------------------------------------------------------------------------------------


def test_few_answers_prove_nothing_and_another_model_is_not_equal(converted, picture, tmp_path, capsys):
    asked = ["--data", str(evaluation(tmp_path, picture)), "--kind", "cls"]
    name = str(converted)
    assert parity.main([name, name, *asked]) == 1  # 6 of 6 agree, and that shows 61 %
    out = capsys.readouterr().out
    assert out.startswith("NOT EQUAL: 100.0 % of 6 answers agree") and "at least 95 %" in out
    assert parity.main([name, name, *asked, "--agreement", "0.6", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["equal"] and found["same_text"] == 1 and found["difference"] == [0, 0, 0]
    for wrong in ([name, "no-such-model", *asked], [name, name, "--data", "no.json", "--kind", "cls"]):
        assert parity.main(wrong) == 2
        assert capsys.readouterr().err.endswith(".\n")


@pytest.mark.parametrize(
    ("first", "second", "task", "same"),
    [
        ("Port.", "port", Task.CLASSIFICATION, True),
        ("port", "river", Task.CLASSIFICATION, False),
        ("", "port", Task.CLASSIFICATION, False),
        ("", "", Task.CLASSIFICATION, True),
        ("two", "2", Task.COUNTING, True),
        ("A road.", "A road!", Task.CAPTIONING, False),
        ("[[0,0,100,100]]", "[[0,0,100,90]]", Task.GROUNDING, True),
        ("[[0,0,100,100]]", "[[0,0,100,40]]", Task.GROUNDING, False),
        ("[[0,0,100,100]]", "none", Task.GROUNDING, False),
        ("none", "none", Task.GROUNDING, True),
    ],
)
def test_answers_agree_where_the_score_calls_one_right_by_the_other(first, second, task, same):
    example = Example("a.png", Question("What?", task), "anything", boxes=(Box(0, 0, 9, 9),) if task is Task.GROUNDING else ())
    a, b = (_answer(text) for text in (first, second))
    assert parity.agree(example, a, b) is same


def _answer(text: str) -> Answer:
    from tinyrs.parse import parse

    return parse(text)


def test_the_difference_counts_pairs():
    mean, low, high = parity.difference([(1.0, 1.0)] * 96 + [(1.0, 0.0)] * 3 + [(0.0, 1.0)])
    assert mean == pytest.approx(-0.02) and low < -0.02 < high and high - low < 0.1
