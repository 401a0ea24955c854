"""Upload the app to a Hugging Face Space: exactly the files of the last commit that a Space needs.

    python -m tinyrs deploy --repo user/name --dry-run     # lists them, and asks nobody anything
    HF_TOKEN=... python -m tinyrs deploy --repo user/name

What is uploaded is read from the commit, never from the disk: no database, no run, no note that lies about here can
get into it. A file of a kind that the app does not read, a link, or a text that holds a key is refused by name. The
token is read from HF_TOKEN and goes nowhere but into the requests.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tinyrs.config import ROOT
from tinyrs.engine import redact

log = logging.getLogger("tinyrs")

FILES = ("LICENSE", "README.md", "app.py", "requirements.txt")
"""What a Space needs of the top folder. All four must be there."""

FOLDERS = ("annotate", "assets", "screens", "tinyrs")
"""The folders that it needs, with all that the commit has in them."""

KINDS = frozenset((".py", ".css", ".js", ".json", ".jinja", ".md", ".txt", ".png", ".jpg", ".safetensors"))
"""What the app is made of. Anything else in its folders was put there by mistake."""

BINARY = (".png", ".jpg", ".safetensors")
"""Kinds that hold no text, and so no key that somebody pasted."""

LARGEST = 2**30
"""Bytes that a Space's repository may hold, by the hub's rules for Spaces."""

KEY = re.compile(
    r"\bhf_[A-Za-z0-9]{30,}|\bsk-[A-Za-z0-9_-]{20,}|\bgh[pousr]_[A-Za-z0-9]{30,}|\bAKIA[A-Z0-9]{16}\b"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
"""Keys as the hub, OpenAI, GitHub and AWS write them, and PEM files."""


class CannotDeploy(ValueError):
    """What was asked for makes no sense, or must not be uploaded; str(e) is one sentence."""


class Failed(RuntimeError):
    """The hub did not take it; str(e) is one sentence, the details are in the log."""


@dataclass(frozen=True)
class File:
    """A file of the commit: its path in the Space, its size in bytes and git's name for its content."""

    path: str
    size: int
    blob: str


