"""The Annotate tab in a real Chromium, worked by keyboard, mouse and touch; every effect is read in the store.

TINYRS_SCREENSHOTS=shots python -m pytest tests/test_annotate_browser.py      keeps a picture of every state
"""

from __future__ import annotations

import io
import json

import pytest
from playwright.sync_api import expect

from annotate import marks
from annotate.store import NewCaption
from tests.pages import harbour, page, served
from tests.visitor import CONTRAST, NAMELESS, SIZES, Visitor
from tinyrs.example import Question, Task
from tinyrs.image import open_picture

pytestmark = pytest.mark.browser

SHIP = Question("Identify the location of the long ship.", Task.GROUNDING)
REASONED = (
    "Water covers the left half of the picture and land the right half.\n"
    "A long white hull lies on the water at [[100,330,400,430]].\n"
    "It is moored to a red crane, so it must be a container ship."
)


def keep_picture(store, width=320, height=240) -> str:
    out = io.BytesIO()
    harbour(width, height).save(out, "PNG")
    return store.add_picture(open_picture(out.getvalue()), out.getvalue())


def captions(store, number: int, **more) -> list[int]:
    """Grounding captions whose box is a little off."""
    picture = keep_picture(store, **more)
    box, true = "[[120,300,380,560]]", "[[100,330,400,430]]"
    new = [
        NewCaption(picture, SHIP, f"{REASONED} Row {i}.", box, "import:test", given=true) for i in range(number)
    ]
    return store.add_captions(new)[0]


def opened(browser, url, name="Ada", **options) -> Visitor:
    visitor = Visitor(browser, url, **options)
    visitor.annotate(name)
    expect(visitor["#steps li"].first).to_be_focused()
    return visitor


def verdicts(store, revision, name="Ada"):
    said = marks.current(store, revision, name)
    return {step: (mark["verdict"], mark["reason"], mark["rewrite"]) for step, mark in said.items()}


def state(visitor, step):
    return visitor[f"#steps li[data-step='{step}']"]


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
        visitor.annotate("Ada")
        expect(visitor["#edit-reasoning textarea"]).to_have_value("Half a thought")
        expect(visitor["#edit-answer textarea"]).to_have_value("[[1,2,3,")
        expect(state(visitor, 0)).to_have_attribute("data-state", "wrong")
        assert len(demo.page.store.history(caption)) == 1, "a draft is nothing that was saved"


def drawn_box(visitor, where="answer", index=0):
    return visitor[f"#annotate-viewer g.box[data-key=C-{where}-{index}]"]


