"""The annotator's HTML: nothing that was written comes alive in it, and the check line says what it should."""

import html
import json
import re
from html.parser import HTMLParser

import pytest

from annotate import markup
from annotate.agreement import agreement
from annotate.draft import look
from tests.payloads import PAYLOADS
from tests.store_parts import ROOF, SCENE
from tinyrs.example import Box

TAGS = set(
    "div p h3 span ol ul li b q button kbd details summary dialog table thead tbody tr th td pre del ins".split()
)
GREEN = "The fields in the middle are long and green, and no water or dock can be seen beside them."
ROUND = "A bright roof lies in the upper left, clearly lighter than the gray ground all around it."


class Strict(HTMLParser):
    """Refuses every tag that the page does not use and every attribute that could do something."""

    def handle_starttag(self, tag, attributes):
        assert tag in TAGS, tag
        assert not any(name.startswith("on") or name in ("src", "href", "srcdoc", "style") for name, _ in attributes)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_nothing_that_was_written_is_markup(payload):
    mark = {"verdict": "wrong", "reason": payload, "rewrite": payload}
    seen = look(ROOF, (payload, payload), (payload + " at [[1,2,30,40]]", payload), given=payload, other=[Box(1, 2, 3, 4)])
    pieces = [
        markup.steps(1, [payload], {0: mark}),
        markup.layers(seen.boxes, payload, {"A": payload, "B": payload}, {}, True),
        markup.check_line(seen, "A"),
        markup.why(payload, "random", payload),
        markup.changes(payload, "other " + payload),
        markup.review([(payload, markup.changes(payload, "x"))], payload, {payload: {0: mark}}, {0: mark}, 1),
        markup.agreement({payload: {payload: agreement([])}}),
    ]
    for piece in pieces:
        Strict().feed(piece)


def line(*args, **more):
    return html.unescape(re.sub(r"<[^>]+>", " ", markup.check_line(look(*args, **more), "A")))


def test_the_check_line_says_what_changed_by_the_score_that_trains():
    first, draft = (ROUND, "[[100,100,400,500]]"), (ROUND, "[[100,100,200,500]]")
    assert "Well-formed, 1 box, IoU 0.33 to A's box" in line(ROOF, first, draft)
    told = line(ROOF, draft, first, given="[[100,100,400,500]]", other=[Box(100, 100, 400, 300)])
    assert "answer 0 → 1, IoU 0.33 → 1.00" in told and "0.50 to B's" in told
    assert "What the checks doubted is right now (1 → 0)" in told
    assert "answer 1 → 0" in line(SCENE, (GREEN, "farmland"), (GREEN, "port"), given="farmland")
    assert "Look again  (doubts 0 → 1)" in line(SCENE, (GREEN, "farmland"), (GREEN, "desert"))
    assert "Cannot be accepted yet" in line(ROOF, first, (ROUND, "[[100,100,"))


def test_the_boxes_are_data_and_a_table_with_the_same_numbers():
    seen = look(ROOF, (ROUND, "[[1,2,30,40]]"), ("A roof [[5,6,70,80]].", "[[10,20,300,400]]"), other=[Box(0, 0, 9, 9)])
    text = markup.layers(seen.boxes, "[[10,20,300,400]]", {"A": "pocket", "B": "r1"}, {0: 2}, True)
    data = json.loads(html.unescape(re.search(r'<pre class="json">(.*?)</pre>', text)[1]))
    assert [(one["key"], one["step"], one["box"]) for one in data] == [
        ("C-answer-0", None, [10, 20, 300, 400]),
        ("C-reasoning-0", 2, [5, 6, 70, 80]),
        ("A--0", None, [1, 2, 30, 40]),
        ("B--0", None, [0, 0, 9, 9]),
    ]
    assert text.count("<tr") == 5 and "Step 3" in text and "A · pocket" in text
