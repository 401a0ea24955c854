"""SECURITY.md promises nothing that no test file proves."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_every_row_names_a_test_file_that_is_there():
    rows = [
        line for line in (ROOT / "SECURITY.md").read_text(encoding="utf-8").splitlines() if line[:1] == "|"
    ]
    assert len(rows) > 10
    for row in rows[2:]:
        named = re.findall(r"`(tests/\w+\.py)`", row.split("|")[-2])
        assert named and all((ROOT / name).is_file() for name in named), row


def test_the_limits_on_the_page_are_those_of_the_code():
    from tinyrs import containers, look
    from tinyrs.config import Config

    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert f"up to {Config().max_bytes >> 20} MiB and {Config().max_pixels // 10**6} million pixels" in page
    assert f"more than {look.MAX_DECODED / 10**9:.1f} GB" in page
    assert f"more than {look.MAX_BLOCK >> 20} MiB" in page
    assert f"above {containers.MAX_ASPECT}:1 and under {containers.MIN_SIDE} pixels" in page
