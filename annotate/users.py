"""Names and passwords of a lab server, in one file beside the database; passwords only as scrypt hashes.

    python -m annotate user add ada --role reviewer

The file is no part of the database, which is backed up and handed on. It is read anew when it changed, so that
whoever is removed is out at once.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path

from annotate import rules
from annotate.connection import storage_error
from tinyrs.whole import whole

FILE = "users.json"
ROLES = ("annotator", "reviewer", "admin")
"""Each may do what those before it may."""

SHORTEST = 8
LONGEST = 200
"""Characters of a password."""

# 16 MiB and a twentieth of a second for each try: RFC 7914, section 2, for an interactive login.
_COST = {"n": 2**14, "r": 8, "p": 1}


class Users:
    """The people of the file at `path`, which need not be there yet."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._read: tuple[tuple[int, int, int] | None, dict] = (None, {})

    def all(self) -> dict[str, str]:
        """Name -> role, in the order of the names. Raises StoreError for a file that cannot be read."""
        return {row["name"]: row["role"] for _, row in sorted(self._rows().items())}

    def role(self, name: str) -> str | None:
        """What the person with this name is, None for a stranger."""
        row = self._rows().get(name.casefold())
        return row["role"] if row else None

    def named(self, name: str) -> str | None:
        """The spelling that was stored for this name, None for a stranger."""
        row = self._rows().get(rules.person(name).casefold())
        return row["name"] if row else None

    def add(self, name: str, password: str, role: str) -> str:
        """Add a person, or give one another password and role; the name as it is stored. Raises Refused."""
        name = rules.person(name)
        if role not in ROLES:
            raise rules.Refused("A role is one of: " + ", ".join(ROLES) + ".")
        if not SHORTEST <= len(password) <= LONGEST:
            raise rules.Refused(f"A password has {SHORTEST} to {LONGEST} characters.")
        salt = secrets.token_bytes(16)
        row = {"name": name, "role": role, "salt": salt.hex(), "scrypt": _scrypt(password, salt).hex()}
        self._write({**self._rows(), name.casefold(): row})
        return name

    def remove(self, name: str) -> None:
        """Forget a person; what that person wrote stays. Raises NotFound."""
        rows = dict(self._rows())
        if rows.pop(name.casefold(), None) is None:
            raise rules.NotFound(f"{self.path} names nobody called {name!r}.")
        self._write(rows)

    def check(self, name: str, password: str) -> bool:
        """Whether this is that person's password. A stranger's name takes as long as a known one."""
        try:
            row = self._rows().get(rules.person(name).casefold())
        except rules.Refused:
            row = None
        salt = bytes.fromhex(row["salt"]) if row else bytes(16)
        found = _scrypt(str(password)[:LONGEST], salt)
        return row is not None and hmac.compare_digest(found, bytes.fromhex(row["scrypt"]))

    def _rows(self) -> dict[str, dict]:
        try:
            stat = os.stat(self.path)
        except FileNotFoundError:
            return {}
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if stamp != self._read[0]:
            try:
                rows = json.loads(self.path.read_bytes())
                rows = {
                    name: {key: str(row[key]) for key in ("name", "role", "salt", "scrypt")}
                    for name, row in rows.items()
                }
            except (OSError, ValueError, AttributeError, KeyError, TypeError):
                raise rules.StoreError(f"{self.path} cannot be read: nobody can log in.") from None
            self._read = stamp, rows
        return self._read[1]

    def _write(self, rows: dict) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with whole(self.path) as part:
                # Not write_file: this file is its owner's alone from its first byte on.
                handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with open(handle, "w", encoding="utf-8") as file:
                    json.dump(rows, file, indent=1, sort_keys=True)
        except OSError as problem:
            raise storage_error(problem, self.path) from problem


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "replace"), salt=salt, **_COST)
