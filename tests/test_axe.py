"""Every screen and state under axe-core, in both schemes and both widths: no violation of WCAG 2 at A or AA."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.axe import violations
from tests.desk import captions, state
from tests.pages import SHORT, THOUGHT, engines, page, picture_file, served
from tests.visitor import SIZES, Visitor
from tinyrs.engine import EngineFailure

pytestmark = pytest.mark.browser


@pytest.fixture(params=[(size, scheme) for size in SIZES for scheme in ("light", "dark")], ids="-".join)
def look(request, browser, tmp_path):
    """look(url) -> a visitor of that width and scheme, whose `sound(screen)` asks axe."""
    size, scheme = request.param
    options = {"viewport": SIZES[size], "color_scheme": scheme, "reduced_motion": "reduce"}

    class Looker(Visitor):
        def sound(self, screen: str) -> None:
            self.shoot(tmp_path, f"axe-{screen}-{size}-{scheme}")
            assert violations(self.page) == [], screen

    return lambda url: Looker(browser, url, **options)


def test_axe_sees_what_is_wrong(browser):
    with served(page()) as url, Visitor(browser, url) as visitor:
        visitor.page.evaluate("""document.querySelector('#ask').insertAdjacentHTML('afterend',
            '<p style="color:#bbb;background:#fff">faint</p><button></button><img src="data:,">')""")
        found = {each.partition(" at ")[0] for each in violations(visitor.page)}
        assert found == {"color-contrast", "button-name", "image-alt"}


def test_asking_and_flagging(look, tmp_path):
    cut = ["<reasoning> Water covers the left half", EngineFailure("The model ran out of memory.")]
    models = engines(a=(SHORT, SHORT), b=(THOUGHT, cut))
    with served(page(models)) as url, look(url) as visitor:
        expect(visitor["#examples button:empty"]).to_have_count(0)  # the small pictures have come
        visitor.sound("empty")
        visitor.choose(picture_file(tmp_path))
        visitor.ask()
        visitor.sound("answered")
        visitor["#card-b summary"].click()
        visitor["#flag-b"].click()
        expect(visitor["#reasons input"].first).to_be_focused()
        visitor.sound("flag")
        visitor["#close-flag"].click()
        visitor.flag("b", "wrong box", "The box misses the bow.")
        visitor.sound("flagged")
        visitor["#again"].click()
        expect(visitor["#card-b .error"]).to_be_visible()
        visitor.sound("failed")


def test_correcting_and_reviewing(look):
    demo = page()
    store = demo.page.store
    _, second = captions(store, 2)
    revision = store.caption(second)["revision"]["id"]
    store.save_correction(revision, reasoning="A long white hull.", answer="[[100,330,400,430]]", author="Cy")
    with served(demo) as url, look(url) as visitor:
        visitor.tab("Annotate")
        visitor.sound("annotate-start")
        visitor.annotate("Ada")
        expect(state(visitor, 0)).to_be_focused()
        visitor.sound("annotate")
        visitor.page.keyboard.press("3")
        expect(state(visitor, 0)).to_have_attribute("data-state", "unsupported")
        visitor.page.keyboard.press("ArrowUp")
        visitor.page.keyboard.press("c")
        visitor["#edit-answer textarea"].fill("[[100,300,380,")
        expect(visitor["#check"]).to_contain_text("Cannot be accepted yet")
        visitor.sound("annotate-marked")
        visitor["#edit-answer textarea"].fill("[[100,300,380,410]]")
        expect(visitor["#check"]).to_contain_text("Well-formed")
        visitor["#save"].click()
        expect(visitor["#annotate-notice"]).to_contain_text("Saved")
        visitor["#steps li"].first.focus()
        visitor.page.keyboard.press("?")
        expect(visitor["dialog.keys[open]"]).to_be_visible()
        visitor.sound("keys")
        visitor.page.keyboard.press("Escape")
        visitor.tab("Review")
        expect(visitor["#review-next"]).to_be_visible()
        visitor.sound("review-start")
        visitor["#review-annotator input, #review-annotator textarea"].first.fill("Bob")
        visitor["#review-next"].click()
        expect(visitor["#review-steps li"].first).to_be_focused()
        visitor.sound("review")
        visitor["#agreement button"].first.click()
        visitor["#count-agreement"].click()
        expect(visitor["#agreement-table"]).not_to_be_empty()
        visitor.sound("agreement")
