"""The record kept safe while the app runs, and brought back when the disk was wiped.

    TINYRS_BACKUP=/bucket python app.py                     a folder that outlives the disk, such as a mounted bucket
    TINYRS_BACKUP=hf://user/name HF_TOKEN=... python app.py  a private data set repository of the hub

    pictures/<sha256>.png            each picture once
    snapshots/<number>-<time>.db     a whole copy of the database, and .json, written last, with its checksum
    log/<number>-<time>/0001.jsonl   what was added after that snapshot (annotate/eventlog.py), one file a round

The first round of a process writes a snapshot and later ones a log, so that two processes never go on from the same
snapshot. What `Keeper.save` returned from without an error is there after a restart.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from annotate import eventlog
from annotate.backup import pictures_of, sound
from annotate.connection import storage_error
from annotate.rules import Refused, StoreError
from annotate.store import Store, code_version
from annotate.vault import Folder, Repository, open_vault
from tinyrs.config import Config
from tinyrs.whole import sync

log = logging.getLogger("tinyrs.annotate")

LOGS = 100
"""Logs after which the next round writes a snapshot."""
SNAPSHOTS = 3
"""Snapshots, with their logs, that are kept."""
_ROWS = 20_000  # more new rows than this are sent as a snapshot
_MANIFEST = re.compile(r"snapshots/(\d{8}-\d{8}T\d{6}Z)\.json")
_PICTURE = re.compile(r"([0-9a-f]{64})\.[a-z]{3}")
FAILED = "Saving failed; the reason is in the server's log."


@dataclass(frozen=True)
class Status:
    """How safe the record is: when everything that was there by then had been saved (seconds since 1970, None:
    never), how many rows came since, and in `problem` why they are not saved ("": they will be in a moment)."""

    saved: float | None
    waiting: int
    problem: str


@dataclass(frozen=True)
class Restored:
    """What came back: from which snapshot, how many logs and rows after it, what could not be read."""

    snapshot: str
    logs: int
    rows: int
    problems: tuple[str, ...]


class Keeper:
    """Saves what is new in the database at `database` to `vault`, every `every` seconds once it is started."""

    def __init__(
        self,
        database: str | Path,
        vault: Folder | Repository,
        *,
        every: float = 60,
        clock: Callable[[], float] = time.time,
        restored: bool = False,
    ):
        """`restored`: all that is in the database has just come from `vault`."""
        self.store, self.vault, self.every = Store(database), vault, every
        self._clock = clock
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._there: set[str] | None = None  # the names in the vault
        self._snapshot = ""  # the one that this process's logs go on from
        self._logs = 0
        self._mark: eventlog.Mark = {}
        self._saved: float | None = None
        self._looked = clock()
        self._problem = ""
        if restored:
            with self.store.read() as db:
                self._mark, self._saved = eventlog.mark_of(db), clock()

    def save(self) -> bool:
        """Save what is new, now; whether there was anything. Raises StoreError; what was saved before stays."""
        with self._lock:
            begun = self._clock()
            try:
                done = self._save()
            except StoreError as problem:
                self._problem = str(problem)
                raise
            except Exception as problem:
                self._problem = FAILED
                log.error("Saving to %s failed.", self.vault.name, exc_info=problem)
                raise StoreError(FAILED) from None
            self._saved = begun if done or self._saved is None else self._saved
            self._looked, self._problem = self._clock(), ""
            return done

    def _save(self) -> bool:
        if self._there is None:
            self.vault.prepare()
            self._there = self.vault.names()
        with self.store.read() as db:
            now = eventlog.mark_of(db)
        if now == self._mark or not any(rows for _, rows in now.values()) and not self._mark:
            return False
        if self._snapshot and self._logs < LOGS and eventlog.newer(self.store, self._mark) <= _ROWS:
            try:
                return self._write_log()
            except eventlog.Rewritten:
                pass
        return self._write_snapshot()

    def _write_log(self) -> bool:
        new = eventlog.since(self.store, self._mark)
        name = f"log/{self._snapshot}/{self._logs + 1:04}.jsonl"
        self._write({**self._pictures(new.pictures), name: new.data})
        self._logs, self._mark = self._logs + 1, new.end
        return True

    def _write_snapshot(self) -> bool:
        with tempfile.TemporaryDirectory(dir=self.store.path.parent, prefix=".snapshot-") as folder:
            copy = Path(folder) / "copy.db"
            self.store.snapshot(copy)
            with Store(copy) as there, there.read() as db:
                mark = eventlog.mark_of(db)
            numbers = [name[:8] for name in self._manifests()] or ["0"]
            now = datetime.fromtimestamp(self._clock(), timezone.utc)
            name = f"{int(max(numbers)) + 1:08}-{now:%Y%m%dT%H%M%SZ}"
            manifest = {
                "sha256": _digest(copy),
                "bytes": copy.stat().st_size,
                "schema": code_version(),
                "mark": mark,
            }
            old = sorted(self._manifests(), reverse=True)[SNAPSHOTS - 1 :]
            drop = {f"snapshots/{each}.{kind}" for each in old for kind in ("json", "db")}
            drop |= {there for there in self._there for each in old if there.startswith(f"log/{each}/")}
            needed = pictures_of(copy)
            # What visitors took back goes from here too.
            drop |= {each for each in self._there if each.startswith("pictures/")} - {f"pictures/{file}" for file in needed}
            self._write(
                {
                    **self._pictures(needed),
                    f"snapshots/{name}.db": copy,
                    f"snapshots/{name}.json": json.dumps(manifest, indent=1).encode() + b"\n",
                },
                # The manifest goes first: a snapshot without one is none.
                sorted(drop & self._there, key=lambda there: not there.endswith(".json")),
            )
        self._snapshot, self._logs, self._mark = name, 0, mark
        return True

    def _manifests(self) -> list[str]:
        return [found[1] for name in self._there if (found := _MANIFEST.fullmatch(name))]

    def _pictures(self, files) -> dict[str, Path]:
        names = {f"pictures/{file}": self.store.pictures / file for file in files}
        return {name: path for name, path in names.items() if name not in self._there and path.is_file()}

    def _write(self, files, drop=()) -> None:
        self.vault.write(files, drop)
        self._there = (self._there | set(files)) - set(drop)

    def status(self) -> Status:
        """How safe the record is right now, also when the thread that saves it has died."""
        waiting = eventlog.newer(self.store, self._mark)
        problem = self._problem
        if waiting and not problem and self._clock() - self._looked > 3 * self.every:
            problem = "Saving has stopped."
        return Status(self._saved, waiting, problem)

    def start(self) -> None:
        """Save every now and then, in a thread of its own, until `close`."""
        self._thread = threading.Thread(target=self._go_on, name="keeper", daemon=True)
        self._thread.start()

    def _go_on(self) -> None:
        while True:
            try:
                self.save()
            except StoreError as problem:
                log.error("Nothing was saved to %s: %s", self.vault.name, problem)
            if self._ended.wait(self.every):
                return

    def close(self) -> None:
        """Save once more, and end. Raises nothing: why the last changes were not saved is in the log."""
        self._ended.set()
        if self._thread:
            self._thread.join()
        try:
            self.save()
        except StoreError as problem:
            log.error("The last changes were not saved to %s: %s", self.vault.name, problem)
        self.store.close()


def restore(vault: Folder | Repository, database: str | Path) -> Restored | None:
    """Bring the record back where no database is: the newest whole snapshot and the logs that go on from it.

    None when nothing was ever saved there. Raises Refused when a database exists or no snapshot is whole, StoreError
    when the place cannot be read: then nothing was changed.
    """
    database = Path(database)
    for there in (database, database.with_name(database.name + "-journal")):
        if there.exists():
            raise Refused(f"{there} exists: move it away before a restore, or restore to another path.")
    vault.prepare()
    names = vault.names()
    snapshots = sorted((found[1] for name in names if (found := _MANIFEST.fullmatch(name))), reverse=True)
    problems = []
    for snapshot in snapshots:
        try:
            database.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=database.parent, prefix=".restore-") as folder:
                return _restore(vault, names, snapshot, Path(folder), database, problems)
        except Refused as problem:
            log.error("%s", problem)
            problems.append(str(problem))
        except OSError as problem:
            raise storage_error(problem, database) from problem
    if problems:
        raise Refused(f"None of the {len(problems)} snapshots in {vault.name} is whole. {problems[0]}")
    return None


def _restore(
    vault, names: set[str], snapshot: str, folder: Path, database: Path, before: list[str]
) -> Restored:
    problems = list(before)
    copy, manifest = folder / f"snapshots/{snapshot}.db", folder / f"snapshots/{snapshot}.json"
    logs = [f"log/{snapshot}/{number:04}.jsonl" for number in range(1, LOGS + 1)]
    logs = logs[: next((i for i, name in enumerate(logs) if name not in names), LOGS)]
    wanted = [f"snapshots/{snapshot}.{kind}" for kind in ("json", "db")]
    if not names.issuperset(wanted):
        raise Refused(f"Snapshot {snapshot} in {vault.name} is not whole.")
    vault.fetch([*wanted, *logs], folder)
    try:
        whole = json.loads(manifest.read_bytes())["sha256"] == _digest(copy)
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole or not sound(copy):
        raise Refused(f"Snapshot {snapshot} in {vault.name} is damaged.")
    rows = done = 0
    with Store(copy) as store:
        for name in logs:
            try:
                rows += eventlog.replay(store, (folder / name).read_bytes(), name)
            except StoreError as problem:
                problems.append(f"{problem} What came after it is not restored.")
                log.error("%s", problems[-1])
                break
            done += 1
    problems += _bring_pictures(vault, names, copy, folder, database.parent / "pictures")
    os.replace(copy, database)
    sync(database.parent)
    return Restored(snapshot, done, rows, tuple(problems))


def _bring_pictures(vault, names: set[str], copy: Path, folder: Path, into: Path) -> list[str]:
    """Put the pictures that the database names where they belong; what was missing or damaged, as sentences."""
    into.mkdir(parents=True, exist_ok=True)
    missing = [file for file in pictures_of(copy) if not (into / file).is_file()]
    vault.fetch([f"pictures/{file}" for file in missing if f"pictures/{file}" in names], folder)
    problems = []
    for file in missing:
        found, digest = folder / "pictures" / file, _PICTURE.fullmatch(file)
        if not digest or not found.is_file() or _digest(found) != digest[1]:
            problems.append(f"Picture {file[:12]} is missing or damaged in {vault.name}.")
            log.error("%s", problems[-1])
            continue
        os.replace(found, into / file)
    sync(into)
    return problems


def at_start(config: Config) -> Keeper | None:
    """What TINYRS_BACKUP asks for: the record is brought back where the disk was wiped, and will be kept. None
    without that setting. Raises StoreError, before anything was written, when the saved record cannot be read: an
    empty database in its place would look like the newest one."""
    if not config.backup:
        return None
    vault = open_vault(config.backup)
    back = None if config.database.exists() else restore(vault, config.database)
    if back:
        log.info("Restored snapshot %s and %d rows from %s.", back.snapshot, back.rows, vault.name)
    return Keeper(
        config.database, vault, every=config.backup_seconds, restored=back is not None and not back.problems
    )


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
