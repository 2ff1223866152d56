"""Proof that nothing held out is trained on: by patient, study, and what images and signals show.

It is about the records as they would leave, that is without those that verdicts drop, and counts
again from their keys and likenesses; it believes neither the build nor the last curation pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from qoqdata.contract.vocabulary import SPLITS
from qoqdata.curation.leakage import find_leaks
from qoqdata.curation.likeness_receipt import crowded_by_source
from qoqdata.curation.recipe import Likeness
from qoqdata.curation.sameness import Sameness, sameness
from qoqdata.dataset import Dataset
from qoqdata.progress import ProgressCallback, silent
from qoqdata.roles import evaluation_sources
from qoqdata.verdicts import dropped, without_dropped

_PAIRS = (("train", "validation"), ("train", "test"), ("validation", "test"))
_KEYS = {"patient": "patients", "study": "studies"}
#: Columns of what two splits share, by kind of key.
SHARED = {
    "key": pl.String,
    "split": pl.String,
    "other_split": pl.String,
    "distinct": pl.Int64,
    "other_distinct": pl.Int64,
    "shared": pl.Int64,
    "example": pl.String,
}


@dataclass(frozen=True)
class Proof:
    """What two splits share. `records` by split and source; `shared` has a row a kind of key and
    pair of splits (SHARED); `dropped` counts verdicts by rule and split, `blocked` the units that a
    benchmark's list kept out of train, by source and benchmark; `without_patient` the records that
    no patient is named of, by source. `digest` is the data set's, `radius` and `detail` say when
    images counted as the same, and `crowded` counts by source those that were not compared with all
    that look like them."""

    digest: str
    records: pl.DataFrame
    shared: pl.DataFrame
    dropped: pl.DataFrame
    blocked: pl.DataFrame
    without_patient: pl.DataFrame
    radius: int
    detail: float
    crowded: dict[str, int]

    @property
    def holds(self) -> bool:
        """Whether no two splits share anything."""
        return not self.shared["shared"].sum()


def prove(
    dataset: Dataset, likeness: Likeness | None = None, progress: ProgressCallback = silent
) -> Proof:
    """Count what each two splits of the kept records share.

    Records of evaluation sources count as held out, whatever their split is called. Raises
    InputError for an image that cannot be decoded.
    """
    likeness = likeness or Likeness()
    same = sameness(dataset, **likeness.model_dump(), progress=progress)
    lost = dropped(dataset.layout, "rule")
    kept = same.records.join(lost, on="id", how="anti", maintain_order="left")
    patients = pl.DataFrame(dataset.files.leaves(["id", "patient"])).select("id", "patient")
    kept = kept.join(patients, on="id", maintain_order="left")
    of_kept = Sameness(
        same.shown.join(kept, on="record", how="semi", maintain_order="left"),
        kept,
        same.pairs,
        same.crowded,
    )
    shared = pl.DataFrame([*_by_key(kept), *_by_content(of_kept)], schema=SHARED, orient="row")
    blocked = [
        (slug, benchmark, units)
        for slug, entry in dataset.manifest.sources.items()
        for benchmark, units in entry.blocked.items()
    ]
    splits = same.records.select("id", "split")
    return Proof(
        digest=dataset.manifest.digest,
        records=kept.group_by("side", "source").len("records").sort("side", "source"),
        shared=shared,
        dropped=lost.join(splits, on="id")
        .group_by("rule", "split")
        .agg(records=pl.col("id").n_unique())
        .sort("rule", "split"),
        blocked=pl.DataFrame(
            blocked,
            schema={"source": pl.String, "benchmark": pl.String, "units": pl.Int64},
            orient="row",
        ).sort("source", "benchmark"),
        without_patient=kept.filter(pl.col("patient").is_null())
        .group_by("source")
        .len("records")
        .sort("source"),
        radius=likeness.radius,
        detail=likeness.detail,
        crowded=crowded_by_source(same),
    )


def shared_keys(dataset: Dataset) -> pl.DataFrame:
    """What each two splits of the kept records share by patient and study: those rows of
    `Proof.shared` that need no pixels, so that they can be had of a set behind a URL too."""
    columns = ["id", "source", "split", "patient", "study"]
    benchmark = pl.col("source").is_in(evaluation_sources(dataset.manifest))
    side = pl.when(benchmark).then(pl.lit("test")).otherwise("split")
    records = pl.DataFrame(dataset.files.leaves(columns)).with_columns(side=side)
    kept = without_dropped(records, dataset.files.layout("curation"))
    return pl.DataFrame(list(_by_key(kept)), schema=SHARED, orient="row")


def proof_text(proof: Proof) -> str:
    """The proof in Markdown, for the appendix of a paper."""
    verdict = "No two splits share" if proof.holds else "**Two splits share**"
    lines = [
        "# Disjointness of the splits",
        "",
        f"{verdict} a patient, a study, or an image or signal. Data set `{proof.digest}`; records "
        "of benchmarks count as test. Images and signals are equal by digest, or alike: "
        f"fingerprints of 64 bits at most {proof.radius} apart"
        + (
            f" and details correlated by {proof.detail:g} or more, in any of eight orientations."
            if proof.radius
            else "."
        ),
        "",
        *_markdown(
            proof.shared.drop("example"),
            ("key", "split", "other split", "distinct", "distinct in other", "shared"),
        ),
    ]
    lines += [
        f"\n{count:,} images or signals of {source} look like very many others and were compared "
        "with the nearest of these: copies among them may be missed."
        for source, count in proof.crowded.items()
    ]
    for title, table, heads in (
        ("Records", proof.records, ("split", "source", "records")),
        ("Left out by curation", proof.dropped, ("rule", "split", "records")),
        ("Kept out of train for a benchmark", proof.blocked, ("source", "benchmark", "units")),
        ("Records that name no patient", proof.without_patient, ("source", "records")),
    ):
        if table.height:
            lines += ["", f"## {title}", "", *_markdown(table, heads)]
    return "\n".join(lines) + "\n"


def _markdown(table: pl.DataFrame, heads: tuple[str, ...]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in table.iter_rows():
        cells = (f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row)
        yield f"| {' | '.join(cells)} |"


def _by_key(kept: pl.DataFrame) -> Iterator[tuple[object, ...]]:
    for key, plural in _KEYS.items():
        named = kept.filter(pl.col(key).is_not_null()).select(key, "side").unique()
        for split, other in _PAIRS:
            mine, theirs = (named.filter(side=side)[key] for side in (split, other))
            both = mine.filter(mine.is_in(theirs.implode())).sort()
            example = both[0] if len(both) else None
            yield (plural, split, other, len(mine), len(theirs), len(both), example)


def _by_content(same: Sameness) -> Iterator[tuple[object, ...]]:
    """Equal contents by digest; alike ones, as curation looks for them, beyond those."""
    shown = same.shown.filter(pl.col("bits").is_not_null()).join(same.records, on="record")
    for medium, plural in (("image", "images"), ("ecg", "signals")):
        own = shown.filter(medium=medium).select("content", "side", "id")
        if not own.height:
            continue
        for split, other in _PAIRS:
            mine, theirs = (own.filter(side=side) for side in (split, other))
            both = mine.join(theirs, on="content", how="semi").sort("id")
            yield (
                f"equal {plural}",
                *(split, other),
                *(part["content"].n_unique() for part in (mine, theirs, both)),
                both["id"][0] if both.height else None,
            )
    leaks = find_leaks(same)
    sides = same.records.select("id", "side")
    leaks = leaks.join(sides, on="id").join(
        sides.rename({"id": "other", "side": "other_side"}), on="other"
    )
    counts: dict[str, int] = {side: shown.filter(side=side)["record"].n_unique() for side in SPLITS}
    for split, other in _PAIRS:
        both = leaks.filter(side=split, other_side=other)
        yield (
            "records that show the same",
            *(split, other, counts[split], counts[other]),
            both["id"].n_unique(),
            both["id"].sort()[0] if both.height else None,
        )
