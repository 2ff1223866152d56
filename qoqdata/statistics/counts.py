"""How rare each domain, source and label is, and how far a policy gets with it.

Pure functions over the light metadata of kept records (`Dataset.for_training`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

#: Bins over [0, 1]; a success rate of 1 falls into the last.
BINS = 64


def rarity(n_total: int, n_groups: int, n: int) -> float:
    """sqrt(N / (D * n)): 1 for an even share, above 1 for a rare group.

    The factor by which DRPO (QoQ-Med, arXiv 2506.00711) scales a domain, made free of units.
    """
    return math.sqrt(n_total / (n_groups * n))


def entropy(counts: Sequence[int]) -> float:
    """Shannon entropy in bits of a distribution given by counts."""
    total = sum(counts)
    return -sum(c / total * math.log2(c / total) for c in counts if c) + 0.0


def counts_by(train: pl.DataFrame, key: str) -> pl.DataFrame:
    """Counts, share, rarity, label entropy and imbalance by `key` ("domain" or "source").

    A study with questions of two groups counts once in each.
    """
    groups = (
        train.group_by(key)
        .agg(
            n_records=pl.len().cast(pl.Int64),
            n_studies=pl.col("study").n_unique().cast(pl.Int64),
            n_patients=pl.col("patient").drop_nulls().n_unique().cast(pl.Int64),
        )
        .join(distinct_images(train, key), on=key)
    )
    total = int(groups["n_studies"].sum())
    rows = []
    for row in groups.sort(key).iter_rows(named=True):
        labels = label_counts(train.filter(pl.col(key) == row[key]))
        rows.append(
            {
                "key": row[key],
                "n_records": row["n_records"],
                "n_studies": row["n_studies"],
                # No patient named by the source means unknown, not none.
                "n_patients": row["n_patients"] or None,
                "n_images": row["n_images"],
                "share": row["n_studies"] / total,
                "rarity": rarity(total, groups.height, row["n_studies"]),
                "label_entropy": entropy(labels) if labels else None,
                "imbalance_ratio": max(labels) / min(labels) if labels else None,
            }
        )
    return pl.DataFrame(rows)


def distinct_images(records: pl.DataFrame, key: str) -> pl.DataFrame:
    """`key` and `n_images`: of each study the most that one of its questions shows, summed.

    The light columns do not tell images apart. Where the questions of a study show the same images,
    or some of those that one of them shows, that is their number; else it is less.
    """
    shown = records.group_by(key, "study").agg(pl.col("n_images").max())
    return shown.group_by(key).agg(pl.col("n_images").sum())


def label_counts(frame: pl.DataFrame) -> list[int]:
    """How many studies assert each label of each source and task, those never asserted left out."""
    named = frame.select("source", "task", "study", label="labels").explode("label").drop_nulls()
    counts = named.unique().group_by("source", "task", "label").len()
    return counts["len"].sort().to_list()


#: What a label's row is of.
_TASK = ("source", "domain", "task")


def label_table(records: pl.DataFrame, success: pl.DataFrame) -> pl.DataFrame:
    """One row a label of each task: its options, never asserted ones too, and what else is named.

    The options of a `choice` are texts of one question; they are labels where a record names them.
    `records` are of all splits; `success` has `id` and `success_rate` of those of training.
    """
    on = [*_TASK, "label"]
    assertions, doubts, denials = (
        _named(records, column) for column in ("labels", "uncertain", "absent")
    )
    # A task has few lists of options, and millions of questions that repeat them.
    lists = records.filter(pl.col("kind") != "choice").select(*_TASK, label="options").unique()
    options = lists.explode("label").drop_nulls("label")
    labels = pl.concat([part.select(on) for part in (options, assertions, doubts, denials)])
    counts = assertions.group_by(on).agg(
        _questions("n_train", "train"),
        _questions("n_validation", "validation"),
        _questions("n_test", "test"),
        _studies("n_train_studies", "train"),
        _studies("n_validation_studies", "validation"),
        _studies("n_test_studies", "test"),
    )
    totals = records.group_by(*_TASK).agg(_studies("n_task", "train"))
    rates = (
        assertions.join(success.select("id", "success_rate"), on="id")
        .group_by(on)
        .agg(success_rate=pl.col("success_rate").sort().mean())
    )
    return (
        labels.unique()
        .join(counts, on=on, how="left")
        .join(doubts.group_by(on).agg(_questions("n_uncertain")), on=on, how="left")
        .join(denials.group_by(on).agg(_questions("n_absent")), on=on, how="left")
        .with_columns(pl.col("^n_.*$").fill_null(0))
        .join(totals, on=list(_TASK), how="left")
        .join(rates, on=on, how="left")
        .with_columns(
            prevalence=pl.when(pl.col("n_task") > 0).then(
                pl.col("n_train_studies") / pl.col("n_task")
            )
        )
        .drop("n_task")
        .sort("source", "task", "label", "domain")
    )


def _named(records: pl.DataFrame, column: str) -> pl.DataFrame:
    """A row for each label that a record lists in `column`, with whose it is."""
    return (
        records.select(*_TASK, "split", "study", "id", label=column)
        .explode("label")
        .drop_nulls("label")
    )


def _questions(name: str, split: str | None = None) -> pl.Expr:
    here = pl.lit(True) if split is None else pl.col("split") == split
    return pl.col("id").filter(here).len().cast(pl.Int64).alias(name)


def _studies(name: str, split: str) -> pl.Expr:
    here = pl.col("split") == split
    return pl.col("study").filter(here).n_unique().cast(pl.Int64).alias(name)


def clusters(success: pl.DataFrame, key: str) -> pl.DataFrame:
    """The bins of width 1/64 that hold questions, by `key` ("domain" or "source"): a histogram of
    success rates, of which those of sources merge exactly into that of their domain.

    `success` has the columns `key` and `success_rate`. Rows: level, key, cluster, centre (mean of
    the members), count, variance (of the members, ddof 0).
    """
    rate = pl.col("success_rate")
    return (
        success.drop_nulls("success_rate")
        .with_columns(cluster=(rate * BINS).floor().clip(0, BINS - 1).cast(pl.Int32))
        .group_by(key, "cluster")
        .agg(
            centre=rate.sort().mean(),
            count=pl.len().cast(pl.Int64),
            variance=rate.sort().var(ddof=0).fill_null(0.0),
        )
        .sort(key, "cluster")
        .select(pl.lit(key).alias("level"), pl.col(key).alias("key"), pl.exclude(key))
    )
