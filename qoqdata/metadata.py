"""Metadata: a file a source with all columns of its records but media and signals.

Rows are in the order of the source's shards, in row groups so large that a pass over millions of
records reads a few footers instead of one a shard. The bytes are a function of the shards: whoever
writes shards writes the metadata from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import RawIOBase
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.atomic import file_digest, replacing
from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.manifest import MetadataFile, Shard
from qoqdata.contract.record import METADATA
from qoqdata.errors import DatasetError
from qoqdata.layout import Layout

SCHEMA = arrow_schema(METADATA)

#: A row group is flushed at these; the latter bounds memory where records hold long reports.
ROW_GROUP = 100_000
ROW_GROUP_BYTES = 256 * 2**20

_COLUMNS = [
    leaf
    for field in SCHEMA
    for leaf in ([field.name] if field.name != "ecg" else [f"ecg.{m.name}" for m in field.type])
]


def write_metadata(root: Path, shards: Iterable[Shard]) -> dict[str, MetadataFile]:
    """Write the metadata of every source of `shards`, which lie below `root`; entries by source.

    Raises DatasetError for a shard that cannot be read.
    """
    by_source: dict[str, list[Shard]] = {}
    for shard in shards:
        by_source.setdefault(shard.source, []).append(shard)
    return {
        source: write_source_metadata(
            root, source, (shard_metadata(root / shard.path) for shard in own)
        )
        for source, own in by_source.items()
    }


def shard_metadata(shard: Path | RawIOBase, *, where: str | None = None) -> pa.Table:
    """The metadata of a shard's records, read from the shard itself without its media.

    Raises DatasetError, which names `where`, when the shard cannot be read.
    """
    try:
        # Of a file in a store, what lies close together is asked for at once.
        coalesce = not isinstance(shard, Path)
        with pq.ParquetFile(shard, page_checksum_verification=True, pre_buffer=coalesce) as file:
            return file.read(columns=_COLUMNS).cast(SCHEMA)
    except (pa.ArrowException, OSError, ValueError) as error:
        fix = "run `qoqdata validate`"
        reason = str(error).splitlines()[0]
        where = where or str(shard)
        raise DatasetError(f"cannot be read: {reason}", where=where, fix=fix) from error


def write_source_metadata(root: Path, source: str, parts: Iterable[pa.Table]) -> MetadataFile:
    """Write the metadata of a source, given shard by shard, in the data set at `root`."""
    path = Layout(root).metadata(source)
    rows = 0
    with replacing(path) as draft:
        with pq.ParquetWriter(
            draft,
            SCHEMA,
            compression="zstd",
            write_statistics=[name for name in SCHEMA.names if pa.types.is_string(_kind(name))],
            write_page_checksum=True,
            write_page_index=True,
        ) as writer:
            for table in _row_groups(parts):
                writer.write_table(table, row_group_size=ROW_GROUP)
                rows += table.num_rows
        size, digest = draft.stat().st_size, file_digest(draft)
    return MetadataFile(path=f"meta/{path.name}", rows=rows, bytes=size, sha256=digest)


def _kind(column: str) -> pa.DataType:
    return SCHEMA.field(column).type


def _row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Shards joined until they are large enough."""
    buffer: list[pa.Table] = []
    rows = weight = 0
    for table in tables:
        buffer.append(table)
        rows, weight = rows + table.num_rows, weight + table.nbytes
        if rows >= ROW_GROUP or weight >= ROW_GROUP_BYTES:
            yield pa.concat_tables(buffer).combine_chunks()
            buffer, rows, weight = [], 0, 0
    if buffer:
        yield pa.concat_tables(buffer).combine_chunks()
