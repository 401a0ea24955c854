"""The Compare tab beyond one question, Ask many, About and the tour, in a real Chromium.

TINYRS_SCREENSHOTS=shots python -m pytest tests/test_compare_browser.py      keeps a picture of every state
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dev.served import the_app
from tests.axe import violations
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
        assert violations(visitor.page) == [], screen

    demo = page(sized(engines(a=(SHORT,) * 4, b=(THOUGHT,) * 4)))
    options = {"viewport": SIZES[size], "color_scheme": scheme, "reduced_motion": "reduce"}
    with served(demo) as url, Visitor(browser, url, **options) as visitor:
        expect(visitor["#tour:not([hidden]) li:not([hidden])"]).to_contain_text("Choose a satellite picture")
        sound(visitor, "tour")
        visitor["#tour .tour-close"].click()
        expect(visitor["#tour"]).to_be_hidden()

        visitor.choose(picture_file(tmp_path))
        expect(visitor["#sight"]).to_contain_text("quick sees 308 × 252 pixels: 99 visual tokens")
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
        expect(visitor["#sight"]).to_contain_text("quick sees")
        sound(visitor, "voted")
        with visitor.page.expect_download() as download:
            visitor["#share-card"].click()
        assert download.value.suggested_filename == "tinyrs-comparison.png"

        visitor["#blind input"].uncheck()
        visitor["#size"].get_by_text("A quarter").click()
        expect(visitor["#sight"]).to_contain_text("thinker sees 140 × 112 pixels: 20 visual tokens")
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
        assert download.value.suggested_filename == "tinyrs-answers.jsonl"
        with visitor.page.expect_download() as sheet:
            visitor["#many-csv"].click()
        assert sheet.value.suggested_filename == "tinyrs-answers.csv"
        rows = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
        assert [row["question"]["text"] for row in rows] == ["Where is the ship?", "Where is the dock?"]

        visitor.tab("About")
        expect(visitor["#about"]).to_contain_text("What they cannot do")
        expect(visitor["#held"]).to_contain_text("1 comparison, 1 vote")
        sound(visitor, "about")
        visitor["#delete"].press("Enter")
        expect(visitor["#delete-no"]).to_be_focused()
        sound(visitor, "delete")
        visitor["#delete-yes"].press("Enter")
        expect(visitor["#held"]).to_contain_text("Deleted: 1 comparison, 1 vote.")
        stats = demo.page.store.stats()
        assert (stats["runs"], stats["votes"]) == (0, 0) and not list(demo.page.store.pictures.iterdir())
        assert not visitor.errors


def sized(models):
    """These models, with the pocket models' way with pictures."""
    for model in models.values():
        model.spec = replace(model.spec, min_pixels=112 * 84, max_pixels=100 * 784)
    return models


def test_another_browser_can_delete_nothing_of_this_one(browser, tmp_path):
    demo = page()
    with served(demo) as url, Visitor(browser, url) as visitor, Visitor(browser, url) as other:
        visitor.choose(picture_file(tmp_path))
        visitor.ask()
        visitor["#keep"].click()
        expect(visitor["#link a"]).to_be_visible()
        link = visitor["#link a"].get_attribute("href")
        for somebody, held in ((other, "Nothing is stored"), (visitor, "1 comparison")):
            somebody.open(f"/{link}")
            somebody.tab("About")
            expect(somebody["#held"]).to_contain_text(held)
        expect(other["#delete"]).to_be_hidden()
        assert demo.page.store.stats()["runs"] == 1


@pytest.mark.slow
def test_a_link_leads_to_the_same_comparison_in_another_process(browser, tmp_path):
    """The app as it ships, twice: what was kept by the one is shown by the next, and its maker can delete it there."""
    with the_app(tmp_path / "data") as url, Visitor(browser, url) as visitor:
        visitor.choose(picture_file(tmp_path))
        visitor.ask("Is there a road?")
        visitor["#keep"].click()
        expect(visitor["#link a"]).to_be_visible()
        link, answer = visitor["#link a"].get_attribute("href"), visitor["#card-b"].inner_text()
        keys = visitor.page.evaluate("Object.entries(localStorage)")
    with the_app(tmp_path / "data") as url, Visitor(browser, url, f"/{link}") as visitor:
        visitor.answered()
        expect(visitor["#question textarea"]).to_have_value("Is there a road?")
        assert visitor["#card-b"].inner_text() == answer and visitor["#viewer .stage img"].is_visible()
        # The same browser: its memory belongs to the address, which has another port now.
        visitor.page.evaluate(
            "(all) => all.forEach(([key, value]) => localStorage.setItem(key, value))", keys
        )
        visitor.open(f"/{link}")
        visitor.tab("About")
        visitor["#delete"].click()
        visitor["#delete-yes"].click()
        expect(visitor["#held"]).to_contain_text("Deleted: 1 comparison.")
        visitor.open(f"/{link}")
        expect(visitor["#notice"]).to_contain_text("no such run")


def test_the_tour_goes_by_keyboard_and_comes_only_once(browser):
    with served(page()) as url, Visitor(browser, url) as visitor:
        visitor["#tour .tour-next"].focus()
        for step in ("Ask something", "Both models answer", "Compare."):
            visitor.page.keyboard.press("Enter")
            expect(visitor["#tour:not([hidden]) li:not([hidden])"]).to_contain_text(step)
        expect(visitor[".sides.tour-target"]).to_have_count(1)
        visitor.page.keyboard.press("Escape")
        expect(visitor["#tour"]).to_be_hidden()
        expect(visitor[".tour-target"]).to_have_count(0)
        visitor.open()
        expect(visitor["#examples img"].first).to_be_visible()
        expect(visitor["#tour"]).to_be_hidden()
        visitor.tab("About")
        visitor["#tour-again"].click()
        expect(visitor["#tour:not([hidden]) li:not([hidden])"]).to_contain_text("Choose a satellite picture")
        expect(visitor["#tour .tour-next"]).to_be_focused()
