"""Sizes from headers alone, as Pillow reads them; one walk over the parts of a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PilImage

from qoqdata.readers.image import jpeg, png
from qoqdata.records.images import image_from_file
from tests.readers import encoded_images as made

SIZES = st.tuples(st.integers(1, 70), st.integers(1, 70))
MODES = st.sampled_from(["L", "RGB"])


def saved(size: tuple[int, int], mode: str, kind: str, **how: Any) -> bytes:
    stream = io.BytesIO()
    PilImage.new(mode, size).save(stream, kind, **how)
    return stream.getvalue()


@given(SIZES, MODES, st.booleans(), st.binary(max_size=40))
def test_jpeg(size: tuple[int, int], mode: str, progressive: bool, comment: bytes) -> None:
    data = saved(size, mode, "JPEG", progressive=progressive, comment=comment)
    assert jpeg.size(data) == size
    filled = data[:2] + b"\xff\xff\xff" + data[2:]  # fill bytes before a marker
    assert jpeg.size(filled) == size
    start = next(n for n in range(len(data)) if data[n] == 0xFF and 0xC0 <= data[n + 1] <= 0xC2)
    assert jpeg.size(data[: start + 8]) is None
    assert jpeg.size(data[:start] + data[data.index(b"\xff\xda") :]) is None


@given(SIZES, MODES, st.binary(max_size=40))
def test_png(size: tuple[int, int], mode: str, text: bytes) -> None:
    data = saved(size, mode, "PNG")
    assert png.size(data) == size
    assert png.size(data[:33]) == size
    assert png.size(data[:32]) is None
    assert png.size(data[:16] + bytes([data[16] ^ 1]) + data[17:]) is None
    assert png.size(png.MAGIC + text) is None


@pytest.mark.parametrize(
    ("kind", "module", "walk"), [("JPEG", jpeg, "layout"), ("PNG", png, "chunks")]
)
def test_a_file_is_walked_once(
    kind: str, module: Any, walk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To decode it, to see whether it may be stored, and to take its text out."""
    path = tmp_path / "image"
    path.write_bytes(made.saved(made.smooth(), kind))
    calls = []
    whole = getattr(module, walk)
    monkeypatch.setattr(module, walk, lambda *args: calls.append(args) or whole(*args))
    image, _ = image_from_file(path)
    assert image.encoded is not None
    assert len(calls) == 1
