"""Which images, and which signals, of a data set show the same.

Bits that differ little find candidates among all without comparing all with all; the small grey
images, or curves, then tell how one lies against the other and whether they are alike at all. Words
of keypoints find what was cropped.
Images of the same kind look alike when small (every chest film does), so their detail decides:
what is left of larger ones without their coarse shades, decoded for candidates alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qoqdata.curation.cropped import cropped_pairs
from qoqdata.curation.details import SIDE, ImageViews, details_of
from qoqdata.curation.hamming import pairs_within
from qoqdata.curation.likenesses import thumbnails
from qoqdata.dataset import Dataset
from qoqdata.progress import ProgressCallback, silent
from qoqdata.records.likeness import CURVE, THUMBNAIL, WAYS, turned

#: Pairs of contents that show the same: `content` and `other` number distinct digests, in the
#: order of `contents`; `way` is how the other lies against the content, one of WAYS, or CROPPED.
ALIKE = {
    "content": pl.UInt32,
    "other": pl.UInt32,
    "way": pl.String,
    "distance": pl.Int32,
    "correlation": pl.Float32,
}
#: Least correlation of two small images, or curves, that are worth another look.
COARSE = {"image": 0.95, "ecg": 0.9}
#: Pairs that are compared at once, and contents that are the first of them.
AT_ONCE, _BLOCK = 4_096, 64


def contents(shown: pl.DataFrame) -> pl.DataFrame:
    """Distinct images and signals, in the order in which they first occur: `content`, its number,
    and all columns of the first that shows it."""
    return (
        shown.unique(["medium", "first", "second"], keep="first", maintain_order=True)
        .with_row_index("content")
        .with_columns(pl.col("content").cast(pl.UInt32))
    )


def alike(
    dataset: Dataset,
    distinct: pl.DataFrame,
    *,
    radius: int,
    detail: float,
    progress: ProgressCallback = silent,
) -> pl.DataFrame:
    """Pairs of the distinct contents whose bits differ in at most `radius` and that show the same;
    columns of ALIKE, sorted. What is uniform is like nothing.

    `detail` is the least correlation of the details of two images. `progress` hears of sweeps over
    the images, then over the signals, and their total.
    """
    parts, details = [pl.DataFrame(schema=ALIKE)], details_of(dataset, distinct)
    for medium, least in COARSE.items():
        some = distinct.filter(pl.col("bits").is_not_null() & (pl.col("medium") == medium))
        for near in _near(some, radius, progress):
            pairs = _coarse(dataset, distinct, near, medium, least)
            if medium == "image":
                pairs = _of_detail(details, pairs, detail)
            parts.append(pairs)
    found = pl.concat(parts)
    cropped = cropped_pairs(dataset, distinct, found, detail)
    return pl.concat([found, cropped]).sort("content", "other")


def _near(some: pl.DataFrame, radius: int, progress: ProgressCallback) -> Iterator[pl.DataFrame]:
    """Pairs of contents (content < other) with bits at most `radius` apart, in parts."""
    by_bits = some.select("content", "bits")
    equal = by_bits.join(by_bits, on="bits", suffix="_other").filter(
        pl.col("content") < pl.col("content_other")
    )
    yield _candidates(equal["content"], equal["content_other"], np.zeros(equal.height, np.int32))
    words = by_bits["bits"].unique().sort().to_numpy()
    for i, j in pairs_within(words, radius, progress):
        if not len(i):
            continue
        pairs = pl.DataFrame(
            {
                "bits": words[i],
                "theirs": words[j],
                "distance": np.bitwise_count(words[i] ^ words[j]).astype(np.int32),
            }
        )
        both = pairs.join(by_bits, on="bits").join(
            by_bits.rename({"bits": "theirs", "content": "content_other"}), on="theirs"
        )
        mine, theirs = both["content"], both["content_other"]
        for start in range(0, both.height, AT_ONCE * 64):
            part = slice(start, start + AT_ONCE * 64)
            yield _candidates(mine[part], theirs[part], both["distance"][part].to_numpy())


def _candidates(mine: pl.Series, theirs: pl.Series, distance: NDArray[np.int32]) -> pl.DataFrame:
    low, high = np.minimum(mine, theirs), np.maximum(mine, theirs)
    return pl.DataFrame({"content": low, "other": high, "distance": distance})


def _coarse(
    dataset: Dataset, distinct: pl.DataFrame, near: pl.DataFrame, medium: str, least: float
) -> pl.DataFrame:
    """The candidates whose small images, or curves, correlate, and in which way."""
    numbers, mine, theirs = _numbered(near)
    units = unit_rows(thumbnails(dataset, distinct[numbers]))
    turns = every_turn(THUMBNAIL) if medium == "image" else np.arange(CURVE)[None]
    best, way = np.empty(near.height, np.float32), np.zeros(near.height, np.int64)
    for part in _blocks(mine, theirs):
        correlation = _correlations(mine[part], theirs[part], units, turns)
        way[part], best[part] = correlation.argmax(axis=1), correlation.max(axis=1)
    pairs = near.with_columns(
        way=pl.Series(np.array(WAYS)[way], dtype=pl.String), correlation=pl.Series(best)
    )
    return pairs.filter(pl.col("correlation") >= least).select(
        pl.col(name).cast(kind) for name, kind in ALIKE.items()
    )


def _of_detail(details: ImageViews[np.float32], pairs: pl.DataFrame, least: float) -> pl.DataFrame:
    """The pairs of images whose details correlate; their correlation is that of the details."""
    numbers, mine, theirs = _numbered(pairs)
    way = pairs.select(pl.col("way").replace_strict(WAYS, range(len(WAYS)))).to_numpy().ravel()
    values = np.empty(pairs.height, np.float32)
    turns = every_turn(SIDE)
    for part in _blocks(mine, theirs):
        both, at = np.unique([mine[part], theirs[part]], return_inverse=True)
        one, other = at.reshape(2, -1)
        views = np.stack(details.of(numbers[both]))
        ways, which = np.unique(way[part], return_inverse=True)
        correlation = _correlations(one, other, views, turns[ways])
        values[part] = correlation[np.arange(len(part)), which]
    return pairs.with_columns(correlation=pl.Series(values)).filter(pl.col("correlation") >= least)


def _numbered(
    pairs: pl.DataFrame,
) -> tuple[NDArray[np.uint32], NDArray[np.intp], NDArray[np.intp]]:
    """The contents of pairs, sorted, and where among them each pair's two are."""
    both = pairs.select("content", "other").to_numpy().astype(np.uint32)
    numbers, at = np.unique(both, return_inverse=True)
    at = at.reshape(both.shape)
    return numbers, at[:, 0], at[:, 1]


