"""Tables of a raw tree: delimited ones and workbooks as text, Parquet as it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from qoqdata.errors import BadTable, UsageError


def read_delimited(
    source: Path | bytes, *, columns: Sequence[str], separator: str, empty: bool, where: str
) -> pl.DataFrame:
    """See `RawTree.csv`; `source` is a file or its content."""
    try:
        table = pl.read_csv(
            source,
            separator=separator,
            infer_schema=False,
            encoding="utf8-lossy",
            glob=False,
        )
        table = _tidy(table)
    except pl.exceptions.NoDataError as error:
        raise BadTable("the table is empty", where=where, fix="fetch it again") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadTable(f"cannot be parsed: {reason}", where=where) from error
    _check_columns(columns, table.columns, where)
    # polars keeps a repeated column under a name of its own.
    if repeated := [name for name in columns if f"{name}_duplicated_0" in table.columns]:
        raise BadTable(f"the column {repeated[0]!r} occurs twice", where=where)
    _check_height(table, empty, where)
    for name in columns:
        # What is not UTF-8 arrives as U+FFFD, which makes different keys and texts alike.
        if (places := table[name].str.contains("\ufffd", literal=True).arg_true()).len():
            cell = f"{where}, row {places[0] + 2}, column {name}"
            raise BadTable("is not UTF-8", where=cell, fix="convert the table to UTF-8")
    return table


def read_sheet(
    source: Path | bytes, *, columns: Sequence[str], empty: bool, where: str
) -> pl.DataFrame:
    """See `RawTree.sheet`; `source` is a file or its content."""
    try:
        import fastexcel
    except ImportError as error:
        fix = "pip install 'qoqdata[excel]'"
        raise UsageError("reading .xlsx needs fastexcel", where=where, fix=fix) from error
    try:
        book = fastexcel.read_excel(source)
        table = _tidy(book.load_sheet(0, dtypes="string").to_polars())
        # Sheets go on where somebody formatted rows and wrote nothing.
        table = table.filter(~pl.all_horizontal(pl.all().is_null()))
    except fastexcel.FastExcelError as error:
        reason = str(error).splitlines()[0]
        raise BadTable(f"cannot be parsed: {reason}", where=where, fix="fetch it again") from error
    _check_columns(columns, table.columns, where)
    _check_height(table, empty, where)
    return table


def read_parquet(
    source: Path | bytes, *, columns: Sequence[str], empty: bool, where: str
) -> pl.DataFrame:
    """See `RawTree.parquet`; `source` is a file or its content."""
    try:
        _check_columns(columns, list(pl.read_parquet_schema(source)), where)
        table = pl.read_parquet(source, columns=list(columns), glob=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadTable(f"cannot be parsed: {reason}", where=where) from error
    _check_height(table, empty, where)
    return table


def _tidy(table: pl.DataFrame) -> pl.DataFrame:
    """Names without space and byte order mark; tables that quote every cell write null as ""."""
    table = table.rename({name: name.strip().lstrip("\ufeff") for name in table.columns})
    return table.with_columns(pl.all().replace("", None))


def _check_columns(wanted: Sequence[str], names: Sequence[str], where: str) -> None:
    if absent := [name for name in wanted if name not in names]:
        fix = f"it has: {', '.join(names)}"
        raise BadTable(f"lacks the column {absent[0]!r}", where=where, fix=fix)


def _check_height(table: pl.DataFrame, empty: bool, where: str) -> None:
    if table.height == 0 and not empty:
        raise BadTable("the table has no rows", where=where, fix="fetch it again")
