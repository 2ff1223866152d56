"""The statistics tables of a data set: computed, written, read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from qoqdata.atomic import file_digest, replacing
from qoqdata.concepts import ConceptTable
from qoqdata.contract import statistics
from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.manifest import Manifest
from qoqdata.contract.types import Table
from qoqdata.errors import DatasetError
from qoqdata.layout import Layout
from qoqdata.side_table import read_side_table
from qoqdata.statistics.basis import Basis, why_stale
from qoqdata.statistics.concept_counts import concept_counts
from qoqdata.statistics.tally import Tally, tables_of, tally


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
    #: What they were computed over; None where they do not say.
    basis: Basis | None = None

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
        return cls(domains, sources, labels, bins, digest, concepts, _stated(paths))


#: What is needed of a difficulty table to count with it.
RATES = {"id": pl.String, "success_rate": pl.Float64, "n_rollouts": pl.Int32}


def compute(
    records: pl.DataFrame,
    difficulty: pl.DataFrame | None,
    concepts: ConceptTable | None = None,
) -> dict[str, pl.DataFrame]:
    """All statistics tables by name, from a difficulty table (or none) and kept records
    (`Dataset.for_training`), with that of `concepts` where it is given.

    Raises DatasetError when no training record is left.
    """
    rates = pl.DataFrame(schema=RATES) if difficulty is None else difficulty.select(*RATES)
    counted = tally(records.join(rates, on="id", how="left", maintain_order="left"))
    return {
        **joined([counted], difficulty),
        **({} if concepts is None else {"concepts": concept_counts(records, concepts)}),
    }


def joined(parts: Sequence[Tally], difficulty: pl.DataFrame | None) -> dict[str, pl.DataFrame]:
    """The tables but that of concepts, from the tallies of all parts of a set and the difficulty
    that these were counted with. Raises DatasetError when no training record is left."""
    if not any(part.groups.height for part in parts):
        raise DatasetError("holds no training record to describe", where="statistics")
    policy, scorer = None, None
    if difficulty is not None and difficulty.height:
        policy, scorer = difficulty.select("policy", "scorer").row(0)
    return tables_of(parts, policy=policy, scorer=scorer)


def current(stats: Stats, manifest: Manifest, layout: Layout) -> Stats:
    """`stats` as they are; raises DatasetError, with the command that makes them anew, where they
    are stale or do not say what they were computed over."""
    if stats.basis is None:
        reason = "they do not say what they were computed over"
    elif (changed := why_stale(stats.basis, manifest, layout)) is None:
        return stats
    else:
        reason = changed
    where = str(layout.statistics("domains").parent)
    fix = f"qoqdata stats {layout.root}"
    raise DatasetError(f"the statistics are stale: {reason}", where=where, fix=fix)


def write_statistics(layout: Layout, tables: dict[str, pl.DataFrame], basis: Basis) -> Stats:
    """Write the tables under `stats/` in the contract's schema, and read them back.

    Each states its `basis`. Counts by concept that an earlier call left go where `tables` has none:
    they would be stale.
    """
    for table in statistics.TABLES:
        _write(layout, table, tables[table.name], basis)
    if statistics.CONCEPTS.name in tables:
        _write(layout, statistics.CONCEPTS, tables[statistics.CONCEPTS.name], basis)
    else:
        layout.statistics(statistics.CONCEPTS.name).unlink(missing_ok=True)
    return Stats.read(layout)


def _write(layout: Layout, table: Table, frame: pl.DataFrame, basis: Basis) -> None:
    arrow = frame.select(table.names).to_arrow().cast(arrow_schema(table))
    arrow = arrow.replace_schema_metadata({**arrow.schema.metadata, **basis.to_metadata()})
    with replacing(layout.statistics(table.name)) as draft:
        pq.write_table(arrow, draft, compression="zstd")


def _stated(paths: Sequence[Path]) -> Basis | None:
    """The basis that all tables state; None where they state none or not the same."""
    first, *others = (Basis.of_metadata(pq.read_schema(path).metadata or {}) for path in paths)
    return first if all(one == first for one in others) else None
