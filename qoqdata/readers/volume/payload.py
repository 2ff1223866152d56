"""Voxel values from one data file or from several that follow one another.

MetaImage and NRRD say the same thing in different words: after so many bytes of this file come so
many values in this encoding. A `Payload` is that statement; `read_values` acts on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import TooLarge, UnreadableFile
from qoqdata.readers.limits import Limits
from qoqdata.readers.volume.datafile import file_bytes, open_regular
from qoqdata.readers.volume.inflate import Encoding, could_hold, fill, inflated

PayloadEncoding = Encoding | Literal["text", "hex"]

# Writers pad raw files to whole blocks; anything longer means that the header is wrong.
LONGEST_PADDING = 4096
# The longest decimal form of a float64, with room to spare.
LONGEST_NUMBER = 64


@dataclass(frozen=True)
class Payload:
    """Where the values of a file lie.

    offset: bytes of the file before the encoded data; -1 (raw only) means that the data are the
        last bytes of the file.
    skip: bytes to drop after decoding (raw, gzip, zlib, bzip2).
    """

    path: Path
    encoding: PayloadEncoding
    offset: int = 0
    skip: int = 0


def padding_allowed(slice_bytes: int) -> int:
    """How many bytes may follow the voxels: less than one slice, and 4096 at most."""
    return max(0, min(LONGEST_PADDING, slice_bytes - 1))


def read_values(
    payloads: list[Payload], dtype: np.dtype, count: int, *, slack: int, limits: Limits
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """`count` values (1-D, native byte order) spread evenly over the payloads, and repairs made.

    `dtype` carries the byte order of the file; `count` must be a multiple of the number of
    payloads. Sizes are checked against the limits and against the files' real lengths before any
    memory is taken. Raises TooLarge and UnreadableFile.
    """
    share = count // len(payloads)
    limits.check("inflated_bytes", count * dtype.itemsize, where=str(payloads[0].path))
    for payload in payloads:
        _check_length(payload, share, dtype.itemsize, limits)
    try:
        values = np.empty(count, dtype)
    except MemoryError as error:
        raise TooLarge(
            f"{count * dtype.itemsize:,} bytes of voxels exceed the memory of this machine",
            where=str(payloads[0].path),
        ) from error
    repairs: list[str] = []
    for number, payload in enumerate(payloads):
        part = values[number * share : (number + 1) * share]
        with open_regular(payload.path, limits) as stream:
            extra = _read_part(stream, payload, part, slack)
        if extra:
            repairs.append(f"{extra} bytes after the voxels of {payload.path.name} were ignored")
    return in_native_order(values), tuple(repairs)


def in_native_order(values: NDArray[Any]) -> NDArray[Any]:
    """`values` in this machine's byte order; swapped in place where they are not."""
    if values.dtype.isnative:
        return values
    return values.byteswap(inplace=True).view(values.dtype.newbyteorder("="))


def _check_length(payload: Payload, count: int, itemsize: int, limits: Limits) -> None:
    length = file_bytes(payload.path, limits)
    decoded_size = count * itemsize
    size = length - max(payload.offset, 0)
    limits.check("inflated_bytes", decoded_size + payload.skip, where=str(payload.path))
    if payload.encoding == "text" or payload.encoding == "hex":
        # A digit and a space for each number; two digits for each byte of hex.
        least, most = (
            (2 * count - 1, LONGEST_NUMBER * count)
            if payload.encoding == "text"
            else (2 * decoded_size, 4 * decoded_size)
        )
        enough = size >= least
        if size > most + LONGEST_PADDING:
            raise UnreadableFile(
                f"{size:,} bytes of {payload.encoding} are too many for {count:,} values",
                where=str(payload.path),
            )
    else:
        enough = size >= 0 and could_hold(size, decoded_size + payload.skip, payload.encoding)
    if not enough:
        raise UnreadableFile(
            f"{max(size, 0):,} bytes of {payload.encoding} data cannot hold {count:,} values "
            f"of {itemsize} bytes",
            where=str(payload.path),
            fix="fetch the file again, or check the sizes and the element type in the header",
        )


def _read_part(stream: BinaryIO, payload: Payload, part: NDArray[Any], slack: int) -> int:
    """Fill `part` from the open file; returns the number of bytes left over."""
    where = str(payload.path)
    if payload.offset < 0:
        stream.seek(-part.nbytes, 2)
    else:
        stream.seek(payload.offset)
    if payload.encoding == "text":
        part[:] = numbers_from_text(stream.read(), part.dtype, len(part), where=where)
        return 0
    if payload.encoding == "hex":
        part.view(np.uint8)[:] = _bytes_from_hex(stream.read(), part.nbytes, where=where)
        return 0
    chunks = inflated(stream, payload.encoding, where=where)
    return fill(part.view(np.uint8), chunks, skip=payload.skip, slack=slack, where=where)


def numbers_from_text(text: bytes, dtype: np.dtype, count: int, *, where: str) -> NDArray[Any]:
    """Exactly `count` decimal numbers, split at white space, as `dtype` and in its range.

    Whole numbers may be written as 1.0 or 1e0. Raises UnreadableFile for anything else.
    """
    words = text.split()
    if len(words) != count:
        raise UnreadableFile(f"{len(words):,} numbers where {count:,} belong", where=where)
    if max(map(len, words)) > LONGEST_NUMBER:
        raise UnreadableFile("a number of absurd length", where=where)
    try:
        if dtype.kind != "f" and dtype.itemsize == 8:
            return np.array([int(word) for word in words], dtype=dtype)
        numbers = np.array(words).astype(np.float64)
    except (ValueError, OverflowError) as error:
        raise UnreadableFile(f"text where numbers belong: {error}", where=where) from error
    if dtype.kind == "f":
        in_range = ~np.isfinite(numbers) | (np.abs(numbers) <= np.finfo(dtype).max)
    else:
        bounds = np.iinfo(dtype)
        whole = numbers == np.rint(numbers)
        in_range = whole & (numbers >= bounds.min) & (numbers <= bounds.max)
    if not in_range.all():
        raise UnreadableFile(f"numbers that do not fit {dtype.name}", where=where)
    return numbers.astype(dtype)


def _bytes_from_hex(text: bytes, count: int, *, where: str) -> NDArray[np.uint8]:
    try:
        data = bytes.fromhex(text.decode("ascii"))
    except ValueError as error:
        raise UnreadableFile(f"damaged hex data: {error}", where=where) from error
    if len(data) != count:
        raise UnreadableFile(f"{len(data):,} bytes of hex where {count:,} belong", where=where)
    return np.frombuffer(data, np.uint8)
