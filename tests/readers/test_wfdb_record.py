"""Records against their own headers: counts, checksums, damage, hostile names. And real files."""

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
from qoqdata.readers.ecg.leads import TWELVE, einthoven_residuals
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
    first: Sequence[int] | None = None,
    sums: Sequence[int] | None = None,
    tail: str = "#Age: 60\n#Sex: Male\n#Dx: 1,2\n",
) -> str:
    """Header text for `stored` (sample, lead), true in every field that is not given."""
    firsts = stored[0] if first is None else first
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
        with pytest.raises(UnreadableFile):
            read(path)


def test_every_flipped_bit_of_the_samples_is_caught(tmp_path: Path) -> None:
    path = dat(tmp_path, noise(20))
    data = bytearray((tmp_path / "rec.dat").read_bytes())
    for bit in range(0, len(data) * 8, 3):
        data[bit // 8] ^= 1 << bit % 8
        (tmp_path / "rec.dat").write_bytes(bytes(data))
        with pytest.raises(UnreadableFile, match="checksum|first sample"):
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
            "rec 3 500 60\nrec.dat 16 1/mV 16 0 1 2 0 I\nb.dat 16 1/mV 8 0 1 2 0 II\n"
            "rec.dat 16 1/mV 16 0 1 2 0 III\n",
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


# Headers that wfdb 4.3 refuses or misreads, with the answer that header(5) or the samples give.
DEFENDED = {
    "a year instead of time and date (refused)": ("rec 3 500 60", "rec 3 500 60 2006", ()),
    "a date of another form (accepted in silence)": (
        "rec 3 500 60",
        "rec 3 500 60 05-Feb-2020 11:39:16",
        (),
    ),
    "a date that does not exist (refused)": ("rec 3 500 60", "rec 3 500 60 1:2:3 31/13/2020", ()),
    "a record name with a suffix (refused)": ("rec 3 500", "rec.mat 3 500", ()),
    "a rate in scientific notation (misread)": ("rec 3 500 60", "rec 3 5e2 60", ()),
    "a micro sign in the unit (misread)": ("1000/mV", "1000000/\u00b5V", (1e-3,)),
    "a gain without leading digit in capitals (misread)": ("1000/mV", "1E3/mV", ()),
    "a count that is one too high (refused)": ("rec 3 500 60", "rec 3 500 61", ()),
}


@pytest.mark.parametrize("case", DEFENDED)
def test_our_answer_where_wfdb_refuses_or_errs(tmp_path: Path, case: str) -> None:
    old, new, scale = DEFENDED[case]
    stored = noise()
    path = dat(tmp_path, stored, header(stored).replace(old, new))
    recording = read(path)
    factor = scale[0] if scale else 1.0
    expected = (stored.T / (1000000 if scale else 1000) * factor).astype(np.float32)
    assert (recording.fs, recording.leads) == (500.0, NAMES)
    np.testing.assert_allclose(recording.signal, expected, rtol=1e-6)
    if "misread" not in case:
        assert recording.repairs


def test_every_real_record_equals_wfdb_bit_for_bit(realdata: Path) -> None:
    """All PTB-XL (500 and 100 Hz), Chapman, Challenge 2020 and 2021, CPSC2021 and MIT-LCP files.

    Both sides compute (sample - baseline) / gain in float64; after the cast to float32 that we
    store there must be no difference at all. No record here is refused by wfdb or by us.
    """
    wfdb = pytest.importorskip("wfdb")
    from qoqdata.readers.ecg.leads import canonical

    headers = sorted((realdata / "ecg").rglob("*.hea"))
    assert len(headers) >= 100
    for path in headers:
        theirs = wfdb.rdrecord(str(path)[:-4])
        ours = read(path)
        rows = {canonical(name): k for k, name in enumerate(theirs.sig_name)}
        unit = dict(zip(map(canonical, theirs.sig_name), theirs.units, strict=True))
        kept = {lead for lead in rows if unit[lead].lower() == "mv"}
        assert set(ours.leads) == kept, path
        assert ours.fs == theirs.fs
        expected = theirs.p_signal.T[[rows[lead] for lead in ours.leads]]
        assert np.isfinite(expected).all()
        assert np.array_equal(ours.signal, expected.astype(np.float32)), path
        assert list(ours.comments) == theirs.comments


def test_real_headers_give_age_sex_dx(realdata: Path) -> None:
    ecg = realdata / "ecg"
    facts = {
        "cinc2021/E07500": (78, "male", ("67741000119109", "426177001")),
        "cinc2021/HR06000.mat": (59, "female", ("164934002", "426783006")),
        "chapman-shaoxing/WFDBRecords/01/010/JS00001.hea": (
            85,
            "male",
            ("164889003", "59118001", "164934002"),
        ),
        "cinc2020_phase1_cpsc2018/A0010": (None, None, ("RBBB",)),
        "wfdb_misc/s0010_re": (81, "female", ()),
        "ptb-xl/records500/00000/00001_hr": (None, None, ()),
    }
    for name, (age, sex, dx) in facts.items():
        recording = read(ecg / name)
        assert recording.dx == dx
        if age is not None:
            assert (recording.age, recording.sex) == (age, sex)


def test_real_leads_come_in_canonical_order_and_obey_einthoven(realdata: Path) -> None:
    for folder in ("ptb-xl/records500", "cinc2021", "chapman-shaoxing"):
        for path in sorted((realdata / "ecg" / folder).rglob("*.hea")):
            recording = read(path)
            assert recording.leads == TWELVE
            residuals = einthoven_residuals(recording.leads, recording.signal, recording.valid)
            assert set(residuals) == {"III", "aVR", "aVL", "aVF"}
            assert max(residuals.values()) < 0.02, path


def test_real_values_by_hand(realdata: Path) -> None:
    recording = read(realdata / "ecg/ptb-xl/records500/00000/00001_hr")
    # first values of the header, 1000 units per mV
    first = [-115, -50, 65, 82, -90, 7, -65, -40, -5, -35, -35, -75]
    assert np.array_equal(recording.signal[:, 0], (np.array(first) / 1000).astype(np.float32))
    assert recording.signal.shape == (12, 5000) and recording.fs == 500.0
    # lead V4 of record 4 ends with 53 samples stuck at its maximum, 3.025 mV
    stuck = read(realdata / "ecg/ptb-xl/records500/00000/00004_hr")
    v4 = stuck.leads.index("V4")
    assert np.flatnonzero(~stuck.valid[v4]).tolist() == list(range(4947, 5000))
    assert (stuck.signal[v4, 4947:] == np.float32(3.025)).all()


def test_a_real_record_damaged_in_one_byte_is_refused(realdata: Path, tmp_path: Path) -> None:
    source = realdata / "ecg/cinc2021"
    (tmp_path / "E07500.hea").write_bytes((source / "E07500.hea").read_bytes())
    data = bytearray((source / "E07500.mat").read_bytes())
    data[60_000] ^= 1
    (tmp_path / "E07500.mat").write_bytes(bytes(data))
    with pytest.raises(UnreadableFile, match="checksum"):
        read(tmp_path / "E07500")


def test_format_16_and_mat_never_import_wfdb(tmp_path: Path) -> None:
    import subprocess
    import sys

    dat(tmp_path, noise())
    code = (
        "import sys; from qoqdata.readers.ecg import read; "
        f"read({str(tmp_path / 'rec')!r}); "
        "heavy = {'wfdb', 'scipy', 'pydicom', 'pandas'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
