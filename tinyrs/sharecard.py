"""A comparison as one picture to send to somebody: the boxes, the question, both answers, which models gave them.

Drawn by Pillow with its own font, so it looks the same on every machine; letters that font lacks show as boxes.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from tinyrs.render import LOOKS, draw, plain
from tinyrs.shown import SIDES, Shown

WIDTH, MARGIN, GAP = 1200, 40, 32
PICTURE = 520
"""Pixels: the card, its margins, and the longest side of the picture on it."""

INK, MUTED, PAPER = "#1a222b", "#55616d", "#ffffff"
LINES = {"question": 6, "answer": 5, "reasoning": 7}
"""Most lines of each kind of text; what is longer ends in an ellipsis."""


def share_card(image: Image.Image, shown: Shown) -> Image.Image:
    """The card of a comparison that both sides have answered; `image` is the picture that was asked about."""
    picture = image.convert("RGB")
    scale = PICTURE / max(picture.size)
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    picture = draw(picture, shown.layers) if any(shown.layers.values()) else picture
    left = MARGIN + PICTURE + GAP
    card = Image.new("RGB", (WIDTH, 4000), PAPER)
    pen = ImageDraw.Draw(card)
    y = _text(pen, MARGIN, MARGIN - 10, "TinyRS", 26, INK, WIDTH, 1)
    card.paste(picture, (MARGIN + (PICTURE - picture.width) // 2, y + 12))
    at = _text(pen, left, y + 6, shown.question.text, 26, INK, WIDTH - MARGIN - left, LINES["question"]) + 18
    for side in SIDES:
        at = _side(pen, shown, side, left, at) + 20
    overlap = shown.overlap()
    if overlap is not None:
        at = _text(pen, left, at, f"Overlap of the boxes (IoU): {overlap:.2f}", 18, MUTED, WIDTH, 1)
    bottom = max(at, y + 12 + picture.height) + MARGIN
    return card.crop((0, 0, WIDTH, min(bottom, card.height)))


def _side(pen: ImageDraw.ImageDraw, shown: Shown, side: str, x: int, y: int) -> int:
    """One side's letter, model, reasoning and answer; returns where it ends."""
    answer, width = shown.answers.get(side), WIDTH - MARGIN - x - 44
    pen.rectangle((x, y + 2, x + 30, y + 32), fill=LOOKS[side].colour)
    pen.text((x + 15, y + 17), side, INK, _font(20), anchor="mm")
    y = _text(pen, x + 44, y + 4, shown.models.get(side, ""), 20, MUTED, width, 1) + 2
    if answer and answer.reasoning:
        y = _text(pen, x + 44, y, " ".join(answer.reasoning), 17, MUTED, width, LINES["reasoning"]) + 4
    said = shown.errors.get(side) or (answer.text if answer else "") or "No answer was written."
    return _text(pen, x + 44, y, said, 24, INK, width, LINES["answer"])


def _text(
    pen: ImageDraw.ImageDraw, x: int, y: int, text: str, size: int, ink: str, width: int, most: int
) -> int:
    """Write `text` in lines of at most `width` pixels; returns the y below the last."""
    font = _font(size)
    for line in lines(text, font, width, most):
        pen.text((x, y), line, ink, font)
        y += round(size * 1.35)
    return y


def lines(text: str, font: ImageFont.FreeTypeFont, width: int, most: int) -> list[str]:
    """`text` broken at spaces, and inside of words that are too long, into at most `most` lines."""
    found, line = [], ""
    # No line holds more than its width in pixels of even the narrowest letters.
    for word in plain(text)[: most * width].split():
        if font.getlength(f"{line} {word}".strip()) <= width:
            line = f"{line} {word}".strip()
            continue
        if line:
            found.append(line)
        while font.getlength(word) > width and len(found) <= most:
            sizes = range(1, min(len(word), width) + 1)
            fits = bisect_right(sizes, width, key=lambda n: font.getlength(word[:n])) or 1
            found.append(word[:fits])
            word = word[fits:]
        line = word
        if len(found) > most:
            break
    found += [line] if line else []
    if len(found) > most:
        found = [*found[: most - 1], found[most - 1] + " …"]
    return found


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
