"""Where the pixel data of a file lie: frames are read one by one, not the whole value at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BufferedReader, BytesIO, FileIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from qoqdata.errors import UnreadableFile
from qoqdata.readers.dicom import elements

#: Pixel data beyond so many bytes stay in the file until a frame is asked for.
HELD_BYTES = 1 << 16
UNDEFINED_LENGTH = 0xFFFFFFFF
_ITEM, _DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
# What tells a compressed stream by its beginning: an RLE header has 64 bytes (PS3.5 G.5).
_HEAD = 64
# An offset of four bytes for each of more frames than any limit lets through.
_LONGEST_TABLE = 1 << 24


@dataclass(frozen=True)
class Fragment:
    """One compressed item: where its content begins for `PixelData.open`, its bytes, the first."""

    offset: int
    length: int
    head: bytes


@dataclass(frozen=True)
class PixelData:
    """The value of a pixel data element: in `content`, or in the file at `path`.

    `length` is in bytes, None for items that end with a delimiter; `offset` is the place of the
    first byte in `content` or the file; `vr` is the value representation; `fragments` are the
    compressed items (PS3.5 A.4), `table` the bytes of the Basic Offset Table before them.
    """

    vr: str
    length: int | None
    path: Path | None = None
    offset: int = 0
    content: bytes = b""
    fragments: tuple[Fragment, ...] = ()
    table: bytes = b""

    def joined(self, fragments: Sequence[Fragment], most: int | None = None) -> bytes:
        """The content of fragments one after the other, at most `most` bytes of each."""
        parts = []
        with self.open() as file:
            for fragment in fragments:
                file.seek(fragment.offset)
                length = fragment.length if most is None else min(most, fragment.length)
                parts.append(bytes(file.read(length)))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def open(self) -> BinaryIO:
        """A file at the first byte of the value. Raises UnreadableFile when it is gone."""
        if self.path is None:
            # Decoders of compressed frames take bytes, and no views.
            compressed = self.length is None or bool(self.fragments)
            reader: BinaryIO = (BytesIO if compressed else _ContentReader)(self.content)
            reader.seek(self.offset)
            return reader
        try:
            file = FileIO(self.path)
            reader = BufferedReader(file) if self.length is None else _FrameReader(file)
            reader.seek(self.offset)
        except OSError as error:
            raise UnreadableFile(f"the file cannot be opened again ({error.strerror})") from error
        return reader


class _ContentReader(BytesIO):
    """Gives large frames as views of the content, without a copy."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._content = memoryview(content)

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < HELD_BYTES:
            return super().read(size)
        start = self.tell()
        self.seek(size, 1)
        return self._content[start : start + size]  # type: ignore[return-value]


class _FrameReader(BufferedReader):
    """Reads frames into NumPy memory, whose huge pages spare most page faults of large ones."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < HELD_BYTES:
            return super().read(size)
        buffer = np.empty(size, np.uint8)
        return buffer[: self.readinto(buffer)].data  # type: ignore[return-value]


def pixel_data(dataset: Dataset, keyword: str, *, encapsulated: bool) -> PixelData:
    """The value of the element `keyword`. Raises UnreadableFile when it is empty or damaged.

    It stays in the file when it is plain, or `encapsulated` in items up to a delimiter. The parser
    reads others: it also searches for a delimiter behind damaged items.
    """
    element = dataset.get_item(Tag(keyword), keep_deferred=True)
    if isinstance(element, RawDataElement) and element.value is None and element.length > 0:
        length = None if element.length == UNDEFINED_LENGTH else element.length
        data = _in_place(dataset, element, length)
        if not encapsulated and length is not None:
            return data
        if encapsulated and length is None:
            itemised, end = _itemised(data)
            if end == _DELIMITER:
                return itemised
    value = elements.value(dataset, keyword)
    if not isinstance(value, bytes) or not value:
        raise UnreadableFile("the pixel data are empty")
    data = PixelData(dataset[keyword].VR, len(value), content=value)
    if not encapsulated:
        return data
    data, end = _itemised(data)
    if len(end) == 4 and end != _DELIMITER:
        raise UnreadableFile("the compressed pixel data are damaged or truncated")
    return data


def _in_place(dataset: Dataset, element: RawDataElement, length: int | None) -> PixelData:
    """A value that the parser passed by: in the file, or in the content it was parsed from."""
    vr, offset = element.VR or "OW", element.value_tell
    buffer = getattr(dataset, "buffer", None)
    if isinstance(buffer, BytesIO):
        return PixelData(vr, length, offset=offset, content=buffer.getvalue())
    return PixelData(vr, length, Path(dataset.filename), offset)


def _itemised(data: PixelData) -> tuple[PixelData, bytes]:
    """The data with their fragments and offset table, and the tag after the last item."""
    fragments = []
    with data.open() as file:
        try:
            while (tag := file.read(4)) == _ITEM:
                length = int.from_bytes(file.read(4), "little")
                offset = file.tell()
                fragments.append(Fragment(offset, length, file.read(min(length, _HEAD))))
                file.seek(offset + length)
        except OSError as error:
            raise UnreadableFile(f"the file cannot be read ({error.strerror})") from error
    if not fragments:
        return data, tag
    table = data.joined(fragments[:1], most=_LONGEST_TABLE)
    return replace(data, fragments=tuple(fragments[1:]), table=table), tag
