"""Findings: what is wrong, where."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.atomic import digest, file_digest
from qoqdata.contract.manifest import Manifest, Shard, SourceEntry
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, RecordError
from qoqdata.manifest import shards_digest
from qoqdata.records.rows import SCHEMA
from qoqdata.records.rules import breaches


@dataclass(frozen=True)
class Finding:
    """One breach: the file, the rule, what was found."""

    where: str
    rule: str
    what: str


def find(dataset: Dataset) -> Iterator[Finding]:
    """Every breach of schema, digests, record rules and data set invariants.

    Stray files under data/ are looked for in a folder only: not every store can list its files.
    """
    readable = bool(dataset.manifest.shards)
    for shard in dataset.manifest.shards:
        try:
            with dataset.files.holding(shard) as path:
                faults = list(_file_faults(path, shard))
                yield from faults or _row_faults(path, shard)
            readable = readable and not faults
        except (pa.ArrowException, OSError, DatasetError) as error:
            # Behind a URL a shard is checked on its way here.
            what = error.what if isinstance(error, DatasetError) else str(error).splitlines()[0]
            yield Finding(shard.path, "every shard can be read", what)
            readable = False
    yield from _manifest_faults(dataset)
    for slug, entry in dataset.manifest.sources.items():
        yield from _source_faults(dataset, slug, entry)
    if readable:
        frame = dataset.metadata()
        yield from _set_faults(frame)
        yield from _hidden_faults(frame, dataset.manifest)


def _file_faults(path: Path, shard: Shard) -> Iterator[Finding]:
    if not path.is_file():
        yield Finding(shard.path, "every shard is there", "is missing")
    elif path.stat().st_size != shard.bytes or file_digest(path) != shard.sha256:
        yield Finding(shard.path, "shards are as built", "differs from its digest")
    elif (schema := pq.read_schema(path)) != SCHEMA or schema.metadata != SCHEMA.metadata:
        yield Finding(shard.path, "shards have the record schema", "has another schema")
    elif (rows := pq.read_metadata(path).num_rows) != shard.rows:
        yield Finding(shard.path, "row counts agree", f"{rows} rows, manifest {shard.rows}")


def _row_faults(path: Path, shard: Shard) -> Iterator[Finding]:
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            frame = pl.DataFrame(file.read_row_group(group))
            for row in frame.iter_rows(named=True):
                for column, rule, what in breaches(row):
                    error = RecordError(what, record=row["id"], column=column, rule=rule)
                    yield Finding(f"{shard.path}, {error.where}", rule, what)
                for column, value in (("source", shard.source), ("split", shard.split)):
                    if row[column] != value:
                        what = f"{row[column]!r} in a shard of {value}"
                        yield Finding(f"{shard.path}, record {row['id']}", f"one {column}", what)


def _manifest_faults(dataset: Dataset) -> Iterator[Finding]:
    manifest = dataset.manifest
    if shards_digest(manifest.shards) != manifest.digest:
        yield Finding("manifest.json", "the digest is over the shards", "differs")
    for shard in manifest.shards:
        if shard.source not in manifest.sources:
            yield Finding(shard.path, "every shard has its source", f"{shard.source} is not listed")
    paths = {dataset.root / shard.path for shard in manifest.shards}
    for path in sorted((dataset.root / "data").rglob("*")):
        if path.is_file() and path not in paths:
            where = str(path.relative_to(dataset.root))
            yield Finding(where, "no stray files under data/", "is not in the manifest")


def _source_faults(dataset: Dataset, slug: str, entry: SourceEntry) -> Iterator[Finding]:
    where, counts = f"manifest.json, {slug}", entry.counts
    if counts.units != counts.converted + counts.quarantined + counts.filtered:
        parts = f"{counts.converted} + {counts.quarantined} + {counts.filtered}"
        yield Finding(where, "counts reconcile", f"{counts.units} units, {parts} accounted")
    by_split: Counter[str] = Counter()
    for shard in dataset.manifest.shards:
        by_split[shard.split] += shard.rows if shard.source == slug else 0
    if by_split.total() != counts.records:
        what = f"{by_split.total()} rows, {counts.records}"
        yield Finding(where, "records are counted", what)
    if +by_split != +Counter(counts.by_split):
        what = f"{dict(+by_split)} rows, {counts.by_split}"
        yield Finding(where, "splits are counted", what)
    entries = _table_rows(dataset, slug)
    if entries != counts.quarantined + counts.filtered:
        table = "cannot be read" if entries is None else f"{entries} rows"
        what = f"{table} for {counts.quarantined + counts.filtered} units"
        yield Finding(f"quarantine/{slug}.parquet", "every failure has a row", what)
    try:
        card = json.loads(dataset.files.layout("cards").card(slug).read_bytes())
    except (OSError, ValueError):
        yield Finding(f"cards/{slug}.json", "every source has its card", "cannot be read")
    else:
        if digest(card) != entry.card_digest:
            yield Finding(f"cards/{slug}.json", "cards are as built", "differs from its digest")


def _table_rows(dataset: Dataset, slug: str) -> int | None:
    """Rows of a source's quarantine table; none, no file; None when it cannot be read."""
    table = dataset.files.layout("quarantine").quarantine(slug)
    try:
        return pq.read_metadata(table).num_rows if table.is_file() else 0
    except (pa.ArrowException, OSError):
        return None


def _hidden_faults(frame: pl.DataFrame, manifest: Manifest) -> Iterator[Finding]:
    """Records that show nothing, against the manifest's count of them."""
    hidden = Counter(frame.filter(~pl.col("shows"))["source"].to_list())
    for slug, entry in manifest.sources.items():
        if hidden[slug] != entry.counts.annotation_only:
            what = f"{hidden[slug]} of them, {entry.counts.annotation_only}"
            where = f"manifest.json, {slug}"
            yield Finding(where, "annotation-only records are counted", what)


def _set_faults(frame: pl.DataFrame) -> Iterator[Finding]:
    for row in _repeats(frame, ["id"]):
        yield Finding("data/", "ids are unique", f"{row['id']} occurs {row['n']} times")
    for key in ("patient", "study"):
        torn_keys = (
            frame.drop_nulls(key)
            .group_by(key)
            .agg(splits=pl.col("split").unique().sort())
            .filter(pl.col("splits").list.len() > 1)
            .sort(key)
        )
        for row in torn_keys.iter_rows(named=True):
            what = f"{row[key]} is in {' and '.join(row['splits'])}"
            yield Finding("data/", f"a {key} is in one split", what)


def _repeats(frame: pl.DataFrame, keys: list[str]) -> list[dict[str, Any]]:
    counts = frame.group_by(keys).agg(n=pl.len()).filter(pl.col("n") > 1)
    return counts.sort(keys).to_dicts()
