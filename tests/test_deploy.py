"""Uploading to a Space: what is listed, what is refused, and what a hub on the loopback gets."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from gradio_client import Client, handle_file
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from dev.served import the_app
from screens.api import NAMES
from tinyrs import deploy
from tinyrs.__main__ import main
from tinyrs.config import ROOT
from tinyrs.models import MODELS
from tinyrs.pairing import LARGE

TOKEN = "hf_" + "canaryCanary0123456789abcdefghij"  # in two, so that this file holds no key itself
CARD = "---\ntitle: T\nsdk: gradio\napp_file: app.py\n---\n# T\n"
SMALL = {
    "README.md": CARD,
    "LICENSE": "free",
    "requirements.txt": "gradio\n",
    "app.py": "print(1)\n",
    "tinyrs/engine.py": "x = 1\n",
    "annotate/page.css": "a {}\n",
    "assets/pocket/model.safetensors": b"\0\xff" * 3000,
    "tests/test_x.py": "assert True\n",
    "training/sft.py": "x = 2\n",
    "Makefile": "demo:\n",
}
NEEDED = {name for name in SMALL if not name.startswith(("tests", "training", "Makefile"))}


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def commit(folder: Path, files: dict[str, str | bytes]) -> None:
    write(folder, files)
    git(folder, "add", "-f", "-A")
    git(folder, "commit", "-q", "-m", "x")


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A small repository that stands for this one."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q")
    commit(folder, SMALL)
    monkeypatch.setattr(deploy, "ROOT", folder)
    return folder


def listed(out: str) -> dict[str, int]:
    """Path and size of each file that was listed."""
    rows = re.findall(r"^ *([\d,]+)  (\S+)$", out, re.M)
    return {path: int(size.replace(",", "")) for size, path in rows}


def refused(capsys, code: int = 2) -> str:
    """The one sentence after a command that ended with `code`."""
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and "Traceback" not in err and TOKEN not in out + err, (code, err)
    return err


# --- dry runs ---------------------------------------------------------------------------------------------


def test_a_dry_run_lists_this_repository_as_a_space_needs_it(capsys):
    assert main(["deploy", "--repo", "ada/tinyrs", "--dry-run"]) == 0
    out = capsys.readouterr().out
    found = listed(out)
    tracked = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", "HEAD"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout.splitlines()
    assert set(found) <= set(tracked) and "Nothing was uploaded" in out
    for name in ("app.py", "README.md", "tinyrs/engine.py", "annotate/store.py", "tinyrs/page.css"):
        assert name in found
    assert {"assets/pocket/tinyrs/model.safetensors", "assets/examples/examples.json"} <= set(found)
    assert not any(name.startswith(("tests/", "training/", "dev/", "data/", "runs/", ".")) for name in found)
    assert f"{sum(found.values()):,}  bytes in {len(found)} files" in out


def front_matter() -> dict:
    return yaml.safe_load((ROOT / "README.md").read_text(encoding="utf-8").split("---\n")[1])


def test_the_front_matter_is_what_the_hub_documents():
    """https://huggingface.co/docs/hub/spaces-config-reference, and ZeroGPU's page for Python."""
    from huggingface_hub import SpaceHardware

    card = front_matter()
    kinds = {
        "title": str, "emoji": str, "colorFrom": str, "colorTo": str, "sdk": str, "sdk_version": str,
        "python_version": str, "app_file": str, "license": str, "short_description": str, "models": list,
        "preload_from_hub": list, "suggested_hardware": str, "hf_oauth": bool, "tags": list,
    }  # fmt: skip
    assert {key: type(value) for key, value in card.items()} == kinds
    colours = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {card["colorFrom"], card["colorTo"]} <= colours and not card["emoji"].isascii()
    assert card["sdk"] == "gradio" and (ROOT / card["app_file"]).is_file()
    assert len(card["short_description"]) <= 60 and card["hf_oauth"] is True
    assert card["suggested_hardware"] in [each.value for each in SpaceHardware]
    assert card["python_version"] in ("3.12.12", "3.10.13")  # the two that ZeroGPU runs
    assert all(re.fullmatch(r"[a-z0-9-]+", tag) for tag in card["tags"])


