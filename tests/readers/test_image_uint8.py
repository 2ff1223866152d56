"""Deep samples as 8 bits: full range or a window, never the image's own range."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.errors import InputError
from qoqdata.readers.image import reader
from tests.readers import encoded_images as made


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_full_range_by_hand(bits: int) -> None:
    full = (1 << bits) - 1
    values = np.array([0, full // 2, full // 2 + 1, full], np.uint16)
    assert reader.to_uint8(values, bits=bits).tolist() == [0, 127, 128, 255]


@given(st.integers(8, 16), st.data())
def test_full_range_is_the_nearest_of_256(bits: int, data: st.DataObject) -> None:
    full = (1 << bits) - 1
    value = data.draw(st.integers(0, full))
    got = int(reader.to_uint8(np.array([[value]], np.uint16), bits=bits)[0, 0])
    assert got == math.floor(value * 255 / full + 0.5)


def test_the_rule_does_not_look_at_the_image() -> None:
    """An image that uses a narrow range stays dark: no min-max."""
    dark = np.array([[100, 200]], np.uint16)
    bright = np.array([[100, 200, 65535]], np.uint16)
    np.testing.assert_array_equal(
        reader.to_uint8(dark, bits=16), reader.to_uint8(bright, bits=16)[:, :2]
    )


def test_values_beyond_the_declared_bits_are_refused() -> None:
    with pytest.raises(InputError, match="12 bits"):
        reader.to_uint8(np.array([[4096]], np.uint16), bits=12)


def test_window_by_hand() -> None:
    """PS3.3 C.11.2.1.2.1 for centre 2048, width 4096: 0 is black, 4095 white, 2047.5 the middle."""
    values = np.array([0, 1, 2047, 2048, 4094, 4095, 60000], np.uint16)
    assert reader.to_uint8(values, window=(2048, 4096)).tolist() == [0, 0, 127, 128, 255, 255, 255]
    grey = np.array([[10, 20, 30]], np.uint8)
    assert reader.to_uint8(grey, window=(20.5, 11)).tolist() == [[0, 128, 255]]


def test_eight_bits_pass_unchanged() -> None:
    pixels = made.noise((4, 5, 3))
    assert reader.to_uint8(pixels) is pixels


@pytest.mark.parametrize(
    ("pixels", "settings"),
    [
        (np.zeros((2, 2), np.uint16), {}),
        (np.zeros((2, 2), np.uint16), {"bits": 12, "window": (1.0, 2.0)}),
        (np.zeros((2, 2), np.int16), {"bits": 12}),
        (np.zeros((2, 2), np.uint16), {"bits": 17}),
        (np.zeros((2, 2), np.uint16), {"bits": 0}),
    ],
)
def test_unclear_requests_are_programming_errors(pixels: np.ndarray, settings: dict) -> None:
    with pytest.raises(ValueError, match=r"bits|uint"):
        reader.to_uint8(pixels, **settings)
