"""Take README's picture of the page: both models of the pocket pair answer about an example.

    python -m dev.screenshot        writes docs/compare.png

Needs what requirements-dev.txt installs and a chromium on the PATH.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from dev.served import chromium, the_app
from tinyrs.config import ROOT

PICTURE = ROOT / "assets" / "examples" / "airport.png"
QUESTION = "Identify the location of the leftmost airplane."


def take(target: Path) -> None:
    """Serve the app on a store of its own, ask, and photograph the page at 1280 pixels."""
    with tempfile.TemporaryDirectory() as folder, the_app(Path(folder)) as url, chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 960})
        page.add_init_script("localStorage.setItem('tinyrs-tour', 'done')")
        page.goto(url)
        page.locator("input[type=file]").first.set_input_files(PICTURE)
        page.locator("#viewer .stage img").wait_for()
        page.locator("#question textarea").fill(QUESTION)
        page.locator("#ask").click()
        for side in "ab":
            page.locator(f"#card-{side} .card[data-state=done]").wait_for(timeout=120_000)
        page.locator("#votes").wait_for()
        page.locator("#sight .sights").wait_for()
        page.screenshot(path=target)


if __name__ == "__main__":
    take(ROOT / "docs" / "compare.png")
