"""Row groups in memory: read once while they are needed, on any thread; columns become values.

Media and signals are read and copied only when asked for.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.atomic import digest
from qoqdata.contract.manifest import Shard
from qoqdata.errors import DatasetError, InputError
from qoqdata.remote import integrity
from qoqdata.remote.files import Files
from qoqdata.stream.shared_tables import SharedTables

#: The value of a column at a row of the table.
Value = Callable[[int], Any]

#: The columns of a row group and how to get a value of each.
Columns = tuple[tuple[str, Value], ...]
#: What reading and decoding raise for damaged input.
FAULTS = (*integrity.FAULTS, DatasetError, InputError)

#: Leaves that are read for a column, where these are not all that it has.
_MEDIA_LEAVES = {"images": ("images.list.element.bytes",), "masks": ("masks.list.element.bytes",)}
_ENCODED = frozenset(leaf for leaves in _MEDIA_LEAVES.values() for leaf in leaves)
_FOOTERS = 256
_SPARE = 8


class RowGroups:
    """The open row groups of a reader.

    A row group is named by shard number x 2**32 + its number in the shard, as in `Index.groups`.
    `submit` starts a call on a thread (or runs it) and returns its future. What lies in `shared` is
    read there.
    """

    def __init__(
        self,
        files: Files,
        shards: Sequence[Shard],
        names: Sequence[str],
        submit: Callable[..., Future[Any]],
        *,
        verify: bool,
        shared: SharedTables | None = None,
    ) -> None:
        self._files, self._shards, self._names = files, shards, tuple(names)
        self._leaves = column_leaves(names)
        self._submit, self._verify, self._shared = submit, verify, shared
        self._open: dict[int, Future[Columns]] = {}
        self._users: Counter[int] = Counter()
        self._spare: OrderedDict[int, Columns] = OrderedDict()
        self._footers: OrderedDict[int, pq.FileMetaData] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, groups: Sequence[int]) -> None:
        """Begin to read row groups that are not open; each call needs a `close` of its own."""
        lacking = [group for group in groups if group not in self._open]
        self._users.update(groups)
        if lacking:
            numbers = dict.fromkeys(group >> 32 for group in lacking)
            self._files.prefetch([self._shards[number] for number in numbers])
        for group in lacking:
            self._open[group] = self._submit(self._load, group)

    def close(self, groups: Iterable[int]) -> None:
        """Take back an `open` of row groups; the last one lets go of them."""
        for group in groups:
            self._users[group] -= 1
            if self._users[group] == 0:
                del self._users[group], self._open[group]

    def held(self) -> list[int]:
        """What is open, as often as it was opened."""
        return list(self._users.elements())

    def get(self, group: int) -> Columns:
        """An open row group; raises one of FAULTS when it cannot be read."""
        return self._open[group].result()

    def get_any(self, group: int) -> Columns:
        """A row group, open or not; a few that are not are kept. Raises one of FAULTS."""
        future = self._open.get(group)
        # One that still waits for a thread may wait for the very thread that asks here.
        if future is not None and (future.done() or future.running()):
            return future.result()
        with self._lock:
            if (columns := self._spare.get(group)) is not None:
                return columns
        columns = self._load(group)
        with self._lock:
            self._spare[group] = columns
            while len(self._spare) > _SPARE:
                self._spare.popitem(last=False)
        return columns

    def _load(self, group: int) -> Columns:
        number, row_group = group >> 32, group & 0xFFFFFFFF
        if self._shared is None:
            table = self._read(number, row_group)
        else:
            name = digest([self._shards[number].sha256, row_group, self._leaves])
            table = self._shared.get(name, lambda: self._read(number, row_group))
        return column_values(table, self._names)

    def _read(self, number: int, row_group: int) -> pa.Table:
        with self._files.holding(self._shards[number], verify=self._verify) as path:
            footer = self._footer(number, path)
            self._require_rows(number, row_group, footer)
            with pq.ParquetFile(
                path,
                metadata=footer,
                read_dictionary=stored_once(footer, row_group),
                pre_buffer=False,
                page_checksum_verification=True,
            ) as file:
                return file.read_row_group(row_group, columns=self._leaves, use_threads=False)

    def _footer(self, number: int, path: Path) -> pq.FileMetaData:
        """The parsed footer of a shard, which costs more than a small row group to read."""
        with self._lock:
            if (footer := self._footers.get(number)) is not None:
                self._footers.move_to_end(number)
                return footer
        footer = pq.read_metadata(path)
        with self._lock:
            self._footers[number] = footer
            while len(self._footers) > _FOOTERS:
                self._footers.popitem(last=False)
        return footer

    def _require_rows(self, number: int, row_group: int, footer: pq.FileMetaData) -> None:
        shard = self._shards[number]
        groups, wanted = footer.num_row_groups, shard.row_groups[row_group]
        rows = footer.row_group(row_group).num_rows if row_group < groups else 0
        if rows != wanted:
            what = f"row group {row_group} has {rows} rows, {wanted} by the manifest"
            raise DatasetError(what, where=self._files.origin(shard.path))


def stored_once(
    footer: pq.FileMetaData, group: int, leaves: Iterable[int] | None = None
) -> list[str]:
    """Media leaves, of these numbers (None: of all), of which the row group holds equal values
    once; in memory they stay so."""
    columns = footer.row_group(group)
    chunks = map(columns.column, range(columns.num_columns) if leaves is None else leaves)
    paths = [chunk.path_in_schema for chunk in chunks if chunk.has_dictionary_page]
    return [path for path in paths if path in _ENCODED]


def column_leaves(columns: Iterable[str]) -> list[str]:
    """Parquet names to read for record columns; the file-like names of media are left out."""
    return [leaf for column in columns for leaf in _MEDIA_LEAVES.get(column, (column,))]


def column_values(table: pa.Table, columns: Iterable[str]) -> tuple[tuple[str, Value], ...]:
    """How to get the value of each column at a row.

    `images` and `masks`: a list of encoded bytes (None for an absent mask) or None. `ecg`: None or
    a dict of `leads`, `fs` (Hz), and `signal` and `valid` as Arrow lists. Others: plain Python
    values.
    """
    kinds = {"images": _encoded, "masks": _encoded, "ecg": _ecg}
    pairs = []
    for name in columns:
        array = _whole(table.column(name))
        pairs.append((name, kinds.get(name, _plain)(array)))
    return tuple(pairs)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    whole = column.combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _plain(array: pa.Array) -> Value:
    values: list[Any] = array.to_pylist()
    return values.__getitem__


def _encoded(array: pa.ListArray) -> Value:
    """Bytes are copied out one by one: to_pylist would make all of a row group at once."""
    starts = array.offsets.to_pylist()
    absent = _nulls(array)
    items = array.values
    content = items.field("bytes") if items.null_count == 0 else items.flatten()[0]
    places: Sequence[int | None] = range(len(content))
    if isinstance(content, pa.DictionaryArray):
        places, content = content.indices.to_pylist(), content.dictionary
    elif content.null_count:
        places = [None if null else at for at, null in enumerate(content.is_null().to_pylist())]
    borders = np.frombuffer(content.buffers()[1], np.int32, len(content) + 1, content.offset * 4)
    edges = borders.tolist()
    data = content.buffers()[2]
    view = memoryview(data if data is not None else b"")

    def value(row: int) -> list[bytes | None] | None:
        if absent is not None and absent[row]:
            return None
        own = places[starts[row] : starts[row + 1]]
        return [None if at is None else bytes(view[edges[at] : edges[at + 1]]) for at in own]

    return value


def _ecg(array: pa.StructArray) -> Value:
    """Signals stay Arrow lists, which `decode.signals.ecg` takes without Python numbers between."""
    absent = _nulls(array)
    leads, fs = (array.field(name).to_pylist() for name in ("leads", "fs"))
    signal, valid = array.field("signal"), array.field("valid")

    def value(row: int) -> dict[str, Any] | None:
        if absent is not None and absent[row]:
            return None
        return {"leads": leads[row], "fs": fs[row], "signal": signal[row], "valid": valid[row]}

    return value


def _nulls(array: pa.Array) -> list[bool] | None:
    return array.is_null().to_pylist() if array.null_count else None
