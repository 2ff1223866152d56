"""Whether side tables are of the records that a data set keeps now.

Statistics and audits are written by commands of their own, and nothing writes them anew when a
source is added or a record dropped. Numbers of other records are worse than none.
"""

from __future__ import annotations

import polars as pl

from qoqdata.dataset import Dataset
from qoqdata.errors import UsageError
from qoqdata.roles import for_training
from qoqdata.statistics.counts import counts_by

_COUNTED = ("key", "n_records", "n_studies")


def stale_statistics(dataset: Dataset, kept: pl.DataFrame) -> str | None:
    """Why the statistics tables say nothing of the `kept` records: there are none, or they count
    others; None for those that fit. Raises DatasetError for damaged ones."""
    if not dataset.files.layout("stats").statistics("domains").is_file():
        return "There are no statistics yet: run `qoqdata stats`."
    try:
        train = for_training(kept, dataset.manifest, where=dataset.where)[0]
    except UsageError:
        return "The set holds evaluation sources only, which statistics do not count."
    train = train.filter(pl.col("split") == "train")
    if train.height:
        now = counts_by(train, "domain").select(_COUNTED).sort("key")
        if now.equals(dataset.stats.domains.select(_COUNTED).sort("key")):
            return None
    return "The statistics count other records than the set keeps now: run `qoqdata stats`."


def stale_answerers(answerers: pl.DataFrame, kept: pl.DataFrame) -> bool:
    """Whether an audit asked questions that the `kept` records do not hold, or missed a task that
    it asked in another split."""
    keys = ["source", "task", "split"]
    now = kept.filter(pl.col("options").is_not_null()).group_by(keys).len("now")
    both = answerers.join(now, on=keys, how="left")
    asked = answerers.select("source", "task").unique()
    missed = now.join(asked, on=["source", "task"]).join(answerers, on=keys, how="anti")
    return bool(both["now"].is_null().any()) or bool(
        missed.height or (both["questions"] > both["now"]).any()
    )
