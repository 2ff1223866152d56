"""Every WFDB storage format, multi-rate frames, skew and segments, against wfdb and by hand.

wfdb writes 80, 212, 16, 24, 32 and FLAC; the encoders below write the others from signal(5), bit by
bit, so that nothing of the reader is used to test the reader.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qoqdata.errors import InputError, OutsideRoot, UnreadableFile, UnsupportedFormat
from qoqdata.readers.ecg import read
from qoqdata.readers.ecg.formats import bytes_for, samples_in

BITS = {"80": 8, "212": 12, "16": 16, "24": 24, "32": 32, "508": 8, "516": 16, "524": 24}
FS = 500.0


def write(folder: Path, fmt: str, samples: np.ndarray, **fields: object) -> str:
    """A two-or-more-lead record through wfdb; `samples` is (sample, lead) of stored integers."""
    wfdb = pytest.importorskip("wfdb")
    leads = samples.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wfdb.wrsamp(
            "rec",
            fs=FS,
            units=fields.pop("units", ["mV"] * leads),
            sig_name=fields.pop("names", ["II", "I", "V1", "V2"][:leads]),
            d_signal=samples,
            fmt=[fmt] * leads,
            adc_gain=fields.pop("gain", [200.0] * leads),
            baseline=fields.pop("baseline", [0] * leads),
            write_dir=str(folder),
            **fields,
        )
    return str(folder / "rec")


def walk(bits: int, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Integers over the middle of the range of `bits`, no missing code and no long runs."""
    top = min(2 ** (bits - 1) - 2, 2**30)
    return np.random.default_rng(seed).integers(-top, top, shape)


@pytest.mark.parametrize("fmt", BITS)
@pytest.mark.parametrize("samples", [1, 2, 3, 7, 501])
def test_what_wfdb_writes_comes_back_exactly(tmp_path: Path, fmt: str, samples: int) -> None:
    if fmt in ("508", "516", "524"):
        pytest.importorskip("soundfile")
    stored = walk(BITS[fmt], (samples, 3))
    recording = read(write(tmp_path, fmt, stored))
    assert recording.leads == ("I", "II", "V1")
    assert recording.fs == FS
    expected = (stored.T[[1, 0, 2]] / 200.0).astype(np.float32)
    assert np.array_equal(recording.signal, expected)
    assert recording.signal.dtype == np.float32
    assert recording.repairs == ()
    if samples > 1:
        assert recording.valid.all()


def _bytes_8(flat: np.ndarray, leads: int) -> bytes:
    frames = flat.reshape(-1, leads)
    steps = np.diff(np.vstack([np.zeros((1, leads), np.int64), frames]), axis=0)
    assert np.abs(steps).max() < 128
    return steps.astype(np.int8).tobytes()


def _bytes_310(flat: np.ndarray, leads: int) -> bytes:
    out = bytearray()
    values = [int(v) & 0x3FF for v in flat]
    values += [0] * (-len(values) % 3)
    for one, two, three in zip(values[::3], values[1::3], values[2::3], strict=True):
        low = (one << 1) | ((three & 0x1F) << 11)
        high = (two << 1) | ((three >> 5) << 11)
        out += low.to_bytes(2, "little") + high.to_bytes(2, "little")
    return bytes(out)


def _bytes_311(flat: np.ndarray, leads: int) -> bytes:
    out = bytearray()
    values = [int(v) & 0x3FF for v in flat]
    values += [0] * (-len(values) % 3)
    for one, two, three in zip(values[::3], values[1::3], values[2::3], strict=True):
        out += (one | two << 10 | three << 20).to_bytes(4, "little")
    return bytes(out)


ENCODERS = {
    "8": (5, _bytes_8),
    "61": (16, lambda flat, leads: flat.astype(">i2").tobytes()),
    "160": (16, lambda flat, leads: (flat + 32768).astype("<u2").tobytes()),
    "310": (10, _bytes_310),
    "311": (10, _bytes_311),
}


def write_raw(
    folder: Path, fmt: str, stored: np.ndarray, encoded: bytes, gain: str = "100"
) -> Path:
    """A record by hand; `stored` is (sample, lead)."""
    lines = [f"rec {stored.shape[1]} 500 {stored.shape[0]}"]
    for k, name in enumerate(("I", "II", "V1")[: stored.shape[1]]):
        total = int(stored[:, k].sum()) & 0xFFFF
        first = 0 if fmt == "8" else stored[0, k]
        lines.append(f"rec.dat {fmt} {gain}/mV 10 0 {first} {total} 0 {name}")
    (folder / "rec.hea").write_text("\n".join(lines) + "\n")
    (folder / "rec.dat").write_bytes(encoded)
    return folder / "rec.hea"


