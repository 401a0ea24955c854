"""The page in a real Chromium: the loop from picture to accepted correction, and what must never come alive.

TINYRS_SCREENSHOTS=shots python -m pytest tests/test_browser.py      keeps a picture of every state
"""

from __future__ import annotations

import json
import threading
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

import app
from tests.pages import ASKED, SHORT, THOUGHT, close_pages, engines, harbour, page, picture_file, served
from tests.payloads import HOST, MARK, PAYLOADS
from tests.visitor import CONTRAST, NAMELESS, SIZES, Visitor
from tinyrs import suggestions
from tinyrs.config import ROOT
from tinyrs.engine import EngineFailure

pytestmark = pytest.mark.browser

POCKET = ROOT / "assets" / "pocket"


def the_pair():
    """The page as it ships when its weights are here, else with models that say what this file says."""
    if all((POCKET / name / "tinyrs.json").is_file() for name in ("tinyrs", "tinyrs-r1")):
        return app.build()
    return page()


def test_the_loop_in_the_browser(browser, tmp_path):
    """A picture is uploaded and asked about, both answer, B is flagged, corrected and accepted, and the link to
    the comparison still works after a restart."""
    demo = the_pair()
    store = demo.page.store
    with served(demo) as url, Visitor(browser, url) as visitor:
        visitor.choose(picture_file(tmp_path))
        visitor.ask()
        assert visitor["#card-a .costs"].is_visible() and visitor["#card-b .costs"].is_visible()
        visitor.shoot(tmp_path, "loop-answers")
        answer_a, answer_b = visitor["#card-a"].inner_text(), visitor["#card-b"].inner_text()
        assert store.stats()["runs"] == 0
        visitor.flag("b", "wrong box", "The box misses the bow.")
        link = visitor["#link a"].get_attribute("href")

        visitor.annotate("Ada")
        expect(visitor["#caption .flags"]).to_contain_text("The box misses the bow.")
        expect(visitor["#asked"]).to_contain_text(ASKED)
        visitor["#edit-reasoning textarea"].fill("Water covers the left half.\nOne white hull lies in it.")
        visitor["#edit-answer textarea"].fill("[[125,340,390,")
        expect(visitor["#check"]).to_contain_text("Cannot be accepted yet")
        visitor["#edit-answer textarea"].fill("[[125,340,390,410]]")
        expect(visitor["#check"]).to_contain_text("Well-formed, 1 box")
        visitor["#edit-y2 input"].fill("420")
        expect(visitor["#edit-answer textarea"]).to_have_value("[[125,340,390,420]]")
        visitor.shoot(tmp_path, "loop-annotate")
        visitor["#accept"].click()
        expect(visitor["#annotate-notice"]).to_contain_text("Accepted")
        expect(visitor["#caption"]).to_be_hidden()

        (row,) = store.accepted()
        revision = store.history(1)[-1]
        assert revision["author"] == "Ada" and revision["answer"] == "[[125,340,390,420]]"
        assert revision["reasoning"] == "Water covers the left half.\nOne white hull lies in it."
        assert store.caption(1)["state"] == "accepted" and row
        assert not visitor.errors and visitor.hosts == {urlsplit(url).netloc}
    close_pages()
    if demo.page.store is store:
        store.close()

    again = the_pair()
    with served(again) as url, Visitor(browser, url, "/" + link) as visitor:
        visitor.answered()
        expect(visitor["#question textarea"]).to_have_value(ASKED)
        assert visitor["#card-a"].inner_text() == answer_a and visitor["#card-b"].inner_text() == answer_b
        expect(visitor["#viewer .stage img"]).to_be_visible()
        visitor.shoot(tmp_path, "loop-permalink")
        assert not visitor.errors
    again.page.store.close()


# Nothing that was written comes alive


LIVE = """(mark) => [...document.querySelectorAll('*')].flatMap((node) => {
    const bad = [...node.attributes].filter((a) =>
        (a.name.startsWith('on') && a.value.includes(mark)) || /^\\s*javascript:/i.test(a.value)
        || a.name === 'srcdoc' || (a.name !== 'aria-label' && a.name !== 'title' && a.name !== 'alt'
            && a.name !== 'value' && a.name !== 'content' && a.value.includes('evil.example')));
    const tag = ['IFRAME', 'FORM', 'OBJECT', 'EMBED', 'MATH'].includes(node.tagName) && node.tagName;
    // The page's own configuration holds what it shows, as data.
    const code = ['SCRIPT', 'STYLE'].includes(node.tagName) && node.textContent.includes(mark)
        && !node.textContent.startsWith('window.gradio_config = {');
    return bad.length || tag || code ? [node.outerHTML.slice(0, 200)] : [];
})"""


