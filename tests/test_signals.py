"""What speaks for looking at a caption: each sign with its weight, and the rank that they make."""

import pytest

from annotate import signals
from annotate.signals import CHECK, DISAGREE, FLAG, LAST, OVERLAP, signs
from tests.store_parts import ROOF, SCENE
from tinyrs.example import Question
from tinyrs.parse import parse

GREEN = "The fields in the middle are long and green, and no water or dock can be seen beside them."
BRIGHT = "A bright roof lies in the upper left, clearly lighter than the gray ground all around it."
BOX, FAR, NEAR = "[[80,100,470,520]]", "[[600,600,900,900]]", "[[90,100,470,520]]"


@pytest.mark.parametrize(
    ("question", "reasoning", "answer", "more", "bits"),
    [
        (SCENE, GREEN, "farmland", {}, 0),
        (SCENE, "", "farmland", {}, 0),  # a model that answers at once
        (SCENE, GREEN + " So it is a port.", "farmland", {}, CHECK),
        (SCENE, GREEN, "desert", {}, CHECK),  # none of the classes
        (SCENE, GREEN, "farmland", {"given": "port"}, CHECK),
        (SCENE, GREEN, "farmland", {"given": "Farmland."}, 0),
        (SCENE, GREEN, "farmland", {"other": parse("port")}, DISAGREE),
        (SCENE, GREEN, "farmland", {"other": parse("Farmland")}, 0),
        (SCENE, GREEN, "farmland", {"other": parse("")}, 0),  # it wrote nothing
        (Question("Describe it."), GREEN, "Fields.", {"other": parse("A few fields.")}, 0),
        (ROOF, BRIGHT, BOX, {"other": parse(FAR)}, OVERLAP),
        (ROOF, BRIGHT, BOX, {"other": parse(NEAR)}, 0),
        (ROOF, BRIGHT, BOX, {"other": parse("at the left")}, DISAGREE),
        (ROOF, BRIGHT, BOX, {"given": FAR}, CHECK | OVERLAP),
        (SCENE, GREEN, "farmland", {"flagged": "other"}, FLAG),
        (SCENE, GREEN, "desert", {"flagged": "other", "other": parse("port")}, CHECK | FLAG | DISAGREE),
    ],
)
def test_signs(question, reasoning, answer, more, bits):
    found = signs(question, reasoning, answer, **more)
    assert signals.rank(found) == LAST & ~bits, found
    assert [sign.bit for sign in found] == sorted((sign.bit for sign in found), reverse=True)
    assert signals.why(found).count("\n") == max(len(found) - 1, 0)


def test_one_sort_of_sign_counts_once_and_the_heavier_sort_wins():
    check = [signals.Sign(CHECK, "a"), signals.Sign(CHECK, "b")]
    rest = [signals.Sign(DISAGREE, "c"), signals.Sign(FLAG, "d"), signals.Sign(OVERLAP, "e")]
    assert signals.rank(check) == signals.rank(check[:1]) < signals.rank(rest)
    assert signals.rank(check + rest) == 0 and signals.rank([]) == LAST
    assert FLAG == 2, "the migration that makes the trigger knows it"
