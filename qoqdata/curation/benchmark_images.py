"""Records that show an image or a signal of a benchmark, by an index of the benchmark's copy.

What counts as the same is what counts within a data set (`alike.py`), crops too
(`benchmark_crops.py`). One image of a record is enough: a benchmark shows single slices and frames
of what training has whole.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qoqdata.curation.alike import AT_ONCE, COARSE, contents, every_turn, unit_rows
from qoqdata.curation.benchmark_crops import CROPS, benchmark_crops
from qoqdata.curation.details import SIDE, ImageViews, detail_of, details_of
from qoqdata.curation.hamming import pairs_within
from qoqdata.curation.likenesses import thumbnails
from qoqdata.curation.sameness import Sameness
from qoqdata.dataset import Dataset
from qoqdata.records.likeness import CURVE, THUMBNAIL, WAYS
from qoqdata.roles import evaluation_sources

#: A row what a record shows and the likest of a benchmark; `medium` is "image" or "ecg", `image`
#: the number of the record's image (a signal has none), `file` the place in the copy, `way` how
#: that image lies against the record's, one of WAYS or CROPPED.
BENCHMARK_IMAGES = {
    "id": pl.String,
    "source": pl.String,
    "split": pl.String,
    "medium": pl.String,
    "image": pl.Int32,
    "benchmark": pl.String,
    "file": pl.String,
    "way": pl.String,
    "distance": pl.Int32,
    "correlation": pl.Float32,
}


def find_benchmark_images(
    dataset: Dataset, same: Sameness, index: pl.DataFrame, *, radius: int, detail: float
) -> pl.DataFrame:
    """Records of training sources that show an image or signal of `index`; columns of
    BENCHMARK_IMAGES, sorted by id, image and benchmark.

    `index` has the columns of `benchmark_index.SCHEMA`. What is uniform is like nothing. `detail`
    is the least correlation of the details of two images. Raises InputError for an image that
    cannot be decoded.
    """
    benchmarks = evaluation_sources(dataset.manifest)
    records = same.records.filter(~pl.col("source").is_in(benchmarks))
    shown = same.shown.join(records, on="record")
    distinct = contents(same.shown.drop("content"))
    index = index.with_row_index("entry").filter(pl.col("bits").is_not_null())
    details = details_of(dataset, distinct)
    found = pl.DataFrame(schema=CROPS)
    for medium in COARSE:
        entries = index.filter(medium=medium)
        asked = distinct.filter(pl.col("bits").is_not_null() & (pl.col("medium") == medium)).join(
            shown.select("content").unique(), on="content", how="semi", maintain_order="left"
        )
        for near in _near(asked, entries, radius) if len(asked) and len(entries) else ():
            pairs = _coarse(dataset, distinct, entries, near, medium)
            if medium == "image":
                pairs = _of_detail(details, entries, pairs, detail)
            found = pl.concat([found, pairs.select(list(CROPS))])
        if medium == "image":
            crops = benchmark_crops(dataset, distinct, asked, entries, found, detail)
            found = pl.concat([found, crops])
    likest = (
        found.join(index.select("entry", "benchmark", "file"), on="entry")
        .sort("correlation", "file", descending=[True, False])
        .unique(["content", "benchmark"], keep="first", maintain_order=True)
    )
    return (
        shown.join(likest, on="content")
        .with_columns(image=pl.when(pl.col("medium") == "image").then("place"))
        .select(pl.col(name).cast(kind) for name, kind in BENCHMARK_IMAGES.items())
        .sort("id", "image", "benchmark")
    )


def _near(asked: pl.DataFrame, index: pl.DataFrame, radius: int) -> Iterator[pl.DataFrame]:
    """Contents and entries with bits at most `radius` apart, in parts."""
    mine = asked.select("content", "bits")
    theirs = index.select("entry", theirs="bits")
    equal = mine.join(theirs, left_on="bits", right_on="theirs")
    yield equal.select("content", "entry", distance=pl.lit(0, pl.Int32))
    words = pl.concat([mine["bits"], theirs["theirs"]]).unique().sort()
    for i, j in pairs_within(words.to_numpy(), radius):
        # Each pair once: which of the two is the benchmark's is not known.
        for one, other in ((i, j), (j, i)):
            a, b = words.to_numpy()[one], words.to_numpy()[other]
            distance = np.bitwise_count(a ^ b).astype(np.int32)
            near = pl.DataFrame({"bits": a, "theirs": b, "distance": distance})
            both = near.join(mine, on="bits").join(theirs, on="theirs")
            for part in both.iter_slices(AT_ONCE * 16):
                yield part.select("content", "entry", "distance")


def _coarse(
    dataset: Dataset, distinct: pl.DataFrame, index: pl.DataFrame, near: pl.DataFrame, medium: str
) -> pl.DataFrame:
    """The candidates whose small images, or curves, correlate, and in which way."""
    turns = every_turn(THUMBNAIL) if medium == "image" else np.arange(CURVE)[None]
    numbers = np.unique(near["content"].to_numpy())
    small = unit_rows(thumbnails(dataset, distinct[numbers]))
    entries = np.unique(near["entry"].to_numpy())
    theirs = unit_rows(_bytes(index, entries, "thumbnail", CURVE))
    best, way = np.empty(near.height, np.float32), np.zeros(near.height, np.int64)
    for start in range(0, near.height, AT_ONCE):
        part = near[start : start + AT_ONCE]
        mine = small[np.searchsorted(numbers, part["content"].to_numpy())]
        ways = theirs[np.searchsorted(entries, part["entry"].to_numpy())][:, turns]
        correlation = np.einsum("pv,pwv->pw", mine, ways)
        way[start : start + AT_ONCE] = correlation.argmax(axis=1)
        best[start : start + AT_ONCE] = correlation.max(axis=1)
    ways_named = pl.Series(np.array(WAYS)[way], dtype=pl.String)
    return near.with_columns(way=ways_named, correlation=pl.Series(best)).filter(
        pl.col("correlation") >= COARSE[medium]
    )


def _of_detail(
    details: ImageViews[np.float32], index: pl.DataFrame, pairs: pl.DataFrame, least: float
) -> pl.DataFrame:
    """The pairs whose details correlate; their correlation is that of the details."""
    kept = [pairs.clear()]
    for part in pairs.sort("content", "entry").iter_slices(AT_ONCE):
        contents_, mine = np.unique(part["content"].to_numpy(), return_inverse=True)
        entries, theirs = np.unique(part["entry"].to_numpy(), return_inverse=True)
        greys = _bytes(index, entries, "grey", SIDE**2).reshape(-1, SIDE, SIDE)
        ways = part["way"].replace_strict(WAYS, range(len(WAYS))).to_numpy()
        others = np.array([detail_of(grey) for grey in greys], np.float32).reshape(-1, SIDE**2)
        turned = np.take_along_axis(others[theirs], every_turn(SIDE)[ways], axis=1)
        values = np.einsum("pv,pv->p", np.stack(details.of(contents_))[mine], turned)
        kept.append(
            part.with_columns(correlation=pl.Series(values, dtype=pl.Float32)).filter(
                pl.col("correlation") >= least
            )
        )
    return pl.concat(kept)


def _bytes(
    index: pl.DataFrame, entries: NDArray[np.uint32], column: str, width: int
) -> NDArray[np.uint8]:
    """(entries, width) of a column of bytes."""
    wanted = pl.DataFrame({"entry": entries}, schema={"entry": pl.UInt32})
    cells = wanted.join(index.select("entry", column), on="entry", maintain_order="left")[column]
    return np.frombuffer(b"".join(cells), np.uint8).reshape(-1, width)
