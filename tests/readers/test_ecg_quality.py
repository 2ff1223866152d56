"""Validity masks: flat and saturated stretches, on signals whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qoqdata.readers.ecg.quality import flat, moves, runs, saturated, validity

FS = 500.0


def lead(seconds: float = 6.0, fs: float = FS) -> np.ndarray:
    """A noisy, never constant signal of about 0.1 mV with 2 mV spikes each second."""
    signal = np.random.default_rng(3).normal(0, 0.1, int(seconds * fs))
    signal[:: int(fs)] += 2.0
    return signal


@given(arrays(np.int8, st.integers(0, 60), elements=st.integers(0, 2)))
def test_runs_rebuild_the_signal(values: np.ndarray) -> None:
    starts, lengths = runs(values)
    assert np.array_equal(np.repeat(values[starts], lengths), values)
    assert (np.diff(values[starts]) != 0).all()


def test_a_clean_lead_is_valid_throughout() -> None:
    assert validity(lead(), FS, (-32.767, 32.767)).all()


@pytest.mark.parametrize("fs", [100.0, 257.0, 500.0, 1000.0])
@pytest.mark.parametrize(("seconds", "caught"), [(1.9, False), (2.1, True)])
def test_flat_counts_from_two_seconds(fs: float, seconds: float, caught: bool) -> None:
    signal = lead(8.0, fs)
    start, stop = int(2 * fs), int(2 * fs) + int(seconds * fs)
    signal[start:stop] = 0.05
    mask = flat(signal, fs)
    assert mask[start:stop].all() == caught and mask.any() == caught
    assert not mask[:start].any() and not mask[stop:].any()


def test_a_constant_lead_is_flat_however_short() -> None:
    assert flat(np.zeros(10), FS).all()
    assert not validity(np.full(10, 0.3), FS).any()


def test_missing_samples_break_a_flat_stretch_and_are_invalid() -> None:
    signal = lead()
    signal[500:1700] = 0.05
    signal[1100] = np.nan
    assert not flat(signal, FS).any()
    assert np.flatnonzero(~validity(signal, FS)).tolist() == [1100]


@pytest.mark.parametrize("rail", [-5.0, 5.0])
def test_rails(rail: float) -> None:
    signal = lead()
    signal[700:730] = rail  # 60 ms
    signal[900] = rail  # one peak scaled to the full range
    mask = saturated(signal, FS, (-5.0, 5.0))
    assert np.flatnonzero(mask).tolist() == list(range(700, 730))


def test_at_low_rates_a_rail_still_takes_three_samples() -> None:
    signal = lead(6.0, 100.0)
    signal[[200, 201]] = 5.0
    signal[[300, 301, 302]] = 5.0
    mask = saturated(signal, 100.0, (-5.0, 5.0))
    assert np.flatnonzero(mask).tolist() == [300, 301, 302]


def test_a_clipped_plateau_is_found_without_knowing_the_rail() -> None:
    signal = lead()
    signal[700:740] = 3.3  # 80 ms at the maximum of the lead, 3.3 mV off
    assert np.flatnonzero(~validity(signal, FS)).tolist() == list(range(700, 740))


@pytest.mark.parametrize(
    ("value", "samples"),
    [(0.7, 40), (3.3, 20), (1.5, 40)],
    ids=["below 1 mV", "shorter than 50 ms", "not the extreme"],
)
def test_what_is_no_plateau(value: float, samples: int) -> None:
    signal = np.clip(lead(), -0.5, 0.5) if value < 1 else lead()
    signal[700 : 700 + samples] = value
    assert validity(signal, FS).all()


def test_all_missing() -> None:
    assert not validity(np.full(20, np.nan), FS, (-1.0, 1.0)).any()


@given(arrays(np.float64, st.integers(1, 80), elements=st.sampled_from([0.0, 1.0, 5.0, np.nan])))
def test_masks_are_boolean_of_the_same_length_and_never_pass_nan(values: np.ndarray) -> None:
    mask = validity(values, 10.0, (-5.0, 5.0))
    assert mask.dtype == bool and mask.shape == values.shape
    assert not mask[np.isnan(values)].any()


@pytest.mark.parametrize("held", [1, 2, 5, 9, 10, 11, 30])
@pytest.mark.parametrize("start", [0, 37, -1])
def test_a_lead_moves_where_no_value_is_held_for_20_ms(held: int, start: int) -> None:
    """At 500 Hz ten equal samples in a row might be a rail; fewer are nothing."""
    lead = np.arange(200.0)
    at = start if start >= 0 else lead.size - held
    lead[at : at + held] = lead[at]
    assert moves(lead, 500.0) == (held < 10)
    # A lead that is shorter than the stretch is for `validity` to judge.
    assert not moves(lead[:9], 500.0)
