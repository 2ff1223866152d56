"""Sources of one namespace name the same patients and studies, so that their splits must agree.

A study has one patient, and it and its patient are in one split. Units of two sources that say
otherwise are refused in both: which of them is right, nobody here can know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.errors import ContradictedKey, UnfinishedBuild
from qoqdata.pipeline.place import Place
from qoqdata.pipeline.source_summary import SourceSummary
from qoqdata.records.identity import Salt, keyed
from qoqdata.sources.protocol import Refused

_FIX = "correct the tables, or have all of these sources follow one list (splits.patients of cards)"
_NAMES = ("study", "patient")
#: What a source says of its units: both names as they are, or both as keyed hashes.
_SAID = {name: pl.String() for name in (*_NAMES, "split", "source")}


def said_before(summaries: Iterable[SourceSummary], place: Place) -> pl.DataFrame:
    """Studies, patients and splits of sources that were built before, by keyed hashes.

    Raises UnfinishedBuild where the metadata of one cannot be read.
    """
    tables = [pl.DataFrame(schema=_SAID)]
    for summary in summaries:
        if summary.metadata is None:
            continue
        path = place.layout.metadata(summary.slug)
        place.bring([path])
        try:
            found = pl.DataFrame(pq.read_table(path, columns=[*_NAMES, "split"]))
        except (pa.ArrowInvalid, FileNotFoundError) as error:
            fix = f"build {summary.slug} again"
            raise UnfinishedBuild("cannot be read", where=str(path), fix=fix) from error
        tables.append(_said(found.unique(), summary.slug))
    return pl.concat(tables)


def contradicted(
    plans: Mapping[str, pl.DataFrame], before: pl.DataFrame, namespace: str, salt: Salt
) -> dict[str, list[Refused]]:
    """By source, the units of its plan that other sources of the namespace contradict.

    `before` is as of `said_before`, of sources that are not among `plans`.
    """
    said = {slug: _said(plan.with_columns(study="key"), slug) for slug, plan in plans.items()}
    if before.height:
        said = {slug: _hashed(one, namespace, salt) for slug, one in said.items()}
    everything = pl.concat([*said.values(), before])
    faults = [_faults(everything, name) for name in _NAMES]
    return {slug: _refusals(plan, said[slug], faults) for slug, plan in plans.items()}


def _said(table: pl.DataFrame, slug: str) -> pl.DataFrame:
    return table.select(*_NAMES, "split", source=pl.lit(slug)).cast(_SAID)  # type: ignore[arg-type]


def _hashed(said: pl.DataFrame, namespace: str, salt: Salt) -> pl.DataFrame:
    def column(kind: str) -> pl.Series:
        names = said[kind].to_list()
        hashes = [name and keyed(kind, namespace, name, salt=salt) for name in names]
        return pl.Series(kind, hashes, pl.String)

    return said.with_columns(map(column, _NAMES))


def _faults(said: pl.DataFrame, name: str) -> pl.DataFrame:
    """The studies, or patients, that sources contradict each other about: their `sources`, and in
    words what is wrong."""
    several = said.drop_nulls(name).filter(pl.col("source").n_unique().over(name) > 1)
    found = several.group_by(name).agg(
        sources=pl.col("source").unique().sort(),
        splits=pl.col("split").unique().sort(),
        patients=pl.col("patient").drop_nulls().n_unique(),
    )
    splits = pl.format("is in {}", pl.col("splits").list.join(" and "))
    wrong = pl.when(pl.col("patients") > 1).then(pl.lit("has two patients")).otherwise(splits)
    torn = (pl.col("splits").list.len() > 1) | (pl.col("patients") > 1)
    return found.filter(torn).select(name, "sources", wrong=wrong)


def _refusals(
    plan: pl.DataFrame, said: pl.DataFrame, faults: Iterable[pl.DataFrame]
) -> list[Refused]:
    """The units that a fault is about, each with the first."""
    units = plan.select("key", "files", own="patient").hstack(said)
    refused: dict[str, Refused] = {}
    for fault in faults:
        name = fault.columns[0]
        found = units.join(fault, on=name, maintain_order="left")
        columns = ("key", "files", "own", "source", "sources", "wrong")
        for key, files, patient, source, sources, wrong in found.select(columns).iter_rows():
            called = f"its patient {patient!r}" if name == "patient" else "the study"
            others = ", ".join(one for one in sources if one != source)
            what = f"{called}, which {others} has too, {wrong}"
            error = ContradictedKey(what, where=key, fix=_FIX)
            refused.setdefault(key, Refused(key, error, tuple(files)))
    return list(refused.values())
