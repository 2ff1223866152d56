"""Shards: Parquet files written whole, whose bytes are a function of their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qoqdata.atomic import file_digest, replacing
from qoqdata.contract.manifest import Shard
from qoqdata.contract.vocabulary import Split
from qoqdata.records.rows import SCHEMA, batch

#: About 8 MB of media: one row group is one read.
ROW_GROUP = 100
#: Rows are flushed early when their media outgrow this, so that memory stays bounded.
ROW_GROUP_BYTES = 128 * 2**20
#: Whole row groups of small media are made together: an Arrow array has a price of its own.
BATCH_BYTES = 16 * 2**20
_BATCH = 10 * ROW_GROUP

_MEDIA = {"images": "images.list.element.bytes", "masks": "masks.list.element.bytes"}
_SIGNAL = "ecg.signal.list.element.list.element"
#: Share of media bytes that repeat from which on they are stored once. Where nothing repeats, a
#: dictionary of media only costs: 1.6 times the CPU to read.
_REPEATED_SHARE = 1 / 8
#: Samples of each value from which on signals have a dictionary, and how many rows are asked.
_SAMPLES_A_VALUE, _ASKED = 16, 10
#: No row group's media outgrow it, so that Arrow never turns from dictionary to plain pages.
_DICTIONARY_PAGE = 2**30
#: Worth the slower compressor; of the short values it would cost more time than all media.
_LONG = (_SIGNAL, "context", "reasoning")
#: Many recordings a page: zstd finds those that several questions share.
_SIGNAL_CHUNKS = {"min_chunk_size": 2**22, "max_chunk_size": 2**24, "norm_level": 0}
#: Of signals with a dictionary. A page of a row group's would be as small, and cost more CPU for
#: memory that is touched once than for all that is written into it.
_SIGNAL_PAGE = 2**22
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

    Media bytes are stored as they are (they are compressed already), those that repeat within a
    row group once; signals and long texts with zstd, short values with snappy.
    """
    facts = _write(path, map(_table, _batches(rows)))
    if facts is None:
        return None
    return Shard(path=f"data/{source}/{path.name}", source=source, split=split, **facts)


def rewrite_shard(
    source: Path, target: Path, shard: Shard, change: Callable[[pa.Table], pa.Table]
) -> Shard | None:
    """Write `source` to `target` with `change` applied to each row group; None when no row is left.

    Row groups stay apart, so that a rewritten shard is, as a built one, a function of its rows.
    """
    with pq.ParquetFile(source) as file:
        groups = map(file.read_row_group, range(file.num_row_groups))
        changed = (change(group).cast(SCHEMA).combine_chunks() for group in groups)
        facts = _write(target, (table for table in changed if table.num_rows))
    return None if facts is None else shard.model_copy(update=facts)


def _write(path: Path, tables: Iterator[pa.Table]) -> dict[str, Any] | None:
    """What a manifest says of the file; None, and no file, when there are no tables."""
    first = next(tables, None)
    if first is None:
        path.unlink(missing_ok=True)
        return None
    groups: list[int] = []
    with replacing(path) as draft:
        with pq.ParquetWriter(draft, SCHEMA, **_settings(first)) as writer:
            for table in chain([first], tables):
                writer.write_table(table, row_group_size=ROW_GROUP)
                rows = table.num_rows
                groups += [min(ROW_GROUP, rows - at) for at in range(0, rows, ROW_GROUP)]
        size, digest = draft.stat().st_size, file_digest(draft)
    return {"rows": sum(groups), "row_groups": tuple(groups), "bytes": size, "sha256": digest}


def _table(part: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([part])


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
    """Whole row groups, the last one perhaps shorter, or what has outgrown `ROW_GROUP_BYTES`."""
    buffer: list[dict[str, Any]] = []
    weight = 0
    for row in rows:
        buffer.append(row)
        weight += _weight(row)
        full = weight >= BATCH_BYTES or len(buffer) >= _BATCH
        if weight >= ROW_GROUP_BYTES or (full and len(buffer) % ROW_GROUP == 0):
            yield batch(buffer)
            buffer, weight = [], 0
    if buffer:
        yield batch(buffer)


def _weight(row: dict[str, Any]) -> int:
    """Bytes of its media and signals."""
    weight = 0
    for column in ("images", "masks"):
        for item in row[column] or ():
            weight += len(item["bytes"]) if item else 0
    if row["ecg"]:
        weight += sum(lead.nbytes for lead in row["ecg"]["signal"])
    return weight


def _settings(first: pa.Table) -> dict[str, Any]:
    """Writer settings of a shard that begins with `first`: a function of its first row group.

    Of images one page holds a row group: a store that deduplicates cuts by content itself, and
    finds fewer headers between unchanged bytes. Signals are compressed, so their pages must begin
    where the content says for an unchanged page to be the same bytes; with a dictionary they are
    40 % smaller, and a change costs a row group.
    """
    group = first.slice(0, ROW_GROUP)
    signals = group["ecg"][0].is_valid
    quantised = signals and _is_quantised(group["ecg"])
    compression = dict.fromkeys(_LEAVES, "snappy")
    compression |= dict.fromkeys(_MEDIA.values(), "none") | dict.fromkeys(_LONG, "zstd")
    shared = [leaf for column, leaf in _MEDIA.items() if _repeats(group[column])]
    by_content = signals and not quantised
    return {
        "compression": compression,
        "use_dictionary": [*_REPEATED, *shared, *([_SIGNAL] if quantised else [])],
        "dictionary_pagesize_limit": _DICTIONARY_PAGE,
        # Bytes of equal significance lie together, which zstd needs where values are all different.
        "column_encoding": None if quantised else {_SIGNAL: "BYTE_STREAM_SPLIT"},
        # What a reader may skip row groups by; of media it would be the first image's bytes.
        "write_statistics": [leaf for leaf in _LEAVES if "." not in leaf],
        "write_page_checksum": True,
        # What a viewer finds single rows by, without reading a row group.
        "write_page_index": True,
        "use_content_defined_chunking": _SIGNAL_CHUNKS if by_content else False,
        "data_page_size": _page_size(signals, by_content),
    }


def _page_size(signals: bool, by_content: bool) -> int:
    if by_content:
        return _SIGNAL_CHUNKS["max_chunk_size"]
    return _SIGNAL_PAGE if signals else ROW_GROUP_BYTES


def _repeats(media: pa.ChunkedArray) -> bool:
    """Whether enough of the bytes of a media column are those of an image before."""
    content = pc.struct_field(pc.list_flatten(media), "bytes")
    total, once = (
        pc.sum(pc.binary_length(one)).as_py() or 0 for one in (content, pc.unique(content))
    )
    return total - once > _REPEATED_SHARE * total


def _is_quantised(ecg: pa.ChunkedArray) -> bool:
    """Whether samples are those of a recorder, steps of its resolution, and not computed ones."""
    leads = pc.struct_field(ecg.slice(0, _ASKED), "signal")
    samples = pc.list_flatten(leads, recursive=True)
    return _SAMPLES_A_VALUE * pc.count_distinct(samples).as_py() <= len(samples)


def _leaves(path: str, kind: pa.DataType) -> Iterator[str]:
    if pa.types.is_struct(kind):
        for member in kind:
            yield from _leaves(f"{path}.{member.name}", member.type)
    elif pa.types.is_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    else:
        yield path


_LEAVES = tuple(leaf for field in SCHEMA for leaf in _leaves(field.name, field.type))
