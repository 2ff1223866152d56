"""What the records of a large set show: likenesses as a build leaves them, spread as those of real
images and signals are, with copies planted among them; and shards with pixels to look at.

Small images are sums of low frequencies about one of their domain: by domain 24 to 105 in 10,000
pairs correlate by 0.95 in some way to lie. Of 13,108 pairs of different real images of one source
17 do (13 in 10,000, all of eyes; of 27,675 pairs with those across sources 6 in 10,000). Bits are
noisy copies of 32 hidden ones that are set in a fifth of the words, so that two words are 24 bits
apart as those of real images are (22 of 119 images of skin, tissue and films). Of the words of
keypoints six in ten are of 10,000 that all images share: two words of different real images agree
as often (4 in 100,000).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.record import RECORD
from qoqdata.records import likeness_table
from qoqdata.records.keypoints import BYTES, POINTS
from qoqdata.records.likeness import CURVE, THUMBNAIL, image_likeness, turned

#: One in so many records of a split is planted, of each kind.
EVERY = 400
#: Records of one question and other studies are so far apart in `large`.
_SAME_QUESTION = 13
_HIDDEN, _SET, _NOISE = 32, 0.2, 0.08
_COMMON, _OF_COMMON = 10_000, 0.6
_FREQUENCIES = 6
#: Of small images, the part that all of a domain have, in parts of what is their own.
_ALIKE = 1.1
_ROW_GROUP = 100
_RECORD = arrow_schema(RECORD)


class Planted(NamedTuple):
    """Training records that repeat an earlier one, that show what a test record shows with equal
    digests, and that show it changed: images turned, smaller and as JPEG, signals with noise."""

    repeats: int = 0
    equal: int = 0
    alike: int = 0


class Shows(NamedTuple):
    """Of the records of a source, row by row: digests (n, 16) and small images or curves (n, 256)
    as uint8, bits (n,), keypoints (n, BYTES) or None for signals; JPEGs of the rows of which one is
    planted as another one changed."""

    digests: np.ndarray
    bits: np.ndarray
    small: np.ndarray
    keypoints: np.ndarray | None
    pictures: dict[int, bytes]


def shown(
    rng: np.random.Generator, tests: int, trained: int, rest: int, *, signals: bool
) -> tuple[Shows, Planted]:
    """What records of test, train and validation show, in this order."""
    count = tests + trained + rest
    of = Shows(
        rng.integers(0, 256, (count, 16), np.uint8),
        _bits(rng, count),
        rng.integers(0, 256, (count, CURVE), np.uint8) if signals else _small(rng, count),
        None if signals else _keypoints(rng, count),
        {},
    )
    first = tests + np.arange(0, trained - _SAME_QUESTION, EVERY)
    _copy(of, first, first + _SAME_QUESTION)
    test = np.arange(EVERY // 4, tests, EVERY)
    _copy(of, tests + EVERY // 2 + EVERY * np.arange(len(test)), test)
    changed = np.arange(3 * EVERY // 4, tests, EVERY)
    train = tests + EVERY // 4 + EVERY * np.arange(len(changed))
    for a, b in zip(train.tolist(), changed.tolist(), strict=True):
        if signals:
            of.bits[b] = of.bits[a] ^ np.uint64(0b101 << int(rng.integers(61)))
            noisy = of.small[a] + rng.normal(0, 2, CURVE)
            of.small[b] = np.clip(np.rint(noisy), 0, 255)
        else:
            whole = _picture(rng)
            way = np.ascontiguousarray(turned(whole)[rng.integers(8)])
            _show(of, a, whole)
            _show(of, b, cv2.resize(way, (90, 90), interpolation=cv2.INTER_AREA))
    return of, Planted(len(first), len(test), len(changed))


def likeness_of(of: Shows, rows: slice) -> pa.Table:
    """The table that a build leaves beside the shard of some rows."""
    count = len(of.bits[rows])
    if of.keypoints is None:
        medium, keypoints = "ecg", pa.nulls(count, pa.binary(BYTES))
    else:
        medium, keypoints = "image", _fixed(of.keypoints[rows])
    return pa.Table.from_arrays(
        [
            pa.array(np.arange(count, dtype=np.int32)),
            pa.repeat(pa.scalar(medium), count),
            pa.array(np.zeros(count, np.int32)),
            _fixed(of.digests[rows]),
            pa.array(of.bits[rows]),
            _fixed(of.small[rows]),
            *(pa.array(np.full(count, value, np.float32)) for value in (50.0, 0.01, 0.01)),
            keypoints,
        ],
        schema=likeness_table.SCHEMA,
    )


def write_pixels(path: Path, of: Shows, rows: slice) -> None:
    """The shard of some rows with ids and images alone: those of planted copies, and one that no
    other has in each row group, for whatever is decoded beside them."""
    rng = np.random.default_rng(rows.start)
    with pq.ParquetWriter(path, _RECORD, compression="zstd", write_page_checksum=True) as writer:
        for start in range(rows.start, rows.stop, _ROW_GROUP):
            other = _jpeg(_picture(rng, 64))
            own = range(start, min(start + _ROW_GROUP, rows.stop))
            images = [[{"bytes": of.pictures.get(n, other), "path": "i.jpg"}] for n in own]
            filled = {"id": [str(n) for n in own], "images": images}
            columns = [
                pa.array(filled[f.name], f.type) if f.name in filled else pa.nulls(len(own), f.type)
                for f in _RECORD
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=_RECORD))


def _copy(of: Shows, there: np.ndarray, here: np.ndarray) -> None:
    for column in (of.digests, of.bits, of.small, of.keypoints):
        if column is not None:
            column[here] = column[there]


def _show(of: Shows, row: int, grey: np.ndarray) -> None:
    pixels = cv2.cvtColor(
        cv2.imdecode(np.frombuffer(_jpeg(grey), np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB
    )
    one = image_likeness(np.asarray(pixels, np.uint8))
    assert one.bits is not None and one.keypoints is not None and of.keypoints is not None
    of.digests[row] = np.frombuffer(one.digest, np.uint8)
    of.bits[row] = one.bits
    of.small[row] = np.frombuffer(one.thumbnail, np.uint8)
    of.keypoints[row] = np.frombuffer(one.keypoints, np.uint8)
    of.pictures[row] = _jpeg(grey)


def _picture(rng: np.random.Generator, side: int = 128) -> np.ndarray:
    """Blobs of many sizes, uint8 (side, side)."""
    sizes = (4, 8, 16, 32)
    layers = [
        cv2.resize(rng.normal(0, 1, (n, n)), (side, side), interpolation=cv2.INTER_CUBIC)
        for n in sizes
    ]
    return np.clip(128 + 35 * np.sum(layers, axis=0), 0, 255).astype(np.uint8)


def _jpeg(grey: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def _bits(rng: np.random.Generator, count: int) -> np.ndarray:
    which, base = rng.integers(0, _HIDDEN, 64), rng.integers(0, 2**64, dtype=np.uint64)
    words = np.empty(count, np.uint64)
    for part in _parts(count):
        size = (len(words[part]), 64)
        hidden = rng.random((size[0], _HIDDEN), np.float32) < _SET
        bits = hidden[:, which] ^ (rng.random(size, np.float32) < _NOISE)
        words[part] = np.packbits(bits, axis=1).view(np.uint64).ravel() ^ base
    return words


def _small(rng: np.random.Generator, count: int) -> np.ndarray:
    line = np.arange(_FREQUENCIES)
    waves = np.cos(np.pi / THUMBNAIL * np.outer(line, np.arange(THUMBNAIL) + 0.5))
    basis = np.kron(waves, waves).astype(np.float32)[1:]
    scale = (40 / (1 + line[:, None] ** 2 + line**2)).ravel()[1:].astype(np.float32)
    middle = rng.normal(0, 1, len(scale)).astype(np.float32) * scale
    size = np.linalg.norm(basis, axis=1)
    middle *= _ALIKE * np.linalg.norm(scale * size) / np.linalg.norm(middle * size)
    small = np.empty((count, CURVE), np.uint8)
    for part in _parts(count):
        own = rng.normal(0, 1, (len(small[part]), len(scale))).astype(np.float32) * scale
        small[part] = np.clip(128 + (middle + own) @ basis, 0, 255)
    return small


def _keypoints(rng: np.random.Generator, count: int) -> np.ndarray:
    shared = np.random.default_rng(0).integers(1, 2**32, _COMMON, dtype=np.uint32) & ~np.uint32(15)
    cells = np.empty((count, BYTES), np.uint8)
    for part in _parts(count):
        size = (len(cells[part]), POINTS)
        words = rng.integers(1, 2**32, size, dtype=np.uint32)
        common = rng.random(size, np.float32) < _OF_COMMON
        few = shared[rng.integers(0, _COMMON, size)] | (words & 15)
        cells[part, : 4 * POINTS] = np.where(common, few, words).view(np.uint8)
        cells[part, 4 * POINTS :] = rng.integers(0, 256, (size[0], 2 * POINTS), np.uint8)
    return cells


def _parts(count: int) -> Iterator[slice]:
    return (slice(start, start + 20_000) for start in range(0, count, 20_000))


def _fixed(values: np.ndarray) -> pa.Array:
    """A column of fixed bytes from rows of uint8."""
    data = pa.py_buffer(np.ascontiguousarray(values).data)
    return pa.Array.from_buffers(pa.binary(values.shape[1]), len(values), [None, data])
