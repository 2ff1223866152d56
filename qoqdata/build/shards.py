"""Shards: Parquet files written whole, whose bytes are a function of their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.atomic import file_digest, replacing
from qoqdata.records.rows import SCHEMA, batch
from schemas.manifest import Shard
from schemas.vocabulary import Split

#: About 8 MB of media: one row group is one read.
ROW_GROUP = 100
#: Rows are flushed early when their media outgrow this, so that memory stays bounded.
ROW_GROUP_BYTES = 128 * 2**20

_MEDIA = ("images.list.element.bytes", "masks.list.element.bytes")
_SIGNAL = "ecg.signal.list.element.list.element"
_REPEATED = (
    "source",
    "domain",
    "modality",
    "task",
    "split",
    "question",
    "options.list.element",
    "answer",
    "labels.list.element",
    "sex",
    "licence",
    "redistribution",
    "provenance.converter",
    "provenance.version",
)


def write_shard(
    path: Path, rows: Iterable[dict[str, Any]], *, source: str, split: Split
) -> Shard | None:
    """Write rows to `path` atomically and return the shard's entry; None when there are no rows.

    Media bytes are stored as they are (they are compressed already), everything else with zstd;
    content-defined chunking keeps unchanged rows in unchanged pages for deduplicating stores.
    """
    groups = _groups(rows)
    first = next(groups, None)
    if first is None:
        path.unlink(missing_ok=True)
        return None
    count = 0
    with replacing(path) as draft:
        with pq.ParquetWriter(draft, SCHEMA, **_settings()) as writer:
            for group in chain([first], groups):
                writer.write_batch(batch(group), row_group_size=ROW_GROUP)
                count += len(group)
        size, digest = draft.stat().st_size, file_digest(draft)
    return Shard(
        path=f"data/{source}/{path.name}",
        source=source,
        split=split,
        rows=count,
        bytes=size,
        sha256=digest,
    )


def rewrite_shard(
    source: Path, target: Path, shard: Shard, change: Callable[[pa.Table], pa.Table]
) -> Shard | None:
    """Write `source` to `target` with `change` applied to each row group; None when no row is left.

    Row groups stay apart, so that a rewritten shard is, as a built one, a function of its rows.
    """
    count = 0
    with replacing(target) as draft:
        with pq.ParquetFile(source) as file, pq.ParquetWriter(draft, SCHEMA, **_settings()) as out:
            for number in range(file.num_row_groups):
                table = change(file.read_row_group(number)).cast(SCHEMA).combine_chunks()
                if table.num_rows:
                    out.write_table(table, row_group_size=ROW_GROUP)
                count += table.num_rows
        size, digest = draft.stat().st_size, file_digest(draft)
    if count == 0:
        target.unlink()
        return None
    return shard.model_copy(update={"rows": count, "bytes": size, "sha256": digest})


def _groups(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    weight = 0
    for row in rows:
        group.append(row)
        weight += _weight(row)
        if len(group) == ROW_GROUP or weight >= ROW_GROUP_BYTES:
            yield group
            group, weight = [], 0
    if group:
        yield group


def _weight(row: dict[str, Any]) -> int:
    media = [*(row["images"] or ()), *(mask for mask in row["masks"] or () if mask)]
    signal = row["ecg"]["signal"] if row["ecg"] else ()
    return sum(len(item["bytes"]) for item in media) + sum(lead.nbytes for lead in signal)


def _settings() -> dict[str, Any]:
    """Writer settings by leaf column (Parquet names list members `list.element`)."""
    leaves = [path for field in SCHEMA for path in _leaves(field.name, field.type)]
    return {
        "compression": {leaf: "none" if leaf in _MEDIA else "zstd" for leaf in leaves},
        "use_dictionary": [leaf for leaf in leaves if leaf in _REPEATED],
        # Bytes of equal significance lie together: quantised millivolts shrink by half.
        "column_encoding": {_SIGNAL: "BYTE_STREAM_SPLIT"},
        "write_page_index": True,
        "write_page_checksum": True,
        "use_content_defined_chunking": True,
    }


def _leaves(path: str, kind: pa.DataType) -> Iterator[str]:
    if pa.types.is_struct(kind):
        for member in kind:
            yield from _leaves(f"{path}.{member.name}", member.type)
    elif pa.types.is_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    else:
        yield path
