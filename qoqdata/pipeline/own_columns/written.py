"""Signals of a shard as they were written: a recording once, and not once a question.

Arrow's reader makes every sample of every row anew, 0.6 ms a question about twelve leads of 10 s.
A page is read as one recording here where `signal_pages.py` makes the same bytes of it again; what
else stands in a row group is left to Arrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.pipeline.own_columns import signal_pages
from qoqdata.pipeline.own_columns.chunk import PLAIN, RLE
from qoqdata.pipeline.own_columns.runs import SignalRun
from qoqdata.pipeline.own_columns.shard_file import SIGNAL, VALID
from qoqdata.pipeline.own_columns.thrift import Asked, Struct, read_struct
from qoqdata.records.ecg_column import ecg_rows
from qoqdata.records.rows import SCHEMA

_FACTS: Asked = dict.fromkeys(range(1, 5))
#: Kind, size inflated, size as stored; facts of a data page and of a dictionary.
_HEADER: Asked = {1: None, 2: None, 3: None, 5: _FACTS, 7: _FACTS}
#: What bytes that are not ours make of the steps below.
_OF_OTHERS = (ValueError, IndexError, KeyError, TypeError, pa.ArrowException)

_BUT_SIGNALS = [name for name in SCHEMA.names if name != "ecg"] + ["ecg.leads", "ecg.fs"]

#: Rows of a page, leads of each, and the values of one.
_Part = tuple[int, int, np.ndarray]


def read_row_group(
    path: Path, file: pq.ParquetFile, group: int
) -> tuple[pa.Table, list[dict[str, Any] | None]]:
    """A row group of a shard at `path` without the column of signals, and these by row as
    `ecg_rows` gives them; neighbours that show one recording have the same object.

    Whoever asks has seen that the row group fits memory.
    """
    runs = written_runs(path, file.metadata, group)
    if runs is not None:
        table = file.read_row_group(group, columns=_BUT_SIGNALS)
        ecgs = _shared(table.column("ecg").combine_chunks(), runs)
        if ecgs is not None:
            return table.drop_columns("ecg"), ecgs
    table = file.read_row_group(group)
    ecgs = list(chain.from_iterable(map(ecg_rows, table.column("ecg").chunks)))
    return table.drop_columns("ecg"), ecgs


def written_runs(path: Path, footer: pq.FileMetaData, group: int) -> list[SignalRun] | None:
    """The recordings of a row group in the order of its rows, the same one anew where a page ends;
    None where a page is not ours."""
    facts = footer.row_group(group)
    chunks = {(one := facts.column(n)).path_in_schema: one for n in range(facts.num_columns)}
    try:
        with path.open("rb") as file:
            signals, masks = (list(_parts(file, chunks[leaf])) for leaf in (SIGNAL, VALID))
    except _OF_OTHERS:
        return None
    kinds = (signals, np.float32), (masks, np.bool_)
    if any(values.dtype != kind for parts, kind in kinds for _, _, values in parts):
        return None
    shapes, others = ([(*one[:2], one[2].size) for one in parts] for parts in (signals, masks))
    if shapes != others or sum(rows for rows, *_ in shapes) != facts.num_rows:
        return None
    both = zip(signals, masks, strict=True)
    return [SignalRun(rows, leads, samples, mask) for (rows, leads, samples), (*_, mask) in both]


def _shared(column: pa.StructArray, runs: list[SignalRun]) -> list[dict[str, Any] | None] | None:
    """The rows of a column of leads and rates with their signals; None where these disagree."""
    absent, leads, fs = (
        values.to_pylist()
        for values in (column.is_null(), column.field("leads"), column.field("fs"))
    )
    rows: list[dict[str, Any] | None] = []
    for run in runs:
        signal, valid = (np.split(one, max(run.leads, 1)) for one in (run.samples, run.valid))
        before: dict[str, Any] | None = None
        for row in range(len(rows), len(rows) + run.rows):
            if absent[row] != (run.leads == 0):
                return None
            if absent[row]:
                rows.append(None)
                continue
            if before is None or (before["leads"], before["fs"]) != (leads[row], fs[row]):
                before = {"leads": leads[row], "fs": fs[row], "signal": signal, "valid": valid}
            rows.append(before)
    return rows


def _parts(file: BinaryIO, chunk: pq.ColumnChunkMetaData) -> Iterator[_Part]:
    """The pages of a column chunk; raises one of _OF_OTHERS for one that is not ours."""
    dictionary = None
    for header, body in _pages(file, chunk):
        if header[1][1] == signal_pages.DICTIONARY_PAGE:
            dictionary = np.frombuffer(body, "<f4")
            continue
        facts = header[5][1]
        encoding = facts[2][1]
        if (facts[3][1], facts[4][1]) != (RLE, RLE):
            raise ValueError("levels are not runs")
        rows, leads, samples = signal_pages.row_shape(body, facts[1][1])
        stored = signal_pages.first_row(body, encoding, rows, leads, samples)
        if signal_pages.page_body(encoding, rows, leads, samples, stored) != body:
            raise ValueError("not all rows are the first one")
        yield rows, leads, _values(encoding, stored, dictionary)


def _pages(file: BinaryIO, chunk: pq.ColumnChunkMetaData) -> Iterator[tuple[Struct, bytes]]:
    """Header and content of each page."""
    begin = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
    file.seek(begin)
    data, at = file.read(chunk.total_compressed_size), 0
    codec = pa.Codec(chunk.compression.lower())
    while at < len(data):
        header, at = read_struct(data, at, _HEADER)
        end = at + header[3][1]
        if not at < end <= len(data):
            raise ValueError("a page ends outside of its column")
        yield header, codec.decompress(data[at:end], header[2][1], asbytes=True)
        at = end


def _values(encoding: int, stored: np.ndarray, dictionary: np.ndarray | None) -> np.ndarray:
    if encoding == signal_pages.BY_DICTIONARY and dictionary is not None:
        return dictionary[stored]
    if encoding == signal_pages.BYTE_STREAM_SPLIT:
        return np.ascontiguousarray(stored.T).view("<f4").ravel()
    if encoding == PLAIN:
        return stored
    raise ValueError("values of another encoding")
