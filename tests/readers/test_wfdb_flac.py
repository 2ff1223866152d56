"""FLAC signal files: damage is caught, and the missing decoder is named."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from qoqdata.errors import InputError, UnreadableFile, UnsupportedFormat
from qoqdata.readers.ecg import read_ecg
from tests.readers.wfdb_records_by_wfdb import walk, write


@pytest.mark.slow
def test_flipped_bits_in_a_flac_file_are_caught(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    stored = walk(16, (200, 3))
    stem = write(tmp_path, "516", stored)
    data = (tmp_path / "rec.dat").read_bytes()
    truth = read_ecg(stem).signal
    for bit in np.random.default_rng(9).choice(len(data) * 8, 150, replace=False):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << int(bit % 8)
        (tmp_path / "rec.dat").write_bytes(bytes(flipped))
        try:
            recording = read_ecg(stem)
        except InputError:
            continue
        assert np.array_equal(recording.signal, truth)  # the flip hit metadata


def test_flac_without_soundfile_names_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("soundfile")
    stem = write(tmp_path, "516", walk(16, (20, 2)))
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(UnsupportedFormat, match="pip install soundfile"):
        read_ecg(stem)


def test_other_bytes_under_a_flac_format(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    stem = write(tmp_path, "516", walk(16, (20, 2)))
    for content in (b"", b"fLaC", b"RIFF" + bytes(60), bytes(500)):
        (tmp_path / "rec.dat").write_bytes(content)
        with pytest.raises(UnreadableFile):
            read_ecg(stem)
    (tmp_path / "two").mkdir()
    (tmp_path / "rec.dat").write_bytes(
        Path(write(tmp_path / "two", "516", walk(16, (20, 3))) + ".dat").read_bytes()
    )
    with pytest.raises(UnreadableFile, match="3 FLAC channels"):
        read_ecg(stem)
