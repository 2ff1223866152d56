"""Checksums and first samples of a WFDB header prove its samples, or refuse them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qoqdata.errors import UnreadableFile
from qoqdata.readers.ecg import read_ecg
from tests.readers.wfdb_records_by_hand import dat, header, mat, millivolts, noise


def test_checksums_count_signed_and_unsigned(tmp_path: Path) -> None:
    stored = noise()
    signed = [((int(lead.sum()) + 32768) & 0xFFFF) - 32768 for lead in stored.T]
    assert min(signed) < 0
    dat(tmp_path, stored, header(stored, sums=signed))
    assert read_ecg(tmp_path / "rec").repairs == ()


def test_checksum_mismatch_names_lead_and_both_numbers(tmp_path: Path) -> None:
    stored = noise()
    sums = [int(lead.sum()) & 0xFFFF for lead in stored.T]
    wrong = [sums[0], sums[1] ^ 5, sums[2]]
    dat(tmp_path, stored, header(stored, sums=wrong))
    with pytest.raises(UnreadableFile) as caught:
        read_ecg(tmp_path / "rec")
    message = str(caught.value)
    assert "lead II" in message and str(wrong[1]) in message and str(sums[1]) in message


def test_first_sample_mismatch_names_lead_and_both_numbers(tmp_path: Path) -> None:
    stored = noise()
    wrong = [stored[0, 0], stored[0, 1], stored[0, 2] + 1]
    dat(tmp_path, stored, header(stored, first=wrong))
    with pytest.raises(UnreadableFile) as caught:
        read_ecg(tmp_path / "rec")
    message = str(caught.value)
    assert "lead V1" in message and str(wrong[2]) in message and str(stored[0, 2]) in message


def test_a_checksum_of_zero_is_no_statement_and_said_so(tmp_path: Path) -> None:
    stored = noise()
    dat(tmp_path, stored, header(stored, first=[0, 0, 0], sums=[0, 0, 0]))
    assert read_ecg(tmp_path / "rec").repairs == (
        "not verified, the header has no checksum: I, II, V1",
    )


def test_a_checksum_that_truly_is_zero_is_verified(tmp_path: Path) -> None:
    stored = noise()
    stored[-1, 0] -= stored[:, 0].sum() % 65536
    stored[-1, 0] = ((stored[-1, 0] + 32768) % 65536) - 32768
    assert int(stored[:, 0].sum()) % 65536 == 0
    dat(tmp_path, stored)
    assert read_ecg(tmp_path / "rec").repairs == ()


@pytest.mark.parametrize("kind", [dat, mat])
@pytest.mark.parametrize("stated", [59, 61, 6000, 1])
def test_a_wrong_count_that_the_checksums_disprove_is_mended(
    tmp_path: Path, kind: object, stated: int
) -> None:
    stored = noise()
    path = kind(tmp_path, stored)  # type: ignore[operator]
    path.write_text(path.read_text().replace("rec 3 500 60", f"rec 3 500 {stated}"))
    recording = read_ecg(path)
    assert np.array_equal(recording.signal, millivolts(stored))
    assert len(recording.repairs) == 1 and f"states {stated} frames" in recording.repairs[0]


def test_every_flipped_bit_of_the_samples_is_caught(tmp_path: Path) -> None:
    path = dat(tmp_path, noise(20))
    data = bytearray((tmp_path / "rec.dat").read_bytes())
    for bit in range(0, len(data) * 8, 3):
        data[bit // 8] ^= 1 << bit % 8
        (tmp_path / "rec.dat").write_bytes(bytes(data))
        with pytest.raises(UnreadableFile, match=r"checksum|first sample"):
            read_ecg(path)
        data[bit // 8] ^= 1 << bit % 8
