"""The statistics tables of a data set: computed, written, read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import polars as pl
import pyarrow.parquet as pq

from qoqdata.atomic import file_digest, replacing
from qoqdata.concepts import ConceptTable
from qoqdata.contract import statistics
from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.types import Table
from qoqdata.errors import DatasetError
from qoqdata.layout import Layout
from qoqdata.side_table import read_side_table
from qoqdata.statistics.concept_counts import concept_counts
from qoqdata.statistics.counts import clusters, counts_by, label_table


@dataclass(frozen=True)
class Stats:
    """Rarity and success rates, as in `qoqdata.contract.statistics`; `digest` names these numbers.

    A success rate is the mean reward of a policy: 0 for hard, 1 for easy.
    """

    domains: pl.DataFrame
    sources: pl.DataFrame
    labels: pl.DataFrame
    clusters: pl.DataFrame
    digest: str
    #: Counts by concept, where they were asked for; no number of DRPO depends on them.
    concepts: pl.DataFrame | None = None

    @classmethod
    def read(cls, layout: Layout) -> Stats:
        """The tables on disk; raises DatasetError when there are none, when they are damaged or of
        an earlier version, which did not count studies."""
        paths = [layout.statistics(table.name) for table in statistics.TABLES]
        fix = f"qoqdata stats {layout.root}"
        if lacking := [path for path in paths if not path.is_file()]:
            raise DatasetError("there are no statistics yet", where=str(lacking[0]), fix=fix)
        domains, sources, labels, bins = (
            read_side_table(path, table, fix=fix)
            for table, path in zip(statistics.TABLES, paths, strict=True)
        )
        digest = hashlib.sha256("".join(map(file_digest, paths)).encode()).hexdigest()
        path = layout.statistics(statistics.CONCEPTS.name)
        concepts = None
        if path.is_file():
            concepts = read_side_table(path, statistics.CONCEPTS, fix=fix)
        return cls(domains, sources, labels, bins, digest, concepts)


def compute(
    records: pl.DataFrame,
    difficulty: pl.DataFrame | None,
    concepts: ConceptTable | None = None,
) -> dict[str, pl.DataFrame]:
    """All statistics tables by name, from a difficulty table (or none) and kept records
    (`Dataset.for_training`), with that of `concepts` where it is given.

    Raises DatasetError when no training record is left.
    """
    train = records.filter(pl.col("split") == "train")
    if train.height == 0:
        raise DatasetError("holds no training record to describe", where="statistics")
    empty = pl.DataFrame(
        schema={"id": pl.String, "success_rate": pl.Float64, "n_rollouts": pl.Int32}
        | {"policy": pl.String, "scorer": pl.String}
    )
    rates = empty if difficulty is None else difficulty.select(empty.columns)
    success = train.join(rates, on="id", how="left", maintain_order="left")
    domain_of = _main_domains(train)
    return {
        "domains": _with_success(train, success, "domain"),
        "sources": _with_success(train, success, "source").join(domain_of, on="key").sort("key"),
        "labels": label_table(records, success.drop_nulls("success_rate")),
        "clusters": pl.concat([clusters(success, "domain"), clusters(success, "source")]),
        **({} if concepts is None else {"concepts": concept_counts(records, concepts)}),
    }


def _main_domains(train: pl.DataFrame) -> pl.DataFrame:
    """`key` (source) and `domain`: where a source spans several, that of most of its records."""
    counts = train.group_by(key="source", domain="domain").len()
    order = counts.sort("key", "len", "domain", descending=[False, True, False])
    return order.unique("key", keep="first", maintain_order=True).select("key", "domain")


def write_statistics(layout: Layout, tables: dict[str, pl.DataFrame]) -> Stats:
    """Write the tables under `stats/` in the contract's schema, and read them back.

    Counts by concept that an earlier call left go where `tables` has none: they would be stale.
    """
    for table in statistics.TABLES:
        _write(layout, table, tables[table.name])
    if statistics.CONCEPTS.name in tables:
        _write(layout, statistics.CONCEPTS, tables[statistics.CONCEPTS.name])
    else:
        layout.statistics(statistics.CONCEPTS.name).unlink(missing_ok=True)
    return Stats.read(layout)


def _with_success(train: pl.DataFrame, success: pl.DataFrame, key: str) -> pl.DataFrame:
    rate = pl.col("success_rate")
    by_key = (
        success.drop_nulls("success_rate")
        .group_by(key)
        .agg(
            success_rate=rate.sort().mean(),
            success_rate_variance=rate.sort().var(ddof=0).fill_null(0.0),
            n_questions=pl.len().cast(pl.Int64),
            n_rollouts=pl.col("n_rollouts").cast(pl.Int64).sum(),
            policy=pl.col("policy").first(),
            scorer=pl.col("scorer").first(),
        )
    )
    return (
        counts_by(train, key)
        .join(by_key.rename({key: "key"}), on="key", how="left")
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
