"""One figure of every domain with its interval, as an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qoqdata.atomic import replacing
from qoqdata.errors import UsageError
from qoqtrain.evaluate.results import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Image formats, by the end of the file's name.
FORMATS = ("png", "svg", "pdf")


def write_plot(path: Path, evaluation: Evaluation, metric: str = "macro_f1") -> None:
    """Draw `figure_of` into a file. Raises UsageError for another format or without matplotlib."""
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        fix = f"end the name with one of {', '.join(FORMATS)}"
        raise UsageError("is no name of an image", where=str(path), fix=fix)
    figure = figure_of(evaluation, metric)
    with replacing(path) as draft:
        figure.savefig(draft, format=kind, dpi=150)


def figure_of(evaluation: Evaluation, metric: str = "macro_f1") -> Figure:
    """A figure with one line a domain where the metric is defined, and the overall one at the top.

    Dots are values, bars 95 % intervals. Raises UsageError without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        fix = "install the extra: pip install 'qoqdata[view]'"
        raise UsageError("a plot needs matplotlib", fix=fix) from error
    rows = [("overall", evaluation.metrics[metric])]
    rows += [(domain.domain, domain.metrics[metric]) for domain in evaluation.domains]
    rows = [(name, found) for name, found in rows if found.value is not None][::-1]
    values = [found.value for _, found in rows if found.value is not None]
    figure = Figure(figsize=(6, 1 + 0.35 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, (_, found) in enumerate(rows):
        if found.low is not None and found.high is not None:
            axes.plot([found.low, found.high], [place, place], color="tab:blue")
    axes.plot(values, range(len(rows)), "o", color="tab:blue")
    axes.set_yticks(range(len(rows)), [name.replace("_", " ") for name, _ in rows])
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.5, len(rows) - 0.5)
    axes.set_xlabel(metric.replace("_", " "))
    axes.grid(axis="x", alpha=0.3)
    return figure
