"""Declared sizes are held against the limits before anything is decoded."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile

from qoqdata.errors import TooLarge
from qoqdata.readers.image import reader
from qoqdata.readers.limits import Limits
from tests.readers import encoded_images as made


def _bombs() -> dict[str, bytes]:
    small = made.noise((4, 4))
    jpeg = bytearray(made.saved(made.smooth(), "JPEG"))
    struct.pack_into(">HH", jpeg, jpeg.index(b"\xff\xc0") + 5, 60000, 60000)
    gif = bytearray(made.saved(made.noise((4, 4)), "GIF"))
    struct.pack_into("<HH", gif, 6, 60000, 60000)
    bmp = bytearray(made.saved(made.noise((4, 4, 3)), "BMP"))
    struct.pack_into("<ii", bmp, 18, 60000, 60000)
    tiff = made.tiff(small, 1, 8).replace(
        struct.pack("<HHII", 256, 4, 1, 4), struct.pack("<HHII", 256, 4, 1, 10**9)
    )
    webp = bytearray(made.saved(made.smooth(), "WEBP"))
    webp[26:30] = struct.pack("<HH", 16383, 16383)
    j2k = bytearray(made.saved(made.smooth(), "JPEG2000", no_jp2=True))
    struct.pack_into(">II", j2k, 8, 60000, 60000)
    return {
        "png": made.png(small, 0, 8, size=(60000, 60000)),
        "jpeg": bytes(jpeg),
        "gif": bytes(gif),
        "bmp": bytes(bmp),
        "tiff": tiff,
        "webp": bytes(webp),
        "j2k": bytes(j2k),
    }


@pytest.mark.parametrize("name", list(_bombs()))
def test_absurd_sizes_are_refused_before_decoding(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr(cv2, "imdecode", never)
    monkeypatch.setattr(ImageFile.ImageFile, "load", never)
    path = tmp_path / name
    path.write_bytes(_bombs()[name])
    with pytest.raises(TooLarge):
        reader.read_image(path, limits=Limits(image_pixels=200_000_000))


def test_a_image_above_pillows_own_bound_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """MAX_IMAGE_PIXELS is process-wide and not ours; `limits` decides."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    samples = made.noise((30, 30))
    for data in (made.png(samples, 0, 8), made.saved(samples, "BMP")):
        np.testing.assert_array_equal(reader.decode_image(data, where="").values, samples)
    with pytest.raises(TooLarge, match="MAX_IMAGE_PIXELS"):  # its TIFF loader checks by itself
        reader.decode_image(made.tiff(samples, 1, 8), where="")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)  # between once and twice: only a warning
    reader.decode_image(made.tiff(samples, 1, 8), where="")


def test_file_size_is_checked_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(made.png(made.noise((4, 4)), 0, 8))
    with pytest.raises(TooLarge, match="file bytes"):
        reader.read_image(path, limits=Limits(file_bytes=10))
