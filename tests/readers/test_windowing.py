"""Windowing against numbers worked out by hand from PS3.3 C.11.2.1.2 and C.11.2.1.3."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.errors import UsageError
from qoqdata.readers.dicom import CT_WINDOWS, Window
from qoqdata.readers.dicom.windowing import (
    Lut,
    Modality,
    ct_window,
    grey,
    lut_fraction,
    range_fraction,
    stored_values,
    window_fraction,
)


def shown(values: list[float], window: Window) -> list[int]:
    return grey(window_fraction(np.array(values), window), inverted=False).tolist()


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        # The examples of C.11.2.1.2.1: x <= c-0.5-(w-1)/2 is black, x > c-0.5+(w-1)/2 white.
        (Window(2048, 4096), {-1: 0, 0: 0, 4095: 255, 4096: 255, 2047: 127, 2048: 128}),
        (Window(2048, 1), {2047: 0, 2047.5: 0, 2048: 255}),
        (Window(0, 100), {-51: 0, -50: 0, -1: 126, 0: 129, 25: 193, 49: 255, 50: 255}),
        (Window(0, 1), {-1: 0, -0.5: 0, 0: 255}),
        # C.11.2.1.3.2: y = (x - c) / w + 0.5.
        (
            Window(0, 100, "LINEAR_EXACT"),
            {-51: 0, -50: 0, -25: 64, 0: 128, 49: 252, 50: 255, 51: 255},
        ),
        (Window(0.5, 0.25, "LINEAR_EXACT"), {0.375: 0, 0.5: 128, 0.625: 255}),
        # C.11.2.1.3.1: y = 1 / (1 + exp(-4 (x - c) / w)): 1/(1+e) = 0.2689, 1/(1+e^2) = 0.1192.
        (
            Window(0, 100, "SIGMOID"),
            {-1e9: 0, -50: 30, -25: 69, 0: 128, 25: 186, 50: 225, 1e9: 255},
        ),
        (Window(-600, 1500), {-1350: 0, -600.5: 128, 149: 255}),
    ],
)
def test_window_formulas(window: Window, expected: dict[float, int]) -> None:
    assert shown(list(expected), window) == list(expected.values())


def test_named_ct_windows_have_the_textbook_numbers() -> None:
    assert {name: (w.centre, w.width, w.function, w.name) for name, w in CT_WINDOWS.items()} == {
        "brain": (40, 120, "LINEAR", "brain"),
        "subdural": (80, 200, "LINEAR", "subdural"),
        "bone": (700, 3200, "LINEAR", "bone"),
        "lung": (-600, 1500, "LINEAR", "lung"),
        "mediastinum": (40, 400, "LINEAR", "mediastinum"),
        "abdomen": (40, 400, "LINEAR", "abdomen"),
        "pe": (400, 1000, "LINEAR", "pe"),
    }
    with pytest.raises(UsageError, match="brain, subdural"):
        ct_window("brains")


@pytest.mark.parametrize(
    ("width", "function"),
    [(0.5, "LINEAR"), (0, "LINEAR_EXACT"), (-1, "SIGMOID"), (10, "CUBIC"), (np.nan, "LINEAR")],
)
def test_impossible_windows_are_refused(width: float, function: str) -> None:
    with pytest.raises(UsageError):
        Window(0, width, function)


def test_stored_bits_are_masked_and_sign_extended() -> None:
    unsigned, signed = stored_values(16, 12, False), stored_values(16, 12, True)
    assert unsigned[[0xF005, 0x0FFF, 0x1000]].tolist() == [5, 4095, 0]
    assert signed[[0x0FFF, 0x0800, 0xF7FF, 0x07FF, 0x1001]].tolist() == [-1, -2048, 2047, 2047, 1]
    assert stored_values(16, 16, True)[[0x8000, 0x7FFF, 0xFFFF]].tolist() == [-32768, 32767, -1]
    assert stored_values(8, 8, False).tolist() == list(range(256))
    assert stored_values(8, 1, False)[:4].tolist() == [0, 1, 0, 1]


def test_lookup_table_clamps_at_both_ends() -> None:
    table = Lut(first=-2, entries=np.array([10, 20, 30], np.uint16), bits=8)
    assert table(np.array([-9, -2, -1, 0, 1, 99])).tolist() == [10, 10, 20, 30, 30, 30]
    # 8 bits of output: 30 of 255.
    assert lut_fraction(np.array([0]), table)[0] == pytest.approx(30 / 255)


def test_modality_is_linear_or_a_table() -> None:
    assert Modality(2.0, -1024.0)(np.array([0, 10])).tolist() == [-1024.0, -1004.0]
    table = Lut(first=5, entries=np.array([7, 9], np.uint16), bits=16)
    assert Modality(2.0, -1024.0, table)(np.array([5, 6])).tolist() == [7.0, 9.0]


def test_range_covers_its_ends_and_a_flat_image_is_black() -> None:
    assert range_fraction(np.array([-5, 0, 5]), -5, 5).tolist() == [0.0, 0.5, 1.0]
    assert range_fraction(np.array([3, 3]), 3, 3).tolist() == [0.0, 0.0]


windows = st.builds(
    Window,
    st.floats(-1e5, 1e5),
    st.floats(1, 1e5),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
samples = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50)


@given(windows, samples)
def test_windowing_is_monotone_and_within_its_range(window: Window, values: list[float]) -> None:
    levels = window_fraction(np.sort(values), window)
    assert (np.diff(levels) >= 0).all()
    assert levels.min() >= 0
    assert levels.max() <= 1
    assert (np.diff(grey(levels, inverted=False).astype(int)) >= 0).all()


@given(windows, samples)
def test_inversion_mirrors_every_level(window: Window, values: list[float]) -> None:
    levels = window_fraction(np.array(values), window)
    white_up, white_down = grey(levels, inverted=False), grey(levels, inverted=True)
    assert (white_up.astype(int) + white_down == 255).all()


@given(windows)
def test_far_below_is_black_and_far_above_white(window: Window) -> None:
    ends = np.array([window.centre - 10 * window.width, window.centre + 10 * window.width])
    assert grey(window_fraction(ends, window), inverted=False).tolist() == [0, 255]


@given(st.integers(1, 16), st.booleans())
def test_stored_values_cover_exactly_the_stored_range(bits: int, signed: bool) -> None:
    found = np.unique(stored_values(16, bits, signed))
    low = -(2 ** (bits - 1)) if signed else 0
    assert found.tolist() == list(range(low, low + 2**bits))
