"""Findings of a data set: each distinct image is looked at once, wherever it stands."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, NamedTuple

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from qoqdata import items
from qoqdata.curation.burned_in.looking import Seen, look
from qoqdata.dataset import Dataset
from qoqdata.progress import ProgressCallback, silent
from qoqdata.readers.dicom.burned_in import CAPTURED, STATED
from qoqdata.stream.decode import Decoder

#: A row for each line of text in each image of each record. `kind` is text, marker (one or two
#: letters, such as L and R on a radiograph) or tag (what a header states of the image as a whole,
#: without a box); corners are in stored pixels; `length` counts characters. The text is nowhere.
FINDINGS = {
    "id": pl.String,
    "source": pl.String,
    "image": pl.Int32,
    "x0": pl.Int32,
    "y0": pl.Int32,
    "x1": pl.Int32,
    "y1": pl.Int32,
    "kind": pl.String,
    "evidence": pl.String,
    "score": pl.Float32,
    "length": pl.Int32,
}
#: Devices of these domains write on their pictures as a rule.
_WRITING_DOMAINS = ("ultrasound",)
_COLUMNS = ["id", "source", "domain", "images", "image_info", "provenance"]
_AT_ONCE = 64
#: Encoded bytes of images that one thread looks at in one go.
_BYTES = 256 * 2**10
#: A record, and the number of its image.
_Place = tuple[Mapping[str, Any], int]


class Looked(NamedTuple):
    """The findings, and how many distinct images of each source were looked at."""

    findings: pl.DataFrame
    images: dict[str, int]


#: Hears of a record's id, the number of its image, pixels (rows, columns, 3), and what was seen.
Shown = Callable[[str, int, NDArray[np.uint8], list[Seen]], None]


def find_burned_in(
    dataset: Dataset,
    sources: Collection[str],
    *,
    ocr: bool,
    shown: Shown,
    progress: ProgressCallback = silent,
) -> Looked:
    """Look at every stored image of the records of `sources`, whether a verdict drops them or not.

    `shown` is called once for a distinct image with text, `progress` with records and their total.
    Raises InputError, which names the record, for an image that cannot be decoded.
    """
    total = sum(shard.rows for shard in dataset.manifest.shards if shard.source in sources)
    done = 0
    known: dict[bytes, list[Seen]] = {}
    digests: dict[str, set[bytes]] = defaultdict(set)
    rows: list[tuple[Any, ...]] = []
    with _one_thread_an_image(), ThreadPoolExecutor(os.cpu_count()) as pool:
        records = _records(dataset, sources)
        while part := [(row, _keys(row)) for row in islice(records, _AT_ONCE)]:
            new: dict[bytes, _Place] = {}
            for row, keys in part:
                for number, key in enumerate(keys):
                    if key not in known:
                        new.setdefault(key, (row, number))
            looked = pool.map(lambda some: [_look(*place, ocr=ocr) for place in some], _shared(new))
            each = chain.from_iterable(looked)
            for (key, (first, number)), (pixels, seen) in zip(new.items(), each, strict=True):
                known[key] = seen
                if seen:
                    shown(first["id"], number, pixels, seen)
            for row, keys in part:
                digests[row["source"]].update(keys)
                rows += _rows(row, [known[key] for key in keys])
            done += len(part)
            progress(done, total)
    # Those without images, too.
    progress(total, total)
    findings = pl.DataFrame(rows, schema=FINDINGS, orient="row")
    images = {source: len(digests[source]) for source in sorted(sources)}
    return Looked(findings.sort("id", "image", "y0", "x0", "evidence"), images)


def _shared(new: Mapping[bytes, _Place]) -> Iterator[list[_Place]]:
    """Images for a thread each: handing small ones over one by one costs as much as looking."""
    places, weight, held = list(new.values()), 0, 0
    for number, (row, image) in enumerate(places):
        weight += len(row["images"][image]["bytes"])
        if weight >= _BYTES or number + 1 == len(places):
            yield places[held : number + 1]
            weight, held = 0, number + 1


@contextmanager
def _one_thread_an_image() -> Iterator[None]:
    """Images are looked at side by side; OpenCV's own threads would only wait for each other."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _records(dataset: Dataset, sources: Collection[str]) -> Iterator[dict[str, Any]]:
    numbers = [n for n, shard in enumerate(dataset.manifest.shards) if shard.source in sources]
    places = items.all_places(dataset.files).filter(pl.col("shard").is_in(numbers)).drop("id")
    return items.read_records(dataset.files, dataset.manifest, places, _COLUMNS, that_have="images")


def _keys(row: Mapping[str, Any]) -> list[bytes]:
    """A key of each stored image: whether its device is suspect, and a digest of its bytes."""
    suspect = bytes([_is_suspect(row)])
    return [
        suspect + hashlib.blake2b(image["bytes"], digest_size=15).digest()
        for image in row["images"] or ()
    ]


def _is_suspect(row: Mapping[str, Any]) -> bool:
    return row["domain"] in _WRITING_DOMAINS or bool({STATED, CAPTURED} & set(_notes(row)))


def _notes(row: Mapping[str, Any]) -> Collection[str]:
    return (row["provenance"] or {}).get("notes") or ()


def _look(
    row: Mapping[str, Any], number: int, *, ocr: bool
) -> tuple[NDArray[np.uint8], list[Seen]]:
    one = {"id": row["id"], "images": [row["images"][number]]}
    if row["image_info"]:
        one["image_info"] = [row["image_info"][number]]
    (pixels,) = Decoder(images="array")(one)["images"]
    return pixels, look(pixels, suspect=_is_suspect(row), ocr=ocr)


def _rows(row: Mapping[str, Any], by_image: list[list[Seen]]) -> Iterator[tuple[Any, ...]]:
    for number, seen in enumerate(by_image):
        if STATED in _notes(row):
            place = (row["id"], row["source"], number)
            yield (*place, None, None, None, None, "tag", "header", None, None)
        for one in seen:
            yield (row["id"], row["source"], number, *one)
