"""The Annotate tab while answers are slow: no press is lost without a word, and none reaches another caption.

Answers are held back on purpose, so that every order of events happens each time.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from annotate.people import People
from annotate.users import Users
from tests.desk import OFF, REASONED, TRUE, captions, opened
from tests.pages import page, served
from tests.visitor import Visitor

pytestmark = pytest.mark.browser

CALLS = "**/gradio_api/run/predict"


class Held:
    """The page's calls of `names`, or all others where `but` is given, held back until `go`: before the server sees
    them, or once it has answered."""

    def __init__(self, visitor, demo, *names, but=(), after=False):
        self.page, self.after, self.held = visitor.page, after, []
        self.names = {number: fn.api_name for number, fn in demo.fns.items()}
        self.wanted = (lambda name: name not in but) if but else (lambda name: name in names)
        self.page.route(CALLS, self.hold)

    def hold(self, route):
        name = self.names[route.request.post_data_json["fn_index"]]
        if self.wanted(name):
            self.held.append((name, route, route.fetch() if self.after else None))
        else:
            route.continue_()

    def calls(self, name):
        return [route.request.post_data_json for held, route, _ in self.held if held == name]

    def until(self, name):
        while not self.calls(name):
            self.page.wait_for_timeout(20)

    def go(self):
        self.wanted = lambda _: False
        for _, route, response in self.held:
            route.fulfill(response=response) if response else route.continue_()


def revision(store, caption):
    return str(store.caption(caption)["revision"]["id"])


def shows(visitor, store, caption):
    expect(visitor["#steps .steps"]).to_have_attribute("data-revision", revision(store, caption))


def test_accept_acts_when_nothing_but_the_caption_was_answered_since_a_reload(browser):
    demo = page()
    store = demo.page.store
    ids = captions(store, 2)
    with served(demo) as url, opened(browser, url) as visitor:
        visitor.page.wait_for_function("localStorage.getItem('tinyrs-annotator')?.length > 0")
        held = Held(visitor, demo, but=("annotate",))
        visitor.open()
        visitor.tab("Annotate")
        shows(visitor, store, ids[0])
        visitor["#accept"].click()
        held.until("accept")
        assert held.calls("accept")[0]["data"][1] == "Ada", "the page knows who is there"
        held.go()
        expect(visitor["#annotate-notice"]).to_contain_text("Accepted")
        shows(visitor, store, ids[1])
        assert [row["caption"] for row in store.accepted()] == ids[:1]
        assert not visitor.errors


def test_a_press_in_the_very_moment_in_which_the_next_caption_appears_counts(browser):
    """Gradio is then still clearing the last press away, and would drop another one of the same button."""
    demo = page()
    store = demo.page.store
    ids = captions(store, 3)
    with served(demo) as url, opened(browser, url) as visitor:
        visitor.page.evaluate(
            """() => {
                const now = () => document.querySelector("#steps .steps")?.dataset.revision, before = now();
                const seen = new MutationObserver(() => {
                    if (!now() || now() === before) return;
                    seen.disconnect();
                    document.querySelector("#accept").click();
                });
                seen.observe(document.body, { childList: true, subtree: true });
                document.querySelector("#accept").click();
            }"""
        )
        shows(visitor, store, ids[2])
        assert [row["caption"] for row in store.accepted()] == ids[:2]
        assert not visitor.errors


def test_what_is_pressed_while_an_answer_is_on_its_way_does_not_reach_the_next_caption(browser):
    demo = page()
    store = demo.page.store
    ids = captions(store, 2)
    with served(demo) as url, opened(browser, url) as visitor:
        held = Held(visitor, demo, "accept", after=True)  # the server has gone on to the next caption, the page has not
        visitor["#accept"].click()
        held.until("accept")
        expect(visitor[".sending"]).to_have_text("Accept is on its way: waiting for the server to answer.")
        visitor["#save"].click()
        visitor["#skip"].click()
        visitor.page.keyboard.press("x")
        held.go()
        shows(visitor, store, ids[1])
        expect(visitor[".sending"]).to_contain_text("was pressed for the caption before this one, and was left out.")
        assert [row["answer"] for row in store.history(ids[1])] == [OFF], "nobody's text was put on top of it"
        assert [store.caption(caption)["state"] for caption in ids] == ["accepted", "annotate"]
        visitor["#accept"].click()
        expect(visitor["#annotate-empty"]).to_contain_text("Nothing waits")
        assert [row["caption"] for row in store.accepted()] == ids
        assert not visitor.errors


def test_a_refusal_is_seen_wherever_the_page_was_scrolled_to(browser):
    demo = page()
    captions(demo.page.store, 1)
    with served(demo) as url, opened(browser, url, viewport={"width": 390, "height": 600}) as visitor:
        visitor["#edit-answer textarea, #edit-answer input"].first.fill("[[1,2,")
        expect(visitor["#check"]).to_contain_text("Cannot be accepted yet")
        visitor["#accept"].click()
        expect(visitor["#annotate-notice"]).to_contain_text("cannot be accepted yet")
        expect(visitor["#annotate-notice"]).not_to_be_in_viewport()
        expect(visitor[".sending"]).to_contain_text("cannot be accepted yet")
        expect(visitor[".sending"]).to_be_in_viewport(ratio=1)
        assert not visitor.errors


def test_what_was_repeated_at_the_edge_goes_when_something_newer_is_in_sight(browser):
    demo = page()
    captions(demo.page.store, 2)
    with served(demo) as url, opened(browser, url, viewport={"width": 390, "height": 600}) as visitor:
        visitor["#accept"].click()
        expect(visitor[".sending"]).to_contain_text("Accepted")
        visitor.page.evaluate("document.querySelector('#reject').click(); window.scrollTo(0, 0)")
        expect(visitor["#annotate-notice"]).to_contain_text("Rejected")
        expect(visitor["#annotate-notice"]).to_be_in_viewport()
        expect(visitor[".sending"]).to_have_text("", timeout=2000)  # by itself it goes after six seconds
        assert not visitor.errors


def test_the_hint_of_an_empty_desk_comes_too_late_to_stand_above_a_caption(browser, tmp_path):
    """Somebody logged in may not review, is made a reviewer and opens a caption; the answers of before arrive after that."""
    password = "hay bale needle"
    users = Users(tmp_path / "users.json")
    users.add("Ada", password, "annotator")
    demo = page(people=People("users", users))
    store = demo.page.store
    (caption,) = captions(store, 1)
    store.save_correction(int(revision(store, caption)), reasoning=REASONED, answer=TRUE, author="Bob")
    with served(demo) as url, Visitor(browser, url, ready="input[type=password]") as visitor:
        held = Held(visitor, demo, "annotator", "review_annotator", "review", after=True)
        visitor["input"].first.fill("Ada")
        visitor["input[type=password]"].fill(password)
        visitor.page.get_by_role("button", name="Login").click()
        visitor.tab("Review")
        for late in ("review_annotator", "review"):
            held.until(late)
        expect(visitor["#review-annotate-empty"]).to_be_visible()
        users.add("Ada", password, "reviewer")
        visitor["#review-next"].click()
        expect(visitor["#review-caption"]).to_be_visible()
        expect(visitor["#review-annotate-empty"]).to_be_hidden()
        held.go()
        expect(visitor["#review-person"]).to_contain_text("Ada")
        expect(visitor["#review-annotate-empty"]).to_contain_text("press Next caption")  # it is there by now
        expect(visitor["#review-annotate-empty"]).to_be_hidden()
        visitor["#review-accept"].click()
        expect(visitor["#review-annotate-empty"]).to_contain_text("Nothing waits for a review by you")
        expect(visitor["#review-annotate-empty"]).to_be_visible()
        assert not visitor.errors
