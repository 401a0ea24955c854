"""A file is whole, or what it was before."""

from __future__ import annotations

import errno
import os

import pytest

from tinyrs.whole import whole, write_whole


def names(folder) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_what_was_written_takes_the_place_at_the_end(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with whole(path) as part:
        part.write_text("new")
        assert path.read_text() == "old" and part.parent == tmp_path
    assert path.read_text() == "new" and names(tmp_path) == ["a.json"]


def test_a_block_that_fails_leaves_what_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_whole(path, "old")
    with pytest.raises(ZeroDivisionError), whole(path) as part:
        part.write_text("half")
        1 / 0
    assert path.read_text() == "old" and names(tmp_path) == ["a.json"]


def test_a_disk_that_fails_at_the_last_moment_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_whole(path, "old")

    def full(handle):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, "new")
    assert path.read_text() == "old" and names(tmp_path) == ["a.json"]


def test_two_writers_do_not_take_each_others_part(tmp_path):
    path = tmp_path / "a.json"
    with whole(path) as one, whole(path) as other:
        one.write_text("outer, which ends last")
        other.write_text("inner")
        assert one != other
    assert path.read_text() == "outer, which ends last" and names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_of_several_that_come_first_one_stays(tmp_path, monkeypatch, links):
    path = tmp_path / "a.json"
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "no links")))
    with whole(path, first=True) as part:
        part.write_text("first")
    assert path.read_text() == "first" and names(tmp_path) == ["a.json"]
    if links:
        with whole(path, first=True) as part:
            part.write_text("second")
        assert path.read_text() == "first" and names(tmp_path) == ["a.json"]
