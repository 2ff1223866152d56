"""What a finished source came to: its entry of the manifest, its shards, what was skipped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from qoqdata.contract.manifest import Counts, MetadataFile, Shard, SourceEntry
from qoqdata.errors import UnfinishedBuild
from qoqdata.pipeline.receipts import ShardReceipt, SkipCount, total_skips
from qoqdata.pipeline.stored_place import open_place


class SourceSummary(BaseModel):
    """One finished source: its manifest entry, shards, and metadata where it has shards.

    `skipped` counts as the entry does, with examples, whose words do not leave the site.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    slug: str
    entry: SourceEntry
    shards: tuple[Shard, ...]
    metadata: MetadataFile | None
    skipped: tuple[SkipCount, ...] = ()
    #: Digests of what its file of raw keys was made from, and of the file.
    raw_keys: tuple[str, str] | None = None


def read_summary(path: Path) -> SourceSummary:
    """The summary of a finished source; raises UnfinishedBuild when it is none."""
    try:
        return SourceSummary.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fix = "delete it and run the build of that source again"
        raise UnfinishedBuild("is not a build summary", where=str(path), fix=fix) from error


def read_skips(out: str | Path, slugs: Iterable[str]) -> dict[str, tuple[SkipCount, ...]]:
    """The questions that were skipped in the sources of a finished set, a folder or a URL."""
    with open_place(out) as place:
        return {slug: read_summary(place.layout.summary(slug)).skipped for slug in slugs}


def count_of(receipts: Iterable[ShardReceipt], *, left_out: Iterable[dict[str, Any]]) -> Counts:
    """Counts that reconcile: units = converted + quarantined + filtered."""
    receipts = list(receipts)
    rows = [*left_out, *(row for receipt in receipts for row in receipt.quarantine)]
    outcomes = Counter(row["outcome"] for row in rows)
    by_split: Counter[str] = Counter()
    for receipt in receipts:
        if receipt.shard is not None:
            by_split[receipt.shard.split] += receipt.shard.rows
    conversions = sum(receipt.converted for receipt in receipts)
    skipped: dict[str, dict[str, int]] = {}
    for one in total_skips(one for receipt in receipts for one in receipt.skipped):
        skipped.setdefault(one.task, {})[one.reason] = one.questions
    return Counts(
        units=conversions + outcomes.total(),
        converted=conversions,
        quarantined=outcomes["quarantined"],
        filtered=outcomes["filtered"],
        records=sum(receipt.records for receipt in receipts),
        annotation_only=sum(receipt.annotation_only for receipt in receipts),
        by_split=dict(by_split),
        skipped=skipped,
    )
