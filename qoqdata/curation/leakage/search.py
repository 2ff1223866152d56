"""Images of a training record that a held-out one shows too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from qoqdata.curation.leakage.decoded_images import fingerprints, thumbnails
from qoqdata.curation.leakage.neighbours import neighbours
from qoqdata.dataset import Dataset

#: Of two splits that show the same image the second keeps it.
_PAIRS = (("train", "test"), ("validation", "test"), ("train", "validation"))
_OTHERS = {"id": "other"} | {name: f"other_{name}" for name in ("source", "split", "image")}
_PLACES = ("id", "image", "other", "other_image")
#: Pairs of images whose thumbnails are held at once, 16 KB each.
_AT_ONCE = 10_000

FINDINGS = {
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


def search(
    dataset: Dataset,
    *,
    radius: int,
    correlation: float,
    told: Callable[[int, int], None] = lambda *_: None,
) -> pl.DataFrame:
    """Pairs of images in two splits whose fingerprints are at most `radius` bits apart and whose
    thumbnails correlate by `correlation` or more; columns of FINDINGS, sorted.

    `id` is in the split that is trained on sooner (train, validation, test), `other` in the later.
    Of two records that show several images at least half of the first one's must be the second's:
    single slices of different people, and single frames, can look the same.
    """
    shown = fingerprints(dataset, told)
    near = pl.concat([_between(shown, *splits, radius) for splits in _PAIRS]).sort(_PLACES)
    alike = [value for part in near.iter_slices(_AT_ONCE) for value in _correlations(dataset, part)]
    near = near.with_columns(correlation=pl.Series(alike, dtype=pl.Float64))
    return half_of_a_record(near.filter(pl.col("correlation") >= correlation), shown)


def _correlations(dataset: Dataset, pairs: pl.DataFrame) -> list[float]:
    seen = thumbnails(dataset, {*pairs["id"], *pairs["other"]})
    return [float(seen[a, n] @ seen[b, m]) for a, n, b, m in pairs.select(_PLACES).iter_rows()]


def half_of_a_record(found: pl.DataFrame, shown: pl.DataFrame) -> pl.DataFrame:
    """The pairs of those records of which at least half of the `shown` images are `other`'s."""
    images = shown.group_by("id").agg(images=pl.len())
    records = (
        found.group_by("id", "other")
        .agg(alike=pl.col("image").n_unique())
        .join(images, on="id")
        .filter(2 * pl.col("alike") >= pl.col("images"))
    )
    return found.join(records, on=["id", "other"], how="semi", maintain_order="left")


def _between(shown: pl.DataFrame, split: str, later: str, radius: int) -> pl.DataFrame:
    mine, others = (shown.filter(pl.col("split") == name) for name in (split, later))
    some, theirs = mine["fingerprint"].to_numpy(), others["fingerprint"].to_numpy()
    here, there = neighbours(some, theirs, radius)
    apart = np.bitwise_count(some[here] ^ theirs[there])
    pairs = [mine[here].select(*_OTHERS), others[there].select(*_OTHERS).rename(_OTHERS)]
    found = pl.concat(pairs, how="horizontal")
    found = found.with_columns(distance=pl.Series(apart), correlation=pl.lit(None))
    return found.select(pl.col(name).cast(kind) for name, kind in FINDINGS.items())
