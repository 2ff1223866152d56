"""Arrow columns to Python values, a column at a time; media and signals only when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pyarrow as pa

#: The value of a column at a row of the table.
Value = Callable[[int], Any]

#: Leaves that are read for a column, where these are not all that it has.
_LEAVES = {"images": ("images.list.element.bytes",), "masks": ("masks.list.element.bytes",)}


def leaves(columns: Iterable[str]) -> list[str]:
    """Parquet names to read for record columns; the file-like names of media are left out."""
    return [leaf for column in columns for leaf in _LEAVES.get(column, (column,))]


def values(table: pa.Table, columns: Iterable[str]) -> tuple[tuple[str, Value], ...]:
    """How to get the value of each column at a row.

    `images` and `masks`: a list of encoded bytes (None for an absent mask) or None. `ecg`: None or
    a dict of `leads`, `fs` (Hz), and `signal` and `valid` as Arrow lists. Others: plain Python
    values.
    """
    kinds = {"images": _encoded, "masks": _encoded, "ecg": _ecg}
    found = []
    for name in columns:
        array = _whole(table.column(name))
        found.append((name, kinds.get(name, _plain)(array)))
    return tuple(found)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    whole = column.combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _plain(array: pa.Array) -> Value:
    return array.to_pylist().__getitem__


def _encoded(array: pa.ListArray) -> Value:
    """Bytes are copied out one by one: to_pylist would make all of a row group at once."""
    starts = array.offsets.to_pylist()
    absent = _nulls(array)
    items = array.values
    content = items.field("bytes") if items.null_count == 0 else items.flatten()[0]
    borders = np.frombuffer(content.buffers()[1], np.int32, len(content) + 1, content.offset * 4)
    edges = borders.tolist()
    lacking = _nulls(content)
    data = content.buffers()[2]
    view = memoryview(data if data is not None else b"")

    def value(row: int) -> list[bytes | None] | None:
        if absent is not None and absent[row]:
            return None
        items = range(starts[row], starts[row + 1])
        return [
            None if lacking is not None and lacking[i] else bytes(view[edges[i] : edges[i + 1]])
            for i in items
        ]

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
