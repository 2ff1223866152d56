"""What a data set's page says of it, gathered from manifest, cards and side tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from qoqdata.contract.card import Card
from qoqdata.contract.manifest import Manifest
from qoqdata.contract.vocabulary import SPLITS
from qoqdata.curation.audit import PREVALENCE, compare_prevalence, read_answerers
from qoqdata.curation.correction import corrected_counts
from qoqdata.dataset import Dataset
from qoqdata.description.freshness import stale_statistics
from qoqdata.description.label_states import label_states, label_summary
from qoqdata.description.people import people_by_domain, study_people
from qoqdata.publication.card_samples import CardSample, card_samples
from qoqdata.publication.licences import Term, configs, terms
from qoqdata.roles import evaluation_sources, working_configs
from qoqdata.statistics.counts import distinct_images
from qoqdata.statistics.tables import Stats
from qoqdata.statistics.tally import with_numbered_keys

_COLUMNS = ("source", "domain", "split", "patient", "study", "n_images")


@dataclass(frozen=True)
class Facts:
    """`sources` and `domains`: records, studies, patients, images (as in the statistics) and
    records by split; `overlap`: patients and studies in all and in more than one split;
    `labels` (`label_summary`) and `people` (`people_by_domain`) of kept records; `stats`: None
    where there are none of these records; `answerers`: what is scored without an image, None
    before an audit; `prevalence`: labels against the published counts of cards; `corrected`:
    records with an answer that a person corrected, by source; `samples`: one record a domain, of
    sources of which it may be shown."""

    manifest: Manifest
    cards: Mapping[str, Card]
    terms: Mapping[str, Term]
    configs: Mapping[str, tuple[str, ...]]
    sources: pl.DataFrame
    domains: pl.DataFrame
    overlap: Mapping[str, tuple[int, int]]
    labels: pl.DataFrame
    people: pl.DataFrame
    stats: Stats | None
    answerers: pl.DataFrame | None
    prevalence: pl.DataFrame
    corrected: Mapping[str, int]
    samples: tuple[CardSample, ...]
    #: Whether a table of traces lies beside the records.
    traces: bool = False

    @property
    def default_config(self) -> str | None:
        """The config that a client gets who names none: of those to train on the largest."""
        rows = {
            name: sum(shard.rows for shard in self.manifest.shards if shard.source in slugs)
            for name, slugs in self.configs.items()
        }
        held_out = set(evaluation_sources(self.manifest))
        trained_on = [name for name, slugs in self.configs.items() if set(slugs) - held_out]
        return max(trained_on or rows, key=lambda name: rows[name], default=None)

    @property
    def records(self) -> int:
        """Records with their pixels."""
        return sum(shard.rows for shard in self.manifest.shards)

    @property
    def studies(self) -> int:
        """Distinct studies that the records ask about."""
        return self.overlap["study"][0]


def gather_facts(dataset: Dataset) -> Facts:
    """The facts of a data set; statistics are left out where there are none, or of other records.

    Raises DatasetError for statistics of an earlier version.
    """
    some = bool(dataset.manifest.shards)
    light = with_numbered_keys(dataset.metadata(_COLUMNS)) if some else _no_records()
    kept = dataset.kept() if some else None
    cards = dataset.cards
    fresh = kept is not None and stale_statistics(dataset, kept) is None
    return Facts(
        manifest=dataset.manifest,
        cards=cards,
        terms=terms(cards),
        configs=_configs(dataset),
        sources=_counts(light, "source"),
        domains=_counts(light, "domain"),
        overlap={key: _overlap(light, key) for key in ("patient", "study")},
        labels=pl.DataFrame() if kept is None else label_summary(label_states(kept)),
        people=pl.DataFrame() if kept is None else people_by_domain(study_people(dataset, kept)),
        stats=dataset.stats if fresh else None,
        answerers=read_answerers(dataset.layout),
        prevalence=compare_prevalence(dataset) if some else pl.DataFrame(schema=PREVALENCE),
        corrected=corrected_counts(dataset) if some else {},
        samples=() if kept is None else tuple(card_samples(dataset, kept)),
        traces=dataset.layout.traces.is_file(),
    )


def _configs(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """Sources by config; a source that failed as a whole has nothing to load."""
    manifest = dataset.manifest
    if manifest.release is None:
        # What stays is all there is, private sources too.
        return working_configs(manifest)
    return configs({shard.source: dataset.cards[shard.source] for shard in manifest.shards})


def _no_records() -> pl.DataFrame:
    texts = pl.DataFrame(schema=dict.fromkeys(_COLUMNS, pl.String))
    return texts.cast({"n_images": pl.Int64})


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
