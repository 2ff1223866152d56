"""Resampling and views: analytic sines, scipy, and masks that no invalid sample can cross."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from qoqdata.errors import UnsupportedFormat, UsageError
from qoqdata.readers.ecg import (
    Recording,
    resample,
    select,
    window,
)
from qoqdata.readers.ecg.leads import CHEST, TWELVE, derive_limb


def recording(
    signal: np.ndarray,
    fs: float,
    leads: tuple[str, ...] = ("I", "II"),
    valid: np.ndarray | None = None,
) -> Recording:
    mask = np.ones(signal.shape, bool) if valid is None else valid
    return Recording(leads, fs, signal.astype(np.float32), mask, age=40, dx=("1",), repairs=("r",))


def sine(hertz: float, fs: float, seconds: float, phase: float = 0.4) -> np.ndarray:
    return 1.5 * np.sin(2 * np.pi * hertz * np.arange(round(fs * seconds)) / fs + phase)


@pytest.mark.parametrize(
    ("old", "new"),
    [(1000, 500), (500, 250), (257, 500), (100, 500), (360, 250), (400, 500), (250, 500)],
)
@pytest.mark.parametrize("hertz", [1.0, 7.3, 25.0])
def test_a_sine_keeps_amplitude_phase_and_place(old: float, new: float, hertz: float) -> None:
    source = np.stack([sine(hertz, old, 8), sine(hertz, old, 8, 1.1)])
    result = resample(recording(source, old), new)
    assert result.fs == new
    assert result.signal.shape == (2, -(-source.shape[1] * new // old))
    inner = slice(int(new), -int(new))  # clear of the edges
    for row, phase in zip(result.signal, (0.4, 1.1), strict=True):
        expected = sine(hertz, new, 8, phase)[: row.size]
        assert np.abs(row[inner][: expected[inner].size] - expected[inner]).max() < 0.004
    assert result.valid.all()


def test_what_the_new_rate_cannot_hold_is_removed() -> None:
    result = resample(recording(np.stack([sine(200.0, 1000, 8)] * 2), 1000), 250)
    assert np.abs(result.signal[:, 250:-250]).max() < 0.01


def test_a_constant_stays_constant_up_to_the_edges() -> None:
    result = resample(recording(np.full((2, 400), 0.75), 257), 500)
    np.testing.assert_allclose(result.signal, 0.75, atol=2e-3)


@pytest.mark.parametrize(("old", "new"), [(1000.0, 250.0), (257.0, 500.0), (62.4725, 250.0)])
def test_equals_scipy_where_all_is_valid(old: float, new: float) -> None:
    source = np.random.default_rng(0).normal(size=(3, 700)).astype(np.float32)
    ratio = Fraction(str(new)) / Fraction(str(old))
    expected = resample_poly(
        source.astype(np.float64), ratio.numerator, ratio.denominator, axis=1, padtype="edge"
    )
    result = resample(recording(source, old, ("I", "II", "V1")), new)
    assert np.array_equal(result.signal, expected.astype(np.float32))


def test_the_same_rate_gives_the_recording_itself() -> None:
    source = recording(np.zeros((2, 10)), 500)
    assert resample(source, 500) is source


def test_everything_else_is_carried_along() -> None:
    result = resample(recording(np.zeros((2, 10)), 500), 250)
    assert (result.leads, result.age, result.dx, result.repairs) == (
        ("I", "II"),
        40,
        ("1",),
        ("r",),
    )
    assert result.signal.dtype == np.float32 and result.valid.dtype == bool


@given(
    st.sampled_from([(500, 250), (257, 500), (100, 500), (1000, 250), (360, 500)]),
    st.integers(0, 299),
    st.integers(1, 120),
    st.floats(-1e6, 1e6, width=32),
)
@settings(max_examples=60)
def test_no_valid_output_depends_on_an_invalid_input(
    rates: tuple[int, int], start: int, length: int, rubbish: float
) -> None:
    old, new = rates
    source = np.random.default_rng(1).normal(size=(2, 300))
    valid = np.ones((2, 300), bool)
    valid[0, start : start + length] = False
    spoiled = source.copy()
    spoiled[0, start : start + length] = rubbish
    clean = resample(recording(source, old, valid=valid), new)
    dirty = resample(recording(spoiled, old, valid=valid), new)
    assert np.array_equal(clean.valid, dirty.valid)
    assert np.array_equal(clean.signal, dirty.signal)
    assert (clean.signal[~clean.valid] == 0).all()
    assert clean.valid[1].all()
    # and where the mask is True the answer is that of the undamaged signal
    whole = resample(recording(source, old), new)
    seen = clean.valid[0]
    np.testing.assert_allclose(clean.signal[0, seen], whole.signal[0, seen], atol=1e-6)


def test_the_mask_reaches_ten_filter_lengths_and_no_further() -> None:
    valid = np.ones((2, 1000), bool)
    valid[0, 500] = False
    halved = resample(recording(np.zeros((2, 1000)), 500, valid=valid), 250)
    # down 2: the filter spans 20 input samples either side of output k at input 2 k
    assert np.flatnonzero(~halved.valid[0]).tolist() == list(range(240, 261))
    doubled = resample(recording(np.zeros((2, 1000)), 250, valid=valid), 500)
    assert np.flatnonzero(~doubled.valid[0]).tolist() == list(range(980, 1021))


def test_an_invalid_lead_stays_invalid() -> None:
    valid = np.array([[False] * 50, [True] * 50])
    result = resample(recording(np.ones((2, 50)), 500, valid=valid), 250)
    assert not result.valid[0].any() and result.valid[1].all()


@pytest.mark.parametrize("fs", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_rates(fs: float) -> None:
    with pytest.raises(UsageError):
        resample(recording(np.zeros((2, 10)), 500), fs)


def test_a_ratio_too_fine_to_filter() -> None:
    with pytest.raises(UsageError, match="too fine"):
        resample(recording(np.zeros((2, 10)), 499.9999991), 500)


def twelve(seconds: float = 10.0, fs: float = 1000.0) -> Recording:
    rng = np.random.default_rng(4)
    rows = {name: rng.normal(size=round(seconds * fs)) for name in ("I", "II", *CHEST)}
    rows |= derive_limb(rows["I"], rows["II"])
    return recording(np.stack([rows[name] for name in TWELVE]), fs, TWELVE)


def test_select_by_name_in_the_order_asked_for() -> None:
    source = twelve()
    chosen = select(source, ("V6", "I"))
    assert np.array_equal(chosen.signal, source.signal[[11, 0]])
    assert chosen.leads == ("V6", "I") and chosen.repairs == ("r",)


def test_absent_limb_leads_are_computed_and_said_so() -> None:
    source = twelve()
    valid = source.valid.copy()
    valid[0, 5] = valid[1, 9] = False
    source = recording(source.signal, source.fs, TWELVE, valid)
    eight = select(source, ("I", "II", *CHEST))
    full = select(eight, TWELVE)
    assert full.leads == TWELVE
    rows = [0, 1, *range(6, 12)]
    assert np.array_equal(full.signal[rows], eight.signal)
    apart = ~(full.valid[2:6])
    assert [np.flatnonzero(row).tolist() for row in apart] == [[5, 9]] * 4
    np.testing.assert_allclose(
        np.where(apart, 0, full.signal[2:6]), np.where(apart, 0, source.signal[2:6]), atol=1e-6
    )
    assert full.repairs == ("r", "computed from I and II: III, aVR, aVL, aVF")


def test_absent_chest_leads_are_never_invented() -> None:
    with pytest.raises(UnsupportedFormat, match="V1, V2"):
        select(select(twelve(), ("I", "II", "V3", "V4", "V5", "V6")), TWELVE)
    with pytest.raises(UnsupportedFormat, match="aVF"):
        select(select(twelve(), ("I", "V1")), ("I", "aVF"))


def ten_seconds(recording: Recording, start: float = 0.0) -> Recording:
    """Input of an ECG-JEPA style encoder: eight leads, 250 Hz, ten seconds from `start` seconds."""
    at_250 = resample(select(recording, ("I", "II", *CHEST)), 250.0)
    return window(at_250, round(start * 250), 2500)


def test_twelve_leads_at_500_hz() -> None:
    view = resample(select(twelve(3.0), TWELVE), 500.0)
    assert view.leads == TWELVE and view.fs == 500.0 and view.signal.shape == (12, 1500)


def test_ten_seconds_of_eight_leads() -> None:
    source = twelve()
    view = ten_seconds(source)
    assert view.leads == ("I", "II", *CHEST) and view.fs == 250.0
    assert view.signal.shape == view.valid.shape == (8, 2500)
    assert view.signal.dtype == np.float32 and view.valid.all()
    assert np.array_equal(view.signal, resample(source, 250).signal[[0, 1, *range(6, 12)]])


def test_ten_seconds_of_shorter_and_longer_recordings() -> None:
    short = ten_seconds(twelve(6.0))
    assert short.signal.shape == (8, 2500)
    assert short.valid[:, :1500].all() and not short.valid[:, 1500:].any()
    assert (short.signal[:, 1500:] == 0).all()
    long = twelve(14.0)
    at_250 = resample(select(long, ("I", "II", *CHEST)), 250).signal
    assert np.array_equal(ten_seconds(long).signal, at_250[:, :2500])
    assert np.array_equal(ten_seconds(long, start=3.0).signal, at_250[:, 750:3250])


def test_windows_start_inside() -> None:
    source = recording(np.arange(20.0).reshape(2, 10), 10)
    assert window(source, 8, 3).signal.tolist() == [[8, 9, 0], [18, 19, 0]]
    assert window(source, 8, 3).valid.tolist() == [[True, True, False]] * 2
    for start, samples in ((10, 5), (-1, 5), (0, 0)):
        with pytest.raises(UsageError):
            window(source, start, samples)
