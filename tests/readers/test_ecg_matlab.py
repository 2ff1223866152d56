"""CPSC2018 MATLAB structs: values, damage, and shapes that promise too much."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from qoqdata.errors import InputError, TooLarge, UnreadableFile, UnsupportedFormat
from qoqdata.readers.ecg import read_ecg
from qoqdata.readers.ecg.leads import TWELVE
from qoqdata.readers.limits import DEFAULT_LIMITS


def samples(n: int = 40) -> np.ndarray:
    return np.random.default_rng(2).normal(size=(12, n))


def mat(folder: Path, compress: bool = True, **fields: object) -> Path:
    content = {"sex": "Female", "age": 63, "data": samples()} | fields
    savemat(folder / "A0001.mat", {"ECG": content}, do_compression=compress)
    return folder / "A0001.mat"


@pytest.mark.parametrize("compress", [True, False])
def test_values(tmp_path: Path, compress: bool) -> None:
    recording = read_ecg(mat(tmp_path, compress))
    assert (recording.leads, recording.fs) == (TWELVE, 500.0)
    assert np.array_equal(recording.signal, samples().astype(np.float32))
    assert recording.valid.all()
    assert (recording.age, recording.sex, recording.dx, recording.comments) == (
        63,
        "female",
        (),
        (),
    )
    assert "CPSC2018 documentation" in recording.repairs[0]


def test_nan_is_missing(tmp_path: Path) -> None:
    data = samples()
    data[3, 5:8] = np.nan
    recording = read_ecg(mat(tmp_path, data=data))
    assert np.flatnonzero(~recording.valid[3]).tolist() == [5, 6, 7]
    assert (recording.signal[3, 5:8] == 0).all()
    assert np.isfinite(recording.signal).all()


@pytest.mark.parametrize("kind", ["f8", "f4", "i2", "u1", "i4"])
@pytest.mark.parametrize("compress", [True, False])
def test_every_number_class_equals_scipy(tmp_path: Path, kind: str, compress: bool) -> None:
    data = (samples() * 3 + 100).astype(kind)
    path = mat(tmp_path, compress, data=data)
    theirs = loadmat(path)["ECG"]["data"][0, 0]
    assert np.array_equal(read_ecg(path).signal, theirs.astype(np.float32))


@pytest.mark.parametrize(
    ("fields", "age", "sex"),
    [
        ({"age": np.nan}, None, "female"),
        ({"sex": "Unknown"}, 63, None),
        ({"age": 300}, None, "female"),
    ],
)
def test_unknown_age_and_sex(
    tmp_path: Path, fields: dict[str, object], age: int | None, sex: str | None
) -> None:
    recording = read_ecg(mat(tmp_path, **fields))
    assert (recording.age, recording.sex) == (age, sex)


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((8, 40)),
        np.zeros((40, 12)),
        np.zeros((12, 0)),
        np.zeros(12),
        "text",
        np.full((12, 3), np.inf),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, data: object) -> None:
    with pytest.raises(UnreadableFile):
        read_ecg(mat(tmp_path, data=data))


def test_other_variables_are_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "x.mat", {"val": samples()})
    with pytest.raises(UnreadableFile, match="ECG"):
        read_ecg(tmp_path / "x.mat")
    savemat(tmp_path / "x.mat", {"val": samples()}, format="4")
    with pytest.raises(UnreadableFile, match="no header"):
        read_ecg(tmp_path / "x.mat")
    (tmp_path / "x.mat").write_bytes(b"MATLAB 7.3 MAT-file" + bytes(500))
    with pytest.raises(UnsupportedFormat, match="v7"):
        read_ecg(tmp_path / "x.mat")
    (tmp_path / "x.mat").write_bytes(b"")
    with pytest.raises(UnreadableFile):
        read_ecg(tmp_path / "x.mat")


@pytest.mark.parametrize("field", ["fs", "unit", "leads", "gain"])
def test_a_struct_that_says_more_than_cpsc2018_is_refused(tmp_path: Path, field: str) -> None:
    """Rate, unit and lead order are the documentation's, where the file does not state its own."""
    with pytest.raises(UnsupportedFormat, match=f"the field '{field}'"):
        read_ecg(mat(tmp_path, **{field: 250}))


