"""A proxy on loopback before an S3 server, with faults on order, which counts what goes through."""

from __future__ import annotations

import http.client
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

import fsspec
import pytest

_ERRORS = {
    "throttled": (503, "SlowDown", "Please reduce your request rate."),
    "broken": (500, "InternalError", "We encountered an internal error."),
    "expired": (403, "ExpiredToken", "The provided token has expired."),
    "skewed": (403, "RequestTimeTooSkewed", "The difference of the times is too large."),
}


@dataclass
class Proxy:
    """Where the server is; what goes wrong, and what went through.

    `fault` is asked for each request, by method and path: one of "throttled", "broken", "expired",
    "skewed" (what S3 says to a clock that is wrong),
    "reset" (before the server hears of it), "lost" (the server has done it, and the answer never
    comes), "cut" (half of the body comes), or None.
    """

    host: str
    port: int
    fault: Callable[[str, str], str | None] = lambda method, path: None
    requests: Counter[str] = field(default_factory=Counter)
    #: Bytes of bodies that clients were sent.
    sent: int = 0
    url: str = ""


@contextmanager
def before(proxy: Proxy) -> Iterator[Proxy]:
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def empty_s3() -> Iterator[tuple[str, int]]:
    """An S3-compatible server on loopback that holds nothing: its host and port."""
    s3fs = pytest.importorskip("s3fs")
    # A file system remembers the server that the environment named when it was made.
    s3fs.S3FileSystem.clear_instance_cache()
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    # What it holds is the process's.
    reset = Request(f"http://{host}:{port}/moto-api/reset", method="POST")
    urlopen(reset).close()
    try:
        yield host, port
    finally:
        server.stop()
        s3fs.S3FileSystem.clear_instance_cache()


@contextmanager
def bucket(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """An empty bucket on such a server, and the proxy that clients know it by."""
    with empty_s3() as (host, port), before(Proxy(host, port)) as running:
        for variable, value in (
            ("AWS_ENDPOINT_URL", running.url),
            ("AWS_ACCESS_KEY_ID", "some"),
            ("AWS_SECRET_ACCESS_KEY", "thing"),
        ):
            monkeypatch.setenv(variable, value)
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir(name)
        yield running


def seldom(*kinds: str) -> Callable[[str, str], str | None]:
    """A fault at about one request of eight, never the same path twice in a row."""
    chance = random.Random(0)
    last: list[str] = [""]

    def fault(method: str, path: str) -> str | None:
        if path == last[0] or chance.random() > 1 / 8:
            return None
        last[0] = path
        return chance.choice(kinds)

    return fault


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _forward(self) -> None:
        body = self._body()
        self.proxy.requests[self.command] += 1
        fault = self.proxy.fault(self.command, self.path.partition("?")[0])
        if fault in _ERRORS:
            status, code, message = _ERRORS[fault]
            text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
            return self._answer(status, [("Content-Type", "application/xml")], text)
        if fault == "reset":
            return self._reset()
        connection = http.client.HTTPConnection(self.proxy.host, self.proxy.port, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() != "transfer-encoding"}
        connection.request(self.command, self.path, body, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        if fault == "lost":
            return self._reset()
        skipped = ("transfer-encoding", "content-length", "connection")
        kept = [(k, v) for k, v in response.getheaders() if k.lower() not in skipped]
        if self.command == "HEAD":
            kept.append(("Content-Length", response.getheader("Content-Length") or "0"))
        return self._answer(response.status, kept, content, cut=fault == "cut")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _forward

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            content = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return content
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(
        self, status: int, headers: list[tuple[str, str]], content: bytes, *, cut: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            part = content[: len(content) // 2] if cut else content
            self.proxy.sent += len(part)
            self.wfile.write(part)
        if cut:
            self._reset()

    def _reset(self) -> None:
        # Linger of nothing: the peer sees a reset, not an end.
        self.connection.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
        self.close_connection = True
        self.connection.close()
