"""What every record of a data set shows, and which of it is the same: the ground that rules about
leakage, duplicates and quality stand on. Taken once a pass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from qoqdata.curation.alike import alike, contents
from qoqdata.curation.likenesses import likenesses
from qoqdata.dataset import Dataset
from qoqdata.progress import ProgressCallback, silent
from qoqdata.roles import evaluation_sources

#: Columns of the records' facts. `side` is the split that decides who is held out.
_FACTS = ["id", "source", "split", "task", "item", "study", "answer"]
#: Ways to lie that are not their own inverse.
_BACK = {"turned 90": "turned 270", "turned 270": "turned 90"}


@dataclass(frozen=True)
class Sameness:
    """`shown`: a row an image or signal of a record (SHOWN of `likenesses`), with `content`, the
    number of its digest. `records`: facts by `record`. `pairs`: contents that are alike though not
    equal (ALIKE of `alike`). `crowded`: contents that look like so many others that they were not
    compared with all of them."""

    shown: pl.DataFrame
    records: pl.DataFrame
    pairs: pl.DataFrame
    crowded: NDArray[np.uint32]

    @cached_property
    def shared(self) -> pl.DataFrame:
        """Of `shown` the records of which an image or signal stands elsewhere too, or one like it:
        of these few are all rules about copies."""
        paired = pl.concat([self.pairs["content"], self.pairs["other"]])
        elsewhere = pl.col("content").is_duplicated() | pl.col("content").is_in(paired.implode())
        records = self.shown.filter(elsewhere).select("record")
        return self.shown.join(records, on="record", how="semi", maintain_order="left")

    def pairs_both_ways(self) -> pl.DataFrame:
        """`content`, `other_content` and how they are alike: each pair in both orders, and each
        content of `shared` with itself, unless it is uniform: that is like nothing."""
        names = {"other": "other_content"}
        there = self.pairs.rename(names)
        back = self.pairs.rename({"content": "other_content", "other": "content"}).with_columns(
            way=pl.col("way").replace(_BACK)
        )
        telling = self.shared.filter(pl.col("bits").is_not_null())["content"]
        own = pl.DataFrame({"content": telling.unique().sort()}).select(
            "content",
            other_content="content",
            way=pl.lit("upright"),
            distance=pl.lit(0, pl.Int32),
            correlation=pl.lit(1.0, pl.Float32),
        )
        return pl.concat([own, there, back.select(own.columns)])

    def groups(self) -> pl.Series:
        """By content, the number of the group that chains of alike contents make."""
        count = self.shown["content"].n_unique()
        one, other = (self.pairs[name].to_numpy() for name in ("content", "other"))
        links = coo_array((np.ones(len(one), bool), (one, other)), shape=(count, count))
        return pl.Series("group", connected_components(links, directed=False)[1], dtype=pl.UInt32)


def sameness(
    dataset: Dataset, *, radius: int, detail: float, progress: ProgressCallback = silent
) -> Sameness:
    """What the records of a data set show, and which of it is the same.

    Records of evaluation sources are on the latest side, whatever their split is called: a
    benchmark's images are held out. `progress` hears of records whose images were looked at, and
    again of records as they are compared. Raises InputError for an image that cannot be decoded.
    """
    shown = likenesses(dataset, progress)
    distinct = contents(shown)
    keys = ["medium", "first", "second"]
    shown = shown.join(distinct.select(*keys, "content"), on=keys, maintain_order="left")
    benchmark = pl.col("source").is_in(evaluation_sources(dataset.manifest))
    records = (
        pl.DataFrame(dataset.files.leaves(_FACTS))
        .select(_FACTS)
        .with_row_index("record")
        .with_columns(side=pl.when(benchmark).then(pl.lit("test")).otherwise("split"))
    )

    def swept(done: int, sweeps: int) -> None:
        # Of a unit with the records before: the share of what all records are compared with.
        progress(records.height * done // sweeps, records.height)

    pairs, crowded = alike(dataset, distinct, radius=radius, detail=detail, progress=swept)
    return Sameness(shown, records, pairs, crowded)
