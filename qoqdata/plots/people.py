"""Age and sex."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from qoqdata.plots.style import legend_above, name_rows, rows_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIDES = (("female", "#d55e00", -1), ("male", "#0072b2", 1))


def ages_figure(by_age: pl.DataFrame) -> Figure:
    """Studies of women to the left, of men to the right, the oldest on top; `by_age` is
    `people_by_age`. What stands on neither side, and ages that nobody states, is told above."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    aged = by_age.filter(pl.col("ages") != "unstated").reverse()
    figure, axes = rows_axes(aged.height)
    most = max([1, *(int(aged[name].max() or 0) for name, _, _ in _SIDES)])  # type: ignore[arg-type]
    for name, colour, way in _SIDES:
        axes.barh(np.arange(aged.height), aged[name] * way, 0.8, color=colour, label=name)
    name_rows(axes, aged["ages"].to_list())
    axes.axvline(0, color="black", linewidth=0.6)
    axes.set_xlim(-most, most)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):,.0f}"))
    axes.set_xlabel("studies")
    axes.set_ylabel("age in years")
    every = by_age.drop("ages").sum_horizontal().sum()
    drawn = sum(int(aged[name].sum()) for name, _, _ in _SIDES)
    if every > drawn:
        title = f"{every - drawn:,} of {every:,} studies state no age, or neither sex"
        axes.set_title(title, loc="left", fontsize="medium")
    legend_above(figure, len(_SIDES))
    return figure
