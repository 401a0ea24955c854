"""tinyrs/sharecard.py: a comparison as one picture."""

from __future__ import annotations

import pytest
from PIL import Image, ImageFont

from tests.pages import harbour
from tinyrs.example import Answer, Question, Task
from tinyrs.parse import parse
from tinyrs.sharecard import WIDTH, lines, share_card
from tinyrs.shown import Shown


def shown(question: str = "Where is the ship?", a: str = "[[120,300,380,560]]", b: str = "no ship") -> Shown:
    return Shown(
        "", "harbour.png", "0" * 64, (320, 240), (), Question(question, Task.GROUNDING), {"A": "pocket", "B": "pocket-r1"},
        {"A": parse(a), "B": Answer(b, b, ("I look.", "Water."))},
    )  # fmt: skip


def colours(card: Image.Image) -> set:
    return {colour for _, colour in card.getcolors(2**24)}


def test_the_card_has_the_picture_its_boxes_and_both_sides():
    card = share_card(harbour(), shown())
    assert card.width == WIDTH and 300 < card.height < 900
    found = colours(card)
    assert (38, 72, 96) in found, "the water of the picture"
    assert {(0x3B, 0x8E, 0xFF), (0xFF, 0x9A, 0x3C)} <= found, "both sides' colours"
    assert card.getpixel((2, 2)) == (255, 255, 255) == card.getpixel((WIDTH - 2, card.height - 2))


def test_other_words_are_another_card():
    assert share_card(harbour(), shown()).tobytes() != share_card(harbour(), shown(b="a ship")).tobytes()


@pytest.mark.parametrize(
    "text", ["", " ", "x" * 20_000, "word " * 9_000, "مرفأ 港口 🛰️ \u202e\x00", "<b>&amp;"]
)
def test_any_text_gives_a_card_of_a_size_that_can_be_sent(text):
    card = share_card(harbour(), shown(question=text, b=text))
    assert card.width == WIDTH and card.height < 1600


@pytest.mark.parametrize("size", [(28, 28), (3000, 60), (60, 3000)])
def test_any_picture_gives_a_card(size):
    assert (
        share_card(harbour(*size) if min(size) > 60 else Image.new("RGB", size, "red"), shown()).width
        == WIDTH
    )


def test_lines_are_broken_at_spaces_and_in_words_that_are_too_long():
    font = ImageFont.load_default(20)
    found = lines("a long sentence about ships " + "x" * 200, font, 200, 50)
    assert all(font.getlength(line) <= 200 for line in found) and "".join(found).count("x") == 200
    assert len(lines("word " * 500, font, 200, 3)) == 3 and lines("word " * 500, font, 200, 3)[-1].endswith(
        "…"
    )
    assert lines("", font, 200, 3) == []
