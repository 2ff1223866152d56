"""The likenesses of a shard's images and signals, in a file beside the set: a cache by the shard's
digest. Builds write it; whoever finds it missing or of another shard makes it anew."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.atomic import replacing
from qoqdata.records.keypoints import BYTES
from qoqdata.records.likeness import CURVE, Likeness, Sight, likenesses

#: Raised when the same pixels would give other values.
VERSION = 2

SCHEMA = pa.schema(
    [
        pa.field("row", pa.int32(), nullable=False),
        pa.field("medium", pa.string(), nullable=False),
        pa.field("place", pa.int32(), nullable=False),
        pa.field("digest", pa.binary(16), nullable=False),
        pa.field("bits", pa.uint64()),
        pa.field("thumbnail", pa.binary(CURVE), nullable=False),
        pa.field("deviation", pa.float32(), nullable=False),
        pa.field("dark", pa.float32(), nullable=False),
        pa.field("bright", pa.float32(), nullable=False),
        pa.field("keypoints", pa.binary(BYTES)),
    ]
)
_FACTS = attrgetter(*SCHEMA.names[3:])
_SHARD = b"likeness of shard"


class Shown(NamedTuple):
    """What the record in a `row` of the shard shows: its `place`-th image, or its signal ("ecg",
    0)."""

    row: int
    medium: str
    place: int
    likeness: Likeness | Sight


def write_likeness(path: Path, shown: Iterable[Shown], shard: str) -> pa.Table:
    """Write the likenesses of the shard of that digest to `path`, and return the table."""
    shown = list(shown)
    found = likenesses([one.likeness for one in shown])
    rows = [(*one[:3], *_FACTS(likeness)) for one, likeness in zip(shown, found, strict=True)]
    columns = zip(*rows, strict=True) if rows else [()] * len(SCHEMA)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=SCHEMA)
    write_table(path, table, shard)
    return table


def write_table(path: Path, table: pa.Table, shard: str) -> None:
    """Write a table of SCHEMA as that of the shard of that digest."""
    table = table.replace_schema_metadata({_SHARD: _stamp(shard)})
    with replacing(path) as draft:
        pq.write_table(table, draft, compression="zstd", use_dictionary=["medium"])


def read_likeness(path: Path, shard: str, columns: Iterable[str] | None = None) -> pa.Table | None:
    """`columns` of the table at `path`; None where there is none, or of another shard or version,
    or a damaged one."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            schema = file.schema_arrow
            if (schema.metadata or {}).get(_SHARD) != _stamp(shard) or schema != SCHEMA:
                return None
            return file.read(columns=None if columns is None else list(columns))
    except (OSError, pa.ArrowException, ValueError):
        return None


def _stamp(shard: str) -> bytes:
    return f"{VERSION} {shard}".encode()
