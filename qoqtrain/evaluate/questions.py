"""The questions of a split: what is asked, of whom, and what is right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from qoqdata.contract.vocabulary import TaskKind
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError

_COLUMNS = (
    *("id", "source", "domain", "task", "patient", "options", "answer", "age", "sex"),
    *("regions", "image_info"),
)


@dataclass(frozen=True)
class Question:
    """One record to be evaluated: its row without images, and the kind of its task."""

    row: Mapping[str, Any]
    kind: TaskKind


def questions_of(dataset: Dataset, split: str) -> list[Question]:
    """The questions of a split by id, without what training leaves out too.

    Records that curation dropped and those that show nothing are not asked. The kind of a task is
    what the card says. Raises DatasetError for a split without records, and for a record whose
    task or options its card does not know.
    """
    kept = dataset.kept().filter(pl.col("split") == split).select("id")
    if not kept.height:
        raise DatasetError(f"has no record to ask in the split {split}", where=str(dataset.root))
    scan = dataset.records.filter(pl.col("split") == split).select(_COLUMNS)
    table = scan.join(kept.lazy(), on="id", how="semi").sort("id").collect()
    return [Question(row, _kind(dataset, row)) for row in table.iter_rows(named=True)]


def _kind(dataset: Dataset, row: Mapping[str, Any]) -> TaskKind:
    kind = dataset.task_kinds.get((row["source"], row["task"]))
    if kind is None:
        where = f"record {row['id']}"
        raise DatasetError(f"the card knows no task {row['task']!r}", where=where)
    if kind in ("single", "multi") and row["options"] is None:
        raise DatasetError(f"a {kind} question without options", where=f"record {row['id']}")
    return kind
