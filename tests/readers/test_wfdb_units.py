"""Signals of a WFDB record meet in millivolts; those that are no voltage are left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qoqdata.errors import UnsupportedFormat
from qoqdata.readers.ecg import read_ecg
from tests.readers.wfdb_records_by_wfdb import walk, write


def test_units_meet_in_millivolts(tmp_path: Path) -> None:
    stored = np.tile(walk(12, (40, 1)), (1, 4))
    units, gain = ["mV", "uV", "V", "nV"], [1000.0, 1.0, 1e6, 1e-3]
    recording = read_ecg(write(tmp_path, "16", stored, units=units, gain=gain))
    for row in recording.signal:
        np.testing.assert_allclose(row, stored[:, 0] / 1000.0, rtol=1e-7, atol=1e-7)


def test_channels_that_are_no_voltage_are_left_out_by_name(tmp_path: Path) -> None:
    stored = walk(12, (40, 3))
    stem = write(tmp_path, "16", stored, units=["mV", "NU", "mmHg"], names=["V", "PLETH", "ABP"])
    recording = read_ecg(stem)
    assert recording.leads == ("V",)
    assert sum("left out" in repair for repair in recording.repairs) == 2


def test_a_record_without_any_voltage_is_refused(tmp_path: Path) -> None:
    stem = write(tmp_path, "16", walk(12, (40, 2)), units=["NU", "mmHg"], names=["PLETH", "ABP"])
    with pytest.raises(UnsupportedFormat, match="volts"):
        read_ecg(stem)