def test_nothing_written_by_a_model_or_a_visitor_comes_alive_on_any_screen(browser, tmp_path):
    text = "\n".join(PAYLOADS)
    box = "[[100,200,300,400]]"
    models = engines(
        a=(f"{text}\n{box}", [text, EngineFailure(text)]),
        b=(f"<reasoning> {text} </reasoning> <answer> {text} {box} </answer>", THOUGHT),
    )
    for model in models.values():
        object.__setattr__(model.spec, "about", text)
    demo = page(models)
    store = demo.page.store
    name = "<img src=x onerror=window.xss_mark=1>.png"

    def unharmed(visitor: Visitor, screen: str) -> None:
        assert visitor.page.evaluate(f"window.{MARK}") is None, screen
        assert visitor.page.evaluate(LIVE, MARK) == [], screen
        assert visitor.hosts == {urlsplit(visitor.url).netloc}, screen
        assert not visitor.errors, screen

    # Without the content policy: escaping alone has to hold.
    with served(demo) as url, Visitor(browser, url, bypass_csp=True) as visitor:
        visitor.choose(picture_file(tmp_path, name))
        visitor.ask(text)
        visitor["#card-b summary"].click()
        visitor["#below summary"].click()
        expect(visitor["#card-b li"].first).to_contain_text("<script>")
        expect(visitor["#viewer .boxes .box"]).to_have_count(2)
        unharmed(visitor, "answers")
        visitor["#viewer .boxes .box.side-a"].focus()
        visitor.flag("b", "other", text)
        unharmed(visitor, "flagged")
        link = visitor["#link a"].get_attribute("href")
        visitor["#question textarea"].fill(text)
        visitor["#again"].click()
        expect(visitor["#card-a .error"]).to_be_visible()
        unharmed(visitor, "failed")
        visitor.open("/" + link)
        visitor.answered()
        unharmed(visitor, "permalink")
        visitor.open(f"/?record={text[:500]}")
        expect(visitor["#notice [role=alert]"]).to_be_visible()
        unharmed(visitor, "no such record")

        visitor.annotate(PAYLOADS[1][:90])
        assert "<script>" in visitor["#edit-reasoning textarea"].input_value()
        expect(visitor["#caption .flags"]).to_contain_text("<script>")
        unharmed(visitor, "annotate")
        revision = store.caption(1)["revision"]["id"]
        store.save_correction(revision, reasoning=PAYLOADS[0], answer=PAYLOADS[1], author=PAYLOADS[1])
        visitor["#edit-answer textarea"].fill(PAYLOADS[4])
        expect(visitor["#check"]).to_contain_text("Cannot be accepted yet")
        visitor["#save"].click()
        expect(visitor["#conflict .conflict"]).to_contain_text("saved another version first")
        unharmed(visitor, "conflict")
        visitor["#save"].click()
        expect(visitor["#annotate-notice"]).to_contain_text("Saved")
        visitor["#reject"].click()
        expect(visitor["#caption"]).to_be_hidden()
        unharmed(visitor, "rejected")


