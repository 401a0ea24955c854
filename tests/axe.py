"""What axe-core finds on a page: WCAG 2.0 to 2.2 at levels A and AA."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

RULES = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
}


def violations(page: Page) -> list[str]:
    """Every violation on the page as it is now: "rule at selector: what it is about"."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [
        f"{each['id']} at {' '.join(map(str, node['target']))}: {node['html'][:160]}"
        for each in found
        for node in each["nodes"]
    ]
