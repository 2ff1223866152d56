"""Binds an address and serves the viewer until it is interrupted."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from qoqdata.curation.decisions import named
from qoqdata.dataset import Dataset
from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer


def serve(
    dataset: Dataset,
    *,
    host: str,
    port: int,
    policy: str | None,
    author: str | None,
    on_ready: Callable[[str], None],
) -> None:
    """Load the index, listen, give `on_ready` the URL with its token, and serve.

    Raises UsageError without Flask and for an address that cannot be bound.
    """
    server, url = bound(dataset, host=host, port=port, policy=policy, author=author)
    with suppress(KeyboardInterrupt):
        on_ready(url)
        server.serve_forever()
    server.server_close()


def bound(
    dataset: Dataset,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    policy: str | None = None,
    author: str | None = None,
) -> tuple[BaseWSGIServer, str]:
    """The server of a viewer, bound and not yet serving, and its URL; raises as `serve`."""
    try:
        from werkzeug.serving import WSGIRequestHandler, make_server

        from qoqdata.viewer.app import viewer_app
        from qoqdata.viewer.gate import Gate
    except ImportError as error:
        fix = "pip install 'qoqdata[view]'"
        raise UsageError("the viewer needs Flask", fix=fix) from error

    class Silent(WSGIRequestHandler):
        """Logs nothing: lines of requests hold the token and ids of records."""

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

        def log_error(self, format: str, *args: object) -> None:
            pass

    gate = Gate(host)
    app = viewer_app(dataset, gate, policy=policy, author=named(author))
    try:
        # Bound here, because Werkzeug ends the process where it cannot bind.
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        where, fix = f"{host}:{port}", "another --port, or an address of this machine as --host"
        raise UsageError(f"cannot listen: {error}", where=where, fix=fix) from error
    with listening:
        number = listening.getsockname()[1]
        server = make_server(
            host, number, app, threaded=True, request_handler=Silent, fd=listening.fileno()
        )
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    shown = f"[{shown}]" if ":" in shown else shown
    return server, f"http://{shown}:{number}/?token={gate.token}"
