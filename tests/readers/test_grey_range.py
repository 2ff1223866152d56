"""Windowing to 8 bits: by hand, against pydicom's LINEAR_EXACT, and the edges of the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels import apply_windowing

from qoqdata.errors import UnreadableFile, UsageError
from qoqdata.readers.dicom import Window
from qoqdata.readers.dicom.windowing import describe_window, displayed
from qoqdata.readers.volume import finite, percentile_range


def to_uint8(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """Values of a volume through a window."""
    return displayed(finite(values), Window(centre, width, "LINEAR_EXACT"))


def to_uint8_range(values: np.ndarray, bottom: float, top: float) -> np.ndarray:
    """Values of a volume through a range."""
    return displayed(finite(values), (bottom, top))


def spread(values: np.ndarray, low: float = 0.5, high: float = 99.5) -> np.ndarray:
    """Values between two of their own percentiles over 0..255."""
    return to_uint8_range(values, *percentile_range(values, low, high))


def test_soft_tissue_window_by_hand() -> None:
    # C40 W400 runs from -160 to 240 HU: 40 HU is 127.5, rounded up; 0 HU is 102.
    values = np.array([-1000, -160, 0, 40, 239, 240, 3000], np.int16)
    assert to_uint8(values, 40, 400).tolist() == [0, 0, 102, 128, 254, 255, 255]


@given(
    values=st.lists(st.integers(-1024, 3071), min_size=1, max_size=30),
    centre=st.integers(-600, 700),
    width=st.integers(1, 4000),
)
def test_agrees_with_linear_exact(values: list[int], centre: int, width: int) -> None:
    ds = Dataset()
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsStored, ds.PixelRepresentation = 16, 1
    ds.WindowCenter, ds.WindowWidth, ds.VOILUTFunction = centre, width, "LINEAR_EXACT"
    ds.RescaleSlope, ds.RescaleIntercept = 1, 0
    array = np.array(values, np.int16)
    # pydicom spreads the window over the stored range -32768..32767.
    theirs = (apply_windowing(array.astype(np.float64), ds) + 32768) / 65535 * 255
    assert np.abs(to_uint8(array, centre, width) - theirs).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i4", "u8", "f4", "f8", "?"])
def test_types_give_the_same_grey_levels(dtype: str) -> None:
    values = np.array([0, 1], dtype)
    assert to_uint8(values, 1, 4).tolist() == [64, 128]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.floats(1e-3, 1e6))
def test_grey_levels_rise_with_the_values(values: list[float], width: float) -> None:
    ordered = np.sort(np.array(values))
    assert (np.diff(to_uint8(ordered, 0, width).astype(int)) >= 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(bad: float) -> None:
    values = np.array([0.0, bad, 2.0])
    for call in (lambda: to_uint8(values, 1, 2), lambda: spread(values)):
        with pytest.raises(UnreadableFile, match="1 of 3 values"):
            call()


@pytest.mark.parametrize(("centre", "width"), [(0, 0), (0, -5), (np.nan, 1), (0, np.inf)])
def test_impossible_windows_are_refused(centre: float, width: float) -> None:
    with pytest.raises(UsageError):
        to_uint8(np.zeros(3), centre, width)


def test_complex_and_empty_values_are_refused() -> None:
    for values in (np.zeros(3, complex), np.zeros(0), np.array(["a"])):
        with pytest.raises(UsageError):
            to_uint8(values, 0, 1)


def test_percentiles_by_hand() -> None:
    values = np.arange(101, dtype=np.float32)
    assert percentile_range(values, 10, 90) == (10, 90)
    grey = spread(values, 10, 90)
    assert grey[[0, 10, 50, 90, 100]].tolist() == [0, 0, 128, 255, 255]


def test_one_range_for_all_slices_is_the_same_as_for_the_volume() -> None:
    volume = np.random.default_rng(3).normal(size=(4, 5, 6))
    bounds = percentile_range(volume)
    slices = np.stack([to_uint8_range(part, *bounds) for part in volume])
    np.testing.assert_array_equal(slices, spread(volume))


def test_constants_and_sparse_masks_do_not_divide_by_zero() -> None:
    assert spread(np.full(50, 7)).tolist() == [0] * 50
    sparse = np.zeros(10_000)
    sparse[5] = 3
    grey = spread(sparse)
    assert grey[5] == 255
    assert grey.sum() == 255


def vessels(share: float, background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A volume whose `share` of brightest voxels, 200 to 1000, lie on a background; and where."""
    rng = np.random.default_rng(8)
    bright = rng.random(background.shape) < share
    return np.where(bright, rng.integers(200, 1001, background.shape), background), bright


