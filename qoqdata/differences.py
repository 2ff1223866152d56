"""Records of two data sets compared by id."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from qoqdata.dataset import Dataset

#: Kinds of change, in the order in which they are told; a record has one kind.
KINDS = ("added", "removed", "moved", "relabelled", "changed")

_LABELS = ("kind", "question", "options", "answer", "number", "labels", "uncertain", "absent")
_OTHER = (
    "patient",
    "study",
    "domain",
    "task",
    "item",
    "context",
    "regions",
    "reasoning",
    "provenance",
)


@dataclass(frozen=True)
class SetDifference:
    """`records`: id, source, kind and, for moved records, `before` and `after` (the splits).

    moved       in another split
    relabelled  another kind, question, options, answer or label
    changed     anything else: images (by the digest of their raw files and converter), boxes,
                texts, keys
    """

    records: pl.DataFrame
    schema_changed: bool

    def by_source(self) -> pl.DataFrame:
        """Counts by source, a column for each kind."""
        counts = [(pl.col("kind") == kind).sum().alias(kind) for kind in KINDS]
        return self.records.group_by("source").agg(counts).sort("source")

    def count(self, kind: str) -> int:
        """Records of one kind."""
        return self.records.filter(pl.col("kind") == kind).height


#: Between sets of two schema versions: ids and columns differ, so records do not compare.
NOT_COMPARED = SetDifference(
    pl.DataFrame(schema=dict.fromkeys(("id", "source", "kind", "before", "after"), pl.String)),
    schema_changed=True,
)


def difference(before: Dataset, after: Dataset) -> SetDifference:
    """What happened to each record between `before` and `after`.

    Records are matched by id, which is the same wherever the source was built.
    """
    old, new = _light(before), _light(after)
    both = old.join(new, on="id", how="full", suffix="_new", coalesce=True)
    kind = (
        pl.when(pl.col("source").is_null())
        .then(pl.lit("added"))
        .when(pl.col("source_new").is_null())
        .then(pl.lit("removed"))
        .when(pl.col("split") != pl.col("split_new"))
        .then(pl.lit("moved"))
        .when(pl.col("labelling") != pl.col("labelling_new"))
        .then(pl.lit("relabelled"))
        .when(pl.col("rest") != pl.col("rest_new"))
        .then(pl.lit("changed"))
    )
    records = (
        both.select(
            "id",
            source=pl.coalesce("source", "source_new"),
            kind=kind,
            before="split",
            after="split_new",
        )
        .drop_nulls("kind")
        .sort("source", "id")
    )
    return SetDifference(records, schema_changed=False)


def _light(dataset: Dataset) -> pl.DataFrame:
    """id, source, split, and two texts that differ when labelling or anything else does."""
    if not dataset.manifest.shards:
        columns = ("id", "source", "split", "labelling", "rest")
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return dataset.records.select(
        "id",
        "source",
        "split",
        labelling=pl.struct(_LABELS).struct.json_encode(),
        rest=pl.struct(_OTHER).struct.json_encode(),
    ).collect()
