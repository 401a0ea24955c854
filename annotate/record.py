"""Every answer that was paid for, one line each: written before anything else is done, never changed.

A runner that was killed loses what was in flight and nothing else: each line is on the disk before the next call
goes out, and a line that was cut off in the middle is taken away when the file is opened again.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from annotate.connection import storage_error
from annotate.rules import Refused
from annotate.thinking import Wrote
from tinyrs.checks import Finding
from tinyrs.strictjson import BadData, load_json
from tinyrs.whole import sync


class Record:
    """The lines of `path`, held by one process at a time until it ends, however it ends.

    attempts    key of a row -> what a model wrote for it, in order: {"key", "text", "findings", "in", "out"}
    batches     token of a batch -> its newest line: {"batch", "state", "id", "file"}
    lost        calls that brought nothing and may have been charged
    tokens_in, tokens_out   of everything, lost calls among it

    `head` says what all lines have in common; a file with another head is refused. `write=False` only looks.
    Raises Refused for a file that another runner holds or that is no record.
    """

    def __init__(self, path: Path, head: Mapping[str, Any], *, write: bool = True):
        self.path, self.head = path, dict(head)
        self.attempts: dict[str, list[dict]] = {}
        self.batches: dict[str, dict] = {}
        self.lost = self.tokens_in = self.tokens_out = 0
        self._file = None
        try:
            if write:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = open(path, "a+b")
                self._hold()
                self._mend()
            if path.exists() and path.stat().st_size:
                self._read()
            elif write:
                self._append({"head": self.head})
                sync(path.parent)
        except OSError as problem:
            self.close()
            raise storage_error(problem, path) from problem
        except BaseException:
            self.close()
            raise

    def _hold(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"Another process is writing {self.path}: wait for its end.") from None

    def _mend(self) -> None:
        """Take away a last line that a kill cut off, of a file of ours."""
        self._file.seek(0)
        data = self._file.read()
        if data and not data.startswith(b'{"head"'[: len(data)]):
            raise self._foreign()
        if data and not data.endswith(b"\n"):
            self._file.truncate(data.rfind(b"\n") + 1)
            self._file.seek(0, os.SEEK_END)

    def _read(self) -> None:
        try:
            lines = load_json(self.path)
        except BadData as problem:
            raise Refused(str(problem)) from None
        if not lines or not isinstance(lines[0], dict) or not isinstance(lines[0].get("head"), dict):
            raise self._foreign()
        if lines[0]["head"] != self.head:
            was = ", ".join(str(value) for value in lines[0]["head"].values())
            raise Refused(f"{self.path} holds captions by {was}: choose another --out.")
        try:
            for line in lines[1:]:
                self._take(line)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise self._foreign() from None

    def _foreign(self) -> Refused:
        return Refused(f"{self.path} is no record of `annotate generate`: choose another --out.")

    def _take(self, line: dict) -> None:
        if "batch" in line:
            self.batches[line["batch"]] = line
            return
        self.tokens_in += int(line["in"])
        self.tokens_out += int(line["out"])
        if "lost" in line:
            self.lost += 1
            return
        line["findings"] = [(str(name), str(sentence)) for name, sentence in line["findings"]]
        self.attempts.setdefault(line["key"], []).append(line)

    def _append(self, line: dict) -> None:
        data = json.dumps(line).encode() + b"\n"  # ASCII: no character of a text can end a line
        try:
            self._file.write(data)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as problem:
            raise storage_error(problem, self.path) from problem

    def answered(self, key: str, wrote: Wrote, findings: Iterable[Finding]) -> None:
        """Keep what was written for the row `key`."""
        found = [[finding.check, finding.sentence] for finding in findings]
        line = {"key": key, "text": wrote.text, "findings": found}
        line |= {"in": wrote.tokens_in, "out": wrote.tokens_out}
        self._append(line)
        self._take(line)

    def went_astray(self, key: str, tokens: tuple[int, int]) -> None:
        """Keep that a call for `key` brought nothing and may have cost `tokens` (in, out)."""
        line = {"lost": key, "in": tokens[0], "out": tokens[1]}
        self._append(line)
        self._take(line)

    def batch(self, token: str, state: str, file: str, id: str = "") -> None:
        """Keep how far a batch has come: "made", "sent" (now it has an id) or "ended"."""
        line = {"batch": token, "state": state, "id": id, "file": file}
        self._append(line)
        self._take(line)

    def good(self, key: str) -> str | None:
        """The text for the row `key` in which nothing was found, or None."""
        return next((line["text"] for line in self.attempts.get(key, ()) if not line["findings"]), None)

    def done(self, key: str, attempts: int) -> bool:
        """Whether the row `key` needs no more: a caption is there, or it has had so many attempts."""
        return len(self.attempts.get(key, ())) >= attempts or self.good(key) is not None

    def close(self) -> None:
        """Let the next runner at the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Record:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