def test_boxes_are_drawn_moved_resized_and_deleted_with_the_mouse(browser, tmp_path):
    demo = page()
    captions(demo.page.store, 1, width=4000, height=3000)
    with served(demo) as url, opened(browser, url) as visitor:
        mouse, answer = visitor.page.mouse, visitor["#edit-answer textarea"]
        svg = visitor["#annotate-viewer svg.boxes"]

        def at(x, y):
            frame = svg.bounding_box()
            return frame["x"] + x / 1000 * frame["width"], frame["y"] + y / 1000 * frame["height"]

        def drag(start, end):
            mouse.move(*at(*start))
            mouse.down()
            mouse.move(*at((start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
            mouse.move(*at(*end))
            mouse.up()

        def numbers():
            return json.loads(answer.input_value())

        # Hovering a step lights its box.
        expect(drawn_box(visitor, "reasoning")).to_be_visible()
        state(visitor, 1).hover()
        state(visitor, 1).focus()
        expect(drawn_box(visitor, "reasoning")).to_have_class("box side-c mine reasoning lit")
        state(visitor, 0).focus()
        expect(drawn_box(visitor, "reasoning")).not_to_have_class("box side-c mine reasoning lit")

        before = visitor["#check"].inner_text()
        drag((300, 500), (400, 600))  # moved by 100, 100
        expect(answer).not_to_have_value("[[120,300,380,560]]")
        assert numbers()[0] == pytest.approx([220, 400, 480, 660], abs=3)
        expect(visitor["#check"]).not_to_have_text(before)
        x1, y1, x2, y2 = numbers()[0]
        drag((x2, y2), (700, 800))  # by its corner: the other corner stays just where it was
        expect(answer).not_to_have_value(f"[[{x1},{y1},{x2},{y2}]]")
        assert numbers()[0][:2] == [x1, y1] and numbers()[0][2:] == pytest.approx([700, 800], abs=3)
        visitor.page.keyboard.press("Delete")
        expect(answer).to_have_value("")

        # Zoomed in, a pixel of the screen is less than a unit: what is drawn is what is kept.
        visitor["#annotate-viewer .stage"].scroll_into_view_if_needed()
        for _ in range(4):
            visitor["[data-tool=in]"].click()
        visitor["[data-tool=draw]"].click()
        stage = visitor["#annotate-viewer .stage"].bounding_box()
        frame = svg.bounding_box()
        assert frame["width"] > 4 * stage["width"]
        wanted = [455, 462, 533, 541]
        drag(wanted[:2], wanted[2:])
        expect(answer).not_to_have_value("")
        assert numbers()[0] == pytest.approx(wanted, abs=1)
        expect(visitor["[data-tool=draw]"]).to_have_attribute("aria-pressed", "false")
        # And what is kept is drawn there, to within one unit of the four thousand pixels' thousand.
        line = drawn_box(visitor).locator(".line").bounding_box()
        share = [(line["x"] - frame["x"]) / frame["width"], (line["y"] - frame["y"]) / frame["height"]]
        assert [1000 * s for s in share] == pytest.approx(numbers()[0][:2], abs=1.5)
        # Panned by dragging beside the boxes.
        mouse.move(stage["x"] + 20, stage["y"] + 20)
        mouse.down()
        mouse.move(stage["x"] + 120, stage["y"] + 70, steps=3)
        mouse.up()
        moved = svg.bounding_box()
        assert (moved["x"] - frame["x"], moved["y"] - frame["y"]) == pytest.approx((100, 50), abs=2)
        visitor.shoot(tmp_path, "zoomed")
        rows = visitor["#annotate-layers table tbody tr"].all_inner_texts()
        assert rows[0].split()[1:5] == [str(n) for n in numbers()[0]], "the table says the same"
        visitor.page.keyboard.press("0")
        assert svg.bounding_box()["width"] == pytest.approx(stage["width"], abs=1)
        assert not visitor.errors




def test_a_finger_moves_a_box_on_a_phone(browser, tmp_path):
    demo = page()
    captions(demo.page.store, 1)
    options = {"viewport": SIZES["390"], "has_touch": True, "is_mobile": True}
    with served(demo) as url, opened(browser, url, **options) as visitor:
        svg = visitor["#annotate-viewer svg.boxes"]
        svg.scroll_into_view_if_needed()
        frame = svg.bounding_box()
        x, y = frame["x"] + 0.3 * frame["width"], frame["y"] + 0.5 * frame["height"]
        client = visitor.context.new_cdp_session(visitor.page)

        def touch(kind, *points):
            client.send(
                "Input.dispatchTouchEvent",
                {"type": kind, "touchPoints": [{"x": a, "y": b, "id": i} for i, (a, b) in enumerate(points)]},
            )

        touch("touchStart", (x, y))
        touch("touchMove", (x + 0.05 * frame["width"], y))
        touch("touchMove", (x + 0.1 * frame["width"], y + 0.1 * frame["height"]))
        touch("touchEnd")
        expect(visitor["#edit-answer textarea"]).not_to_have_value("[[120,300,380,560]]")
        box = json.loads(visitor["#edit-answer textarea"].input_value())[0]
        assert box == pytest.approx([220, 400, 480, 660], abs=6)
        # Two fingers zoom.
        a, b = (frame["x"] + 0.5 * frame["width"], y), (frame["x"] + 0.6 * frame["width"], y)
        touch("touchStart", a, b)
        touch("touchMove", (a[0] - 40, y), (b[0] + 40, y))
        touch("touchEnd")
        assert svg.bounding_box()["width"] > 1.5 * frame["width"]
        assert not visitor.errors


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
        visitor.page.get_by_role("tab", name="Review").click()
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
