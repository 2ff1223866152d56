"""A Hub-protocol server on loopback: repositories, LFS, commits, trees, resolve, tags.

It keeps contents and revisions in memory and can be told to fail. What it answers follows the
public HTTP interface of the Hub, as huggingface_hub calls it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

TOKEN = "hf_loopback"


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass
class Repo:
    """`revisions`: commit to {path: (kind, oid)}; `refs`: branch or tag to commit."""

    private: bool
    revisions: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, tree: dict[str, tuple[str, str]], branch: str) -> str:
        text = json.dumps([sorted(tree.items()), len(self.revisions)])
        oid = hashlib.sha1(text.encode()).hexdigest()
        self.revisions[oid] = tree
        self.refs[branch] = oid
        return oid

    def resolve(self, revision: str) -> str | None:
        return revision if revision in self.revisions else self.refs.get(revision)


@dataclass
class Hub:
    """The state of the server, for tests to look at and to spoil."""

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    #: Called with (method, path) before each answer; a status, or seconds to sleep, or None.
    spoil: Callable[[str, str], int | float | None] = lambda method, path: None

    def count(self, method: str, part: str) -> int:
        return sum(m == method and part in p for m, p in self.log)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *args: Any) -> None:
        pass

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def do(self) -> None:
        url = urlparse(self.path)
        path, self.query = unquote(url.path), parse_qs(url.query)
        size = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(size) if size else b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            self.body = self._chunks()
        self.hub.log.append((self.command, path))
        trouble = self.hub.spoil(self.command, path)
        if isinstance(trouble, float):
            time.sleep(trouble)
        elif trouble is not None:
            return self.answer({"error": f"told to say {trouble}"}, trouble)
        for method, pattern, function in ROUTES:
            if self.command == method and (match := re.fullmatch(pattern, path)):
                if "/lfs-put/" not in path and not self.allowed(match):
                    return self.answer({"error": "Invalid credentials"}, 401)
                return function(self, **match.groupdict())
        return self.answer({"error": f"no route for {self.command} {path}"}, 404)

    do_GET = do_POST = do_PUT = do_HEAD = do

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def allowed(self, match: re.Match) -> bool:
        given = self.headers.get("Authorization")
        if self.command in ("GET", "HEAD") and "whoami" not in self.path:
            repo = self.hub.repos.get(match.groupdict().get("id") or "")
            if repo is not None and not repo.private:
                return given in (None, f"Bearer {TOKEN}")
        return given == f"Bearer {TOKEN}"

    def answer(self, content: Any, status: int = 200, **headers: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", "application/json")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def repo(self, id: str) -> Repo | None:
        found = self.hub.repos.get(id)
        if found is None:
            self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
        return found

    def tree(self, repo: Repo, rev: str) -> dict[str, tuple[str, str]] | None:
        commit = repo.resolve(rev)
        if commit is None:
            self.answer({"error": "Invalid rev id"}, 404, X_Error_Code="RevisionNotFound")
            return None
        return repo.revisions[commit]

    def entry(self, path: str, kind: str, oid: str) -> dict[str, Any]:
        data = self.hub.blobs[oid]
        entry = {"type": "file", "path": path, "size": len(data), "oid": git_oid(data)}
        if kind == "lfs":
            entry["oid"] = git_oid(oid.encode())
            entry["lfs"] = {"oid": oid, "size": len(data), "pointerSize": 134}
        return entry

    # Routes

    def create(self) -> None:
        wanted = json.loads(self.body)
        id_ = f"{wanted.get('organization') or 'someone'}/{wanted['name']}"
        url = f"{self.hub.url}/datasets/{id_}"
        if id_ in self.hub.repos:
            return self.answer({"error": "You already created this repo", "url": url}, 409)
        private = wanted.get("private") or wanted.get("visibility") == "private"
        repo = self.hub.repos[id_] = Repo(bool(private))
        self.hub.blobs[git_oid(b"")] = b""
        repo.commit({".gitattributes": ("regular", git_oid(b""))}, "main")
        return self.answer({"url": url, "id": id_, "name": id_})

    def whoami(self) -> None:
        token = {"role": "write", "displayName": "loopback"}
        self.answer({"type": "user", "name": "someone", "auth": {"accessToken": token}})

    def yaml(self) -> None:
        self.answer({"errors": [], "warnings": []})

    def preupload(self, id: str, rev: str) -> None:
        files = []
        for file in json.loads(self.body)["files"]:
            regular = file["path"].endswith((".md", ".json", ".svg"))
            mode = "regular" if regular else "lfs"
            files.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False})
        self.answer({"files": files})

    def batch(self, id: str) -> None:
        objects = []
        for item in json.loads(self.body)["objects"]:
            entry = dict(item)
            if item["oid"] not in self.hub.blobs:
                href = f"{self.hub.url}/lfs-put/{item['oid']}"
                entry["actions"] = {"upload": {"href": href}}
            objects.append(entry)
        self.answer({"transfer": "basic", "objects": objects})

    def put(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            return self.answer({"error": "digest mismatch"}, 422)
        self.hub.blobs[oid] = self.body
        return self.answer({})

    def commit(self, id: str, rev: str) -> None:
        repo = self.repo(id)
        if repo is None:
            return None
        head = repo.refs[rev]
        tree = dict(repo.revisions[head])
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            match item["key"]:
                case "header":
                    if value.get("parentCommit") not in (None, head):
                        return self.answer({"error": "A commit has happened since"}, 412)
                case "file":
                    data = base64.b64decode(value["content"])
                    self.hub.blobs[git_oid(data)] = data
                    tree[value["path"]] = ("regular", git_oid(data))
                case "lfsFile":
                    if value["oid"] not in self.hub.blobs:
                        return self.answer({"error": "LFS pointer to a missing object"}, 400)
                    tree[value["path"]] = ("lfs", value["oid"])
                case "deletedFile":
                    del tree[value["path"]]
        oid = repo.commit(tree, rev)
        url = f"{self.hub.url}/datasets/{id}/commit/{oid}"
        return self.answer({"commitOid": oid, "commitUrl": url})

    def branch(self, id: str, rev: str) -> None:
        repo = self.repo(id)
        if repo is None:
            return None
        if rev in repo.refs:
            return self.answer({"error": "Reference already exists"}, 409)
        start = json.loads(self.body or b"{}").get("startingPoint") or "main"
        repo.refs[rev] = repo.refs[start]
        return self.answer({})

    def tag(self, id: str, rev: str) -> None:
        repo = self.repo(id)
        if repo is None:
            return None
        name = json.loads(self.body)["tag"]
        if name in repo.refs:
            return self.answer({"error": "Tag already exists"}, 409)
        repo.refs[name] = repo.resolve(rev) or ""
        return self.answer({})

    def info(self, id: str, rev: str = "main") -> None:
        repo = self.repo(id)
        if repo is None or (tree := self.tree(repo, rev)) is None:
            return None
        return self.answer(
            {
                "_id": hashlib.sha1(id.encode()).hexdigest()[:24],
                "id": id,
                "sha": repo.resolve(rev),
                "private": repo.private,
                "gated": False,
                "disabled": False,
                "tags": [],
                "downloads": 0,
                "likes": 0,
                "lastModified": "2026-01-01T00:00:00.000Z",
                "createdAt": "2026-01-01T00:00:00.000Z",
                "siblings": [{"rfilename": path} for path in sorted(tree)],
            }
        )

    def listing(self, id: str, rev: str, path: str = "") -> None:
        repo = self.repo(id)
        if repo is None or (tree := self.tree(repo, rev)) is None:
            return None
        prefix = f"{path.strip('/')}/" if path.strip("/") else ""
        inside = {p: v for p, v in tree.items() if p.startswith(prefix)}
        if prefix and not inside:
            return self.answer({"error": "not found"}, 404, X_Error_Code="EntryNotFound")
        recursive = self.query.get("recursive", ["false"])[0].lower() in ("true", "1")
        items, folders = [], set()
        for name, (kind, oid) in sorted(inside.items()):
            parts = name[len(prefix) :].split("/")
            for depth in range(1, len(parts)):
                folders.add(prefix + "/".join(parts[:depth]))
            if recursive or len(parts) == 1:
                items.append(self.entry(name, kind, oid))
        depth = prefix.count("/")
        items += [
            {"type": "directory", "path": folder, "size": 0, "oid": git_oid(folder.encode())}
            for folder in sorted(folders)
            if recursive or folder.count("/") == depth
        ]
        return self.answer(items)

    def paths_info(self, id: str, rev: str) -> None:
        repo = self.repo(id)
        if repo is None or (tree := self.tree(repo, rev)) is None:
            return None
        form = parse_qs(self.body.decode())
        paths = form.get("paths") or json.loads(self.body or b"{}").get("paths", [])
        found = [self.entry(path, *tree[path]) for path in paths if path in tree]
        for path in paths:
            if path not in tree and any(name.startswith(f"{path}/") for name in tree):
                found.append(
                    {"type": "directory", "path": path, "size": 0, "oid": git_oid(path.encode())}
                )
        return self.answer(found)

    def file(self, id: str, rev: str, path: str) -> None:
        repo = self.repo(id)
        if repo is None or (tree := self.tree(repo, rev)) is None:
            return None
        if path not in tree:
            return self.answer({"error": "not found"}, 404, X_Error_Code="EntryNotFound")
        kind, oid = tree[path]
        data = self.hub.blobs[oid]
        headers = {"X_Repo_Commit": repo.resolve(rev) or "", "ETag": f'"{oid}"'}
        if kind == "lfs":
            headers |= {"X_Linked_Etag": f'"{oid}"', "X_Linked_Size": str(len(data))}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked and self.command == "GET":
            start, end = int(asked[1]), min(int(asked[2] or len(data) - 1), len(data) - 1)
            span = f"bytes {start}-{end}/{len(data)}"
            return self.answer(data[start : end + 1], 206, Content_Range=span, **headers)
        return self.answer(data, 200, Accept_Ranges="bytes", **headers)


_ID = r"(?P<id>[^/]+/[^/]+)"
_API = rf"/api/datasets/{_ID}"
_REV = r"(?P<rev>[^/]+)"
ROUTES: tuple[tuple[str, str, Callable[..., None]], ...] = (
    ("POST", "/api/repos/create", _Handler.create),
    ("POST", "/api/validate-yaml", _Handler.yaml),
    ("GET", "/api/whoami-v2", _Handler.whoami),
    ("POST", rf"{_API}/preupload/{_REV}", _Handler.preupload),
    ("POST", rf"/datasets/{_ID}\.git/info/lfs/objects/batch", _Handler.batch),
    ("PUT", r"/lfs-put/(?P<oid>\w+)", _Handler.put),
    ("POST", rf"{_API}/commit/{_REV}", _Handler.commit),
    ("POST", rf"{_API}/branch/{_REV}", _Handler.branch),
    ("POST", rf"{_API}/tag/{_REV}", _Handler.tag),
    ("POST", rf"{_API}/paths-info/{_REV}", _Handler.paths_info),
    ("GET", rf"{_API}/tree/{_REV}", _Handler.listing),
    ("GET", rf"{_API}/tree/{_REV}(?P<path>/.*)", _Handler.listing),
    ("GET", rf"{_API}/revision/{_REV}", _Handler.info),
    ("GET", _API, _Handler.info),
    ("GET", rf"/datasets/{_ID}/resolve/{_REV}/(?P<path>.+)", _Handler.file),
    ("HEAD", rf"/datasets/{_ID}/resolve/{_REV}/(?P<path>.+)", _Handler.file),
)


@contextmanager
def serving() -> Iterator[Hub]:
    """A running server with an empty Hub."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
