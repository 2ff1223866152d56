"""Records that show a crop of a benchmark's image, or what it was cropped from, by the words of the
keypoints of both (`crops.py`)."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qoqdata.curation.cropped import CROPPED, LOOKED_AT, laid_over, least_laid
from qoqdata.curation.crops import agreeing, sharing_words
from qoqdata.curation.crowds import likest
from qoqdata.curation.details import ImageViews, small_grey
from qoqdata.curation.likenesses import keypoints_of, thumbnails
from qoqdata.curation.overlaps import SIDE, overlap
from qoqdata.dataset import Dataset
from qoqdata.records.keypoints import BYTES, WORD_BITS, words_and_places
from qoqdata.records.likeness import CURVE

#: Pairs of a content of the set and an entry of the index; `way` is CROPPED, or "upright" where no
#: side is missing.
CROPS = {
    "content": pl.UInt32,
    "entry": pl.UInt32,
    "distance": pl.Int32,
    "way": pl.String,
    "correlation": pl.Float32,
}
#: Words that an image has in common with the index at least, or it is a crop of nothing there.
_SHARED = 2


def benchmark_crops(
    dataset: Dataset,
    distinct: pl.DataFrame,
    asked: pl.DataFrame,
    entries: pl.DataFrame,
    known: pl.DataFrame,
    detail: float,
) -> pl.DataFrame:
    """Images of the set of which one of the index was cropped, or the other way round; columns of
    CROPS. Pairs that are `known` are left out.

    `distinct` are the contents of the set (`alike.contents`), `asked` those that are compared,
    `entries` are rows of the index with `entry`. `detail` is the least correlation of what both
    show. Raises InputError for an image that cannot be decoded.
    """
    entries = entries.filter(pl.col("keypoints").is_not_null())
    if not asked.height or not entries.height:
        return pl.DataFrame(schema=CROPS)
    theirs = _column(entries, "keypoints", BYTES)
    mine = keypoints_of(dataset, asked)
    related = _related(mine, theirs)
    asked, mine = asked.filter(related), mine[related]
    count = asked.height
    pairs, _ = sharing_words(*words_and_places(np.concatenate([mine, theirs])))
    pairs = pairs.where((pairs.one < count) & (pairs.other >= count))
    pairs = pairs.where(~_among(asked, entries, pairs.one, pairs.other - count, known))
    pairs = pairs.where(likest(pairs.one, pairs.other, pairs.words, LOOKED_AT).kept)
    ones, at_one = np.unique(pairs.one, return_inverse=True)
    others, at_other = np.unique(pairs.other - count, return_inverse=True)
    small = np.concatenate(
        [
            thumbnails(dataset, asked[ones]),
            _column(entries[others], "thumbnail", CURVE),
        ]
    )
    pairs = laid_over(pairs, at_one, at_other + len(ones), small)
    views = ImageViews(dataset, distinct, lambda pixels: small_grey(pixels, SIDE))
    views.prepare(asked["content"].to_numpy()[pairs.one])
    rows = []
    for one, other, _, scale, shift in zip(*pairs, strict=True):
        number, bits = asked.select("content", "bits").row(int(one))
        entry, their_bits, grey = entries.select("entry", "bits", "large").row(int(other - count))
        large = np.frombuffer(grey, np.uint8).reshape(SIDE, SIDE)
        both = overlap(views.of(np.array([number]))[0], large, scale, shift)
        if both is not None and both.correlation >= least_laid(detail):
            way = CROPPED if both.cropped else "upright"
            rows.append((number, entry, (bits ^ their_bits).bit_count(), way, both.correlation))
    return pl.DataFrame(rows, schema=CROPS, orient="row")


def _related(mine: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which images share words with any of the others: they alone are sorted with them."""
    ours, others = (words_and_places(cells)[0] for cells in (mine, theirs))
    beyond = WORD_BITS - agreeing(int(np.count_nonzero(ours) + np.count_nonzero(others)))
    shared = np.isin(ours >> beyond, others[others != 0] >> beyond) & (ours != 0)
    return np.asarray(shared.sum(axis=1) >= _SHARED, np.bool_)


def _among(
    asked: pl.DataFrame,
    entries: pl.DataFrame,
    ones: NDArray[np.int64],
    others: NDArray[np.int64],
    known: pl.DataFrame,
) -> NDArray[np.bool_]:
    pairs = pl.DataFrame({"content": asked["content"][ones], "entry": entries["entry"][others]})
    both = pairs.join(
        known.select("content", "entry").with_columns(known=True).unique(),
        on=["content", "entry"],
        how="left",
        maintain_order="left",
    )
    return np.asarray(both["known"].fill_null(False).to_numpy(), np.bool_)


def _column(entries: pl.DataFrame, name: str, width: int) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(entries[name]), np.uint8).reshape(-1, width)
