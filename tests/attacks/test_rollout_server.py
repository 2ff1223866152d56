"""Images of patients go to the rollout server that was named, and to no other host."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from qoqdata.errors import QoqdataError
from qoqtrain.rollout import server
from qoqtrain.rollout.server import KEY_VARIABLE, post

Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def answering(reply: Answer) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server that gives one answer to all, and the headers of what it was asked."""
    asked: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(dict(self.headers) | {"path": self.path})
            status, headers, content = reply
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            """Nothing."""

    httpd = HTTPServer(("127.0.0.1", 0), Handler)
    # How often it looks whether it is over.
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}", asked
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


GOOD: Answer = (200, {}, b'{"ok": true}')


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"])
def test_no_proxy_of_the_environment_is_asked(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with answering((200, {}, b'{"who": "proxy"}')) as (proxy, spied), answering(GOOD) as (url, _):
        monkeypatch.setenv(variable, proxy)
        assert post(f"{url}/v1/chat", {"image": "x"}, timeout=20) == {"ok": True}
    assert spied == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    with answering(GOOD) as (elsewhere, spied):
        redirect: Answer = (status, {"Location": f"{elsewhere}/v1/chat"}, b"")
        with (
            answering(redirect) as (url, _),
            pytest.raises(QoqdataError, match=f"gave status {status}"),
        ):
            post(f"{url}/v1/chat", {"image": "x"}, timeout=20)
    assert spied == []


def test_a_key_is_sent_where_there_is_one_and_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(GOOD) as (url, asked):
        post(url, {}, timeout=20)
        monkeypatch.setenv(KEY_VARIABLE, "secret")
        post(url, {}, timeout=20)
    assert [one.get("Authorization") for one in asked] == [None, "Bearer secret"]
    with (
        answering((401, {}, b"who are you?")) as (url, _),
        pytest.raises(QoqdataError, match=f"status 401: who.*Fix: .*{KEY_VARIABLE}") as raised,
    ):
        post(url, {}, timeout=20)
    assert "secret" not in str(raised.value)


def test_a_reply_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LARGEST_REPLY", 1000)
    exact = json.dumps("x" * 998).encode()
    with answering((200, {}, exact)) as (url, _):
        assert len(post(url, {}, timeout=20)) == 998
    with (
        answering((200, {}, exact + b" ")) as (url, _),
        pytest.raises(QoqdataError, match="gave more than 1,000 bytes"),
    ):
        post(url, {}, timeout=20)


@contextmanager
def saying(content: bytes, *, on: bytes = b"") -> Iterator[str]:
    """A server that says `content` to the first who connects, and then `on` as long as one hears
    it: a few bytes a second."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            hearer, _ = listener.accept()
            with hearer, suppress(OSError):
                hearer.recv(2**16)
                hearer.sendall(content)
                while on and not over.wait(0.05):
                    hearer.sendall(on)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            over.set()
            thread.join()


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        HEAD + b"Content-Length: 9\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"X: y\r\n" * 1000,
        HEAD + b"X: " + b"y" * 100_000,
    ],
    ids=["nothing", "another protocol", "cut", "chunks", "headers", "long header"],
)
def test_what_is_no_reply_is_an_error(content: bytes) -> None:
    with (
        saying(content) as url,
        pytest.raises(QoqdataError, match=r"does not answer \(.+\)\. Fix: start it"),
    ):
        post(url, {}, timeout=20)


@pytest.mark.parametrize(
    ("content", "on"),
    [
        (b"", b"H"),
        (HEAD, b"X"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD + b"\r\n", b" "),
        (HEAD + b"Connection: close\r\n\r\n", b" "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ],
    ids=["status", "header", "go on", "body", "last body", "chunks"],
)
def test_a_reply_that_never_ends_is_given_up(content: bytes, on: bytes) -> None:
    """The timeout is for all of it: a socket's would begin anew with every byte."""
    with (
        saying(content, on=on) as url,
        pytest.raises(QoqdataError, match=r"does not answer \(timed out after 0\.3 seconds\)"),
    ):
        post(url, {}, timeout=0.3)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/v1", "127.0.0.1/v1", "http://[::1", "http://a b"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(QoqdataError, match=r"does not answer \(.+\)"):
        post(url, {}, timeout=20)


def test_an_error_without_a_reason() -> None:
    with (
        answering((500, {}, b" ")) as (url, _),
        pytest.raises(QoqdataError, match="status 500: no reason given"),
    ):
        post(url, {}, timeout=20)


def test_a_query_is_sent() -> None:
    with answering(GOOD) as (url, asked):
        post(f"{url}/v1?a=b", {}, timeout=20)
        post(url, {}, timeout=20)
    assert [one["path"] for one in asked] == ["/v1?a=b", "/"]


def test_a_reply_too_deep_to_read_is_no_json() -> None:
    with (
        answering((200, {}, b"[" * 200_000)) as (url, _),
        pytest.raises(QoqdataError, match="gave no JSON"),
    ):
        post(url, {}, timeout=20)
