"""Records against their own headers: counts, checksums, damage, hostile names."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qoqdata.errors import (
    InputError,
    MissingFile,
    OutsideRoot,
    TooLarge,
    UnreadableFile,
    UnsupportedFormat,
)
from qoqdata.readers.ecg import read
from qoqdata.readers.limits import DEFAULT_LIMITS

NAMES = ("I", "II", "V1")


def noise(samples: int = 60, leads: int = 3) -> np.ndarray:
    return np.random.default_rng(7).integers(-3000, 3000, (samples, leads))


def header(
    stored: np.ndarray,
    *,
    length: int | str | None = None,
    file: str = "rec.dat",
    layout: str = "16",
    calibration: str = "1000/mV",
    first: Sequence[object] | None = None,
    sums: Sequence[int] | None = None,
    tail: str = "#Age: 60\n#Sex: Male\n#Dx: 1,2\n",
) -> str:
    """Header text for `stored` (sample, lead), true in every field that is not given."""
    firsts = list(stored[0]) if first is None else first
    totals = [int(lead.sum()) & 0xFFFF for lead in stored.T] if sums is None else sums
    lines = [f"rec {stored.shape[1]} 500 {len(stored) if length is None else length}"]
    lines += [
        f"{file} {layout} {calibration} 16 0 {a} {b} 0 {name}"
        for a, b, name in zip(firsts, totals, NAMES, strict=False)
    ]
    return "\n".join(lines) + "\n" + tail


def dat(folder: Path, stored: np.ndarray, text: str | None = None, extra: bytes = b"") -> Path:
    (folder / "rec.dat").write_bytes(stored.astype("<i2").tobytes() + extra)
    (folder / "rec.hea").write_text(header(stored) if text is None else text)
    return folder / "rec.hea"


def mat(
    folder: Path,
    stored: np.ndarray,
    text: str | None = None,
    shape: tuple[int, int] | None = None,
    number_class: int = 3,
) -> Path:
    rows, columns = shape or stored.shape[::-1]
    head = struct.pack("<5i", number_class * 10, rows, columns, 0, 4) + b"val\0"
    (folder / "rec.mat").write_bytes(head + stored.astype("<i2").tobytes())
    (folder / "rec.hea").write_text(
        header(stored, file="rec.mat", layout="16+24") if text is None else text
    )
    return folder / "rec.hea"


def millivolts(stored: np.ndarray) -> np.ndarray:
    return (stored.T / 1000).astype(np.float32)


@pytest.mark.parametrize("kind", [dat, mat])
@pytest.mark.parametrize("name", ["rec", "rec.hea", "rec.{suffix}"])
def test_a_sound_record_by_any_of_its_paths(tmp_path: Path, kind: object, name: str) -> None:
    stored = noise()
    kind(tmp_path, stored)  # type: ignore[operator]
    recording = read(str(tmp_path / name.format(suffix=kind.__name__)))  # type: ignore[attr-defined]
    assert recording.leads == NAMES
    assert np.array_equal(recording.signal, millivolts(stored))
    assert recording.signal.dtype == np.float32 and recording.valid.dtype == bool
    assert recording.valid.all() and recording.repairs == ()
    assert (recording.age, recording.sex, recording.dx) == (60, "male", ("1", "2"))
    assert recording.comments == ("Age: 60", "Sex: Male", "Dx: 1,2")
    assert recording.seconds == 60 / 500


def test_checksums_count_signed_and_unsigned(tmp_path: Path) -> None:
    stored = noise()
    signed = [((int(lead.sum()) + 32768) & 0xFFFF) - 32768 for lead in stored.T]
    assert min(signed) < 0
    dat(tmp_path, stored, header(stored, sums=signed))
    assert read(tmp_path / "rec").repairs == ()


def test_checksum_mismatch_names_lead_and_both_numbers(tmp_path: Path) -> None:
    stored = noise()
    sums = [int(lead.sum()) & 0xFFFF for lead in stored.T]
    wrong = [sums[0], sums[1] ^ 5, sums[2]]
    dat(tmp_path, stored, header(stored, sums=wrong))
    with pytest.raises(UnreadableFile) as caught:
        read(tmp_path / "rec")
    message = str(caught.value)
    assert "lead II" in message and str(wrong[1]) in message and str(sums[1]) in message


def test_first_sample_mismatch_names_lead_and_both_numbers(tmp_path: Path) -> None:
    stored = noise()
    wrong = [stored[0, 0], stored[0, 1], stored[0, 2] + 1]
    dat(tmp_path, stored, header(stored, first=wrong))
    with pytest.raises(UnreadableFile) as caught:
        read(tmp_path / "rec")
    message = str(caught.value)
    assert "lead V1" in message and str(wrong[2]) in message and str(stored[0, 2]) in message


def test_a_checksum_of_zero_is_no_statement_and_said_so(tmp_path: Path) -> None:
    stored = noise()
    dat(tmp_path, stored, header(stored, first=[0, 0, 0], sums=[0, 0, 0]))
    assert read(tmp_path / "rec").repairs == (
        "not verified, the header has no checksum: I, II, V1",
    )


def test_a_checksum_that_truly_is_zero_is_verified(tmp_path: Path) -> None:
    stored = noise()
    stored[-1, 0] -= stored[:, 0].sum() % 65536
    stored[-1, 0] = ((stored[-1, 0] + 32768) % 65536) - 32768
    assert int(stored[:, 0].sum()) % 65536 == 0
    dat(tmp_path, stored)
    assert read(tmp_path / "rec").repairs == ()


@pytest.mark.parametrize("kind", [dat, mat])
@pytest.mark.parametrize("stated", [59, 61, 6000, 1])
def test_a_wrong_count_that_the_checksums_disprove_is_mended(
    tmp_path: Path, kind: object, stated: int
) -> None:
    stored = noise()
    path = kind(tmp_path, stored)  # type: ignore[operator]
    path.write_text(path.read_text().replace("rec 3 500 60", f"rec 3 500 {stated}"))
    recording = read(path)
    assert np.array_equal(recording.signal, millivolts(stored))
    assert len(recording.repairs) == 1 and f"states {stated} frames" in recording.repairs[0]


def test_without_a_count_the_file_decides(tmp_path: Path) -> None:
    stored = noise()
    dat(tmp_path, stored, header(stored, length=""))
    recording = read(tmp_path / "rec")
    assert np.array_equal(recording.signal, millivolts(stored))
    assert "states no length" in recording.repairs[0]


def test_padding_after_the_declared_samples_is_ignored_and_noted(tmp_path: Path) -> None:
    stored = noise()
    dat(tmp_path, stored, extra=bytes(600))
    recording = read(tmp_path / "rec")
    assert np.array_equal(recording.signal, millivolts(stored))
    assert recording.repairs == ("bytes after the last sample ignored",)


@pytest.mark.parametrize("sums", [None, [0, 0, 0]])
def test_every_truncation_of_a_dat_is_refused(tmp_path: Path, sums: list[int] | None) -> None:
    stored = noise()
    path = dat(tmp_path, stored, header(stored, sums=sums))
    data = (tmp_path / "rec.dat").read_bytes()
    for size in range(len(data)):
        (tmp_path / "rec.dat").write_bytes(data[:size])
        with pytest.raises(UnreadableFile):
            read(path)


def test_a_cut_inside_a_tail_of_zeros_is_refused(tmp_path: Path) -> None:
    stored = noise()
    stored[40:] = 0
    path = dat(tmp_path, stored)
    data = (tmp_path / "rec.dat").read_bytes()
    (tmp_path / "rec.dat").write_bytes(data[: 50 * 6])
    with pytest.raises(UnreadableFile, match="truncated"):
        read(path)


def test_every_truncation_of_a_mat_is_refused(tmp_path: Path) -> None:
    path = mat(tmp_path, noise())
    data = (tmp_path / "rec.mat").read_bytes()
    for size in range(len(data)):
        (tmp_path / "rec.mat").write_bytes(data[:size])
        with pytest.raises(UnreadableFile, match=r"level 4" if size < 20 else r"truncated"):
            read(path)


def test_every_flipped_bit_of_the_samples_is_caught(tmp_path: Path) -> None:
    path = dat(tmp_path, noise(20))
    data = bytearray((tmp_path / "rec.dat").read_bytes())
    for bit in range(0, len(data) * 8, 3):
        data[bit // 8] ^= 1 << bit % 8
        (tmp_path / "rec.dat").write_bytes(bytes(data))
        with pytest.raises(UnreadableFile, match=r"checksum|first sample"):
            read(path)
        data[bit // 8] ^= 1 << bit % 8


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
            recording = read(path)
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
        read(path)


def test_a_mat_that_is_no_level_4_file(tmp_path: Path) -> None:
    path = mat(tmp_path, noise())
    data = (tmp_path / "rec.mat").read_bytes()
    (tmp_path / "rec.mat").write_bytes(b"MATLAB 5.0 MAT-file, " + data)
    with pytest.raises(UnreadableFile, match="level 4"):
        read(path)


def test_without_checksums_the_matrix_shape_decides(tmp_path: Path) -> None:
    stored = noise()
    text = header(stored, file="rec.mat", layout="16+24", length=50, sums=[0, 0, 0])
    recording = read(mat(tmp_path, stored, text))
    assert np.array_equal(recording.signal, millivolts(stored))
    assert "matrix shape decides" in recording.repairs[0]


@pytest.mark.parametrize("length", [10**9, 10**12, 10**17])
def test_promised_samples_are_checked_before_anything_is_read(tmp_path: Path, length: int) -> None:
    stored = noise()
    path = dat(tmp_path, stored, header(stored, length=length))
    (tmp_path / "rec.dat").unlink()
    with pytest.raises(TooLarge, match="ecg samples"):
        read(path)


def test_limits_apply_to_what_the_file_holds(tmp_path: Path) -> None:
    path = dat(tmp_path, noise())
    assert read(path, limits=replace(DEFAULT_LIMITS, ecg_samples=180)).signal.size == 180
    with pytest.raises(TooLarge):
        read(path, limits=replace(DEFAULT_LIMITS, ecg_samples=179))
    with pytest.raises(TooLarge):
        read(path, limits=replace(DEFAULT_LIMITS, file_bytes=359))
    stored = noise()
    path.write_text(header(stored, length=""))
    with pytest.raises(TooLarge):
        read(path, limits=replace(DEFAULT_LIMITS, ecg_samples=179))


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
        read(tmp_path / "rec")


@pytest.mark.parametrize(
    "name",
    ["../outside.dat", "sub/../../outside.dat", "..\\outside.dat", "C:\\outside.dat", "{absolute}"],
)
def test_names_that_leave_the_folder(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    stored = noise()
    outside = tmp_path / "outside.dat"
    outside.write_bytes(stored.astype("<i2").tobytes())
    text = header(stored, file=name.format(absolute=outside))
    (inside / "rec.hea").write_text(text)
    with pytest.raises(OutsideRoot):
        read(inside / "rec")


def test_links_out_of_the_folder_are_refused_and_linked_caches_read(tmp_path: Path) -> None:
    blobs, view = tmp_path / "blobs", tmp_path / "view"
    blobs.mkdir()
    view.mkdir()
    dat(blobs, noise())
    (blobs / "rec.hea").rename(blobs / "aa11")
    (blobs / "rec.dat").rename(blobs / "bb22")
    (view / "rec.dat").symlink_to(blobs / "bb22")
    (view / "rec.hea").symlink_to(blobs / "aa11")
    assert np.array_equal(read(view / "rec").signal, millivolts(noise()))
    (view / "rec.hea").unlink()
    (view / "rec.hea").write_text(header(noise()))
    with pytest.raises(OutsideRoot, match="link"):
        read(view / "rec")


def test_a_folder_before_a_file_that_lies_beside_the_header_is_dropped(tmp_path: Path) -> None:
    stored = noise()
    text = header(stored, file="ge_median_beats/rec.dat").replace("rec 3", "ge_median_beats/rec 3")
    recording = read(dat(tmp_path, stored, text))
    assert np.array_equal(recording.signal, millivolts(stored))
    assert len(recording.repairs) == 2


@pytest.mark.parametrize("content", [b"", b"\x00" * 50, b"\x89PNG\r\n\x1a\n" + bytes(range(256))])
def test_garbage_as_header_and_as_samples(tmp_path: Path, content: bytes) -> None:
    dat(tmp_path, noise())
    (tmp_path / "rec.dat").write_bytes(content)
    with pytest.raises(UnreadableFile):
        read(tmp_path / "rec")
    (tmp_path / "rec.hea").write_bytes(content)
    with pytest.raises(UnreadableFile):
        read(tmp_path / "rec")


def test_paths_that_are_no_record(tmp_path: Path) -> None:
    (tmp_path / "lone.dat").write_bytes(bytes(10))
    for name, kind in (("none", MissingFile), ("none.hea", MissingFile), ("lone.dat", MissingFile)):
        with pytest.raises(kind):
            read(tmp_path / name)
    with pytest.raises(UnreadableFile):
        read(tmp_path)
    with pytest.raises(InputError):
        read(tmp_path / "nul\0byte")


def test_values_of_all_missing_leads_are_not_listed(tmp_path: Path) -> None:
    stored = noise()
    stored[:, 1] = -32768
    recording = read(dat(tmp_path, stored))
    assert recording.leads == ("I", "V1")
    assert any("missing" in repair for repair in recording.repairs)
    stored[:] = -32768
    with pytest.raises(UnreadableFile, match="marked as missing"):
        read(dat(tmp_path, stored))


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
    recording = read(dat(tmp_path, stored, text))
    assert np.flatnonzero(~recording.valid[0]).tolist() == (list(range(100, 115)) if caught else [])
    assert np.array_equal(recording.signal, millivolts(stored - int(adc.split()[1])))


def test_quality_is_judged_at_the_rate_of_the_lead(tmp_path: Path) -> None:
    stored = np.random.default_rng(1).integers(-900, 900, (2400, 1))
    stored[300:1500] = 7  # 0.6 s at four samples in each of 500 frames a second
    total = int(stored.sum()) & 0xFFFF
    text = f"rec 1 500 600\nrec.dat 16x4 1000/mV 16 0 {stored[0, 0]} {total} 0 I\n"
    assert read(dat(tmp_path, stored, text)).valid.all()
    slow = text.replace("rec 1 500", "rec 1 100")
    assert int((~read(dat(tmp_path, stored, slow)).valid).sum()) == 1200


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
    recording = read(dat(tmp_path, stored, text))
    assert (recording.fs, recording.leads) == (500.0, NAMES)
    np.testing.assert_allclose(recording.signal, stored.T / gain, rtol=1e-6)


def test_format_16_and_mat_never_import_wfdb(tmp_path: Path) -> None:
    import subprocess
    import sys

    dat(tmp_path, noise())
    code = (
        "import sys, qoqdata; before = set(sys.modules); from qoqdata.readers.ecg import read; "
        f"read({str(tmp_path / 'rec')!r}); "
        "heavy = {'wfdb', 'scipy', 'pydicom', 'pandas'} & (set(sys.modules) - before); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
