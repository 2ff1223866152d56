"""Images and signals of a training record that a held-out one shows too.

They are found by what they show rather than by whose they are (`alike.py`).
"""

from __future__ import annotations

import polars as pl

from qoqdata.curation.alike import COARSE
from qoqdata.curation.cropped import CROPPED
from qoqdata.curation.sameness import Sameness
from qoqdata.records.likeness import WAYS

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
        "content", "side", pl.col("medium").cast(pl.Enum([*COARSE])), id="record", image="place"
    )
    alike = same.pairs_both_ways().with_columns(pl.col("way").cast(pl.Enum([*WAYS, CROPPED])))
    found = [half_of_a_record(_between(shown, alike, *splits), shown) for splits in _SPLITS]
    records = same.records.select("id", "source", "split")
    # Sorted by numbers too: texts are had once, of millions of pairs.
    rank = records["id"].rank("ordinal")
    pairs = pl.concat(found)
    pairs = pairs.with_columns(mine=rank[pairs["id"]], theirs=rank[pairs["other"]])
    pairs = pairs.sort("mine", "image", "theirs", "other_image").drop("mine", "theirs")
    mine, theirs = records[pairs["id"]], records[pairs["other"]]
    theirs = theirs.select("id", other_source="source", other_split="split").rename({"id": "other"})
    leaks = pl.concat([pairs.drop("id", "other"), mine, theirs], how="horizontal")
    return leaks.select(pl.col(name).cast(kind) for name, kind in LEAKS.items())


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
        shown.group_by("id")
        .agg(shows=pl.col("content").sort())
        .sort("id")
        .unique("shows", keep="first", maintain_order=True)
    )
    return shown.join(firsts, on="id", how="semi", maintain_order="left")


def _between(shown: pl.DataFrame, pairs: pl.DataFrame, split: str, later: str) -> pl.DataFrame:
    """Pairs of two splits that show the same."""
    mine, others = (shown.filter(pl.col("side") == name).drop("side") for name in (split, later))
    theirs = _one_of_equals(others).select(
        pl.col("content").alias("other_content"), other="id", other_image="image"
    )
    # First those of whom there is another at all.
    pairs = pairs.join(theirs.select("other_content").unique(), on="other_content", how="semi")
    both = mine.join(pairs, on="content").drop("content")
    return both.join(theirs, on="other_content").drop("other_content")
