"""What a build counts, against what the card expects of a complete copy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from qoqdata.contract.card import Card, ExpectedCounts
from qoqdata.contract.manifest import Comparison, CountDifference, Counts
from qoqdata.contract.vocabulary import Split
from qoqdata.errors import InputError
from qoqdata.sources.protocol import Unit
from qoqdata.sources.rawtree import RawTree

_COUNTS = ("units", "records", "patients")


def compare_counts(
    card: Card,
    counts: Counts,
    units: Sequence[Unit],
    raw: RawTree,
    *,
    skipped: str | None = None,
) -> Comparison | None:
    """The counts of a build beside the card's; None where the card expects none.

    `units` are those of the plan. `skipped` says why there is nothing to compare, as for the first
    units of a source. A table is read once more to count its rows.
    """
    pairs = list(_expected(card))
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


def _expected(card: Card) -> Iterator[tuple[str, Split | None, str | None, int]]:
    """What, split, table and count of everything that the card expects."""
    own: list[tuple[Split | None, ExpectedCounts]] = [(None, card.expected)]
    own += card.expected.by_split.items()
    for split, counts in own:
        for what in _COUNTS:
            if (count := getattr(counts, what)) is not None:
                yield what, split, None, count
    for table, rows in card.expected.tables.items():
        yield "rows", None, table, rows


def _found(counts: Counts, units: Sequence[Unit]) -> dict[tuple[str, Split | None], int]:
    splits: tuple[Split | None, ...] = (None, "train", "validation", "test")
    found: dict[tuple[str, Split | None], int] = {}
    for split in splits:
        members = [unit for unit in units if split in (None, unit.split)]
        patients = {unit.patient for unit in members if unit.patient is not None}
        found["units", split] = counts.units if split is None else len(members)
        found["records", split] = counts.records if split is None else counts.by_split.get(split, 0)
        found["patients", split] = len(patients)
    return found


def _rows(raw: RawTree, table: str) -> int | None:
    """Rows of a table: of a CSV or TSV, gzipped or not, of Parquet, or items of a JSON list.

    A bare name that is not at the root may lie in one of its folders. None where it is not there,
    is there several times, or cannot be read.
    """
    suffixes = Path(table).suffixes
    try:
        if "/" not in table and not raw.exists(table):
            (table,) = raw.files(table)
        if ".parquet" in suffixes:
            return int(pl.scan_parquet(raw.resolve(table)).select(pl.len()).collect().item())
        if ".json" in suffixes:
            content = json.loads(raw.resolve(table).read_bytes())
            return len(content) if isinstance(content, list | dict) else None
        separator = "\t" if ".tsv" in suffixes else ","
        return raw.csv(table, separator=separator, empty=True).height
    except (InputError, OSError, ValueError, pl.exceptions.PolarsError):
        return None