@pytest.mark.parametrize("kind", ["f8", "i2"])
@pytest.mark.parametrize("gain", [200, 1000])
def test_steps_of_a_converter_are_no_millivolts(tmp_path: Path, kind: str, gain: int) -> None:
    """Samples without a gain would be several hundred mV; 1 to 10 mV are what hearts make."""
    steps = np.round(samples(400) * gain)
    steps[:, 0] = 300  # an electrode's offset
    with pytest.raises(UnreadableFile, match="its unit is not mV"):
        read_ecg(mat(tmp_path, data=steps.astype(kind)))
    truth = read_ecg(mat(tmp_path, data=steps / gain)).signal
    assert np.array_equal(truth, np.float32(steps / gain))


def test_inflation_is_bounded(tmp_path: Path) -> None:
    path = mat(tmp_path, data=np.zeros((12, 50_000)))
    with pytest.raises(TooLarge, match="inflate"):
        read_ecg(path, limits=replace(DEFAULT_LIMITS, inflated_bytes=1_000_000))
    with pytest.raises(TooLarge):
        read_ecg(path, limits=replace(DEFAULT_LIMITS, file_bytes=100))


def test_a_struct_that_promises_billions_of_elements(tmp_path: Path) -> None:
    path = mat(tmp_path, compress=False)
    data = path.read_bytes()
    for sides in ((1, 1), (12, 40)):  # the struct, then its data
        at = data.index(struct.pack("<4I", 5, 8, *sides))
        changed = bytearray(data)
        changed[at + 8 : at + 16] = struct.pack("<2i", 2**30, 2**30)
        for content in (bytes(changed), bytes(changed[:128]) + _compressed(bytes(changed[128:]))):
            path.write_bytes(content)
            with pytest.raises(UnreadableFile, match="shape"):
                read_ecg(path)


def _compressed(element: bytes) -> bytes:
    body = zlib.compress(element)
    return struct.pack("<2I", 15, len(body)) + body


@pytest.mark.parametrize("compress", [True, False])
def test_truncation_is_refused(tmp_path: Path, compress: bool) -> None:
    path = mat(tmp_path, compress, data=samples(4))
    data = path.read_bytes()
    for size in range(0, len(data), 7):
        path.write_bytes(data[:size])
        with pytest.raises(InputError):
            read_ecg(path)


@pytest.mark.parametrize("compress", [True, False])
def test_flipped_bits_give_our_errors_or_a_finite_recording(tmp_path: Path, compress: bool) -> None:
    path = mat(tmp_path, compress, data=samples(4))
    data = path.read_bytes()
    truth = samples(4).astype(np.float32)
    rng = np.random.default_rng(6)
    for bit in rng.choice(len(data) * 8, 400, replace=False):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << int(bit % 8)
        path.write_bytes(bytes(flipped))
        try:
            recording = read_ecg(path)
        except InputError:
            continue
        assert np.isfinite(recording.signal).all()
        if compress:  # zlib's own checksum guards what is compressed
            assert np.array_equal(recording.signal, truth)


def test_a_real_file(realdata: Path) -> None:
    path = realdata / "ecg/cpsc2018_original_mat/A1980.mat"
    recording = read_ecg(path)
    theirs = loadmat(io.BytesIO(path.read_bytes()))["ECG"]["data"][0, 0]
    assert np.array_equal(recording.signal, theirs.astype(np.float32))
    assert (recording.age, recording.sex, recording.signal.shape) == (52, "male", (12, 5000))
    assert np.abs(recording.signal[1] - recording.signal[0] - recording.signal[2]).max() < 1e-3
