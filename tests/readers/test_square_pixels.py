"""One rule for square pixels: sizes, positions and codes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.readers.square_pixels import resample_linear, resample_nearest, square_size


@pytest.mark.parametrize(
    ("rows", "columns", "aspect", "size"),
    [
        (16, 16, 2.0, (32, 16)),
        (16, 16, 0.5, (16, 32)),
        (512, 512, 1.0000001, (512, 512)),
        # 1 % of 512 pixels is five: too wide by that much is not square.
        (512, 512, 1.01, (517, 512)),
        (10, 24, 3.75, (38, 24)),
    ],
)
def test_sizes_by_hand(rows: int, columns: int, aspect: float, size: tuple[int, int]) -> None:
    assert square_size(rows, columns, aspect) == size


@given(st.integers(1, 600), st.integers(1, 600), st.floats(0.02, 50))
def test_no_detail_is_lost_and_the_rest_is_half_a_pixel(
    rows: int, columns: int, aspect: float
) -> None:
    height, width = square_size(rows, columns, aspect)
    assert height >= rows and width >= columns and (height == rows or width == columns)
    wanted = (rows * aspect, columns) if aspect > 1 else (rows, columns / aspect)
    assert abs(height - wanted[0]) <= 0.5 and abs(width - wanted[1]) <= 0.5


def test_a_ramp_stays_a_ramp_and_keeps_its_dtype() -> None:
    ramp = np.tile(np.arange(0, 200, 20, dtype=np.uint8)[:, None], (1, 3))
    tall = resample_linear(ramp, (30, 3))
    assert tall.dtype == np.uint8
    # The centre of pixel y lies at (y + 0.5) / 3 - 0.5 of the ramp; the ends are held.
    wanted = np.clip((np.arange(30) + 0.5) / 3 - 0.5, 0, 9) * 20
    assert np.abs(tall[:, 1] - wanted).max() <= 0.5
    assert resample_linear(ramp, ramp.shape) is ramp


def test_codes_are_never_mixed() -> None:
    codes = np.array([[1, 9], [5, 0]], np.uint16)
    assert resample_nearest(codes, (3, 4)).tolist() == [[1, 1, 9, 9], [5, 5, 0, 0], [5, 5, 0, 0]]
