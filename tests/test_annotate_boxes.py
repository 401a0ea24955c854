"""Boxes under mouse, finger and keys in a real Chromium: what is drawn is what is kept, to the unit.

TINYRS_SCREENSHOTS=shots python -m pytest tests/test_annotate_boxes.py      keeps pictures
"""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from tests.desk import captions, drawn_box, opened, state
from tests.pages import page, served
from tests.visitor import SIZES

pytestmark = pytest.mark.browser


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


def test_what_is_drawn_is_kept_to_the_unit_on_4000_by_3000_pixels_zoomed_and_panned(browser):
    """Where the pointer was, in 0..1000 of the picture, is what the saved caption says, to within one unit."""
    demo = page()
    store = demo.page.store
    (caption,) = captions(store, 1, width=4000, height=3000)
    with served(demo) as url, opened(browser, url) as visitor:
        mouse, answer = visitor.page.mouse, visitor["#edit-answer textarea"]
        svg = visitor["#annotate-viewer svg.boxes"]
        stage = visitor["#annotate-viewer .stage"]
        stage.scroll_into_view_if_needed()

        def drag(start, end):
            """Between two points of the stage, in shares of it; the same points in units of the picture."""
            frame, whole = stage.bounding_box(), svg.bounding_box()
            # Whole pixels of the screen, as a hand has them.
            points = [
                (round(frame["x"] + x * frame["width"]), round(frame["y"] + y * frame["height"]))
                for x, y in (start, end)
            ]
            mouse.move(*points[0])
            mouse.down()
            mouse.move(*points[1], steps=4)
            mouse.up()
            sides = (("x", "width"), ("y", "height"))
            return [
                1000 * (point[i] - whole[side]) / whole[length]
                for point in points
                for i, (side, length) in enumerate(sides)
            ]

        def kept(wanted, text):
            expect(answer).not_to_have_value(text)
            (box,) = json.loads(answer.input_value())
            assert box == pytest.approx(wanted, abs=1)
            return answer.input_value()

        answer.fill("")
        expect(drawn_box(visitor)).to_have_count(0)
        visitor["[data-tool=draw]"].click()
        text = kept(drag((0.2, 0.3), (0.52, 0.71)), "")
        for _ in range(3):  # 1.5 ** 3, around the middle, and panned by a quarter
            visitor["[data-tool=in]"].click()
        drag((0.02, 0.02), (0.27, 0.27))
        answer.fill("")
        expect(drawn_box(visitor)).to_have_count(0)
        visitor["[data-tool=draw]"].click()
        text = kept(drag((0.31, 0.33), (0.74, 0.61)), "")
        # By keys, a unit is a unit at any zoom.
        x1, y1, x2, y2 = json.loads(text)[0]
        drawn_box(visitor).focus()
        for key in ("ArrowRight", "Alt+ArrowDown", "Shift+ArrowDown"):
            visitor.page.keyboard.press(key)
        wanted = [x1 + 1, y1 + 10, x2 + 1, y2 + 11]
        expect(answer).to_have_value(json.dumps([wanted], separators=(",", ":")))
        visitor["#save"].click()
        expect(visitor["#annotate-notice"]).to_contain_text("Saved")
        saved = store.history(caption)[-1]
        assert [box.corners() for box in saved["boxes"]] == [wanted]
        visitor.open()  # and so it is drawn again
        visitor.annotate("Ada")
        expect(drawn_box(visitor)).to_have_attribute("aria-label", f"Answer: {', '.join(map(str, wanted))}")
        assert not visitor.errors
