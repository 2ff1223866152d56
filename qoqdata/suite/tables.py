"""The tables of a raw tree, so that the suite can take rows and columns out of them.

Delimited text, JSON and JSON lines, gzipped or not; Parquet; workbooks; and lists of file names,
one a line.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import PurePosixPath
from typing import Any

import polars as pl

from qoqdata.simulation.table import workbook
from qoqdata.sources.raw_tables import read_sheet

Row = dict[str, Any]
Write = Callable[[Sequence[str], Sequence[Row]], bytes]

DELIMITED = (".csv", ".tsv", ".tab")
#: Tried in this order on text whose name tells no separator.
SEPARATORS = ("\t", ";", "|", ",")


@dataclass(frozen=True)
class Table:
    """Rows by column, and the file that others in their place would make.

    `name` tells several tables of one JSON file apart; `ordered` is whether columns have places.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    write: Write
    name: str = ""
    ordered: bool = True


def read_tables(path: str, data: bytes, names: Iterable[str]) -> tuple[Table, ...]:
    """The tables in a raw file; none in one that holds a single study, or no table at all.

    `names` are all paths of the tree. A JSON file or a text beside a file of the same stem belongs
    to that file; a text without columns is an index if its lines name files.
    """
    suffixes = [suffix.lower() for suffix in PurePosixPath(path).suffixes]
    packed = suffixes[-1:] == [".gz"]
    if packed:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix == ".parquet":
        return _parquet(data)
    if suffix == ".xlsx":
        return _sheet(data)
    try:
        text = (gzip.decompress(data) if packed else data).decode("utf-8-sig")
    except (UnicodeDecodeError, OSError):
        return ()

    def pack(text: str) -> bytes:
        return gzip.compress(text.encode(), mtime=0) if packed else text.encode()

    stems = Counter(_stem(name) for name in names)
    alone = stems[_stem(path)] < 2
    if suffix in (".json", ".jsonl") and alone:
        return tuple(_json(text, pack)) or tuple(_json_lines(text, pack))
    if suffix in DELIMITED or (suffix in ("", ".txt") and alone):
        return _delimited(text, suffix, pack) or _index(text, stems, pack)
    return ()


def _stem(path: str) -> str:
    return PurePosixPath(path).name.partition(".")[0]


def _delimited(text: str, suffix: str, pack: Callable[[str], bytes]) -> tuple[Table, ...]:
    for separator in ("\t",) if suffix in (".tsv", ".tab") else SEPARATORS:
        lines = [line for line in csv.reader(StringIO(text), delimiter=separator) if line]
        if len(lines) < 2 or len(lines[0]) < 2 or {len(line) for line in lines} != {len(lines[0])}:
            continue
        # Names may repeat; places do not.
        header = [f"{place}\0{name}" for place, name in enumerate(lines[0])]

        def write(columns: Sequence[str], rows: Sequence[Row], by: str = separator) -> bytes:
            stream = StringIO()
            writer = csv.writer(stream, delimiter=by, lineterminator="\n")
            writer.writerow([column.partition("\0")[2] for column in columns])
            writer.writerows([row[column] for column in columns] for row in rows)
            return pack(stream.getvalue())

        rows = tuple(dict(zip(header, line, strict=True)) for line in lines[1:])
        return (Table(tuple(header), rows, write),)
    return ()


def _index(text: str, stems: Counter[str], pack: Callable[[str], bytes]) -> tuple[Table, ...]:
    lines = [line for line in text.splitlines() if line.strip()]
    named = sum(_stem(line.split()[0]) in stems for line in lines)
    if len(lines) < 2 or named * 2 < len(lines):
        return ()

    def write(columns: Sequence[str], rows: Sequence[Row]) -> bytes:
        return pack("".join(f"{row['line']}\n" for row in rows))

    return (Table((), tuple({"line": line} for line in lines), write),)


def _json(text: str, pack: Callable[[str], bytes]) -> Iterator[Table]:
    try:
        whole = json.loads(text)
    except ValueError:
        return
    if (table := _members(whole, pack)) is not None:
        yield table
    for key, part in whole.items() if isinstance(whole, dict) else ():

        def within(text: str, key: str = key) -> bytes:
            return pack(json.dumps(whole | {key: json.loads(text)}))

        if (table := _members(part, within, key)) is not None:
            yield table


def _members(value: Any, pack: Callable[[str], bytes], name: str = "") -> Table | None:
    """A list of objects, or an object of objects by key, as a table."""
    if not isinstance(value, dict | list):
        return None
    members = list(value.items() if isinstance(value, dict) else enumerate(value))
    if not members or not all(isinstance(member, dict) for _, member in members):
        return None
    columns = tuple(dict.fromkeys(column for _, member in members for column in member))
    keyed = isinstance(value, dict)

    def write(columns: Sequence[str], rows: Sequence[Row]) -> bytes:
        kept = [
            (row["\0key"], {column: row[column] for column in columns if column in row})
            for row in rows
        ]
        return pack(json.dumps(dict(kept) if keyed else [member for _, member in kept]))

    rows = tuple({"\0key": key, **member} for key, member in members)
    return Table(columns, rows, write, name, ordered=False)


def _json_lines(text: str, pack: Callable[[str], bytes]) -> Iterator[Table]:
    try:
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        return
    table = _members(rows, lambda text: pack(_as_lines(text)))
    if table is not None:
        yield table


def _as_lines(text: str) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in json.loads(text))


def _parquet(data: bytes) -> tuple[Table, ...]:
    frame = pl.read_parquet(BytesIO(data))

    def write(columns: Sequence[str], rows: Sequence[Row]) -> bytes:
        stream = BytesIO()
        places = [row["\0place"] for row in rows]
        frame[places].select(columns).write_parquet(stream)
        return stream.getvalue()

    rows = tuple({"\0place": place, **row} for place, row in enumerate(frame.to_dicts()))
    return (Table(tuple(frame.columns), rows, write),)


def _sheet(data: bytes) -> tuple[Table, ...]:
    """The first sheet of a workbook, with all cells as text."""
    frame = read_sheet(data, columns=(), empty=True, where="the sheet")

    def write(columns: Sequence[str], rows: Sequence[Row]) -> bytes:
        return workbook(rows, columns)

    return (Table(tuple(frame.columns), tuple(frame.to_dicts()), write),)
