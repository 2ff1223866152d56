"""What a build counts, against what the card expects of a complete copy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from glob import escape
from pathlib import Path

import polars as pl

from qoqdata.contract.card import Card, ExpectedCounts, ExpectedTable
from qoqdata.contract.manifest import Comparison, CountDifference, Counts
from qoqdata.contract.vocabulary import Split
from qoqdata.errors import InputError, UsageError
from qoqdata.pipeline.faults import machine_fault
from qoqdata.sources.rawtree import RawTree

_COUNTS = ("units", "records", "patients")


def compare_counts(
    card: Card,
    counts: Counts,
    units: pl.DataFrame,
    raw: RawTree,
    *,
    skipped: str | None = None,
) -> Comparison | None:
    """The counts of a build beside the card's; None where the card expects none.

    `units` is the plan's table. `skipped` says why there is nothing to compare, as for the first
    units of a source. A table is read once more to count its rows.
    """
    pairs = list(_expected(card, raw))
    if not pairs:
        return None
    if skipped is not None:
        return Comparison(compared=0, skipped=skipped)
    found = _found(counts, units)
    differences = []
    for what, split, table, expected in pairs:
        value = found[what, split] if table is None else _rows(raw, table)
        if value != expected:
            differences.append(
                CountDifference(what=what, split=split, table=table, expected=expected, found=value)
            )
    return Comparison(compared=len(pairs), differences=tuple(differences))


def _expected(card: Card, raw: RawTree) -> Iterator[tuple[str, Split | None, str | None, int]]:
    """What, split, table and count of all that the card expects; of a table's names the first that
    is there."""
    own: list[tuple[Split | None, ExpectedCounts]] = [(None, card.expected)]
    own += card.expected.by_split.items()
    for split, counts in own:
        for what in _COUNTS:
            if (count := getattr(counts, what)) is not None:
                yield what, split, None, count
    for table, rows in card.expected.tables.items():
        one = ExpectedTable(rows=rows, other_names=()) if isinstance(rows, int) else rows
        names = (table, *one.other_names)
        yield "rows", None, next((name for name in names if _is_there(raw, name)), table), one.rows


def _is_there(raw: RawTree, table: str) -> bool:
    try:
        return raw.exists(table)
    except InputError:
        return False


def _found(counts: Counts, units: pl.DataFrame) -> dict[tuple[str, Split | None], int]:
    splits: tuple[Split | None, ...] = (None, "train", "validation", "test")
    found: dict[tuple[str, Split | None], int] = {}
    for split in splits:
        members = units if split is None else units.filter(pl.col("split") == split)
        found["units", split] = counts.units if split is None else members.height
        found["records", split] = counts.records if split is None else counts.by_split.get(split, 0)
        found["patients", split] = members["patient"].drop_nulls().n_unique()
    return found


def _rows(raw: RawTree, table: str) -> int | None:
    """Rows of a table: of a CSV or TSV, gzipped or not, of Parquet, of a workbook's first sheet, or
    items of a JSON list.

    A table that is not in its place counts where its name is found once in the tree, as sources
    find it. None where it is not there or cannot be read.
    """
    suffixes = Path(table).suffixes
    try:
        if not raw.exists(table) and len(found := raw.files(escape(Path(table).name))) == 1:
            table = found[0]
        if ".xlsx" in suffixes:
            return raw.sheet(table, columns=(), empty=True).height
        if ".parquet" in suffixes:
            return int(pl.scan_parquet(raw.resolve(table)).select(pl.len()).collect().item())
        if ".json" in suffixes:
            content = json.loads(raw.resolve(table).read_bytes())
            return len(content) if isinstance(content, list | dict) else None
        separator = "\t" if ".tsv" in suffixes else ","
        return raw.csv(table, separator=separator, empty=True).height
    except (InputError, UsageError, OSError, ValueError, pl.exceptions.PolarsError) as error:
        if machine_fault(error) is not None:
            raise
        return None
