"""One SQLite file, opened so that many processes write it at once and lose nothing; files beside it."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from sqlite_utils import Database

from annotate.migrations import ForeignDatabase, NewerDatabase, code_version, migrate
from annotate.rules import NotFound, StoreBusy, StoreError, StoreFull
from tinyrs.whole import whole

TIMEOUT = 30
"""Seconds that a write waits for the other processes."""


class Connection:
    """The database at `path` with its transactions; see Store, which knows what is in it."""

    def __init__(
        self,
        path: str | Path,
        *,
        create: bool = True,
        clock: Callable[[], float] = time.time,
    ):
        self.path = Path(path)
        self._clock = clock
        self._lock = threading.RLock()
        self._process = os.getpid()
        if not create and not self.path.is_file():
            raise NotFound(f"There is no database at {self.path}.")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._conn = self._connect()
        except (OSError, sqlite3.Error) as problem:
            if "locked" in str(problem):
                raise translate(problem) from problem
            raise StoreError(f"The database {self.path} cannot be opened.") from None
        try:
            self._db = Database(self._conn)
            migrate(self._db)
        except ForeignDatabase:
            self._conn.close()
            raise StoreError(f"{self.path} is the database of another program.") from None
        except NewerDatabase as newer:
            self._conn.close()
            raise StoreError(
                f"{self.path} was written by a newer TinyRS (schema {newer.version}, this one knows "
                f"{code_version()}): update the code."
            ) from None
        except sqlite3.Error as problem:
            self._conn.close()
            if "not a database" in str(problem):
                raise StoreError(f"{self.path} is not a database.") from None
            raise translate(problem) from problem

    def _connect(self) -> sqlite3.Connection:
        conn = sqlite3.connect(self.path, timeout=TIMEOUT, check_same_thread=False, isolation_level=None)
        # WAL is out: SQLite before 3.51.3 can corrupt it, and mounted buckets lack its locks. EXTRA also
        # syncs the folder, without which a power cut can bring a deleted journal, and the old rows, back.
        for pragma in ("journal_mode=DELETE", "synchronous=EXTRA", "foreign_keys=ON"):
            try:
                conn.execute(f"PRAGMA {pragma}").fetchall()
            except sqlite3.DatabaseError as problem:
                if "not a database" not in str(problem):  # said better by __init__
                    conn.close()
                    raise
        return conn

    def close(self) -> None:
        """Close the connection. `with Store(path) as store:` does it too."""
        with self._lock:
            self._conn.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- transactions -----------------------------------------------------------------------------------

    @contextmanager
    def write(self) -> Iterator[Database]:
        """One transaction that holds the write lock from its start; all of it is saved or nothing is."""
        # IMMEDIATE: a deferred one that reads first and then writes is refused when others wrote in between.
        with self._transaction("BEGIN IMMEDIATE") as db:
            yield db

    @contextmanager
    def read(self) -> Iterator[Database]:
        """One snapshot for several reads. Take the rows out at once: writers wait for its end."""
        with self._transaction("BEGIN") as db:
            yield db

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Database]:
        if os.getpid() != self._process:
            raise RuntimeError("A Store was carried into a forked process: open one there.")
        with self._lock:
            if self._conn.in_transaction:
                raise RuntimeError("A transaction was opened inside another: use the one that is open.")
            try:
                self._conn.execute(begin)
                yield self._db
                self._conn.execute("COMMIT")
            except BaseException as problem:
                self._roll_back()
                if isinstance(problem, sqlite3.Error):
                    raise translate(problem) from problem
                raise

    def _roll_back(self) -> None:
        try:
            if self._conn.in_transaction:
                self._conn.execute("ROLLBACK")
        except sqlite3.Error:
            # SQLite has rolled back by itself, as it does on a full disk; the first error is the one to tell.
            pass

    def now(self, later: float = 0) -> str:
        """The time, or `later` seconds after it, as the store writes it."""
        when = datetime.fromtimestamp(self._clock() + later, timezone.utc)
        return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def snapshot(self, path: str | Path) -> None:
        """Write a consistent copy of the database alone, without the pictures, also while others write."""
        path = Path(path)
        try:
            with whole(path) as part:
                # A connection of its own, so that this process's other threads do not wait for the copy.
                source, copy = self._connect(), sqlite3.connect(part)
                try:
                    source.backup(copy)
                finally:
                    copy.close()
                    source.close()
        except sqlite3.Error as problem:
            raise translate(problem) from problem
        except OSError as problem:
            raise storage_error(problem, path) from problem


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and so that it outlives a crash. Raises StoreFull, StoreError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as part:
            part.write_bytes(data)
    except OSError as problem:
        raise storage_error(problem, path) from problem


def same_bytes(path: Path, data: bytes) -> bool:
    """Whether the file is there and holds just `data`."""
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False


def storage_error(problem: OSError, path: Path) -> StoreError:
    """The sentence for a file that could not be read or written."""
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull("The disk is full: nothing was saved. Make room and try again.")
    return StoreError(f"{path}: {os.strerror(problem.errno or 0).lower()}.")


def translate(problem: sqlite3.Error) -> StoreError:
    """The sentence for what SQLite complains about."""
    # The text, not sqlite_errorname: Python 3.10 does not have it.
    text = str(problem)
    if "full" in text:
        return StoreFull("The disk is full: nothing was saved. Make room and try again.")
    if "disk I/O" in text:
        return StoreError("The disk failed: nothing was saved.")
    if "locked" in text or "busy" in text:
        return StoreBusy("The database is busy: nothing was saved. Please try again.")
    if "readonly" in text:
        return StoreError("The database is read-only: nothing was saved.")
    return StoreError("The database refused this: nothing was saved.")
