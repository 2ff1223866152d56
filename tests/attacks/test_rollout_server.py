"""Images of patients go to the rollout server that was named, and to no other host."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
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


def test_a_reply_too_deep_to_read_is_no_json() -> None:
    with (
        answering((200, {}, b"[" * 200_000)) as (url, _),
        pytest.raises(QoqdataError, match="gave no JSON"),
    ):
        post(url, {}, timeout=20)
