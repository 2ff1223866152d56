"""Column chunks of large media: a page for the rows of a row group, written from where they are.

Arrow's writer copies what it is given three times, each time into memory that it asks the system
for: of a film of 2 MB that costs more CPU than writing it. Rows are lists of images, each a struct
with the encoded bytes, which may all be null by the schema: bytes that are there have definition
level 4, a list without images 1 and a row without a list 0; the repetition level is 0 where a row
begins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from qoqdata.pipeline.own_columns.chunk import PLAIN, RLE, Chunk, Part, level_run, page_header
from qoqdata.pipeline.own_columns.thrift import I32, Struct

#: Bytes of a row group's media from which on a page is made here: less costs less than the footer.
LEAST = 2**24
#: From here on Arrow is asked, which tells what does not fit.
LARGEST = 2**30
#: Share of media bytes that repeat from which on they are stored once. Where nothing repeats, a
#: dictionary of media only costs: 1.6 times the CPU to read.
_REPEATED_SHARE = 1 / 8
_DATA_PAGE, _DATA_FACTS = 0, 5
_NO_LIST, _EMPTY, _PRESENT = 0, 1, 4

_Cell = Sequence[Mapping[str, Any]] | None


@dataclass(frozen=True, eq=False)
class LargeMedia:
    """The media of a row group: `content` has those of each row, and `bare` are its cells without
    them, for Arrow."""

    content: list[list[Part] | None]
    bare: list[list[dict[str, Any]] | None]


def row_media(cells: Sequence[_Cell]) -> LargeMedia | None:
    """The media of cells of rows; None where they are for Arrow to write."""
    items = [item for cell in cells for item in cell or ()]
    content = [item and item["bytes"] for item in items]
    if {type(one) for one in content} - {bytes} or not _apart(content):
        return None
    counts = [None if cell is None else len(cell) for cell in cells]
    return _large(content, [item["path"] for item in items], counts)


def column_media(column: pa.ListArray) -> LargeMedia | None:
    """The media of an Arrow column; as `row_media` gives them of its values."""
    items = pc.list_flatten(column)
    if pc.struct_field(items, "bytes").null_count or not _apart(content := contents(column)):
        return None
    paths = pc.struct_field(items, "path").to_pylist()
    return _large(content, paths, pc.list_value_length(column).to_pylist())


def contents(column: pa.ListArray | pa.ChunkedArray) -> list[pa.Buffer]:
    """The encoded bytes of all images of a column that have some; they are not copied."""
    content = pc.drop_null(pc.struct_field(pc.list_flatten(column), "bytes"))
    return [one.as_buffer() for one in content]


def repeats(content: Sequence[Part]) -> bool:
    """Whether enough of the bytes are those of an image before.

    Equal ones are of one length: those whose length no other has need not be looked at.
    """
    counts = Counter(map(len, content))
    alike = [bytes(one) for one in content if counts[len(one)] > 1]
    several, once = (sum(map(len, some)) for some in (alike, set(alike)))
    return several - once > _REPEATED_SHARE * sum(map(len, content))


def media_chunk(media: LargeMedia) -> Chunk:
    """The bytes of a row group's media, in one page."""
    rows = media.content
    repetition = [int(place > 0) for row in rows for place in range(len(row or ()) or 1)]
    definition = [
        level
        for row in rows
        for level in ([_NO_LIST] if row is None else [_PRESENT] * len(row) or [_EMPTY])
    ]
    head = b"".join(map(_levels, (repetition, definition)))
    parts = [head, *(part for row in rows for one in row or () for part in (_length(one), one))]
    size = sum(map(len, parts))
    facts: Struct = {1: (I32, len(definition)), 2: (I32, PLAIN), 3: (I32, RLE), 4: (I32, RLE)}
    header = page_header(_DATA_PAGE, _DATA_FACTS, facts, inflated=size, stored=parts)
    size += len(header)
    encodings, pages = (PLAIN, RLE), ((0, size, 0),)
    return Chunk((header, *parts), size, 0, size, len(definition), encodings, pages)


def _apart(content: Sequence[Part]) -> bool:
    return LEAST <= sum(map(len, content)) < LARGEST and not repeats(content)


def _large(
    content: Sequence[Part], paths: Sequence[str | None], counts: Sequence[int | None]
) -> LargeMedia:
    bare = [{"bytes": b"", "path": path} for path in paths]
    return LargeMedia(list(_by_row(content, counts)), list(_by_row(bare, counts)))


def _by_row(values: Sequence[Any], counts: Sequence[int | None]) -> Iterator[list[Any] | None]:
    place = 0
    for count in counts:
        yield None if count is None else list(values[place : place + count])
        place += count or 0


def _levels(levels: Sequence[int]) -> bytes:
    """Levels as runs, behind their length."""
    runs = b"".join(level_run(len(list(run)), level) for level, run in groupby(levels))
    return len(runs).to_bytes(4, "little") + runs


def _length(content: Part) -> bytes:
    return len(content).to_bytes(4, "little")
