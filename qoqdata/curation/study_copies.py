"""Images that stand twice in one study, with equal pixels: one view stored under the name of
another, such as a frontal film as the lateral one too.

Questions of a study show its images again, and that is no copy: one is where a record shows an
image at two places, or where two records of a study show it as two views or two sides. Slices of
volumes and frames of clips, which may well be equal, are left out, and so is what is uniform.
"""

from __future__ import annotations

import polars as pl

from qoqdata.curation.sameness import Sameness
from qoqdata.dataset import Dataset

#: A row a copy, by the first records that show it: `image` and `other_image` are places among the
#: images of the record `id` and of `other`, which may be the same record.
STUDY_COPIES = {
    "id": pl.String,
    "source": pl.String,
    "split": pl.String,
    "study": pl.String,
    "image": pl.Int32,
    "view": pl.String,
    "laterality": pl.String,
    "other": pl.String,
    "other_image": pl.Int32,
    "other_view": pl.String,
    "other_laterality": pl.String,
}
_NAMED = ("view", "laterality")
_INFO = [f"image_info.list.element.{name}" for name in (*_NAMED, "index")]


def find_study_copies(dataset: Dataset, same: Sameness) -> pl.DataFrame:
    """Equal images of one study under two names; columns of STUDY_COPIES, in manifest order."""
    return study_copies(same, _views(dataset))


def study_copies(same: Sameness, views: pl.DataFrame) -> pl.DataFrame:
    """As `find_study_copies`; `views` has `record`, `place`, `view`, `laterality` and `index`."""
    shown = (
        same.shown.filter((pl.col("medium") == "image") & pl.col("bits").is_not_null())
        .select("record", "place", "content")
        .join(views.filter(pl.col("index").is_null()).drop("index"), on=["record", "place"])
        .join(same.records.select("record", "id", "source", "split", "study"), on="record")
        .rename({"place": "image"})
    )
    other = {name: f"other_{name}" for name in ("image", *_NAMED)} | {"id": "other"}
    names = ["record", "content", "image", "id", *_NAMED]
    theirs = shown.select(names).rename(other)
    within = shown.join(theirs, on=["record", "content"]).filter(
        pl.col("image") < pl.col("other_image")
    )
    # The first record of a study that shows an image so speaks for all that do.
    views_of = ["source", "study", "content", *_NAMED]
    firsts = shown.sort("record", "image").unique(views_of, keep="first", maintain_order=True)
    between = firsts.join(
        firsts.select("source", "study", *names).rename(other | {"record": "other_record"}),
        on=["source", "study", "content"],
    ).filter(
        pl.col("record") < pl.col("other_record"),
        pl.any_horizontal(pl.col(name) != pl.col(f"other_{name}") for name in _NAMED),
    )
    once = ["study", "content", *_NAMED, *(f"other_{name}" for name in _NAMED)]
    columns = ["record", *STUDY_COPIES, "content"]
    found = pl.concat([within.select(columns), between.select(columns)])
    return (
        found.sort("record", "image", "other_image")
        .unique(["source", *once], keep="first", maintain_order=True)
        .select(pl.col(name).cast(kind) for name, kind in STUDY_COPIES.items())
    )


def _views(dataset: Dataset) -> pl.DataFrame:
    info = pl.DataFrame(dataset.files.leaves(_INFO)).select("image_info")
    return (
        info.with_row_index("record")
        .drop_nulls()
        .with_columns(place=pl.int_ranges(pl.col("image_info").list.len(), dtype=pl.Int32))
        .explode("image_info", "place")
        .drop_nulls("image_info")
        .unnest("image_info")
        .select("record", "place", *_NAMED, "index")
    )
