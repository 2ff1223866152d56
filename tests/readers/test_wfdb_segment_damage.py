"""Segments that are cut, lost, wrong or hostile: masked where the fault is theirs, or refused."""

from __future__ import annotations

import re
from pathlib import Path
from unittest.mock import patch

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
from qoqdata.readers.ecg import read_ecg, wfdb_segments
from tests.readers.wfdb_records_by_wfdb import walk
from tests.readers.wfdb_segments_by_hand import write_layout, write_master, write_segment

SEGMENTS = [("r_layout", 0), ("r_1", 30), ("r_2", 20), ("r_3", 30)]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Three segments of leads II and V behind a layout."""
    write_layout(tmp_path, "r_layout", {"II": "mV", "V": "mV"})
    for number, (name, length) in enumerate(SEGMENTS[1:]):
        samples = walk(12, (length, 2), number)
        write_segment(tmp_path, name, {"II": samples[:, 0], "V": samples[:, 1]})
    return write_master(tmp_path, "r", SEGMENTS, 2)


def off_by_one(header: Path) -> None:
    """The first sample of the first lead, stated one too high."""
    text = header.read_text()
    header.write_text(re.sub(r"16 0 (-?\d+)", lambda m: f"16 0 {int(m[1]) + 1}", text, count=1))


@pytest.mark.parametrize(
    ("damage", "note"),
    [
        (lambda folder: (folder / "r_2.dat").unlink(), "a file of it is missing"),
        (lambda folder: (folder / "r_2.hea").unlink(), "a file of it is missing"),
        (lambda folder: (folder / "r_2.hea").write_text("r_2 2 250"), "declares 2 signals"),
        (lambda folder: (folder / "r_2.hea").write_bytes(b"\x00\xff" * 9), "holds binary data"),
        (lambda folder: (folder / "r_2.hea").write_text(""), "no record line"),
        (lambda folder: (folder / "r_2.hea").write_text("r_2 2 nan 20\n"), "sampling frequency"),
        (lambda folder: (folder / "r_2.hea").write_text("r_2 2 0 20\n"), "sampling frequency"),
        (lambda folder: off_by_one(folder / "r_2.hea"), "first sample"),
        (lambda folder: (folder / "r_2.dat").write_bytes(bytes(80)), "first sample"),
        (lambda folder: (folder / "r_2.dat").write_bytes(b""), "no complete frame"),
        (
            lambda folder: (folder / "r_2.dat").write_bytes((folder / "r_2.dat").read_bytes()[:40]),
            "truncated",
        ),
        (lambda folder: write_segment(folder, "r_2", {"II": np.full(20, -32768)}), "missing"),
    ],
)
def test_one_bad_segment_is_masked_and_named(record: Path, damage: object, note: str) -> None:
    before = read_ecg(record)
    assert before.valid.all() and before.repairs == ()
    damage(record.parent)  # type: ignore[operator]
    after = read_ecg(record)
    bad = np.zeros(80, bool)
    bad[30:50] = True
    assert after.leads == ("II", "V") and np.array_equal(after.valid, np.stack([~bad] * 2))
    assert np.array_equal(after.signal, np.where(bad, 0, before.signal))
    (told,) = after.repairs
    assert told.startswith("segment 2: masked (") and note in told
    assert "r_2" not in told  # names of files may be of patients


def test_a_lead_that_only_the_bad_segment_holds_is_not_listed(record: Path) -> None:
    write_segment(record.parent, "r_2", {"V": walk(12, (20, 1))[:, 0]})
    for name in ("r_1", "r_3"):
        write_segment(record.parent, name, {"II": walk(12, (30, 1))[:, 0]})
    assert read_ecg(record).leads == ("II", "V")
    (record.parent / "r_2.dat").unlink()
    assert read_ecg(record).leads == ("II",)


@pytest.mark.parametrize("suffix", ["dat", "hea"])
def test_a_record_of_which_nothing_is_left_is_refused(record: Path, suffix: str) -> None:
    for number in (1, 2, 3):
        (record.parent / f"r_{number}.{suffix}").unlink()
    with pytest.raises(MissingFile, match="no segment holds samples that are valid"):
        read_ecg(record)


def test_a_record_without_any_ecg_lead_or_valid_sample(record: Path) -> None:
    for name, length in SEGMENTS[1:]:
        write_segment(
            record.parent, name, {"ABP": walk(12, (length, 1))[:, 0]}, units={"ABP": "mmHg"}
        )
    with pytest.raises(UnsupportedFormat, match="no channel is in volts"):
        read_ecg(record)
    for name, length in SEGMENTS[1:]:
        write_segment(record.parent, name, {"II": np.full(length, 5)})
    with pytest.raises(UnreadableFile, match="no segment holds samples that are valid"):
        read_ecg(record)
    for name, length in SEGMENTS[1:]:
        write_segment(record.parent, name, {"II": np.full(length, -32768)})
    with pytest.raises(UnreadableFile, match="marked as missing"):
        read_ecg(record)


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        (("r_2 2 250", "r_2 2 500"), UnsupportedFormat, "sampling frequency"),
        (("r_2 2 250 20", "r_2 2 250 21"), UnreadableFile, "20 samples declared, 21 found"),
        (("r_2 2 250", "r_2/2 2 250"), UnreadableFile, "itself has segments"),
        ((".dat 16 ", ".dat 17 "), UnsupportedFormat, "storage format 17"),
        (("r_2.dat", "../r_2.dat"), OutsideRoot, "outside of its folder"),
    ],
)
def test_a_segment_that_contradicts_its_record(
    record: Path, change: tuple[str, str], kind: type[InputError], reason: str
) -> None:
    path = record.parent / "r_2.hea"
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(kind, match=reason):
        read_ecg(record)


@pytest.mark.parametrize(
    ("segments", "reason"),
    [
        ([("r", 80)], "itself has segments"),
        ([("r_layout", 0), ("other", 80)], "itself has segments"),
        ([("r_1", 0), ("r_1", 30)], "0 samples declared, 30 found"),
    ],
)
def test_masters_that_name_what_is_no_segment(
    record: Path, segments: list[tuple[str, int]], reason: str
) -> None:
    write_master(record.parent, "other", [("r", 80)], 2)
    write_master(record.parent, "r", segments, 2)
    with pytest.raises(UnreadableFile, match=reason):
        read_ecg(record)


def test_a_layout_in_the_place_of_a_segment_is_masked(record: Path) -> None:
    recording = read_ecg(write_master(record.parent, "r", [("r_layout", 30), ("r_1", 30)], 2))
    assert not recording.valid[:, :30].any() and recording.valid[:, 30:].all()


@pytest.mark.parametrize("name", ["../r_1", "/r_1", "C:\\r_1", "a/../../r_1", "\\\\host\\r_1"])
def test_segment_names_that_leave_the_folder(record: Path, name: str) -> None:
    inside = record.parent / "inside"
    inside.mkdir()
    with pytest.raises(OutsideRoot):
        read_ecg(write_master(inside, "r", [(name, 30)], 2))


def test_every_cut_of_the_master_is_refused_or_loses_only_comments(record: Path) -> None:
    write_master(record.parent, "r", SEGMENTS, 2, comments=["Age: 60"])
    whole, sound = read_ecg(record), record.read_bytes()
    for size in range(len(sound)):
        record.write_bytes(sound[:size])
        try:
            recording = read_ecg(record)
        except InputError:
            continue
        assert np.array_equal(recording.signal, whole.signal), size
        assert recording.valid.all() and size >= len(sound) - len("\n#Age: 60\n")


@pytest.mark.parametrize("length", [79, 81, 80_000_000])
def test_lengths_that_do_not_add_up(record: Path, length: int) -> None:
    write_master(record.parent, "r", SEGMENTS, 2, length=length)
    with pytest.raises(UnreadableFile, match=rf"declares {length:,} samples, its segments 80"):
        read_ecg(record)


def test_promised_samples_are_checked_before_anything_is_read(record: Path) -> None:
    with pytest.raises(TooLarge, match="ecg samples"):
        read_ecg(write_master(record.parent, "r", [("r_1", 10**12), ("r_2", 10**12)], 2))


def test_a_segment_is_read_once_however_often_it_is_named(record: Path) -> None:
    """Two segments in ten thousand places, with one note for all that is said of a segment."""
    (record.parent / "r_2.dat").unlink()
    path = write_master(record.parent, "r", [("r_1", 30), ("r_2", 20)] * 5000, 2)
    with patch.object(wfdb_segments, "read_single", wraps=wfdb_segments.read_single) as reads:
        recording = read_ecg(path)
    assert reads.call_count == 2
    assert recording.signal.shape == (2, 250_000) and recording.valid.sum() == 2 * 150_000
    assert recording.repairs == ("segment 1: masked (a file of it is missing)",)


def test_notes_about_many_segments_are_one(tmp_path: Path) -> None:
    names = [f"m_{number}" for number in range(40)]
    for number, name in enumerate(names):
        write_segment(tmp_path, name, {"II": walk(12, (9, 1), number)[:, 0]})
        (tmp_path / f"{name}.dat").write_bytes(b"") if number % 2 else None
    recording = read_ecg(write_master(tmp_path, "m", [(name, 9) for name in names], 1))
    (note,) = recording.repairs
    assert note.startswith("segments 1, 3, 5, 7, 9, 11, 13, 15 and 12 more: masked (")


@pytest.mark.parametrize("rate", ["0", "nan", "-250", "inf", "0/999", "1e999"])
def test_rates_that_are_none(record: Path, rate: str) -> None:
    record.write_text(record.read_text().replace("r/4 2 250", f"r/4 2 {rate}"))
    with pytest.raises(UnreadableFile, match="the sampling frequency is not a positive number"):
        read_ecg(record)


def test_a_gain_of_zero_is_the_default_of_the_format_and_said_so(record: Path) -> None:
    """header(5) and wfdb: 200 steps a unit. The gain of the other segments is 100."""
    wfdb = pytest.importorskip("wfdb")
    path = record.parent / "r_2.hea"
    path.write_text(path.read_text().replace(" 100/mV", " 0/mV"))
    recording = read_ecg(record)
    theirs = wfdb.rdrecord(str(record)[:-4]).p_signal.T
    assert np.array_equal(recording.signal, theirs.astype(np.float32))
    assert recording.repairs == (
        "segment 2: signal 0, 1: no gain; the WFDB default of 200 adu per unit assumed",
    )


@pytest.mark.parametrize("name", ["r.hea", "r_layout.hea", "r_2.hea"])
def test_flipped_bits_of_headers_give_our_errors_or_a_whole_record(record: Path, name: str) -> None:
    path = record.parent / name
    sound = path.read_bytes()
    for bit in range(0, len(sound) * 8, 5):
        flipped = bytearray(sound)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(flipped))
        try:
            recording = read_ecg(record)
        except InputError:
            continue
        assert recording.signal.shape[1] == 80 and np.isfinite(recording.signal).all(), bit
