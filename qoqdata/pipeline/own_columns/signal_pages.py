"""Column chunks of signals: a page for the rows of a recording, its values repeated.

Rows are lists of leads, and leads of samples, each of which may be null by the schema: a sample
that is there has definition level 6; its repetition level is 0 where it begins a row, 1 where it
begins a lead, and 2 elsewhere. So levels are a few runs, whatever the number of samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pyarrow as pa

from qoqdata.pipeline.own_columns.chunk import PLAIN, RLE, Chunk, level_run, page_header
from qoqdata.pipeline.own_columns.runs import SignalRun
from qoqdata.pipeline.own_columns.thrift import FALSE, I32, Kept, Struct, read_varint, varint

#: Numbers of the format.
BY_DICTIONARY, BYTE_STREAM_SPLIT = 8, 9
DATA_PAGE, DICTIONARY_PAGE = 0, 2
_PRESENT = 6
#: Bytes of samples, repeated, that a page may hold: no reader has to inflate more at once.
_PAGE_BYTES = 2**24
#: Samples of each value from which on signals have a dictionary, in the first recording: all
#: together have far fewer values a sample.
SAMPLES_A_VALUE = 4
#: Both are whole bytes: a compressor finds more in them, and they are not to be packed bit by bit.
_NARROW, _WIDE = np.dtype("<u2"), np.dtype("<u4")


def signal_chunk(runs: Sequence[SignalRun], codec: str) -> Chunk:
    """The samples of a row group: by a dictionary where they are steps of a recorder; where they
    are computed, in bytes of equal significance, which a compressor needs where all differ."""
    if not _is_quantised(runs):
        return _chunk([], ((run, _split(run.samples)) for run in runs), BYTE_STREAM_SPLIT, codec)
    # As bits, so that -0.0 and NaN of any kind stay what they are.
    samples = np.concatenate([run.samples for run in runs]).view(np.int32)
    coded = pa.array(samples).dictionary_encode()
    values = coded.dictionary.to_numpy()
    width = _NARROW if len(values) <= 2**16 else _WIDE
    places = coded.indices.to_numpy().astype(width)
    own = np.split(places, np.cumsum([run.samples.size for run in runs])[:-1])
    return _chunk([values], zip(runs, own, strict=True), BY_DICTIONARY, codec)


def valid_chunk(runs: Sequence[SignalRun], codec: str) -> Chunk:
    """The masks of a row group, a bit a sample."""
    return _chunk([], ((run, run.valid) for run in runs), PLAIN, codec)


def _chunk(
    dictionary: Sequence[np.ndarray],
    parts: Iterable[tuple[SignalRun, np.ndarray]],
    encoding: int,
    codec: str,
) -> Chunk:
    stored: list[bytes] = []
    place = inflated = total = row = 0
    for values in dictionary:
        facts: Struct = {1: (I32, len(values)), 2: (I32, PLAIN), 3: (FALSE, Kept())}
        page, size = _page(DICTIONARY_PAGE, 7, facts, values.tobytes(), codec)
        stored += page
        place, inflated = sum(map(len, page)), size
    begin = place
    pages = []
    for run, values in parts:
        for part in _cut(run):
            count = part.rows * max(part.samples.size, 1)
            body = page_body(encoding, part.rows, part.leads, part.samples.size, values)
            facts = {1: (I32, count), 2: (I32, encoding), 3: (I32, RLE), 4: (I32, RLE)}
            page, size = _page(DATA_PAGE, 5, facts, body, codec)
            length = sum(map(len, page))
            pages.append((place, length, row))
            stored += page
            place, inflated = place + length, inflated + size
            total, row = total + count, row + part.rows
    encodings = (PLAIN, RLE, encoding) if dictionary else (RLE, encoding)
    return Chunk(stored, place, begin, inflated, total, encodings, tuple(pages))


def page_body(encoding: int, rows: int, leads: int, samples: int, values: np.ndarray) -> bytes:
    """What a page holds: levels, then the `values` of a row, as they are stored, in each of `rows`.
    `samples` counts those of all leads of a row."""
    return b"".join((_levels(rows, leads, samples), *_ENCODED[encoding](values, rows)))


def row_shape(body: bytes, count: int) -> tuple[int, int, int]:
    """The rows, and the leads and samples of each, of a page of so many values, if it is ours.

    Raises ValueError and IndexError where it is not.
    """
    end = 4 + int.from_bytes(body[:4], "little")
    if body[end + 4 :].startswith(level_run(count, 0)):
        return count, 0, 0
    levels = body[4:end]
    # A lead begins with a run of one level, 0 or 1, which one of 2 follows if it has more samples.
    rest, end = read_varint(levels, 2) if len(levels) > 2 else (0, 0)
    lead, length = (1 + (rest >> 1), end + 1) if end and levels[end] == 2 else (1, 2)
    begins = levels[1::length]
    rows = begins.count(0)
    leads = len(begins) // rows if rows else 0
    if rows * leads * lead != count or rows > _most_rows(4 * leads * lead):
        raise ValueError("is no page of one recording")
    return rows, leads, leads * lead


def first_row(body: bytes, encoding: int, rows: int, leads: int, samples: int) -> np.ndarray:
    """The values of the first row of a page as they are stored, if it is ours."""
    at = len(_levels(rows, leads, samples))
    if encoding == BY_DICTIONARY:
        width = _NARROW if body[at] == 8 * _NARROW.itemsize else _WIDE
        return np.frombuffer(body, width, samples, at + len(_places_head(width, samples * rows)))
    if encoding == BYTE_STREAM_SPLIT:
        streams = np.frombuffer(body, np.uint8, 4 * rows * samples, at)
        return np.ascontiguousarray(streams.reshape(4, rows, samples)[:, 0])
    bits = np.frombuffer(body, np.uint8, -(-samples // 8), at)
    return np.unpackbits(bits, count=samples, bitorder="little").view(np.bool_)


def _cut(run: SignalRun) -> Iterator[SignalRun]:
    """Parts of a run whose samples fit a page; a row is never cut."""
    most = _most_rows(run.samples.nbytes)
    for at in range(0, run.rows, most):
        yield replace(run, rows=min(most, run.rows - at))


def _most_rows(size: int) -> int:
    return max(1, _PAGE_BYTES // max(size, 1))


def _page(
    kind: int, field: int, facts: Struct, body: bytes, codec: str
) -> tuple[tuple[bytes, bytes], int]:
    """Header and content of a page, and its size when inflated."""
    stored = pa.Codec(codec).compress(body, asbytes=True)
    header = page_header(kind, field, facts, inflated=len(body), stored=[stored])
    return (header, stored), len(header) + len(body)


@lru_cache(maxsize=64)
def _levels(rows: int, leads: int, samples: int) -> bytes:
    """Repetition and definition levels of rows, each behind its length."""
    if not leads:
        levels = (level_run(rows, 0), level_run(rows, 0))
    else:
        rest = samples // leads - 1
        first, later = ((level_run(1, level) + level_run(rest, 2)) for level in (0, 1))
        levels = ((first + later * (leads - 1)) * rows, level_run(rows * samples, _PRESENT))
    return b"".join(len(one).to_bytes(4, "little") + one for one in levels)


def _places(places: np.ndarray, rows: int) -> list[bytes]:
    """Places in the dictionary: bits of each, then one run of groups of eight."""
    count = places.size * rows
    fill = bytes(-count % 8 * places.itemsize)
    return [_places_head(places.dtype, count), *[places.tobytes()] * rows, fill]


def _places_head(width: np.dtype, count: int) -> bytes:
    groups = -(-count // 8)
    return bytes([8 * width.itemsize]) + (varint(groups << 1 | 1) if groups else b"")


def _split(samples: np.ndarray) -> np.ndarray:
    """The bytes (4, samples) of float32, those of the lowest significance first."""
    return np.ascontiguousarray(samples.astype("<f4").view(np.uint8).reshape(-1, 4).T)


def _streams(split: np.ndarray, rows: int) -> list[bytes]:
    return [stream.tobytes() for stream in split for _ in range(rows)]


def _bits(valid: np.ndarray, rows: int) -> list[bytes]:
    if valid.size % 8 == 0:
        return [np.packbits(valid, bitorder="little").tobytes()] * rows
    return [np.packbits(np.tile(valid, rows), bitorder="little").tobytes()]


_ENCODED = {BY_DICTIONARY: _places, BYTE_STREAM_SPLIT: _streams, PLAIN: _bits}


def _is_quantised(runs: Sequence[SignalRun]) -> bool:
    """Whether samples are those of a recorder, steps of its resolution, and not computed ones."""
    samples = next(run.samples for run in runs if run.leads)
    return SAMPLES_A_VALUE * len(pa.array(samples).unique()) <= len(samples)
