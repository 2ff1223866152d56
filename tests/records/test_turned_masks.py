"""Masks of images that Exif turns lie right where both say alike, or the shape tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qoqdata.errors import Misaligned
from qoqdata.readers.masks import read_mask
from qoqdata.records.images import check_mask, image_from_file


def saved(path: Path, rows: int, columns: int, turn: int) -> Path:
    exif = Image.Exif()
    exif[0x0112] = turn
    pixels = np.zeros((rows, columns), np.uint8)
    pixels[0, 0] = 1
    Image.fromarray(pixels).save(path, exif=exif)
    return path


@pytest.mark.parametrize(
    ("size", "turn", "mask_size", "mask_turn", "fault"),
    [
        ((4, 6), 1, (4, 6), 1, None),
        # Both turn alike.
        ((4, 6), 3, (4, 6), 3, None),
        ((4, 4), 6, (4, 4), 6, None),
        # The upright image has 6 rows, and so has the mask.
        ((4, 6), 6, (6, 4), 1, None),
        ((4, 6), 6, (4, 6), 1, "mask (4, 6), image (6, 4)"),
        # Half a turn, a mirror and a square keep the shape.
        ((4, 6), 3, (4, 6), 1, "Exif turns the image (orientation 3)"),
        ((4, 6), 2, (4, 6), 1, "Exif turns the image (orientation 2)"),
        ((4, 4), 6, (4, 4), 1, "Exif turns the image (orientation 6)"),
        ((4, 6), 6, (4, 6), 8, "Exif turns the image (orientation 6)"),
    ],
)
def test_a_mask_lies_as_its_image_does(
    tmp_path: Path,
    size: tuple[int, int],
    turn: int,
    mask_size: tuple[int, int],
    mask_turn: int,
    fault: str | None,
) -> None:
    image, _ = image_from_file(saved(tmp_path / "image.png", *size, turn), bits=8)
    mask = read_mask(saved(tmp_path / "mask.png", *mask_size, mask_turn), codes={1: "spot"})
    assert image.turn == turn
    if fault is None:
        check_mask(mask, image, where="mask.png")
        # The marked pixel of the image is that of the mask wherever both turn.
        assert mask_turn == 1 != turn or np.array_equal(mask.codes > 0, image.pixels > 0)
    else:
        with pytest.raises(Misaligned) as caught:
            check_mask(mask, image, where="mask.png")
        assert fault in caught.value.what
