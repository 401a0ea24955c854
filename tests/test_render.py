"""tinyrs/render.py: what people see is complete, and nothing in it comes alive."""

from __future__ import annotations

import base64
import io
import json
from html.parser import HTMLParser

import pytest
from PIL import Image, ImageChops

from tests.payloads import MARK, PAYLOADS
from tinyrs import render
from tinyrs.engine import Reply
from tinyrs.example import Answer, Box
from tinyrs.models import ModelSpec
from tinyrs.parse import parse

OURS = {
    "article", "b", "button", "dd", "details", "div", "dl", "dt", "g", "h2", "h3", "i", "img", "input", "label", "li", "line",
    "ol", "p", "path", "pre", "q", "rect", "span", "summary", "svg", "text", "ul", "a",
}  # fmt: skip
"""Every tag that this module may write."""


class Reader(HTMLParser):
    """The tags, attributes and text of a piece of HTML, as a browser would read it."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.open, self.said = [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in ("img", "input", "rect", "line", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, text):
        self.said.append(text)

    @property
    def text(self) -> str:
        return "".join(self.said)


def read(html: str) -> Reader:
    """Read, after checking that the piece is whole and holds nothing but our own tags."""
    found = Reader(html)
    assert not found.open, f"left open: {found.open}"
    assert set(found.tags) <= OURS
    for name, value in found.attributes:
        assert not name.startswith("on"), f"{name}={value}"
        assert not (value or "").lower().startswith(("javascript:", "http:", "https:")), f"{name}={value}"
    return found


def thought(text: str, **more) -> Answer:
    return parse(text, thinking=True, **more)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_text_from_outside_stays_text_in_every_builder(payload):
    answer = Answer(
        payload, payload, (payload, payload), (Box(1, 2, 300, 400, payload),), problems=(payload,)
    )
    spec = ModelSpec(payload, "x", about=payload, measured={payload: 0.5})
    pieces = [
        render.answer_card("A", answer, Reply(payload), state="done", error=payload, hint=payload),
        render.answer_card("B", answer, state="streaming", hint=payload),
        render.answer_card("B", Answer(payload, well_formed=False, problems=(payload,)), state="done"),
        render.answer_card("A", state="waiting", hint=payload),
        render.viewer(payload, 80, 60, {"A": answer.boxes}, {"A": payload}, (payload,), payload),
        render.about_model(spec),
        render.side_head(payload, spec),
        render.notice(payload),
        render.notice(payload, payload),
        render.share(payload, payload),
        render.json_fold({payload: [payload]}),
        render.flags([{"reasons": [payload], "note": payload}]),
        render.asked(payload, payload),
        render.conflict(payload, payload, payload),
    ]
    for piece in pieces:
        assert MARK not in payload or MARK in read(piece).text or MARK in str(read(piece).attributes)
        piece.encode("utf-8")


def test_escape_keeps_what_can_be_read_and_replaces_what_cannot():
    assert render.escape("a < b & \"c\" 'd'") == "a &lt; b &amp; &quot;c&quot; &#x27;d&#x27;"
    assert render.escape("line\n\ttab é 港口 🛰") == "line\n\ttab é 港口 🛰"
    assert render.escape("\x00a\ud800b\u202ec") == "\ufffda\ufffdb\ufffdc"
    assert render.escape(7) == "7"


def test_reasoning_is_open_while_it_streams_and_folded_once_the_answer_begins():
    live = render.answer_card("B", thought("<reasoning> One.\nTwo", finished=False), state="streaming")
    assert '<details class="reasoning" open>' in live and 'aria-expanded="true"' in live
    assert 'aria-busy="true"' in live
    answering = "<reasoning> One.\nTwo. </reasoning> <answer> por"
    late = render.answer_card("B", thought(answering, finished=False), state="streaming")
    assert '<details class="reasoning">' in late and 'aria-expanded="false"' in late
    done = render.answer_card("B", thought(answering + "t </answer>"), state="done")
    assert '<details class="reasoning">' in done and "aria-busy" not in done and "2 steps" in read(done).text


def test_a_finished_answer_says_whether_it_is_well_formed():
    good = thought("<reasoning> Long hull. </reasoning> <answer> [[1,2,30,40]] </answer>")
    assert "Well-formed, 1 box" in read(render.answer_card("B", good, state="done")).text
    bad = thought("no tags at all")
    assert "Not well-formed" in read(render.answer_card("B", bad, state="done")).text
    assert all(problem in read(render.answer_card("B", bad, state="done")).text for problem in bad.problems)
    cut = thought("<reasoning> and so on and so", truncated=True)
    assert "Truncated" in read(render.answer_card("B", cut, state="done")).text
    stopped = render.answer_card("B", thought("<reasoning> and so", finished=False), state="stopped")
    assert "Stopped before it was finished" in read(stopped).text


def test_a_failed_side_keeps_what_it_had_written():
    card = read(
        render.answer_card(
            "A", parse("a por", finished=False), Reply("a por", 2), state="done", error="It broke."
        )
    )
    assert "a por" in card.text and "It broke." in card.text


def test_nothing_written_is_said_and_text_without_form_is_shown():
    assert "Nothing was written" in read(render.answer_card("A", Answer(""), state="done")).text
    assert (
        "raw words"
        in read(render.answer_card("B", Answer("raw words", well_formed=False), state="done")).text
    )


def test_costs_show_first_token_seconds_and_tokens():
    said = read(render.costs(Reply("x", 42, 0.256, 12.34))).text
    assert "0.26 s" in said and "12.3 s" in said and "42" in said
    assert "–" in read(render.costs(Reply(""))).text
    assert "read before" not in said and "read before" in read(render.costs(Reply("x", kept=True))).text


def test_boxes_are_drawn_in_per_cent_with_letter_dash_and_coordinates():
    html = render.viewer(
        "data:,",
        800,
        600,
        {"A": (Box(100, 200, 300, 400, "ship"),), "B": (Box(0, 0, 1000, 1000),)},
        {"A": "pocket"},
    )
    found = read(html)
    assert 'x="10.00%" y="20.00%" width="20.00%" height="20.00%"' in html
    assert ("aria-label", "A · pocket · ship · [100, 200, 300, 400]") in found.attributes
    assert html.index('side-b" tabindex') < html.index('side-a" tabindex'), (
        "the small box lies on the large one"
    )
    assert found.tags.count("input") == 2 and "1 box" in found.text


def test_a_side_without_boxes_has_a_switch_that_cannot_be_used():
    html = render.viewer("data:,", 8, 6, {"A": (), "B": (Box(1, 1, 9, 9),)})
    assert "disabled" in html and "0 boxes" in html
    assert "0 boxes" not in render.viewer("data:,", 8, 6, {"A": (), "B": ()}), "no switches where nobody drew"


@pytest.mark.parametrize(
    "box",
    [
        Box(-50, -50, 2000, 2000),  # outside
        Box(900, 900, 100, 100),  # corners exchanged
        Box(5, 5, 5, 5),  # no area
    ],
)
def test_odd_boxes_are_drawn_inside_the_picture(box):
    html = render.viewer("data:,", 80, 60, {"A": (box,)})
    read(html)
    assert "-" not in html.split('class="line"')[1].split("/>")[0]
    assert render.draw(Image.new("RGB", (80, 60)), {"A": (box,)}).size == (80, 60)


def test_the_preview_is_our_own_small_picture_made_from_pixels():
    def opened(image):
        kind, data = render.preview(image).removeprefix("data:image/").split(";base64,")
        return kind, Image.open(io.BytesIO(base64.b64decode(data)))

    kind, small = opened(Image.new("RGB", (4000, 1000), (10, 60, 90)))
    assert kind == "png" and small.size == (1280, 320) and small.getpixel((5, 5)) == (10, 60, 90)
    kind, noisy = opened(Image.effect_noise((1280, 1280), 90))
    assert kind == "jpeg" and noisy.size == (1280, 1280)
    assert opened(Image.new("RGB", (28, 40)))[1].size == (28, 40)


def test_drawing_leaves_the_picture_itself_alone_and_marks_both_sides():
    image = Image.new("RGB", (400, 300), (90, 110, 90))
    drawn = render.draw(image, {"A": (Box(100, 100, 500, 500),), "B": (Box(550, 200, 900, 900),)})
    assert image.getcolors() == [(120000, (90, 110, 90))] and drawn.size == image.size
    changed = ImageChops.difference(image, drawn).getbbox()
    assert changed[0] <= 40 and changed[2] >= 358
    colours = {colour for _, colour in drawn.getcolors(100000)}
    for letter in "AB":
        red, green, blue = (int(render.LOOKS[letter].colour[i : i + 2], 16) for i in (1, 3, 5))
        assert (red, green, blue) in colours
    # A's edge is one line, B's has gaps: the picture shows through.
    top = [drawn.getpixel((x, 60)) for x in range(220, 360)]
    assert len(set(top)) > 1 and (255, 154, 60) in top
    assert {drawn.getpixel((x, 30)) for x in range(80, 200)} == {(59, 142, 255)}


def test_a_layer_of_nobody_is_an_error():
    with pytest.raises(KeyError):
        render.draw(Image.new("RGB", (80, 60)), {"Z": (Box(1, 1, 9, 9),)})


def test_agreement_is_said_in_words():
    assert "IoU 0.71" in read(render.agreement(None, 0.71)).text
    assert "different places" in read(render.agreement(None, 0.0)).text
    assert "same answer" in read(render.agreement(True, None)).text
    assert "disagree" in read(render.agreement(False, None)).text
    assert render.agreement(None, None) == ""


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({}, ""),
        ({"AID": 0.41}, "AID 0.41"),
        ({"AID": {"strict": 0.412, "n": 300}}, "AID 0.41 (n=300)"),
        ({"AID": {"n": 300}}, ""),
        ({"steps": 4000, "note": "by hand", "done": True}, "steps 4000"),
    ],
)
def test_measurements_are_one_line(numbers, said):
    assert render.measured(numbers) == said


def test_a_model_that_nobody_measured_says_so():
    assert "Nobody has measured" in read(render.about_model(ModelSpec("x", "y", about="A model."))).text
    assert "AID 0.40" in read(render.about_model(ModelSpec("x", "y", measured={"AID": 0.4}))).text


def test_json_is_whole_and_the_share_link_is_relative():
    value = {"answer": "</pre><b>", "n": [1, 2]}
    assert json.loads(read(render.json_fold(value)).text.split("Copy", 1)[1]) == value
    assert ("href", "?record=abc") in read(render.share("abc")).attributes


def test_flags_are_counted_and_notes_shown_once():
    rows = [{"reasons": ["wrong box"], "note": "low"}, {"reasons": ["wrong box", "other"], "note": "low"}]
    said = read(render.flags(rows)).text
    assert "wrong box ×2" in said and said.count("low") == 1
    assert render.flags([]) == ""


def test_progress_counts_in_words():
    assert read(render.progress(1, 0)).text == "1 caption waits"
    assert (
        "12 captions wait" in read(render.progress(12, 3)).text
        and "3 done" in read(render.progress(12, 3)).text
    )