@pytest.mark.parametrize("fmt", ENCODERS)
@pytest.mark.parametrize("samples", [2, 3, 4, 100])
def test_formats_that_wfdb_only_reads(tmp_path: Path, fmt: str, samples: int) -> None:
    bits, encode = ENCODERS[fmt]
    stored = walk(bits, (samples, 3), seed=samples)
    path = write_raw(tmp_path, fmt, stored, encode(stored.reshape(-1), 3))
    assert np.array_equal(read(path).signal, (stored.T / 100.0).astype(np.float32))


@given(
    st.sampled_from(["16", "24", "32", "61", "80", "160", "212", "310", "311"]), st.integers(0, 999)
)
def test_sizes_are_consistent(fmt: str, samples: int) -> None:
    size = bytes_for(fmt, samples)
    assert samples_in(fmt, size) >= samples
    assert size == 0 or samples_in(fmt, size - 1) < samples


@pytest.mark.parametrize(("fmt", "bits"), [("16", 16), ("212", 12), ("80", 8), ("24", 24)])
def test_missing_codes_are_masked_and_zero(tmp_path: Path, fmt: str, bits: int) -> None:
    stored = walk(bits, (50, 2))
    stored[3, 0] = stored[10:14, 1] = -(2 ** (bits - 1))
    recording = read(write(tmp_path, fmt, stored))
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
    ours = read(stem)
    assert np.array_equal(np.isnan(theirs), ~ours.valid)
    assert np.array_equal(ours.signal, np.nan_to_num(theirs).astype(np.float32))


def test_units_meet_in_millivolts(tmp_path: Path) -> None:
    stored = np.tile(walk(12, (40, 1)), (1, 4))
    units, gain = ["mV", "uV", "V", "nV"], [1000.0, 1.0, 1e6, 1e-3]
    recording = read(write(tmp_path, "16", stored, units=units, gain=gain))
    for row in recording.signal:
        np.testing.assert_allclose(row, stored[:, 0] / 1000.0, rtol=1e-7, atol=1e-7)


def test_channels_that_are_no_voltage_are_left_out_by_name(tmp_path: Path) -> None:
    stored = walk(12, (40, 3))
    stem = write(tmp_path, "16", stored, units=["mV", "NU", "mmHg"], names=["V", "PLETH", "ABP"])
    recording = read(stem)
    assert recording.leads == ("V",)
    assert sum("left out" in repair for repair in recording.repairs) == 2


def test_a_record_without_any_voltage_is_refused(tmp_path: Path) -> None:
    stem = write(tmp_path, "16", walk(12, (40, 2)), units=["NU", "mmHg"], names=["PLETH", "ABP"])
    with pytest.raises(UnsupportedFormat, match="volts"):
        read(stem)


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
    recording = read(path)
    assert recording.fs == 500.0
    assert recording.signal.shape == (2, 120)
    assert np.array_equal(recording.signal, (np.stack(signals) / 100).astype(np.float32))
    assert recording.repairs == ()


@pytest.mark.parametrize(("per_frame", "common"), [([4, 2], 2), ([4, 1, 2], 1), ([6, 4], 2)])
def test_unequal_rates_meet_at_the_greatest_common_divisor(
    tmp_path: Path, per_frame: list[int], common: int
) -> None:
    path, signals = _multi_rate(tmp_path, per_frame, 30)
    recording = read(path)
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
    np.testing.assert_allclose(read(path).signal, theirs, atol=1.0 / 100)


def test_one_missing_sample_masks_its_whole_mean(tmp_path: Path) -> None:
    path, signals = _multi_rate(tmp_path, [4, 1], 30)
    data = np.fromfile(tmp_path / "rec.dat", "<i2")
    data[5 * 2 + 2] = -32768
    (tmp_path / "rec.dat").write_bytes(data.tobytes())
    text = path.read_text().splitlines()
    total = int(data.reshape(30, 5)[:, :4].sum()) & 0xFFFF
    text[1] = f"rec.dat 16x4 100/mV 16 0 {signals[0][0]} {total} 0 I"
    path.write_text("\n".join(text))
    recording = read(path)
    assert np.flatnonzero(~recording.valid[0]).tolist() == [2]
    assert recording.signal[0, 2] == 0.0


