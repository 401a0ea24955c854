"""The ablations' rows at pocket scale: tasks that stay, rows that depend on nothing but their number, and questions."""

from collections import Counter

import numpy as np
import pytest

from tinyrs.benchmarks import read_evaluation
from tinyrs.example import Answer, Task
from tinyrs.metrics import score
from tinyrs.strictjson import BadData
from training.pocket import pictures
from training.pocket.pool import (
    BENCHMARKS,
    REWARDED,
    TASKS,
    TASKS_AS_THEY_COME,
    Pool,
    split,
    write_benchmarks,
)
from training.rewards import needs_judge


@pytest.fixture(scope="module")
def known():
    return pictures.drawn(range(12))


def pool(known, shares=TASKS_AS_THEY_COME, count=50, **values):
    return Pool(known, shares, count, **({"thinking": False, "seed": 0} | values))


def same(a, b):
    return (
        np.array_equal(np.asarray(a["image"]), np.asarray(b["image"]))
        and a["prompt"] == b["prompt"]
        and a["completion"] == b["completion"]
    )


def test_tasks_come_in_their_shares_and_stay_through_the_epochs(known):
    rows = pool(known, count=100)
    told = Counter(rows.tasks)
    # No drawn picture has RSVQA's questions, so 96 parts are left: 50, 30, 8, 4 and 4 of them.
    assert told == {"grounding": 52, "captioning": 31, "classification": 9, "vqa": 4, "counting": 4}
    rows.set_epoch(3)
    assert Counter(rows.tasks) == told
    for index in range(10):
        assert rows.make(index).question.task.value == rows.tasks[index]


def test_a_row_depends_on_seed_epoch_and_number_alone(known):
    rows, again, other = pool(known), pool(known), pool(known, seed=1)
    assert same(rows[7], again[7])
    again.set_epoch(1)
    assert not same(rows[7], again[7])
    assert any(not same(rows[index], other[index]) for index in range(3))


def test_the_identity_tells_seed_pictures_kinds_and_reasoning_apart(known):
    pools = [
        pool(known),
        pool(known, seed=1),
        pool(known[1:]),
        pool(known, thinking=True),
        pool(known, count=51),
        pool(known, asked=True),
    ]
    assert len({each.identity for each in pools}) == len(pools)
    assert pool(known).identity == pools[0].identity


def test_rows_of_stage_r_hold_truths_that_a_rule_can_judge(known):
    rows = pool(known, REWARDED, count=20, thinking=True, asked=True)
    assert set(rows.tasks) == {"classification", "grounding", "vqa", "counting"}
    for index in range(len(rows)):
        example = rows[index]["example"]
        assert not needs_judge(example) and "completion" not in rows[index]
        assert bool(example.boxes) == (example.question.task is Task.GROUNDING)
        right = Answer(raw=example.answer, text=example.answer, boxes=example.boxes)
        assert score(example, right).value == 1.0


def test_every_maker_has_a_task():
    shares = [TASKS_AS_THEY_COME, REWARDED, *(makers for _, makers in BENCHMARKS.values())]
    assert {name for each in shares for name in each} <= set(TASKS)


def test_no_picture_of_stage_r_is_seen_by_the_others(known):
    taught, rewarded = split(known, 3)
    assert len(taught) + len(rewarded) == len(known) and taught and rewarded
    assert not {id(each) for each in taught} & {id(each) for each in rewarded}
    # It goes by content, so the order does not matter.
    again = split(known[::-1], 3)
    assert {id(each) for each in again[1]} == {id(each) for each in rewarded}


def test_pictures_that_carry_no_question_are_one_sentence(known):
    with pytest.raises(BadData, match="None of the 0 pictures"):
        pool([])


def test_benchmarks_are_the_published_layout_and_the_same_whenever_they_are_made(known, tmp_path):
    files = write_benchmarks(known, tmp_path / "a", 5)
    again = write_benchmarks(known, tmp_path / "b", 5)
    assert {path.stem: kind for path, kind in files.items()} == {name: kind for name, (kind, _) in BENCHMARKS.items()}
    for path, other in zip(files, again, strict=True):
        assert path.read_bytes() == other.read_bytes()
        examples = read_evaluation(path, files[path])
        assert len(examples) == 5
        for example in examples:
            assert score(example, Answer(raw=example.answer, text=example.answer, boxes=example.boxes)).value == 1.0
    before = {path: path.stat().st_mtime_ns for path in files}
    assert write_benchmarks(known, tmp_path / "a", 5) == files
    assert {path: path.stat().st_mtime_ns for path in files} == before


def test_a_choice_offers_the_truth_once_among_four(known, tmp_path):
    path = next(path for path, kind in write_benchmarks(known, tmp_path, 8).items() if kind == "choice")
    examples = read_evaluation(path, "choice")
    for example in examples:
        assert example.question.labels == ("A", "B", "C", "D") and example.answer in "ABCD"
    assert len({example.answer for example in examples}) > 1
