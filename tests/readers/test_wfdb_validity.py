"""Which samples of a WFDB record are valid: missing codes and converter stops are masked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qoqdata.errors import UnreadableFile
from qoqdata.readers.ecg import read_ecg
from tests.readers.wfdb_records_by_hand import dat, header, millivolts, noise
from tests.readers.wfdb_records_by_wfdb import walk, write


@pytest.mark.parametrize(("fmt", "bits"), [("16", 16), ("212", 12), ("80", 8), ("24", 24)])
def test_missing_codes_are_masked_and_zero(tmp_path: Path, fmt: str, bits: int) -> None:
    stored = walk(bits, (50, 2))
    stored[3, 0] = stored[10:14, 1] = -(2 ** (bits - 1))
    recording = read_ecg(write(tmp_path, fmt, stored))
    gone = np.zeros((2, 50), bool)
    gone[1, 3] = gone[0, 10:14] = True
    assert np.array_equal(recording.valid, ~gone)
    assert (recording.signal[gone] == 0).all()
    assert np.isfinite(recording.signal).all()


def test_wfdb_itself_agrees_where_samples_are_missing(tmp_path: Path) -> None:
    wfdb = pytest.importorskip("wfdb")
    stored = walk(12, (50, 2))
    stored[7:9, 0] = -2048
    stem = write(tmp_path, "212", stored, baseline=[3, -4], gain=[211.0, 97.5])
    theirs = wfdb.rdrecord(stem).p_signal.T[[1, 0]]
    ours = read_ecg(stem)
    assert np.array_equal(np.isnan(theirs), ~ours.valid)
    assert np.array_equal(ours.signal, np.nan_to_num(theirs).astype(np.float32))


def test_values_of_all_missing_leads_are_not_listed(tmp_path: Path) -> None:
    stored = noise()
    stored[:, 1] = -32768
    recording = read_ecg(dat(tmp_path, stored))
    assert recording.leads == ("I", "V1")
    assert any("missing" in repair for repair in recording.repairs)
    stored[:] = -32768
    with pytest.raises(UnreadableFile, match="marked as missing"):
        read_ecg(dat(tmp_path, stored))


def test_a_flat_lead_with_gaps_is_flat(tmp_path: Path) -> None:
    """The gaps cut its 0.12 s into runs that are shorter than the lead."""
    stored = noise()
    stored[:, 0] = 7
    stored[[20, 40], 0] = -32768
    recording = read_ecg(dat(tmp_path, stored))
    assert recording.valid.any(axis=1).tolist() == [False, True, True]


def test_a_recording_without_a_usable_sample_is_refused(tmp_path: Path) -> None:
    """Flat leads are measured, so that none is `marked as missing`, and yet nothing is to see."""
    stored = noise()
    stored[:] = 7
    with pytest.raises(UnreadableFile, match="flat, saturated or missing throughout"):
        read_ecg(dat(tmp_path, stored))
    stored[:, 0] = noise()[:, 0]
    recording = read_ecg(dat(tmp_path, stored))
    assert recording.valid.any(axis=1).tolist().count(True) == 1
    assert len(recording.masked) == len(recording.leads) - 1
    assert all(note.endswith(": 100% unusable, masked") for note in recording.masked)


@pytest.mark.parametrize(
    ("adc", "stop", "caught"),
    [
        ("16 0", 32767, True),
        ("16 0", -32767, True),
        ("12 0", 2047, True),
        ("12 0", -2048, True),
        ("12 0", 2040, False),
        ("12 1024", 3071, True),
        ("12 1024", 2047, False),
        ("12 0", 2100, False),
    ],
)
def test_converter_stops_are_masked(tmp_path: Path, adc: str, stop: int, caught: bool) -> None:
    """15 samples (30 ms) at the stop of the converter, or of the format when the lead leaves the
    declared 12-bit range and so belies it. The measured values stay."""
    stored = np.random.default_rng(1).integers(0, 2000, (400, 1))
    stored[100:115] = stop
    text = header(stored).replace("/mV 16 0 ", f"/mV {adc} ")
    recording = read_ecg(dat(tmp_path, stored, text))
    assert np.flatnonzero(~recording.valid[0]).tolist() == (list(range(100, 115)) if caught else [])
    assert np.array_equal(recording.signal, millivolts(stored - int(adc.split()[1])))


def test_quality_is_judged_at_the_rate_of_the_lead(tmp_path: Path) -> None:
    stored = np.random.default_rng(1).integers(-900, 900, (2400, 1))
    stored[300:1500] = 7  # 0.6 s at four samples in each of 500 frames a second
    total = int(stored.sum()) & 0xFFFF
    text = f"rec 1 500 600\nrec.dat 16x4 1000/mV 16 0 {stored[0, 0]} {total} 0 I\n"
    assert read_ecg(dat(tmp_path, stored, text)).valid.all()
    slow = text.replace("rec 1 500", "rec 1 100")
    assert int((~read_ecg(dat(tmp_path, stored, slow)).valid).sum()) == 1200
