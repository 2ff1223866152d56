"""Images and signals of a training record that a held-out one shows too.

They are found by what they show rather than by whose they are (`alike.py`).
"""

from __future__ import annotations

import polars as pl

from qoqdata.curation.sameness import Sameness

#: Of two splits that show the same the second keeps it.
_SPLITS = (("train", "test"), ("validation", "test"), ("train", "validation"))

#: `image` and `other_image` count the images of the two records; of a signal they are 0.
LEAKS = {
    "id": pl.String,
    "source": pl.String,
    "split": pl.String,
    "image": pl.Int32,
    "other": pl.String,
    "other_source": pl.String,
    "other_split": pl.String,
    "other_image": pl.Int32,
    "medium": pl.String,
    "way": pl.String,
    "distance": pl.Int32,
    "correlation": pl.Float32,
}


def find_leaks(same: Sameness) -> pl.DataFrame:
    """Pairs of images, or of signals, in two splits that show the same; columns of LEAKS, sorted.

    `id` is in the split that is trained on sooner (train, validation, test), `other` in the later.
    Of two records that show several images at least half of the first one's must be the second's:
    single slices of different people, and single frames, can look the same. Of records of the later
    split that show equal images the first stands for all: n copies of one image in each split make
    n rows.
    """
    # By the numbers of records, and facts only of what is left: in a crowd, of whose images each
    # has several questions, there are tens of millions of pairs on the way.
    shown = same.shared.join(same.records.select("record", "side"), on="record").select(
        "record", "content", "side", "medium", id="record", image="place"
    )
    alike = same.pairs_both_ways()
    pairs = pl.concat([_between(shown, alike, *splits) for splits in _SPLITS])
    mine = same.records.select("id", "source", "split", number="record")
    theirs = mine.select(
        other="id", other_source="source", other_split="split", other_number="number"
    )
    leaks = (
        half_of_a_record(pairs, shown)
        .rename({"id": "number", "other": "other_number"})
        .join(mine, on="number")
        .join(theirs, on="other_number")
        .select(pl.col(name).cast(kind) for name, kind in LEAKS.items())
    )
    return leaks.sort("id", "image", "other", "other_image")


def half_of_a_record(pairs: pl.DataFrame, shown: pl.DataFrame) -> pl.DataFrame:
    """The pairs of those records of which at least half of what is `shown` is `other`'s."""
    counts = shown.group_by("id").agg(images=pl.len())
    records = (
        pairs.group_by("id", "other")
        .agg(alike=pl.col("image").n_unique())
        .join(counts, on="id")
        .filter(2 * pl.col("alike") >= pl.col("images"))
    )
    return pairs.join(records, on=["id", "other"], how="semi", maintain_order="left")


def _one_of_equals(shown: pl.DataFrame) -> pl.DataFrame:
    """Of records that show equal images or signals only the first, in manifest order."""
    firsts = (
        shown.group_by("record")
        .agg(shows=pl.col("content").sort())
        .sort("record")
        .unique("shows", keep="first", maintain_order=True)
    )
    return shown.join(firsts, on="record", how="semi", maintain_order="left")


def _between(shown: pl.DataFrame, pairs: pl.DataFrame, split: str, later: str) -> pl.DataFrame:
    """Pairs of two splits that show the same."""
    mine, others = (shown.filter(pl.col("side") == name) for name in (split, later))
    theirs = _one_of_equals(others).select(
        pl.col("content").alias("theirs"), other="id", other_image="image"
    )
    both = mine.join(pairs, on="content").join(theirs, left_on="other_content", right_on="theirs")
    return both.drop("record", "content", "side", "other_content")
