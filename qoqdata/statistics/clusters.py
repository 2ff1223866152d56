"""Question difficulty within a group, as a histogram that merges exactly."""

from __future__ import annotations

import polars as pl

#: Bins over [0, 1]; a mean of 1 falls into the last.
BINS = 64


def clusters(train: pl.DataFrame, key: str) -> pl.DataFrame:
    """The bins of width 1/64 that hold question means, by `key` ("domain" or "source").

    `train` has the columns `key` and `mean`. Rows: level, key, cluster, centre (mean of the
    members), count, variance (of the members, ddof 0).
    """
    return (
        train.drop_nulls("mean")
        .with_columns(
            cluster=(pl.col("mean") * BINS).floor().clip(0, BINS - 1).cast(pl.Int32),
        )
        .group_by(key, "cluster")
        .agg(
            centre=pl.col("mean").sort().mean(),
            count=pl.len().cast(pl.Int64),
            variance=pl.col("mean").sort().var(ddof=0).fill_null(0.0),
        )
        .sort(key, "cluster")
        .select(pl.lit(key).alias("level"), pl.col(key).alias("key"), pl.exclude(key))
    )
