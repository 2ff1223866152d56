"""Images of a training record that a held-out one shows too.

They are found by what they show rather than by whose they are: by fingerprints that are few bits
apart (`hamming.py`), then by what is left of the pixels.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from qoqdata.curation.fingerprints import fingerprints, thumbnails
from qoqdata.curation.hamming import pairs_within
from qoqdata.dataset import Dataset
from qoqdata.progress import ProgressCallback, silent
from qoqdata.roles import evaluation_sources

#: Pairs of images whose thumbnails are in memory at once, 16 KB each.
_IMAGES_AT_ONCE = 10_000

#: Of two splits that show the same image the second keeps it.
_SPLITS = (("train", "test"), ("validation", "test"), ("train", "validation"))
_OTHERS = {"id": "other"} | {name: f"other_{name}" for name in ("source", "split", "image")}
_PLACES = ("id", "image", "other", "other_image")

LEAKS = {
    "id": pl.String,
    "source": pl.String,
    "split": pl.String,
    "image": pl.Int32,
    "other": pl.String,
    "other_source": pl.String,
    "other_split": pl.String,
    "other_image": pl.Int32,
    "distance": pl.Int32,
    "correlation": pl.Float64,
}


def find_leaks(
    dataset: Dataset,
    *,
    radius: int,
    correlation: float,
    progress: ProgressCallback = silent,
) -> pl.DataFrame:
    """Pairs of images in two splits whose fingerprints are at most `radius` bits apart and whose
    thumbnails correlate by `correlation` or more; columns of LEAKS, sorted.

    `id` is in the split that is trained on sooner (train, validation, test), `other` in the later.
    Records of evaluation sources are in the latest, whatever their split is called.
    Of two records that show several images at least half of the first one's must be the second's:
    single slices of different people, and single frames, can look the same.
    """
    images = fingerprints(dataset, progress)
    # A benchmark's images are held out whatever its parts are called.
    benchmark = pl.col("source").is_in(evaluation_sources(dataset.manifest))
    side = pl.when(benchmark).then(pl.lit("test")).otherwise("split")
    images = images.with_columns(side=side)
    alike = near_fingerprints(images, radius)
    near = pl.concat([_between(images, alike, *splits) for splits in _SPLITS]).sort(_PLACES)
    parts = near.iter_slices(_IMAGES_AT_ONCE)
    values = [value for part in parts for value in _correlations(dataset, part)]
    near = near.with_columns(correlation=pl.Series(values, dtype=pl.Float64))
    return half_of_a_record(near.filter(pl.col("correlation") >= correlation), images)


def half_of_a_record(pairs: pl.DataFrame, images: pl.DataFrame) -> pl.DataFrame:
    """The pairs of those records of which at least half of the `images` are `other`'s."""
    counts = images.group_by("id").agg(images=pl.len())
    records = (
        pairs.group_by("id", "other")
        .agg(alike=pl.col("image").n_unique())
        .join(counts, on="id")
        .filter(2 * pl.col("alike") >= pl.col("images"))
    )
    return pairs.join(records, on=["id", "other"], how="semi", maintain_order="left")


def near_fingerprints(images: pl.DataFrame, radius: int) -> pl.DataFrame:
    """All ordered pairs of the `images`' fingerprints at most `radius` bits apart, equal ones too:
    `fingerprint`, `other_fingerprint`, `distance`."""
    hashes = images["fingerprint"].unique().sort().to_numpy()
    parts = [(hashes, hashes)]
    for i, j in pairs_within(hashes, radius):
        parts += [(hashes[i], hashes[j]), (hashes[j], hashes[i])]
    some, others = (np.concatenate(side) for side in zip(*parts, strict=True))
    distance = np.bitwise_count(some ^ others).astype(np.int32)
    return pl.DataFrame({"fingerprint": some, "other_fingerprint": others, "distance": distance})


def _between(images: pl.DataFrame, near: pl.DataFrame, split: str, later: str) -> pl.DataFrame:
    """Pairs of images of two splits that are near by fingerprint; their correlation is null."""
    mine, others = (images.filter(pl.col("side") == name) for name in (split, later))
    theirs = others.select("fingerprint", *_OTHERS).rename(
        {"fingerprint": "other_fingerprint", **_OTHERS}
    )
    pairs = mine.join(near, on="fingerprint").join(theirs, on="other_fingerprint")
    pairs = pairs.with_columns(correlation=pl.lit(None))
    return pairs.select(pl.col(name).cast(kind) for name, kind in LEAKS.items())


def _correlations(dataset: Dataset, pairs: pl.DataFrame) -> list[float]:
    views = thumbnails(dataset, {*pairs["id"], *pairs["other"]})
    return [float(views[a, n] @ views[b, m]) for a, n, b, m in pairs.select(_PLACES).iter_rows()]
