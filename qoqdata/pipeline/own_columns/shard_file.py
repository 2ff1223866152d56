"""A shard that Arrow writes, with columns of signals and media among its own.

Arrow writes each row group with empty lists in place of signals and no bytes in place of media; the
real column chunks follow it in the file, so that a row group stays one stretch. At the end the
footer is told of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import SEEK_END
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qoqdata.pipeline.own_columns.chunk import Chunk
from qoqdata.pipeline.own_columns.media_page import LargeMedia, media_chunk
from qoqdata.pipeline.own_columns.runs import SignalRun
from qoqdata.pipeline.own_columns.signal_pages import signal_chunk, valid_chunk
from qoqdata.pipeline.own_columns.thrift import (
    I32,
    I64,
    LIST,
    STRUCT,
    Asked,
    Struct,
    read_struct,
    write_struct,
)

MEDIA = {column: f"{column}.list.element.bytes" for column in ("images", "masks")}
SIGNAL, VALID = (f"ecg.{name}.list.element.list.element" for name in ("signal", "valid"))
_MAGIC = b"PAR1"
#: Short pages are written together; longer ones go by.
_BUFFER_BYTES = 1 << 16
#: What is looked at of a footer, by the numbers of fields in parquet.thrift: row groups (4), their
#: chunks (1), and of these places, lengths and facts (3).
_FACTS: Asked = {3: {}, 6: {}, 7: {}, 9: {}, 10: {}, 11: {}}
_CHUNK: Asked = {2: {}, 3: _FACTS, 4: {}, 5: {}, 6: {}, 7: {}}
_FOOTER: Asked = {4: {1: _CHUNK, 2: {}, 5: {}, 6: {}}}


def without_signals(ecg: pa.StructArray) -> pa.StructArray:
    """A column `ecg` with empty lists in place of signals and masks."""
    present, kind = ecg.is_valid(), ecg.type
    members = []
    for field in kind:
        if field.name in ("signal", "valid"):
            members.append(pa.array([[]] * len(ecg), field.type))
        else:
            members.append(pc.struct_field(ecg, field.name))
    mask = pc.invert(present)
    return pa.StructArray.from_arrays(members, fields=list(kind), mask=mask)


class ShardFile:
    """Writes tables, with their signals and media where these are apart, to a Parquet file."""

    def __init__(self, path: Path, schema: pa.Schema, settings: dict[str, Any]) -> None:
        self._path = path
        # Arrow asks it where its chunks and pages are, so that ours may stand between them.
        self._sink = pa.BufferedOutputStream(pa.OSFile(str(path), "wb"), _BUFFER_BYTES)
        self._chunks: dict[int, dict[str, tuple[int, Chunk]]] = {}
        self._groups = 0
        self._codecs = settings["compression"]
        self._writer = pq.ParquetWriter(self._sink, schema, **settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, _: TracebackType) -> None:
        try:
            self._writer.close()
        finally:
            self._sink.close()
        if kind is None and self._chunks:
            with self._path.open("rb+") as file:
                self._finish(file)

    def write_table(
        self,
        table: pa.Table,
        row_group_size: int,
        *,
        runs: Sequence[SignalRun] | None = None,
        media: Mapping[str, LargeMedia] | None = None,
    ) -> None:
        """Write row groups; a table is one where its signals are apart, in `runs`, or the media of
        its columns in `media`."""
        self._writer.write_table(table, row_group_size=row_group_size)
        if runs is not None:
            self._write_chunk(SIGNAL, signal_chunk(runs, self._codecs[SIGNAL]))
            self._write_chunk(VALID, valid_chunk(runs, self._codecs[VALID]))
        for column, large in (media or {}).items():
            self._write_chunk(MEDIA[column], media_chunk(large))
        self._groups += -(-table.num_rows // row_group_size)

    def _write_chunk(self, leaf: str, chunk: Chunk) -> None:
        own = self._chunks.setdefault(self._groups, {})
        own[leaf] = self._sink.tell(), replace(chunk, parts=())
        for part in chunk.parts:
            self._sink.write(part)

    def _finish(self, file: BinaryIO) -> None:
        """Write page indexes and footer anew."""
        end = file.seek(0, SEEK_END)
        size = int.from_bytes(_bytes(file, end - 8, 4), "little")
        footer, _ = read_struct(_bytes(file, end - 8 - size, size), 0, _FOOTER)
        groups = footer[4][1][1]
        chunks = [chunk for group in groups for chunk in group[1][1][1]]
        indexes = [chunk[at][1] for chunk in chunks for at in (4, 6) if at in chunk]
        begin = min(indexes) if indexes else end - 8 - size
        # Read before any is written over.
        column_indexes = [_index(file, chunk, 6) for chunk in chunks]
        offset_indexes = [_index(file, chunk, 4) for chunk in chunks]
        place = 0
        for number, group in enumerate(groups):
            for chunk in group[1][1][1]:
                leaf = b".".join(chunk[3][1][3][1][1]).decode()
                if (ours := self._chunks.get(number, {}).get(leaf)) is not None:
                    column_indexes[place], offset_indexes[place] = b"", _pages(*ours)
                    _describe(chunk[3][1], *ours)
                place += 1
            _sum_up(group)
        file.seek(begin)
        file.truncate()
        for indexes, field in ((column_indexes, 6), (offset_indexes, 4)):
            for chunk, index in zip(chunks, indexes, strict=True):
                chunk.pop(field, None), chunk.pop(field + 1, None)
                if index:
                    chunk[field] = I64, file.tell()
                    chunk[field + 1] = I32, len(index)
                    file.write(index)
        content = write_struct(footer)
        file.write(content + len(content).to_bytes(4, "little") + _MAGIC)


def _bytes(file: BinaryIO, place: int, size: int) -> bytes:
    file.seek(place)
    return file.read(size)


def _index(file: BinaryIO, chunk: Struct, field: int) -> bytes:
    """The index of a chunk, by the fields of its place and length."""
    if field not in chunk:
        return b""
    return _bytes(file, chunk[field][1], chunk[field + 1][1])


def _pages(place: int, chunk: Chunk) -> bytes:
    """The offset index of a chunk at a place of the file."""
    pages = [
        {1: (I64, place + begin), 2: (I32, size), 3: (I64, row)} for begin, size, row in chunk.pages
    ]
    return write_struct({1: (LIST, (STRUCT, pages))})


def _describe(facts: Struct, place: int, chunk: Chunk) -> None:
    """Put a chunk at a place of the file where the facts tell of Arrow's empty one."""
    facts[2] = LIST, (I32, list(chunk.encodings))
    facts[5] = I64, chunk.values
    facts[6] = I64, chunk.inflated
    facts[7] = I64, chunk.size
    facts[9] = I64, place + chunk.dictionary
    facts.pop(11, None)
    if chunk.dictionary:
        facts[11] = I64, place
    for number in (12, 13, 16):  # Of the empty one: statistics of values, pages and sizes.
        facts.pop(number, None)


def _sum_up(group: Struct) -> None:
    """The sizes of a row group, and where it begins."""
    chunks = [chunk[3][1] for chunk in group[1][1][1]]
    group[2] = I64, sum(facts[6][1] for facts in chunks)
    if 6 in group:
        group[6] = I64, sum(facts[7][1] for facts in chunks)
    if 5 in group:
        starts = (facts[place] for facts in chunks for place in (9, 11) if place in facts)
        group[5] = I64, min(start for _, start in starts)
