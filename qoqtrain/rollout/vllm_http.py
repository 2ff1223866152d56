"""JSON over HTTP to a vLLM server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from qoqdata.errors import QoqdataError

_LOCAL = "set rollouts.backend to local"


#: What a server answers on a path that it does not serve.
_NO_ROUTE = (404, 405)


def post(
    target: str,
    body: Mapping[str, Any],
    *,
    timeout: float,
    fix: str = _LOCAL,
    may_lack: bool = False,
) -> Any:
    """The JSON that the server at `target` answers; None for an empty answer, and with `may_lack`
    where it does not serve that path.

    Raises QoqdataError for an error status, when it does not answer within `timeout` seconds, or
    answers something else; `fix` is what to do about a server that answers wrongly.
    """
    headers = {"Content-Type": "application/json"}
    request = Request(target, json.dumps(body).encode(), headers)
    try:
        with urlopen(request, timeout=timeout) as reply:
            content = reply.read()
    except HTTPError as error:
        if may_lack and error.code in _NO_ROUTE:
            return None
        told = error.read(500).decode(errors="replace")
        reason = told.strip() or "no reason given"
        raise strange(target, f"status {error.code}: {reason}", fix=fix) from error
    except (URLError, TimeoutError, OSError) as error:
        raise QoqdataError(
            f"does not answer ({error})", where=target, fix=f"start it, or {_LOCAL}"
        ) from error
    try:
        return json.loads(content) if content.strip() else None
    except ValueError as error:
        raise strange(target, "no JSON", fix=fix) from error


def strange(where: str, what: str, *, fix: str) -> QoqdataError:
    """An answer that no server of the kind gives."""
    return QoqdataError(f"the server gave {what}", where=where, fix=fix)
