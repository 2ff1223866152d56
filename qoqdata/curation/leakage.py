"""Images of a training record that a held-out one shows too.

They are found by what they show rather than by whose they are, and without comparing all with all:
two fingerprints that differ in at most `4 f + 3` bits have one of four 16-bit bands in which they
differ in at most f (pigeonhole); only those that share a band up to f flipped bits are compared
(multi-index hashing, Norouzi, Punjani and Fleet, CVPR 2012). Nothing within the radius is missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qoqdata.curation.fingerprints import fingerprints, thumbnails
from qoqdata.dataset import Dataset
from qoqdata.progress import ProgressCallback, silent
from qoqdata.roles import evaluation_sources

_BANDS, _BITS = 4, 16
RADIUS_MOST = 11
#: Pairs of fingerprints compared at once: 32 MB of indices.
_PAIRS_AT_ONCE = 1 << 21
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

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]


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
    near = pl.concat([_between(images, *splits, radius) for splits in _SPLITS]).sort(_PLACES)
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


def neighbours(some: Hashes, others: Hashes, radius: int) -> tuple[Indices, Indices]:
    """Indices into `some` and `others` of all pairs at most `radius` bits apart, sorted."""
    parts = [np.empty((0, 2), np.int64)]
    for band in range(_BANDS):
        theirs, mine = _band(others, band), _band(some, band)
        order = np.argsort(theirs, kind="stable")
        keys = theirs[order]
        for mask in _masks(radius // _BANDS):
            first = np.searchsorted(keys, mine ^ mask, "left")
            last = np.searchsorted(keys, mine ^ mask, "right")
            for here, there in _ranges(first, last):
                there = order[there]
                near = np.bitwise_count(some[here] ^ others[there]) <= radius
                parts.append(np.stack([here[near], there[near]], axis=1))
    pairs = np.unique(np.concatenate(parts), axis=0)
    return pairs[:, 0], pairs[:, 1]


def _band(hashes: Hashes, band: int) -> NDArray[np.uint16]:
    return (hashes >> np.uint64(band * _BITS)).astype(np.uint16)


def _masks(flips: int) -> list[np.uint16]:
    """Every word of 16 bits with at most `flips` of them set."""
    words = (bits for count in range(flips + 1) for bits in combinations(range(_BITS), count))
    return [np.uint16(sum(1 << bit for bit in bits)) for bits in words]


def _ranges(first: Indices, last: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Each i with every j of first[i] .. last[i] - 1, a bounded number of pairs at a time."""
    sizes = last - first
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        behind = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, behind + _PAIRS_AT_ONCE, "right")), start + 1)
        part = sizes[start:stop]
        here = np.repeat(np.arange(start, stop), part)
        before = np.repeat(np.cumsum(part) - part, part)
        yield here, np.repeat(first[start:stop], part) + np.arange(len(here)) - before
        start = stop


def _between(images: pl.DataFrame, split: str, later: str, radius: int) -> pl.DataFrame:
    """Pairs of images of two splits that are near by fingerprint; their correlation is null."""
    mine, others = (images.filter(pl.col("side") == name) for name in (split, later))
    some, theirs = mine["fingerprint"].to_numpy(), others["fingerprint"].to_numpy()
    here, there = neighbours(some, theirs, radius)
    distance = np.bitwise_count(some[here] ^ theirs[there])
    sides = [mine[here].select(*_OTHERS), others[there].select(*_OTHERS).rename(_OTHERS)]
    pairs = pl.concat(sides, how="horizontal")
    pairs = pairs.with_columns(distance=pl.Series(distance), correlation=pl.lit(None))
    return pairs.select(pl.col(name).cast(kind) for name, kind in LEAKS.items())


def _correlations(dataset: Dataset, pairs: pl.DataFrame) -> list[float]:
    views = thumbnails(dataset, {*pairs["id"], *pairs["other"]})
    return [float(views[a, n] @ views[b, m]) for a, n, b, m in pairs.select(_PLACES).iter_rows()]
