"""Where copies of the record are kept away from this machine's disk: a folder, such as a mounted bucket, or a private
data set repository of the hub.

Both hold the same files by the same names, and a name that is there is whole.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import traceback
from collections.abc import Collection, Mapping
from pathlib import Path

from annotate.connection import storage_error, write_file
from annotate.rules import Refused, StoreError
from tinyrs.whole import whole

log = logging.getLogger("tinyrs.annotate")

HUB = "hf://"


class Folder:
    """A folder that outlives this machine's disk."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.name = str(path)

    def prepare(self) -> None:
        """Make it ready to be written. Raises StoreError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise storage_error(problem, self.path) from problem

    def names(self) -> set[str]:
        """The files in it, "snapshots/x.db". Raises StoreError."""
        try:
            return {
                file.relative_to(self.path).as_posix()
                for file in self.path.rglob("*")
                if file.is_file() and not file.name.startswith(".")
            }
        except OSError as problem:
            raise storage_error(problem, self.path) from problem

    def fetch(self, names: Collection[str], into: Path) -> None:
        """Copy these files into the folder `into`, under their names. Raises StoreError."""
        for name in names:
            _copy(self.path / name, into / name)

    def write(self, files: Mapping[str, Path | bytes], drop: Collection[str] = ()) -> None:
        """Write these files, each whole and in this order, then take those of `drop` away. Raises StoreError."""
        for name, source in files.items():
            if isinstance(source, bytes):
                write_file(self.path / name, source)
            else:
                _copy(source, self.path / name)
        for name in drop:
            (self.path / name).unlink(missing_ok=True)


class Repository:
    """A private data set repository of the hub; the token is read from HF_TOKEN and goes into the requests alone."""

    def __init__(self, repo: str):
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", repo, re.A):
            raise Refused(f"A data set repository is called hf://user/name, not {ascii(HUB + repo[:100])}.")
        self.repo = repo
        self.name = HUB + repo

    def prepare(self) -> None:
        """Make it, private, unless it is there; one that others can read is refused. Raises Refused, StoreError."""
        self._ask(lambda api: api.create_repo(self.repo, repo_type="dataset", private=True, exist_ok=True))
        self._private()

    def _private(self) -> None:
        if not self._ask(lambda api: api.repo_info(self.repo, repo_type="dataset")).private:
            raise Refused(f"{self.name} is public: nothing is saved there before it is private.")

    def names(self) -> set[str]:
        """The files in it. Raises StoreError."""
        return set(self._ask(lambda api: api.list_repo_files(self.repo, repo_type="dataset")))

    def fetch(self, names: Collection[str], into: Path) -> None:
        """Download these files into the folder `into`, under their names. Raises StoreError."""

        def download(api):
            for name in names:
                api.hf_hub_download(self.repo, name, repo_type="dataset", local_dir=into)

        self._ask(download)

    def write(self, files: Mapping[str, Path | bytes], drop: Collection[str] = ()) -> None:
        """Add and take away these files by one commit. Raises Refused for a public repository, StoreError."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        self._private()
        operations = [
            CommitOperationAdd(name, source if isinstance(source, bytes) else str(source))
            for name, source in files.items()
        ]
        operations += [CommitOperationDelete(name) for name in drop]
        message = f"{len(files)} files of annotations"
        self._ask(
            lambda api: api.create_commit(self.repo, operations, commit_message=message, repo_type="dataset")
        )

    def _ask(self, what):
        from huggingface_hub import HfApi
        from huggingface_hub.utils import disable_progress_bars

        from tinyrs.deploy import sentence
        from tinyrs.engine import redact

        token = os.environ.get("HF_TOKEN", "").strip()
        if not token:
            raise Refused(
                f"Set HF_TOKEN to a token that may write to {self.name}; it is read from nowhere else."
            )
        disable_progress_bars()
        try:
            return what(HfApi(token=token))
        except Exception as error:  # dozens of kinds, and their texts hold addresses and headers
            said = sentence(error, self.name)
            log.error("%s\n%s", said, redact("".join(traceback.format_exception(error))))
        raise StoreError(said)


def open_vault(where: str) -> Folder | Repository:
    """The place that TINYRS_BACKUP names: a folder's path, or hf://user/name. Raises Refused."""
    return Repository(where.removeprefix(HUB)) if where.startswith(HUB) else Folder(where)


def _copy(source: Path, target: Path) -> None:
    """Copy a file so that it appears under its name whole, or not at all."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole(target) as part:
            shutil.copyfile(source, part)
    except OSError as problem:
        raise storage_error(problem, target) from problem
