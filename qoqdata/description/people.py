"""Age and sex of those whom the studies of a data set are of."""

from __future__ import annotations

import polars as pl

from qoqdata.contract.vocabulary import AGE_CAP, SEXES
from qoqdata.dataset import Dataset

#: Years of a band of ages; the last one is open, as ages are capped.
BAND = 10
#: Columns of what `sexes` counts: those of SEXES, what nobody stated, and what records of one study
#: state differently.
STATED = (*SEXES, "unstated", "conflicting")


def study_people(dataset: Dataset, kept: pl.DataFrame) -> pl.DataFrame:
    """`domain`, `study`, `age` (years, capped at AGE_CAP), `sex` and `age_conflicts` of each study
    of each domain that the `kept` records are of.

    A study's age is the one that its records state; null where none does, or where they differ,
    which `age_conflicts` tells. `sex` is one of STATED. Raises DatasetError when metadata cannot be
    read.
    """
    stated = pl.DataFrame(dataset.files.leaves(["id", "age", "sex"])).select("id", "age", "sex")
    ages, sexes = pl.col("age").drop_nulls(), pl.col("sex").drop_nulls()
    return (
        kept.select("id", "domain", "study")
        .join(stated, on="id")
        .group_by("domain", "study")
        .agg(
            age=pl.when(ages.n_unique() == 1).then(ages.min()),
            age_conflicts=ages.n_unique() > 1,
            sex=pl.when(sexes.n_unique() == 1)
            .then(sexes.min())
            .when(sexes.n_unique() > 1)
            .then(pl.lit("conflicting"))
            .otherwise(pl.lit("unstated")),
        )
        .sort("domain", "study")
    )


def people_by_domain(studies: pl.DataFrame) -> pl.DataFrame:
    """A row a domain of `study_people`, and one of all as domain null: `studies`, how many state an
    age (`aged`), its `median`, `low` and `high` quartile in years, and a column for each of STATED.
    """
    everything = studies.with_columns(domain=pl.lit(None, pl.String))
    age = pl.col("age")
    return (
        pl.concat([studies, everything])
        .group_by("domain")
        .agg(
            pl.len().cast(pl.Int64).alias("studies"),
            age.count().cast(pl.Int64).alias("aged"),
            age.median().alias("median"),
            age.quantile(0.25, "linear").alias("low"),
            age.quantile(0.75, "linear").alias("high"),
            *((pl.col("sex") == name).sum().cast(pl.Int64).alias(name) for name in STATED),
        )
        .sort("domain", nulls_last=True)
    )


def people_by_age(studies: pl.DataFrame) -> pl.DataFrame:
    """Studies by band of ages and sex: `ages` ("0-9" to "90+", then "unstated"), a column for each
    of STATED. A study of two domains counts once; bands without a study stand too."""
    once = studies.unique("study", keep="first", maintain_order=True)
    names = [f"{first}-{first + BAND - 1}" for first in range(0, AGE_CAP, BAND)]
    bands = pl.DataFrame({"ages": [*names, f"{AGE_CAP}+", "unstated"]}).with_row_index("band")
    counts = (
        once.with_columns(band=(pl.col("age") // BAND).fill_null(bands.height - 1).cast(pl.UInt32))
        .group_by("band")
        .agg((pl.col("sex") == name).sum().cast(pl.Int64).alias(name) for name in STATED)
    )
    return (
        bands.join(counts, on="band", how="left")
        .sort("band")
        .select("ages", *(pl.col(name).fill_null(0) for name in STATED))
    )
