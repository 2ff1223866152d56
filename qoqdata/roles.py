"""Evaluation sources: benchmarks that lie beside what is trained on, and are never trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from qoqdata.contract.manifest import Manifest
from qoqdata.errors import UsageError


def evaluation_sources(manifest: Manifest) -> list[str]:
    """The sorted slugs of the evaluation sources of a data set."""
    return sorted(slug for slug, one in manifest.sources.items() if one.role == "evaluation")


def working_configs(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    """Sources by config of a set that is no release: `default` is what may be trained on, and each
    evaluation source has its own. Sources without records are in none."""
    benchmarks = evaluation_sources(manifest)
    present = sorted({shard.source for shard in manifest.shards})
    trained_on = tuple(slug for slug in present if slug not in benchmarks)
    own = {slug: (slug,) for slug in present if slug in benchmarks}
    return ({"default": trained_on} if trained_on else {}) | own


def for_training(
    records: pl.DataFrame, manifest: Manifest, *, where: str
) -> tuple[pl.DataFrame, dict[str, int]]:
    """`records` without those of evaluation sources, and how many of each were left out.

    They are told by the column `source`. Raises UsageError where only such records are there.
    """
    benchmark = pl.col("source").is_in(evaluation_sources(manifest))
    left_out = records.filter(benchmark).group_by("source").len().sort("source")
    counts = {str(slug): int(count) for slug, count in left_out.iter_rows()}
    kept = records.filter(~benchmark)
    if counts and not kept.height:
        raise training_refusal(counts, where=where)
    return kept, counts


def training_refusal(sources: Iterable[str], *, where: str) -> UsageError:
    """What to raise where only evaluation sources have records."""
    return UsageError(
        f"holds records of evaluation sources only ({', '.join(sources)}), which are never"
        " trained on",
        where=where,
        fix="add a source for training; `qoqtrain evaluate` asks the questions of these",
    )


def in_words(left_out: Mapping[str, int]) -> str:
    """One line on what `for_training` left out."""
    parts = ", ".join(f"{slug} {count:,}" for slug, count in left_out.items())
    return f"{sum(left_out.values()):,} records of evaluation sources are left out: {parts}"
