"""WFDB records that are cut, flipped, hostile or larger than the limits."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qoqdata.errors import InputError, MissingFile, TooLarge, UnreadableFile, UnsupportedFormat
from qoqdata.readers.ecg import read_ecg
from qoqdata.readers.limits import DEFAULT_LIMITS
from tests.readers.wfdb_records_by_hand import dat, header, mat, noise


@pytest.mark.parametrize("sums", [None, [0, 0, 0]])
def test_every_truncation_of_a_dat_is_refused(tmp_path: Path, sums: list[int] | None) -> None:
    stored = noise()
    path = dat(tmp_path, stored, header(stored, sums=sums))
    data = (tmp_path / "rec.dat").read_bytes()
    for size in range(len(data)):
        (tmp_path / "rec.dat").write_bytes(data[:size])
        with pytest.raises(UnreadableFile):
            read_ecg(path)


def test_a_cut_inside_a_tail_of_zeros_is_refused(tmp_path: Path) -> None:
    stored = noise()
    stored[40:] = 0
    path = dat(tmp_path, stored)
    data = (tmp_path / "rec.dat").read_bytes()
    (tmp_path / "rec.dat").write_bytes(data[: 50 * 6])
    with pytest.raises(UnreadableFile, match="truncated"):
        read_ecg(path)


def test_every_truncation_of_a_mat_is_refused(tmp_path: Path) -> None:
    path = mat(tmp_path, noise())
    data = (tmp_path / "rec.mat").read_bytes()
    for size in range(len(data)):
        (tmp_path / "rec.mat").write_bytes(data[:size])
        with pytest.raises(UnreadableFile, match=r"level 4" if size < 20 else r"truncated"):
            read_ecg(path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [dat, mat])
def test_no_flipped_bit_of_the_header_changes_the_samples(tmp_path: Path, kind: object) -> None:
    """A flip is refused, or changes names, comments and calibration only: every lead stays an
    affine image of its samples, at full length."""
    stored = noise(20)
    path = kind(tmp_path, stored)  # type: ignore[operator]
    sound = path.read_bytes()
    truth = stored.T - stored.T.mean(axis=1, keepdims=True)
    accepted = 0
    for bit in range(len(sound) * 8):
        flipped = bytearray(sound)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(flipped))
        try:
            recording = read_ecg(path)
        except InputError:
            continue
        accepted += 1
        assert recording.signal.shape[1] == 20
        for row in recording.signal.astype(float):
            row -= row.mean()
            match = np.abs(truth @ row) / np.linalg.norm(truth, axis=1) / np.linalg.norm(row)
            assert match.max() > 0.999, (bit, flipped)
    assert accepted > 100


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("16+24 1000", "16+20 1000"), "at byte 20"),
        (("16+24 1000", "80+24 1000"), "number class"),
        (("16+24 1000", "32+24 1000"), "number class"),
        (("16+24 1000", "16x2+24 1000"), "6 rows"),
    ],
)
def test_mat_files_that_contradict_their_header(
    tmp_path: Path, change: tuple[str, str], reason: str
) -> None:
    path = mat(tmp_path, noise())
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(UnreadableFile, match=reason):
        read_ecg(path)


def test_a_mat_that_is_no_level_4_file(tmp_path: Path) -> None:
    path = mat(tmp_path, noise())
    data = (tmp_path / "rec.mat").read_bytes()
    (tmp_path / "rec.mat").write_bytes(b"MATLAB 5.0 MAT-file, " + data)
    with pytest.raises(UnreadableFile, match="level 4"):
        read_ecg(path)


@pytest.mark.parametrize("content", [b"", b"\x00" * 50, b"\x89PNG\r\n\x1a\n" + bytes(range(256))])
def test_garbage_as_header_and_as_samples(tmp_path: Path, content: bytes) -> None:
    dat(tmp_path, noise())
    (tmp_path / "rec.dat").write_bytes(content)
    with pytest.raises(UnreadableFile):
        read_ecg(tmp_path / "rec")
    (tmp_path / "rec.hea").write_bytes(content)
    with pytest.raises(UnreadableFile):
        read_ecg(tmp_path / "rec")


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("rec 0 500 60\n", UnreadableFile, "lists no signals"),
        ("rec 1 500 60\nrec.dat 16 nan/mV 16 0 1 2 0 I\n", UnreadableFile, "signal 0"),
        ("rec 1 500 60\nrec.dat 17 1000/mV 16 0 1 2 0 I\n", UnsupportedFormat, "format 17"),
        ("rec 1 500 60\n- 16 1000/mV 16 0 1 2 0 I\n", UnsupportedFormat, "standard input"),
        ("rec 1 500 60\nnone.dat 16 1000/mV 16 0 1 2 0 I\n", MissingFile, "none.dat"),
        ("rec 1 500 60\n~ 0 1000/mV 16 0 1 2 0 I\n", UnreadableFile, "holds no signal"),
        ("rec 1 500 60\nsub 16 1000/mV 16 0 1 2 0 I\n", UnreadableFile, "regular file"),
        ("rec 1 500 60\npipe 16 1000/mV 16 0 1 2 0 I\n", UnreadableFile, "regular file"),
        (
            "rec 2 500 60\nrec.dat 16 1/mV 16 0 1 2 0 I\nrec.dat 80 1/mV 8 0 1 2 0 II\n",
            UnreadableFile,
            "differ in format",
        ),
        (
            "rec 3 500 60\nrec.dat 16 1/mV\nb.dat 16 1/mV\nrec.dat 16 1/mV\n",
            UnreadableFile,
            "not listed together",
        ),
        (
            "rec 1 500 60\nrec.dat 16 1e-300/mV 16 0\n",
            UnreadableFile,
            "finite millivolts",
        ),
        ("rec 1 500 60\nrec.dat 16+999999999999999 1/mV\n", UnreadableFile, "no complete frame"),
        ("rec 1 500\nrec.dat 16x999999999 1/mV\n", UnreadableFile, "no complete frame"),
    ],
)
def test_hostile_headers(tmp_path: Path, text: str, kind: type[InputError], reason: str) -> None:
    dat(tmp_path, noise(60, 1), text)
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "b.dat").write_bytes(bytes(120))
    with pytest.raises(kind, match=reason):
        read_ecg(tmp_path / "rec")


@pytest.mark.parametrize("length", [10**9, 10**12, 10**17])
def test_promised_samples_are_checked_before_anything_is_read(tmp_path: Path, length: int) -> None:
    stored = noise()
    path = dat(tmp_path, stored, header(stored, length=length))
    (tmp_path / "rec.dat").unlink()
    with pytest.raises(TooLarge, match="ecg samples"):
        read_ecg(path)


def test_limits_apply_to_what_the_file_holds(tmp_path: Path) -> None:
    path = dat(tmp_path, noise())
    assert read_ecg(path, limits=replace(DEFAULT_LIMITS, ecg_samples=180)).signal.size == 180
    with pytest.raises(TooLarge):
        read_ecg(path, limits=replace(DEFAULT_LIMITS, ecg_samples=179))
    with pytest.raises(TooLarge):
        read_ecg(path, limits=replace(DEFAULT_LIMITS, file_bytes=359))
    stored = noise()
    path.write_text(header(stored, length=""))
    with pytest.raises(TooLarge):
        read_ecg(path, limits=replace(DEFAULT_LIMITS, ecg_samples=179))
