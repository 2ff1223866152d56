"""Bounded inflation: a compressed stream is decoded piece by piece, never further than asked.

A few megabytes of deflate can stand for gigabytes. No step here holds more than one chunk of
output beside the caller's own buffer, and `could_hold` refuses impossible promises before that
buffer exists.
"""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, Literal

from numpy.typing import NDArray

from qoqdata.errors import UnreadableFile

Encoding = Literal["raw", "gzip", "zlib", "bzip2"]

CHUNK = 2**20
# Deflate's best case: one symbol of two bits for 258 bytes (zlib technical notes).
DEFLATE_RATIO = 1032
# How a further member of a stream begins; a zlib stream has only one.
MEMBER_MAGIC: dict[str, bytes] = {"gzip": b"\x1f\x8b", "bzip2": b"BZh"}
LONGEST_MAGIC = 3


def could_hold(encoded_bytes: int, decoded_bytes: int, encoding: Encoding) -> bool:
    """Whether `encoded_bytes` of `encoding` can decode to at least `decoded_bytes`."""
    if encoding == "raw":
        return encoded_bytes >= decoded_bytes
    if encoding == "bzip2":
        return encoded_bytes > 0 or decoded_bytes == 0
    return encoded_bytes * DEFLATE_RATIO >= decoded_bytes


def inflated(stream: BinaryIO, encoding: Encoding, *, where: str) -> Iterator[bytes]:
    """The decoded bytes of `stream` from its position to its end, in chunks of at most 1 MiB.

    Encodings: raw; gzip (RFC 1952, several members and zero padding allowed); zlib (RFC 1950, a
    gzip header is understood too); bzip2. Checksums are verified where the format has them.
    Raises UnreadableFile for a truncated or damaged stream, and for foreign bytes after its end.
    """
    try:
        if encoding == "raw":
            yield from iter(lambda: stream.read(CHUNK), b"")
        elif encoding == "bzip2":
            yield from _bunzipped(stream, where)
        else:
            yield from _undeflated(stream, encoding, where)
    except (zlib.error, OSError, EOFError) as error:
        raise UnreadableFile(
            f"damaged {encoding} data: {error}", where=where, fix="fetch the file again"
        ) from error


def _truncated(where: str) -> UnreadableFile:
    return UnreadableFile(
        "the compressed data end too early", where=where, fix="fetch the file again"
    )


def _undeflated(stream: BinaryIO, encoding: Encoding, where: str) -> Iterator[bytes]:
    wbits = 31 if encoding == "gzip" else 47
    data = stream.read(CHUNK)
    while True:
        decoder = zlib.decompressobj(wbits)
        while not decoder.eof:
            data = data or stream.read(CHUNK)
            piece = decoder.decompress(data, CHUNK)
            if not data and not piece and not decoder.eof:
                raise _truncated(where)
            if piece:
                yield piece
            data = decoder.unconsumed_tail
        data = _next_member(stream, decoder.unused_data, encoding, where)
        if not data:
            return


def _bunzipped(stream: BinaryIO, where: str) -> Iterator[bytes]:
    data = stream.read(CHUNK)
    while True:
        decoder = bz2.BZ2Decompressor()
        while not decoder.eof:
            if decoder.needs_input:
                data = data or stream.read(CHUNK)
                if not data:
                    raise _truncated(where)
            piece = decoder.decompress(data, CHUNK)
            data = b""
            if piece:
                yield piece
        data = _next_member(stream, decoder.unused_data, "bzip2", where)
        if not data:
            return


def _next_member(stream: BinaryIO, data: bytes, encoding: Encoding, where: str) -> bytes:
    """The bytes of a following member, b"" at the end of the stream; zero padding is dropped."""
    data = (data or stream.read(CHUNK)).lstrip(b"\0")
    while len(data) < LONGEST_MAGIC and (more := stream.read(CHUNK)):
        data = (data + more).lstrip(b"\0")
    if data and not (encoding in MEMBER_MAGIC and data.startswith(MEMBER_MAGIC[encoding])):
        raise UnreadableFile(
            f"{len(data):,} or more foreign bytes follow the compressed data",
            where=where,
            fix="fetch the file again",
        )
    return data


def fill(
    buffer: NDArray[Any], chunks: Iterator[bytes], *, skip: int, slack: int, where: str
) -> int:
    """Copy decoded bytes into `buffer` (uint8, 1-D) after dropping the first `skip`.

    Returns how many bytes followed the last one needed. Raises UnreadableFile when the chunks end
    before the buffer is full, or go on for more than `slack` bytes after it.
    """
    position = extra = 0
    for chunk in chunks:
        piece = memoryview(chunk)
        drop = min(skip, len(piece))
        skip, piece = skip - drop, piece[drop:]
        take = min(len(buffer) - position, len(piece))
        buffer[position : position + take] = piece[:take]
        position, extra = position + take, extra + len(piece) - take
        if extra > slack:
            raise UnreadableFile(
                f"more data than the header declares ({len(buffer):,} bytes)",
                where=where,
                fix="check the sizes and the element type in the header",
            )
    if position < len(buffer):
        raise UnreadableFile(
            f"{position:,} of the declared {len(buffer):,} bytes of voxels are there",
            where=where,
            fix="fetch the file again",
        )
    return extra


def leading_bytes(stream: BinaryIO, encoding: Encoding, count: int, *, where: str) -> bytes:
    """The first `count` decoded bytes of `stream`, fewer when it is shorter."""
    head = b""
    for chunk in inflated(stream, encoding, where=where):
        head += chunk[: count - len(head)]
        if len(head) >= count:
            break
    return head
