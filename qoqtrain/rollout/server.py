"""One POST to a rollout server. Images of patients are in it, so it goes nowhere else.

No proxy is asked, whatever the environment says, and no redirect is followed: both would show
images and the key to a host that nobody named. A reply is bounded: the server may be another's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from qoqdata.errors import QoqdataError

#: Holds the key of the server, which is sent as a bearer token.
KEY_VARIABLE = "QOQTRAIN_ROLLOUT_KEY"
#: Bytes of the largest reply: n responses of some thousand tokens, each with its log-probability.
LARGEST_REPLY = 256 * 2**20
#: What a server answers on a path that it does not serve.
_NO_ROUTE = (404, 405)
LOCAL = "set rollouts.backend to local"


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None: the reply is then an error with its status."""


_OPENER = build_opener(ProxyHandler({}), _NoRedirect)


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

    Raises QoqdataError for an error status, a redirect, when it does not answer within `timeout`
    seconds, answers more than `LARGEST_REPLY` or something else; `fix` is what to do about a server
    that answers wrongly.
    """
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(KEY_VARIABLE):
        headers["Authorization"] = f"Bearer {key}"
    request = Request(target, json.dumps(body).encode(), headers)
    try:
        with _OPENER.open(request, timeout=timeout) as reply:
            content = reply.read(LARGEST_REPLY + 1)
    except HTTPError as error:
        if may_lack and error.code in _NO_ROUTE:
            return None
        reason = error.read(500).decode(errors="replace").strip() or "no reason given"
        if error.code in (401, 403):
            fix = f"put the server's key into {KEY_VARIABLE}"
        raise strange(target, f"status {error.code}: {reason}", fix=fix) from error
    except (URLError, TimeoutError, OSError) as error:
        raise QoqdataError(
            f"does not answer ({error})", where=target, fix=f"start it, or {LOCAL}"
        ) from error
    if len(content) > LARGEST_REPLY:
        raise strange(target, f"more than {LARGEST_REPLY:,} bytes", fix=fix)
    try:
        return json.loads(content) if content.strip() else None
    except (ValueError, RecursionError) as error:
        raise strange(target, "no JSON", fix=fix) from error


def strange(where: str, what: str, *, fix: str) -> QoqdataError:
    """An answer that no server of the kind gives."""
    return QoqdataError(f"the server gave {what}", where=where, fix=fix)
