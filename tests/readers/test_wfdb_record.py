"""Records whose headers leave out or misstate what their files prove."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qoqdata.readers.ecg import read_ecg
from tests.readers.wfdb_records_by_hand import NAMES, dat, header, mat, millivolts, noise


def test_without_a_count_the_file_decides(tmp_path: Path) -> None:
    stored = noise()
    dat(tmp_path, stored, header(stored, length=""))
    recording = read_ecg(tmp_path / "rec")
    assert np.array_equal(recording.signal, millivolts(stored))
    assert "states no length" in recording.repairs[0]


def test_padding_after_the_declared_samples_is_ignored_and_noted(tmp_path: Path) -> None:
    stored = noise()
    dat(tmp_path, stored, extra=bytes(600))
    recording = read_ecg(tmp_path / "rec")
    assert np.array_equal(recording.signal, millivolts(stored))
    assert recording.repairs == ("bytes after the last sample ignored",)


def test_without_checksums_the_matrix_shape_decides(tmp_path: Path) -> None:
    stored = noise()
    text = header(stored, file="rec.mat", layout="16+24", length=50, sums=[0, 0, 0])
    recording = read_ecg(mat(tmp_path, stored, text))
    assert np.array_equal(recording.signal, millivolts(stored))
    assert "matrix shape decides" in recording.repairs[0]


# Headers that wfdb 4.3.1 refuses or misreads (its answer in brackets), and ours, which header(5) or
# the samples themselves prove: text to replace, replacement, gain in units per mV.
DEFENDED = {
    "a year instead of time and date [ValueError]": ("500 60", "500 60 2006", 1000),
    "a date that does not exist [ValueError]": ("500 60", "500 60 1:2:3 31/13/2020", 1000),
    "a date of another form [accepted in silence]": ("500 60", "500 60 5-Feb-2020 11:39:16", 1000),
    "a record name with a suffix [HeaderSyntaxError]": ("rec 3 500", "rec.mat 3 500", 1000),
    "a record name with a folder [HeaderSyntaxError]": ("rec 3 500", "median_x/rec 3 500", 1000),
    "a count that is one too high [ValueError]": ("500 60", "500 61", 1000),
    "a rate in scientific notation [read as 5 Hz]": ("500 60", "5e2 60", 1000),
    "a micro sign in the unit [read as volts]": ("1000/mV", "1000/\u00b5V", 1000_000),
    "a capital exponent [gain 1, unit E3/mV]": ("1000/mV", "1E3/mV", 1000),
    "a baseline with a point [lead names lost]": ("1000/mV", "1000(0.0)/mV", 1000),
    "an initial value NaN [lead names lost]": ("16 0 ", "16 0 NaN ", 1000),
}


@pytest.mark.parametrize("case", DEFENDED)
def test_our_answer_where_wfdb_refuses_or_errs(tmp_path: Path, case: str) -> None:
    old, new, gain = DEFENDED[case]
    stored = noise()
    text = header(stored)
    if "NaN" in new:
        text = header(stored, first=["NaN"] * 3)
    else:
        assert old in text
        text = text.replace(old, new)
    recording = read_ecg(dat(tmp_path, stored, text))
    assert (recording.fs, recording.leads) == (500.0, NAMES)
    np.testing.assert_allclose(recording.signal, stored.T / gain, rtol=1e-6)


def test_format_16_and_mat_never_import_wfdb(tmp_path: Path) -> None:
    dat(tmp_path, noise())
    code = (
        "import sys, qoqdata; before = set(sys.modules); from qoqdata.readers.ecg import read_ecg; "
        f"read_ecg({str(tmp_path / 'rec')!r}); "
        "heavy = {'wfdb', 'scipy', 'pydicom', 'pandas'} & (set(sys.modules) - before); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
