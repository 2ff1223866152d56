"""Which images, and which signals, of a data set show the same.

Bits that differ little find candidates among all without comparing all with all; the small grey
images, or curves, then tell how one lies against the other and whether they are alike at all. Words
of keypoints find what was cropped.
Images of the same kind look alike when small (every chest film does), so their detail decides:
what is left without their coarse shades of the small ones, and then of larger ones, decoded for
candidates alone.
Where so many look alike that all pairs of them would be too many, each is compared with those that
are nearest, and the rest is told (`Alike.crowded`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from qoqdata.curation.coarse_detail import may_be_of_detail
from qoqdata.curation.cropped import cropped_pairs
from qoqdata.curation.crowds import likest
from qoqdata.curation.details import SIDE, ImageViews, detail_of, small_greys
from qoqdata.curation.hamming import Indices, Near, neighbours_within
from qoqdata.curation.likenesses import thumbnails
from qoqdata.dataset import Dataset
from qoqdata.progress import ProgressCallback, silent
from qoqdata.records.likeness import CURVE, THUMBNAIL, WAYS, turned
from qoqdata.threads import computed

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
#: Of those whose bits agree in parts, the nearest by stripes, of signals by contrast, that one is
#: compared with; of those whose small images correlate, the likest whose details are.
_NEAREST, _LIKEST = 256, 32
#: Pairs whose correlations are taken at once, and contents that are the first of them.
AT_ONCE, _BLOCK = 4_096, 64
#: Pairs of a sweep that are compared at once: a small image of a pair takes 1 KB meanwhile.
_COMPARED = 1 << 17
#: Pairs whose details are compared at once: a detail takes 16 KB.
_DETAILED = 1_024
#: Small images, or curves, that are measured at once: few calls, between which threads wait for
#: each other, and 4 MB as float32.
_ROWS = 4_096
#: Products of a pair that a matrix of all may have for one that is asked for.
_SPARSE = 16
#: Frequencies along an axis by which two small images are told apart, whichever way they lie.
_FREQUENCIES = 6
#: Directions in which curves differ most by which two are told apart, and curves that say which.
_DIRECTIONS, _SAMPLE = 48, 1 << 12


_In = TypeVar("_In", bound=np.generic)
_Out = TypeVar("_Out", bound=np.generic)


class Compared(NamedTuple):
    """Pairs of rows (n,) that correlate in the way of that number."""

    one: Indices
    other: Indices
    way: Indices
    correlation: NDArray[np.float32]

    def where(self, chosen: NDArray[np.bool_]) -> Compared:
        """The chosen pairs."""
        one, other, way, correlation = self
        return Compared(one[chosen], other[chosen], way[chosen], correlation[chosen])


_NONE = np.empty(0, np.int64)
_NOTHING = Compared(_NONE, _NONE, _NONE, np.empty(0, np.float32))


class Alike(NamedTuple):
    """`pairs` that show the same (ALIKE), sorted; `crowded`, sorted numbers of the contents that
    were not compared with all that could be like them: copies of these may be missed."""

    pairs: pl.DataFrame
    crowded: NDArray[np.uint32]


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
) -> Alike:
    """Pairs of the distinct contents whose bits differ in at most `radius` and that show the same.
    What is uniform is like nothing.

    `detail` is the least correlation of the details of two images. `progress` hears of sweeps over
    the images, then over the signals, and their total.
    """
    parts, crowded = [pl.DataFrame(schema=ALIKE)], [np.empty(0, np.uint32)]
    # Products are small and made side by side; those of BLAS's own threads wait for each other.
    with threadpool_limits(1, "blas"):
        for medium in COARSE:
            some = distinct.filter(pl.col("bits").is_not_null() & (pl.col("medium") == medium))
            pairs, cut = _coarse(dataset, some, medium, radius, detail, progress)
            if medium == "image":
                pairs = _of_detail(small_greys(dataset, distinct), pairs, detail)
            parts.append(pairs)
            crowded.append(cut)
        found = pl.concat(parts)
        cropped, cut = cropped_pairs(dataset, distinct, found, detail)
    pairs = pl.concat([found, cropped]).sort("content", "other")
    return Alike(pairs, np.unique(np.concatenate([*crowded, cut])))


def _coarse(
    dataset: Dataset,
    some: pl.DataFrame,
    medium: str,
    radius: int,
    detail: float,
    progress: ProgressCallback,
) -> tuple[pl.DataFrame, NDArray[np.uint32]]:
    """Pairs of the contents `some` with near bits whose small images, or curves, correlate, and in
    which way, and of which the detail of small images does; and the contents that were not compared
    with all of theirs."""
    small = thumbnails(dataset, some)
    contents_, bits = some["content"].to_numpy(), some["bits"].to_numpy()
    cut = np.zeros(some.height, bool)
    if medium == "image":
        order = np.argsort(_of_all(small, _stripes), kind="stable")
        shades = _of_all(small, lambda some: low_frequencies(unit_rows(some)))
        turns, bounds = every_turn(THUMBNAIL), _of_all(shades, whichever_way)
    else:
        # Another gain, offset, rate and order of leads leave the contrast as it is.
        order = np.argsort(_of_all(small, _contrasts), kind="stable")
        turns, directions = np.arange(CURVE)[None], _directions(small)
        bounds = _of_all(small, lambda some: _along(unit_rows(some), directions))

    def compared(near: Near) -> tuple[Indices, Compared]:
        known = [_NOTHING]
        for start in range(0, len(near.one), _COMPARED):
            part = slice(start, start + _COMPARED)
            known.append(alike_of(order[near.one[part]], order[near.other[part]]))
        return near.cut, Compared(*(np.concatenate(column) for column in zip(*known, strict=True)))

    def alike_of(a: Indices, b: Indices) -> Compared:
        one, other = np.minimum(a, b), np.maximum(a, b)
        possible = _bound(one, other, bounds) >= COARSE[medium]
        one, other = one[possible], other[possible]
        if medium == "image":
            possible = bound_by_way(one, other, shades) >= COARSE[medium]
            one, other = one[possible], other[possible]
        known = _correlated(one, other, small, turns, COARSE[medium])
        if medium == "ecg":
            return known
        return known.where(may_be_of_detail(known.one, known.other, known.way, small, detail))

    found = [_NOTHING]
    for own, known in neighbours_within(bits[order], radius, _NEAREST, compared, progress):
        cut[order[own]] = True
        found.append(known)
    one, other, way, correlation = (np.concatenate(part) for part in zip(*found, strict=True))
    kept, far = likest(one, other, correlation, _LIKEST)
    cut[far] = True
    one, other = one[kept], other[kept]
    columns = {
        "content": contents_[one],
        "other": contents_[other],
        "way": np.array(WAYS)[way[kept]],
        "distance": np.bitwise_count(bits[one] ^ bits[other]),
        "correlation": correlation[kept],
    }
    pairs = pl.DataFrame([pl.Series(name, columns[name]).cast(ALIKE[name]) for name in ALIKE])
    return pairs, contents_[cut]


def _correlated(
    one: Indices, other: Indices, small: NDArray[np.uint8], turns: NDArray[np.intp], least: float
) -> Compared:
    """Those of the pairs of rows of `small` that correlate, in the way in which they do most."""
    numbers, at = np.unique([one, other], return_inverse=True)
    mine, theirs = at.reshape(2, -1)
    units = unit_rows(small[numbers])
    best, way = np.empty(len(one), np.float32), np.empty(len(one), np.int64)
    for part in _blocks(mine, theirs):
        correlation = _correlations(mine[part], theirs[part], units, turns)
        way[part], best[part] = correlation.argmax(axis=1), correlation.max(axis=1)
    return Compared(one, other, way, best).where(best >= least)


def _bound(
    mine: NDArray[np.integer], theirs: NDArray[np.integer], bounds: NDArray[np.float32]
) -> NDArray[np.float32]:
    """What pairs of rows correlate by at most (Cauchy and Schwarz, by frequency or direction)."""
    bound = np.empty(len(mine), np.float32)
    for start in range(0, len(mine), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        bound[part] = np.einsum(
            "pv,pv->p", bounds.take(mine[part], axis=0), bounds.take(theirs[part], axis=0)
        )
    # Beyond what sums of float32 are off by.
    return bound + np.float32(1e-4)


def _of_all(rows: NDArray[_In], measure: Callable[[NDArray[_In]], NDArray[_Out]]) -> NDArray[_Out]:
    """What `measure` gives of all rows of small images, curves or shades, part by part and once for
    each: it is in many pairs."""
    starts = range(0, max(len(rows), 1), _ROWS)
    parts = computed(lambda n: measure(rows[n : n + _ROWS]), starts)
    # Row by row, as they are asked for.
    return np.ascontiguousarray(np.concatenate(list(parts)))


def _directions(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(256, _DIRECTIONS): orthonormal directions in which some of the curves are longest. Others
    would tell fewer apart, and none wrongly."""
    some = unit_rows(small[:: max(1, len(small) // _SAMPLE)]).astype(np.float64)
    return np.asarray(np.linalg.eigh(some.T @ some)[1][:, -_DIRECTIONS:], np.float32)


def _along(units: NDArray[np.float32], directions: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, _DIRECTIONS + 1): what rows of length 1 are along directions, and the length of what is
    left of them."""
    along = units @ directions
    rest = 1 - np.einsum("nd,nd->n", along, along)
    return np.column_stack([along, np.sqrt(np.maximum(rest, 0))])


def whichever_way(shades: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 21) of `low_frequencies` (n, 37): the root of the energy of each and its transposed, and
    of all others; no flip or turn changes it."""
    high, low = np.triu_indices(_FREQUENCIES)
    here, there = (high * _FREQUENCIES + low)[1:], (low * _FREQUENCIES + high)[1:]
    energy = shades**2
    pairs = energy[:, here] + np.where(here == there, 0, energy[:, there])
    return np.sqrt(np.column_stack([pairs, energy[:, -1]]))


def low_frequencies(units: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 37) of small images (n, 256) of length 1: low frequencies, and the length of the rest."""
    return _along(units, _waves())


def bound_by_way(
    mine: NDArray[np.integer], theirs: NDArray[np.integer], shades: NDArray[np.float32]
) -> NDArray[np.float32]:
    """What pairs of small images correlate by at most in the way in which they do most, by their
    `low_frequencies`: a flip changes the signs of odd ones, a turn also transposes them."""
    odd = np.indices((_FREQUENCIES, _FREQUENCIES)).reshape(2, -1)
    signs = np.stack([(-1.0) ** (a * odd[0] + b * odd[1]) for a in (0, 1) for b in (0, 1)], axis=1)
    flips = signs.astype(np.float32)
    transposed = np.arange(_FREQUENCIES**2).reshape(_FREQUENCIES, _FREQUENCIES).T.ravel()
    bound = np.empty(len(mine), np.float32)
    for start in range(0, len(mine), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        one, other = shades.take(mine[part], axis=0), shades.take(theirs[part], axis=0)
        low, others = one[:, :-1], other[:, :-1]
        best = ((low * others) @ flips).max(axis=1)
        quarter = ((low * others.take(transposed, axis=1)) @ flips).max(axis=1)
        bound[part] = np.maximum(best, quarter) + one[:, -1] * other[:, -1]
    return bound + np.float32(1e-4)


@cache
def _waves() -> NDArray[np.float32]:
    """(256, 36): the lowest frequencies along both axes of the orthonormal DCT-II."""
    places = np.arange(THUMBNAIL) + 0.5
    waves = np.cos(np.pi / THUMBNAIL * np.outer(places, np.arange(_FREQUENCIES)))
    waves *= np.sqrt(np.where(np.arange(_FREQUENCIES) == 0, 1, 2) / THUMBNAIL)
    return np.kron(waves, waves).astype(np.float32)


def _stripes(small: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Of small images the share of energy in the second frequency, across and down: no flip or turn
    changes it, another size or window hardly does. By no matrix product, of which the last digit
    depends on the machine."""
    wave = np.cos(2 * np.pi / THUMBNAIL * (np.arange(THUMBNAIL) + 0.5))
    # Sums of 256 squares of bytes are whole numbers that float32 holds, in any order.
    values = small.astype(np.float32)
    square = values.reshape(-1, THUMBNAIL, THUMBNAIL)
    lines = [square.sum(axis=axis) for axis in (1, 2)]
    energy = sum(((line * wave).sum(axis=1)) ** 2 for line in lines)
    squares = np.einsum("nv,nv->n", values, values).astype(np.float64)
    total = CURVE * squares - lines[0].sum(axis=1, dtype=np.float64) ** 2
    return np.asarray(2 * energy / np.maximum(total, 1), np.float64)


def _contrasts(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    return small.std(axis=1, dtype=np.float32)


def _of_detail(greys: ImageViews[np.uint8], pairs: pl.DataFrame, least: float) -> pl.DataFrame:
    """The pairs of images whose details correlate; their correlation is that of the details."""
    numbers, mine, theirs = _numbered(pairs)
    greys.prepare(numbers)
    way = pairs.select(pl.col("way").replace_strict(WAYS, range(len(WAYS)))).to_numpy().ravel()
    values = np.empty(pairs.height, np.float32)
    turns = every_turn(SIDE)

    def compared(part: NDArray[np.intp]) -> None:
        both, at = np.unique([mine[part], theirs[part]], return_inverse=True)
        one, other = at.reshape(2, -1)
        views = np.stack([detail_of(grey) for grey in greys.of(numbers[both])])
        for lies in np.unique(way[part]):
            so = np.flatnonzero(way[part] == lies)
            found = _correlations(one[so], other[so], views, turns[[lies]])
            values[part[so]] = found[:, 0]

    for _ in computed(compared, _blocks(mine, theirs, _DETAILED)):
        pass
    return pairs.with_columns(correlation=pl.Series(values)).filter(pl.col("correlation") >= least)


def _numbered(
    pairs: pl.DataFrame,
) -> tuple[NDArray[np.uint32], NDArray[np.intp], NDArray[np.intp]]:
    """The contents of pairs, sorted, and where among them each pair's two are."""
    both = pairs.select("content", "other").to_numpy().astype(np.uint32)
    numbers, at = np.unique(both, return_inverse=True)
    at = at.reshape(both.shape)
    return numbers, at[:, 0], at[:, 1]


def _blocks(
    mine: NDArray[np.intp], theirs: NDArray[np.intp], most: int | None = None
) -> Iterator[NDArray[np.intp]]:
    """Numbers of pairs, in parts that few contents make: among many that are alike, products of
    two matrices take the place of products of pairs."""
    order = np.lexsort((theirs, mine // _BLOCK))
    most = most or AT_ONCE
    for start in range(0, len(order), most):
        yield order[start : start + most]


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
    if len(rows) * len(columns) > _SPARSE * len(mine):
        found = np.empty((len(mine), len(turns)), np.float32)
        other = units[theirs]
        for way in range(len(turns)):
            found[:, way] = np.einsum("pv,pv->p", back[at_row, way], other)
        return found.round(5)
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
