"""From tasks to sources, domains and one figure, and the intervals of each.

    source   mean over its tasks
    domain   mean over its sources
    overall  mean over the domains, so that no domain counts more for having more sources

QoQ-Med's evaluator averages data sets within a source and then over sources, its successors over
data sets alone; the two orders give different figures. The mean over sources is therefore reported
beside the overall figure, under a name of its own. Members where a figure is undefined are left
out of its mean. Intervals are bootstrapped by patient: records of one patient are drawn together or
not at all.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qoqtrain.evaluate.class_metrics import Floats, mean_defined
from qoqtrain.evaluate.results import QuestionOutcome
from qoqtrain.evaluate.sheet import Sheet

RULE = "task: mean over classes; source: over tasks; domain: over sources; overall: over domains"
#: Share of replicates inside an interval.
COVERAGE = 0.95


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Which task belongs to which source and domain, as indices; `sources`, `domains`: names."""

    sources: tuple[str, ...]
    domains: tuple[str, ...]
    source_of_task: NDArray[np.intp]
    domain_of_source: NDArray[np.intp]


class Levels(NamedTuple):
    """Figures of every level; the last axis holds the metrics, leading axes are kept."""

    tasks: Floats
    sources: Floats
    domains: Floats
    overall: Floats
    over_sources: Floats


def hierarchy_of(sheets: Sequence[Sheet]) -> Hierarchy:
    """The hierarchy of sheets in their order."""
    domain_of = {(sheet.domain, sheet.source): sheet.domain for sheet in sheets}
    keys = list(domain_of)
    domains = list(dict.fromkeys(domain_of.values()))
    return Hierarchy(
        sources=tuple(source for _, source in keys),
        domains=tuple(domains),
        source_of_task=_places([(sheet.domain, sheet.source) for sheet in sheets], keys),
        domain_of_source=_places([domain_of[key] for key in keys], domains),
    )


def levels(tasks: Floats, hierarchy: Hierarchy) -> Levels:
    """All levels from (..., tasks, metrics) figures."""
    sources = _grouped(tasks, hierarchy.source_of_task, len(hierarchy.sources))
    domains = _grouped(sources, hierarchy.domain_of_source, len(hierarchy.domains))
    return Levels(
        tasks, sources, domains, mean_defined(domains, axis=-2), mean_defined(sources, axis=-2)
    )


def _grouped(values: Floats, group: NDArray[np.intp], count: int) -> Floats:
    parts = [mean_defined(values[..., group == index, :], axis=-2) for index in range(count)]
    return np.stack(parts, axis=-2)


def _places(items: Sequence[Hashable], among: Sequence[Hashable]) -> NDArray[np.intp]:
    place = {name: index for index, name in enumerate(among)}
    return np.array([place[item] for item in items], np.intp)


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
    sources_of: list[set[str]] = []
    cluster = np.empty(len(outcomes), np.intp)
    for index, outcome in enumerate(outcomes):
        patient = outcome.patient
        key = (False, outcome.id) if patient is None else (True, patient)
        cluster[index] = number.setdefault(key, len(number))
        if cluster[index] == len(sources_of):
            sources_of.append(set())
        sources_of[cluster[index]].add(outcome.source)
    strata: dict[tuple[str, ...], list[int]] = {}
    for index, sources in enumerate(sources_of):
        strata.setdefault(tuple(sorted(sources)), []).append(index)
    return Clusters(cluster, tuple(np.array(members, np.intp) for members in strata.values()))


def replicates(clusters: Clusters, times: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """`times` draws with replacement, each as (n,) weights: how often every record is drawn.

    As many patients are drawn as there are, within the strata, so that every source keeps its
    number of patients (Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapters 8
    and 13). The same seed gives the same draws.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    draws = np.zeros(sum(len(stratum) for stratum in clusters.strata))
    for _ in range(times):
        for stratum in clusters.strata:
            picks = generator.integers(len(stratum), size=len(stratum))
            draws[stratum] = np.bincount(picks, minlength=len(stratum))
        yield draws[clusters.cluster]


def bounds(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """2.5th and 97.5th percentile along the first axis, over the replicates where the figure is
    defined; NaN where it never is."""
    low, high = np.full(values.shape[1:], np.nan), np.full(values.shape[1:], np.nan)
    defined = ~np.isnan(values).all(axis=0)
    if not len(values) or not defined.any():
        return low, high
    tail = (1 - COVERAGE) / 2
    low[defined], high[defined] = np.nanquantile(values[:, defined], (tail, 1 - tail), axis=0)
    return low, high
