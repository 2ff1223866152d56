"""Signals of several samples per frame, and signals that are skewed, against wfdb."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qoqdata.readers.ecg import read_ecg
from tests.readers.wfdb_records_by_wfdb import walk, write


def _multi_rate(folder: Path, per_frame: list[int], frames: int) -> tuple[Path, list[np.ndarray]]:
    rng = np.random.default_rng(5)
    signals = [rng.integers(-2000, 2000, frames * n) for n in per_frame]
    grid = np.concatenate(
        [s.reshape(frames, n) for s, n in zip(signals, per_frame, strict=True)], axis=1
    )
    lines = [f"rec {len(per_frame)} 125 {frames}"]
    for name, n, signal in zip(("I", "II", "V1"), per_frame, signals, strict=False):
        total = int(signal.sum()) & 0xFFFF
        lines.append(f"rec.dat 16x{n} 100/mV 16 0 {signal[0]} {total} 0 {name}")
    (folder / "rec.hea").write_text("\n".join(lines) + "\n")
    (folder / "rec.dat").write_bytes(grid.astype("<i2").tobytes())
    return folder / "rec.hea", signals


def test_equal_rates_stay_native(tmp_path: Path) -> None:
    path, signals = _multi_rate(tmp_path, [4, 4], 30)
    recording = read_ecg(path)
    assert recording.fs == 500.0
    assert recording.signal.shape == (2, 120)
    assert np.array_equal(recording.signal, (np.stack(signals) / 100).astype(np.float32))
    assert recording.repairs == ()


@pytest.mark.parametrize(("per_frame", "common"), [([4, 2], 2), ([4, 1, 2], 1), ([6, 4], 2)])
def test_unequal_rates_meet_at_the_greatest_common_divisor(
    tmp_path: Path, per_frame: list[int], common: int
) -> None:
    path, signals = _multi_rate(tmp_path, per_frame, 30)
    recording = read_ecg(path)
    assert recording.fs == 125.0 * common
    for row, signal, n in zip(recording.signal, signals, per_frame, strict=True):
        expected = signal.reshape(-1, n // common).mean(axis=1) / 100
        np.testing.assert_allclose(row, expected, rtol=1e-6, atol=1e-6)
    assert sum("averaged" in repair for repair in recording.repairs) == len(
        [n for n in per_frame if n != common]
    )


def test_a_lead_at_the_frame_rate_gives_what_wfdb_smooths_to(tmp_path: Path) -> None:
    wfdb = pytest.importorskip("wfdb")
    path, _ = _multi_rate(tmp_path, [4, 1], 30)
    theirs = wfdb.rdrecord(str(path)[:-4]).p_signal.T  # wfdb cuts its means to whole stored units
    np.testing.assert_allclose(read_ecg(path).signal, theirs, atol=1.0 / 100)


def test_one_missing_sample_masks_its_whole_mean(tmp_path: Path) -> None:
    path, signals = _multi_rate(tmp_path, [4, 1], 30)
    data = np.fromfile(tmp_path / "rec.dat", "<i2")
    data[5 * 2 + 2] = -32768
    (tmp_path / "rec.dat").write_bytes(data.tobytes())
    text = path.read_text().splitlines()
    total = int(data.reshape(30, 5)[:, :4].sum()) & 0xFFFF
    text[1] = f"rec.dat 16x4 100/mV 16 0 {signals[0][0]} {total} 0 I"
    path.write_text("\n".join(text))
    recording = read_ecg(path)
    assert np.flatnonzero(~recording.valid[0]).tolist() == [2]
    assert recording.signal[0, 2] == 0.0


def test_skew_shifts_and_masks_the_tail_as_wfdb_does(tmp_path: Path) -> None:
    wfdb = pytest.importorskip("wfdb")
    stored = walk(12, (40, 2))
    stem = write(tmp_path, "16", stored)
    path = Path(stem + ".hea")
    path.write_text(path.read_text().replace("rec.dat 16", "rec.dat 16:3", 1))
    recording = read_ecg(stem)
    theirs = wfdb.rdrecord(stem).p_signal.T[[1, 0]]
    assert np.array_equal(np.isnan(theirs), ~recording.valid)
    assert np.array_equal(recording.signal, np.nan_to_num(theirs).astype(np.float32))
    assert not recording.valid[1, -3:].any()
    assert any("skew" in repair for repair in recording.repairs)
