"""What a plan that was given up, or killed, has read of a store: the next one asks for the rest.

Each read is a file of its own, named by the path in the store, its size and state as they were
listed, and the range: of a file that changed there is none. Once a plan is made all of it goes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_DIGEST = 32


class PlanReads:
    """Reads in a `folder`, of at most `room` bytes: what is more is asked for again."""

    def __init__(self, folder: Path, room: int) -> None:
        self._folder, self._left = folder, room
        for path in folder.glob("*"):
            with suppress(FileNotFoundError):
                self._left -= path.stat().st_size
        self._lock = threading.Lock()

    def content(
        self, name: str, stamp: int, begin: int, end: int, ask: Callable[[], bytes]
    ) -> bytes:
        """The bytes of a range of a file, read before or asked for now."""
        place = self._place(name, stamp, begin, end)
        with suppress(OSError):
            kept = place.read_bytes()
            # Nobody waited for the disk, which may have lost some of it.
            if hashlib.sha256(kept[_DIGEST:]).digest() == kept[:_DIGEST]:
                return kept[_DIGEST:]
        content = ask()
        if self._has_room(_DIGEST + len(content)):
            with suppress(OSError):
                draft = self._draft(place)
                draft.write_bytes(hashlib.sha256(content).digest() + content)
                draft.replace(place)
        return content

    def take(self, name: str, stamp: int, path: Path) -> bool:
        """Put a whole file that was read before at `path`; False where there is none."""
        with suppress(OSError):
            os.link(self._place(name, stamp), path)
            return True
        return False

    def keep(self, name: str, stamp: int, path: Path) -> None:
        """Keep a whole file, which lies at `path` and is not written to."""
        if self._has_room(path.stat().st_size):
            with suppress(OSError):
                self._folder.mkdir(mode=0o700, exist_ok=True)
                os.link(path, self._place(name, stamp))

    def clear(self) -> None:
        """Remove all of them."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _place(self, name: str, stamp: int, *span: int) -> Path:
        key = json.dumps([name, stamp, *span]).encode()
        return self._folder / hashlib.sha256(key).hexdigest()

    def _draft(self, place: Path) -> Path:
        # Names of raw files, and what is in them, are for whoever builds.
        self._folder.mkdir(mode=0o700, exist_ok=True)
        return place.with_name(f".{place.name}.{os.getpid()}-{threading.get_ident()}")

    def _has_room(self, size: int) -> bool:
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True
