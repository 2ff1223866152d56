"""Manifest entries of what is published, counted anew from its records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from qoqdata.contract.manifest import Counts, Manifest, Shard, SourceEntry
from qoqdata.dataset import Dataset
from qoqdata.remote.files import LocalFiles


def entries_of(
    manifest: Manifest,
    root: Path,
    shards: tuple[Shard, ...],
    known: Mapping[str, SourceEntry] | None = None,
) -> dict[str, SourceEntry]:
    """Entries of the sources that have shards below `root`, with the counts of these records.

    What was quarantined or filtered stays at home with its table, so units are those that gave
    the records. `known` are entries beside those of `manifest`.
    """
    if not shards:
        return {}
    counted = manifest.model_copy(update={"shards": shards})
    light = Dataset(root, counted, LocalFiles(root, counted)).metadata()
    entries = {**manifest.sources, **(known or {})}
    return {
        slug: entries[slug].model_copy(
            update={"counts": _counts(light.filter(pl.col("source") == slug))}
        )
        for slug in sorted({shard.source for shard in shards})
    }


def _counts(own: pl.DataFrame) -> Counts:
    units = own["study"].n_unique()
    return Counts(
        units=units,
        converted=units,
        quarantined=0,
        filtered=0,
        records=own.height,
        annotation_only=own.filter(~pl.col("shows")).height,
        by_split=dict(own.group_by("split").agg(n=pl.len()).sort("split").iter_rows()),
    )
