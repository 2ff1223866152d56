"""Findings: what is wrong, where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
import pyarrow.parquet as pq

from qoqdata.atomic import file_digest
from qoqdata.dataset import Dataset
from qoqdata.errors import RecordError
from qoqdata.manifest import shards_digest
from qoqdata.records.rows import SCHEMA
from qoqdata.records.validation import breaches
from schemas.manifest import Shard


@dataclass(frozen=True)
class Finding:
    """One breach: the file, the rule, what was found."""

    where: str
    rule: str
    what: str


def find(dataset: Dataset) -> Iterator[Finding]:
    """Every breach of schema, digests, record rules and data set invariants."""
    readable = []
    for shard in dataset.manifest.shards:
        faults = list(_file_faults(dataset, shard))
        yield from faults
        if not faults:
            readable.append(shard)
            yield from _row_faults(dataset, shard)
    yield from _manifest_faults(dataset)
    if readable and len(readable) == len(dataset.manifest.shards):
        yield from _set_faults(dataset.metadata())


def _file_faults(dataset: Dataset, shard: Shard) -> Iterator[Finding]:
    path = dataset.root / shard.path
    if not path.is_file():
        yield Finding(shard.path, "every shard is there", "is missing")
    elif path.stat().st_size != shard.bytes or file_digest(path) != shard.sha256:
        yield Finding(shard.path, "shards are as built", "differs from its digest")
    elif (found := pq.read_schema(path)) != SCHEMA or found.metadata != SCHEMA.metadata:
        yield Finding(shard.path, "shards have the record schema", "has another schema")
    elif (rows := pq.read_metadata(path).num_rows) != shard.rows:
        yield Finding(shard.path, "row counts agree", f"{rows} rows, manifest {shard.rows}")


def _row_faults(dataset: Dataset, shard: Shard) -> Iterator[Finding]:
    with pq.ParquetFile(dataset.root / shard.path) as file:
        for group in range(file.num_row_groups):
            frame = pl.DataFrame(file.read_row_group(group))
            for row in frame.iter_rows(named=True):
                for column, rule, what in breaches(row):
                    error = RecordError(what, record=row["id"], column=column, rule=rule)
                    yield Finding(f"{shard.path}, {error.where}", rule, what)
                for column, wanted in (("source", shard.source), ("split", shard.split)):
                    if row[column] != wanted:
                        what = f"{row[column]!r} in a shard of {wanted}"
                        yield Finding(f"{shard.path}, record {row['id']}", f"one {column}", what)


def _manifest_faults(dataset: Dataset) -> Iterator[Finding]:
    manifest = dataset.manifest
    if shards_digest(manifest.shards) != manifest.digest:
        yield Finding("manifest.json", "the digest is over the shards", "differs")
    for slug, entry in manifest.sources.items():
        counts = entry.counts
        if counts.units != counts.converted + counts.quarantined + counts.filtered:
            what = f"{counts.units} units, {counts.converted} + {counts.quarantined} + "
            yield Finding(
                f"manifest.json, {slug}", "counts reconcile", f"{what}{counts.filtered} accounted"
            )
        rows = sum(shard.rows for shard in manifest.shards if shard.source == slug)
        if rows != counts.records:
            yield Finding(
                f"manifest.json, {slug}", "records are counted", f"{rows} rows, {counts.records}"
            )
        table = dataset.layout.quarantine(slug)
        listed = pq.read_metadata(table).num_rows if table.is_file() else 0
        if listed != counts.quarantined + counts.filtered:
            what = f"{listed} rows for {counts.quarantined + counts.filtered} units"
            yield Finding(f"quarantine/{slug}.parquet", "every failure has a row", what)
    known = {dataset.root / shard.path for shard in manifest.shards}
    for path in sorted((dataset.root / "data").rglob("*")):
        if path.is_file() and path not in known:
            where = str(path.relative_to(dataset.root))
            yield Finding(where, "no stray files under data/", "is not in the manifest")


def _set_faults(frame: pl.DataFrame) -> Iterator[Finding]:
    for row in _repeats(frame, ["id"]):
        yield Finding("data/", "ids are unique", f"{row['id']} occurs {row['n']} times")
    for key in ("patient", "study"):
        torn = (
            frame.drop_nulls(key)
            .group_by(key)
            .agg(splits=pl.col("split").unique().sort())
            .filter(pl.col("splits").list.len() > 1)
            .sort(key)
        )
        for row in torn.iter_rows(named=True):
            what = f"{row[key]} is in {' and '.join(row['splits'])}"
            yield Finding("data/", f"a {key} is in one split", what)


def _repeats(frame: pl.DataFrame, keys: list[str]) -> list[dict]:
    counted = frame.group_by(keys).agg(n=pl.len()).filter(pl.col("n") > 1)
    return counted.sort(keys).to_dicts()
