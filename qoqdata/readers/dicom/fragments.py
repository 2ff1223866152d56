"""Which compressed items make which frame (PS3.5 A.4): by how streams begin, and by offset tables.

Encoders split frames into items, leave offset tables empty and write wrong ones. A stream tells its
own beginning, so the tables are asked only where it does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from pydicom.dataset import Dataset

from qoqdata.errors import UnreadableFile
from qoqdata.readers.dicom import elements
from qoqdata.readers.dicom.pixel_data import Fragment

# JPEG and JPEG-LS; JPEG 2000 with its SIZ segment; the JP2 file format around it.
_BEGINNINGS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")
_MOST_SEGMENTS = 15

Frames = tuple[tuple[Fragment, ...], ...]


def frame_fragments(
    fragments: Sequence[Fragment], frames: int, tables: Sequence[Sequence[int]], *, rle: bool
) -> tuple[Frames, tuple[str, ...]]:
    """The fragments of each of `frames` frames, and what was not as the standard asks.

    `tables` are lists of offsets, Basic or Extended, empty ones left out. Raises UnreadableFile
    when the fragments cannot be that many frames, or neither beginnings nor tables separate them.
    """
    count = len(fragments)
    starts = [k for k, one in enumerate(fragments) if begins(one.head, rle=rle)]
    if count < frames or len(starts) > frames:
        raise UnreadableFile(
            f"the pixel data hold {count if count < frames else len(starts)} compressed items, "
            f"the header declares {frames} frames"
        )
    if count == frames:
        return tuple((one,) for one in fragments), ()
    tabled = [_items_at(fragments, table) for table in tables]
    notes = []
    if frames == 1:
        starts = [0]
    elif len(starts) == frames and starts[0] == 0:
        if tables and starts not in tabled:
            notes.append("wrong offset table: frames are separated where their streams begin")
    else:
        starts = next((at for at in tabled if at is not None and len(at) == frames), [])
        if not starts:
            raise UnreadableFile(
                f"{count} compressed items are not to be separated into {frames} frames"
            )
    if rle:
        notes.append("RLE frames in several fragments: joined")
    ends = [*starts[1:], count]
    return tuple(tuple(fragments[a:b]) for a, b in zip(starts, ends, strict=True)), tuple(notes)


def offset_tables(dataset: Dataset, basic: bytes) -> list[list[int]]:
    """The offsets of the Basic and the Extended Offset Table (PS3.3 C.7.6.3.1.8), if not empty."""
    extended = elements.value(dataset, "ExtendedOffsetTable")
    tables = [(basic, 4), (extended if isinstance(extended, bytes) else b"", 8)]
    return [
        [int.from_bytes(table[k : k + size], "little") for k in range(0, len(table), size)]
        for table, size in tables
        if table
    ]


def begins(head: bytes, *, rle: bool) -> bool:
    """Whether the first bytes of a fragment are those of a compressed frame."""
    if not rle:
        return head.startswith(_BEGINNINGS)
    if len(head) < 64:
        return False
    count, *offsets = (int.from_bytes(head[k : k + 4], "little") for k in range(0, 64, 4))
    if not 1 <= count <= _MOST_SEGMENTS or offsets[0] != 64 or any(offsets[count:]):
        return False
    return all(a < b for a, b in pairwise(offsets[:count]))


def _items_at(fragments: Sequence[Fragment], table: Sequence[int]) -> list[int] | None:
    """The numbers of the fragments at the offsets of a table; None unless each is at one."""
    places = {one.offset - fragments[0].offset: k for k, one in enumerate(fragments)}
    starts = [places.get(offset, -1) for offset in table]
    rising = all(a < b for a, b in pairwise(starts))
    return starts if rising and starts and starts[0] == 0 else None
