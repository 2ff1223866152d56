"""One request to a rollout server. Images of patients are in it, so it goes nowhere else.

No proxy is asked, whatever the environment says, and no redirect is followed: both would show
images and the key to a host that nobody named. A reply is bounded in bytes and in time: the server
may be another's.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection, IncompleteRead
from threading import Timer
from typing import Any
from urllib.parse import urlsplit

from qoqdata.errors import QoqdataError

#: Holds the key of the server, which is sent as a bearer token.
KEY_VARIABLE = "QOQTRAIN_ROLLOUT_KEY"
#: Bytes of the largest reply: n responses of some thousand tokens, each with its log-probability.
LARGEST_REPLY = 256 * 2**20
#: What a server answers on a path that it does not serve.
_NO_ROUTE = (404, 405)
LOCAL = "set rollouts.backend to local"


def root_of(url: str) -> str:
    """Where a server's own routes begin: its address without the version of OpenAI's."""
    return url.rstrip("/").removesuffix("/v1")


class Unreachable(QoqdataError):
    """A server that does not answer, or says that it cannot: another one may."""


def post(
    target: str,
    body: Mapping[str, Any],
    *,
    timeout: float,
    fix: str = LOCAL,
    may_lack: bool = False,
) -> Any:
    """The JSON that the server at `target` answers; None for an empty answer, and with `may_lack`
    where it does not serve that path.

    Raises Unreachable when it has not answered in full within `timeout` seconds and for a status of
    500 or more, QoqdataError for another error status, a redirect, more than `LARGEST_REPLY` or
    something else; `fix` is what to do about a server that answers wrongly.
    """
    content = json.dumps(body).encode()
    return _ask("POST", target, content, timeout=timeout, fix=fix, may_lack=may_lack)


def get(target: str, *, timeout: float, fix: str = LOCAL) -> Any:
    """The JSON that the server at `target` gives, None where it does not serve that path; raises
    as `post`."""
    return _ask("GET", target, None, timeout=timeout, fix=fix, may_lack=True)


def _ask(
    method: str, target: str, body: bytes | None, *, timeout: float, fix: str, may_lack: bool
) -> Any:
    headers = {} if body is None else {"Content-Type": "application/json"}
    if key := os.environ.get(KEY_VARIABLE):
        headers["Authorization"] = f"Bearer {key}"
    try:
        with _connection(target, timeout) as (connection, path):
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            status, content = reply.status, reply.read(LARGEST_REPLY + 1)
            # Whoever reads so many bytes and no more is not told of those that never came.
            if reply.length and len(content) <= LARGEST_REPLY:
                raise IncompleteRead(content, reply.length)
    except (HTTPException, OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Unreachable(
            f"does not answer ({reason})", where=target, fix=f"start it, or {LOCAL}"
        ) from error
    if may_lack and status in _NO_ROUTE:
        return None
    if not 200 <= status < 300:
        reason = content[:500].decode(errors="replace").strip() or "no reason given"
        if status in (401, 403):
            fix = f"put the server's key into {KEY_VARIABLE}"
        if status >= 500:
            raise Unreachable(f"the server gave status {status}: {reason}", where=target, fix=fix)
        raise strange(target, f"status {status}: {reason}", fix=fix)
    if len(content) > LARGEST_REPLY:
        raise strange(target, f"more than {LARGEST_REPLY:,} bytes", fix=fix)
    try:
        return json.loads(content) if content.strip() else None
    except (ValueError, RecursionError) as error:
        raise strange(target, "no JSON", fix=fix) from error


@contextmanager
def _connection(target: str, timeout: float) -> Iterator[tuple[HTTPConnection, str]]:
    """A connection to the host of `target`, and the path there. It is cut after `timeout` seconds:
    a timeout of the socket begins anew with every byte that comes.

    Raises TimeoutError then.
    """
    parts = urlsplit(target)
    kind = {"http": HTTPConnection, "https": HTTPSConnection}.get(parts.scheme)
    if kind is None:
        raise ValueError("is no http:// or https:// address")
    connection = kind(parts.netloc, timeout=timeout)
    opened: list[socket.socket] = []
    late: list[bool] = []

    def cut() -> None:
        late.append(True)
        for one in opened:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    watch = Timer(timeout, cut)
    watch.daemon = True
    watch.start()
    try:
        connection.connect()
        # The connection lets go of it where a reply says that it is the last.
        opened.append(connection.sock)
        yield connection, f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    except (HTTPException, OSError, ValueError) as error:
        if late:
            raise TimeoutError(f"timed out after {timeout:g} seconds") from error
        raise
    else:
        # What came until it was cut looks like an end.
        if late:
            raise TimeoutError(f"timed out after {timeout:g} seconds")
    finally:
        watch.cancel()
        connection.close()


def strange(where: str, what: str, *, fix: str) -> QoqdataError:
    """An answer that no server of the kind gives."""
    return QoqdataError(f"the server gave {what}", where=where, fix=fix)
