"""The figures of a paper on a data set, over the records that it keeps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from qoqdata.contract.vocabulary import SPLITS
from qoqdata.dataset import Dataset
from qoqdata.description.freshness import stale_statistics
from qoqdata.description.label_states import label_states
from qoqdata.description.people import people_by_age, study_people
from qoqdata.plots.counts import records_figure, splits_figure
from qoqdata.plots.labels import balance_figure
from qoqdata.plots.people import ages_figure
from qoqdata.plots.rates import rarity_figure, rarity_rows_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def paper_figures(dataset: Dataset) -> tuple[dict[str, Callable[[], Figure]], dict[str, str]]:
    """What draws each figure, by its name, and why those that cannot be drawn are not.

    Raises DatasetError for a set without records and for damaged tables.
    """
    dataset.check_some()
    kept = dataset.kept()
    figures: dict[str, Callable[[], Figure]] = {}
    lacking: dict[str, str] = {}
    for key in ("domain", "source"):
        counts = kept.group_by(key).agg(
            (pl.col("split") == split).sum().cast(pl.Int64).alias(split) for split in SPLITS
        )
        figures[f"records_by_{key}"] = partial(records_figure, counts, key)
        figures[f"splits_by_{key}"] = partial(splits_figure, counts, key)
    states = label_states(kept)
    if (states["asserted"] > 0).any():
        figures["label_balance"] = partial(balance_figure, states)
    else:
        lacking["label_balance"] = "No question asserts a label."
    by_age = people_by_age(study_people(dataset, kept))
    aged = by_age.filter(pl.col("ages") != "unstated")
    if aged.select("female", "male").sum_horizontal().sum():
        figures["age_and_sex"] = partial(ages_figure, by_age)
    else:
        lacking["age_and_sex"] = "No source states age and sex."
    stale = stale_statistics(dataset, kept)
    for key, draw in (("domain", rarity_figure), ("source", rarity_rows_figure)):
        name = f"rarity_and_difficulty_by_{key}"
        if stale is not None:
            lacking[name] = stale
            continue
        groups = dataset.stats.domains if key == "domain" else dataset.stats.sources
        if groups["success_rate"].drop_nulls().len():
            figures[name] = partial(draw, groups)
        else:
            lacking[name] = "No success rates are there: run `qoqdata difficulty`."
    return figures, lacking
