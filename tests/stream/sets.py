"""Data sets for the tests of the stream, written by hand with small row groups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from qoqdata import manifest as manifests
from qoqdata.atomic import file_digest
from qoqdata.contract.manifest import Counts, Manifest, Shard, SourceEntry
from qoqdata.contract.record import VERSION
from qoqdata.contract.storage import Storage
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.layout import Layout
from qoqdata.metadata import write_metadata
from tests.records.sound_rows import image_row, table


@dataclass(frozen=True)
class Part:
    """A source: its domain, the rows of each shard, and the split of all of them.

    `asked` questions in a row are about one study.
    """

    source: str
    domain: str
    shards: tuple[int, ...]
    split: str = "train"
    labels: tuple[str, ...] = ("Opacity",)
    asked: int = 1


def rows_of(part: Part, shard: int) -> list[dict[str, Any]]:
    """Light rows whose id tells source, split, shard and row."""
    return [
        image_row(
            id=f"{part.source}/{part.split}/{shard}/{row}",
            source=part.source,
            domain=part.domain,
            split=part.split,
            patient=None,
            study=f"{part.source}/{part.split}/{shard}/{row // part.asked}",
            regions=None,
            masks=None,
            mask_info=None,
            labels=[part.labels[row % len(part.labels)]],
            age=row % 90,
        )
        for row in range(part.shards[shard])
    ]


def write(root: Path, parts: Iterable[Part], *, row_group: int = 5) -> Dataset:
    """Shards of `row_group` rows a row group, and their manifest."""
    shards, sources = [], {}
    for part in parts:
        for number in range(len(part.shards)):
            rows = rows_of(part, number)
            shards.append(write_rows(root, part, number, rows, row_group=row_group))
        sources[part.source] = entry(part.domain)
    return seal(root, shards, sources)


def write_rows(
    root: Path, part: Part, number: int, rows: list[dict[str, Any]], *, row_group: int
) -> Shard:
    """One shard of given rows."""
    path = root / "data" / part.source / f"{part.split}-{number:05d}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        table(*rows),
        path,
        row_group_size=row_group,
        compression="none",
        use_dictionary=False,
        write_page_checksum=True,
    )
    return Shard(
        path=path.relative_to(root).as_posix(),
        source=part.source,
        split=part.split,  # type: ignore[arg-type]
        rows=len(rows),
        row_groups=tuple(len(rows[at : at + row_group]) for at in range(0, len(rows), row_group)),
        bytes=path.stat().st_size,
        sha256=file_digest(path),
    )


def entry(domain: str) -> SourceEntry:
    """A manifest entry whose counts nobody looks at here."""
    counts = Counts(
        units=0,
        converted=0,
        quarantined=0,
        filtered=0,
        records=0,
        annotation_only=0,
        by_split={},
    )
    return SourceEntry(
        converter="films",
        version=1,
        domain=domain,
        licence="CC0",
        redistribution="allowed",
        card_digest="0" * 64,
        code_digest="0" * 64,
        options={},
        storage=Storage(),
        limit=None,
        refused=None,
        counts=counts,
    )


def seal(root: Path, shards: list[Shard], sources: dict[str, SourceEntry]) -> Dataset:
    """Write the manifest of shards and open the data set."""
    manifest = Manifest(
        name="streamed",
        schema_version=VERSION,
        qoqdata_version="0",
        config_digest="0" * 64,
        salt_fingerprint="0" * 16,
        digest=manifests.shards_digest(shards),
        sources=sources,
        shards=tuple(shards),
        meta=write_metadata(root, shards),
    )
    manifests.write_manifest(Layout(root), manifest)
    return open_dataset(root)
