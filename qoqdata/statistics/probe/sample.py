"""Which questions are asked of those that learn from the others: the same in every run."""

from __future__ import annotations

import hashlib

import polars as pl

#: Of questions that share the classes of their task.
CLOSED = pl.col("options").is_not_null() & (pl.col("kind") != "choice")


def closed_questions(records: pl.DataFrame, limit: int) -> pl.DataFrame:
    """The questions with options, by source and task, with the `group` that a fold keeps together:
    the patient, or the study where no patient is known.

    At most `limit` of a source and task, those with the lowest hashes of their ids. A choice among
    options of its own is left out: no other question has the same classes.
    """
    return sampled(records.filter(CLOSED), limit)


def sampled(records: pl.DataFrame, limit: int) -> pl.DataFrame:
    """At most `limit` questions of a source and task, as `closed_questions`, whatever they ask."""
    lots = [hashlib.sha256(name.encode()).hexdigest() for name in records["id"]]
    return (
        records.with_columns(lot=pl.Series(lots, dtype=pl.String))
        .with_columns(place=pl.col("lot").rank("ordinal").over("source", "task"))
        .filter(pl.col("place") <= limit)
        .sort("source", "task", "id")
        .select(
            *("id", "source", "task", "kind", "split", "options", "answer"),
            group=pl.coalesce("patient", "study"),
        )
    )
