"""What may happen to the files of a raw tree, in a fixed order and a bounded number of cases."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import PurePosixPath
from typing import Literal

from qoqdata.suite.tables import Table, read_tables

#: file: its bytes; rows, column: a part of a table; order: columns in other places, which changes
#: nothing; headers: the names of two label columns swapped, which must change something.
Kind = Literal["file", "rows", "column", "order", "headers"]


@dataclass(frozen=True)
class Damage:
    """One file in another state; `data` None is a file that is not there.

    `row` is the place of the row that is lost, where it is a single one.
    """

    path: str
    what: str
    kind: Kind
    data: bytes | None
    row: int | None = None

    def __str__(self) -> str:
        return f"{self.path}, {self.what}"


def table_damages(files: Mapping[str, bytes], labels: frozenset[str]) -> list[Damage]:
    """Every damage to every table of a tree, those that lose most first, the tables in turn.

    `labels` are the card's raw labels, by which label columns are known.
    """
    found = []
    for path, data in sorted(files.items()):
        if tables := read_tables(path, data, files):
            found.append(list(_of_table_file(path, data, tables, labels)))
    return [damage for turn in zip_longest(*found) for damage in turn if damage is not None]


def spread(damages: Sequence[Damage], most: int) -> list[Damage]:
    """At most so many: first those that lose most, then some spread over the rest."""
    first, rest = list(damages[: most // 2]), damages[most // 2 :]
    room = most - len(first)
    if len(rest) <= room:
        return [*first, *rest]
    return [*first, *(rest[place * len(rest) // room] for place in range(room))]


def media_damages(files: Mapping[str, bytes], most: int) -> list[Damage]:
    """Those of at most so many files without a table: of each suffix one, then further ones, spread
    over the tree."""
    media = [path for path, data in sorted(files.items()) if not read_tables(path, data, files)]
    firsts = {PurePosixPath(path).suffix: path for path in reversed(media)}
    # By a checksum of the name, so that a new file moves no other in or out of the choice.
    others = sorted(set(media) - set(firsts.values()), key=lambda path: zlib.crc32(path.encode()))
    chosen = [*sorted(firsts.values()), *others][:most]
    return [damage for path in chosen for damage in _of_file(path, files[path])]


def _of_file(path: str, data: bytes) -> Iterator[Damage]:
    yield Damage(path, "lost", "file", None)
    yield Damage(path, "emptied", "file", b"")
    yield Damage(path, "cut in half", "file", data[: len(data) // 2])


def _of_table_file(
    path: str, data: bytes, tables: Iterable[Table], labels: frozenset[str]
) -> Iterator[Damage]:
    # What is left of a table cut in half may well be a table with fewer rows.
    yield from (replace(one, kind="rows") if one.data else one for one in _of_file(path, data))
    for table in tables:
        yield from _rows_lost(path, table)
        yield from _columns_moved(path, table, labels)
        yield from _columns_lost(path, table)


def _rows_lost(path: str, table: Table) -> Iterator[Damage]:
    rows, columns, of = table.rows, table.columns, f" of {table.name}" if table.name else ""
    half = (len(rows) + 1) // 2
    kept = {
        f"the second half of the rows{of} lost": rows[:half],
        f"the first half of the rows{of} lost": rows[half:],
        f"every row{of} lost": (),
    }
    for what, some in kept.items():
        if len(some) < len(rows):
            yield Damage(path, what, "rows", table.write(columns, some))
    for place in sorted({0, len(rows) // 2, len(rows) - 1}):
        data = table.write(columns, (*rows[:place], *rows[place + 1 :]))
        yield Damage(path, f"row {place + 1}{of} lost", "rows", data, place)


def _columns_lost(path: str, table: Table) -> Iterator[Damage]:
    for column in table.columns:
        rest = [other for other in table.columns if other != column]
        of = f" of {table.name}" if table.name else ""
        what = f"the column {_shown(column)}{of} lost"
        yield Damage(path, what, "column", table.write(rest, table.rows))


def _columns_moved(path: str, table: Table, labels: frozenset[str]) -> Iterator[Damage]:
    if table.ordered and len(table.columns) > 1:
        data = table.write(table.columns[::-1], table.rows)
        yield Damage(path, "its columns in reverse order", "order", data)
    pairs = [
        (sum(row.get(a) != row.get(b) for row in table.rows), a, b)
        for place, a in enumerate(table.columns)
        for b in table.columns[place + 1 :]
        if {_shown(a), _shown(b)} <= labels
    ]
    most, a, b = max(pairs, key=lambda pair: pair[0], default=(0, "", ""))
    if most:
        swapped = [row | {a: row.get(b), b: row.get(a)} for row in table.rows]
        what = f"the names of the columns {_shown(a)} and {_shown(b)} swapped"
        yield Damage(path, what, "headers", table.write(table.columns, swapped))


def _shown(column: str) -> str:
    """The name of a column without the place that tells it from another of its name."""
    return column.rpartition("\0")[2]
