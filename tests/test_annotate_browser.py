"""The Annotate tab in a real Chromium, worked by keyboard, mouse and touch; every effect is read in the store.

TINYRS_SCREENSHOTS=shots python -m pytest tests/test_annotate_browser.py      keeps a picture of every state
"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from annotate import marks
from annotate.rows import insert
from tests.desk import REASONED, captions, opened, state, verdicts
from tests.pages import page, served
from tests.visitor import CONTRAST, NAMELESS, SIZES, Visitor

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_the_desk_fits_reads_well_and_names_its_controls(browser, tmp_path, size, scheme):
    demo = page()
    captions(demo.page.store, 2)
    options = {"viewport": SIZES[size], "color_scheme": scheme, "reduced_motion": "reduce"}
    with served(demo) as url, opened(browser, url, **options) as visitor:
        visitor.page.keyboard.press("1")
        expect(state(visitor, 0)).to_have_attribute("data-state", "ok")
        visitor.page.keyboard.press("3")
        expect(state(visitor, 1)).to_have_attribute("data-state", "unsupported")
        visitor.page.keyboard.press("c")
        visitor.shoot(tmp_path, f"desk-{size}-{scheme}")
        assert visitor.fits()
        expect(visitor["#accept"]).to_be_in_viewport(ratio=1)  # however long the reasoning is
        if size == "1280":
            visitor["#edit-answer textarea, #edit-answer input"].first.scroll_into_view_if_needed()
            expect(visitor["#annotate-viewer .stage"]).to_be_in_viewport()
        assert visitor.page.evaluate(CONTRAST) == []
        assert visitor.page.evaluate(NAMELESS) == []
        visitor.page.keyboard.press("?")
        expect(visitor["dialog.keys[open]"]).to_be_visible()
        visitor.shoot(tmp_path, f"keys-{size}-{scheme}")
        assert visitor.page.evaluate(CONTRAST) == []
        visitor.page.keyboard.press("Escape")
        expect(visitor["dialog.keys[open]"]).to_have_count(0)
        assert not visitor.errors


def test_captions_are_corrected_by_keyboard_alone_and_every_key_has_its_effect(browser, tmp_path):
    demo = page()
    store = demo.page.store
    ids = captions(store, 3)
    with served(demo) as url, opened(browser, url) as visitor:
        press, write = visitor.page.keyboard.press, visitor.page.keyboard.type
        first = store.caption(ids[0])["revision"]["id"]
        order = [store.caption(i)["revision"]["id"] for i in ids]
        shown = int(visitor["#steps .steps"].get_attribute("data-revision"))
        assert shown == first == order[0]

        press("1")  # the first step is ok, and the next one has the focus
        expect(state(visitor, 0)).to_have_attribute("data-state", "ok")
        expect(state(visitor, 1)).to_be_focused()
        press("3")
        expect(state(visitor, 1)).to_have_attribute("data-state", "unsupported")
        press("ArrowDown")
        press("2")
        expect(state(visitor, 2)).to_have_attribute("data-state", "wrong")
        press("c")
        press("1")  # the first class
        expect(state(visitor, 2).locator(".chosen")).to_have_text("hallucinated object")
        press("r")
        press("Control+a")
        write("It is moored to a white crane.")
        press("Enter")
        expect(state(visitor, 2).locator(".rewrite")).to_have_text("It is moored to a white crane.")
        expect(visitor["#edit-reasoning textarea"]).to_have_value(
            f"{REASONED} Row 0.".replace("a red crane, so it must be a container ship", "a white crane")
        )
        press("u")  # the rewrite is taken back, in the text also
        expect(state(visitor, 2).locator(".rewrite")).to_have_count(0)
        expect(visitor["#edit-reasoning textarea"]).to_have_value(f"{REASONED} Row 0.")
        assert verdicts(store, first)[2] == ("wrong", "hallucinated object", "")
        press("r")
        press("Escape")  # nothing is changed
        press("r")
        press("Control+a")
        write("It is moored to a white crane.")
        press("Enter")
        expect(state(visitor, 2).locator(".rewrite")).to_be_visible()
        press("ArrowUp")
        press("ArrowUp")
        press("2")
        expect(state(visitor, 0)).to_have_attribute("data-state", "wrong")
        press("u")
        expect(state(visitor, 0)).to_have_attribute("data-state", "ok")
        assert verdicts(store, first) == {
            0: ("ok", "", ""),
            1: ("unsupported", "", ""),
            2: ("wrong", "hallucinated object", "It is moored to a white crane."),
        }

        press("a")  # into the answer, and out of it with Ctrl+Enter, which saves
        press("Control+a")
        write("[[100,330,400,43")
        expect(visitor["#check"]).to_contain_text("Cannot be accepted yet")
        press("Escape")
        press("Enter")
        expect(visitor["#annotate-notice"]).to_contain_text("cannot be accepted yet")
        assert len(store.history(ids[0])) == 1
        press("a")
        press("End")
        write("1]]")
        expect(visitor["#check"]).to_contain_text("answer 0 → 1, IoU 0.36 → 0.99")
        press("Control+Enter")
        expect(visitor["#annotate-notice"]).to_contain_text("Saved")
        saved = store.history(ids[0])[-1]
        assert (saved["author"], saved["answer"]) == ("Ada", "[[100,330,400,431]]")
        assert "a white crane" in saved["reasoning"] and store.caption(ids[0])["state"] == "review"
        press("Escape")
        visitor.shoot(tmp_path, "corrected")

        press("b")  # to the box, and a unit at a time
        expect(visitor["#annotate-viewer g.mine.answer"]).to_be_focused()
        press("ArrowRight")
        press("ArrowRight")
        press("ArrowDown")
        press("Shift+ArrowLeft")
        press("Alt+ArrowUp")
        expect(visitor["#edit-answer textarea"]).to_have_value("[[102,321,401,422]]")
        expect(visitor["#annotate-viewer g.mine.answer"]).to_be_focused()
        press("n")
        expect(visitor["#edit-answer textarea"]).to_have_value("[[102,321,401,422],[400,400,600,600]]")
        expect(visitor["#annotate-viewer g.mine[data-key=C-answer-1]"]).to_be_focused()
        press("Delete")
        expect(visitor["#edit-answer textarea"]).to_have_value("[[102,321,401,422]]")
        expect(state(visitor, 0)).to_be_focused()
        press("Enter")
        expect(visitor["#annotate-notice"]).to_contain_text("Accepted")
        expect(visitor["#steps .steps"]).to_have_attribute("data-revision", str(order[1]))
        assert [row["answer"] for row in store.accepted()] == ["[[102,321,401,422]]"]

        expect(state(visitor, 0)).to_be_focused()
        press("s")  # skipped, and taken back
        expect(visitor["#steps .steps"]).to_have_attribute("data-revision", str(order[2]))
        press("u")
        expect(visitor["#steps .steps"]).to_have_attribute("data-revision", str(order[1]))
        press("x")
        expect(visitor["#annotate-notice"]).to_contain_text("Rejected")
        expect(visitor["#steps .steps"]).to_have_attribute("data-revision", str(order[2]))
        assert store.caption(ids[1])["state"] == "rejected"
        press("u")
        expect(visitor["#steps .steps"]).to_have_attribute("data-revision", str(order[1]))
        assert store.caption(ids[1])["state"] == "annotate"
        press("1")
        expect(state(visitor, 0)).to_have_attribute("data-state", "ok")
        assert verdicts(store, order[1]) == {0: ("ok", "", "")}
        press("Enter")
        expect(visitor["#steps .steps"]).to_have_attribute("data-revision", str(order[2]))
        assert [row["caption"] for row in store.accepted()] == ids[:2]

        assert marks.pace(store, "Ada")["n"] >= 5
        expect(visitor["#progress .pace"]).to_contain_text("s a verdict (n = ")
        with store.read() as db:
            kept = db.conn.execute("SELECT verdict, count(*) FROM marks GROUP BY verdict").fetchall()
        assert dict(kept)["undo"] == 2, "what was taken back is still on record"
        assert not visitor.errors


def test_a_draft_survives_a_reload_for_its_author_alone(browser):
    demo = page()
    (caption,) = captions(demo.page.store, 1)
    with served(demo) as url, opened(browser, url) as visitor:
        visitor.page.keyboard.press("2")
        expect(state(visitor, 0)).to_have_attribute("data-state", "wrong")
        visitor["#edit-reasoning textarea"].fill("Half a thought")
        visitor["#edit-answer textarea"].fill("[[1,2,")
        expect(visitor["#check"]).to_contain_text("Cannot be accepted yet")
        saved = "localStorage.getItem('tinyrs-draft')"
        visitor.page.wait_for_function(f"{saved} !== null")
        before = visitor.page.evaluate(saved)
        visitor["#edit-answer textarea"].fill("[[1,2,3,")
        visitor.page.wait_for_function(f"(before) => {saved} !== before", arg=before)
        visitor.open()
        visitor.page.wait_for_function("localStorage.getItem('tinyrs-annotator')?.length > 0")
        visitor.tab("Annotate")  # and nothing else: who is there is known, and what was open comes back
        expect(visitor["#edit-reasoning textarea"]).to_have_value("Half a thought")
        expect(visitor["#edit-answer textarea"]).to_have_value("[[1,2,3,")
        expect(state(visitor, 0)).to_have_attribute("data-state", "wrong")
        assert len(demo.page.store.history(caption)) == 1, "a draft is nothing that was saved"


@pytest.mark.parametrize(("size", "scheme"), [("1280", "dark"), ("390", "light")])
def test_a_second_person_reviews_by_keyboard_and_sees_the_numbers(browser, tmp_path, size, scheme):
    demo = page()
    store = demo.page.store
    store.self_review = False
    (caption,) = captions(store, 1)
    first = store.caption(caption)["revision"]["id"]
    for step, verdict in enumerate(("ok", "wrong", "unsupported", "ok")):
        marks.add(store, first, step, verdict, author="Ada")
    better = REASONED.replace("a red crane", "a white crane")
    store.save_correction(first, reasoning=better, answer="[[100,330,400,430]]", author="Ada")
    options = {"viewport": SIZES[size], "color_scheme": scheme, "reduced_motion": "reduce"}
    with served(demo) as url, Visitor(browser, url, **options) as visitor:
        visitor.tab("Review")
        visitor["#review-annotator input, #review-annotator textarea"].first.fill("Bob")
        visitor["#review-next"].click()
        expect(visitor["#review-steps li"].first).to_be_focused()
        expect(visitor["#review-beside ins"].first).to_have_text("white")
        expect(visitor["#review-beside"]).not_to_contain_text("Ada said")
        for step in range(4):
            visitor.page.keyboard.press("1")
            expect(visitor[f"#review-steps li[data-step='{step}']"]).to_have_attribute("data-state", "ok")
        expect(visitor["#review-beside"]).to_contain_text("Wrong (you: OK)")
        visitor.shoot(tmp_path, f"review-{size}-{scheme}")
        assert visitor.fits() and visitor.page.evaluate(CONTRAST) == []
        assert visitor.page.evaluate(NAMELESS) == []
        visitor.page.keyboard.press("Enter")
        expect(visitor["#review-annotate-notice"]).to_contain_text("Accepted")
        (row,) = store.accepted()
        assert (row["author"], row["reviewer"], row["self_reviewed"]) == ("Ada", "Bob", False)
        visitor["#agreement button"].first.click()
        visitor["#count-agreement"].click()
        expect(visitor["#agreement-table"]).to_contain_text("Ada")
        visitor.shoot(tmp_path, f"agreement-{size}-{scheme}")
        assert visitor.fits() and visitor.page.evaluate(CONTRAST) == []
        assert not visitor.errors


def test_two_people_at_one_caption_lose_nothing(browser, tmp_path):
    """Ada's lease ran out while she was thinking, and Bob got her caption: whoever saves last sees the other's text."""
    demo = page()
    store = demo.page.store
    (caption,) = captions(store, 1)
    with served(demo) as url, opened(browser, url, "Ada") as ada:
        with store.write() as db:
            row = next(db.query("SELECT * FROM leases ORDER BY id DESC LIMIT 1"))
            row |= {"id": row["id"] + 1, "until": store.now(-1)}
            insert(db, "leases", row)
        with opened(browser, url, "Bob") as bob:
            bob["#edit-answer textarea"].fill("[[100,330,400,431]]")
            expect(bob["#check"]).to_contain_text("Well-formed")
            bob.page.keyboard.press("Control+Enter")
            expect(bob["#annotate-notice"]).to_contain_text("Saved")
        ada["#edit-reasoning textarea"].fill("A white hull lies on the water.")
        ada["#edit-answer textarea"].fill("[[101,331,401,432]]")
        expect(ada["#check"]).to_contain_text("Well-formed")
        ada.page.keyboard.press("Control+Enter")
        shown = ada["#conflict .conflict"]
        expect(shown).to_contain_text("Bob")
        expect(shown).to_contain_text("[[100,330,400,431]]")
        ada.shoot(tmp_path, "conflict")
        assert [row["author"] for row in store.history(caption)] == ["import:test", "Bob"]
        # Her own text is still in the fields, and saving again puts it on top of his.
        expect(ada["#edit-answer textarea"]).to_have_value("[[101,331,401,432]]")
        ada.page.keyboard.press("Control+Enter")
        expect(ada["#annotate-notice"]).to_contain_text("Saved")
        history = store.history(caption)
        assert [(row["author"], row["answer"]) for row in history[1:]] == [
            ("Bob", "[[100,330,400,431]]"),
            ("Ada", "[[101,331,401,432]]"),
        ]
        assert history[2]["parent"] == history[1]["id"]
        assert not ada.errors and not bob.errors
