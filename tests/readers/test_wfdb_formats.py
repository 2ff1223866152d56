"""Every WFDB storage format, against wfdb and by hand.

wfdb writes 80, 212, 16, 24, 32 and FLAC; the encoders below write the others from signal(5), bit by
bit, so that nothing of the reader is used to test the reader.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from qoqdata.errors import UnreadableFile
from qoqdata.readers.ecg import read_ecg
from qoqdata.readers.ecg.formats import bytes_for, samples_in
from tests.readers.wfdb_records_by_wfdb import BITS, FS, walk, write


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


def write_raw(folder: Path, fmt: str, stored: np.ndarray, encoded: bytes) -> Path:
    """A record by hand; `stored` is (sample, lead)."""
    lines = [f"rec {stored.shape[1]} 500 {stored.shape[0]}"]
    for k, name in enumerate(("I", "II", "V1")[: stored.shape[1]]):
        total = int(stored[:, k].sum()) & 0xFFFF
        first = 0 if fmt == "8" else stored[0, k]
        lines.append(f"rec.dat {fmt} 100/mV 10 0 {first} {total} 0 {name}")
    (folder / "rec.hea").write_text("\n".join(lines) + "\n")
    (folder / "rec.dat").write_bytes(encoded)
    return folder / "rec.hea"


@pytest.mark.parametrize("fmt", BITS)
@pytest.mark.parametrize("samples", [2, 3, 7, 501])
def test_what_wfdb_writes_comes_back_exactly(tmp_path: Path, fmt: str, samples: int) -> None:
    if fmt in ("508", "516", "524"):
        pytest.importorskip("soundfile")
    stored = walk(BITS[fmt], (samples, 3))
    recording = read_ecg(write(tmp_path, fmt, stored))
    assert recording.leads == ("I", "II", "V1")
    assert recording.fs == FS
    expected = (stored.T[[1, 0, 2]] / 200.0).astype(np.float32)
    assert np.array_equal(recording.signal, expected)
    assert recording.signal.dtype == np.float32
    assert recording.repairs == ()
    assert recording.valid.all()


@pytest.mark.parametrize("fmt", ENCODERS)
@pytest.mark.parametrize("samples", [2, 3, 4, 100])
def test_formats_that_wfdb_only_reads(tmp_path: Path, fmt: str, samples: int) -> None:
    bits, encode = ENCODERS[fmt]
    stored = walk(bits, (samples, 3), seed=samples)
    path = write_raw(tmp_path, fmt, stored, encode(stored.reshape(-1), 3))
    assert np.array_equal(read_ecg(path).signal, (stored.T / 100.0).astype(np.float32))


@given(
    st.sampled_from(["16", "24", "32", "61", "80", "160", "212", "310", "311"]), st.integers(0, 999)
)
def test_sizes_are_consistent(fmt: str, samples: int) -> None:
    size = bytes_for(fmt, samples)
    assert samples_in(fmt, size) >= samples
    assert size == 0 or samples_in(fmt, size - 1) < samples


@given(
    fmt=st.sampled_from(["16", "212", "80", "24", "32"]),
    samples=st.integers(2, 40),
    leads=st.integers(1, 4),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip_property(tmp_path: Path, fmt: str, samples: int, leads: int, seed: int) -> None:
    stored = walk(BITS[fmt], (samples, leads), seed)
    assume((stored != stored[0]).any())  # a flat recording is refused
    stem = write(tmp_path, fmt, stored, names=["I", "II", "III", "V1"][:leads])
    assert np.array_equal(read_ecg(stem).signal, (stored.T / 200.0).astype(np.float32))


@pytest.mark.parametrize("fmt", ["212", "24", "310", "311", "516"])
def test_truncated_files_of_other_formats(tmp_path: Path, fmt: str) -> None:
    if fmt in ENCODERS:
        bits, encode = ENCODERS[fmt]
        stored = walk(bits, (31, 3))
        write_raw(tmp_path, fmt, stored, encode(stored.reshape(-1), 3))
    else:
        write(tmp_path, fmt, walk(BITS[fmt], (31, 3)))
    data = (tmp_path / "rec.dat").read_bytes()
    assert read_ecg(tmp_path / "rec").signal.shape == (3, 31)
    for size in range(0, len(data), 11):
        (tmp_path / "rec.dat").write_bytes(data[:size])
        with pytest.raises(UnreadableFile):
            read_ecg(tmp_path / "rec")
