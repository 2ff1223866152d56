"""HTTP as downloads need it: https only, a further attempt where a fault may pass, and resuming."""

from __future__ import annotations

import http.client
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from qoqdata.errors import InputError, UsageError

#: Seconds before each further attempt, half to one and a half times.
WAITS = (0.5, 1.0, 2.0, 4.0)
#: Seconds without a byte before a request is given up.
PATIENCE = 60.0
#: Largest listing.
LISTING_BYTES = 512 * 2**20
_CHUNK = 2**20
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PASSING = (408, 429, 500, 502, 503, 504)

T = TypeVar("T")


class CutShort(Exception):
    """A body that ended before its length."""


def read_all(url: str) -> bytes:
    """The body at `url`. Raises InputError where it cannot be had."""

    def attempt() -> bytes:
        with _opened(url) as response:
            data = response.read(LISTING_BYTES + 1)
            if len(data) > LISTING_BYTES:
                raise InputError(f"is larger than {LISTING_BYTES:,} bytes for a list", where=url)
            return bytes(data)

    return _retried(attempt, url)


def append_to(path: Path, url: str, listen: Callable[[int], None]) -> None:
    """Write the body at `url` to `path`, going on behind what is there where the server can.

    `listen` hears of bytes as they come. Raises InputError where it cannot be had; what came so far
    stays. Whether the parts belong together only a digest can tell.
    """

    def attempt() -> None:
        have = path.stat().st_size if path.is_file() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        try:
            response = _opened(url, headers)
        except urllib.error.HTTPError as error:
            if error.code == 416 and have:
                return  # Nothing is behind what is there.
            raise
        with response, path.open("ab" if response.status == 206 else "wb") as out:
            while chunk := response.read(_CHUNK):
                out.write(chunk)
                listen(len(chunk))
            # A body that ends early reads like the end of the file.
            if response.length:
                raise CutShort(f"{response.length:,} bytes are missing")

    _retried(attempt, url)


def _opened(url: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    check_secure(url)
    request = urllib.request.Request(url, headers={"User-Agent": "qoqdata", **(headers or {})})
    response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=PATIENCE)
    # Where it was sent on to.
    check_secure(response.url)
    return response


def check_secure(url: str) -> None:
    """Raise UsageError for anything but https, and http on this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return
    raise UsageError("is no https address", where=url, fix="name the publisher's https address")


def _retried(attempt: Callable[[], T], url: str) -> T:
    for number in range(len(WAITS) + 1):
        try:
            return attempt()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code not in _PASSING or number == len(WAITS):
                fix = "sign in and fetch it by hand" if error.code in (401, 403) else None
                raise InputError(f"answers {error.code}", where=url, fix=fix) from error
        except (urllib.error.URLError, http.client.HTTPException, OSError, CutShort) as error:
            if isinstance(error, OSError) and error.errno in (28, 13, 30):
                raise  # The disk is full or closed: no further attempt mends that.
            if number == len(WAITS):
                what = f"cannot be had: {getattr(error, 'reason', error)}"
                raise InputError(what, where=url, fix="run the same command again") from error
        time.sleep(WAITS[number] * random.uniform(0.5, 1.5))
    raise AssertionError("unreachable")
