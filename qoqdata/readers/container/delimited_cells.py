"""Cells of tab- or comma-separated tables (RFC 4180) that hold files in base64.

One pass finds where every row begins; a cell is then read from its row alone. A row at fault
refuses its own cells only, unless a quote is left open, behind which no row can be told.
"""

from __future__ import annotations

import base64
import binascii
import mmap
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from qoqdata.errors import BadTable, MissingFile, UnreadableFile, UnsupportedFormat
from qoqdata.readers.container.cell_address import (
    check_column,
    matching_cells,
    read_cell_address,
    row_of_key,
    rows_by_key,
)
from qoqdata.readers.limits import Limits

_BOM = b"\xef\xbb\xbf"
_DATA_URL = re.compile(rb"data:[\w.+-]+/[\w.+-]+;base64,")


def index_tsv(path: Path) -> DelimitedCells:
    """The tab-separated table at `path`. Raises BadTable for one without a header or rows."""
    return _index(path, b"\t")


def index_csv(path: Path) -> DelimitedCells:
    """The comma-separated table at `path`. Raises as `index_tsv`."""
    return _index(path, b",")


@dataclass(eq=False)
class DelimitedCells:
    """`places`: where each row begins, and where the last one ends."""

    path: Path
    separator: bytes
    columns: tuple[str, ...]
    places: tuple[int, ...]
    _keys: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        return len(self.places) + sum(map(len, self._keys.values()))

    @property
    def rows(self) -> int:
        return len(self.places) - 1

    def names(self, pattern: str) -> list[str]:
        where = str(self.path)
        names = matching_cells(pattern, self.rows, self._rows_by_key, where=where)
        check_column(pattern.partition("[")[0], self.columns, where=where)
        return names

    def check(self, member: str) -> None:
        self._place(member)

    def size(self, member: str) -> int | None:
        self._place(member)
        return None

    def _place(self, member: str) -> tuple[str, int]:
        """The cell's column and its row."""
        where = f"{self.path}#{member}"
        cell = read_cell_address(member, where=where)
        check_column(cell.column, self.columns, where=where)
        if cell.item is not None:
            raise UnsupportedFormat("cells of this table are no lists", where=where)
        row = cell.row
        if row is None:
            row = row_of_key(self._rows_by_key(cell.key), cell, where=where)
        if row >= self.rows:
            raise MissingFile(f"the table has {self.rows:,} rows", where=where)
        return cell.column, row

    def read(self, member: str, limits: Limits) -> bytes:
        where = f"{self.path}#{member}"
        column, row = self._place(member)
        start, end = self.places[row], self.places[row + 1]
        limits.check("inflated_bytes", end - start, where=where)
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                cells = _cells(file.read(end - start), self.separator)
        except OSError as error:
            raise UnreadableFile(f"cannot be read: {error.strerror}", where=where) from error
        if len(cells) != len(self.columns):
            what = f"the row has {len(cells)} cells, the table {len(self.columns)} columns"
            raise BadTable(what, where=where)
        return _decoded(cells[self.columns.index(column)], where)

    def _rows_by_key(self, key: str) -> dict[str, int]:
        if (rows := self._keys.get(key)) is None:
            where = str(self.path)
            check_column(key, self.columns, where=where)
            rows = self._keys[key] = rows_by_key(self._texts(key, where))
        return rows

    def _texts(self, column: str, where: str) -> Iterable[str | None]:
        place = self.columns.index(column)
        with self.path.open("rb") as file:
            for row, (start, end) in enumerate(zip(self.places, self.places[1:], strict=False)):
                file.seek(start)
                cells = _cells(file.read(end - start), self.separator)
                # A row of another length has no columns, so no key either.
                text = cells[place] if len(cells) == len(self.columns) else b""
                try:
                    yield text.decode() or None
                except UnicodeDecodeError as error:
                    where = f"{where}, row {row + 2}, column {column}"
                    fix = "convert the table to UTF-8"
                    raise BadTable("is not UTF-8", where=where, fix=fix) from error


def _index(path: Path, separator: bytes) -> DelimitedCells:
    where = str(path)
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            start = len(_BOM) if data[: len(_BOM)] == _BOM else 0
            places = _places(data, start, separator, where)
            header = _cells(data[places[0] : places[1]], separator) if len(places) > 1 else []
    except ValueError as error:  # nothing to map
        raise BadTable("the table is empty", where=where, fix="fetch it again") from error
    except OSError as error:
        raise UnreadableFile(f"cannot be read: {error.strerror}", where=where) from error
    if not header:
        raise BadTable("the table is empty", where=where, fix="fetch it again")
    columns = tuple(cell.decode("utf-8", "replace").strip() for cell in header)
    return DelimitedCells(path, separator, columns, tuple(places[1:]))


def _cell_shape(separator: bytes) -> bytes:
    # A quote counts at the start of a cell only, and is doubled inside.
    return rb'(?:"[^"]*(?:""[^"]*)*"|(?!")[^' + separator + rb"\r\n]*)"


def _places(data: mmap.mmap, start: int, separator: bytes, where: str) -> list[int]:
    """Where each row begins, the header first, and where the last one ends."""
    cell = _cell_shape(separator)
    row = re.compile(cell + rb"(?:" + separator + cell + rb")*(?:\r\n|\n|\r|\Z)")
    places = [start]
    while start < len(data):
        match = row.match(data, start)
        if match is None:
            raise BadTable(
                "a quoted cell has no end, or goes on behind its closing quote",
                where=f"{where}, row {len(places)}",
                fix="quote the table as RFC 4180 has it",
            )
        start = match.end()
        places.append(start)
    return places


def _cells(row: bytes, separator: bytes) -> list[bytes]:
    row = row.rstrip(b"\r\n")
    shape = re.compile(_cell_shape(separator) + rb"(?:" + separator + rb"|\Z)")
    cells, place = [], 0
    while (match := shape.match(row, place)) is not None:
        text = match.group()
        is_last = not text.endswith(separator) or match.end() == place
        text = text if is_last else text[:-1]
        quoted = text.startswith(b'"')
        cells.append(text[1:-1].replace(b'""', b'"') if quoted else text)
        place = match.end()
        if is_last:
            break
    return cells


def _decoded(cell: bytes, where: str) -> bytes:
    """A cell's file; the head of a data URL and white space are no part of it."""
    text = re.sub(rb"\s+", b"", cell)
    if match := _DATA_URL.match(text):
        text = text[match.end() :]
    if not text:
        raise MissingFile("the cell is empty", where=where)
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise UnreadableFile(f"is no base64: {error}", where=where) from error
