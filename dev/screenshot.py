"""Take README's picture of the page: both models of the pocket pair answer about an example.

    python -m dev.screenshot        writes docs/compare.png

Needs what requirements-dev.txt installs and a chromium on the PATH.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.app import free_port, wait_for

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "assets" / "examples" / "airport.png"
QUESTION = "Identify the location of the leftmost airplane."


def take(target: Path) -> None:
    """Serve the app on a store of its own, ask, and photograph the page at 1280 pixels."""
    from playwright.sync_api import sync_playwright

    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        app = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port)],
            cwd=ROOT,
            env=os.environ | {"TINYRS_DATA": folder},
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/", app)
            with sync_playwright() as playwright:
                path = shutil.which("chromium") or shutil.which("google-chrome")
                browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
                page = browser.new_page(viewport={"width": 1280, "height": 860})
                page.goto(f"http://127.0.0.1:{port}/")
                page.locator("input[type=file]").first.set_input_files(PICTURE)
                page.locator("#viewer .stage img").wait_for()
                page.locator("#question textarea").fill(QUESTION)
                page.locator("#ask").click()
                for side in "ab":
                    page.locator(f"#card-{side} .card[data-state=done]").wait_for(timeout=120_000)
                page.screenshot(path=target)
                browser.close()
        finally:
            app.terminate()
            app.wait(30)


if __name__ == "__main__":
    take(ROOT / "docs" / "compare.png")
