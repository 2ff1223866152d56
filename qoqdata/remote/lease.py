"""One writer of a folder in a store: a numbered note that its holder renews.

The holder is the one with the highest number. A number is taken with a write that fails where the
name is in use, so of two that want it one gets it. A note that is not renewed for `PATIENCE` is
somebody's who died; that is told by whether it changes while it is looked at, not by any clock.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from qoqdata.atomic import canonical, is_running, machine, this_process
from qoqdata.errors import QoqdataError
from qoqdata.layout import Layout
from qoqdata.remote.store import StoreFolder

#: Where the notes of a data set lie in it.
FOLDER = (Layout(Path()).build / "lease").as_posix()

#: Seconds between renewals, and for which a note may stay as it is.
RENEWAL, PATIENCE = 10.0, 60.0
_LOOK = 2.0


class Taken(Exception):
    """Somebody else holds the lease."""


class Lease:
    """A lease that is held, until `end`; `lost` once another has it."""

    def __init__(self, store: StoreFolder, under: str, number: int) -> None:
        self._store, self._under, self._number = store, under, number
        self._note = {
            "machine": machine(),
            "process": this_process(),
            "token": secrets.token_hex(8),
            "renewed": 0,
        }
        self._lost = self._ended = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    @property
    def lost(self) -> bool:
        """Whether another has taken over, or may have: the note could not be renewed in time."""
        return self._lost

    def look(self) -> bool:
        """Whether it is still held, asked of the store."""
        if not self._lost and max(_numbers(self._store, self._under)) > self._number:
            self._lost = True
        return not self._lost

    def take(self) -> bool:
        """Write the note where there is none, and begin to renew it."""
        if not self._store.create(self._path, self._content()):
            return False
        if not self.look():
            self._store.remove(self._path)
            return False
        self._thread.start()
        return True

    def end(self) -> None:
        """Leave it to the next."""
        self._wake.set()
        self._thread.join()
        if not self._lost:
            # The number stays taken, so that nobody who looked before takes it again.
            self._note["ended"] = True
            with suppress(QoqdataError, OSError):  # Then the next waits for it to be old.
                self._store.write(self._path, self._content())

    @property
    def _path(self) -> str:
        return f"{self._under}/{self._number}"

    def _content(self) -> bytes:
        return canonical(self._note).encode()

    def _renew(self) -> None:
        last = time.monotonic()
        while not self._wake.wait(RENEWAL):
            try:
                if not self.look():
                    return
                self._note["renewed"] += 1  # type: ignore[operator]
                self._store.write(self._path, self._content())
                last = time.monotonic()
            except (QoqdataError, OSError):
                if time.monotonic() - last > PATIENCE - 2 * RENEWAL:
                    self._lost = True
                    return


@contextmanager
def leased(store: StoreFolder, under: str) -> Iterator[Lease]:
    """Hold the lease whose notes lie in the folder `under`; raises Taken."""
    numbers = _numbers(store, under)
    last = max(numbers)
    if last and not _is_free(store, f"{under}/{last}"):
        raise Taken
    lease = Lease(store, under, last + 1)
    if not lease.take():
        raise Taken
    try:
        for number in numbers:
            if number:
                store.remove(f"{under}/{number}")
        yield lease
    finally:
        lease.end()


def _numbers(store: StoreFolder, under: str) -> list[int]:
    """Those of the notes, and 0."""
    names = (PurePosixPath(path).name for path in store.listing(under))
    return [0, *(int(name) for name in names if name.isdecimal())]


def _is_free(store: StoreFolder, path: str) -> bool:
    """Whether nobody holds the note; waits for one that may be a dead process's."""
    first = store.read(path)
    note = _parsed(first)
    if note is None or note.get("ended"):
        return True
    if note.get("machine") == machine() and not is_running(str(note.get("process"))):
        return True
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        time.sleep(_LOOK)
        if (now := store.read(path)) != first:
            return now is None or bool((_parsed(now) or {}).get("ended"))
    return True


def _parsed(content: bytes | None) -> dict[str, Any] | None:
    try:
        note = json.loads(content or b"null")
    except ValueError:
        return None
    return note if isinstance(note, dict) else None
