"""A file that is elsewhere, as a stream: what is read is fetched, and nothing else."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any


class RangedStream(io.RawIOBase):
    """A file of `size` bytes that is read through `fetch(begin, end)`."""

    #: pydicom asks a buffered stream for one.
    name = "a file elsewhere"

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        self._fetch, self._size, self._place = fetch, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        end = min(self._size, self._place + len(buffer))
        content = self._fetch(self._place, end) if end > self._place else b""
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)
