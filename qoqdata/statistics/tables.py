"""The statistics tables of a data set: computed, written, read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import polars as pl
import pyarrow.parquet as pq

from qoqdata.atomic import file_digest, replacing
from qoqdata.contract import statistics
from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.types import Table
from qoqdata.errors import DatasetError
from qoqdata.layout import Layout
from qoqdata.statistics.clusters import clusters
from qoqdata.statistics.labels import label_table
from qoqdata.statistics.rarity import counts_by


@dataclass(frozen=True)
class Stats:
    """Rarity and difficulty, as in `qoqdata.contract.statistics`; `digest` names these numbers."""

    domains: pl.DataFrame
    sources: pl.DataFrame
    labels: pl.DataFrame
    clusters: pl.DataFrame
    digest: str

    @classmethod
    def read(cls, layout: Layout) -> Stats:
        """The tables on disk; raises DatasetError when there are none."""
        paths = [layout.statistics(table.name) for table in statistics.TABLES]
        if lacking := [path for path in paths if not path.is_file()]:
            fix = f"qoqdata stats {layout.root}"
            raise DatasetError("there are no statistics yet", where=str(lacking[0]), fix=fix)
        digest = hashlib.sha256("".join(map(file_digest, paths)).encode()).hexdigest()
        domains, sources, labels, bins = (pl.read_parquet(path, glob=False) for path in paths)
        return cls(domains, sources, labels, bins, digest)


def compute(kept: pl.DataFrame, difficulty: pl.DataFrame | None) -> dict[str, pl.DataFrame]:
    """All statistics tables by name, from kept records and a difficulty table (or none).

    Raises DatasetError when no training record is left.
    """
    train = kept.filter(pl.col("split") == "train")
    if train.height == 0:
        raise DatasetError("holds no training record to describe", where="statistics")
    empty = pl.DataFrame(
        schema={"id": pl.String, "mean": pl.Float64, "n_rollouts": pl.Int32}
        | {"policy": pl.String, "scorer": pl.String}
    )
    known = empty if difficulty is None else difficulty.select(empty.columns)
    scored = train.join(known, on="id", how="left", maintain_order="left")
    domain_of = train.select(key="source", domain="domain").unique()
    return {
        "domains": _with_difficulty(train, scored, "domain"),
        "sources": _with_difficulty(train, scored, "source").join(domain_of, on="key").sort("key"),
        "labels": label_table(kept, scored.drop_nulls("mean")),
        "clusters": pl.concat([clusters(scored, "domain"), clusters(scored, "source")]),
    }


def write_statistics(layout: Layout, tables: dict[str, pl.DataFrame]) -> Stats:
    """Write the tables under `stats/` in the contract's schema, and read them back."""
    for table in statistics.TABLES:
        _write(layout, table, tables[table.name])
    return Stats.read(layout)


def _with_difficulty(train: pl.DataFrame, scored: pl.DataFrame, key: str) -> pl.DataFrame:
    known = scored.drop_nulls("mean")
    difficulty = known.group_by(key).agg(
        mu=pl.col("mean").sort().mean(),
        mu_variance=pl.col("mean").sort().var(ddof=0).fill_null(0.0),
        n_questions=pl.len().cast(pl.Int64),
        n_rollouts=pl.col("n_rollouts").cast(pl.Int64).sum(),
        policy=pl.col("policy").first(),
        scorer=pl.col("scorer").first(),
    )
    return (
        counts_by(train, key)
        .join(difficulty.rename({key: "key"}), on="key", how="left")
        .with_columns(
            pl.col("n_questions").fill_null(0),
            n_rollouts=pl.when(pl.col("n_rollouts") > 0).then("n_rollouts"),
        )
        .sort("key")
    )


def _write(layout: Layout, table: Table, frame: pl.DataFrame) -> None:
    arrow = frame.select(table.names).to_arrow().cast(arrow_schema(table))
    with replacing(layout.statistics(table.name)) as draft:
        pq.write_table(arrow, draft, compression="zstd")
