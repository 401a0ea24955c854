"""A hub on the loopback that holds one data set repository, as huggingface_hub speaks to it."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

REPO = "ada/notes"
COMMIT = "1" * 40
TOKEN = "hf_" + "canaryCanary0123456789abcdefghij"


class DataHub:
    """`files` is what the repository holds, `private` what the hub says of it, `fails` the status by part of a path."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.private = True
        self.fails: dict[str, int] = {}
        self.commits = 0
        self._stored: dict[str, bytes] = {}
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                path = unquote(urlsplit(self.path).path)
                data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status = next((code for part, code in hub.fails.items() if part in path), 200)
                if not path.startswith("/store/") and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    status = 401
                content = hub.reply(path, data) if status == 200 else {"error": f"no, {TOKEN} is wrong"}
                if content is None:
                    status, content = 404, {"error": "not there"}
                text = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("ETag", f'"{hashlib.sha256(text).hexdigest()}"')
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            do_GET = do_HEAD = do_POST = do_PUT = answer

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def reply(self, path: str, data: bytes):
        """What the hub says, None for nothing there."""
        here = f"/api/datasets/{REPO}"
        if path == "/api/repos/create":
            return {"url": f"{self.address}/datasets/{REPO}"}
        if path.startswith(f"{here}/tree/"):
            return [{"type": "file", "path": name, "size": len(f), "oid": "0"} for name, f in sorted(self.files.items())]
        if "/preupload/" in path:
            names = [file["path"] for file in json.loads(data)["files"]]
            kinds = {name: "lfs" if name.endswith((".db", ".png")) else "regular" for name in names}
            return {"files": [{"path": n, "uploadMode": kinds[n], "shouldIgnore": False} for n in names]}
        if path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(data)["objects"]
            for each in objects:
                each["actions"] = {"upload": {"href": f"{self.address}/store/{each['oid']}"}}
            return {"transfer": "basic", "objects": objects}
        if path.startswith("/store/"):
            self._stored[path.rpartition("/")[2]] = data
            return {}
        if "/commit/" in path:
            self._commit(data)
            return {"commitUrl": f"{self.address}/datasets/{REPO}/commit/1", "commitOid": COMMIT, "success": True}
        if path.startswith(f"/datasets/{REPO}/resolve/"):
            return self.files.get(path.split("/resolve/")[1].partition("/")[2])
        if path == here or path.startswith(f"{here}/revision/"):
            return {"id": REPO, "private": self.private, "sha": COMMIT, "siblings": [], "tags": []}
        return None

    def _commit(self, data: bytes) -> None:
        files = dict(self.files)
        for line in data.splitlines():
            row = json.loads(line)
            value = row["value"]
            if row["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif row["key"] == "lfsFile":
                files[value["path"]] = self._stored[value["oid"]]
            elif row["key"] == "deletedFile":
                del files[value["path"]]
        self.files = files
        self.commits += 1


@contextmanager
def data_hub(monkeypatch) -> Iterator[DataHub]:
    """The hub is on the loopback, and the library believes it."""
    from huggingface_hub import constants

    hub = DataHub()
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    thread = threading.Thread(target=hub.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        hub.server.shutdown()
        hub.server.server_close()
        thread.join()
