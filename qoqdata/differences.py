"""Records of two data sets compared by id."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from qoqdata.dataset import Dataset
from qoqdata.remote.leaves import row_groups
from qoqdata.verdicts import dropped

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
    """What happened to each kept record between `before` and `after`.

    Records are matched by id, which is the same wherever the source was built. Sources are compared
    one after another; where metadata are the same file and as much is dropped, none has changed.
    """
    lost = [dropped(one.files.layout("curation"))["id"].unique().sort() for one in (before, after)]
    as_before = lost[0].equals(lost[1])
    parts = [NOT_COMPARED.records]
    for source in sorted({*before.manifest.meta, *after.manifest.meta}):
        entries = [one.manifest.meta.get(source) for one in (before, after)]
        digests = [None if entry is None else entry.sha256 for entry in entries]
        if not (as_before and digests[0] == digests[1]):
            parts.append(_changes(_light(before, source, lost[0]), _light(after, source, lost[1])))
    return SetDifference(pl.concat(parts), schema_changed=False)


def _changes(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
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
    records = both.select(
        "id",
        source=pl.coalesce("source", "source_new"),
        kind=kind,
        before="split",
        after="split_new",
    )
    return records.drop_nulls("kind").sort("source", "id")


def _light(dataset: Dataset, source: str, lost: pl.Series) -> pl.DataFrame:
    """id, source, split of its kept records, and two numbers that differ when labelling or anything
    else does: 64-bit hashes, of which two of one record agree by chance once in 10^19 changes."""
    columns = ("id", "source", "split", *_LABELS, *_OTHER)
    texts = ("id", "source", "split")
    schema = dict.fromkeys(texts, pl.String()) | dict.fromkeys(("labelling", "rest"), pl.UInt64())
    parts = [pl.DataFrame(schema=schema)]
    if source in {shard.source for shard in dataset.manifest.shards}:
        for read in row_groups(dataset.files, dataset.manifest, source):
            kept = pl.DataFrame(read(columns)).filter(~pl.col("id").is_in(lost.implode()))
            hashes = {
                name: pl.struct(facts).struct.json_encode().hash()
                for name, facts in (("labelling", _LABELS), ("rest", _OTHER))
            }
            parts.append(kept.select(*texts, **hashes))
    return pl.concat(parts)
