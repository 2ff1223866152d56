"""Histograms of the success rates of questions, which merge over sources exactly."""

from __future__ import annotations

import math

import polars as pl

#: Bins over [0, 1]; a success rate of 1 falls into the last.
BINS = 64

#: One bin of questions of a source in a domain.
BIN = pl.Schema(
    {
        "source": pl.String,
        "domain": pl.String,
        "cluster": pl.Int32,
        "centre": pl.Float64,
        "count": pl.Int64,
        "variance": pl.Float64,
        "n_rollouts": pl.Int64,
    }
)


def bins(scored: pl.DataFrame) -> pl.DataFrame:
    """The bins of width 1/64 that hold questions, by source and domain: columns of BIN, with the
    mean of the members, their variance (ddof 0) and the rollouts behind them.

    `scored` has the columns source, domain, success_rate and n_rollouts; null rates are left out.
    """
    rate = pl.col("success_rate")
    return (
        scored.drop_nulls("success_rate")
        .with_columns(cluster=(rate * BINS).floor().clip(0, BINS - 1).cast(pl.Int32))
        .group_by("source", "domain", "cluster")
        .agg(
            centre=rate.sort().mean(),
            count=pl.len().cast(pl.Int64),
            variance=rate.sort().var(ddof=0).fill_null(0.0),
            n_rollouts=pl.col("n_rollouts").cast(pl.Int64).sum(),
        )
        .cast(BIN)
        .select(*BIN)
        .sort("source", "domain", "cluster")
    )


def merged_bins(parts: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Bins joined `by` columns: count, mean, variance and rollouts, as of all members at once.

    Sums are exactly rounded, so that they do not depend on the order of the parts.
    """
    rows = []
    for key, own in sorted(parts.group_by(*by)):
        count, n_rollouts = int(own["count"].sum()), int(own["n_rollouts"].sum())
        # About one of the centres, so that equal ones give exactly themselves.
        start = float(own["centre"].min())  # type: ignore[arg-type]
        members = list(own.select("count", "centre", "variance").iter_rows())
        centre = start + math.fsum(n * (c - start) for n, c, _ in members) / count
        variance = math.fsum(n * (v + (c - centre) ** 2) for n, c, v in members) / count
        rows.append((*key, centre, count, variance, n_rollouts))
    names = (*by, "centre", "count", "variance", "n_rollouts")
    return pl.DataFrame(rows, schema={name: BIN[name] for name in names}, orient="row")


def clusters(parts: pl.DataFrame, key: str) -> pl.DataFrame:
    """The histogram of success rates by `key` ("domain" or "source"), of which those of sources
    merge exactly into that of their domain; rows: level, key, cluster, centre, count, variance."""
    merged = merged_bins(parts, key, "cluster").drop("n_rollouts")
    return merged.select(pl.lit(key).alias("level"), pl.col(key).alias("key"), pl.exclude(key))
