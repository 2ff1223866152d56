"""The receipt of a search for what shows the same: what was compared, and what a bound cut off."""

from __future__ import annotations

import polars as pl
from pydantic import BaseModel, ConfigDict

from qoqdata.atomic import write_json
from qoqdata.curation.recipe import Likeness
from qoqdata.curation.sameness import Sameness
from qoqdata.dataset import Dataset


class LikenessReceipt(BaseModel):
    """`data` is the digest of the data set, `radius` and `detail` say when two showed the same.

    Of the distinct `images` and `signals`, `crowded` counts by source those that look like so many
    others at first sight that they were compared with the nearest alone: `pairs` may lack copies of
    these.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    radius: int
    detail: float
    images: int
    signals: int
    pairs: int
    crowded: dict[str, int]


def write_likeness_receipt(dataset: Dataset, same: Sameness, likeness: Likeness) -> LikenessReceipt:
    """Write the receipt of `same` into the set's curation/, and return it."""
    distinct = same.shown.group_by("medium").agg(pl.col("content").n_unique())
    counts = dict(distinct.iter_rows())
    receipt = LikenessReceipt(
        data=dataset.manifest.digest,
        radius=likeness.radius,
        detail=likeness.detail,
        images=counts.get("image", 0),
        signals=counts.get("ecg", 0),
        pairs=same.pairs.height,
        crowded=crowded_by_source(same),
    )
    write_json(dataset.layout.likeness_receipt, receipt.model_dump())
    return receipt


def crowded_by_source(same: Sameness) -> dict[str, int]:
    """How many of the distinct contents that are crowded each source shows first."""
    some = pl.DataFrame({"content": same.crowded}, schema={"content": pl.UInt32})
    if some.is_empty():
        return {}
    counts = (
        same.shown.select("content", "record")
        .join(some, on="content", how="semi")
        .group_by("content")
        .agg(pl.col("record").min())
        .join(same.records.select("record", "source"), on="record")
        .group_by("source")
        .len()
        .sort("source")
    )
    return dict(counts.iter_rows())
