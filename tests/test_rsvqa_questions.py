"""RSVQA's questions as the pocket pair learns them: what is reasoned and what is made from the published counts."""

from __future__ import annotations

import re

import numpy as np
import pytest

from training.pocket import rsvqa
from training.pocket.pictures import Known


@pytest.mark.parametrize(
    ("text", "answer", "counted"),
    [
        ("Are there more roads than forests?", "yes", True),  # 9 > 4
        ("Are there less roads than forests in the image?", "no", True),
        ("Is the number of roads equal to the number of forests?", "no", True),
        (
            "Are there more roads than forests?",
            "no",
            False,
        ),  # the set contradicts itself: no count leads there
        ("Are there more roads than farms?", "yes", False),  # nobody counted farms
    ],
)
def test_a_comparison_is_reasoned_from_counts_only_where_they_lead_to_the_answer(text, answer, counted):
    asked = (
        ("What is the number of roads?", "9", "count"),
        ("What is the amount of forests?", "4", "count"),
        (text, answer, "comp"),
    )
    known = Known(np.zeros((64, 64, 3), np.uint8), "test", questions=asked)
    found = [rsvqa.published(known, np.random.default_rng(seed)) for seed in range(30)]
    reasonings = {row.reasoning for row in found if (row.question.text, row.answer) == (text, answer)}
    assert ("I count 9 roads and 4 forests." in reasonings) == counted


COUNTED = {"roads": 9, "small water areas": 0, "buildings next to a  road": 4, "forests": 4}


@pytest.mark.parametrize("seed", range(40))
def test_what_is_asked_from_counts_is_true_of_them(seed):
    rng = np.random.default_rng(seed)
    text, answer = rsvqa.derived(COUNTED, "presence", rng)
    ones = {"road": 9, "small water area": 0, "building next to a  road": 4, "forest": 4}
    (thing,) = (one for one in ones if re.fullmatch(rf"Is (there )?a {one}( present)?( in the image)?\?", text))
    assert answer == ("yes" if ones[thing] else "no")

    text, answer = rsvqa.derived(COUNTED, "comp", rng)
    found = rsvqa._COMPARED.search(text)
    left, right = (COUNTED[each] for each in found.groups()[1:3] if each) if found[1] else (
        COUNTED[found[4]], COUNTED[found[5]]
    )
    assert answer == ("yes" if {"more": left > right, "less": left < right, None: left == right}[found[1]] else "no")


def test_counts_alone_make_no_other_kind_and_one_count_makes_nothing():
    rng = np.random.default_rng(0)
    assert rsvqa.derived(COUNTED, "count", rng) is None and rsvqa.derived(COUNTED, "area", rng) is None
    assert rsvqa.derived({"roads": 3}, "comp", rng) is None
