"""Shards: Parquet files written whole, whose bytes are a function of their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qoqdata.atomic import file_digest, replacing
from qoqdata.contract.manifest import Shard
from qoqdata.contract.vocabulary import Split
from qoqdata.pipeline.signal_columns.runs import SignalRun, column_runs, row_runs
from qoqdata.pipeline.signal_columns.shard_file import SIGNAL, SignalShard, without_signals
from qoqdata.records.rows import SCHEMA, batch

#: About 8 MB of media: one row group is one read.
ROW_GROUP = 100
#: Rows are flushed early when their media outgrow this, so that memory stays bounded.
ROW_GROUP_BYTES = 128 * 2**20
#: Whole row groups of small media are made together: an Arrow array has a price of its own.
BATCH_BYTES = 16 * 2**20
_BATCH = 10 * ROW_GROUP

_MEDIA = {"images": "images.list.element.bytes", "masks": "masks.list.element.bytes"}
#: Share of media bytes that repeat from which on they are stored once. Where nothing repeats, a
#: dictionary of media only costs: 1.6 times the CPU to read.
_REPEATED_SHARE = 1 / 8
#: No row group's media outgrow it, so that Arrow never turns from dictionary to plain pages.
_DICTIONARY_PAGE = 2**30
#: Worth the slower compressor; of the short values it would cost more time than all media.
_LONG = (SIGNAL, "context", "reasoning")
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


class _Part(NamedTuple):
    """Row groups as a table; with `runs`, it is one, and its signals are there and not in it."""

    table: pa.Table
    runs: list[SignalRun] | None = None


def write_shard(
    path: Path, rows: Iterable[dict[str, Any]], *, source: str, split: Split
) -> Shard | None:
    """Write rows to `path` atomically and return the shard's entry; None when there are no rows.

    Media bytes are stored as they are (they are compressed already), those that repeat within a
    row group once; signals and long texts with zstd, short values with snappy.
    """
    facts = _write(path, chain.from_iterable(map(_made, _batches(rows))))
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
        facts = _write(target, map(_read, (table for table in changed if table.num_rows)))
    return None if facts is None else shard.model_copy(update=facts)


def _write(path: Path, parts: Iterator[_Part]) -> dict[str, Any] | None:
    """What a manifest says of the file; None, and no file, when there are no parts."""
    first = next(parts, None)
    if first is None:
        path.unlink(missing_ok=True)
        return None
    groups: list[int] = []
    with replacing(path) as draft:
        with SignalShard(draft, SCHEMA, _settings(first.table)) as writer:
            for table, runs in chain([first], parts):
                writer.write_table(table, runs, ROW_GROUP)
                rows = table.num_rows
                groups += [min(ROW_GROUP, rows - at) for at in range(0, rows, ROW_GROUP)]
        size, digest = draft.stat().st_size, file_digest(draft)
    return {"rows": sum(groups), "row_groups": tuple(groups), "bytes": size, "sha256": digest}


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Whole row groups, the last one perhaps shorter, or what has outgrown `ROW_GROUP_BYTES`."""
    buffer: list[dict[str, Any]] = []
    weight = 0
    for row in rows:
        buffer.append(row)
        weight += _weight(row)
        full = weight >= BATCH_BYTES or len(buffer) >= _BATCH
        if weight >= ROW_GROUP_BYTES or (full and len(buffer) % ROW_GROUP == 0):
            yield buffer
            buffer, weight = [], 0
    if buffer:
        yield buffer


def _made(rows: list[dict[str, Any]]) -> Iterator[_Part]:
    """Rows as tables, a row group each where they have signals."""
    if not any(row["ecg"] for row in rows):
        yield _Part(pa.Table.from_batches([batch(rows)]))
        return
    for at in range(0, len(rows), ROW_GROUP):
        group = rows[at : at + ROW_GROUP]
        ecgs = [row["ecg"] for row in group]
        runs = row_runs(ecgs) if any(ecgs) else None
        if runs is not None:
            empty: dict[str, list[Any]] = {"signal": [], "valid": []}
            group = [row | {"ecg": row["ecg"] and row["ecg"] | empty} for row in group]
        yield _Part(pa.Table.from_batches([batch(group)]), runs)


def _read(table: pa.Table) -> _Part:
    """A row group that was read, as it would have been made of its rows."""
    place = SCHEMA.get_field_index("ecg")
    ecg = table.column(place).combine_chunks()
    if ecg.null_count == len(ecg) or (runs := column_runs(ecg)) is None:
        return _Part(table)
    return _Part(table.set_column(place, SCHEMA.field(place), without_signals(ecg)), runs)


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
    finds fewer headers between unchanged bytes.
    """
    group = first.slice(0, ROW_GROUP)
    compression = dict.fromkeys(_LEAVES, "snappy")
    compression |= dict.fromkeys(_MEDIA.values(), "none") | dict.fromkeys(_LONG, "zstd")
    shared = [leaf for column, leaf in _MEDIA.items() if _repeats(group[column])]
    return {
        "compression": compression,
        "use_dictionary": [*_REPEATED, *shared],
        "dictionary_pagesize_limit": _DICTIONARY_PAGE,
        # What a reader may skip row groups by; of media it would be the first image's bytes.
        "write_statistics": [leaf for leaf in _LEAVES if "." not in leaf],
        "write_page_checksum": True,
        # What a viewer finds single rows by, without reading a row group.
        "write_page_index": True,
        "data_page_size": ROW_GROUP_BYTES,
    }


def _repeats(media: pa.ChunkedArray) -> bool:
    """Whether enough of the bytes of a media column are those of an image before.

    Equal ones are of one length: those whose length no other has need not be looked at.
    """
    content = pc.struct_field(pc.list_flatten(media), "bytes")
    lengths = pc.binary_length(content)
    counts = pc.value_counts(lengths)
    shared = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    alike = content.filter(pc.is_in(lengths, shared))
    several, once = (
        pc.sum(pc.binary_length(one)).as_py() or 0 for one in (alike, pc.unique(alike))
    )
    return several - once > _REPEATED_SHARE * (pc.sum(lengths).as_py() or 0)


def _leaves(path: str, kind: pa.DataType) -> Iterator[str]:
    if pa.types.is_struct(kind):
        for member in kind:
            yield from _leaves(f"{path}.{member.name}", member.type)
    elif pa.types.is_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    else:
        yield path


_LEAVES = tuple(leaf for field in SCHEMA for leaf in _leaves(field.name, field.type))
