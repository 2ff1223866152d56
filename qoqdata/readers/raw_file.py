"""Raw files as readers get them: read once, with the digest of the very bytes that are decoded.

Readers open files here and nowhere else. Inside `taking_digests` a file of up to WHOLE_BYTES comes
into memory as a whole, is digested there, and every reader is given those bytes, however many
look at it; a larger one, and one that a library opens by its path, is digested on its own
afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

#: What makes the digests: BLAKE3 needs no SHA instructions to be fast. Published SHA256SUMS are
#: checked where files are fetched, not here.
DIGEST = "blake3"
#: Larger files are not taken into memory for their digest.
WHOLE_BYTES = 256 * 2**20
_STEP = 1 << 20

State = tuple[int, int, int, int]


@dataclass
class RawDigests:
    """Digests of the files that were read, by device, inode, size and modification time."""

    _by_state: dict[State, bytes] = field(default_factory=dict)
    _contents: dict[State, bytes] = field(default_factory=dict)

    def of(self, path: Path) -> bytes:
        """The 32-byte digest of a file: as it was read, or else of what lies there now."""
        state = _state(path.stat())
        if (digest := self._by_state.get(state)) is None:
            hasher = blake3()
            with path.open("rb", buffering=0) as file:
                while block := file.read(_STEP):
                    hasher.update(block)
            digest = hasher.digest()
        return digest

    def content(self, state: State, file: BinaryIO) -> bytes:
        """The content of an open file, kept for the next reader of it; its digest is noted."""
        if (content := self._contents.get(state)) is None:
            content = file.read()
            if len(content) == state[2]:
                self._by_state[state] = blake3(content).digest()
                self._keep(state, content)
        return content

    def _keep(self, state: State, content: bytes) -> None:
        self._contents[state] = content
        while sum(map(len, self._contents.values())) > WHOLE_BYTES:
            del self._contents[next(iter(self._contents))]


_DIGESTS: ContextVar[RawDigests | None] = ContextVar("digests", default=None)


@contextmanager
def taking_digests() -> Iterator[RawDigests]:
    """Digest the files that readers read inside."""
    digests = RawDigests()
    token = _DIGESTS.set(digests)
    try:
        yield digests
    finally:
        _DIGESTS.reset(token)


def open_raw_file(path: Path) -> BinaryIO:
    """A file to read from: the file itself, or its content in memory. Raises OSError."""
    file = path.open("rb")
    digests = _DIGESTS.get()
    if digests is None:
        return file
    state = _state(os.fstat(file.fileno()))
    if state[2] > WHOLE_BYTES:
        return file
    with file:
        return BytesIO(digests.content(state, file))


def read_raw_file(path: Path) -> bytes:
    """The content of a file. Raises OSError."""
    with open_raw_file(path) as file:
        return file.getvalue() if isinstance(file, BytesIO) else file.read()


def _state(status: os.stat_result) -> State:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