def _blocks(mine: NDArray[np.intp], theirs: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Numbers of pairs, in parts that few contents make: among many that are alike, products of
    two matrices take the place of products of pairs."""
    block = mine // _BLOCK
    order = np.lexsort((theirs, block))
    for pairs in np.split(order, np.flatnonzero(np.diff(block[order])) + 1):
        for start in range(0, len(pairs), AT_ONCE):
            yield pairs[start : start + AT_ONCE]


def _correlations(
    mine: NDArray[np.intp],
    theirs: NDArray[np.intp],
    units: NDArray[np.float32],
    turns: NDArray[np.intp],
) -> NDArray[np.float32]:
    """(pairs, ways) of pairs of rows of `units`, the second of which is turned each way.

    Of five decimals: the way of what is symmetric depends on no order of summation.
    """
    rows, at_row = np.unique(mine, return_inverse=True)
    columns, at_column = np.unique(theirs, return_inverse=True)
    # One row turned back on each way meets all that are not turned.
    back = units[rows][:, np.argsort(turns, axis=1)]
    products = back.reshape(-1, units.shape[1]) @ units[columns].T
    cube = products.reshape(len(rows), len(turns), len(columns))
    return cube[at_row, :, at_column].round(5)


@cache
def every_turn(side: int) -> NDArray[np.intp]:
    """(8, side * side): by way, which value of a flat image comes to each place."""
    return turned(np.arange(side**2).reshape(side, side)).reshape(len(WAYS), -1)


def unit_rows(values: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Rows with mean 0 and length 1, so that a product is a correlation."""
    around = values.astype(np.float32)
    around -= around.mean(axis=1, keepdims=True)
    return around / np.maximum(np.linalg.norm(around, axis=1, keepdims=True), 1e-6)
