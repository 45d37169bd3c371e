"""A hub on this machine: as much of the Hugging Face hub's protocol as ``huggingface_hub`` needs for models."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_the_owner"


@dataclass
class Repository:
    """Commits, each all files of it; the newest is last."""

    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    def commit(self, files: dict[str, bytes]) -> str:
        digest = hashlib.sha1(repr((len(self.commits), sorted(files.items()))).encode()).hexdigest()
        self.commits[digest] = files
        return digest


class Hub:
    """What the server holds, and what it was asked."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.tokens: set[str] = set()
        self.address = ""
        self.lies: dict[str, int] = {}
        """Sizes to tell instead of the true ones, by name of the file."""

    def put(self, name: str, files: dict[str, bytes], *, private: bool = False) -> str:
        """Make a repository, or a commit in it, without asking anybody."""
        there = self.repositories.setdefault(name, Repository(private=private))
        if not there.commits:
            there.commit({".gitattributes": b"* text\n"})
        return there.commit({**there.commits[there.head], **files})

    def size(self, path: str, data: bytes) -> int:
        return self.lies.get(path, len(data))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: Any) -> None: ...

    def do_GET(self) -> None:
        self.answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        said = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.owner = said == TOKEN
        if said:
            self.hub.tokens.add(said)
        parts = path.strip("/").split("/")
        if path == "/api/repos/create":
            self.create(json.loads(body))
        elif path == "/api/validate-yaml":
            self.tell({"errors": [], "warnings": []})
        elif parts[0] == "stored":
            self.hub.large[parts[1]] = body
            self.tell({})
        elif parts[:2] == ["api", "models"]:
            self.api("/".join(parts[2:4]), parts[4:], body)
        elif len(parts) > 3 and parts[2:] == ["info", "lfs", "objects", "batch"]:
            self.batch(json.loads(body))
        elif len(parts) > 4 and parts[2] == "resolve":
            self.resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        else:
            self.refuse(404, "EntryNotFound")

    def create(self, given: dict[str, Any]) -> None:
        if not self.owner:
            self.refuse(401)
            return
        name = f"{given['organization']}/{given['name']}"
        if name in self.hub.repositories:
            self.refuse(409)
            return
        self.hub.put(name, {}, private=given.get("visibility") == "private" or given.get("private") is True)
        self.tell({"url": f"{self.hub.address}/{name}"})

    def seen(self, name: str) -> Repository | None:
        """The repository, if whoever asks may see it; else it is refused here."""
        there = self.hub.repositories.get(name)
        if there is None or (there.private and not self.owner):
            self.refuse(404 if self.owner else 401, "RepoNotFound")
            return None
        return there

    def at(self, there: Repository, revision: str) -> str | None:
        commit = there.head if revision == "main" else revision
        if commit not in there.commits:
            self.refuse(404, "RevisionNotFound")
            return None
        return commit

    def api(self, name: str, what: list[str], body: bytes) -> None:
        there = self.seen(name)
        if there is None:
            return
        if what[:1] == ["preupload"]:
            self.tell({"files": [self.mode(file) for file in json.loads(body)["files"]]})
            return
        if what[:1] == ["commit"]:
            if self.owner:
                self.commit(there, name, body)
            else:
                self.refuse(403)
            return
        commit = self.at(there, what[1] if what else "main")
        if commit is None:
            return
        files = there.commits[commit]
        if what[:1] == ["tree"]:
            rows = [self.entry(path, data) for path, data in files.items()]
            self.tell(rows)
        else:
            siblings = [{"rfilename": path, "size": self.hub.size(path, data)} for path, data in files.items()]
            known = {"id": name, "modelId": name, "sha": commit, "private": there.private, "tags": []}
            self.tell({**known, "siblings": siblings})

    def entry(self, path: str, data: bytes) -> dict[str, Any]:
        row = {"type": "file", "path": path, "size": self.hub.size(path, data), "oid": etag(data)}
        if path.endswith(".safetensors"):
            digest = hashlib.sha256(data).hexdigest()
            row["lfs"] = {"oid": digest, "size": self.hub.size(path, data), "pointerSize": 134}
        return row

    def mode(self, file: dict[str, Any]) -> dict[str, Any]:
        mode = "lfs" if file["path"].endswith(".safetensors") else "regular"
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}

    def commit(self, there: Repository, name: str, body: bytes) -> None:
        files = dict(there.commits[there.head])
        for line in body.splitlines():
            row = json.loads(line)
            value = row["value"]
            if row["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif row["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
            elif row["key"] == "deletedFile":
                del files[value["path"]]
        commit = there.commit(files)
        address = f"{self.hub.address}/{name}/commit/{commit}"
        self.tell({"commitUrl": address, "commitOid": commit, "hookOutput": ""})

    def batch(self, given: dict[str, Any]) -> None:
        objects = []
        for thing in given["objects"]:
            put = {"upload": {"href": f"{self.hub.address}/stored/{thing['oid']}"}}
            objects.append({**thing, **({} if thing["oid"] in self.hub.large else {"actions": put})})
        self.tell({"transfer": "basic", "objects": objects})

    def resolve(self, name: str, revision: str, path: str) -> None:
        there = self.seen(name)
        commit = None if there is None else self.at(there, revision)
        if there is None or commit is None:
            return
        if path not in there.commits[commit]:
            self.refuse(404, "EntryNotFound")
            return
        data = there.commits[commit][path]
        digest = hashlib.sha256(data).hexdigest() if path.endswith(".safetensors") else etag(data)
        self.tell(data, {"ETag": f'"{digest}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"})

    def refuse(self, status: int, code: str | None = None) -> None:
        told = {} if code is None else {"X-Error-Code": code, "X-Error-Message": f"refused: {code}"}
        self.tell({"error": "refused"}, told, status)

    def tell(self, what: Any, headers: dict[str, str] | None = None, status: int = 200) -> None:
        data = what if isinstance(what, bytes) else json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if isinstance(what, bytes) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def etag(data: bytes) -> str:
    """Of a file, as git names it."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub that answers until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
