"""A backup holds everything that was acknowledged before it, and comes back only whole."""

import io
import os
import sqlite3
import tarfile

import pytest

from annotate.backup import backup, restore
from annotate.store import Refused, Store, StoreError
from tests.store_parts import SCENE, add_caption, add_picture, add_run, check_whole, drawn, processes


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "data" / "tinyrs.db") as opened:
        add_caption(opened, "Fields.", "farmland", SCENE, picture=add_picture(opened, 1))
        add_run(opened, picture=add_picture(opened, 2, "JPEG"))
        yield opened
        check_whole(opened)


def rows(path):
    conn = sqlite3.connect(path)
    try:
        tables = [name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: conn.execute(f"SELECT * FROM {name}").fetchall() for name in tables if "_fts" not in name
        }
    finally:
        conn.close()


def test_a_wiped_disk_comes_back_from_a_backup(store, tmp_path):
    backup(store, tmp_path / "all.tar")
    restore(tmp_path / "all.tar", tmp_path / "new" / "other.db")
    assert rows(tmp_path / "new" / "other.db") == rows(store.path)
    with Store(tmp_path / "new" / "other.db") as back:
        check_whole(back)
        for shade, kind in ((1, "PNG"), (2, "JPEG")):
            sha256 = add_picture(back, shade, kind)
            assert back.picture_path(sha256).read_bytes() == drawn(shade, kind)
        assert [caption["id"] for caption in back.search("fields")] == [1]
    left = {path.name for path in (tmp_path / "new").iterdir()}
    assert left == {"other.db", "pictures"}


def _append(path, told):
    with Store(path) as store:
        while not told.poll():
            told.send(add_run(store))


def test_a_backup_under_load_holds_whatever_was_acknowledged_before(store, tmp_path):
    ours, theirs = processes.Pipe()
    writer = processes.Process(target=_append, args=(store.path, theirs))
    writer.start()
    for i in range(5):
        acknowledged = [ours.recv()]
        while ours.poll():
            acknowledged.append(ours.recv())
        backup(store, tmp_path / f"{i}.tar")
        restore(tmp_path / f"{i}.tar", tmp_path / str(i) / "a.db")
        with Store(tmp_path / str(i) / "a.db") as back:
            check_whole(back)
            assert set(acknowledged) <= set(back.runs(10**6))
    ours.send("stop")
    writer.join(60)
    assert writer.exitcode == 0


def test_a_backup_replaces_an_older_one_only_when_it_is_complete(store, tmp_path, monkeypatch):
    backup(store, tmp_path / "all.tar")
    before = (tmp_path / "all.tar").read_bytes()

    def breaks(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", breaks)
    with pytest.raises(StoreError, match="disk is full"):
        backup(store, tmp_path / "all.tar")
    assert (tmp_path / "all.tar").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"all.tar", "data"}
    monkeypatch.undo()
    add_run(store)
    backup(store, tmp_path / "all.tar")
    assert (tmp_path / "all.tar").read_bytes() != before


def test_a_backup_that_cannot_be_written_is_a_sentence(store, tmp_path):
    with pytest.raises(StoreError, match="no such file"):
        backup(store, tmp_path / "nowhere" / "all.tar")


def test_a_restore_never_replaces_a_database(store, tmp_path):
    backup(store, tmp_path / "all.tar")
    before = store.path.read_bytes()
    with pytest.raises(Refused, match="exists: move it away"):
        restore(tmp_path / "all.tar", store.path)
    assert store.path.read_bytes() == before
    # A journal without its database would be rolled into whatever is put there.
    (tmp_path / "b.db-journal").write_bytes(b"x")
    with pytest.raises(Refused, match="exists: move it away"):
        restore(tmp_path / "all.tar", tmp_path / "b.db")


def member(name, data=b"x", kind=tarfile.REGTYPE, link=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.size, entry.linkname = kind, len(data), link
    return entry, data


def archive(path, *members):
    with tarfile.open(path, "w") as tar:
        for entry, data in members:
            tar.addfile(entry, io.BytesIO(data))
    return path


HOSTILE = [
    member("../evil.db"),
    member("/tmp/evil.db"),
    member("pictures/../../evil.png"),
    member("pictures/" + "a" * 64 + ".png", kind=tarfile.SYMTYPE, link="/etc/passwd", data=b""),
    member("tinyrs.db", kind=tarfile.LNKTYPE, link="/etc/passwd", data=b""),
    member("pictures/" + "a" * 64 + ".png"),  # not what its name says
    member("pictures/x.png"),
    member("other.txt"),
    member("tinyrs.db", b"not a database"),
    member("tinyrs.db", b""),
]


@pytest.mark.parametrize("bad", HOSTILE, ids=lambda bad: f"{bad[0].name[:20]}-{bad[0].type.decode()}")
def test_what_no_backup_holds_is_refused_and_nothing_is_left(tmp_path, bad):
    file = archive(tmp_path / "all.tar", bad)
    with pytest.raises(StoreError):
        restore(file, tmp_path / "new" / "a.db")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]


def test_a_backup_cut_short_anywhere_is_refused(store, tmp_path):
    backup(store, tmp_path / "all.tar")
    data = (tmp_path / "all.tar").read_bytes()
    for part in (0, 1, 100, 512, len(data) // 3, len(data) // 2, len(data) - 11_000):
        (tmp_path / "cut.tar").write_bytes(data[:part])
        with pytest.raises(StoreError):
            restore(tmp_path / "cut.tar", tmp_path / "new" / "a.db")
        assert not (tmp_path / "new" / "a.db").exists()


def test_a_backup_with_a_damaged_picture_is_refused(store, tmp_path):
    backup(store, tmp_path / "all.tar")
    with tarfile.open(tmp_path / "all.tar") as tar:
        members = [(entry, tar.extractfile(entry).read()) for entry in tar]
    members[-1] = (members[-1][0], members[-1][1][:-1] + b"!")
    with pytest.raises(Refused, match="damaged: picture"):
        restore(archive(tmp_path / "bad.tar", *members), tmp_path / "new" / "a.db")
    assert not (tmp_path / "new" / "a.db").exists()


def test_a_backup_without_one_of_its_pictures_is_refused(store, tmp_path):
    backup(store, tmp_path / "all.tar")
    with tarfile.open(tmp_path / "all.tar") as tar:
        members = [(entry, tar.extractfile(entry).read()) for entry in tar][:-1]
    with pytest.raises(Refused, match=r"not whole: pictures are missing \(1\)"):
        restore(archive(tmp_path / "less.tar", *members), tmp_path / "new" / "a.db")


def test_no_backup_file_is_a_sentence(tmp_path):
    with pytest.raises(StoreError, match="no such file"):
        restore(tmp_path / "none.tar", tmp_path / "a.db")
