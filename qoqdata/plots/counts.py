"""Records by domain, source and split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from qoqdata.contract.vocabulary import SPLITS
from qoqdata.plots.style import (
    ROWS,
    SPLIT_COLOURS,
    count_axis,
    legend_above,
    name_rows,
    rows_axes,
    share_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def records_figure(counts: pl.DataFrame, key: str) -> Figure:
    """Records of each value of `key` by split, the most on top; `counts` has a column a split."""
    ordered = counts.with_columns(whole=pl.sum_horizontal(SPLITS)).sort(
        "whole", key, descending=[True, False]
    )
    shown = ordered.head(ROWS)
    figure, axes = rows_axes(shown.height, left_out=ordered.height - shown.height)
    _stacked(axes, shown, np.ones(shown.height))
    name_rows(axes, shown[key].to_list())
    count_axis(axes, int(ordered["whole"].max() or 0))  # type: ignore[arg-type]
    axes.set_xlabel("records")
    legend_above(figure, len(SPLITS))
    return figure


def splits_figure(counts: pl.DataFrame, key: str) -> Figure:
    """The share of each split in the records of each value of `key`, by name, with their number."""
    ordered = counts.with_columns(whole=pl.sum_horizontal(SPLITS)).filter(pl.col("whole") > 0)
    most = ordered.sort("whole", key, descending=[True, False]).head(ROWS)
    shown = most.sort(key)
    figure, axes = rows_axes(shown.height, left_out=ordered.height - shown.height)
    _stacked(axes, shown, shown["whole"].to_numpy())
    name_rows(axes, shown[key].to_list())
    share_axis(axes)
    axes.set_xlabel("share of the records")
    numbers = axes.secondary_yaxis("right")
    numbers.set_yticks(range(shown.height), [f"{count:,}" for count in shown["whole"]])
    numbers.tick_params(length=0)
    numbers.spines["right"].set_visible(False)
    legend_above(figure, len(SPLITS))
    return figure


def _stacked(axes: Axes, counts: pl.DataFrame, whole: np.ndarray) -> None:
    left = np.zeros(counts.height)
    for split in SPLITS:
        width = counts[split].to_numpy() / whole
        axes.barh(
            np.arange(counts.height), width, 0.7, left, color=SPLIT_COLOURS[split], label=split
        )
        left = left + width
