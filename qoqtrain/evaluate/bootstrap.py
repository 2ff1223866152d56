"""Bootstrap by patient: records of one patient are drawn together or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qoqtrain.evaluate.outcome import QuestionOutcome

#: Share of replicates inside an interval.
COVERAGE = 0.95


@dataclass(frozen=True, eq=False)
class Clusters:
    """Patients of a set of records.

    cluster  (n,) index of each record's patient; a record without patient is its own
    strata   indices of the patients with records in the same sources
    """

    cluster: NDArray[np.intp]
    strata: tuple[NDArray[np.intp], ...]


def clusters_of(outcomes: Sequence[QuestionOutcome]) -> Clusters:
    """The clusters of outcomes, numbered in their order."""
    number: dict[tuple[bool, str], int] = {}
    met: list[set[str]] = []
    cluster = np.empty(len(outcomes), np.intp)
    for index, outcome in enumerate(outcomes):
        named = outcome.patient is not None
        key = (named, outcome.patient if outcome.patient is not None else outcome.id)
        cluster[index] = number.setdefault(key, len(number))
        if cluster[index] == len(met):
            met.append(set())
        met[cluster[index]].add(outcome.source)
    strata: dict[tuple[str, ...], list[int]] = {}
    for index, sources in enumerate(met):
        strata.setdefault(tuple(sorted(sources)), []).append(index)
    return Clusters(cluster, tuple(np.array(members, np.intp) for members in strata.values()))


def replicates(clusters: Clusters, times: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """`times` draws with replacement, each as (n,) weights: how often every record is drawn.

    As many patients are drawn as there are, within the strata, so that every source keeps its
    number of patients (Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapters 8
    and 13). The same seed gives the same draws.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    drawn = np.zeros(sum(len(stratum) for stratum in clusters.strata))
    for _ in range(times):
        for stratum in clusters.strata:
            picks = generator.integers(len(stratum), size=len(stratum))
            drawn[stratum] = np.bincount(picks, minlength=len(stratum))
        yield drawn[clusters.cluster]


def bounds(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """2.5th and 97.5th percentile along the first axis, over the replicates where the figure is
    defined; NaN where it never is."""
    low, high = np.full(values.shape[1:], np.nan), np.full(values.shape[1:], np.nan)
    if not len(values):
        return low, high
    tail = (1 - COVERAGE) / 2
    known = ~np.isnan(values).all(axis=0)
    low[known], high[known] = np.nanquantile(values[:, known], (tail, 1 - tail), axis=0)
    return low, high
