"""Statistics written beside a data set, of success rates that a test makes up."""

from __future__ import annotations

import polars as pl

from qoqdata.dataset import Dataset
from qoqdata.statistics import tables
from qoqdata.statistics.basis import basis_of
from qoqdata.statistics.difficulty import choose
from qoqdata.statistics.tables import Stats


def write_stats(dataset: Dataset, difficulty: pl.DataFrame | None = None) -> Stats:
    """The statistics of its kept records as of now, with the success rates of `difficulty`, by
    default those that are written."""
    difficulty = choose(dataset.layout) if difficulty is None else difficulty
    policy = None if difficulty is None else difficulty["policy"][0]
    basis = basis_of(dataset.manifest, dataset.layout, policy)
    computed = tables.compute(dataset.for_training(), difficulty)
    return tables.write_statistics(dataset.layout, computed, basis)