def test_the_weights_that_are_fetched_at_build_are_those_of_the_pair_that_a_gpu_gets():
    card, sources = front_matter(), [MODELS[name].source for name in LARGE]
    assert card["models"] == sources
    # "owner/name", or "owner/name file,file", or "owner/name file,file commit"
    assert [line.split()[0] for line in card["preload_from_hub"]] == sources


def test_the_front_matter_of_this_repository_fits_its_requirements():
    card = front_matter()
    lines = (line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines())
    wanted = {each.name: each for each in map(Requirement, filter(None, lines))}
    assert wanted["gradio"].specifier.contains(str(card["sdk_version"]))
    # What a Space's own installation of Gradio brings along is what the app needs of it.
    assert wanted["gradio"].extras == {"oauth", "mcp"} and "spaces" not in wanted
    assert str(card["sdk_version"]) == version("gradio"), "the version that the tests ran with"
    (pythons,) = re.findall(r'requires-python = "(.*)"', (ROOT / "pyproject.toml").read_text())
    assert SpecifierSet(pythons).contains(card["python_version"])


def test_what_is_listed_is_enough_for_the_app(tmp_path, capsys):
    """Exactly the listed files, in an empty folder, with nothing else to import from: the app starts and answers."""
    assert main(["deploy", "--repo", "ada/tinyrs", "--dry-run"]) == 0
    space, contents = tmp_path / "space", deploy.plan(ROOT).contents
    assert set(listed(capsys.readouterr().out)) == set(contents)
    write(space, contents)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with the_app(tmp_path / "data", cwd=space, env=env) as url:
        client = Client(url, verbose=False)
        picture = handle_file(space / "assets" / "examples" / "port.png")
        said = client.predict(picture=picture, question="How many ships can you see?", api_name="/ask")
        assert said["model"] == "pocket" and said["answer"]
        assert set(httpx.get(f"{url}/gradio_api/info").json()["named_endpoints"]) == {f"/{name}" for name in NAMES}
    assert not (space / "data").exists()


