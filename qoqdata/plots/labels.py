"""How evenly the labels of each task are asserted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from qoqdata.plots.style import ROWS, name_rows, rows_axes, share_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Labels of a task that are told apart: the commonest; the others are one.
_TOLD = 6
#: From dark to light, told apart as greys too.
_SHADES = ("#00204d", "#31446b", "#666970", "#958f78", "#cab969", "#ffe945")
_REST = "#dddddd"


def balance_figure(states: pl.DataFrame) -> Figure:
    """Of each task one bar: the shares of its labels among all assertions, the commonest first.

    `states` is `label_states`; tasks without an assertion are left out.
    """
    asserted = states.filter(pl.col("asserted") > 0)
    tasks = asserted.group_by("source", "task").agg(
        counts=pl.col("asserted").sort(descending=True), questions=pl.col("questions").max()
    )
    order = ["questions", "source", "task"]
    most = tasks.sort(order, descending=[True, False, False]).head(ROWS)
    shown = most.sort("source", "task")
    figure, axes = rows_axes(shown.height, left_out=tasks.height - shown.height)
    for row, counts in enumerate(shown["counts"].to_list()):
        parts = np.array([*counts[:_TOLD], sum(counts[_TOLD:])]) / sum(counts)
        left = np.concatenate([[0], np.cumsum(parts)[:-1]])
        colours = [*_SHADES[: len(counts[:_TOLD])], _REST]
        axes.barh(row, parts, 0.7, left, color=colours, edgecolor="white", linewidth=0.4)
    names = [f"{source}: {task}" for source, task in shown.select("source", "task").iter_rows()]
    name_rows(axes, names)
    share_axis(axes)
    axes.set_xlabel("share of assertions by label:\nthe commonest first, grey the others")
    return figure
