"""Counts by concept and domain, of each source and of all together."""

from __future__ import annotations

import polars as pl

from qoqdata.concepts import VIEWS, ConceptTable, with_concepts, without_concept
from qoqdata.contract.vocabulary import LABEL_STATES

_KEYS = ("concept", "label", "domain", "source", "split", "state")


def concept_counts(records: pl.DataFrame, table: ConceptTable) -> pl.DataFrame:
    """Questions, studies and patients by concept, domain, source, split and state.

    `records` are kept ones (`Dataset.for_training`). In the rows without a source all sources of
    the domain are together: a study that two of them share counts once. A label without a concept
    has rows of its own, by source; its concept is null.
    """
    views = with_concepts(records, table)
    parts = []
    for (column, view), state in zip(VIEWS.items(), LABEL_STATES, strict=True):
        named = views.with_columns(concept=view).explode("concept").drop_nulls("concept")
        for source in (pl.col("source"), pl.lit(None, pl.String)):
            parts.append(_counted(named.with_columns(source=source, label=_NONE), state))
        bare = without_concept(records, column, table).with_columns(concept=_NONE)
        parts.append(_counted(bare, state))
    codes = table.frame().select("concept", "system", "code").unique()
    return (
        pl.concat(parts)
        .join(codes, on="concept", how="left")
        .with_columns(table=pl.lit(table.name), digest=pl.lit(table.digest))
        .sort(_KEYS, nulls_last=True)
    )


_NONE = pl.lit(None, pl.String)


def _counted(named: pl.DataFrame, state: str) -> pl.DataFrame:
    n_patients = pl.col("patient").drop_nulls().n_unique().cast(pl.Int64)
    return (
        named.with_columns(state=pl.lit(state))
        .group_by(_KEYS)
        .agg(
            n_records=pl.col("id").n_unique().cast(pl.Int64),
            n_studies=pl.col("study").n_unique().cast(pl.Int64),
            # No patient named by the source means unknown, not none.
            n_patients=pl.when(n_patients > 0).then(n_patients),
        )
    )
