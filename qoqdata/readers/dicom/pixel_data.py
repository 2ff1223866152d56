"""Where the pixel data of a file lie: frames are read one by one, not the whole value at once."""

from __future__ import annotations

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


@dataclass(frozen=True)
class PixelData:
    """The value of a pixel data element: in `content`, or in the file at `path`.

    `length` is in bytes, None for items that end with a delimiter; `offset` is the place of the
    first byte in `content` or the file; `vr` is the value representation; `items` holds the first
    two bytes of each compressed item (PS3.5 A.4).
    """

    vr: str
    length: int | None
    path: Path | None = None
    offset: int = 0
    content: bytes = b""
    items: tuple[bytes, ...] = ()

    def open(self) -> BinaryIO:
        """A file at the first byte of the value. Raises UnreadableFile when it is gone."""
        if self.path is None:
            reader: BinaryIO = _ContentReader(self.content)
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
        items, end = _items(data) if encapsulated and length is None else ((), b"")
        if end == _DELIMITER:
            return replace(data, items=items)
    value = elements.value(dataset, keyword)
    if not isinstance(value, bytes) or not value:
        raise UnreadableFile("the pixel data are empty")
    data = PixelData(dataset[keyword].VR, len(value), content=value)
    if not encapsulated:
        return data
    items, end = _items(data)
    if len(end) == 4 and end != _DELIMITER:
        raise UnreadableFile("the compressed pixel data are damaged or truncated")
    return replace(data, items=items)


def _in_place(dataset: Dataset, element: RawDataElement, length: int | None) -> PixelData:
    """A value that the parser passed by: in the file, or in the content it was parsed from."""
    vr, offset = element.VR or "OW", element.value_tell
    buffer = getattr(dataset, "buffer", None)
    if isinstance(buffer, BytesIO):
        return PixelData(vr, length, offset=offset, content=buffer.getvalue())
    return PixelData(vr, length, Path(dataset.filename), offset)


def _items(data: PixelData) -> tuple[tuple[bytes, ...], bytes]:
    """First two bytes of each item behind the offset table, and the tag after the last item."""
    starts = []
    with data.open() as file:
        try:
            while (tag := file.read(4)) == _ITEM:
                length = int.from_bytes(file.read(4), "little")
                starts.append(file.read(min(length, 2)))
                file.seek(length - len(starts[-1]), 1)
        except OSError as error:
            raise UnreadableFile(f"the file cannot be read ({error.strerror})") from error
    return tuple(starts[1:]), tag
