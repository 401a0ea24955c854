"""Questions made by rule are true of the view that they are asked of, and so is their reasoning."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tinyrs.checks import check
from tinyrs.example import Box, Example, Task
from tinyrs.metrics import score
from tinyrs.parse import parse
from tinyrs.prompt import guess_task, target
from tinyrs.sources import ORDERS
from tinyrs.strictjson import BadData
from training.pocket import questions
from training.pocket.pictures import Known, Mixed
from training.pocket.rows import MAKERS, VariedRows
from training.pocket.views import view_of

COLOURS = {"ship": 250, "vehicle": 130}


def harbour() -> Known:
    """A black picture with three grey rectangles: two ships of one brightness and a vehicle of another."""
    pixels = np.zeros((300, 400, 3), np.uint8)
    boxes = []
    for name, (x1, y1, x2, y2) in (
        ("ship", (20, 30, 100, 70)),
        ("ship", (220, 40, 340, 120)),
        ("vehicle", (150, 200, 200, 260)),
    ):
        pixels[y1:y2, x1:x2] = COLOURS[name]
        boxes.append(Box.from_pixels(x1, y1, x2, y2, 400, 300, name))
    return Known(pixels, "test", "port", ("two ships lie in the water .",), tuple(boxes), complete=True)


def asked(name: str, known: Known, seed: int):
    """What a maker asks of a view of `known`."""
    rng = np.random.default_rng(seed)
    return MAKERS[name](view_of(known, rng, name), rng)


def rows(name: str, count: int = 40):
    found = [row for seed in range(count) if (row := asked(name, harbour(), seed)) is not None]
    assert found, f"{name} made nothing"
    return found


def brightness(row, box: Box) -> float:
    """Median brightness under a box; light() changes it, the order stays."""
    height, width = row.pixels.shape[:2]
    x1, y1, x2, y2 = (round(v) for v in box.to_pixels(width, height))
    return float(np.median(row.pixels[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1]))


def test_a_located_box_lies_on_the_object_that_the_phrase_means():
    for row in rows("locate"):
        (box,) = parse(row.answer).boxes
        ground = float(np.median(row.pixels))
        assert brightness(row, box) > ground + 40, row.question.text
        spoken = re.findall(r"around (\d+) across and (\d+) down", row.reasoning)[-1]
        middle = ((box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2)
        assert all(abs(int(said) - true) <= 10 for said, true in zip(spoken, middle, strict=True))


def test_a_count_is_the_number_of_objects_that_the_reasoning_lists():
    for row in rows("count"):
        listed = len(re.findall(r"\d+ across and \d+ down", row.reasoning))
        assert listed == int(row.answer), row.reasoning


def test_presence_is_asked_as_often_of_what_is_there_as_of_what_is_not():
    answers = [row.answer for row in rows("presence", 300)]
    assert 0.35 < answers.count("yes") / len(answers) < 0.65
    for row in rows("presence"):
        name = re.search(r"an? (.+) in the image", row.question.text)[1]
        assert (row.answer == "yes") == (name in COLOURS)


def test_a_view_that_cuts_an_object_is_not_counted_in():
    known = harbour()
    for seed in range(200):
        row = asked("count", known, seed)
        if row is not None and "ships" in row.question.text:
            assert int(row.answer) == len(re.findall("one at|I see one", row.reasoning))


def test_the_label_is_among_the_classes_that_the_question_lists():
    labels = ["airport", "beach", "port", "river", "school"]
    seen = set()
    for seed in range(60):
        row = questions.classify(harbour(), np.random.default_rng(seed), labels=labels)
        assert row.answer == "port" and row.answer in row.question.labels
        assert guess_task(row.question.text) == (Task.CLASSIFICATION, row.question.labels)
        seen.add(row.question.labels)
    assert tuple(labels) in seen and len(seen) > 5


@pytest.mark.parametrize("name", ["classify", "locate", "count", "presence"])
def test_what_a_thinking_model_is_taught_is_well_formed_right_and_passes_the_checks(name):
    for row in rows(name):
        said = parse(target(row.reasoning, row.answer), thinking=True)
        assert said.well_formed, said.problems
        example = Example(None, row.question, row.answer, parse(row.answer).boxes)
        assert score(example, said).value == 1.0
        findings = check(row.question, row.reasoning, row.answer)
        assert not findings, (row.reasoning, row.answer, findings)


def test_a_row_depends_on_seed_epoch_and_index_alone():
    def made(seed=0, epoch=0):
        varied = VariedRows([harbour()], {"locate": 0.5, "classify": 0.5}, 12, True, seed)
        varied.set_epoch(epoch)
        return [(row["completion"], row["image"].tobytes()) for row in (varied[i] for i in range(12))]

    assert made() == made()
    assert made() != made(epoch=1)
    assert made() != made(seed=1)


def test_questions_of_a_row_are_about_one_view_and_no_two_are_the_same():
    varied = VariedRows([harbour()], {"locate": 0.4, "whereabouts": 0.3, "count": 0.3}, 40, False, 0, together=4)
    sizes = set()
    for index in range(40):
        made = varied.questions(index)
        sizes.add(len(made))
        assert len({row.question.text for row in made}) == len(made) <= 4
        assert all(row.pixels is made[0].pixels for row in made)
        for row in made:
            for box in parse(row.answer).boxes:
                assert brightness(row, box) > float(np.median(row.pixels)) + 40
        row = varied[index]
        assert len(row.get("others", ())) == len(made) - 1
        assert varied.make(index).question == made[0].question
    assert max(sizes) == 4


def test_a_turned_view_is_not_asked_about_its_sides():
    published = tuple((f"Is there a {thing}?", "yes", "presence") for thing in ("road", "house on the left of a road"))
    known = Known(np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5, "rsvqa_LR", questions=published)
    told = Counter()
    for seed in range(60):
        view = view_of(known, np.random.default_rng(seed), "published")
        told[len(view.questions)] += 1
        if len(view.questions) == 2:  # a corner stays where it was, whatever the light
            assert view.pixels[0, 0].sum() == min(view.pixels[y, x].sum() for y in (0, 3) for x in (0, 3))
    assert set(told) == {1, 2}


def test_scenes_are_asked_about_with_several_lists():
    varied = VariedRows([harbour(), replace(harbour(), label="beach")], {"classify": 1.0}, 8, False, 0, together=4)
    assert {len(varied.questions(index)) for index in range(8)} <= {1, 2}


def test_shares_are_kept_and_questions_that_no_picture_can_carry_are_left_out():
    varied = VariedRows([harbour()], {"classify": 3, "count": 1, "published": 5}, 400, False)
    counts = varied.counts(400)
    assert set(counts) == {"classify", "count"}
    assert 0.65 < counts["classify"] / 400 < 0.9


def test_pictures_that_carry_no_such_question_are_one_sentence_and_not_tried_for_ever():
    # It has boxes, so it looks fit to be asked about; but no phrase means one of two that lie on each other.
    twice = (Box(400, 400, 600, 600, "ship"),) * 2
    known = Known(np.zeros((64, 64, 3), np.uint8), "test", boxes=twice)
    with pytest.raises(BadData, match="None of the 1 pictures carries such questions"):
        VariedRows([known], {"locate": 1.0}, 4, False)
    rows = VariedRows([known], {"locate": 1.0, "locate_all": 1.0}, 4, False)
    assert set(rows.counts()) == {"locate_all"}


@pytest.mark.parametrize("name", ["locate", "locate_all"])
def test_every_number_of_a_box_is_told_whose_it_is(name):
    for row in rows(name):
        told = [int(number) for number in re.findall(r"\d+", row.reasoning + row.answer)]
        assert len(told) == len(row.spoken)
        for number, box in zip(told, row.spoken, strict=True):
            fit = (*box.corners(), (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2)
            assert min(abs(number - each) for each in fit) <= 10
        last = [tuple(box.corners()) for box in parse(row.answer).boxes]
        assert [tuple(questions.snap(box).corners()) for box in row.spoken[-4 * len(last) :: 4]] == last


def test_both_corners_are_told_in_the_order_of_the_box():
    for row in rows("locate"):
        told = [int(number) for number in re.findall(r"\d+", row.reasoning)[-4:]]
        assert [tuple(told)] == [tuple(box.corners()) for box in parse(row.answer).boxes]


def test_made_pictures_are_shown_less_often_than_real_ones_however_many_there_are():
    def known(source: str) -> Known:
        return Known(np.zeros((4, 4, 3), np.uint8), source)

    rng = np.random.default_rng(0)
    mixed = Mixed([known("nwpu_vhr10"), *[known("pasted")] * 50, *[known("drawn")] * 50])
    shown = Counter(mixed.draw(rng).source for _ in range(2000))
    assert 0.55 < shown["nwpu_vhr10"] / 2000 < 0.65 and shown["pasted"] > 1.5 * shown["drawn"]
    mostly = Mixed([*[known("aid")] * 90, *[known("drawn")] * 10])
    assert Counter(mostly.draw(rng).source for _ in range(500))["aid"] > 425
    assert not Mixed([]) and Mixed([known("drawn")]).draw(rng).source == "drawn"


def test_who_is_asked_for_the_leftmost_one_names_it_first():
    boxes = (
        Box(600, 100, 700, 160, "ship"),
        Box(100, 700, 190, 780, "ship"),
        Box(350, 350, 600, 560, "ship"),
    )
    known = Known(np.full((200, 200, 3), 90, np.uint8), "drawn", boxes=boxes, complete=True)
    related = set()
    for seed in range(60):
        row = asked("locate", known, seed)
        listed = re.findall(r"one at (\d+) across and (\d+) down", row.reasoning) if row else []
        if not listed:  # a crop left one of them alone, or none of which it can be said
            continue
        (target,) = parse(row.answer).boxes
        middle = ((target.x1 + target.x2) / 2, (target.y1 + target.y2) / 2)
        assert max(abs(float(a) - b) for a, b in zip(listed[0], middle, strict=True)) <= 10
        related |= {word for word in ORDERS if word in row.question.text}
    assert related == set(ORDERS)
