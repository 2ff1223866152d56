"""Cells of Parquet tables: binary columns, structs with a field `bytes`, and lists of either.

Those structs are how Hugging Face stores images and audio. One cell costs its whole row group,
so the columns of the last row groups are kept.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.errors import BadTable, MissingFile, UnreadableFile, UnsupportedFormat
from qoqdata.readers.container.cell_address import (
    Cell,
    check_column,
    matching_cells,
    read_cell_address,
    row_of_key,
    rows_by_key,
)
from qoqdata.readers.limits import Limits

#: Bytes of columns that are kept for the next cell, at least the last one.
KEPT_BYTES = 256 * 2**20
_kept: OrderedDict[tuple[ParquetCells, int, str], pa.ChunkedArray] = OrderedDict()


def index_parquet(path: Path) -> ParquetCells:
    """The table at `path`. Raises UnreadableFile for one that is damaged or cut short."""
    try:
        with pq.ParquetFile(path) as file:
            metadata, schema = file.metadata, file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        what = f"is no sound Parquet file: {_first_line(error)}"
        raise UnreadableFile(what, where=str(path), fix="fetch it again") from error
    ends, end = [], 0
    for group in range(metadata.num_row_groups):
        end += metadata.row_group(group).num_rows
        ends.append(end)
    return ParquetCells(path, schema, tuple(ends))


@dataclass(eq=False)
class ParquetCells:
    """`ends`: the row behind each row group."""

    path: Path
    schema: pa.Schema
    ends: tuple[int, ...]
    _keys: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        return len(self.ends) + sum(map(len, self._keys.values()))

    @property
    def rows(self) -> int:
        return self.ends[-1] if self.ends else 0

    def names(self, pattern: str) -> list[str]:
        where = str(self.path)
        names = matching_cells(pattern, self.rows, self._rows_by_key, where=where)
        check_column(pattern.partition("[")[0], self.schema.names, where=where)
        return names

    def check(self, member: str) -> None:
        self._place(member)

    def size(self, member: str) -> int | None:
        self._place(member)
        return None

    def read(self, member: str, limits: Limits) -> bytes:
        cell, row = self._place(member)
        where = f"{self.path}#{member}"
        group = bisect_right(self.ends, row)
        before = self.ends[group - 1] if group else 0
        column = self._column(group, cell.column, limits, where)
        content = _bytes_of(column[row - before].as_py(), cell, where)
        limits.check("inflated_bytes", len(content), where=where)
        return content

    def _place(self, member: str) -> tuple[Cell, int]:
        """The cell and its row."""
        where = f"{self.path}#{member}"
        cell = read_cell_address(member, where=where)
        check_column(cell.column, self.schema.names, where=where)
        row = cell.row
        if row is None:
            row = row_of_key(self._rows_by_key(cell.key), cell, where=where)
        if row >= self.rows:
            raise MissingFile(f"the table has {self.rows:,} rows", where=where)
        return cell, row

    def _rows_by_key(self, key: str) -> dict[str, int]:
        if (rows := self._keys.get(key)) is None:
            where = str(self.path)
            check_column(key, self.schema.names, where=where)
            kind = self.schema.field(key).type
            values = kind.value_type if pa.types.is_dictionary(kind) else kind
            if not (_is_text(values) or pa.types.is_integer(values)):
                what = f"the column {key!r} holds {kind}, and a key is text or a whole number"
                raise BadTable(what, where=where, fix="name rows by their number")
            with _reading(where), pq.ParquetFile(self.path) as file:
                column = file.read(columns=[key]).column(key)
                texts = column.cast(values).cast(pa.large_string()).to_pylist()
            rows = self._keys[key] = rows_by_key(texts)
        return rows

    def _column(self, group: int, name: str, limits: Limits, where: str) -> pa.ChunkedArray:
        key = (self, group, name)
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
        with _reading(where), pq.ParquetFile(self.path) as file:
            facts = file.metadata.row_group(group)
            parts = [facts.column(number) for number in range(facts.num_columns)]
            size = sum(
                part.total_uncompressed_size
                for part in parts
                if part.path_in_schema == name or part.path_in_schema.startswith(f"{name}.")
            )
            limits.check("inflated_bytes", size, where=where)
            column = file.read_row_group(group, columns=[name]).column(name)
        _kept[key] = column
        while len(_kept) > 1 and sum(one.nbytes for one in _kept.values()) > KEPT_BYTES:
            _kept.popitem(last=False)
        return column


def _bytes_of(value: Any, cell: Cell, where: str) -> bytes:
    if isinstance(value, list) != (cell.item is not None):
        what = "holds a list" if cell.item is None else "holds no list"
        fix = "name an item, as in images[17][0]" if cell.item is None else "leave the item out"
        raise UnsupportedFormat(what, where=where, fix=fix)
    if isinstance(value, list) and cell.item is not None:
        if cell.item >= len(value):
            raise MissingFile(f"the list has {len(value)} items", where=where)
        value = value[cell.item]
    if isinstance(value, dict):
        value = value.get("bytes")
    if value is None:
        raise MissingFile("the cell is empty", where=where)
    if not isinstance(value, bytes):
        kind = type(value).__name__
        raise UnsupportedFormat(f"the cell holds {kind}, not bytes", where=where)
    return value


@contextmanager
def _reading(where: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFile(f"cannot be read: {_first_line(error)}", where=where) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
