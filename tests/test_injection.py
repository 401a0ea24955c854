"""THREATS row 6 on the screens beside asking, flagging and correcting (those are in tests/test_browser.py): hostile text in
every field, in what models write, in names of files, bands and benchmarks; nothing of it comes alive in a real Chromium."""

from __future__ import annotations

import io
import json
import zipfile
from urllib.parse import urlsplit

import pytest
import rasterio
from playwright.sync_api import expect

from annotate.people import People
from tests.fake import FakeEngine
from tests.pages import SHORT, page, picture_bytes, picture_file, served
from tests.payloads import MARK, PAYLOADS
from tests.test_browser import LIVE
from tests.test_geo import PLACES
from tests.test_geo import scene as drawn
from tests.test_results import scores
from tests.visitor import Visitor
from training.report import build, collect

pytestmark = pytest.mark.browser

TEXT = "\n".join(PAYLOADS)
STORED = "\n".join(payload for payload in PAYLOADS if "\x00" not in payload)
NAME = "<img src=x onerror=window.xss_mark=1>"
ANSWER = f"<reasoning> {TEXT} </reasoning> <answer> {TEXT} {SHORT} </answer>"


def hostile(count: int = 20) -> dict[str, FakeEngine]:
    """Two models that write payloads, and are described and measured in payloads."""
    about = {"about": TEXT, "measured": {PAYLOADS[0]: {"strict": 0.5, "n": 9}, PAYLOADS[8]: {"strict": TEXT}}}
    return {
        "quick": FakeEngine(*[f"{TEXT} {SHORT}"] * count, name="quick", **about),
        "thinker": FakeEngine(*[ANSWER] * count, name="thinker", thinking=True, **about),
    }


def unharmed(visitor: Visitor, screen: str) -> None:
    assert visitor.page.evaluate(f"window.{MARK}") is None, screen
    assert visitor.page.evaluate(LIVE, MARK) == [], screen
    assert visitor.hosts == {urlsplit(visitor.url).netloc}, screen
    assert not visitor.errors, screen


def test_many_questions_the_log_votes_the_card_and_about(browser, tmp_path):
    packed = tmp_path / "pictures.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(f"{NAME}.png", picture_bytes())
        archive.writestr(f"sub/{PAYLOADS[9].replace('/', '_')}.png", b"no picture")
    single = [payload for payload in PAYLOADS if payload.isprintable()]
    # Without the content policy: escaping alone has to hold.
    with served(page(hostile(80))) as url, Visitor(browser, url, bypass_csp=True) as visitor:
        visitor.tab("About")
        expect(visitor["#about"]).to_contain_text("<script>")
        unharmed(visitor, "about")

        visitor.tab("Ask many")
        visitor["#many-files input[type=file]"].set_input_files(packed)
        expect(visitor["#many-files"]).to_contain_text("pictures.zip")
        visitor["#many-questions textarea"].fill("\n".join(single[:6]))
        visitor["#many-ask"].click()
        expect(visitor["#many-progress"]).to_contain_text("Done: 12 of 12")
        expect(visitor["#many-table"]).to_contain_text("onerror")
        unharmed(visitor, "many")
        for button in ("#many-download", "#many-csv"):
            with visitor.page.expect_download() as file:
                visitor[button].click()
            assert not file.value.suggested_filename.endswith((".html", ".svg"))
        visitor["#many-questions textarea"].fill(TEXT + "x" * 4100)
        visitor["#many-ask"].click()
        expect(visitor["#many-progress [role=alert]"]).to_be_visible()
        unharmed(visitor, "many refused")

        visitor.tab("Compare")
        visitor.choose(picture_file(tmp_path, f"{NAME}.png"))
        for question in (single[1], single[6]):
            visitor.ask(question)
        expect(visitor["#talk"]).to_contain_text("onerror")
        unharmed(visitor, "log")
        visitor["#talk tbody tr"].first.click()
        expect(visitor["#question textarea"]).to_have_value(single[1])
        unharmed(visitor, "brought back")
        visitor["#vote-answer"].get_by_text("A is better").click()
        expect(visitor["#voted [role=status]"]).to_be_visible()
        unharmed(visitor, "voted")
        expect(visitor["#share-card"]).to_be_visible()
        with visitor.page.expect_download() as card:
            visitor["#share-card"].click()
        assert card.value.path().read_bytes().startswith(b"\x89PNG")
        visitor.tab("About")
        unharmed(visitor, "about, with votes")


