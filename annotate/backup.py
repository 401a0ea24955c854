"""One .tar file that holds everything, `tinyrs.db` and `pictures/`; written while others write."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import tarfile
import tempfile
from pathlib import Path

from annotate.connection import storage_error
from annotate.rules import Refused, StoreError
from annotate.store import Store
from tinyrs.whole import sync, whole

DATABASE = "tinyrs.db"
_PICTURE = re.compile(r"pictures/([0-9a-f]{64})\.[a-z]{3}")


def backup(store: Store, path: str | Path) -> None:
    """Write all of `store` to `path`, whole or not at all. Raises StoreFull, StoreError.

    The database is copied first: pictures are never changed and always there before their row, so each
    picture that the copy names can be read after it.
    """
    path = Path(path)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".backup-") as folder, whole(path) as part:
            copy = Path(folder) / DATABASE
            store.snapshot(copy)
            with tarfile.open(part, "w") as archive:
                archive.add(copy, DATABASE, filter=_plain)
                for file in pictures_of(copy):
                    archive.add(store.pictures / file, f"pictures/{file}", filter=_plain)
    except OSError as problem:
        raise storage_error(problem, path) from problem


def restore(path: str | Path, database: str | Path) -> None:
    """Put a backup back, where no database is. Every picture is checked against its name, the database
    against itself, before it appears at `database`. Raises Refused, StoreError."""
    path, database = Path(path), Path(database)
    for there in (database, database.with_name(database.name + "-journal")):
        # A journal left behind would be rolled into the restored file and break it.
        if there.exists():
            raise Refused(f"{there} exists: move it away before a restore, or restore to another path.")
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=database.parent, prefix=".restore-") as folder:
            found = _unpack(path, Path(folder))
            _check(Path(folder) / DATABASE, found, path)
            (database.parent / "pictures").mkdir(exist_ok=True)
            for file in found:
                os.replace(Path(folder) / "pictures" / file, database.parent / "pictures" / file)
            sync(database.parent / "pictures")
            os.replace(Path(folder) / DATABASE, database)
            sync(database.parent)
    except tarfile.TarError:
        raise Refused(f"{path} is not a whole backup.") from None
    except OSError as problem:
        raise storage_error(problem, path) from problem


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o644
    return entry


def pictures_of(copy: Path) -> list[str]:
    """The files in `pictures/` that a database needs: all that it names, but for those that visitors took back."""
    sql = "SELECT file FROM pictures WHERE sha256 NOT IN (SELECT sha256 FROM gone_pictures) ORDER BY file"
    conn = sqlite3.connect(copy)
    try:
        return [file for (file,) in conn.execute(sql)]
    finally:
        conn.close()


def _unpack(path: Path, folder: Path) -> set[str]:
    """Unpack what a backup may hold, and nothing else; returns the names of the pictures."""
    (folder / "pictures").mkdir()
    found: set[str] = set()
    with tarfile.open(path, "r:") as archive:
        for entry in archive:
            picture = _PICTURE.fullmatch(entry.name)
            if not entry.isreg() or not (picture or entry.name == DATABASE):
                raise Refused(f"{path} is not a backup: it holds {entry.name[:100]!a}.")
            digest = hashlib.sha256()
            source = archive.extractfile(entry)
            with open(folder / entry.name, "xb") as file:
                while block := source.read(2**20):
                    digest.update(block)
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
            if picture:
                if digest.hexdigest() != picture[1]:
                    raise Refused(f"{path} is damaged: picture {picture[1][:12]} is not what its name says.")
                found.add(Path(entry.name).name)
    return found


def sound(database: Path) -> bool:
    """Whether a database passes SQLite's own checks; an older one is brought up to date. Raises StoreError for a file
    that is none, or a newer one."""
    with Store(database) as store, store.read() as db:
        whole = db.conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        return whole and not db.conn.execute("PRAGMA foreign_key_check").fetchall()


def _check(database: Path, pictures: set[str], path: Path) -> None:
    if not database.is_file() or not database.stat().st_size:
        raise Refused(f"{path} is not a backup: it holds no database.")
    try:
        # Opening it says what is wrong with a foreign or a newer one, and brings an older one up to date.
        whole = sound(database)
    except StoreError as problem:
        raise Refused(str(problem).replace(str(database), f"The database in {path}")) from None
    if not whole:
        raise Refused(f"{path} is damaged: its database does not pass SQLite's own check.")
    missing = set(pictures_of(database)) - pictures
    if missing:
        raise Refused(f"{path} is not whole: pictures are missing ({len(missing)}).")
