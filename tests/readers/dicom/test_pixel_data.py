"""What decoders are given of pixel data: bytes of compressed frames, views of plain ones."""

from __future__ import annotations

import pytest

from qoqdata.readers.dicom.pixel_data import HELD_BYTES, Fragment, PixelData

LARGE = HELD_BYTES + 10
CONTENT = bytes(range(256)) * (LARGE // 256 + 1)


@pytest.mark.parametrize("length", [None, len(CONTENT)])
def test_a_large_compressed_frame_is_bytes(length: int | None) -> None:
    """Also where it lies in memory, as in a build, which reads files once: decoders want it."""
    fragments = (Fragment(8, LARGE, CONTENT[8:24]),)
    data = PixelData("OB", length, content=CONTENT, fragments=fragments)
    with data.open() as file:
        file.seek(8)
        frame = file.read(LARGE)
    assert type(frame) is bytes and frame == CONTENT[8 : 8 + LARGE]
    assert data.joined(fragments) == frame


def test_a_large_plain_frame_is_not_copied() -> None:
    with PixelData("OW", len(CONTENT), content=CONTENT).open() as file:
        frame = file.read(LARGE)
    assert type(frame) is memoryview and frame == CONTENT[:LARGE]