@dataclass(frozen=True)
class Plan:
    """What would be uploaded. `contents` has the bytes of each path; `changed` differs from the commit on the disk."""

    commit: str
    files: tuple[File, ...]
    contents: dict[str, bytes]
    changed: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def deploy(repo: str, *, dry_run: bool = False, public: bool = False, root: Path | None = None) -> None:
    """List what the Space `repo` needs and, unless `dry_run`, upload it; a new Space is private unless `public`.

    Raises `CannotDeploy` or `Failed`. Nothing is uploaded in part: it is one commit of the Space.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", repo, re.A):
        raise CannotDeploy(f"A Space is called user/name, not {ascii(repo[:100])}.")
    found = plan(root or ROOT)
    for file in found.files:
        print(f"{file.size:>12,}  {file.path}")
    print(f"{found.size:>12,}  bytes in {len(found.files)} files of commit {found.commit[:12]}")
    if found.changed:
        names = ", ".join(found.changed[:5]) + (", ..." if len(found.changed) > 5 else "")
        print(f"Changed since that commit, and not in it: {names}", file=sys.stderr)
    if dry_run:
        print(f"Nothing was uploaded to {repo}: this was a dry run.")
        return
    token = os.environ.get("HF_TOKEN", "").strip()
    if not token:
        raise CannotDeploy(f"Set HF_TOKEN to a token that may write to {repo}; it is read from nowhere else.")
    said = None
    try:
        address = _upload(repo, found, token, public)
    except Exception as error:  # dozens of kinds, and their texts hold addresses and headers
        said = sentence(error, repo)
        log.error("%s\n%s", said, redact("".join(traceback.format_exception(error))))
    if said is not None:
        raise Failed(said)
    print(f"Uploaded to {address}")


def plan(root: Path) -> Plan:
    """What the last commit of the checkout `root` has for a Space. Raises `CannotDeploy`."""
    commit = _git(root, "rev-parse", "HEAD").decode().strip()
    listed = _git(root, "ls-tree", "-r", "-l", "-z", "HEAD", "--", *FILES, *FOLDERS).decode(
        "utf-8", "replace"
    )
    files = []
    for line in filter(None, listed.split("\0")):
        facts, _, path = line.partition("\t")
        mode, _, blob, size = facts.split()
        _check_kind(path, mode)
        files.append(File(path, int(size), blob))
    if missing := [name for name in FILES if name not in {file.path for file in files}]:
        raise CannotDeploy(f"The commit has no {missing[0]}, which a Space needs.")
    if (total := sum(file.size for file in files)) > LARGEST:
        raise CannotDeploy(f"A Space holds at most {LARGEST:,} bytes; these are {total:,}.")
    contents = dict(zip((file.path for file in files), _contents(root, files), strict=True))
    for path, data in contents.items():
        if not path.endswith(BINARY):
            _check_text(path, data)
    _check_card(contents["README.md"], contents)
    changed = _git(root, "status", "--porcelain", "-z", "--no-renames", "--", *FILES, *FOLDERS).decode(
        "utf-8", "replace"
    )
    return Plan(commit, tuple(files), contents, tuple(line[3:] for line in changed.split("\0") if line))


def _check_kind(path: str, mode: str) -> None:
    if mode not in ("100644", "100755"):
        raise CannotDeploy(f"{ascii(path)} is a link, and a Space takes files only.")
    name = PurePosixPath(path)
    hidden = any(part.startswith(".") for part in name.parts)
    if path not in FILES and (hidden or name.suffix not in KINDS or not path.isprintable()):
        raise CannotDeploy(f"{ascii(path)} is nothing that the app reads: take it out of the commit first.")


def _check_text(path: str, data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    secrets = [
        value
        for name, value in os.environ.items()
        if len(value) >= 16 and name.upper().endswith(("KEY", "TOKEN", "SECRET", "PASSWORD"))
    ]
    if KEY.search(text) or any(secret in text for secret in secrets):
        raise CannotDeploy(f"{ascii(path)} holds a key or a password: take it out, and make a new one.")


def _check_card(data: bytes, contents: dict[str, bytes]) -> None:
    """The front matter of README.md tells the hub what to run."""
    import yaml

    found = re.match(r"---\n(.*?)\n---\n", data.decode("utf-8", "replace"), re.S)
    try:
        card = yaml.safe_load(found[1]) if found else None
    except yaml.YAMLError:
        card = None
    if not isinstance(card, dict):
        raise CannotDeploy("README.md does not begin with the front matter that a Space is described by.")
    if card.get("sdk") != "gradio" or card.get("app_file") not in contents:
        raise CannotDeploy("README.md must name the sdk gradio and, as app_file, a file that is uploaded.")


def _git(root: Path, *arguments: str, given: bytes | None = None) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], input=given, capture_output=True)
    except OSError:
        raise CannotDeploy("What is uploaded is a commit, and git is not installed here.") from None
    if done.returncode:
        raise CannotDeploy(f"What is uploaded is a commit, and git finds none in {root}.")
    return done.stdout


def _contents(root: Path, files: list[File]) -> list[bytes]:
    """The bytes of `files`, by one call of git: "<blob> blob <size>\\n<bytes>\\n" for each."""
    data = _git(root, "cat-file", "--batch", given="".join(f"{file.blob}\n" for file in files).encode())
    contents, at = [], 0
    for file in files:
        at = data.index(b"\n", at) + 1
        contents.append(data[at : at + file.size])
        at += file.size + 1
    return contents


def _upload(repo: str, found: Plan, token: str, public: bool) -> str:
    """One commit of the Space; the Space's address."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    api = HfApi(token=token)
    address = api.create_repo(repo, repo_type="space", space_sdk="gradio", private=not public, exist_ok=True)
    there = api.list_repo_files(repo, repo_type="space")
    # A module that was renamed must not stay importable; what others put elsewhere is left alone.
    stale = [path for path in there if path.startswith(tuple(f"{folder}/" for folder in FOLDERS))]
    operations = [CommitOperationAdd(path, data) for path, data in found.contents.items()]
    operations += [CommitOperationDelete(path) for path in stale if path not in found.contents]
    api.create_commit(
        repo, operations, commit_message=f"The app at {found.commit[:12]}", repo_type="space", revision="main"
    )
    return str(address)


def sentence(error: Exception, repo: str) -> str:
    """What the person is told. Nothing that the hub wrote."""
    status, cause = None, error
    while status is None and cause is not None:  # the library wraps what went wrong with one file
        status, cause = getattr(getattr(cause, "response", None), "status_code", None), cause.__cause__
    if status in (401, 403):
        return f"The hub does not let this HF_TOKEN write to {repo}."
    if status == 404:
        return f"The hub knows no {repo} that this HF_TOKEN may see."
    if status in (409, 412):
        return f"Somebody else changes {repo} at the same time; try again."
    if status == 429:
        return "The hub has too much to do; try again later."
    if status is not None and status >= 500:
        return f"The hub has a problem of its own ({status}); try again later."
    if status is not None:
        return f"The hub refused the upload to {repo} ({status})."
    if type(error).__name__ == "OfflineModeIsEnabled":
        return "HF_HUB_OFFLINE is set, so nothing can be uploaded."
    return "The hub cannot be reached, or the connection broke; nothing was changed unless it says so."
