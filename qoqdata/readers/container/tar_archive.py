"""Tar archives, plain or gzipped: one pass over their headers, then one member at a time.

The pass must end at the mark that ends an archive; one that ends elsewhere was cut short.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from qoqdata.errors import UnreadableFile
from qoqdata.readers.container.contents import Archive, Entry, archive_entries
from qoqdata.readers.container.elsewhere import open_archive, raise_unreachable
from qoqdata.readers.container.gzip_checkpoints import GzipCheckpoints, Inflated
from qoqdata.readers.limits import Limits

#: Things of an index that one state of an inflater weighs as much as.
_STATE_WEIGHT = 256


def index_tar(path: Path) -> Archive:
    """The archive at `path`. Raises UnreadableFile for one that is damaged or cut short."""
    try:
        with open_archive(path, ahead=True) as file:
            entries = archive_entries(_entries(file, str(path)))
    except (tarfile.TarError, OSError, ValueError) as error:
        raise_unreachable(path, error)
        raise _unsound(error, path) from error
    return Archive(path, entries, partial(_plain_content, path))


def index_tar_gz(path: Path) -> Archive:
    """As `index_tar`, for a gzipped archive, which costs one pass over all of it."""
    checkpoints = GzipCheckpoints(path)
    try:
        with path.open("rb") as file:
            stream = Inflated(checkpoints, file)
            entries = archive_entries(_entries(stream, str(path)))
            stream.finish()
    except (tarfile.TarError, OSError, ValueError) as error:
        raise _unsound(error, path) from error
    weight = len(checkpoints.places) * _STATE_WEIGHT
    return Archive(path, entries, partial(_inflated_content, checkpoints), weight)


def _entries(file: Any, where: str) -> Iterator[tuple[str, Entry]]:
    archive = tarfile.TarFile(fileobj=file, mode="r", errors="surrogateescape")
    last = -1
    while (info := archive.next()) is not None:
        if info.offset_data <= last or info.size < 0:
            raise UnreadableFile("its headers go backwards, which is damage", where=where)
        last = info.offset_data
        archive.members = []  # type: ignore[attr-defined]  # all that it has seen
        yield info.name, Entry(info.offset_data, info.size, fault=_fault(info))
    file.seek(archive.offset)
    if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        what = "lacks the mark at the end of an archive: it is damaged or cut short"
        raise UnreadableFile(what, where=where, fix="fetch it again")


def _fault(info: tarfile.TarInfo) -> str | None:
    if info.isdir():
        return "folder"
    if info.issym() or info.islnk():
        return "link"
    if info.issparse():
        return "sparse"
    return None if info.isreg() else "device"


def _plain_content(path: Path, entry: Entry, where: str, limits: Limits) -> bytes:
    try:
        with open_archive(path) as file:
            file.seek(entry.offset)
            return _whole(file.read(entry.size), entry, where)
    except OSError as error:
        raise UnreadableFile(f"cannot be read: {error.strerror}", where=where) from error


def _inflated_content(
    checkpoints: GzipCheckpoints, entry: Entry, where: str, limits: Limits
) -> bytes:
    try:
        return _whole(checkpoints.read(entry.offset, entry.size), entry, where)
    except OSError as error:
        raise UnreadableFile(f"cannot be read: {error.strerror}", where=where) from error


def _whole(content: bytes, entry: Entry, where: str) -> bytes:
    if len(content) != entry.size:
        what = f"the archive holds {len(content):,} of the declared {entry.size:,} bytes"
        raise UnreadableFile(what, where=where, fix="fetch the archive again")
    return content


def _unsound(error: Exception, path: Path) -> UnreadableFile:
    what = f"is no sound tar archive: {error}"
    return UnreadableFile(what, where=str(path), fix="fetch it again")
