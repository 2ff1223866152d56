"""Tables of a raw tree: delimited ones as text, Parquet as it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from qoqdata.errors import BadTable

#: Wider tables are refused: every column has a price of its own, and no table of a source that we
#: know has a third of these.
MOST_COLUMNS = 100_000
#: Columns that a message names.
_SHOWN = 100


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
        _check_width(table.width, where)
        table = table.rename({name: name.strip().lstrip("\ufeff") for name in table.columns})
        # Tables that quote every cell write an absent one as "".
        table = table.with_columns(pl.all().replace("", None))
    except pl.exceptions.NoDataError as error:
        raise BadTable("the table is empty", where=where, fix="fetch it again") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadTable(f"cannot be parsed: {reason}", where=where) from error
    names = table.columns
    _check_columns(columns, names, where)
    # polars keeps a repeated column under a name of its own.
    known = frozenset(names)
    if repeated := [name for name in columns if f"{name}_duplicated_0" in known]:
        raise BadTable(f"the column {repeated[0]!r} occurs twice", where=where)
    _check_height(table, empty, where)
    for name in columns:
        # What is not UTF-8 arrives as U+FFFD, which makes different keys and texts alike.
        if (places := table[name].str.contains("\ufffd", literal=True).arg_true()).len():
            cell = f"{where}, row {places[0] + 2}, column {name}"
            raise BadTable("is not UTF-8", where=cell, fix="convert the table to UTF-8")
    return table


def read_parquet(
    source: Path | bytes, *, columns: Sequence[str], empty: bool, where: str
) -> pl.DataFrame:
    """See `RawTree.parquet`; `source` is a file or its content."""
    try:
        names = list(pl.read_parquet_schema(source))
        _check_width(len(names), where)
        _check_columns(columns, names, where)
        table = pl.read_parquet(source, columns=list(columns), glob=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadTable(f"cannot be parsed: {reason}", where=where) from error
    _check_height(table, empty, where)
    return table


def _check_columns(wanted: Sequence[str], names: Sequence[str], where: str) -> None:
    known = frozenset(names)
    if absent := [name for name in wanted if name not in known]:
        shown = [*names[:_SHOWN], "..."] if len(names) > _SHOWN else names
        fix = f"it has: {', '.join(shown)}"
        raise BadTable(f"lacks the column {absent[0]!r}", where=where, fix=fix)


def _check_width(width: int, where: str) -> None:
    if width > MOST_COLUMNS:
        what = f"has {width:,} columns, and {MOST_COLUMNS:,} are the most"
        raise BadTable(what, where=where, fix="check its separator, or keep the columns needed")


def _check_height(table: pl.DataFrame, empty: bool, where: str) -> None:
    if table.height == 0 and not empty:
        raise BadTable("the table has no rows", where=where, fix="fetch it again")
