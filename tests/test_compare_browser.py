"""The Compare tab beyond one question, Ask many, About and the tour, in a real Chromium.

TINYRS_SCREENSHOTS=shots python -m pytest tests/test_compare_browser.py      keeps a picture of every state
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.pages import SHORT, THOUGHT, engines, page, picture_file, served
from tests.visitor import CONTRAST, NAMELESS, SIZES, Visitor

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_votes_the_log_many_questions_and_about_work_and_read_well(browser, tmp_path, size, scheme):
    def sound(visitor: Visitor, screen: str) -> None:
        visitor.shoot(tmp_path, f"compare-{screen}-{size}-{scheme}")
        assert visitor.fits(), screen
        assert visitor.page.evaluate(CONTRAST) == [], screen
        assert visitor.page.evaluate(NAMELESS) == [], screen

    demo = page(engines(a=(SHORT,) * 4, b=(THOUGHT,) * 4))
    options = {"viewport": SIZES[size], "color_scheme": scheme, "reduced_motion": "reduce"}
    with served(demo) as url, Visitor(browser, url, **options) as visitor:
        expect(visitor["#tour li:not([hidden])"]).to_contain_text("Choose a picture")
        sound(visitor, "tour")
        visitor["#tour .tour-close"].click()
        expect(visitor["#tour"]).to_be_hidden()

        visitor.choose(picture_file(tmp_path))
        visitor["#blind input"].check()
        visitor["#question textarea"].fill("Where is the long ship?")
        visitor["#ask"].click()
        expect(visitor["#votes"]).to_be_visible()
        expect(visitor["#model-a"]).to_be_hidden()
        expect(visitor["#vote-reasoning"]).to_be_hidden()
        assert "thinker" not in visitor["#viewer"].inner_text()
        sound(visitor, "blind")
        visitor["#vote-answer"].get_by_text("A is better").click()
        expect(visitor["#voted"]).to_contain_text("1 of 1 (100%")
        expect(visitor["#vote-reasoning"]).to_be_visible()
        expect(visitor["#model-a"]).to_be_visible()
        expect(visitor["#share-card"]).to_be_visible()
        sound(visitor, "voted")
        with visitor.page.expect_download() as download:
            visitor["#share-card"].click()
        assert download.value.suggested_filename == "tinyrs-comparison.png"

        visitor["#blind input"].uncheck()
        visitor.ask("Is it a <b>tanker</b>?")
        expect(visitor["#below .helped"]).to_contain_text("Did thinking help?")
        expect(visitor["#talk"]).to_contain_text("Where is the long ship?")
        sound(visitor, "second")
        visitor["#talk"].get_by_text("Where is the long ship?").click()
        expect(visitor["#question textarea"]).to_have_value("Where is the long ship?")
        expect(visitor["#talk"]).to_contain_text("Is it a <b>tanker</b>?")

        visitor.tab("Ask many")
        sound(visitor, "many-empty")
        visitor["#many-questions textarea"].fill("Where is the ship?\nWhere is the dock?")
        visitor["#many-ask"].click()
        expect(visitor["#many-progress"]).to_contain_text("Done: 2 of 2")
        expect(visitor["#many-table"]).to_contain_text("Where is the dock?")
        sound(visitor, "many")
        with visitor.page.expect_download() as download:
            visitor["#many-download"].click()
        rows = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
        assert [row["question"]["text"] for row in rows] == ["Where is the ship?", "Where is the dock?"]

        visitor.tab("About")
        expect(visitor["#about"]).to_contain_text("What they cannot do")
        sound(visitor, "about")
        assert not visitor.errors


def test_the_tour_goes_by_keyboard_and_comes_only_once(browser):
    with served(page()) as url, Visitor(browser, url) as visitor:
        visitor["#tour .tour-next"].focus()
        for step in ("Ask something", "Both models answer", "Compare."):
            visitor.page.keyboard.press("Enter")
            expect(visitor["#tour li:not([hidden])"]).to_contain_text(step)
        expect(visitor[".sides.tour-target"]).to_have_count(1)
        visitor.page.keyboard.press("Escape")
        expect(visitor["#tour"]).to_be_hidden()
        expect(visitor[".tour-target"]).to_have_count(0)
        visitor.open()
        expect(visitor["#examples img"].first).to_be_visible()
        expect(visitor["#tour"]).to_be_hidden()
        visitor.tab("About")
        visitor["#tour-again"].click()
        expect(visitor["#tour li:not([hidden])"]).to_contain_text("Choose a picture")
        expect(visitor["#tour .tour-next"]).to_be_focused()
