"""What synthetic files say of themselves, and how their folders come to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

#: In a DICOM comment, a PNG text, a JPEG comment, a WFDB comment, NIfTI's `descrip`, a video.
MARK = "synthetic, made by qoqdata; shows no patient"


_listener: ContextVar[Callable[[Path], None] | None] = ContextVar("listener", default=None)


def write_bytes(path: Path, data: bytes) -> None:
    """A file with its folders; one that is there is overwritten."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if (listen := _listener.get()) is not None:
        listen(path)


@contextmanager
def listening(listen: Callable[[Path], None]) -> Iterator[None]:
    """Have `listen` hear of every file that is written inside."""
    token = _listener.set(listen)
    try:
        yield
    finally:
        _listener.reset(token)
