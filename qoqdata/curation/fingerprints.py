"""What is left of every image to compare it by: 64 bits to find it, a small grey image to be sure.

Both survive another encoding, another size and another brightness. They do not survive a flip, a
rotation or a crop. Each image of a data set is decoded once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qoqdata import items
from qoqdata.dataset import Dataset
from qoqdata.progress import ProgressCallback, silent
from qoqdata.stream.decode import Budget, Decoder

T = TypeVar("T")

#: Columns of the table of fingerprints, a row an image.
FINGERPRINTS = {
    "id": pl.String,
    "source": pl.String,
    "split": pl.String,
    "image": pl.Int32,
    "fingerprint": pl.UInt64,
}
_COLUMNS = ["id", "source", "split", "images", "image_info"]
_AT_ONCE = 100_000
_DECODED_AT_ONCE = 100
#: Enough for a thumbnail, and cheap to decode.
_BUDGET = Budget(min_pixels=28 * 28, max_pixels=256 * 256)

_SIDE, _LOW = 32, 8
THUMBNAIL = 64
#: Standard deviation in grey levels below which an image shows nothing to tell it by.
_FLAT = 2.0


def fingerprint(pixels: NDArray[np.uint8]) -> int | None:
    """64 bits of an RGB image (rows, columns, 3): the signs of its lowest frequencies against
    their median (the perceptual hash of Zauner, 2010); None for one that is all but uniform."""
    import cv2

    grey = _grey(pixels, _SIDE)
    if grey.std() < _FLAT:
        return None
    # Without the mean, which says only how bright the image is.
    low = cv2.dct(grey - grey.mean())[:_LOW, :_LOW].ravel()
    bits = np.packbits(low > np.median(low))
    return int.from_bytes(bits.tobytes(), "big")


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Grey values (THUMBNAIL^2,) with mean 0 and length 1, so that a product is a correlation."""
    grey = _grey(pixels, THUMBNAIL).ravel()
    around_zero = grey - grey.mean()
    unit: NDArray[np.float32] = around_zero / max(float(np.linalg.norm(around_zero)), 1e-6)
    return unit


def fingerprints(dataset: Dataset, progress: ProgressCallback = silent) -> pl.DataFrame:
    """One row an image that shows something, in manifest order, of all records, whether a verdict
    drops them or not. `progress` hears of records read and their total. Raises InputError, which
    names the record, for an image that cannot be decoded."""
    total = sum(shard.rows for shard in dataset.manifest.shards)
    parts, rows = [], []
    for count, (row, hashes) in enumerate(_each(dataset, fingerprint), 1):
        place = (row["id"], row["source"], row["split"])
        rows += [(*place, n, bits) for n, bits in enumerate(hashes) if bits is not None]
        progress(count, total)
        # As columns a million images take 100 MB, as Python objects several times that.
        if len(rows) >= _AT_ONCE or count == total:
            parts.append(pl.DataFrame(rows, schema=FINGERPRINTS, orient="row"))
            rows = []
    return pl.concat([pl.DataFrame(schema=FINGERPRINTS), *parts])


def thumbnails(
    dataset: Dataset, ids: Collection[str]
) -> dict[tuple[str, int], NDArray[np.float32]]:
    """Thumbnails of the images of some records, by record and image."""
    by_image: dict[tuple[str, int], NDArray[np.float32]] = {}
    for row, images in _each(dataset, thumbnail, frozenset(ids)):
        by_image |= {(row["id"], n): image for n, image in enumerate(images)}
    return by_image


def _grey(pixels: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    import cv2

    small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _each(
    dataset: Dataset,
    look: Callable[[NDArray[np.uint8]], T],
    ids: frozenset[str] | None = None,
) -> Iterator[tuple[Mapping[str, Any], list[T]]]:
    """Every record, or those named, with what `look` sees in each of its images."""
    decoder = Decoder(images="array", budget=_BUDGET, reduced=True)

    def views(row: Mapping[str, Any]) -> list[T]:
        return [look(image) for image in decoder(row)["images"]] if row["images"] else []

    places = items.all_places(dataset.files)
    if ids is not None:
        places = places.filter(pl.col("id").is_in(list(ids)))
    rows = items.read_records(dataset.files, dataset.manifest, places.drop("id"), _COLUMNS)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while part := list(islice(rows, _DECODED_AT_ONCE)):
            yield from zip(part, pool.map(views, part), strict=True)
