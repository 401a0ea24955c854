"""SECURITY.md promises nothing that no test file proves."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def rows() -> list[list[str]]:
    """The table: number, threat, what happens, tests."""
    lines = (ROOT / "SECURITY.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"]
    return cells[2:]


def test_every_threat_has_a_row():
    assert [int(number) for number, *_ in rows() if number] == list(range(1, 24))


def test_every_row_names_tests_that_are_there():
    for number, threat, _, proof in rows():
        named = re.findall(r"`(tests/\w+\.py)(?:::(\w+))?`", proof)
        assert named and proof.count("`") == 2 * len(named), threat
        for file, test in named:
            text = (ROOT / file).read_text(encoding="utf-8")
            assert not test or f"def {test}(" in text, f"{number} {threat}: {file}::{test}"


def test_the_limits_on_the_page_are_those_of_the_code():
    from tinyrs import containers, look
    from tinyrs.config import Config

    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert f"up to {Config().max_bytes >> 20} MiB and {Config().max_pixels // 10**6} million pixels" in page
    assert f"more than {look.MAX_DECODED / 10**9:.1f} GB" in page
    assert f"more than {look.MAX_BLOCK >> 20} MiB" in page
    assert f"above {containers.MAX_ASPECT}:1 and under {containers.MIN_SIDE} pixels" in page
