"""Whether a shard or metadata file is the one that the manifest means, and safe to read.

A data set may come from anyone. Its footer is looked at before a page is read: another schema,
other rows or a row group that takes more than memory once it is decoded is told by name, as is a
file whose bytes are not those of its digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.manifest import MetadataFile, Shard
from qoqdata.contract.record import METADATA, RECORD
from qoqdata.errors import DatasetError
from qoqdata.manifest import is_as_built
from qoqdata.parquet_memory import require_memory, row_group_memory

#: Bytes of a row group in memory; the writer flushes at a small part of this.
LARGEST_ROW_GROUP = 8 * 2**30

#: What reading Parquet raises for damaged input.
FAULTS = (pa.ArrowException, OSError, ValueError, MemoryError)

FIX = "run `qoqdata validate`, and fetch or build again what it names"
FIX_METADATA = "run the same `qoqdata build` again, which writes it anew from the shards"
_SCHEMAS = {Shard: arrow_schema(RECORD), MetadataFile: arrow_schema(METADATA)}
_REQUIRED = RECORD.required
#: Device, inode, size and modification time: while they stay, so does the content.
_State = tuple[int, int, int, int]


def require_footer(path: Path, file: Shard | MetadataFile, *, where: str) -> None:
    """Raise DatasetError unless the file at `path` has the schema of the contract, row groups of a
    size that memory holds and, as metadata, the rows of `file`.

    Of pages the headers are read, and nothing at all of a file that was sound and has not changed.
    A stream judges the row groups of a shard one by one.
    """
    rows = _footer_rows(path, _state(path, file, where), file, where)
    if isinstance(file, MetadataFile):
        _require_rows(rows, file, where)


def require_schema(path: Path, file: Shard | MetadataFile, *, where: str) -> None:
    """Raise DatasetError unless the file at `path` has the schema of the contract. Its row groups
    are no more judged than read: see `require_row_group`."""
    _schema_agrees(path, _state(path, file, where), file, where)


def require_row_group(
    path: Path, file: Shard, footer: pq.FileMetaData, group: int, leaves: Iterable[int], where: str
) -> None:
    """Raise DatasetError unless memory holds these leaves, by their numbers, of a row group."""
    try:
        row_group_memory(path, footer, group, LARGEST_ROW_GROUP, leaves=leaves)
    except FAULTS as error:
        raise _refusal(str(error).splitlines()[0], file, where) from error


def require_digest(path: Path, file: Shard | MetadataFile, *, where: str) -> None:
    """Raise DatasetError unless the file at `path` has the bytes of its digest, the rows of `file`
    and what `require_footer` asks. It is read once for it until it changes."""
    state = _state(path, file, where)
    _digest_agrees(path, state, file, where)
    _require_rows(_footer_rows(path, state, file, where), file, where)


def require_values(nulls: Mapping[str, int], *, where: str, fix: str = FIX) -> None:
    """Raise DatasetError where a column of records that always has a value has a null, by the
    number of `nulls` in each."""
    if lacking := sorted(name for name, count in nulls.items() if count and name in _REQUIRED):
        what = f"{nulls[lacking[0]]} records have no {lacking[0]}"
        raise DatasetError(what, where=where, fix=fix)


def _state(path: Path, file: Shard | MetadataFile, where: str) -> _State:
    try:
        found = path.stat()
    except OSError as error:
        raise _refusal(f"cannot be read: {error.strerror}", file, where) from error
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


# A refusal is raised and not kept: who mends the file can go on.
@lru_cache(100_000)
def _digest_agrees(path: Path, state: _State, file: Shard | MetadataFile, where: str) -> None:
    if not is_as_built(path, file):
        raise _refusal("differs from its digest in the manifest", file, where)


@lru_cache(100_000)
def _footer_rows(path: Path, state: _State, file: Shard | MetadataFile, where: str) -> int:
    """The rows that a sound footer tells."""
    footer = _of_our_schema(path, file, where)
    try:
        if isinstance(file, MetadataFile):
            require_memory(path, footer)
        else:
            for number in range(footer.num_row_groups):
                row_group_memory(path, footer, number, LARGEST_ROW_GROUP)
    except FAULTS as error:
        raise _refusal(str(error).splitlines()[0], file, where) from error
    return int(footer.num_rows)


@lru_cache(100_000)
def _schema_agrees(path: Path, state: _State, file: Shard | MetadataFile, where: str) -> None:
    _of_our_schema(path, file, where)


def _of_our_schema(path: Path, file: Shard | MetadataFile, where: str) -> pq.FileMetaData:
    """The footer, of a file of the schema that records have."""
    try:
        with pq.ParquetFile(path) as parquet:
            footer, schema = parquet.metadata, parquet.schema_arrow
    except FAULTS as error:
        raise _refusal(f"cannot be read: {str(error).splitlines()[0]}", file, where) from error
    if schema != _SCHEMAS[type(file)]:
        raise _refusal("has another schema than records have", file, where)
    return footer


def _require_rows(rows: int, file: Shard | MetadataFile, where: str) -> None:
    if rows != file.rows:
        raise _refusal(f"holds {rows} rows, {file.rows} by the manifest", file, where)


def _refusal(what: str, file: Shard | MetadataFile, where: str) -> DatasetError:
    return DatasetError(what, where=where, fix=FIX if isinstance(file, Shard) else FIX_METADATA)