def test_skew_shifts_and_masks_the_tail_as_wfdb_does(tmp_path: Path) -> None:
    wfdb = pytest.importorskip("wfdb")
    stored = walk(12, (40, 2))
    stem = write(tmp_path, "16", stored)
    path = Path(stem + ".hea")
    path.write_text(path.read_text().replace("rec.dat 16", "rec.dat 16:3", 1))
    recording = read(stem)
    theirs = wfdb.rdrecord(stem).p_signal.T[[1, 0]]
    assert np.array_equal(np.isnan(theirs), ~recording.valid)
    assert np.array_equal(recording.signal, np.nan_to_num(theirs).astype(np.float32))
    assert not recording.valid[1, -3:].any()
    assert any("skew" in repair for repair in recording.repairs)


def test_two_signal_files_of_one_record(tmp_path: Path) -> None:
    stored = walk(12, (40, 2))
    lines = ["rec 2 500 40"]
    for k, name in enumerate(("I", "X")):
        total = int(stored[:, k].sum()) & 0xFFFF
        lines.append(
            f"rec.{'dat' if k == 0 else 'xyz'} 16 100/mV 16 0 {stored[0, k]} {total} 0 {name}"
        )
        (tmp_path / f"rec.{'dat' if k == 0 else 'xyz'}").write_bytes(
            stored[:, k].astype("<i2").tobytes()
        )
    (tmp_path / "rec.hea").write_text("\n".join(lines))
    for name in ("rec", "rec.hea", "rec.dat", "rec.xyz"):
        assert np.array_equal(read(tmp_path / name).signal, (stored.T / 100).astype(np.float32))


@given(
    fmt=st.sampled_from(["16", "212", "80", "24", "32"]),
    samples=st.integers(1, 40),
    leads=st.integers(1, 4),
    seed=st.integers(0, 2**31),
)
@settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_round_trip_property(tmp_path: Path, fmt: str, samples: int, leads: int, seed: int) -> None:
    stored = walk(BITS[fmt], (samples, leads), seed)
    stem = write(tmp_path, fmt, stored, names=["I", "II", "III", "V1"][:leads])
    assert np.array_equal(read(stem).signal, (stored.T / 200.0).astype(np.float32))


@pytest.mark.parametrize("fmt", ["212", "24", "310", "311", "516"])
def test_truncated_files_of_other_formats(tmp_path: Path, fmt: str) -> None:
    if fmt in ENCODERS:
        bits, encode = ENCODERS[fmt]
        stored = walk(bits, (31, 3))
        write_raw(tmp_path, fmt, stored, encode(stored.reshape(-1), 3))
    else:
        write(tmp_path, fmt, walk(BITS[fmt], (31, 3)))
    data = (tmp_path / "rec.dat").read_bytes()
    assert read(tmp_path / "rec").signal.shape == (3, 31)
    for size in range(0, len(data), 11):
        (tmp_path / "rec.dat").write_bytes(data[:size])
        with pytest.raises(UnreadableFile):
            read(tmp_path / "rec")


