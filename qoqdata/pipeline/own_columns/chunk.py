"""A column chunk of pages that are made here: what the footer has to say of it, and its bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import deflate
import pyarrow as pa

from qoqdata.pipeline.own_columns.thrift import I32, STRUCT, Struct, varint, write_struct

#: Numbers of the format.
PLAIN, RLE = 0, 3
#: What is written as it is, and not copied before.
Part: TypeAlias = "bytes | pa.Buffer"


@dataclass(frozen=True)
class Chunk:
    """A column chunk: its bytes in `parts`, `size` together, of which the first `dictionary` are a
    dictionary's, the size of all when inflated, how many values, and its encodings; `pages` as
    place in the bytes, length and first row."""

    parts: Sequence[Part]
    size: int
    dictionary: int
    inflated: int
    values: int
    encodings: tuple[int, ...]
    pages: tuple[tuple[int, int, int], ...]


def page_header(
    kind: int, field: int, facts: Struct, *, inflated: int, stored: Sequence[Part]
) -> bytes:
    """The header of a page whose content is `stored`; `facts` are those of its kind."""
    crc = 0
    for part in stored:
        crc = deflate.crc32(part, crc)
    return write_struct(
        {
            1: (I32, kind),
            2: (I32, inflated),
            3: (I32, sum(map(len, stored))),
            4: (I32, crc - (crc >> 31 << 32)),
            field: (STRUCT, facts),
        }
    )


def level_run(count: int, level: int) -> bytes:
    """`count` equal levels."""
    return varint(count << 1) + bytes([level]) if count else b""
