"""From tasks to sources, domains and one figure.

    source   mean over its tasks
    domain   mean over its sources
    overall  mean over the domains, so that no domain counts more for having more sources

QoQ-Med's evaluator averages data sets within a source and then over sources, its successors over
data sets alone; the two orders give different figures. The mean over sources is therefore reported
beside the overall figure, under a name of its own. Members where a figure is undefined are left
out of its mean.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qoqtrain.evaluate.confusion import Floats, mean_defined
from qoqtrain.evaluate.sheet import Sheet

RULE = "task: mean over classes; source: over tasks; domain: over sources; overall: over domains"


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
