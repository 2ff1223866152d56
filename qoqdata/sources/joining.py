"""Rows of tables by the key that joins them to files and to other tables."""

from __future__ import annotations

import polars as pl

from qoqdata.errors import BadTable

Row = dict[str, str | None]


def rows_by_key(table: pl.DataFrame, column: str, *, where: str) -> dict[str, list[Row]]:
    """The rows of each key, in the table's order; keys come in the order of their first row.

    `where` is the table's path. Raises BadTable for a row without a key: what it says is of
    something, and nobody knows of what.
    """
    blank = table[column].is_null().arg_true()
    if blank.len():
        place = f"{where}, row {blank[0] + 2}"
        raise BadTable(f"the key {column} is empty", where=place, fix="mend or drop the row")
    rows: dict[str, list[Row]] = {}
    for row in table.iter_rows(named=True):
        rows.setdefault(row[column], []).append(row)
    return rows
