"""What share of training each domain is to have, as whoever trains says it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset

#: Packages that train on data sets register a function of a data set here; qoqdata names none.
GROUP = "qoqdata.attention"
#: Shares of a domain, 0 to 1: its `target`, what the stream draws (`sampled`), and the `product` of
#: that with the mean `weight` of its questions, as a share of all.
ATTENTION: dict[str, Any] = {
    "domain": pl.String,
    "target": pl.Float64,
    "sampled": pl.Float64,
    "weight": pl.Float64,
    "product": pl.Float64,
}


def read_attention(dataset: Dataset) -> pl.DataFrame | None:
    """Columns of ATTENTION by domain, of the first package that trains; None without one.

    Raises UsageError and DatasetError for a data set that cannot be trained on, or whose statistics
    are missing or stale.
    """
    for entry in sorted(entry_points(group=GROUP), key=lambda one: one.name):
        provider: Callable[[Dataset], Sequence[object]] = entry.load()
        rows = [[getattr(row, name) for name in ATTENTION] for row in provider(dataset)]
        return pl.DataFrame(rows, schema=ATTENTION, orient="row").sort("domain")
    return None
