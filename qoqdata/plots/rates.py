"""Rarity against difficulty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from qoqdata.plots.style import FRAME, ROW, ROWS, WIDTH, name_rows, short, square_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

_BLUE = "#0072b2"
#: Where a name stands against its point, in the order in which it is tried: offset in points and
#: what of the text lies there.
_PLACES = (
    ((5, 3), "left"),
    ((-5, 3), "right"),
    ((5, -9), "left"),
    ((-5, -9), "right"),
    ((5, 12), "left"),
    ((-5, 12), "right"),
)


def rarity_figure(groups: pl.DataFrame) -> Figure:
    """Rarity over difficulty, 1 less the success rate, of each group that has both; columns `key`,
    `rarity` and `success_rate` of the statistics. Points of one place are named together."""
    measured = _measured(groups)
    figure, axes = square_axes(WIDTH * 0.8)
    # A point at a bound is drawn whole.
    axes.scatter(measured["difficulty"], measured["rarity"], s=14, color=_BLUE, clip_on=False)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, _most(measured))
    axes.set_xlabel("difficulty (1 − mean reward)")
    axes.set_ylabel("rarity")
    figure.draw_without_rendering()
    places = measured.group_by("difficulty", "rarity").agg(names=pl.col("key").sort())
    taken: list[Bbox] = []
    for x, y, names in places.sort("difficulty", "rarity").iter_rows():
        taken.append(_named(axes, (x, y), ", ".join(map(short, names)), taken))
    return figure


def rarity_rows_figure(groups: pl.DataFrame) -> Figure:
    """The same for more groups than can be named in one place: a row a group, the rarest on top,
    rarity in the left panel and difficulty in the right one."""
    from matplotlib.figure import Figure

    ordered = _measured(groups).sort("rarity", "key", descending=[True, False])
    shown = ordered.head(ROWS)
    size = (WIDTH, FRAME + ROW * shown.height)
    figure = Figure(figsize=size, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    rows = np.arange(shown.height)
    for axes, column, end in ((left, "rarity", _most(shown)), (right, "difficulty", 1.0)):
        axes.barh(rows, shown[column], 0.7, color=_BLUE)
        axes.set_xlim(0, end)
        axes.set_xlabel(column)
        axes.tick_params(axis="y", length=0)
    left.set_ylim(shown.height - 0.5, -0.5)
    name_rows(left, shown["key"].to_list())
    if more := ordered.height - shown.height:
        figure.suptitle(f"{more:,} less rare ones are not shown", fontsize="medium")
    return figure


def _measured(groups: pl.DataFrame) -> pl.DataFrame:
    difficulty = 1 - pl.col("success_rate")
    return groups.drop_nulls("success_rate").with_columns(difficulty=difficulty)


def _most(groups: pl.DataFrame) -> float:
    """Where an axis of rarities ends: a little beyond the rarest."""
    return float(groups["rarity"].max() or 1) * 1.05  # type: ignore[arg-type]


def _named(axes: Axes, point: tuple[float, float], name: str, taken: list[Bbox]) -> Bbox:
    """Write a name beside its point where it covers no other name, and return where it stands."""
    window = axes.figure.bbox
    for offset, side in _PLACES:
        text = axes.annotate(
            name, point, xytext=offset, ha=side, textcoords="offset points", annotation_clip=False
        )
        box = text.get_window_extent()
        inside = window.x0 <= box.x0 and box.x1 <= window.x1
        if inside and not any(box.overlaps(other) for other in taken):
            return box
        text.remove()
    # There is no free place.
    offset, side = _PLACES[0]
    text = axes.annotate(name, point, xytext=offset, ha=side, textcoords="offset points")
    return text.get_window_extent()