def test_a_model_name_that_is_markup_is_refused_as_text(browser, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYRS_ALLOW_ANY_MODEL", "1")
    with served(page()) as url, Visitor(browser, url, bypass_csp=True) as visitor:
        visitor["#model-a input"].fill(PAYLOADS[1])
        visitor["#model-a input"].press("Enter")
        expect(visitor["#notice [role=alert]"]).to_be_visible()
        assert visitor.page.evaluate(f"window.{MARK}") is None and visitor.page.evaluate(LIVE, MARK) == []


def test_the_content_policy_keeps_the_page_from_asking_other_hosts(browser):
    with served(page()) as url, Visitor(browser, url) as visitor:
        refused = visitor.page.evaluate(
            f"fetch('https://{HOST}/x').then(() => 'asked', (error) => String(error))"
        )
        assert "TypeError" in refused
        assert visitor.page.evaluate("Boolean(window.gradio_config)")


# Asking


def test_reasoning_is_open_while_it_streams_and_folds_with_its_state_told(browser, tmp_path):
    go = threading.Event()
    models = engines(
        b=(["<reasoning> Water.\n", "A hull.\n", go, "</reasoning> <answer> ", SHORT, " </answer>"],)
    )
    with served(page(models)) as url, Visitor(browser, url) as visitor:
        visitor.choose(picture_file(tmp_path))
        visitor.ask(wait=False)
        expect(visitor["#card-b details.reasoning li"]).to_have_count(2)
        expect(visitor["#card-b details.reasoning summary"]).to_have_attribute("aria-expanded", "true")
        expect(visitor["#stop"]).to_be_visible()
        expect(visitor["#ask"]).to_be_hidden()
        expect(visitor["#pick"]).to_be_hidden()
        visitor.shoot(tmp_path, "streaming")
        go.set()
        visitor.answered()
        summary = visitor["#card-b details.reasoning summary"]
        expect(summary).to_have_attribute("aria-expanded", "false")
        expect(visitor["#card-b li"].first).to_be_hidden()
        summary.focus()
        summary.press("Enter")
        expect(summary).to_have_attribute("aria-expanded", "true")
        expect(visitor["#card-b li"].first).to_be_visible()


def test_stop_ends_the_answer_and_the_next_question_works(browser, tmp_path):
    never = threading.Event()
    models = engines(a=("port", "port"), b=(["<reasoning> Water ", never], THOUGHT))
    with served(page(models)) as url, Visitor(browser, url) as visitor:
        visitor.choose(picture_file(tmp_path))
        visitor.ask(wait=False)
        expect(visitor["#card-b"]).to_contain_text("Water")
        visitor["#stop"].click()
        expect(visitor["#card-b .card[data-state=stopped]"]).to_be_visible()
        expect(visitor["#card-b"]).to_contain_text("Water")
        visitor.shoot(tmp_path, "stopped")
        visitor["#again"].click()
        visitor.answered()


def test_closing_the_tab_stops_the_models(browser, tmp_path):
    never = threading.Event()
    models = engines(b=(["<reasoning> Water ", never],))
    demo = page(models)
    with served(demo) as url:
        with Visitor(browser, url) as visitor:
            visitor.choose(picture_file(tmp_path))
            visitor.ask(wait=False)
            expect(visitor["#card-b"]).to_contain_text("Water")
            (session,) = demo.page._running
            running = demo.page._running[session]
        assert running.wait(30)


def test_a_failed_side_says_so_beside_the_one_that_answered(browser, tmp_path):
    models = engines(a=(["The ", EngineFailure("The model ran out of memory: try a smaller picture.")],))
    with served(page(models)) as url, Visitor(browser, url) as visitor:
        visitor.choose(picture_file(tmp_path))
        visitor.ask()
        expect(visitor["#card-a [role=alert]"]).to_contain_text("ran out of memory")
        expect(visitor["#card-b .verdict.good"]).to_be_visible()
        visitor.shoot(tmp_path, "one-failed")


def test_boxes_can_be_hidden_per_side_and_say_whose_they_are(browser, tmp_path):
    with served(page()) as url, Visitor(browser, url) as visitor:
        visitor.choose(picture_file(tmp_path))
        visitor.ask()
        expect(visitor["#below"]).to_contain_text("IoU 0.7")
        a, b = visitor["#viewer .box.side-a"], visitor["#viewer .box.side-b"]
        visitor["#viewer .switch.side-a input"].uncheck()
        expect(a).to_be_hidden()
        expect(b).to_be_visible()
        visitor["#viewer .switch.side-a input"].check()
        expect(b.locator(".tip")).to_be_hidden()
        around = b.locator(".line").bounding_box()
        visitor.page.mouse.move(around["x"] + around["width"] * 0.6, around["y"] + around["height"] - 1)
        expect(b.locator(".tip")).to_be_visible()
        expect(b.locator(".tip")).to_have_text("B · thinker · [140, 320, 400, 600]")
        a.focus()
        expect(a.locator(".tip")).to_be_visible()
        stage = visitor["#viewer .stage"].bounding_box()
        assert around["x"] - stage["x"] == pytest.approx(0.14 * stage["width"], abs=4)
        assert around["height"] == pytest.approx(0.28 * stage["height"], abs=8)
        with visitor.page.expect_download() as download:
            visitor["#download"].click()
        assert download.value.suggested_filename.endswith(".png")
        visitor["#below summary"].click()
        assert json.loads(visitor["#below pre"].inner_text())["answers"]["A"]["boxes"] == [
            [120, 300, 380, 560]
        ]


# Pictures


PUT = """([type, data]) => {
    const file = new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], 'given.png', { type: 'image/png' });
    const transfer = new DataTransfer();
    transfer.items.add(file);
    const event = type === 'paste'
        ? new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true, cancelable: true })
        : new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true });
    document.querySelector('#viewer .viewer').dispatchEvent(event);
}"""


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_a_picture_can_be_pasted_and_dropped(browser, tmp_path, way):
    import base64

    data = base64.b64encode(picture_file(tmp_path).read_bytes()).decode()
    with served(page()) as url, Visitor(browser, url) as visitor:
        visitor.page.evaluate(PUT, [way, data])
        expect(visitor["#viewer .stage img"]).to_be_visible()
        expect(visitor["#viewer .facts"]).to_contain_text("320 × 240 px")


def test_the_drop_zone_opens_the_file_chooser_and_a_tiff_is_shown(browser, tmp_path):
    path = tmp_path / "scene.tif"
    harbour().save(path)
    with served(page()) as url, Visitor(browser, url) as visitor:
        with visitor.page.expect_file_chooser() as chooser:
            visitor["#viewer .drop"].click()
        chooser.value.set_files(path)
        image = visitor["#viewer .stage img"]
        expect(image).to_be_visible()
        assert image.evaluate("(node) => node.naturalWidth") == 320


def test_what_is_no_picture_gets_a_sentence_and_the_page_goes_on(browser, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_text("<svg xmlns='http://www.w3.org/2000/svg' onload='window.xss_mark=1'/>")
    with served(page()) as url, Visitor(browser, url) as visitor:
        visitor["#ask"].click()
        expect(visitor["#notice [role=alert]"]).to_contain_text("Choose a picture first")
        visitor["input[type=file]"].first.set_input_files(bad)
        expect(visitor["#notice [role=alert]"]).not_to_contain_text("Choose a picture first")
        visitor.shoot(tmp_path, "error")
        visitor.choose(picture_file(tmp_path))
        expect(visitor["#notice [role=alert]"]).to_have_count(0)


def test_an_example_and_its_question_are_one_click(browser):
    with served(page()) as url, Visitor(browser, url) as visitor:
        visitor["#examples button"].first.click()
        expect(visitor["#viewer .stage img"]).to_be_visible()
        expect(visitor["#question textarea"]).to_have_value(suggestions.examples()[0][1])
        visitor["#kind"].get_by_text("Count").click()
        expect(visitor["#question textarea"]).to_have_value(suggestions.EXAMPLES["counting"][0][1])
        visitor["#asks button"].nth(1).click()
        expect(visitor["#question textarea"]).to_have_value(suggestions.EXAMPLES["counting"][1][1])
        visitor["#question textarea"].press("Enter")
        visitor.answered()


# Looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_every_screen_fits_reads_well_and_names_its_controls(browser, tmp_path, size, scheme):
    def sound(visitor: Visitor, screen: str) -> None:
        visitor.shoot(tmp_path, f"{screen}-{size}-{scheme}")
        assert visitor.fits(), screen
        assert visitor.page.evaluate(CONTRAST) == [], screen
        assert visitor.page.evaluate(NAMELESS) == [], screen

    cut = ["<reasoning> Water covers the left half", EngineFailure("The model ran out of memory.")]
    models = engines(a=(SHORT, SHORT), b=(THOUGHT, cut))
    options = {"viewport": SIZES[size], "color_scheme": scheme, "reduced_motion": "reduce"}
    with served(page(models)) as url, Visitor(browser, url, **options) as visitor:
        expect(visitor["#examples img"]).to_have_count(len(suggestions.examples()))
        sound(visitor, "empty")
        visitor.choose(picture_file(tmp_path))
        visitor.ask()
        visitor["#card-b summary"].click()
        sound(visitor, "answers")
        visitor["#flag-b"].click()
        expect(visitor["#flag-panel"]).to_be_visible()
        expect(visitor["#reasons input"].first).to_be_focused()
        sound(visitor, "flag")
        visitor["#close-flag"].click()
        visitor.flag("b", "wrong box", "The box misses the bow.")
        sound(visitor, "flagged")
        visitor["#again"].click()
        expect(visitor["#card-b .error"]).to_be_visible()
        sound(visitor, "failed")
        visitor.annotate("Ada")
        visitor["#edit-answer textarea"].fill("[[100,300,380,")
        expect(visitor["#check"]).to_contain_text("Cannot be accepted yet")
        sound(visitor, "annotate-draft")
        visitor["#edit-answer textarea"].fill("[[100,300,380,410]]")
        expect(visitor["#annotate-viewer .box.side-c"]).to_be_visible()
        sound(visitor, "annotate")
        visitor["#accept"].click()
        expect(visitor["#caption"]).to_be_hidden()
        sound(visitor, "annotate-empty")
        assert not visitor.errors
