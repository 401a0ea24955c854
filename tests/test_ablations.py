"""The paper's ablation tables as values, and their arithmetic against values by hand."""

import math

import pytest

from training.ablations import (
    CHANGES,
    COLUMNS,
    OPPOSITE,
    REPEATS,
    STAGES,
    TABLES,
    WITHIN,
    Measure,
    build,
    change,
    difference,
    markdown,
)
from training.suite import AVERAGES, PAPER, SYSTEMS


def even(share, half=0.1, n=100):
    """A share whose interval reaches as far down as up."""
    return Measure(share, (share - half, share + half), n)


# ---- the paper


def test_rows_that_stand_in_several_tables_have_the_same_numbers_everywhere():
    seen = {}
    for table in TABLES.values():
        for row in table.rows:
            assert seen.setdefault(row.steps, row.paper) == row.paper
    assert len(seen) == 8 + 2 + 2


@pytest.mark.parametrize("system, steps", [("tinyrs-r1", ("P", "S", "C", "R")), ("tinyrs", ("P", "S"))])
def test_the_two_models_have_the_numbers_of_table_1(system, steps):
    paper = next(row.paper for row in TABLES[2].rows if row.steps == steps)
    told = {benchmark.title: benchmark.paper[system] for benchmark in PAPER}
    averages = [AVERAGES[name][SYSTEMS.index(system)] for name in ("classification", "VQA")]
    assert list(paper) == [*averages, told["RSVG-DIOR"], told["LHRS-Bench"]]


def test_table_2_switches_each_stage_on_and_off_and_knows_cold_grpo():
    steps = {row.steps for row in TABLES[2].rows}
    assert {("R",), (), ("S",), ("P", "C")} < steps
    assert all(each == tuple(letter for letter in "PSCR" if letter in each) for each in steps)


def test_every_step_is_a_stage_and_a_known_change():
    steps = {step for table in TABLES.values() for row in table.rows for step in row.steps}
    assert {change(step)[0] for step in steps} == set(STAGES)
    assert {step.partition(" ")[2] for step in steps} == set(CHANGES)
    assert change("R binary") == ("R", {"reward": "binary"})


@pytest.mark.parametrize("number", TABLES)
def test_neighbours_are_compared(number):
    pairs = {(first, second) for first, second, _ in TABLES[number].pairs}
    rows = range(len(TABLES[number].rows) - 1)
    # Rows 2 and 3 of table 4 differ in model and in balance: their difference says nothing.
    assert {(at, at + 1) for at in rows} - ({(1, 2)} if number == 4 else set()) <= pairs


# ---- arithmetic


def test_mean_spread_and_interval_of_a_cell_by_hand():
    measured = {0: {seed: {"VQA": even(share)} for seed, share in enumerate((0.5, 0.6, 0.7))}}
    told = build(4, measured, {})["rows"][0]["ours"]
    assert told["CLS"] is None
    # Deviation 0.1; t(2) = 4.303; 4.303 * 0.1 / sqrt 3 = 0.2484; with 0.1 of the questions: 0.2678.
    assert told["VQA"]["mean"] == pytest.approx(0.6) and told["VQA"]["spread"] == pytest.approx(0.1)
    assert told["VQA"]["interval"] == pytest.approx([0.3322, 0.8678], abs=1e-4)
    assert (told["VQA"]["seeds"], told["VQA"]["n"]) == (3, 100)


def test_one_seed_has_no_spread_and_the_interval_of_its_questions_alone():
    told = build(4, {0: {7: {"VQA": even(0.6)}}}, {})["rows"][0]["ours"]["VQA"]
    assert told["spread"] is None and told["interval"] == pytest.approx([0.5, 0.7]) and told["seeds"] == 1


def test_the_row_that_trains_nothing_has_no_spread():
    none = len(TABLES[2].rows) - 1
    told = build(2, {none: {seed: {"VQA": even(0.3)} for seed in (0, 1)}}, {})["rows"][none]["ours"]["VQA"]
    assert told["spread"] is None and told["seeds"] == 0 and told["interval"] == pytest.approx([0.2, 0.4])


@pytest.mark.parametrize(
    "first, second, paper, verdict",
    [
        ((0.9,), (0.3,), 1.5, REPEATS),
        ((0.9,), (0.3,), -1.5, OPPOSITE),
        ((0.3,), (0.9,), -1.5, REPEATS),
        ((0.6,), (0.5,), 1.5, WITHIN),  # 10 points, and the questions allow 14.1
        ((0.65,), (0.5,), 1.5, REPEATS),  # 15 points
        ((0.95, 0.55), (0.5, 0.5), 1.5, WITHIN),  # two seeds that do not agree
        ((0.9, 0.9), (0.3, 0.3), 0.0, OPPOSITE),  # the paper saw none at all
    ],
)
def test_the_verdict_on_a_difference(first, second, paper, verdict):
    pairs = [(even(a), even(b)) for a, b in zip(first, second, strict=True)]
    assert difference(pairs, paper)["verdict"] == verdict


def test_a_difference_by_hand_is_taken_seed_by_seed():
    # Seeds move both rows alike, so the difference is steadier than either: 20, 21, 22 points.
    pairs = [(even(0.5, 0.03), even(0.3, 0.04)), (even(0.71, 0.03), even(0.5, 0.04)), (even(0.92, 0.03), even(0.7, 0.04))]
    told = difference(pairs, 5.0)
    assert told["ours"] == 21.0 and told["seeds"] == 3
    half = math.hypot(5.0, 4.303 / math.sqrt(3))  # the questions: hypot(3, 4); the seeds: t * 1 / sqrt 3
    assert told["interval"] == [round(21 - half, 2), round(21 + half, 2)]


def test_only_seeds_that_both_rows_have_are_compared():
    measured = {0: {0: {"VQA": even(0.9)}, 1: {"VQA": even(0.1)}}, 1: {0: {"VQA": even(0.3)}}}
    told = build(4, measured, {})["differences"][0]["columns"]
    assert told["VQA"]["ours"] == 60.0 and told["VQA"]["seeds"] == 1
    assert told["VQA"]["paper"] == 2.7 and told["VQA"]["verdict"] == REPEATS
    assert told["CLS"] == {"ours": None, "interval": None, "paper": 0.5, "verdict": None, "seeds": 0}


def test_every_verdict_is_counted_also_what_was_not_measured():
    measured = {0: {0: {"VQA": even(0.9), "grounding": even(0.9)}}, 1: {0: {"VQA": even(0.3), "grounding": even(0.2)}}}
    counts = build(4, measured, {})["counts"]
    assert counts == {REPEATS: 1, OPPOSITE: 1, WITHIN: 0, "not measured": 6}


def test_the_page_sets_ours_beside_the_papers_and_names_what_does_not_repeat():
    measured = {0: {0: {"VQA": even(0.9), "grounding": even(0.9)}}, 1: {0: {"VQA": even(0.3), "grounding": even(0.2)}}}
    about = {"setting": {"base": "<b>|"}, "chance": {"VQA": 0.5}}
    page = markdown(build(4, measured, about))
    assert "| TinyRS, balanced | - | 81.0 | 90.0 (80.0-100.0) | 83.5 |" in page
    assert "| chance | - |  | 50.0 |" in page and "base: &lt;b&gt;&#124;" in page
    assert "+60.0 (+45.9 to +74.1) / +2.7: **repeats**" in page
    assert "Of 8 differences: 1 repeats, 1 opposite, 6 not measured." in page
    assert "Repeat: balancing TinyRS on VQA." in page
    assert "the other one: balancing TinyRS on Ground.\n" in page
    assert len(COLUMNS) == 4
