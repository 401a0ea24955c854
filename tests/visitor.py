"""A person at the page in a real Chromium, and what is asked of every screen that they see."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import Error as PlaywrightError

from tests.pages import ASKED

# Read now: every test hides the TINYRS_ variables of the outside from itself.
SCREENSHOTS = os.environ.get("TINYRS_SCREENSHOTS", "")
SIZES = {"1280": {"width": 1280, "height": 860}, "390": {"width": 390, "height": 844}}
expect.set_options(timeout=60_000)  # a busy machine is no failure


class Visitor:
    """A person at the page, who remembers every host that was asked and every error that was written.

    `ready` is what has to be there before anything is done.
    """

    def __init__(self, browser: Browser, url: str, path: str = "/", ready: str = "#ask", **options):
        self.url, self.ready, self.hosts, self.errors = url, ready, set(), []
        self.context = browser.new_context(**{"viewport": SIZES["1280"], **options})
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.on("request", self._asked)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.open(path)

    def _asked(self, request) -> None:
        host = urlsplit(request.url).netloc
        if host:
            self.hosts.add(host)

    def open(self, path: str = "/") -> None:
        try:
            self.page.goto(self.url + path)
        except PlaywrightError:
            # A Chromium that is still starting may drop its first navigation; a second refusal is a failure.
            self.page.goto(self.url + path)
        expect(self.page.locator(self.ready)).to_be_visible()

    def __getitem__(self, selector: str):
        return self.page.locator(selector)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()

    def choose(self, path: Path) -> None:
        """Choose a picture and wait until it is shown."""
        self["input[type=file]"].first.set_input_files(path)
        expect(self["#viewer .stage img"]).to_be_visible()

    def ask(self, text: str = ASKED, wait: bool = True) -> None:
        self["#question textarea"].fill(text)
        self["#ask"].click()
        if wait:
            self.answered()

    def answered(self) -> None:
        for side in "ab":
            expect(self[f"#card-{side} .card[data-state=done]"]).to_be_visible(timeout=120_000)
        expect(self["#ask"]).to_be_visible()

    def flag(self, side: str, reason: str, note: str = "") -> None:
        self[f"#flag-{side}"].click()
        expect(self["#flag-panel"]).to_be_visible()
        self["#reasons"].get_by_label(reason, exact=True).check()
        self["#note textarea"].fill(note)
        self["#send-flag"].click()
        expect(self["#link a"]).to_be_visible()

    def tab(self, name: str) -> None:
        """Go to a tab, which may be in the menu of those that a narrow window has no room for."""
        tab = self.page.get_by_role("tab", name=name, exact=True)
        folded = self[".overflow-dropdown"].get_by_text(name, exact=True)
        expect(tab.or_(folded)).to_have_count(1)
        if folded.count():
            self.page.get_by_label("More tabs").click()
            folded.click()
        else:
            tab.click()

    def annotate(self, name: str) -> None:
        """Go to the Annotate tab and open the next caption."""
        self.tab("Annotate")
        self["#annotator input, #annotator textarea"].first.fill(name)
        self["#next"].click()
        expect(self["#caption"]).to_be_visible()
        expect(self["#annotate-viewer .stage img"]).to_be_visible()

    def shoot(self, folder: Path, name: str) -> None:
        folder = Path(SCREENSHOTS or folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"{name}.png", full_page=True)

    def fits(self) -> bool:
        """Nothing is wider than the window."""
        return self.page.evaluate(WIDE) == []


CONTRAST = """() => {
    const parse = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
    const luminance = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (node) => {
        for (; node; node = node.parentElement) {
            const colour = parse(getComputedStyle(node).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return parse(getComputedStyle(document.body).backgroundColor);
    };
    const faint = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        if (!walker.currentNode.textContent.trim() || !node.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })
            || node.closest('svg, script, style, :disabled, .invisible, .sr-only')) continue;
        const [one, two] = [luminance(parse(getComputedStyle(node).color)), luminance(behind(node))].sort((a, b) => b - a);
        const ratio = (one + 0.05) / (two + 0.05);
        if (ratio < 4.5) faint.push([ratio.toFixed(2), node.className, walker.currentNode.textContent.trim().slice(0, 40)]);
    }
    return faint;
}"""

# The page clips what is too wide, so that nothing scrolls: what reaches over the edge has to be looked for. What can be
# pushed sideways in a frame of its own may.
WIDE = """() => {
    const page = document.querySelector('.gradio-container'), wide = [];
    if (document.documentElement.scrollWidth > window.innerWidth) wide.push('the page');
    const look = (node) => {
        if (!node.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) return;
        const { left, right, width } = node.getBoundingClientRect();
        if (width > 1 && (right > window.innerWidth + 1 || left < -1)) wide.push(node.outerHTML.slice(0, 120));
        if (!['auto', 'scroll'].includes(getComputedStyle(node).overflowX) && !node.matches('.stage, svg')) [...node.children].forEach(look);
    };
    look(page);
    return wide;
}"""

NAMELESS = """() => [...document.querySelectorAll('button, a[href], input, textarea, select, summary, [role=button], img')]
    .filter((node) => node.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }))
    .filter((node) => !(node.getAttribute('aria-label') || node.getAttribute('alt') || node.innerText
        || node.labels?.[0]?.innerText || node.querySelector?.('img[alt]')?.alt))
    .map((node) => node.outerHTML.slice(0, 160))"""
