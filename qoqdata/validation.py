"""Findings: what is wrong, where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata import metadata
from qoqdata.atomic import digest
from qoqdata.contract.manifest import Manifest, MetadataFile, Shard, SourceEntry
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, RecordError
from qoqdata.json_document import document_bytes, parse_json
from qoqdata.manifest import is_as_built, shards_digest
from qoqdata.parquet_memory import require_memory, row_group_memory
from qoqdata.pipeline.own_columns.written import read_row_group
from qoqdata.progress import ProgressCallback, silent
from qoqdata.records.column_rules import column_breaches
from qoqdata.records.rows import SCHEMA
from qoqdata.records.rules import breaches_of_rows
from qoqdata.remote.files import Files
from qoqdata.remote.integrity import LARGEST_ROW_GROUP
from qoqdata.remote.leaves import row_groups


@dataclass(frozen=True)
class Finding:
    """One breach: the file, the rule, what was found."""

    where: str
    rule: str
    what: str


def find(dataset: Dataset, progress: ProgressCallback = silent) -> Iterator[Finding]:
    """Every breach of schema, digests, record rules and data set invariants.

    Behind a URL each shard is fetched once to be checked, and once more to compare metadata with it
    where the cache has not kept it; stray files are not looked for on web servers, which list none.
    `progress` hears of records.
    """
    readable = bool(dataset.manifest.shards)
    records, seen = sum(shard.rows for shard in dataset.manifest.shards), 0
    for shard in dataset.manifest.shards:
        progress(seen, records)
        seen += shard.rows
        try:
            with _unchecked(dataset.files, shard) as path:
                faults = list(_file_faults(path, shard))
                yield from faults or _row_faults(path, shard, dataset.manifest)
            readable = readable and not faults
        except (pa.ArrowException, OSError, ValueError, DatasetError) as error:
            # Behind a URL a shard is checked on its way here.
            what = error.what if isinstance(error, DatasetError) else str(error).splitlines()[0]
            yield Finding(shard.path, "every shard can be read", what)
            readable = False
    progress(records, records)
    yield from _manifest_faults(dataset)
    for slug, entry in dataset.manifest.sources.items():
        yield from _source_faults(dataset, slug, entry)
    faults = list(_metadata_faults(dataset, compare=readable))
    yield from faults
    if readable and not faults:
        frame = dataset.metadata(["id", "source", "split", "patient", "study", "shows"])
        yield from _set_faults(frame)
        yield from _hidden_faults(frame, dataset.manifest)


def find_in_metadata(dataset: Dataset) -> Iterator[Finding]:
    """Every breach that metadata tell without a shard: their digests, the rules of records that
    need no pixel and no signal, counts, and what holds across records.

    A value at fault is told once for each row group, with the first record that has it.
    """
    yield from _manifest_faults(dataset)
    for slug, entry in dataset.manifest.sources.items():
        yield from _source_faults(dataset, slug, entry)
    faults = list(_metadata_faults(dataset, compare=False))
    yield from faults
    if dataset.manifest.shards and not faults:
        for source in dataset.manifest.meta:
            yield from _column_faults(dataset, source)
        frame = dataset.metadata(["id", "source", "split", "patient", "study", "shows"])
        yield from _set_faults(frame)
        yield from _hidden_faults(frame, dataset.manifest)


def _column_faults(dataset: Dataset, source: str) -> Iterator[Finding]:
    entry = dataset.manifest.sources.get(source)
    role = "training" if entry is None else entry.role
    path = dataset.manifest.meta[source].path
    for read in row_groups(dataset.files, dataset.manifest, source):
        for id_, count, (column, rule, what) in column_breaches(
            pl.DataFrame(read(metadata.SCHEMA.names)), role
        ):
            more = f", as of {count - 1:,} more records" if count > 1 else ""
            error = RecordError(what, record=id_, column=column, rule=rule)
            yield Finding(f"{path}, {error.where}", rule, what + more)


@contextmanager
def _unchecked(files: Files, file: Shard | MetadataFile) -> Iterator[Path]:
    """The file as it lies there: what is wrong with it is a finding of its own."""
    try:
        yield files.local(file)
    finally:
        files.release(file)


def _file_faults(path: Path, shard: Shard) -> Iterator[Finding]:
    if not path.is_file():
        yield Finding(shard.path, "every shard is there", "is missing")
        return
    if not is_as_built(path, shard):
        yield Finding(shard.path, "shards are as built", "differs from its digest")
        return
    schema = pq.read_schema(path)
    if schema != SCHEMA or schema.metadata != SCHEMA.metadata:
        yield Finding(shard.path, "shards have the record schema", "has another schema")
        return
    footer = pq.read_metadata(path)
    groups = tuple(footer.row_group(n).num_rows for n in range(footer.num_row_groups))
    if footer.num_rows != shard.rows:
        what = f"{footer.num_rows} rows, manifest {shard.rows}"
        yield Finding(shard.path, "row counts agree", what)
    elif groups != shard.row_groups:
        yield Finding(shard.path, "row groups are counted", "differ from the manifest's")
    else:
        for group in range(footer.num_row_groups):
            row_group_memory(path, footer, group, LARGEST_ROW_GROUP)


def _row_faults(path: Path, shard: Shard, manifest: Manifest) -> Iterator[Finding]:
    entry = manifest.sources.get(shard.source)
    role = "training" if entry is None else entry.role
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            for row, found in breaches_of_rows(_rows(path, file, group), role):
                for column, rule, what in found:
                    error = RecordError(what, record=row["id"], column=column, rule=rule)
                    yield Finding(f"{shard.path}, {error.where}", rule, what)
                for column, value in (("source", shard.source), ("split", shard.split)):
                    if row[column] != value:
                        what = f"{row[column]!r} in a shard of {value}"
                        yield Finding(f"{shard.path}, record {row['id']}", f"one {column}", what)


def _rows(path: Path, file: pq.ParquetFile, group: int) -> Iterator[dict[str, Any]]:
    """Signals as arrays: as Python numbers they cost more than all else of a validation."""
    table, ecgs = read_row_group(path, file, group)
    for row, ecg in zip(pl.DataFrame(table).iter_rows(named=True), ecgs, strict=True):
        yield row | {"ecg": ecg}


def _manifest_faults(dataset: Dataset) -> Iterator[Finding]:
    manifest = dataset.manifest
    if shards_digest(manifest.shards) != manifest.digest:
        yield Finding("manifest.json", "the digest is over the shards", "differs")
    for shard in manifest.shards:
        if shard.source not in manifest.sources:
            yield Finding(shard.path, "every shard has its source", f"{shard.source} is not listed")
    for folder, files in (("data", manifest.shards), ("meta", manifest.meta.values())):
        strays = set(dataset.files.listing(folder)) - {file.path for file in files}
        for where in sorted(strays, key=PurePosixPath):
            yield Finding(where, f"no stray files under {folder}/", "is not in the manifest")


def _metadata_faults(dataset: Dataset, *, compare: bool) -> Iterator[Finding]:
    """Metadata that lack, are altered, or where `compare` are not those of the shards."""
    by_source: dict[str, list[Shard]] = {}
    for shard in dataset.manifest.shards:
        by_source.setdefault(shard.source, []).append(shard)
    for source, shards in by_source.items():
        if (entry := dataset.manifest.meta.get(source)) is None:
            what = "the manifest names none"
            yield Finding(f"meta/{source}.parquet", "every source has its metadata", what)
            continue
        try:
            with _unchecked(dataset.files, entry) as path:
                faults = list(_metadata_file_faults(path, entry, shards))
                yield from faults
                if compare and not faults:
                    yield from _metadata_row_faults(dataset, path, entry, shards)
        except (pa.ArrowException, OSError, ValueError, DatasetError) as error:
            what = error.what if isinstance(error, DatasetError) else str(error).splitlines()[0]
            yield Finding(entry.path, "metadata can be read", what)


def _metadata_file_faults(
    path: Path, entry: MetadataFile, shards: Sequence[Shard]
) -> Iterator[Finding]:
    if not path.is_file():
        yield Finding(entry.path, "every source has its metadata", "is missing")
        return
    if not is_as_built(path, entry):
        yield Finding(entry.path, "metadata are as built", "differs from its digest")
        return
    rows, wanted = pq.read_metadata(path).num_rows, sum(shard.rows for shard in shards)
    schema = pq.read_schema(path)
    if schema != metadata.SCHEMA or schema.metadata != metadata.SCHEMA.metadata:
        yield Finding(entry.path, "metadata have their schema", "has another schema")
    elif not rows == entry.rows == wanted:
        what = f"{rows} rows, manifest {entry.rows}, shards {wanted}"
        yield Finding(entry.path, "row counts agree", what)
    else:
        require_memory(path)


def _metadata_row_faults(
    dataset: Dataset, path: Path, entry: MetadataFile, shards: Sequence[Shard]
) -> Iterator[Finding]:
    """Each shard whose records the metadata tell otherwise, with the first of them."""
    with pq.ParquetFile(path) as file:
        told = pa.Table.from_batches([], metadata.SCHEMA)
        groups = iter(range(file.num_row_groups))
        for shard in shards:
            while told.num_rows < shard.rows:
                told = pa.concat_tables([told, file.read_row_group(next(groups))])
            with _unchecked(dataset.files, shard) as place:
                own = pl.DataFrame(metadata.shard_metadata(place, where=shard.path))
            here, told = pl.DataFrame(told.slice(0, shard.rows)), told.slice(shard.rows)
            # Polars takes NaN for equal to itself; Arrow does not.
            if not here.equals(own):
                pairs = zip(own.iter_rows(named=True), here.iter_rows(named=True), strict=True)
                true, false = next((a, b) for a, b in pairs if repr(a) != repr(b))
                columns = [name for name in true if repr(true[name]) != repr(false[name])]
                where = f"{entry.path}, record {true['id']}"
                what = f"{', '.join(columns)} differ from {shard.path}"
                yield Finding(where, "metadata are those of the shards", what)


def _source_faults(dataset: Dataset, slug: str, entry: SourceEntry) -> Iterator[Finding]:
    where, counts = f"manifest.json, {slug}", entry.counts
    if counts.units != counts.converted + counts.quarantined + counts.filtered:
        parts = f"{counts.converted} + {counts.quarantined} + {counts.filtered}"
        yield Finding(where, "counts reconcile", f"{counts.units} units, {parts} accounted")
    if entry.failure is not None:
        yield Finding(where, "every source gave records", entry.failure)
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
        card = parse_json(document_bytes(dataset.files.layout("cards").card(slug)))
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
