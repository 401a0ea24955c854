"""Every state of every screen on a telephone: nothing is wider than it, and no words are cut.

The walks through the states are tests/states.py's; `python -m dev.screenshots` photographs the same ones.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial

import pytest

from tests.pages import page, served
from tests.states import WALKS
from tests.visitor import SIZES, WIDE, Visitor

pytestmark = pytest.mark.browser

CUT = """() => {
    const seen = (node) => node.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
    const aside = 'svg, script, style, .invisible, .sr-only, .orders, .scene-orders, [aria-hidden=true]';
    const cut = [];
    // Words that reach out of a button or label, or of whatever hides the rest of them. What can be pushed sideways hides
    // nothing.
    const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (words.nextNode()) {
        const text = words.currentNode, node = text.parentElement;
        if (!/[\\p{L}\\p{N}]/u.test(text.textContent) || !seen(node) || node.closest(aside)) continue;
        const range = document.createRange();
        range.selectNodeContents(text);
        const { left, right } = range.getBoundingClientRect();
        for (let around = node; around && right > left; around = around.parentElement) {
            const way = getComputedStyle(around).overflowX, edge = around.getBoundingClientRect();
            if (way === 'auto' || way === 'scroll') break;
            const holds = way !== 'visible' || around.matches('button, label, summary, [role=tab]');
            if (holds && (right > edge.right + 1 || left < edge.left - 1)) {
                cut.push([around.tagName, around.className, text.textContent.trim().slice(0, 60)]);
                break;
            }
        }
    }
    // Closed lists whose chosen words are longer than they are.
    for (const node of document.querySelectorAll('input[role=listbox], input[role=combobox]')) {
        if (seen(node) && node.scrollWidth > node.clientWidth + 1) cut.push([node.ariaLabel, node.value]);
    }
    return cut;
}"""


@pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS)
def test_on_a_telephone_nothing_reaches_over_the_edge_and_no_words_are_cut(browser, tmp_path, walk):
    wrong = {}
    options = {"viewport": SIZES["390"], "reduced_motion": "reduce"}
    with closing(walk(partial(Visitor, browser, **options), tmp_path)) as states:
        for visitor, state in states:
            cut = visitor.page.evaluate(CUT)
            if cut or not visitor.fits():
                wrong[state] = cut or visitor.page.evaluate(WIDE)
            assert not visitor.errors, state
    assert wrong == {}


def test_what_is_cut_is_seen(browser):
    with served(page()) as url, Visitor(browser, url, viewport=SIZES["390"]) as visitor:
        assert visitor.page.evaluate(CUT) == []
        visitor["#ask"].evaluate("(node) => { node.textContent = 'Ask both '.repeat(9); node.style.cssText = 'white-space: pre; width: 90px' }")
        visitor["#model-a input"].evaluate("(node) => { node.value = 'a-model-with-a-long-name'.repeat(3) }")
        assert len(visitor.page.evaluate(CUT)) == 2
        visitor.page.evaluate("document.querySelector('.masthead p').style.minWidth = '900px'")
        assert not visitor.fits()