def test_a_scene_its_names_and_what_is_found_in_it(browser, tmp_path):
    path = tmp_path / f"{NAME}.tif"
    path.write_bytes(drawn(*PLACES["UTM north"]))
    with rasterio.open(path, "r+") as scene:
        scene.descriptions = PAYLOADS[:3]
    with served(page(hostile())) as url, Visitor(browser, url, bypass_csp=True) as visitor:
        visitor.tab("Scene")
        visitor["#scene-open input[type=file]"].set_input_files(path)
        expect(visitor["#scene-overview .stage img"]).to_be_visible()
        expect(visitor["#scene-about"]).to_contain_text("onerror")
        unharmed(visitor, "opened")
        visitor["#scene-question textarea"].fill(TEXT)
        visitor["#scene-ask"].click()
        expect(visitor["#scene-card-a .card[data-state=done]"]).to_be_visible()
        expect(visitor["#scene-viewer g.box"]).to_have_count(1)
        expect(visitor["#scene-files a"].first).to_be_visible()
        unharmed(visitor, "found")
        for link in visitor["#scene-files a[href]"].all():
            made = visitor.page.request.get(link.get_attribute("href"))
            assert "html" not in made.headers["content-type"] and "svg" not in made.headers["content-type"]
            if "json" in made.headers["content-type"]:
                json.loads(made.text())
        visitor["#scene-overview .stage"].hover()
        unharmed(visitor, "boxes")


def test_results_and_reviews(browser, tmp_path):
    root = tmp_path / "results"
    scores(root / "a", model=PAYLOADS[1], benchmark=PAYLOADS[0])
    scores(root / "b", model=TEXT, strict=0.6, thinking=True)
    (root / "report.json").write_text(json.dumps(build(collect([root]))))
    demo = page(hostile(), results=root, people=People("names"))
    store = demo.page.store
    with served(demo) as url, Visitor(browser, url, bypass_csp=True) as visitor:
        visitor.tab("Results")
        expect(visitor["#results"]).to_contain_text("onerror")
        unharmed(visitor, "results")
        visitor.tab("Compare")
        visitor.choose(picture_file(tmp_path))
        visitor.ask(TEXT)
        visitor.flag("b", "other", TEXT)
        revision = store.caption(1)["revision"]["id"]
        store.save_correction(revision, reasoning=STORED, answer=PAYLOADS[1], author=NAME)
        visitor.tab("Review")
        visitor["#review-annotator input, #review-annotator textarea"].first.fill(PAYLOADS[7][:90])
        visitor["#review-next"].click()
        expect(visitor["#review-caption"]).to_be_visible()
        expect(visitor["#review-steps"]).to_contain_text("<script>")
        expect(visitor["#review-beside"]).to_contain_text("onerror")
        unharmed(visitor, "review")
        visitor["#review-reject"].click()
        expect(visitor["#review-caption"]).to_be_hidden()
        unharmed(visitor, "reviewed")


def test_what_was_kept_is_served_as_a_picture_or_an_attachment(tmp_path):
    """A file that a visitor uploads is never shown as a page, whatever it is called."""
    import httpx

    with served(page()) as url, httpx.Client(base_url=url) as client:
        for name, data in (("a.html", b"<script>1</script>"), ("a.svg", b"<svg onload=x>"), ("a.png", picture_bytes())):
            path = client.post("/gradio_api/upload", files={"files": (name, io.BytesIO(data))}).json()[0]
            answer = client.get(f"/gradio_api/file={path}")
            if answer.status_code == 200:
                kind, how = answer.headers["content-type"], answer.headers.get("content-disposition", "")
                assert kind.startswith("image/png") or how.startswith("attachment"), (name, kind, how)
            assert answer.headers["x-content-type-options"] == "nosniff"
