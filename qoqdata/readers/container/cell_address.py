"""Cells of tables as members: `column[17]`, `column[key=value]`, each with `[0]` for a list."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import translate
from typing import NamedTuple

from qoqdata.errors import BadTable, DuplicateKey, MissingKey, UnsupportedFormat
from qoqdata.readers.container.address import member_text

_ROW = re.compile(r"(?P<column>[^\[\]=]+)\[(?P<row>\d{1,18})\](?:\[(?P<item>\d{1,9})\])?")
_KEY = re.compile(
    r"(?P<column>[^\[\]=]+)\[(?P<key>[^\[\]=]+)=(?P<value>.*?)\](?:\[(?P<item>\d{1,9})\])?",
    re.DOTALL,
)
#: What a repeated key has in place of its row.
REPEATED = -1


class Cell(NamedTuple):
    """One cell: its column, and its row by number or by the value of a key column.

    `value` is as `member_text` has it; `item` counts within a list.
    """

    column: str
    row: int | None
    key: str
    value: str
    item: int | None


def read_cell_address(member: str, *, where: str) -> Cell:
    """Parse a member of a table; raises UnsupportedFormat for any other text."""
    if match := _ROW.fullmatch(member):
        return Cell(match["column"], int(match["row"]), "", "", _integer(match["item"]))
    if match := _KEY.fullmatch(member):
        value = member_text(match["value"] + "]")[:-1]
        return Cell(match["column"], None, match["key"], value, _integer(match["item"]))
    raise UnsupportedFormat(
        f"names no cell: {member!r}", where=where, fix="write column[17] or column[key=value]"
    )


def rows_by_key(values: Iterable[str | None]) -> dict[str, int]:
    """The row of each key, REPEATED for one that occurs more than once; absent keys are left out.

    Keys are as `member_text` has them within brackets.
    """
    rows: dict[str, int] = {}
    for row, value in enumerate(values):
        if value is not None:
            key = member_text(value + "]")[:-1]
            rows[key] = REPEATED if key in rows else row
    return rows


def row_of_key(rows: dict[str, int], cell: Cell, *, where: str) -> int:
    """The row of the cell's key; raises MissingKey and DuplicateKey."""
    row = rows.get(cell.value)
    if row is None:
        raise MissingKey(f"the table has no row with {cell.key} = {cell.value}", where=where)
    if row == REPEATED:
        raise DuplicateKey(
            f"several rows of the table have {cell.key} = {cell.value}",
            where=where,
            fix="name the row by its number",
        )
    return row


def check_column(name: str, names: Iterable[str], *, where: str) -> None:
    """Raise BadTable for a column that the table lacks or has twice."""
    names = list(names)
    if name not in names:
        fix = f"it has: {', '.join(names)}"
        raise BadTable(f"lacks the column {name!r}", where=where, fix=fix)
    if names.count(name) > 1:
        raise BadTable(f"the column {name!r} occurs twice", where=where)


def _integer(digits: str | None) -> int | None:
    return None if digits is None else int(digits)


def matching_cells(
    pattern: str, rows: int, values: Callable[[str], Iterable[str]], *, where: str
) -> list[str]:
    """Members that a pattern of cells matches: `column[*]`, or `column[key=*]` over its values.

    `values` gives the distinct values of a key column. Raises UnsupportedFormat for a pattern that
    names no column.
    """
    match = re.fullmatch(r"([^\[\]=*?]+)\[(?:([^\[\]=*?]+)=)?(.*)\]", pattern, re.DOTALL)
    if match is None:
        fix = "write column[*] or column[key=*]"
        raise UnsupportedFormat(f"cannot list {pattern!r} of a table", where=where, fix=fix)
    column, key, shape = match.groups()
    wanted = re.compile(translate(shape.replace("[", "[[]")))
    if key is None:
        return [f"{column}[{row}]" for row in range(rows) if wanted.match(str(row))]
    return sorted(f"{column}[{key}={value}]" for value in values(key) if wanted.match(value))