def test_flipped_bits_in_a_flac_file_are_caught(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    stored = walk(16, (200, 3))
    stem = write(tmp_path, "516", stored)
    data = (tmp_path / "rec.dat").read_bytes()
    truth = read(stem).signal
    for bit in np.random.default_rng(9).choice(len(data) * 8, 150, replace=False):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << int(bit % 8)
        (tmp_path / "rec.dat").write_bytes(bytes(flipped))
        try:
            recording = read(stem)
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
        read(stem)


def test_other_bytes_under_a_flac_format(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    stem = write(tmp_path, "516", walk(16, (20, 2)))
    for content in (b"", b"fLaC", b"RIFF" + bytes(60), bytes(500)):
        (tmp_path / "rec.dat").write_bytes(content)
        with pytest.raises(UnreadableFile):
            read(stem)
    (tmp_path / "two").mkdir()
    (tmp_path / "rec.dat").write_bytes(
        Path(write(tmp_path / "two", "516", walk(16, (20, 3))) + ".dat").read_bytes()
    )
    with pytest.raises(UnreadableFile, match="3 FLAC channels"):
        read(stem)


SEGMENT = "{name}.dat 16 {gain}/mV 16 0 {first} {total} 0 {lead}"


def _segment(folder: Path, name: str, leads: dict[str, np.ndarray], gain: float = 100.0) -> None:
    samples = len(next(iter(leads.values())))
    lines = [f"{name} {len(leads)} 250 {samples}"]
    lines += [
        SEGMENT.format(name=name, gain=gain, first=s[0], total=int(s.sum()) & 0xFFFF, lead=lead)
        for lead, s in leads.items()
    ]
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")
    (folder / f"{name}.dat").write_bytes(np.stack(list(leads.values()), 1).astype("<i2").tobytes())


def test_fixed_layout_equals_wfdb(tmp_path: Path) -> None:
    wfdb = pytest.importorskip("wfdb")
    one, two = walk(12, (30, 2), 1), walk(12, (20, 2), 2)
    _segment(tmp_path, "m_1", {"V5": one[:, 0], "II": one[:, 1]})
    _segment(tmp_path, "m_2", {"V5": two[:, 0], "II": two[:, 1]}, gain=50.0)
    (tmp_path / "m.hea").write_text("m/3 2 250 80\nm_1 30\nm_2 20\nm_1 30\n# Age: 7\n")
    recording = read(tmp_path / "m")
    assert recording.leads == ("II", "V5")
    assert (recording.fs, recording.age) == (250.0, 7)
    theirs = wfdb.rdrecord(str(tmp_path / "m")).p_signal.T[[1, 0]]
    assert recording.valid.all()
    assert np.array_equal(recording.signal, theirs.astype(np.float32))


def test_a_gap_in_a_fixed_layout_is_masked(tmp_path: Path) -> None:
    # header(5) allows null segments here; wfdb 4.3 stops with an AttributeError.
    one = walk(12, (30, 2), 1)
    _segment(tmp_path, "m_1", {"V5": one[:, 0], "II": one[:, 1]})
    (tmp_path / "m.hea").write_text("m/3 2 250 75\nm_1 30\n~ 15\nm_1 30\n")
    recording = read(tmp_path / "m")
    gap = np.zeros((15, 2))
    expected = np.concatenate([one, gap, one])[:, [1, 0]].T / 100
    assert np.array_equal(recording.signal, expected.astype(np.float32))
    assert np.array_equal(
        recording.valid.any(axis=0), np.r_[np.ones(30), np.zeros(15), np.ones(30)]
    )


def test_variable_layout_lists_only_leads_that_some_segment_holds(tmp_path: Path) -> None:
    one, two = walk(12, (30, 2), 1), walk(12, (20, 2), 2)
    (tmp_path / "v_layout.hea").write_text(
        "v_layout 4 250 0\n"
        + "".join(f"~ 0 100/mV 16 0 0 0 0 {n}\n" for n in ("II", "V", "I", "ABP"))
    )
    _segment(tmp_path, "v_1", {"II": one[:, 0], "I": one[:, 1]})
    _segment(tmp_path, "v_2", {"I": two[:, 0], "V": two[:, 1]})
    (tmp_path / "v.hea").write_text("v/4 4 250 60\nv_layout 0\nv_1 30\n~ 10\nv_2 20\n")
    recording = read(tmp_path / "v")
    assert recording.leads == ("I", "II", "V")
    i, ii, v = recording.valid
    assert i[:30].all() and not i[30:40].any() and i[40:].all()
    assert ii[:30].all() and not ii[30:].any()
    assert not v[:40].any() and v[40:].all()
    assert np.array_equal(recording.signal[0, 40:], (two[:, 0] / 100).astype(np.float32))
    assert (recording.signal[~recording.valid] == 0).all()


@pytest.mark.parametrize(
    ("master", "reason"),
    [
        ("m/2 1 250 61\nm_1 30\nm_2 30\n", "declares 61 samples"),
        ("m/2 1 250 59\nm_1 30\nm_2 29\n", "29 samples declared, 30 found"),
        ("m/1 1 250 60\nm 60\n", "itself has segments"),
        ("m/1 1 250 60\n~ 60\n", "no segment holds samples"),
    ],
)
def test_segments_that_contradict_their_record(tmp_path: Path, master: str, reason: str) -> None:
    for name in ("m_1", "m_2"):
        _segment(tmp_path, name, {"II": walk(12, (30, 1))[:, 0]})
    (tmp_path / "m.hea").write_text(master)
    with pytest.raises(UnreadableFile, match=reason):
        read(tmp_path / "m")


def test_segment_names_stay_in_the_folder(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    _segment(tmp_path, "m_1", {"II": walk(12, (30, 1))[:, 0]})
    (inside / "m.hea").write_text("m/1 1 250 30\n../m_1 30\n")
    with pytest.raises(OutsideRoot):
        read(inside / "m")


def test_segments_of_different_rates_are_refused(tmp_path: Path) -> None:
    _segment(tmp_path, "m_1", {"II": walk(12, (30, 1))[:, 0]})
    (tmp_path / "m.hea").write_text("m/1 1 500 30\nm_1 30\n")
    with pytest.raises(UnsupportedFormat, match="sampling frequency"):
        read(tmp_path / "m")
