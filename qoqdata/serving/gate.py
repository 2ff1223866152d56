"""Who may ask an application, and from where.

Every user of a machine reaches its loopback address, and so does every page that a browser of it
has open. So nothing is answered without the token of the printed URL, which becomes a cookie that
no other site can send; names of hosts are checked against rebinding, and what writes must come from
a page of the application itself.

A browser sends the cookies of a host to all its ports, also to what another user serves there. So
all pages lie below a path that nobody else knows, and the cookie is sent below it only.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from flask import Request

#: Nothing is fetched from elsewhere, nothing inline runs, no other page frames this one.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: browsers then send no origin with a form either.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
COOKIE = "qoqdata-view"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_EVERYWHERE = ("0.0.0.0", "::", "")


@dataclass(frozen=True)
class Gate:
    """The rule for requests to an application that listens at `host`: the cookie COOKIE carries
    `token`, and all pages lie below the path `root`. `command` is who printed the URL."""

    host: str
    command: str = "qoqdata view"
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    root: str = field(default_factory=lambda: f"/{secrets.token_hex(8)}")

    def refusal(self, request: Request) -> str | None:
        """Why a request is refused; None for one that may pass."""
        if not self.knows_host(request.headers.get("Host", "")):
            return f"this host name is not that of `{self.command}`; open the URL that it printed"
        inside = request.script_root == self.root
        if not inside or not self.admits(request.cookies.get(COOKIE, "")):
            return f"open the URL that `{self.command}` printed; it holds a token"
        if request.method in ("GET", "HEAD"):
            return None
        origin = urlsplit(request.headers.get("Origin", ""))
        if not origin.netloc or origin.netloc != request.headers.get("Host"):
            return f"this did not come from a page of `{self.command}`"
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return f"this did not come from a page of `{self.command}`"
        return None

    def below_root(self, application: Callable[..., Any]) -> Callable[..., Any]:
        """The WSGI application moved below `root`; other paths come through as they are."""

        def moved(environ: dict[str, Any], start_response: Any) -> Any:
            path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
            inside = path.startswith(f"{self.root}/")
            environ["SCRIPT_NAME"] = self.root if inside else ""
            environ["PATH_INFO"] = path.removeprefix(self.root) if inside else path
            return application(environ, start_response)

        return moved

    def admits(self, token: str) -> bool:
        """Whether it is the token; takes as long for a wrong one."""
        return hmac.compare_digest(token.encode(), self.token.encode())

    def knows_host(self, header: str) -> bool:
        """Whether a Host header names this machine; any port, since tunnels end at another one."""
        try:
            name = urlsplit(f"//{header}").hostname or ""
        except ValueError:
            return False
        if name in _LOOPBACK or name == self.host.lower():
            return True
        if self.host not in _EVERYWHERE:
            return False
        # A name can be made to lead here from elsewhere; an address cannot.
        return _is_address(name) or name == socket.gethostname().lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
