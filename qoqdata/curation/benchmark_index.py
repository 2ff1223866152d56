"""The index of a benchmark's images and ECGs: what each is recognised by, from the user's copy.

It holds a digest, 64 bits, words of keypoints and small grey images, or the small curve of an ECG,
so that training sets are checked against it where the benchmark itself does not lie. Small images
are still images: it is for whoever may hold them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from qoqdata.atomic import replacing
from qoqdata.curation.details import SIDE, small_grey
from qoqdata.curation.overlaps import SIDE as LARGE
from qoqdata.errors import BadTable, InputError, MissingFile, UsageError
from qoqdata.progress import ProgressCallback, silent
from qoqdata.readers.ecg import read_ecg
from qoqdata.records.content import Ecg
from qoqdata.records.images import image_from_file
from qoqdata.records.keypoints import BYTES
from qoqdata.records.likeness import CURVE, image_likeness, signal_likeness
from qoqdata.sources.rawtree import RawTree, open_raw

#: A row an image (`medium` "image") or a recording ("ecg"); `file` is its path below the copy, of a
#: member `container#member`. `thumbnail` is that of the likeness, (16, 16), or its curve. Images
#: alone have the others: `grey` (64, 64) is what details are compared by, `keypoints` (see
#: `records/keypoints.py`; null where nothing stands out) and `large` (96, 96) what crops are.
SCHEMA = pa.schema(
    [
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("medium", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("digest", pa.binary(16), nullable=False),
        pa.field("bits", pa.uint64()),
        pa.field("thumbnail", pa.binary(CURVE), nullable=False),
        pa.field("grey", pa.binary(SIDE**2)),
        pa.field("keypoints", pa.binary(BYTES)),
        pa.field("large", pa.binary(LARGE**2)),
    ]
)
#: Raised when the same image or recording would give other values.
VERSION = 3
_VERSION = b"benchmark index"

_SUFFIXES = ("*.jpg", "*.jpeg", "*.png", "*.bmp", "*.tif", "*.tiff", "*.webp", "*.gif", "*.jp2")
_ARCHIVES = ("*.zip", "*.tar", "*.tar.gz", "*.tgz")
_TABLES = ("*.parquet", "*.tsv")
#: Headers of recordings (WFDB); signal files without one, as CPSC2018 was first published.
_HEADER, _SIGNAL = ".hea", ".mat"
#: Columns that published tables have their images in.
_COLUMNS = ("image", "img_data")
_AT_ONCE = 256


class _Found(NamedTuple):
    benchmark: str
    medium: str
    raw: RawTree
    file: str


@dataclass(frozen=True)
class BenchmarkIndex:
    """`table` has the columns of SCHEMA: benchmarks by name, of each the image files, then what
    archives and tables hold, then the recordings. `unreadable` are the files that are not in it,
    with why."""

    table: pa.Table
    unreadable: tuple[InputError, ...]


def index_images(copies: Mapping[str, Path], progress: ProgressCallback = silent) -> BenchmarkIndex:
    """The images and recordings below the folders `copies`, by the name of their benchmark.

    Image files, also in archives, cells of Parquet and TSV tables as benchmarks are published, and
    ECGs as files: WFDB records by their headers, and `.mat` files without one. `progress` hears of
    both and their total. Raises UsageError for a folder without any.
    """
    unreadable: list[InputError] = []
    found: list[_Found] = []
    for name, folder in sorted(copies.items()):
        raw = open_raw(folder)
        files = [_Found(name, "image", raw, file) for file in _images(raw, unreadable)]
        files += [_Found(name, "ecg", raw, file) for file in _recordings(raw)]
        if not files:
            fix = "name the folder of the unpacked benchmark"
            raise UsageError("holds no image and no ECG", where=str(folder), fix=fix)
        found += files
    rows = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(found), _AT_ONCE):
            for row in pool.map(_row, found[start : start + _AT_ONCE]):
                if isinstance(row, InputError):
                    unreadable.append(row)
                else:
                    rows.append(row)
            progress(min(start + _AT_ONCE, len(found)), len(found))
    columns = {name: [row[name] for row in rows] for name in SCHEMA.names}
    table = pa.table(columns, SCHEMA.with_metadata({_VERSION: str(VERSION).encode()}))
    return BenchmarkIndex(table, tuple(unreadable))


def write_index(path: Path, index: BenchmarkIndex) -> None:
    """Write the table whole or not at all; the same images give the same bytes."""
    with replacing(path) as draft:
        pq.write_table(index.table, draft, compression="zstd")


def read_index(path: Path) -> pl.DataFrame:
    """The table of an index. Raises MissingFile and BadTable, of other versions too."""
    if not path.is_file():
        raise MissingFile(
            "there is no such index", where=str(path), fix="make it with `qoqdata benchmark-index`"
        )
    fix = f"write it anew with `qoqdata benchmark-index RAW --out {path}`"
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            version = (schema.metadata or {}).get(_VERSION)
            if version is None:
                raise BadTable("is no index of a benchmark", where=str(path), fix=fix)
            if version != str(VERSION).encode():
                what = f"is an index of version {version.decode()}, and {VERSION} is read"
                raise BadTable(what, where=str(path), fix=fix)
            if schema != SCHEMA:
                raise BadTable("has other columns than an index", where=str(path), fix=fix)
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise BadTable("is no sound Parquet file", where=str(path), fix=fix) from error
    return pl.DataFrame(table)


def _images(raw: RawTree, unreadable: list[InputError]) -> Iterator[str]:
    yield from (file for file in raw.files(*_SUFFIXES) if "#" not in file)
    shapes = {suffix.removeprefix("*") for suffix in _SUFFIXES}
    for archive in raw.files(*_ARCHIVES):
        try:
            members = raw.members(archive)
        except InputError as error:
            unreadable.append(error)
            continue
        yield from (one for one in members if Path(one.lower()).suffix in shapes)
    for table in raw.files(*_TABLES):
        for column in _COLUMNS:
            try:
                yield from raw.members(table, f"{column}[*]")
            except BadTable:
                continue  # Tables of questions and predictions lie there too.
            except InputError as error:
                unreadable.append(error)
                break


def _recordings(raw: RawTree) -> Iterator[str]:
    headers = [file for file in raw.files(f"*{_HEADER}") if "#" not in file]
    stems = {file.removesuffix(_HEADER) for file in headers}
    yield from headers
    for file in raw.files(f"*{_SIGNAL}"):
        if "#" not in file and file.removesuffix(_SIGNAL) not in stems:
            yield file


def _row(one: _Found) -> dict[str, object] | InputError:
    grey: bytes | None = None
    large: bytes | None = None
    try:
        path = one.raw.resolve(one.file)
        if one.medium == "image":
            image, _ = image_from_file(path)
            likeness = image_likeness(image.pixels)
            colour = _colour(image.pixels)
            grey, large = (small_grey(colour, side).tobytes() for side in (SIDE, LARGE))
        else:
            own = read_ecg(path)
            likeness = signal_likeness(Ecg(own.leads, own.fs, own.signal, own.valid))
    except InputError as error:
        return error
    return {
        "benchmark": one.benchmark,
        "medium": one.medium,
        "file": one.file,
        "digest": likeness.digest,
        "bits": likeness.bits,
        "thumbnail": likeness.thumbnail,
        "grey": grey,
        "keypoints": likeness.keypoints,
        "large": large,
    }


def _colour(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
