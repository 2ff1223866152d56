"""Shards: Parquet files written whole, whose bytes are a function of their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.atomic import file_digest, replacing
from qoqdata.contract.manifest import Shard
from qoqdata.contract.vocabulary import Split
from qoqdata.pipeline.own_columns.media_page import (
    LargeMedia,
    column_media,
    contents,
    repeats,
    row_media,
)
from qoqdata.pipeline.own_columns.runs import SignalRun, column_runs, row_runs
from qoqdata.pipeline.own_columns.shard_file import MEDIA, SIGNAL, ShardFile, without_signals
from qoqdata.records.rows import SCHEMA, batch

#: About 8 MB of media: one row group is one read.
ROW_GROUP = 100
#: Rows are flushed early when their media outgrow this, so that memory stays bounded.
ROW_GROUP_BYTES = 128 * 2**20
#: Whole row groups of small media are made together: an Arrow array has a price of its own.
BATCH_BYTES = 16 * 2**20
_BATCH = 10 * ROW_GROUP

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
    """Row groups as a table; with `runs` or `media`, it is one, and its signals, or the media of
    these columns, are there and not in it."""

    table: pa.Table
    runs: list[SignalRun] | None = None
    media: Mapping[str, LargeMedia] | None = None


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
        with ShardFile(draft, SCHEMA, _settings(first.table)) as writer:
            for table, runs, media in chain([first], parts):
                writer.write_table(table, ROW_GROUP, runs=runs, media=media)
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
    """Rows as tables, a row group each where some of it is apart."""
    groups = [rows[at : at + ROW_GROUP] for at in range(0, len(rows), ROW_GROUP)]
    apart = [_row_media(group) for group in groups]
    if not any(row["ecg"] for row in rows) and not any(apart):
        yield _Part(pa.Table.from_batches([batch(rows)]))
        return
    for group, media in zip(groups, apart, strict=True):
        for column, large in media.items():
            bare = zip(group, large.bare, strict=True)
            group = [row | {column: cell} for row, cell in bare]
        ecgs = [row["ecg"] for row in group]
        runs = row_runs(ecgs) if any(ecgs) else None
        if runs is not None:
            empty: dict[str, list[Any]] = {"signal": [], "valid": []}
            group = [row | {"ecg": row["ecg"] and row["ecg"] | empty} for row in group]
        yield _Part(pa.Table.from_batches([batch(group)]), runs, media)


def _row_media(group: list[dict[str, Any]]) -> dict[str, LargeMedia]:
    media = {column: row_media([row[column] for row in group]) for column in MEDIA}
    return {column: large for column, large in media.items() if large is not None}


def _read(table: pa.Table) -> _Part:
    """A row group that was read, as it would have been made of its rows."""
    media = {}
    for column in MEDIA:
        place = SCHEMA.get_field_index(column)
        if (large := column_media(table.column(place).combine_chunks())) is not None:
            field, media[column] = SCHEMA.field(place), large
            table = table.set_column(place, field, pa.array(large.bare, field.type))
    place = SCHEMA.get_field_index("ecg")
    ecg = table.column(place).combine_chunks()
    if ecg.null_count == len(ecg) or (runs := column_runs(ecg)) is None:
        return _Part(table, None, media)
    return _Part(table.set_column(place, SCHEMA.field(place), without_signals(ecg)), runs, media)


def _weight(row: dict[str, Any]) -> int:
    """Bytes of its media and signals."""
    weight = 0
    for column in MEDIA:
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
    compression |= dict.fromkeys(MEDIA.values(), "none") | dict.fromkeys(_LONG, "zstd")
    shared = [leaf for column, leaf in MEDIA.items() if repeats(contents(group[column]))]
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


def _leaves(path: str, kind: pa.DataType) -> Iterator[str]:
    if pa.types.is_struct(kind):
        for member in kind:
            yield from _leaves(f"{path}.{member.name}", member.type)
    elif pa.types.is_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    else:
        yield path


_LEAVES = tuple(leaf for field in SCHEMA for leaf in _leaves(field.name, field.type))
