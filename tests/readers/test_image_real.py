"""Real images as Pillow shows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from qoqdata.readers.image import reader


@pytest.mark.parametrize(
    "folder", ["dermoscopy", "fundus", "histology", "chest_xray", "ultrasound"]
)
def test_real_images_as_pillow_shows_them(realdata: Path, folder: str) -> None:
    paths = [
        path
        for path in sorted((realdata / folder).rglob("*"))
        if path.suffix.lower() in (".png", ".jpg", ".jpeg")
    ]
    assert len(paths) > 10
    for path in paths:
        got = reader.read_image(path)
        image = ImageOps.exif_transpose(Image.open(path))
        grey = image.mode in ("1", "L") or (
            image.mode == "P"
            and len(set(zip(*[iter(image.getpalette())] * 3, strict=True))) == 256
            and all(r == g == b for r, g, b in zip(*[iter(image.getpalette())] * 3, strict=True))
        )
        expected = np.asarray(image.convert("L" if grey else "RGBA"))
        if expected.ndim == 3:
            expected = expected[..., :3]
        np.testing.assert_array_equal(got.pixels, expected, err_msg=str(path))
        assert got.bits == 8
        assert not any("opaque" in repair for repair in got.repairs)
