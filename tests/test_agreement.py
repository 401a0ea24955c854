"""Agreement against values computed by hand."""

import pytest

from annotate.agreement import Agreement, Compared, agreement, alpha, box_overlap, by, edit_distance, kappa
from tinyrs.example import Box


@pytest.mark.parametrize(
    ("pairs", "value"),
    [
        # The textbook table: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no. Observed 35/50 = 0.7; by chance
        # 25/50 * 30/50 + 25/50 * 20/50 = 0.5; (0.7 - 0.5) / (1 - 0.5) = 0.4.
        ([("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15, 0.4),
        ([("ok", "ok"), ("wrong", "wrong")], 1.0),
        ([("ok", "wrong"), ("wrong", "ok")], -1.0),  # observed 0, by chance 0.5
        ([("ok", "ok"), ("ok", "wrong"), ("wrong", "ok"), ("wrong", "wrong")], 0.0),
        # Three labels: observed 2/3; by chance (1*1 + 1*1 + 1*1) / 9 = 1/3 with one swapped pair of labels:
        # first ok, wrong, unsupported; second ok, unsupported, unsupported. Chance: (1*1 + 1*0 + 1*2) / 9 = 1/3.
        ([("ok", "ok"), ("wrong", "unsupported"), ("unsupported", "unsupported")], 0.5),
        ([("ok", "ok")] * 7, None),  # chance alone would agree
        ([], None),
    ],
)
def test_kappa(pairs, value):
    assert kappa(pairs) == (None if value is None else pytest.approx(value))


def test_alpha_of_any_number_of_people_some_of_whom_were_silent():
    # The example of Krippendorff 2011, four observers and twelve units: 0.743 for nominal data.
    said = ("123321412...", "12332241 25.3".replace(" ", ""), ".33323422 51.".replace(" ", ""), "123324412 51.".replace(" ", ""))
    units = [[one[i] for one in said if one[i] != "."] for i in range(12)]
    assert alpha(units) == pytest.approx(0.743, abs=0.0005)
    assert alpha([["ok", "ok", "ok"], ["wrong", "wrong"]]) == 1.0
    assert alpha([["ok", "ok"]] * 9) is alpha([["ok"], []]) is alpha([]) is None


@pytest.mark.parametrize(
    ("one", "other", "value"),
    [
        ("a b c d", "a b c d", 0.0),
        ("a b c d", "a x c d", 0.25),  # one word of four replaced
        ("a b c", "a b c d", 0.25),  # one added
        ("a b", "c d", 1.0),
        ("kitten sat on it", "on it", 0.5),
        ("", "", 0.0),
        ("", "a", 1.0),
        ("a  b\nc", "a b c", 0.0),  # layout is no edit
    ],
)
def test_edit_distance(one, other, value):
    assert edit_distance(one, other) == edit_distance(other, one) == pytest.approx(value)


def test_a_hostile_text_costs_no_time():
    assert edit_distance("a " * 100_000, "b " * 100_000) == 1.0


@pytest.mark.parametrize(
    ("one", "other", "value"),
    [
        ([Box(0, 0, 100, 100)], [Box(0, 0, 100, 100)], 1.0),
        ([Box(0, 0, 100, 100)], [Box(50, 0, 150, 100)], 1 / 3),  # 5000 of 15000
        ([Box(0, 0, 100, 100)], [Box(0, 0, 100, 100), Box(500, 500, 600, 600)], 0.5),  # one without a partner
        ([Box(0, 0, 100, 100)], [], 0.0),
        ([], [], None),
    ],
)
def test_box_overlap(one, other, value):
    assert box_overlap(one, other) == (None if value is None else pytest.approx(value))


def test_the_numbers_of_groups_come_with_their_n():
    box, half = [Box(0, 0, 100, 100)], [Box(0, 0, 50, 100)]
    rows = [
        Compared("Ann", "Bob", "grounding", (("ok", "ok"), ("wrong", "ok")), (box, half), ("a b", "a c")),
        Compared("Ann", "Bob", "vqa", (("wrong", "wrong"),), None, ("a", "a")),
        Compared("Cem", "gold", "vqa", (), None, None),
    ]
    # kappa of Ann: observed 2/3; first ok, wrong, wrong; second ok, ok, wrong: by chance (1*2 + 2*1) / 9 = 4/9;
    # (2/3 - 4/9) / (5/9) = 0.4.
    numbers = by(rows, lambda row: row.by)
    assert numbers["Ann"] == Agreement(
        3, pytest.approx(0.4), pytest.approx(2 / 3), 1, pytest.approx(0.5), 2, pytest.approx(0.25)
    )
    assert numbers["Cem"] == Agreement(0, None, None, 0, None, 0, None)
    assert list(by(rows, lambda row: row.kind)) == ["grounding", "vqa"]
    assert agreement([]) == Agreement(0, None, None, 0, None, 0, None)