def test_what_is_not_committed_is_not_listed_and_said(checkout, capsys):
    write(
        checkout, {"tinyrs/new.py": "x", "app.py": "changed, and longer than before", "data/tinyrs.db": "x"}
    )
    assert main(["deploy", "--repo", "ada/tinyrs", "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert set(listed(out)) == NEEDED and listed(out)["app.py"] == len(SMALL["app.py"])
    assert err == "Changed since that commit, and not in it: app.py, tinyrs/new.py\n"


def test_a_dry_run_asks_nobody_and_needs_no_token(checkout, capsys, hub_at):
    with hub_at() as hub:
        assert main(["deploy", "--repo", "ada/tinyrs", "--dry-run"]) == 0
    assert hub.calls == [] and "dry run" in capsys.readouterr().out


WRONG = {
    "a database": ("assets/tinyrs.db", "x", "nothing that the app reads"),
    "settings": ("tinyrs/.env", "x", "nothing that the app reads"),
    "a hidden folder": ("assets/.cache/a.json", "{}", "nothing that the app reads"),
    "a key file": ("annotate/server.pem", "x", "nothing that the app reads"),
    "a pickle": ("assets/model.bin", b"\x80", "nothing that the app reads"),
    "a token of the hub": ("tinyrs/x.py", f"token = '{TOKEN}'", "holds a key"),
    "a private key": ("assets/x.txt", "-----BEGIN RSA " + "PRIVATE KEY-----", "holds a key"),
    "a secret of this environment": ("tinyrs/x.json", '"swordfish-swordfish"', "holds a key"),
    "no front matter": ("README.md", "# T\n", "front matter"),
    "broken front matter": ("README.md", "---\na: [\n---\n", "front matter"),
    "another kit": ("README.md", CARD.replace("gradio", "docker"), "sdk gradio"),
    "an app that is not there": ("README.md", CARD.replace("app.py", "main.py"), "app_file"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_must_not_be_uploaded_is_refused_by_name(checkout, capsys, monkeypatch, what):
    name, content, words = WRONG[what]
    monkeypatch.setenv("SOME_SERVICE_TOKEN", "swordfish-swordfish")
    commit(checkout, {name: content})
    assert main(["deploy", "--repo", "ada/tinyrs", "--dry-run"]) == 2
    sentence = refused(capsys)
    assert words in sentence and name in sentence and "swordfish" not in sentence


def test_links_missing_files_and_sizes_are_refused(checkout, capsys, monkeypatch):
    monkeypatch.setattr(deploy, "LARGEST", 1000)
    assert main(["deploy", "--repo", "ada/tinyrs", "--dry-run"]) == 2
    assert "at most 1,000 bytes" in refused(capsys)
    git(checkout, "rm", "-q", "LICENSE")
    commit(checkout, {})
    assert main(["deploy", "--repo", "ada/tinyrs", "--dry-run"]) == 2
    assert "no LICENSE" in refused(capsys)
    (checkout / "tinyrs" / "link.py").symlink_to("/etc/passwd")
    commit(checkout, {})
    assert main(["deploy", "--repo", "ada/tinyrs", "--dry-run"]) == 2
    assert "is a link" in refused(capsys)


@pytest.mark.parametrize("name", ["tinyrs", "a/b/c", "../x", "ada/", "ada/ü", "-a/b", "a/b?c"])
def test_names_that_no_space_has_are_refused(checkout, capsys, name):
    assert main(["deploy", f"--repo={name}"]) == 2
    assert "user/name" in refused(capsys)


def test_a_folder_without_history_and_a_machine_without_git_are_sentences(
    checkout, tmp_path, capsys, monkeypatch
):
    (tmp_path / "plain").mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setattr(deploy, "ROOT", tmp_path / "plain")
    assert main(["deploy", "--repo", "ada/tinyrs"]) == 2
    assert "git finds none" in refused(capsys)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["deploy", "--repo", "ada/tinyrs"]) == 2
    assert "not installed" in refused(capsys)


# --- uploads ----------------------------------------------------------------------------------------------


class Hub:
    """The part of the hub's API that an upload uses. `files` is what the Space holds in the end."""

    def __init__(self, there: tuple[str, ...] = (), fails: dict[str, int] | None = None) -> None:
        self.calls: list[tuple[str, str]] = []
        self.tokens: set[str | None] = set()
        self.files: dict[str, bytes] = dict.fromkeys(there, b"old")
        self.stored: dict[str, bytes] = {}
        self.created: dict = {}
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                path = urlsplit(self.path).path
                data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                hub.calls.append((self.command, path))
                if not path.startswith("/store/"):
                    hub.tokens.add(self.headers.get("Authorization"))
                status = next((code for part, code in (fails or {}).items() if part in path), 200)
                content = hub.reply(path, data) if status == 200 else None
                if content is None:
                    status, content = (404 if status == 200 else status), {"error": f"no, {TOKEN} is wrong"}
                text = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def reply(self, path: str, data: bytes):
        if path == "/api/repos/create":
            self.created = json.loads(data)
            return {"url": f"{self.address}/spaces/ada/tinyrs"}
        if path == "/api/validate-yaml":
            assert "sdk: gradio" in json.loads(data)["content"]
            return {"warnings": [], "errors": []}
        if path.startswith("/api/spaces/ada/tinyrs/tree/"):
            return [{"type": "file", "path": name, "size": 3, "oid": "0"} for name in self.files]
        if "/preupload/" in path:
            names = [file["path"] for file in json.loads(data)["files"]]
            kinds = {name: "lfs" if name.endswith(".safetensors") else "regular" for name in names}
            return {
                "files": [{"path": name, "uploadMode": kinds[name], "shouldIgnore": False} for name in names]
            }
        if path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(data)["objects"]
            for each in objects:
                each["actions"] = {"upload": {"href": f"{self.address}/store/{each['oid']}"}}
            return {"transfer": "basic", "objects": objects}
        if path.startswith("/store/"):
            assert hashlib.sha256(data).hexdigest() == path.rpartition("/")[2]
            self.stored[path.rpartition("/")[2]] = data
            return {}
        if "/commit/" in path:
            for line in data.splitlines():
                row = json.loads(line)
                value = row["value"]
                if row["key"] == "file":
                    self.files[value["path"]] = base64.b64decode(value["content"])
                elif row["key"] == "lfsFile":
                    self.files[value["path"]] = self.stored[value["oid"]]
                elif row["key"] == "deletedFile":
                    del self.files[value["path"]]
            return {
                "commitUrl": f"{self.address}/spaces/ada/tinyrs/commit/1",
                "commitOid": "1" * 40,
                "success": True,
            }
        return None


# The hub's library warns of its own way to store a large file; to the hub itself it takes another.
stores = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def hub_at(monkeypatch):
    """`with hub_at(...) as hub`: the hub is on the loopback, and the library believes it."""
    from huggingface_hub import constants

    @contextmanager
    def at(*arguments, **settings):
        hub = Hub(*arguments, **settings)
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        thread = threading.Thread(target=hub.server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            hub.server.shutdown()
            hub.server.server_close()
            thread.join()

    return at


@stores
def test_an_upload_is_one_commit_of_exactly_what_was_listed(checkout, capsys, caplog, monkeypatch, hub_at):
    caplog.set_level("DEBUG")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    there = ("README.md", ".gitattributes", "tinyrs/renamed.py", "notes/of_others.md")
    with hub_at(there) as hub:
        assert main(["deploy", "--repo", "ada/tinyrs"]) == 0
    out, err = capsys.readouterr()
    sent = {name: content for name, content in hub.files.items() if name in NEEDED}
    assert sent == {
        name: SMALL[name] if isinstance(SMALL[name], bytes) else SMALL[name].encode() for name in NEEDED
    }
    assert set(listed(out)) == NEEDED and f"Uploaded to {hub.address}/spaces/ada/tinyrs" in out
    assert set(hub.files) - NEEDED == {".gitattributes", "notes/of_others.md"}  # a renamed module is gone
    assert [path for _, path in hub.calls if "/commit/" in path] == ["/api/spaces/ada/tinyrs/commit/main"]
    assert (
        hub.created["visibility"] == "private" and hub.created["sdk"] == "gradio" and hub.created["type"] == "space"
    )
    assert hub.tokens == {f"Bearer {TOKEN}"} and TOKEN not in out + err + caplog.text


@stores
def test_a_public_space_is_asked_for(checkout, monkeypatch, hub_at):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with hub_at() as hub:
        assert main(["deploy", "--repo", "ada/tinyrs", "--public"]) == 0
    assert hub.created["visibility"] == "public"


def test_without_a_token_nothing_is_asked(checkout, capsys, monkeypatch, hub_at):
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(checkout / "token"))
    (checkout / "token").write_text(TOKEN)  # of `hf auth login`: not taken
    with hub_at() as hub:
        assert main(["deploy", "--repo", "ada/tinyrs"]) == 2
    assert hub.calls == [] and "Set HF_TOKEN" in refused(capsys)


@stores
@pytest.mark.parametrize(
    "where, status, words",
    [
        ("/repos/create", 401, "does not let this HF_TOKEN"),
        ("/tree/", 403, "does not let this HF_TOKEN"),
        ("/tree/", 404, "knows no ada/tinyrs"),
        ("/preupload/", 400, "refused the upload to ada/tinyrs (400)"),
        ("/store/", 400, "refused the upload to ada/tinyrs (400)"),
        ("/commit/", 412, "at the same time"),
        ("/commit/", 403, "does not let this HF_TOKEN"),
    ],
)
def test_a_hub_that_refuses_is_one_sentence_and_no_token(
    checkout, capsys, caplog, monkeypatch, hub_at, where, status, words
):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with hub_at(("README.md",), fails={where: status}) as hub:
        assert main(["deploy", "--repo", "ada/tinyrs"]) == 1
    assert words in refused(capsys, 1) and hub.files == {"README.md": b"old"}
    assert TOKEN not in caplog.text


def test_a_hub_that_is_not_there_is_one_sentence(checkout, capsys, monkeypatch, hub_at):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with hub_at():
        pass  # its port is closed again
    assert main(["deploy", "--repo", "ada/tinyrs"]) == 1
    assert "cannot be reached" in refused(capsys, 1)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert main(["deploy", "--repo", "ada/tinyrs"]) == 1
    assert "HF_HUB_OFFLINE" in refused(capsys, 1)
