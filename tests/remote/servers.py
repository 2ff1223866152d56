"""HTTP servers on loopback that serve a folder, with faults on order."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

#: Bytes that a body goes on for which has no end.
ENDLESS = 64 * 2**20


@dataclass
class Site:
    """A folder as served: what goes wrong next, and what was asked and sent."""

    folder: Path
    ranges: bool = True
    marks: bool = True
    #: By path: faults of the next GETs, one each ("500", "429", "403", "cut", "short", "wrong",
    #: "reset", "endless"), the last of them for good when it is in `forever`.
    faults: dict[str, list[str]] = field(default_factory=dict)
    forever: dict[str, str] = field(default_factory=dict)
    #: Bytes a second of bodies; None, as fast as they go.
    speed: float | None = None
    #: By path: bytes after which a body stands still until `resume` is set.
    stall: dict[str, int] = field(default_factory=dict)
    resume: threading.Event = field(default_factory=threading.Event)
    gets: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    url: str = ""

    def fault(self, path: str) -> str | None:
        if path in self.forever:
            return self.forever[path]
        queue = self.faults.get(path)
        return queue.pop(0) if queue else None


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    handler = type("Handler", (_Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self.path.lstrip("/")
        fault = self.site.forever.get(path) if not body else self.site.fault(path)
        if body:
            self.site.gets[path] += 1
        if fault is not None and fault.isdigit():
            return self._status(int(fault))
        if fault == "reset":
            # Linger of nothing: the peer sees a reset, not an end.
            self.connection.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
            self.connection.close()
            return None
        file = self.site.folder / path
        if not file.is_file():
            return self._status(404)
        content = file.read_bytes()
        if fault == "wrong":
            content = bytes([content[0] ^ 1]) + content[1:]
        status, whole = 200, len(content)
        asked = self.headers.get("Range", "")
        if self.site.ranges and asked.startswith("bytes="):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start = int(first) if first else max(0, whole - int(last))
            end = int(last) + 1 if first and last else whole
            content, status = content[start:end], 206
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{start + len(content) - 1}/{whole}")
        if self.site.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if self.site.marks:
            state = file.stat()
            self.send_header("Last-Modified", formatdate(state.st_mtime, usegmt=True))
            self.send_header("ETag", f'"{state.st_mtime_ns}-{whole}"')
        if fault not in ("short", "endless"):  # without a length, an early end looks like the end
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if not body:
            return None
        if fault == "endless":
            for _ in range(ENDLESS // 2**16):
                self._send(path, bytes(2**16))
        self._send(path, content[: len(content) // 2] if fault in ("cut", "short") else content)
        self.close_connection = True
        return None

    def _send(self, path: str, content: bytes) -> None:
        step = len(content) if self.site.speed is None else max(1, int(self.site.speed / 50))
        step = min(step, self.site.stall.get(path, step))
        for start in range(0, len(content), max(step, 1)):
            part = content[start : start + step]
            if path in self.site.stall and start >= self.site.stall[path]:
                self.site.resume.wait(120)
            # Counted first: whoever has received all of it asks at once how much was sent.
            self.site.sent[path] += len(part)
            try:
                self.wfile.write(part)
                self.wfile.flush()
            except OSError:
                self.site.sent[path] -= len(part)
                return
            if self.site.speed is not None:
                time.sleep(len(part) / self.site.speed)

    def _status(self, code: int) -> None:
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()
