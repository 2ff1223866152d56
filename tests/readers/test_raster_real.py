"""Real pictures as Pillow shows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from qoqdata.readers import raster


@pytest.mark.parametrize(
    "folder", ["dermoscopy", "fundus", "histology", "chest_xray", "ultrasound"]
)
def test_real_pictures_as_pillow_shows_them(realdata: Path, folder: str) -> None:
    paths = [
        path
        for path in sorted((realdata / folder).rglob("*"))
        if path.suffix.lower() in (".png", ".jpg", ".jpeg")
    ]
    assert len(paths) > 10
    for path in paths:
        got = raster.read(path)
        picture = ImageOps.exif_transpose(Image.open(path))
        grey = picture.mode in ("1", "L") or (
            picture.mode == "P"
            and len(set(zip(*[iter(picture.getpalette())] * 3, strict=True))) == 256
            and all(r == g == b for r, g, b in zip(*[iter(picture.getpalette())] * 3, strict=True))
        )
        expected = np.asarray(picture.convert("L" if grey else "RGBA"))
        if expected.ndim == 3:
            expected = expected[..., :3]
        np.testing.assert_array_equal(got.pixels, expected, err_msg=str(path))
        assert got.bits == 8
        assert not any("opaque" in repair for repair in got.repairs)
