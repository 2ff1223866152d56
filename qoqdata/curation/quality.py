"""Images and signals that show little: uniform, saturated, tiny, of an odd shape; flat, clipped.

The measures are taken with the likenesses, so no pixel is decoded for them.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from qoqdata.curation.sameness import Sameness
from qoqdata.dataset import Dataset

Fault = Literal["blank", "saturated", "tiny", "odd_shape", "flat", "clipped"]

FAULTS = {
    "id": pl.String,
    "source": pl.String,
    "split": pl.String,
    "medium": pl.String,
    "place": pl.Int32,
    "fault": pl.String,
    "value": pl.Float32,
    "of": pl.UInt32,
}
#: Standard deviation in grey levels; share of pixels that are 0 or 255 in an image of more than two
#: levels; shorter side in pixels; longer side over the shorter one.
_BLANK, _SATURATED, _TINY, _ODD = 2.0, 0.97, 32, 6.0
#: Standard deviation in mV of the mean lead; share of samples at a lead's largest or least value.
_FLAT, _CLIPPED = 0.005, 0.1


def find_faults(dataset: Dataset, same: Sameness) -> pl.DataFrame:
    """A row an image or signal and fault, with the value that shows it and how many images and
    signals the record shows; columns of FAULTS."""
    image, ecg = pl.col("medium") == "image", pl.col("medium") == "ecg"
    short, long = pl.min_horizontal("width", "height"), pl.max_horizontal("width", "height")
    ends = pl.col("dark") + pl.col("bright")
    end = pl.max_horizontal("dark", "bright")
    rules: tuple[tuple[Fault, pl.Expr, pl.Expr], ...] = (
        ("blank", image & (pl.col("deviation") < _BLANK), pl.col("deviation")),
        ("saturated", image & (pl.col("deviation") >= _BLANK) & (ends > _SATURATED), ends),
        ("tiny", image & (short < _TINY), short),
        ("odd_shape", image & (long > _ODD * short), long / short),
        ("flat", ecg & (pl.col("deviation") < _FLAT), pl.col("deviation")),
        ("clipped", ecg & (pl.col("deviation") >= _FLAT) & (end > _CLIPPED), end),
    )
    # Facts of records come last: faults are few, and a set has millions of records.
    measures = same.shown.select("record", "medium", "place", "deviation", "dark", "bright")
    shown = pl.concat(
        [
            measures.filter(image).join(
                _sizes(dataset), on=["record", "place"], how="left", maintain_order="left"
            ),
            measures.filter(ecg),
        ],
        how="diagonal",
    )
    found = pl.concat(
        shown.filter(holds).select(
            "record", "medium", "place", fault=pl.lit(name), value=value.cast(pl.Float32)
        )
        for name, holds, value in rules
    )
    counts = (
        same.shown.select("record")
        .join(found.select("record"), on="record", how="semi")
        .group_by("record")
        .agg(of=pl.len())
    )
    return (
        found.join(counts, on="record")
        .join(same.records, on="record")
        .sort("record", "medium", "place", "fault")
        .select(pl.col(name).cast(kind) for name, kind in FAULTS.items())
    )


def _sizes(dataset: Dataset) -> pl.DataFrame:
    """Width and height of each image."""
    sides = ["image_info.list.element.width", "image_info.list.element.height"]
    info = pl.DataFrame(dataset.files.leaves(sides)).select("image_info")
    return (
        info.with_row_index("record")
        .drop_nulls()
        .with_columns(place=pl.int_ranges(pl.col("image_info").list.len(), dtype=pl.Int32))
        .explode("image_info", "place")
        .select(
            "record",
            "place",
            pl.col("image_info").struct.field("width"),
            pl.col("image_info").struct.field("height"),
        )
    )
