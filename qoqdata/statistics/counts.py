"""How rare each domain, source and label is, and how far a policy gets with it.

Pure functions over the light metadata of kept records (`Dataset.for_training`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl


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
    return shares(group_counts(train, key), asserted_counts(train, key))


def group_counts(train: pl.DataFrame, key: str) -> pl.DataFrame:
    """`key`, and by it the numbers of records, distinct studies, distinct patients and images."""
    return (
        train.group_by(key)
        .agg(
            n_records=pl.len().cast(pl.Int64),
            n_studies=pl.col("study").n_unique().cast(pl.Int64),
            n_patients=pl.col("patient").drop_nulls().n_unique().cast(pl.Int64),
        )
        .join(distinct_images(train, key), on=key)
        .rename({key: "key"})
    )


def asserted_counts(train: pl.DataFrame, key: str) -> pl.DataFrame:
    """A row for each label of each source and task by `key`: `n_studies` (Int64) that assert it.

    Labels that are never asserted have none.
    """
    on = list(dict.fromkeys([key, "source", "task", "label"]))
    named = train.select(*on[:-1], "study", label="labels").explode("label").drop_nulls("label")
    counts = named.group_by(on).agg(n_studies=pl.col("study").n_unique().cast(pl.Int64))
    return counts.select("n_studies", key=key)


def shares(groups: pl.DataFrame, asserted: pl.DataFrame) -> pl.DataFrame:
    """The groups of `group_counts` with share, rarity, label entropy and imbalance, by key.

    Several rows of a key are of parts without a study or patient in common, and add up.
    """
    groups = groups.group_by("key").agg(pl.col("^n_.*$").sum()).sort("key")
    total = int(groups["n_studies"].sum())
    rows = []
    for row in groups.iter_rows(named=True):
        labels = asserted.filter(pl.col("key") == row["key"])["n_studies"].sort().to_list()
        rows.append(
            {
                "key": row["key"],
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
    schema = {"n_patients": pl.Int64, "label_entropy": pl.Float64, "imbalance_ratio": pl.Float64}
    return pl.DataFrame(rows, schema_overrides=schema)


def distinct_images(records: pl.DataFrame, key: str) -> pl.DataFrame:
    """`key` and `n_images`: of each study the most that one of its questions shows, summed.

    The light columns do not tell images apart. Where the questions of a study show the same images,
    or some of those that one of them shows, that is their number; else it is less.
    """
    shown = records.group_by(key, "study").agg(pl.col("n_images").max())
    return shown.group_by(key).agg(pl.col("n_images").sum())


#: What a label's row is of.
_TASK = ("source", "domain", "task")


def option_lists(records: pl.DataFrame) -> pl.DataFrame:
    """The different lists of options of each task, in a column `label`.

    The options of a `choice` are texts of one question; they are labels where a record names them.
    A task has few lists, and millions of questions that repeat them.
    """
    named = records.filter(pl.col("kind") != "choice").select(*_TASK, label="options")
    return named.drop_nulls("label").unique()


def label_table(records: pl.DataFrame, lists: pl.DataFrame) -> pl.DataFrame:
    """One row a label of each task: its options, never asserted ones too, and what else is named.

    `records` are of all splits, with the `success_rate` of those of training that have one; `lists`
    are their `option_lists`.
    """
    on = [*_TASK, "label"]
    assertions, doubts, denials = (
        _named(records, column) for column in ("labels", "uncertain", "absent")
    )
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
        assertions.drop_nulls("success_rate")
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
        .with_columns(prevalence=pl.struct("n_train_studies", "n_task").map_batches(_quotients))
        .drop("n_task")
        .sort("source", "task", "label", "domain")
    )


def _quotients(pairs: pl.Series) -> pl.Series:
    """Correctly rounded, which those of polars are not where all divisors are one number."""
    values = pairs.struct.unnest().iter_rows()
    return pl.Series([n / of if of else None for n, of in values], dtype=pl.Float64)


def _named(records: pl.DataFrame, column: str) -> pl.DataFrame:
    """A row for each label that a record lists in `column`, with whose it is."""
    return (
        records.select(*_TASK, "split", "study", "success_rate", label=column)
        .explode("label")
        .drop_nulls("label")
    )


def _questions(name: str, split: str | None = None) -> pl.Expr:
    here = pl.lit(True) if split is None else pl.col("split") == split
    return pl.col("study").filter(here).len().cast(pl.Int64).alias(name)


def _studies(name: str, split: str) -> pl.Expr:
    here = pl.col("split") == split
    return pl.col("study").filter(here).n_unique().cast(pl.Int64).alias(name)
