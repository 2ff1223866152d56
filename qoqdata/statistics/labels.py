"""Label counts by source and task."""

from __future__ import annotations

import polars as pl


def label_table(kept: pl.DataFrame, scored: pl.DataFrame) -> pl.DataFrame:
    """One row an option of each task, options never asserted included.

    `kept` is light metadata of all splits; `scored` the training records with their `mean`.
    """
    keys = ["source", "domain", "task"]
    options = kept.select(*keys, label="options").explode("label").drop_nulls().unique()
    asserted = kept.select(*keys, "split", "id", label="labels").explode("label").drop_nulls()
    counts = asserted.group_by(*keys, "label").agg(
        n_train=(pl.col("split") == "train").sum().cast(pl.Int64),
        n_validation=(pl.col("split") == "validation").sum().cast(pl.Int64),
        n_test=(pl.col("split") == "test").sum().cast(pl.Int64),
    )
    doubts = kept.select(*keys, label="uncertain").explode("label").drop_nulls()
    uncertain = doubts.group_by(*keys, "label").agg(n_uncertain=pl.len().cast(pl.Int64))
    totals = (
        kept.filter(pl.col("split") == "train").group_by(*keys).agg(n_task=pl.len().cast(pl.Int64))
    )
    means = (
        asserted.join(scored.select("id", "mean"), on="id")
        .group_by(*keys, "label")
        .agg(mu=pl.col("mean").sort().mean())
    )
    on = [*keys, "label"]
    return (
        options.join(counts, on=on, how="left")
        .join(uncertain, on=on, how="left")
        .join(totals, on=keys, how="left")
        .join(means, on=on, how="left")
        .with_columns(pl.col("n_train", "n_validation", "n_test", "n_uncertain").fill_null(0))
        .with_columns(prevalence=pl.col("n_train") / pl.col("n_task"))
        .drop("n_task")
        .sort("source", "task", "label")
    )
