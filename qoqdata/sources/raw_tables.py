"""Tables of a raw tree: delimited ones and workbooks as text, Parquet as it is stored."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from qoqdata.errors import BadTable, UsageError
from qoqdata.readers import identifiers

#: Names of columns, without case and separators, whose values are identifiers.
_OF_PERSONS = re.compile(
    r"(?:patient|subject|person|participant|hadm|admission)(?:id|key|no|nr|number|uid)?|"
    r"patients?names?|mrn|pid|(?:medicalrecord|accession)(?:id|no|nr|number)?"
)
_OF_OBJECTS = re.compile(
    r"(?:study|series|exam|case|visit|encounter|record|image|img|dicom|sop|sopinstance|instance|"
    r"studyinstance|seriesinstance|lesion|specimen|slide|file|scan)(?:id|key|uid|number)|"
    r"file(?:name|path)?|path"
)

#: Wider tables are refused: every column has a price of its own, and no table of a source that we
#: know has a third of these.
MOST_COLUMNS = 100_000
#: Columns that a message names.
_SHOWN = 100


def read_delimited(
    source: Path | bytes,
    *,
    columns: Sequence[str],
    separator: str,
    empty: bool,
    full: bool,
    where: str,
) -> pl.DataFrame:
    """See `RawTree.csv`; `source` is a file or its content."""
    _check_encoding(source, where)
    try:
        table = pl.read_csv(
            source,
            separator=separator,
            infer_schema=False,
            encoding="utf8-lossy",
            glob=False,
        )
        _check_width(table.width, where)
        table = _tidy(table)
    except pl.exceptions.NoDataError as error:
        raise BadTable("the table is empty", where=where, fix="fetch it again") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadTable(f"cannot be parsed: {reason}", where=where) from error
    names = table.columns
    if any("\0" in name for name in names):
        raise _utf_16(where)
    _check_columns(columns, names, where)
    # polars keeps a repeated column under a name of its own.
    known = frozenset(names)
    if repeated := [name for name in columns if f"{name}_duplicated_0" in known]:
        raise BadTable(f"the column {repeated[0]!r} occurs twice", where=where)
    _check_height(table, empty, where)
    # A row that ends early has nothing in the last column.
    if full and table.width > 1 and table.to_series(-1).null_count():
        _check_ends(source, table.width, separator, where)
    for name in columns:
        # What is not UTF-8 arrives as U+FFFD, which makes different keys and texts alike.
        if (places := table[name].str.contains("\ufffd", literal=True).arg_true()).len():
            cell = f"{where}, row {places[0] + 2}, column {name}"
            raise BadTable("is not UTF-8", where=cell, fix="convert the table to UTF-8")
    _note_identifiers(table)
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
    _note_identifiers(table)
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
    _note_identifiers(table)
    return table


def _note_identifiers(table: pl.DataFrame) -> None:
    if not identifiers.are_taken():
        return
    for name in table.columns:
        plain = re.sub(r"[^a-z]", "", name.lower())
        persons, objects = _OF_PERSONS.fullmatch(plain), _OF_OBJECTS.fullmatch(plain)
        if persons or objects:
            values = table[name].unique().drop_nulls().cast(pl.String, strict=False).drop_nulls()
            noted = {"persons" if persons else "objects": values.to_list()}
            identifiers.note_identifiers(**noted)


def _tidy(table: pl.DataFrame) -> pl.DataFrame:
    """Names without space and byte order mark; tables that quote every cell write null as ""."""
    table = table.rename({name: name.strip().lstrip("\ufeff") for name in table.columns})
    return table.with_columns(pl.all().replace("", None))


def _check_encoding(source: Path | bytes, where: str) -> None:
    """Raise BadTable for UTF-16, as spreadsheets save Unicode text: every other byte is 0."""
    if isinstance(source, bytes):
        first = source[:2]
    else:
        try:
            with source.open("rb") as file:
                first = file.read(2)
        except OSError:
            return  # whoever reads it says what is wrong
    if first in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise _utf_16(where)


def _utf_16(where: str) -> BadTable:
    return BadTable("is UTF-16", where=where, fix="convert the table to UTF-8")


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


def _check_ends(source: Path | bytes, width: int, separator: str, where: str) -> None:
    """Raise BadTable for a row of fewer cells than `width`; empty lines are none."""
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        plain = gzip.GzipFile(fileobj=file) if packed else file
        lines = io.TextIOWrapper(plain, "utf-8", errors="replace", newline="")
        before = csv.field_size_limit(sys.maxsize)  # polars has none
        try:
            for row in (reader := csv.reader(lines, delimiter=separator)):
                if 0 < len(row) < width:
                    what = f"has {len(row)} cells, and the table {width} columns"
                    fix = "quote cells that hold line breaks, and write a separator for each blank"
                    raise BadTable(what, where=f"{where}, line {reader.line_num}", fix=fix)
        except csv.Error as error:
            raise BadTable(f"cannot be parsed: {error}", where=where) from error
        finally:
            csv.field_size_limit(before)


def _check_height(table: pl.DataFrame, empty: bool, where: str) -> None:
    if table.height == 0 and not empty:
        raise BadTable("the table has no rows", where=where, fix="fetch it again")
