"""Summaries of finished sources, and the manifest that is assembled from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from qoqdata.atomic import write_json
from qoqdata.contract.manifest import Counts, Manifest, Shard, SourceEntry
from qoqdata.contract.record import VERSION as SCHEMA_VERSION
from qoqdata.errors import DatasetError
from qoqdata.layout import Layout
from qoqdata.manifest import config_digest, shards_digest
from qoqdata.pipeline.receipts import ShardReceipt
from qoqdata.version import VERSION


class Summary(BaseModel):
    """One finished source: its manifest entry and shards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    slug: str
    entry: SourceEntry
    shards: tuple[Shard, ...]


def count(receipts: Iterable[ShardReceipt], *, left_out: Iterable[dict[str, Any]]) -> Counts:
    """Counts that reconcile: units = converted + quarantined + filtered."""
    receipts, left_out = list(receipts), list(left_out)
    outcomes = Counter(row["outcome"] for row in left_out)
    by_split: Counter[str] = Counter()
    for receipt in receipts:
        if receipt.shard is not None:
            by_split[receipt.shard.split] += receipt.shard.rows
    converted = sum(receipt.converted for receipt in receipts)
    quarantined = outcomes["quarantined"] + sum(len(receipt.quarantine) for receipt in receipts)
    return Counts(
        units=converted + quarantined + outcomes["filtered"],
        converted=converted,
        quarantined=quarantined,
        filtered=outcomes["filtered"],
        records=sum(receipt.records for receipt in receipts),
        annotation_only=sum(receipt.annotation_only for receipt in receipts),
        by_split=dict(by_split),
    )


def write_summary(layout: Layout, summary: Summary) -> None:
    """Keep a finished source's summary, so that later builds of others can list it."""
    write_json(layout.summary(summary.slug), summary.model_dump(mode="json"))


def assemble(layout: Layout, *, name: str, salt_fingerprint: str) -> Manifest:
    """The manifest of all sources whose summary is in the data set."""
    summaries = [_read(path) for path in sorted(layout.summary("x").parent.glob("*.json"))]
    shards = tuple(
        sorted((s for summary in summaries for s in summary.shards), key=lambda s: s.path)
    )
    sources = {summary.slug: summary.entry for summary in summaries}
    return Manifest(
        name=name,
        schema_version=SCHEMA_VERSION,
        qoqdata_version=VERSION,
        config_digest=config_digest(sources),
        salt_fingerprint=salt_fingerprint,
        digest=shards_digest(shards),
        sources=sources,
        shards=shards,
    )


def _read(path: Path) -> Summary:
    try:
        return Summary.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fix = "delete it and run the build of that source again"
        raise DatasetError("is not a build summary", where=str(path), fix=fix) from error