EMPTY = np.zeros((40, 40, 40))
NOISE = np.abs(np.random.default_rng(9).normal(10, 4, (40, 40, 40)))


@pytest.mark.parametrize("dtype", ["i2", "f4"])
@pytest.mark.parametrize(
    ("share", "background"),
    [(0.004, EMPTY), (0.0005, EMPTY), (0.02, EMPTY), (0.004, NOISE), (0.008, NOISE)],
)
def test_sparse_vessels_have_shades(share: float, background: np.ndarray, dtype: str) -> None:
    volume, bright = vessels(share, background.astype(dtype))
    volume = volume.astype(dtype)
    grey = spread(volume)
    # Over all values both percentiles would lie in the background, and vessels would be one level.
    assert len(np.unique(grey[bright])) > 25
    assert np.mean(grey[bright] == 255) < 0.05
    # 200 of 1000 is a fifth, and the background is dark.
    assert np.abs(grey[bright] / 255 - volume[bright] / 1000).max() < 0.03
    assert grey[~bright].max() < 10


def test_dark_structures_on_a_white_ground_have_shades_too() -> None:
    volume, bright = vessels(0.004, EMPTY)
    grey = spread(1000 - volume)
    assert (grey[~bright] == 255).all()
    assert len(np.unique(grey[bright])) > 25


def test_a_filling_value_takes_no_share_of_the_range() -> None:
    tissue = np.random.default_rng(1).integers(0, 1001, 4000).astype(np.int16)
    for filling in (-32768, -10000, 30000):
        volume = np.concatenate([np.full(6000, filling, np.int16), tissue])
        assert percentile_range(volume) == percentile_range(tissue)
    # Zero around a brain is no filling value: it stays black, and the darkest tissue does not.
    brain = np.concatenate([np.zeros(6000), tissue + 400])
    assert percentile_range(brain) == (0, percentile_range(tissue)[1] + 400)


def test_volumes_with_tissue_keep_the_percentiles_of_all_values() -> None:
    rng = np.random.default_rng(2)
    head = np.concatenate([rng.rayleigh(5, 5000), rng.normal(300, 80, 5000), [9000] * 8])
    assert percentile_range(head) == tuple(np.percentile(head, [0.5, 99.5]))
    assert percentile_range(head)[1] < 600


@given(
    st.lists(st.integers(-2000, 3000), min_size=1, max_size=60),
    st.integers(-4, 4),
)
def test_a_range_is_ordered_within_the_values_and_follows_their_unit(
    values: list[int], power: int
) -> None:
    array = np.array(values, np.float64)
    bottom, top = percentile_range(array)
    assert array.min() <= bottom <= top <= array.max()
    assert (bottom == top) == (np.ptp(array) == 0)
    scaled = percentile_range(array * 2.0**power)
    assert scaled == pytest.approx((bottom * 2.0**power, top * 2.0**power))


@pytest.mark.parametrize(("low", "high"), [(50, 50), (90, 10), (-1, 50), (0, 101)])
def test_impossible_percentiles_are_refused(low: float, high: float) -> None:
    with pytest.raises(UsageError):
        spread(np.arange(5), low, high)


def test_the_window_is_named() -> None:
    assert describe_window(Window(-600, 1500)) == "C-600 W1500"
    assert describe_window(Window(0.5, 2.25)) == "C0.5 W2.25"
