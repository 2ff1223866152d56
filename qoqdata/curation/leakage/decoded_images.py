"""Every image of a data set, decoded once."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from qoqdata.curation.leakage.fingerprints import fingerprint, thumbnail
from qoqdata.dataset import Dataset
from qoqdata.stream.decode import Budget, Decoder

T = TypeVar("T")

SHOWN = {
    "id": pl.String,
    "source": pl.String,
    "split": pl.String,
    "image": pl.Int32,
    "fingerprint": pl.UInt64,
}
_COLUMNS = ["id", "source", "split", "images", "image_info"]
_AT_ONCE = 100_000
#: Enough for a thumbnail, and cheap to decode.
_BUDGET = Budget(min_pixels=28 * 28, max_pixels=256 * 256)


def fingerprints(
    dataset: Dataset, told: Callable[[int, int], None] = lambda *_: None
) -> pl.DataFrame:
    """One row an image that shows something, in manifest order, of all records, whether a verdict
    drops them or not. `told` hears of records read and their total. Raises InputError, which names
    the record, for an image that cannot be decoded."""
    total = sum(shard.rows for shard in dataset.manifest.shards)
    parts, rows = [], []
    for done, (row, found) in enumerate(_each(dataset, fingerprint), 1):
        place = (row["id"], row["source"], row["split"])
        rows += [(*place, n, bits) for n, bits in enumerate(found) if bits is not None]
        told(done, total)
        # As columns a million images take 100 MB, as Python objects several times that.
        if len(rows) >= _AT_ONCE or done == total:
            parts.append(pl.DataFrame(rows, schema=SHOWN, orient="row"))
            rows = []
    return pl.concat([pl.DataFrame(schema=SHOWN), *parts])


def thumbnails(
    dataset: Dataset, ids: Collection[str]
) -> dict[tuple[str, int], NDArray[np.float32]]:
    """Thumbnails of the images of some records, by record and image."""
    found: dict[tuple[str, int], NDArray[np.float32]] = {}
    for row, images in _each(dataset, thumbnail, frozenset(ids)):
        found |= {(row["id"], n): image for n, image in enumerate(images)}
    return found


def _each(
    dataset: Dataset,
    look: Callable[[NDArray[np.uint8]], T],
    ids: frozenset[str] | None = None,
) -> Iterator[tuple[Mapping[str, Any], list[T]]]:
    """Every record, or those named, with what `look` sees in each of its images."""
    decoder = Decoder(images="array", budget=_BUDGET, reduced=True)

    def seen(row: Mapping[str, Any]) -> list[T]:
        return [look(image) for image in decoder(row)["images"]] if row["images"] else []

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for shard in dataset.manifest.shards:
            with pq.ParquetFile(dataset.files.local(shard)) as file:
                for group in range(file.num_row_groups):
                    rows = _rows(file, group, ids)
                    yield from zip(rows, pool.map(seen, rows), strict=True)


def _rows(file: pq.ParquetFile, group: int, ids: frozenset[str] | None) -> list[dict[str, Any]]:
    if ids is None:
        return file.read_row_group(group, columns=_COLUMNS).to_pylist()
    # The column of ids tells whether the images have to be read at all.
    names = file.read_row_group(group, columns=["id"])["id"].to_pylist()
    wanted = [place for place, name in enumerate(names) if name in ids]
    if not wanted:
        return []
    return file.read_row_group(group, columns=_COLUMNS).take(wanted).to_pylist()
