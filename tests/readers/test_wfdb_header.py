"""The header parser: every spelling seen in the wild, mended or refused, never misread."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.errors import InputError, MissingFile, TooLarge, UnreadableFile
from qoqdata.readers.ecg.header import WfdbHeader, parse_wfdb_header, read_wfdb_header

LINE = "a.dat 16 1000/mV 16 0 -34 -215 0 I"


def one(record_line: str, *lines: str) -> WfdbHeader:
    return parse_wfdb_header("\n".join((record_line, *lines)), where="a.hea")


def test_every_field_of_a_complete_line() -> None:
    header = one(
        "a 1 500 5000", "a.dat 212x4:3+24 31132.34(-166854)/uV 11 1024 995 -22131 0 MLII x"
    )
    (signal,) = header.signals
    assert (header.record, header.fs, header.length, header.segments) == ("a", 500.0, 5000, ())
    assert (signal.file, signal.fmt, signal.samples_per_frame) == ("a.dat", "212", 4)
    assert (signal.skew, signal.byte_offset) == (3, 24)
    assert (signal.gain, signal.baseline, signal.unit) == (31132.34, -166854.0, "uV")
    assert (signal.adc_resolution, signal.adc_zero) == (11, 1024)
    assert (signal.first, signal.checksum, signal.name) == (995, -22131, "MLII x")
    assert header.repairs == ()


def test_defaults_of_the_specification_are_noted() -> None:
    header = one("8l 2", "data0 8", "data1 8 0 12 7")
    first, second = header.signals
    assert (header.fs, header.length) == (250.0, None)
    assert (first.gain, first.baseline, first.unit, first.first) == (200.0, 0.0, "", None)
    assert (second.gain, second.baseline, second.adc_zero) == (200.0, 7.0, 7)
    assert len(header.repairs) == 3
    assert any("250 Hz" in repair for repair in header.repairs)
    assert any("signal 0, 1: no gain" in repair for repair in header.repairs)
    assert any("signal 0, 1: no unit" in repair for repair in header.repairs)


@pytest.mark.parametrize(
    ("record_line", "fs", "length", "repaired"),
    [
        ("a 1 500 5000", 500.0, 5000, False),
        ("a 1 3.6e2 10", 360.0, 10, False),
        ("a 1 360. 10", 360.0, 10, False),
        ("a\t1\t360/1(0)\t10", 360.0, 10, False),
        ("a 1 62.4725/999.56 10", 62.4725, 10, False),
        ("a 1 500 0", 500.0, None, False),
        ("a 1 500", 500.0, None, False),
        ("a 1 500 10 11:39:16 05/02/2020", 500.0, 10, False),
        ("a 1 500 10 0:0:0 0/0/0", 500.0, 10, False),
        ("a 1 500 10 13:5:0.25", 500.0, 10, False),
        ("a 1 500 10 05-Feb-2020 11:39:16", 500.0, 10, True),
        ("a 1 500 10 2014-05-08 05:05:15", 500.0, 10, True),
        ("a 1 500 10 2006", 500.0, 10, True),
        ("a 1 500 10 11:39:16 31/13/2020", 500.0, 10, True),
        ("a 1 500 10 11:39:16 1/12/199", 500.0, 10, True),
        ("a 1 500 11:39:16", 500.0, None, False),
        ("a.mat 1 500 10", 500.0, 10, True),
        ("folder_x/a 1 500 10", 500.0, 10, True),
        ("a 1 500 10.0", 500.0, 10, True),
    ],
)
def test_record_lines(record_line: str, fs: float, length: int | None, repaired: bool) -> None:
    header = one(record_line, LINE)
    assert (header.record, header.fs, header.length) == ("a", fs, length)
    assert bool(header.repairs) is repaired


def test_repairs_never_quote_dates() -> None:
    header = one("a 1 500 10 05-Feb-2020 11:39:16", LINE)
    assert not any(digit in "".join(header.repairs) for digit in ("2020", "Feb", "11:39"))


@pytest.mark.parametrize(
    "record_line",
    [
        "a",
        "a x",
        "a -1 500 10",
        "a 1 0 10",
        "a 1 -500 10",
        "a 1 nan 10",
        "a 1 1e999 10",
        "a 1 500 -10",
        "a 1 500 1e4",
        "a/0 1 500 10",
        "MATLAB 5.0 MAT-file",
        "a 1 500 1000/mV 16 0 15 31255 0 I",
        "a 1 500 5000a.mat 16+24 1000/mV 16 0 15 31255 0 I",
        "a 1" + "1" * 5000,
    ],
)
def test_record_lines_that_are_none(record_line: str) -> None:
    with pytest.raises(UnreadableFile):
        one(record_line, LINE)


def test_a_lost_newline_is_called_that() -> None:
    lines = ["JS01052.mat 16+24 1000/mV 16 0 0 -4430 0 II"] * 11
    with pytest.raises(UnreadableFile, match="run together"):
        one("JS01052 12 500 500000/mV 16 0 15 31255 0 I", *lines)


@pytest.mark.parametrize(
    ("line", "unit", "gain", "baseline"),
    [
        ("a.dat 16 1000", "", 1000.0, 0.0),
        ("a.dat 16 1000/mv 16 0 1 2 0 I", "mv", 1000.0, 0.0),
        ("a.dat 16 1.052e+04/mV 16 0 1 2 0 I", "mV", 10520.0, 0.0),
        ("a.dat 16 -4.88(12)/uV 16 0 1 2 0 I", "uV", -4.88, 12.0),
        ("a.dat 16 1000(-5.0)/\u00b5V 16 0 1 2 0 I", "\u00b5V", 1000.0, -5.0),
        ("a.dat 16 1000/ 16 0 1 2 0 I", "", 1000.0, 0.0),
        ("a.dat 16 .5/mV 16 9 1 2 0 I", "mV", 0.5, 9.0),
        ("a.dat 16 0/mV 16 0 1 2 0 I", "mV", 200.0, 0.0),
    ],
)
def test_calibrations(line: str, unit: str, gain: float, baseline: float) -> None:
    (signal,) = one("a 1 500 10", line).signals
    assert (signal.unit, signal.gain, signal.baseline) == (unit, gain, baseline)


@pytest.mark.parametrize(
    "line",
    [
        "a.dat",
        "a.dat mV",
        "a.dat 16x0 1000/mV",
        "a.dat 16+ 1000/mV",
        "a.dat 16:-1 1000/mV",
        "a.dat 16 nan/mV 16 0 1 2 0 I",
        "a.dat 16 inf/mV 16 0 1 2 0 I",
        "a.dat 16 1e999/mV 16 0 1 2 0 I",
        "a.dat 16 1000(1e999)/mV 16 0 1 2 0 I",
        "a.dat 16 1000(x)/mV 16 0 1 2 0 I",
        "a.dat 16 gain 16 0 1 2 0 I",
    ],
)
def test_signal_lines_that_are_none(line: str) -> None:
    with pytest.raises(UnreadableFile, match="signal 0"):
        one("a 1 500 10", line)


def test_missing_and_nan_number_fields_are_noted() -> None:
    header = one(
        "a 2 500 10",
        "a.dat 16 1000/mV 16 0 -34 -215 I",
        "a.dat 16 1000/mV 16 0 NaN nan 0 II",
    )
    first, second = header.signals
    assert (first.first, first.checksum, first.name) == (-34, -215, "I")
    assert (second.first, second.checksum, second.name) == (None, None, "II")
    assert len(header.repairs) == 2


def test_names_keep_their_blanks_and_digits() -> None:
    header = one("a 1 500 10", "a.dat 16 1000/mV 16 0 1 2 0\t12 lead  ECG")
    assert header.signals[0].name == "12 lead ECG"


def test_fewer_lines_than_declared_is_refused_and_more_are_noted() -> None:
    with pytest.raises(UnreadableFile, match="declares 2 signals and lists 1"):
        one("a 2 500 10", LINE)
    header = one("a 1 500 10", LINE, LINE)
    assert len(header.signals) == 1
    assert "1 signal lines beyond" in header.repairs[0]


def test_absurd_counts_of_lines() -> None:
    for record_line in ("a 4097 500 10", "a/100001 2 500 10", "a 999999999999999999 500 10"):
        with pytest.raises(TooLarge):
            one(record_line, LINE)


def test_segments() -> None:
    header = one("multi/3 2 360 45000", "100s 21600", "~ 1800", "100s 21600")
    assert [(s.name, s.length) for s in header.segments] == [
        ("100s", 21600),
        ("~", 1800),
        ("100s", 21600),
    ]
    assert header.signals == ()
    with pytest.raises(UnreadableFile, match="declares 3 segments"):
        one("multi/3 2 360 45000", "100s 21600")
    with pytest.raises(UnreadableFile, match="NAME LENGTH"):
        one("multi/1 2 360 45000", "100s many")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_comments_and_blank_lines(end: str) -> None:
    lines = ["# before", "", "a 1 500 10", "  ", LINE, "#Dx: 1,2", "# Age: 4", "##", "# x # y"]
    header = parse_wfdb_header(end.join(lines) + end, where="a")
    assert header.comments == ("before", "Dx: 1,2", "Age: 4", "", "x # y")
    assert header.signals[0].name == "I"


def test_encodings(tmp_path: Path) -> None:
    path = tmp_path / "a.hea"
    text = "a 1 500 10\na.dat 16 1000/\u00b5V 16 0 1 2 0 I\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_wfdb_header(path).signals[0].unit == "\u00b5V"
    assert "byte order mark" in read_wfdb_header(path).repairs[0]
    path.write_bytes(text.encode("latin-1"))
    assert read_wfdb_header(path).signals[0].unit == "\u00b5V"
    assert "Latin-1" in read_wfdb_header(path).repairs[0]


def test_files_that_are_no_header(tmp_path: Path) -> None:
    path = tmp_path / "a.hea"
    with pytest.raises(MissingFile):
        read_wfdb_header(path)
    for content in (b"", b"\n\n", b"# only a comment\n", b"\x00\x01binary", b"\xff\xfea\x00 \x00"):
        path.write_bytes(content)
        with pytest.raises(UnreadableFile):
            read_wfdb_header(path)
    path.write_bytes(b"#" * (4 * 2**20 + 1))
    with pytest.raises(TooLarge):
        read_wfdb_header(path)
    os.mkfifo(tmp_path / "pipe.hea")
    for other in (tmp_path, tmp_path / "pipe.hea"):
        with pytest.raises(UnreadableFile, match="regular file"):
            read_wfdb_header(other)


@given(
    st.floats(1e-3, 1e7, allow_nan=False),
    st.integers(-(2**31), 2**31),
    st.sampled_from(["mV", "uV", "\u00b5V", "V"]),
    st.integers(1, 32),
    st.lists(st.integers(-(2**31), 2**31), min_size=4, max_size=4),
    st.text("abcXYZ019 _-+()", min_size=1, max_size=12),
    st.integers(1, 9),
    st.integers(0, 999),
    st.integers(0, 9999),
)
def test_written_fields_come_back(
    gain: float,
    baseline: int,
    unit: str,
    resolution: int,
    numbers: list[int],
    name: str,
    per_frame: int,
    skew: int,
    offset: int,
) -> None:
    zero, first, checksum, block = numbers
    line = (
        f"f.dat 16x{per_frame}:{skew}+{offset} {gain!r}({baseline})/{unit} "
        f"{resolution} {zero} {first} {checksum} {block} {name}"
    )
    header = one("rec 1 257 99", line)
    (signal,) = header.signals
    assert (signal.gain, signal.baseline, signal.unit) == (gain, baseline, unit)
    assert (signal.samples_per_frame, signal.skew, signal.byte_offset) == (per_frame, skew, offset)
    assert (signal.adc_resolution, signal.adc_zero) == (resolution, zero)
    assert (signal.first, signal.checksum) == (first, checksum)
    assert signal.name == " ".join(name.split())
    assert header.repairs == ()


@given(st.text(max_size=200))
def test_any_text_is_a_header_or_one_of_our_errors(text: str) -> None:
    try:
        header = parse_wfdb_header(text, where="a")
    except InputError:
        return
    assert header.fs > 0


@given(st.binary(max_size=120), st.integers(0, 60))
def test_damage_inside_a_real_header(noise: bytes, at: int) -> None:
    sound = f"a 1 500 10\n{LINE}\n#Dx: 1\n".encode()
    text = (sound[:at] + noise + sound[at:]).decode("latin-1")
    try:
        parse_wfdb_header(text, where="a")
    except InputError:
        return
