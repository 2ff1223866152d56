"""What gave no record, by reason, with examples."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from qoqdata.contract.side_tables import QUARANTINE
from qoqdata.dataset import Dataset
from qoqdata.side_table import read_side_table

#: Examples of a reason.
EXAMPLES = 5


@dataclass(frozen=True)
class QuarantineGroup:
    """Units of a source with one outcome, stage and reason; `examples` are (unit, message)."""

    source: str
    outcome: str
    stage: str
    reason: str
    count: int
    examples: list[tuple[str, str]]


def quarantine_groups(dataset: Dataset) -> list[QuarantineGroup]:
    """All groups, failures before what rules left out, the largest first.

    Empty where a release has no quarantine. Raises DatasetError for a table that is damaged.
    """
    layout = dataset.files.layout("quarantine")
    paths = [layout.quarantine(slug) for slug in dataset.manifest.sources]
    fix = "build its source again"
    tables = [read_side_table(path, QUARANTINE, fix=fix) for path in paths if path.is_file()]
    return grouped(pl.concat(tables)) if tables else []


def grouped(quarantine: pl.DataFrame) -> list[QuarantineGroup]:
    """The groups of a table of quarantine, as `quarantine_groups` has them."""
    examples = pl.struct("unit", "message").head(EXAMPLES)
    groups = (
        quarantine.group_by("source", "outcome", "stage", "reason", maintain_order=True)
        .agg(count=pl.len(), examples=examples)
        .sort("outcome", "count", "source", "reason", descending=[True, True, False, False])
    )
    return [
        QuarantineGroup(**row | {"examples": [(one["unit"], one["message"]) for one in examples]})
        for row in groups.to_dicts()
        for examples in [row["examples"]]
    ]
