"""What curation dropped, by rule, with the pairs that show why."""

from __future__ import annotations

import polars as pl

from qoqdata.contract.side_tables import VERDICTS
from qoqdata.contract.vocabulary import SPLITS
from qoqdata.dataset import Dataset
from qoqdata.remote.leaves import PLACE
from qoqdata.side_table import read_side_table
from qoqdata.verdicts import in_force

#: Columns of a pair: the dropped record, and that which the evidence names; its columns are null
#: where the evidence is none of the set's records.
PAIRS = ("rule", "reason", "id", "source", "split", "evidence", "other_source", "other_split")
_FIX = "run `qoqdata curate` again, or fetch the data set anew"


def verdicts_of(dataset: Dataset) -> pl.DataFrame | None:
    """The verdicts on records that the set holds, with their source and split, those of the record
    that is the evidence (`other_source`, `other_split`), and whether each is `in_force`; None before
    curation. Raises DatasetError for a table that is damaged."""
    path = dataset.files.layout("curation").verdicts
    if not path.is_file() or not dataset.manifest.shards:
        return None
    verdicts = read_side_table(path, VERDICTS, fix=_FIX)
    held = pl.DataFrame(dataset.files.leaves(["id", "source", "split"])).drop(PLACE)
    other = held.select(evidence="id", other_source="source", other_split="split")
    standing = in_force(verdicts).select("id", "rule", in_force=pl.lit(True)).unique()
    return (
        verdicts.join(held, on="id")
        .join(other, on="evidence", how="left")
        .join(standing, on=["id", "rule"], how="left")
        .with_columns(pl.col("in_force").fill_null(False))
        .sort("rule", "id")
    )


def rule_counts(verdicts: pl.DataFrame) -> pl.DataFrame:
    """A row a rule of `verdicts_of` that would drop records: how many it `dropped`, in each of
    SPLITS, and how many a person keeps all the same (`overruled`)."""
    standing = pl.col("in_force")
    return (
        verdicts.filter(~pl.col("keep"))
        .group_by("rule")
        .agg(
            standing.sum().cast(pl.Int64).alias("dropped"),
            *((standing & (pl.col("split") == s)).sum().cast(pl.Int64).alias(s) for s in SPLITS),
            (~standing).sum().cast(pl.Int64).alias("overruled"),
        )
        .sort("rule")
    )


def rule_pairs(verdicts: pl.DataFrame, most: int) -> pl.DataFrame:
    """At most `most` dropped records of each rule and reason, by id; columns of PAIRS."""
    dropped = verdicts.filter("in_force").sort("rule", "reason", "id")
    return dropped.group_by("rule", "reason", maintain_order=True).head(most).select(PAIRS)
