"""Cropped copies among the images of a data set: candidates by the words of their keypoints, of
which small images, and then larger ones, are laid over each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qoqdata.curation.crops import Shared, sharing_words
from qoqdata.curation.crowds import likest
from qoqdata.curation.details import ImageViews, small_grey
from qoqdata.curation.likenesses import keypoints_of, thumbnails
from qoqdata.curation.overlaps import SIDE, Overlap, overlap
from qoqdata.dataset import Dataset
from qoqdata.records.keypoints import words_and_places
from qoqdata.records.likeness import THUMBNAIL
from qoqdata.threads import computed

#: How a cropped copy lies against what it was cropped from, and that against it.
CROPPED = "cropped"
#: Least correlation of two small images, the one laid over the other, that are worth another look.
_COARSE = 0.5
#: How many times as far from 1 the correlation of details may lie where one image is laid over the
#: other, scaled and between its pixels.
_LAID = 5 / 3
#: Of an image, the images that share most words with it, which are looked at.
LOOKED_AT = 16
#: Pairs that are laid over each other at once.
_AT_ONCE = 4_096


def cropped_pairs(
    dataset: Dataset, distinct: pl.DataFrame, known: pl.DataFrame, detail: float
) -> tuple[pl.DataFrame, NDArray[np.uint32]]:
    """Pairs of the distinct contents (`alike.contents`) of which one was cropped from the other, or
    that only their words find; those that are `known` are left out. And the contents that were not
    compared with all that share words with them.

    Columns content, other, way ("cropped", or "upright" where no side is missing), distance of
    their bits and correlation of their details, up to _LAID times as far from 1 as `detail`.
    """
    some = distinct.filter(pl.col("bits").is_not_null() & (pl.col("medium") == "image"))
    contents = some["content"].to_numpy()
    pairs, crowded = sharing_words(*words_and_places(keypoints_of(dataset, some)))
    pairs = _unknown(pairs, contents, known)
    kept, cut = likest(pairs.one, pairs.other, pairs.words, LOOKED_AT)
    pairs = _coarse(pairs.where(kept), dataset, some)
    views = ImageViews(dataset, distinct, lambda pixels: small_grey(pixels, SIDE))
    views.prepare(contents[np.concatenate([pairs.one, pairs.other])])

    def laid(pair: tuple[Any, ...]) -> Overlap | None:
        one, other, _, scale, shift = pair
        mine, theirs = views.of(contents[[one, other]])
        return overlap(mine, theirs, scale, shift)

    bits, least = some["bits"].to_numpy(), least_laid(detail)
    rows = []
    overlaps = computed(laid, zip(*pairs, strict=True))
    for one, other, both in zip(pairs.one, pairs.other, overlaps, strict=True):
        if both is not None and both.correlation >= least:
            a, b = contents[[one, other]].tolist()
            way = CROPPED if both.cropped else "upright"
            distance = int(np.bitwise_count(bits[one] ^ bits[other]))
            rows.append((a, b, way, distance, both.correlation))
    names = ("content", "other", "way", "distance", "correlation")
    types = (pl.UInt32, pl.UInt32, pl.String, pl.Int32, pl.Float32)
    found = pl.DataFrame(rows, schema=dict(zip(names, types, strict=True)), orient="row")
    return found, contents[np.union1d(crowded, cut)]


def least_laid(detail: float) -> float:
    """The least correlation of details where one image is laid over the other."""
    return 1 - _LAID * (1 - detail)


def _unknown(pairs: Shared, contents: NDArray[np.uint32], known: pl.DataFrame) -> Shared:
    base = np.int64(contents.max(initial=0)) + 1
    numbers = contents.astype(np.int64)
    mine = numbers[pairs.one] * base + numbers[pairs.other]
    theirs = known["content"].to_numpy().astype(np.int64) * base + known["other"].to_numpy()
    return pairs.where(~np.isin(mine, theirs))


def _coarse(pairs: Shared, dataset: Dataset, some: pl.DataFrame) -> Shared:
    """The pairs whose small images correlate when the one is laid over the other."""
    numbers, at = np.unique([pairs.one, pairs.other], return_inverse=True)
    one, other = at.reshape(2, -1)
    return laid_over(pairs, one, other, thumbnails(dataset, some[numbers]))


def laid_over(
    pairs: Shared, one: NDArray[np.intp], other: NDArray[np.intp], values: NDArray[np.uint8]
) -> Shared:
    """The pairs, of the rows `one` and `other` of small images (n, 256), that correlate when the
    one is laid over the other."""
    small = values.astype(np.float32).reshape(-1, THUMBNAIL, THUMBNAIL)
    likely = np.zeros(len(one), bool)
    for part in _parts(len(one)):
        across, down = (_laying(pairs.scale[part, n], pairs.shift[part, n]) for n in (0, 1))
        laid = down @ small[one[part]] @ across.transpose(0, 2, 1)
        likely[part] = _correlations(laid, small[other[part]]) >= _COARSE
    return pairs.where(likely)


def _parts(count: int) -> Iterator[slice]:
    return (slice(start, start + _AT_ONCE) for start in range(0, count, _AT_ONCE))


def _laying(scale: NDArray[np.float64], shift: NDArray[np.float64]) -> NDArray[np.float32]:
    """(pairs, THUMBNAIL, THUMBNAIL): how much of each cell of a line of the one image stands in
    each cell of the other's; those beyond its ends repeat the last."""
    cells = (np.arange(THUMBNAIL) + 0.5) / THUMBNAIL
    at = (cells - shift[:, None]) / scale[:, None] * THUMBNAIL - 0.5
    at = np.clip(at, 0, THUMBNAIL - 1)
    away = np.abs(at[..., None] - np.arange(THUMBNAIL))
    return np.maximum(1 - away, 0).astype(np.float32)


def _correlations(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float32]:
    flat = [values.reshape(len(values), -1) for values in (one, other)]
    around = [values - values.mean(axis=1, keepdims=True) for values in flat]
    lengths = np.prod([np.linalg.norm(values, axis=1) for values in around], axis=0)
    product = np.einsum("pv,pv->p", *around)
    return np.asarray(product / np.maximum(lengths, 1e-6), np.float32)
