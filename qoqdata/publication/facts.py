"""What a data set's page says of it, gathered from manifest, cards and side tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from qoqdata.contract.card import Card
from qoqdata.contract.manifest import Manifest
from qoqdata.contract.vocabulary import SPLITS
from qoqdata.curation.audit import read_answerers
from qoqdata.dataset import Dataset
from qoqdata.publication.licences import Term, configs, terms
from qoqdata.statistics.counts import distinct_images
from qoqdata.statistics.tables import Stats


@dataclass(frozen=True)
class Facts:
    """`sources` and `domains`: records, studies, patients, images (as in the statistics) and
    records by split; `overlap`: patients and studies in all and in more than one split;
    `answerers`: what is scored without an image, None before an audit."""

    manifest: Manifest
    cards: Mapping[str, Card]
    terms: Mapping[str, Term]
    configs: Mapping[str, tuple[str, ...]]
    sources: pl.DataFrame
    domains: pl.DataFrame
    overlap: Mapping[str, tuple[int, int]]
    stats: Stats | None
    answerers: pl.DataFrame | None
    #: Whether a table of traces lies beside the records.
    traces: bool = False

    @property
    def records(self) -> int:
        """Records with their pixels."""
        return sum(shard.rows for shard in self.manifest.shards)

    @property
    def studies(self) -> int:
        """Distinct studies that the records ask about."""
        return self.overlap["study"][0]


def gather_facts(dataset: Dataset) -> Facts:
    """The facts of a data set; statistics are left out where there are none.

    Raises DatasetError for statistics of an earlier version.
    """
    light = dataset.metadata() if dataset.manifest.shards else _no_records()
    cards = dataset.cards
    written = dataset.layout.statistics("domains").is_file()
    return Facts(
        manifest=dataset.manifest,
        cards=cards,
        terms=terms(cards),
        # A source that failed as a whole has nothing to load.
        configs=configs({shard.source: cards[shard.source] for shard in dataset.manifest.shards}),
        sources=_counts(light, "source"),
        domains=_counts(light, "domain"),
        overlap={key: _overlap(light, key) for key in ("patient", "study")},
        stats=dataset.stats if written else None,
        answerers=read_answerers(dataset.layout),
        traces=dataset.layout.traces.is_file(),
    )


def _no_records() -> pl.DataFrame:
    columns = ("source", "domain", "split", "patient", "study")
    return pl.DataFrame(schema=dict.fromkeys(columns, pl.String)).with_columns(
        n_images=pl.lit(0, pl.Int64)
    )


def _counts(light: pl.DataFrame, key: str) -> pl.DataFrame:
    by_split = [(pl.col("split") == split).sum().alias(split) for split in SPLITS]
    return (
        light.group_by(key)
        .agg(
            pl.len().alias("records"),
            pl.col("study").n_unique().alias("studies"),
            pl.col("patient").drop_nulls().n_unique().alias("patients"),
            *by_split,
        )
        .join(distinct_images(light, key).rename({"n_images": "images"}), on=key)
        .sort(key)
    )


def _overlap(light: pl.DataFrame, key: str) -> tuple[int, int]:
    splits = light.drop_nulls(key).group_by(key).agg(n=pl.col("split").n_unique())
    return splits.height, splits.filter(pl.col("n") > 1).height
