"""Archives that lie elsewhere and are read by range: known here by a path that stands for them."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

from qoqdata.readers.ranged_stream import RangedStream

#: Formats whose members lie in one piece, at places that an index tells.
READ_BY_RANGE = (".zip", ".tar")
#: Bytes that are fetched at once while headers are read.
_AHEAD = 1 << 20
#: By path: bytes, and what fetches those from a first to before a last one.
_archives: dict[Path, tuple[int, Callable[[int, int], bytes]]] = {}


def stand_for(path: Path, size: int, read: Callable[[int, int], bytes]) -> None:
    """From now on the archive at `path` is that of `size` bytes which `read(begin, end)` gives."""
    _archives[path] = size, read


def is_elsewhere(path: Path) -> bool:
    """Whether a path stands for an archive that lies elsewhere."""
    return path in _archives


class _Lost(Exception):
    """What a store raised. The zip library takes any OSError for the end of an archive."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error)
        self.error = error


@contextmanager
def open_archive(path: Path, *, ahead: bool = False) -> Iterator[BinaryIO]:
    """The bytes of an archive, here or elsewhere; raises OSError.

    `ahead` is for who reads many small pieces: else what is asked for is fetched, and no more.
    """
    if path not in _archives:
        with path.open("rb") as file:
            yield file
        return
    size, read = _archives[path]

    def fetched(begin: int, end: int) -> bytes:
        try:
            return read(begin, end)
        except OSError as error:
            raise _Lost(error) from error

    stream = RangedStream(fetched, size)
    try:
        yield BufferedReader(stream, _AHEAD) if ahead else cast(BinaryIO, stream)
    except _Lost as lost:
        raise lost.error from None


def raise_unreachable(path: Path, error: BaseException) -> None:
    """Raise the error of a store that fails: nothing is known of an archive elsewhere then."""
    if path in _archives and isinstance(error, OSError) and error.errno == errno.EIO:
        raise error
