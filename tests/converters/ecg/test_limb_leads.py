"""Limb leads that cannot be what they are called, and those that only look odd."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from qoqdata.readers.ecg import Recording
from qoqdata.readers.ecg.leads import LIMB, TWELVE
from qoqdata.simulation import ecg
from qoqdata.sources.catalogue import find_source

find_source("ptb_xl")
limb_fault = import_module("qoqdata.converters.ecg.limb_leads").limb_fault


def recording(rows: dict[str, np.ndarray] | None = None) -> Recording:
    """Ten seconds that keep the law, with `rows` in place of some leads."""
    signal = ecg(np.random.default_rng(4), 250, 10, TWELVE).astype(np.float32)
    for name, row in (rows or {}).items():
        signal[TWELVE.index(name)] = row
    return Recording(TWELVE, 250.0, signal, np.ones(signal.shape, bool))


def leads(*names: str) -> list[np.ndarray]:
    whole = recording()
    return [whole.signal[TWELVE.index(name)] for name in names]


def test_sound_leads_have_no_fault() -> None:
    assert limb_fault(recording()) is None
    # Steps of a recorder and an offset between its amplifiers are no contradiction.
    whole = recording()
    rounded = np.round(whole.signal, 2)
    rounded[2] += 0.3
    assert limb_fault(Recording(TWELVE, 250.0, rounded, whole.valid)) is None


@pytest.mark.parametrize(("one", "other"), [("I", "II"), ("aVL", "aVF"), ("III", "aVR")])
def test_two_channels_under_each_others_names(one: str, other: str) -> None:
    first, second = leads(one, other)
    fault = limb_fault(recording({one: second, other: first}))
    assert fault is not None and set(fault.leads) == {one, other}
    assert "seem exchanged" in fault.note


def test_swapped_electrodes_keep_the_law() -> None:
    """Left for right arm: I inverted, II for III, aVR for aVL; only a reader sees it."""
    i, ii, iii, avr, avl = leads("I", "II", "III", "aVR", "aVL")
    swapped = {"I": -i, "II": iii, "III": ii, "aVR": avl, "aVL": avr}
    assert limb_fault(recording(swapped)) is None


def test_a_lead_of_another_recording_is_named_and_the_rest_stands() -> None:
    stranger = ecg(np.random.default_rng(9), 250, 10, ("I",))[0]
    fault = limb_fault(recording({"aVF": stranger}))
    assert fault is not None and fault.leads == ("aVF",)
    fault = limb_fault(recording({"I": stranger}))
    assert fault is not None and fault.leads == LIMB


def test_masked_samples_and_absent_leads_are_not_compared() -> None:
    whole = recording({"III": np.zeros(2500)})
    whole.valid[2] = False
    assert limb_fault(whole) is None
    few = Recording(("I", "II", "V1"), 250.0, whole.signal[[0, 1, 6]], whole.valid[[0, 1, 6]])
    assert limb_fault(few) is None
