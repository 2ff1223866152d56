"""Concepts that two sources contradict each other about: what a probe learns of one in the first
source says the opposite in the second, and the other way round. In one of the two, labels are
likely inverted or swapped throughout, which a probe of that source alone cannot tell.

Which labels of two sources mean the same is in the tables of concepts (`qoqdata.concepts`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from qoqdata.concepts import ConceptTable, with_concepts
from qoqdata.dataset import Dataset
from qoqdata.progress import ProgressCallback
from qoqdata.statistics.probe.features import Features
from qoqdata.statistics.probe.ridge import fit
from qoqdata.statistics.probe.sample import closed_questions
from qoqdata.statistics.probe.table import fold_of, record_features

#: A row a concept that two sources of a domain ask about: `auc` is that of a fit on `source` asked
#: about `other`, `back` the other way round, both with the bound that chance leaves them under.
CONTRADICTIONS = {
    "concept": pl.String,
    "source": pl.String,
    "other": pl.String,
    "studies": pl.Int64,
    "other_studies": pl.Int64,
    "auc": pl.Float64,
    "at_most": pl.Float64,
    "back": pl.Float64,
    "back_at_most": pl.Float64,
}
#: Studies of a source that are looked at, and of these so many with and without a concept.
_STUDIES, _LEAST = 1_000, 20
#: Standard errors of an AUC that chance stays within, 999 times of 1,000 on either side.
_ERRORS = 3.09


@dataclass(frozen=True, eq=False)
class _Source:
    """Studies of a source: what is seen of them, and by concept 1, 0 or NaN where it is not asked
    about, or in doubt. `told` are the concepts that a probe tells on patients it has not seen."""

    name: str
    features: Features
    concepts: tuple[str, ...]
    states: NDArray[np.float64]
    told: frozenset[str]

    def state(self, concept: str) -> NDArray[np.float64]:
        values: NDArray[np.float64] = self.states[:, self.concepts.index(concept)]
        return values


def find_contradictions(
    dataset: Dataset, tables: Sequence[ConceptTable], progress: ProgressCallback
) -> pl.DataFrame:
    """Concepts of the tables about which two sources of a domain contradict each other in their
    training records; columns of CONTRADICTIONS, sorted.

    Both fits must be clearly under 0.5 on the other source, and over it on their own. `progress`
    hears of records read and their total.
    """
    records = dataset.for_training().filter(split="train")
    rows: list[tuple[Any, ...]] = []
    for table in tables:
        sources = {source for source, _ in table.concepts}
        mine = records.filter(pl.col("source").is_in(list(sources)))
        for _, of_domain in mine.group_by(["domain"], maintain_order=True):
            if of_domain["source"].n_unique() > 1:
                rows += _within(list(_sources(dataset, of_domain, table, progress)))
    found = pl.DataFrame(rows, schema=CONTRADICTIONS, orient="row")
    return found.unique(["concept", "source", "other"]).sort("concept", "source", "other")


def _within(sources: list[_Source]) -> Iterator[tuple[Any, ...]]:
    for one, other in combinations(sources, 2):
        common = sorted(one.told & other.told)
        if not common:
            continue
        there = _answers(one, other.features)
        back = _answers(other, one.features)
        for concept in common:
            auc = _auc(there[:, one.concepts.index(concept)], other.state(concept))
            again = _auc(back[:, other.concepts.index(concept)], one.state(concept))
            if auc[2] < 0.5 and again[2] < 0.5:
                counts = (int(np.isfinite(of.state(concept)).sum()) for of in (one, other))
                bounds = (auc[1], auc[2], again[1], again[2])
                yield (concept, one.name, other.name, *counts, *bounds)


def _sources(
    dataset: Dataset, records: pl.DataFrame, table: ConceptTable, progress: ProgressCallback
) -> Iterator[_Source]:
    asked = _asked(records, table)
    seen = 0
    for (name,), mine in asked.group_by(["source"], maintain_order=True):
        source = str(name)
        features: dict[str, Features] = {}
        for id_, values in record_features(dataset, source, "train", mine["id"].to_list()):
            features[id_] = values
            seen += 1
            progress(seen, asked.height)
        own = {concept for (of, _), concept in table.concepts.items() if of == source}
        concepts = tuple(sorted({concept.name for concept in own}))
        matrix = np.stack([features[id_] for id_ in mine["id"]])
        states = _states(mine, concepts)
        yield _Source(source, matrix, concepts, states, _told(matrix, states, concepts, mine))


def _asked(records: pl.DataFrame, table: ConceptTable) -> pl.DataFrame:
    """A question a study, of the first that offers a concept, with the concepts that it states,
    doubts and offers; at most _STUDIES of a source."""
    labels = table.frame().select("source", "label", "concept")
    offered = (
        records.select("id", "source", label="options")
        .explode("label")
        .join(labels, on=["source", "label"])
        .group_by("id")
        .agg(offered=pl.col("concept").unique())
    )
    firsts = records.join(offered, on="id").sort("id").unique("study", maintain_order=True)
    chosen = closed_questions(firsts.with_columns(task=pl.lit("any")), _STUDIES)
    return with_concepts(
        chosen.select("id", "group").join(firsts, on="id", maintain_order="left"), table
    )


def _states(asked: pl.DataFrame, concepts: tuple[str, ...]) -> NDArray[np.float64]:
    def holds(column: str, concept: str) -> NDArray[np.bool_]:
        return asked[column].list.contains(concept).to_numpy()

    states = np.full((asked.height, len(concepts)), np.nan)
    for place, concept in enumerate(concepts):
        states[holds("offered", concept) & ~holds("uncertain_concepts", concept), place] = 0
        states[holds("concepts", concept), place] = 1
    return states


def _told(
    features: Features, states: NDArray[np.float64], concepts: tuple[str, ...], asked: pl.DataFrame
) -> frozenset[str]:
    folds = np.array([fold_of(group) for group in asked["group"]])
    scores = np.zeros(states.shape)
    for fold in np.unique(folds):
        out = folds == fold
        if not out.all():
            scores[out] = fit(features[~out], _filled(states[~out]))(features[out])
    return frozenset(
        concept
        for place, concept in enumerate(concepts)
        if _enough(states[:, place]) and _auc(scores[:, place], states[:, place])[0] > 0.5
    )


def _answers(source: _Source, features: Features) -> NDArray[np.float64]:
    return fit(source.features, _filled(source.states))(features)


def _filled(states: NDArray[np.float64]) -> NDArray[np.float64]:
    """States without NaN: where nothing is known, the mean of what is."""
    known = np.isfinite(states)
    sums = np.where(known, states, 0).sum(axis=0)
    means = sums / np.maximum(known.sum(axis=0), 1)
    return np.where(known, states, means)


def _enough(states: NDArray[np.float64]) -> bool:
    return min(int((states == 1).sum()), int((states == 0).sum())) >= _LEAST


def _auc(scores: NDArray[np.float64], states: NDArray[np.float64]) -> tuple[float, float, float]:
    """Lower bound, AUC and upper bound, by the standard error of Hanley and McNeil (Radiology
    1982)."""
    known = np.isfinite(states)
    present = states[known] == 1
    ranks = rankdata(scores[known])
    with_it, without = int(present.sum()), int((~present).sum())
    auc = float((ranks[present].sum() - with_it * (with_it + 1) / 2) / (with_it * without))
    first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = (
        auc * (1 - auc) + (with_it - 1) * (first - auc**2) + (without - 1) * (second - auc**2)
    ) / (with_it * without)
    # No AUC is certain: one of 0 or 1 has the error of one pair in the wrong order.
    error = _ERRORS * max(variance, 1 / (with_it * without) ** 2) ** 0.5
    return auc - error, auc, auc + error
