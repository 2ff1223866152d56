"""Which images, and which signals, of a data set show the same.

Bits that differ little find candidates among all without comparing all with all; the small grey
images, or curves, then tell how one lies against the other and whether they are alike at all.
Images of the same kind look alike when small (every chest film does), so their detail decides:
what is left of larger ones without their coarse shades, decoded for candidates alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from qoqdata import items
from qoqdata.curation.hamming import pairs_within
from qoqdata.curation.likenesses import thumbnails
from qoqdata.dataset import Dataset
from qoqdata.records.likeness import THUMBNAIL, WAYS, turned
from qoqdata.stream.decode import Decoder

#: Pairs of contents that show the same: `content` and `other` number distinct digests, in the
#: order of `contents`; `way` is how the other lies against the content, one of WAYS.
ALIKE = {
    "content": pl.UInt32,
    "other": pl.UInt32,
    "way": pl.String,
    "distance": pl.Int32,
    "correlation": pl.Float32,
}
#: Least correlation of two small images, or curves, that are worth another look.
COARSE = {"image": 0.95, "ecg": 0.9}
#: Rows and columns of the images whose detail is compared, and of the coarse shades taken off.
DETAIL = 64
AT_ONCE = 4_096


def contents(shown: pl.DataFrame) -> pl.DataFrame:
    """Distinct images and signals, in the order in which they first occur: `content`, its number,
    and all columns of the first that shows it."""
    return (
        shown.unique(["medium", "first", "second"], keep="first", maintain_order=True)
        .with_row_index("content")
        .with_columns(pl.col("content").cast(pl.UInt32))
    )


def alike(dataset: Dataset, distinct: pl.DataFrame, *, radius: int, detail: float) -> pl.DataFrame:
    """Pairs of the distinct contents whose bits differ in at most `radius` and that show the same;
    columns of ALIKE, sorted. What is uniform is like nothing.

    `detail` is the least correlation of the details of two images.
    """
    parts = [pl.DataFrame(schema=ALIKE)]
    for medium, least in COARSE.items():
        some = distinct.filter(pl.col("bits").is_not_null() & (pl.col("medium") == medium))
        for near in _near(some, radius):
            pairs = _coarse(dataset, distinct, near, medium, least)
            if medium == "image":
                pairs = _of_detail(dataset, distinct, pairs, detail)
            parts.append(pairs)
    return pl.concat(parts).sort("content", "other")


def _near(some: pl.DataFrame, radius: int) -> Iterator[pl.DataFrame]:
    """Pairs of contents (content < other) with bits at most `radius` apart, in parts."""
    by_bits = some.select("content", "bits")
    equal = by_bits.join(by_bits, on="bits", suffix="_other").filter(
        pl.col("content") < pl.col("content_other")
    )
    yield _candidates(equal["content"], equal["content_other"], np.zeros(equal.height, np.int32))
    words = by_bits["bits"].unique().sort().to_numpy()
    for i, j in pairs_within(words, radius):
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
    numbers = np.unique(near.select("content", "other").to_numpy())
    small = thumbnails(dataset, distinct[numbers])
    mine = units(small)[np.searchsorted(numbers, near["content"].to_numpy())]
    theirs = small[np.searchsorted(numbers, near["other"].to_numpy())]
    best, way = np.empty(near.height, np.float32), np.zeros(near.height, np.int64)
    for start in range(0, near.height, AT_ONCE):
        part = slice(start, start + AT_ONCE)
        ways = every_way(theirs[part]) if medium == "image" else units(theirs[part])[:, None]
        correlation = np.einsum("pv,pwv->pw", mine[part], ways)
        way[part], best[part] = correlation.argmax(axis=1), correlation.max(axis=1)
    pairs = near.with_columns(
        way=pl.Series(np.array(WAYS)[way], dtype=pl.String), correlation=pl.Series(best)
    )
    return pairs.filter(pl.col("correlation") >= least).select(
        pl.col(name).cast(kind) for name, kind in ALIKE.items()
    )


def every_way(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(images, 8, values): each image in the eight ways it can lie."""
    square = small.reshape(-1, THUMBNAIL, THUMBNAIL)
    views = np.empty((len(square), len(WAYS), THUMBNAIL**2), np.uint8)
    for number, one in enumerate(square):
        views[number] = turned(one).reshape(len(WAYS), -1)
    return units(views.reshape(-1, THUMBNAIL**2)).reshape(views.shape)


def units(values: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Rows with mean 0 and length 1, so that a product is a correlation."""
    around = values.astype(np.float32)
    around -= around.mean(axis=1, keepdims=True)
    return around / np.maximum(np.linalg.norm(around, axis=1, keepdims=True), 1e-6)


def _of_detail(
    dataset: Dataset, distinct: pl.DataFrame, pairs: pl.DataFrame, least: float
) -> pl.DataFrame:
    """The pairs of images whose details correlate; their correlation is that of the details."""
    kept = [pairs.clear()]
    for part in pairs.sort("content", "other").iter_slices(AT_ONCE):
        numbers = part.select("content", "other").to_numpy()
        views = details(dataset, distinct[np.unique(numbers)])
        values = [
            detail_correlation(views[one], views[other], WAYS.index(way))
            for one, other, way in part.select("content", "other", "way").iter_rows()
        ]
        kept.append(
            part.with_columns(correlation=pl.Series(values, dtype=pl.Float32)).filter(
                pl.col("correlation") >= least
            )
        )
    return pl.concat(kept)


def details(dataset: Dataset, some: pl.DataFrame) -> dict[int, NDArray[np.float32]]:
    """By content, the grey image (64, 64) without its coarse shades."""
    decoder = Decoder(images="array")
    places = items.all_places(dataset.files).drop("id")
    rows = items.read_records(
        dataset.files, dataset.manifest, places[some["record"].to_numpy()], ["id", "images"]
    )
    views = {}
    for row, (content, place) in zip(
        rows, some.select("content", "place").iter_rows(), strict=True
    ):
        pixels = decoder({"id": row["id"], "images": [row["images"][place]]})["images"][0]
        views[content] = detail_of(small_grey(pixels))
    return views


def small_grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The grey image (64, 64) of RGB pixels, from which `detail_of` is taken."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (DETAIL, DETAIL), interpolation=cv2.INTER_AREA), np.uint8)


def detail_of(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What is left of a small grey image without its coarse shades."""
    grey = small.astype(np.float32)
    return np.asarray(grey - cv2.GaussianBlur(grey, (0, 0), DETAIL / THUMBNAIL), np.float32)


def detail_correlation(one: NDArray[np.float32], other: NDArray[np.float32], way: int) -> float:
    first, second = one.ravel(), np.ascontiguousarray(turned(other)[way]).ravel()
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / max(norms, 1e-6)
