"""What curation decided about the records of a data set, read from its verdicts."""

from __future__ import annotations

import polars as pl

from qoqdata.contract.side_tables import VERDICTS
from qoqdata.layout import Layout
from qoqdata.side_table import read_side_table


def dropped(layout: Layout, *columns: str) -> pl.DataFrame:
    """`id` and `columns` (String) of every verdict that drops a record; empty before curation."""
    names = ["id", *columns]
    if not layout.verdicts.is_file():
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    fix = "run `qoqdata curate` again, or fetch the data set anew"
    verdicts = read_side_table(layout.verdicts, VERDICTS, [*names, "keep"], fix=fix)
    return verdicts.filter(~pl.col("keep")).select(names)


def without_dropped(frame: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """The rows of `frame` that no verdict drops, by `id` and in their order; a null id stays."""
    return frame.join(dropped(layout), on="id", how="anti", maintain_order="left")
