"""Whether side tables are of the records that a data set keeps now.

Statistics and audits are written by commands of their own, and nothing writes them anew when a
source is added or a record dropped. Numbers of other records are worse than none.
"""

from __future__ import annotations

import polars as pl

from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, UsageError
from qoqdata.roles import for_training


def stale_statistics(dataset: Dataset, kept: pl.DataFrame) -> str | None:
    """Why there are no statistics of the `kept` records; None where there are."""
    if not dataset.files.layout("stats").statistics("domains").is_file():
        return "There are no statistics yet: run `qoqdata stats`."
    try:
        for_training(kept.select("source"), dataset.manifest, where=dataset.where)
    except UsageError:
        return "The set holds evaluation sources only, which statistics do not count."
    try:
        _ = dataset.stats
    except DatasetError as error:
        return f"{error.what[0].upper()}{error.what[1:]}: run `qoqdata stats`."
    return None


def stale_answerers(answerers: pl.DataFrame, kept: pl.DataFrame) -> bool:
    """Whether an audit asked questions that the `kept` records do not hold, or missed a task that
    it asked in another split."""
    keys = ["source", "task", "split"]
    now = kept.group_by(keys).len("now")
    both = answerers.join(now, on=keys, how="left")
    asked = answerers.select("source", "task").unique()
    missed = now.join(asked, on=["source", "task"]).join(answerers, on=keys, how="anti")
    return bool(both["now"].is_null().any()) or bool(
        missed.height or (both["questions"] > both["now"]).any()
    )
