"""How rare each domain and source is, over kept training records."""

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
