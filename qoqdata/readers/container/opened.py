"""Containers as a process has opened them: each indexed once, until its file changes."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from qoqdata.errors import MissingFile, UnsupportedFormat
from qoqdata.readers.container.address import container_state
from qoqdata.readers.container.contents import Container

#: Device, inode, size and modification time in ns.
State = tuple[int, int, int, int]
#: Things that all indexes together may hold: some hundred bytes each.
MOST_INDEXED = 2**21

# Module and function by suffix; a format's own library is imported where it is met.
_FORMATS = {
    ".zip": ("zip_archive", "index_zip"),
    ".tar": ("tar_archive", "index_tar"),
    ".tar.gz": ("tar_archive", "index_tar_gz"),
    ".tgz": ("tar_archive", "index_tar_gz"),
    ".parquet": ("parquet_cells", "index_parquet"),
    ".tsv": ("delimited_cells", "index_tsv"),
    ".csv": ("delimited_cells", "index_csv"),
    ".h5": ("hdf5_datasets", "index_hdf5"),
    ".hdf5": ("hdf5_datasets", "index_hdf5"),
    ".lmdb": ("lmdb_entries", "index_lmdb"),
    ".mdb": ("lmdb_entries", "index_lmdb"),
}
_indexes: OrderedDict[tuple[Path, State], Container] = OrderedDict()


def open_container(path: Path) -> Container:
    """The index of the container at `path`, from memory while the file stays as it is.

    Raises MissingFile, UnreadableFile for a damaged container, UnsupportedFormat for a file that
    is none, and UsageError where its library is not installed.
    """
    status = container_state(path)
    if status is None:
        raise MissingFile("no such container", where=str(path))
    key = (path, file_state(status))
    if key in _indexes:
        _indexes.move_to_end(key)
        return _indexes[key]
    for old in [other for other in _indexes if other[0] == path]:
        del _indexes[old]
    container = _index_function(path)(path)
    _indexes[key] = container
    while len(_indexes) > 1 and sum(one.weight for one in _indexes.values()) > MOST_INDEXED:
        _indexes.popitem(last=False)
    return container


def file_state(status: os.stat_result) -> State:
    """What tells one content of a file from another."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _index_function(path: Path) -> Callable[[Path], Container]:
    name = path.name.lower()
    suffix = max((end for end in _FORMATS if name.endswith(end)), key=len, default=None)
    if suffix is None:
        raise UnsupportedFormat(
            "is no container that can be read by member",
            where=str(path),
            fix=f"unpack it; these can: {', '.join(_FORMATS)}",
        )
    module, function = _FORMATS[suffix]
    return getattr(import_module(f"qoqdata.readers.container.{module}"), function)
