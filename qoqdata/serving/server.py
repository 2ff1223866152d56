"""Binds an address and serves an application until it is interrupted."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.serving import BaseWSGIServer

    from qoqdata.serving.gate import Gate

#: Makes the application behind its gate; it imports Flask, which may not be installed.
AppMaker = Callable[["Gate"], "Flask"]


def serve(
    make: AppMaker, *, command: str, host: str, port: int, on_ready: Callable[[str], None]
) -> None:
    """Make the application, listen, give `on_ready` the URL with its token, and serve.

    Raises UsageError without Flask and for an address that cannot be bound.
    """
    server, url = bound(make, command=command, host=host, port=port)
    with suppress(KeyboardInterrupt):
        on_ready(url)
        server.serve_forever()
    server.server_close()


def bound(
    make: AppMaker, *, command: str, host: str = "127.0.0.1", port: int = 0
) -> tuple[BaseWSGIServer, str]:
    """The server of an application, bound and not yet serving, and its URL; raises as `serve`."""
    try:
        from werkzeug.serving import WSGIRequestHandler, make_server

        from qoqdata.serving.gate import Gate

        gate = Gate(host, command)
        app = make(gate)
    except ImportError as error:
        fix = "pip install 'qoqdata[view]'"
        raise UsageError(f"`{command}` needs Flask", fix=fix) from error

    class Silent(WSGIRequestHandler):
        """Logs nothing: lines of requests hold the token and ids of records."""

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

        def log_error(self, format: str, *args: object) -> None:
            pass

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
