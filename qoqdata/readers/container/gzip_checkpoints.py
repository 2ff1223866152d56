"""A gzip file (RFC 1952) read at any place: the inflater's state is kept every few megabytes.

The first pass reads it from start to end once; a later read goes on from the nearest state before
it, so it inflates SPACING bytes at most before the first one wanted.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from pathlib import Path
from typing import Any, BinaryIO

from qoqdata.errors import UnreadableFile

#: Inflated bytes between two states, doubled whenever there are more than MOST of them. A state
#: takes about 45 kB.
SPACING = 4 * 2**20
MOST = 1024
_STEP = 2**18
# Longer than any header of an archive; what is longer is damage.
_LONGEST_READ = 2**26


class GzipCheckpoints:
    """States of the inflater along the file at `path`, gathered as `Inflated` goes along it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spacing = SPACING
        self.places: list[int] = [0]
        # (offset in the file, input not yet used, inflater)
        self.states: list[tuple[int, bytes, Any]] = [(0, b"", _inflater())]

    def note(self, place: int, offset: int, rest: bytes, inflater: Any) -> None:
        """Keep a state when the last one lies far enough back."""
        if place < self.places[-1] + self.spacing:
            return
        self.places.append(place)
        self.states.append((offset, rest, inflater.copy()))
        if len(self.places) > MOST:
            self.spacing *= 2
            self.places, self.states = self.places[::2], self.states[::2]

    def read(self, offset: int, size: int) -> bytes:
        """Inflated bytes from `offset` on; raises OSError and UnreadableFile."""
        with self.path.open("rb") as file:
            stream = Inflated(self, file)
            stream.seek(offset)
            return stream.take(size)


class Inflated:
    """The inflated content as far as `tarfile` needs a file: `tell`, `seek` and `read`."""

    def __init__(self, checkpoints: GzipCheckpoints, file: BinaryIO) -> None:
        self._checkpoints, self._file = checkpoints, file
        self._load(0)

    def tell(self) -> int:
        return self._place

    def seek(self, place: int, whence: int = 0) -> int:
        """Go to a place; seeking beyond the end stops there."""
        number = bisect_right(self._checkpoints.places, place) - 1
        if place < self._place or self._checkpoints.places[number] > self._place:
            self._load(number)
        while self._place < place and self._inflate(min(_STEP, place - self._place)):
            pass
        return self._place

    def read(self, size: int) -> bytes:
        """At most `size` bytes, fewer at the end; no more than any header has."""
        if not 0 <= size <= _LONGEST_READ:
            raise UnreadableFile(
                f"a header of the archive declares {size:,} bytes",
                where=str(self._checkpoints.path),
            )
        return self.take(size)

    def take(self, size: int) -> bytes:
        """As `read`, of any size."""
        parts, left = [], size
        while left and (part := self._inflate(min(left, _STEP))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def finish(self) -> None:
        """Go to the end, where the checksum stands; raises UnreadableFile for damage."""
        while self._inflate(_STEP):
            pass

    def _load(self, number: int) -> None:
        self._place = self._checkpoints.places[number]
        offset, self._rest, inflater = self._checkpoints.states[number]
        self._inflater = inflater.copy()
        self._file.seek(offset)

    def _inflate(self, size: int) -> bytes:
        """The next bytes, at most `size`; none at the end of the file."""
        checkpoints = self._checkpoints
        where, fix = str(checkpoints.path), "fetch it again"
        checkpoints.note(self._place, self._file.tell(), self._rest, self._inflater)
        while True:
            if self._inflater.eof:
                # Another stream may follow, as parallel programs write them; zeros are padding.
                rest = (self._inflater.unused_data or self._file.read(_STEP)).lstrip(b"\0")
                if not rest:
                    if self._file.read(1):
                        self._file.seek(-1, 1)
                        continue
                    return b""
                self._rest, self._inflater = rest, _inflater()
            data = self._rest or self._file.read(_STEP)
            try:
                part = self._inflater.decompress(data, size)
            except zlib.error as error:
                raise UnreadableFile(f"damaged gzip data: {error}", where=where, fix=fix) from error
            self._rest = self._inflater.unconsumed_tail
            if part:
                self._place += len(part)
                return part
            if not data and not self._inflater.eof:
                raise UnreadableFile("the gzip data end too early", where=where, fix=fix)


def _inflater() -> Any:
    return zlib.decompressobj(zlib.MAX_WBITS | 16)
