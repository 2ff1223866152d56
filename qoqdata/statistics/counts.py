"""How rare each domain, source and label is, and how far a policy gets with it.

Pure functions over the light metadata of kept records (`Dataset.kept`).
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
    """Counts, share, rarity, label entropy and imbalance by `key` ("domain" or "source")."""
    groups = train.group_by(key).agg(
        n_records=pl.len().cast(pl.Int64),
        n_patients=pl.col("patient").drop_nulls().n_unique().cast(pl.Int64),
        n_images=pl.col("n_images").sum(),
    )
    rows = []
    for row in groups.sort(key).iter_rows(named=True):
        labels = label_counts(train.filter(pl.col(key) == row[key]))
        rows.append(
            {
                "key": row[key],
                "n_records": row["n_records"],
                # No patient named by the source means unknown, not none.
                "n_patients": row["n_patients"] or None,
                "n_images": row["n_images"],
                "share": row["n_records"] / train.height,
                "rarity": rarity(train.height, groups.height, row["n_records"]),
                "label_entropy": entropy(labels) if labels else None,
                "imbalance_ratio": max(labels) / min(labels) if labels else None,
            }
        )
    return pl.DataFrame(rows)


def label_counts(frame: pl.DataFrame) -> list[int]:
    """How often each label of each source and task is asserted, those never asserted left out."""
    exploded = frame.select("source", "task", pl.col("labels")).explode("labels").drop_nulls()
    return exploded.group_by("source", "task", "labels").len()["len"].sort().to_list()


def label_table(records: pl.DataFrame, success: pl.DataFrame) -> pl.DataFrame:
    """One row an option of each task, options never asserted included.

    `records` are of all splits; `success` has `id` and `success_rate` of those of training.
    """
    keys = ["source", "domain", "task"]
    options = records.select(*keys, label="options").explode("label").drop_nulls().unique()
    assertions = records.select(*keys, "split", "id", label="labels").explode("label").drop_nulls()
    counts = assertions.group_by(*keys, "label").agg(
        n_train=(pl.col("split") == "train").sum().cast(pl.Int64),
        n_validation=(pl.col("split") == "validation").sum().cast(pl.Int64),
        n_test=(pl.col("split") == "test").sum().cast(pl.Int64),
    )
    doubts = records.select(*keys, label="uncertain").explode("label").drop_nulls()
    uncertain = doubts.group_by(*keys, "label").agg(n_uncertain=pl.len().cast(pl.Int64))
    totals = (
        records.filter(pl.col("split") == "train")
        .group_by(*keys)
        .agg(n_task=pl.len().cast(pl.Int64))
    )
    rates = (
        assertions.join(success.select("id", "success_rate"), on="id")
        .group_by(*keys, "label")
        .agg(success_rate=pl.col("success_rate").sort().mean())
    )
    on = [*keys, "label"]
    return (
        options.join(counts, on=on, how="left")
        .join(uncertain, on=on, how="left")
        .join(totals, on=keys, how="left")
        .join(rates, on=on, how="left")
        .with_columns(pl.col("n_train", "n_validation", "n_test", "n_uncertain").fill_null(0))
        .with_columns(prevalence=pl.col("n_train") / pl.col("n_task"))
        .drop("n_task")
        .sort("source", "task", "label")
    )


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
