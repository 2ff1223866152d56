"""How figures look, and how they are written: the same bytes for the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qoqdata.atomic import replacing
from qoqdata.contract.vocabulary import SPLITS
from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Inches: a column of a paper, and the tallest figure that fits its page.
WIDTH, TALLEST = 3.5, 9.0
#: Inches of a row of bars, and of what is above and below them.
ROW, FRAME = 0.2, 0.75
#: Rows of a figure; what is beyond is told in its title.
ROWS = int((TALLEST - FRAME) / ROW)
#: Colours of splits, Okabe and Ito's: told apart by the colour-blind, and as greys.
SPLIT_COLOURS = dict(zip(SPLITS, ("#0072b2", "#e69f00", "#000000"), strict=True))
#: Characters of a name beside an axis.
NAME = 30
FORMATS = ("svg", "pdf")

_LOOK: Mapping[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.handlelength": 1.2,
    # Names are text, whatever dollars they hold.
    "text.parse_math": False,
    # Text stays text that can be searched and edited; ids and dates are random without these.
    "svg.fonttype": "none",
    "svg.hashsalt": "qoqdata",
    "pdf.fonttype": 42,
}
_NO_DATES: Mapping[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@contextmanager
def drawing() -> Iterator[None]:
    """Inside, figures have our look. Raises UsageError when matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError as error:
        fix = "pip install 'qoqdata[plot]'"
        raise UsageError("plots need matplotlib", fix=fix) from error
    with matplotlib.rc_context(dict(_LOOK)):
        yield


def write_figures(
    figures: Mapping[str, Callable[[], Figure]], folder: Path, formats: Sequence[str] = FORMATS
) -> tuple[Path, ...]:
    """Draw each figure and write it as `name.format` into `folder`, for each of the formats.

    Raises UsageError when matplotlib is not installed.
    """
    paths = []
    with drawing():
        for name, draw in figures.items():
            figure = draw()
            for kind in formats:
                path = folder / f"{name}.{kind}"
                with replacing(path) as draft:
                    figure.savefig(draft, format=kind, metadata=_NO_DATES[kind])
                paths.append(path)
    return tuple(paths)


def rows_axes(rows: int, *, left_out: int = 0) -> tuple[Figure, Axes]:
    """A figure for so many rows of bars, the first on top, and how many found no place."""
    figure, axes = square_axes(FRAME + ROW * rows)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    if left_out:
        axes.set_title(f"{left_out:,} smaller ones are not shown", loc="left", fontsize="medium")
    return figure, axes


def square_axes(height: float) -> tuple[Figure, Axes]:
    """A figure of a column's width and so many inches of height."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Names beside the rows; long ones are cut."""
    axes.set_yticks(range(len(names)), [short(name) for name in names])


def short(name: str, most: int = NAME) -> str:
    """A name as it stands beside an axis."""
    from qoqdata.printable import printable

    words = printable(name.replace("_", " "))
    return words if len(words) <= most else f"{words[: most - 1]}…"


def count_axis(axes: Axes, most: int) -> None:
    """An axis of counts: from nothing to the largest, marked at whole numbers."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlim(0, max(most, 1))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def share_axis(axes: Axes) -> None:
    """An axis of shares, from none to all."""
    from matplotlib.ticker import PercentFormatter

    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))


def legend_above(figure: Figure, columns: int) -> None:
    """The legend over the axes, so that it covers nothing."""
    figure.legend(loc="outside upper left", ncols=columns, columnspacing=1.2)
