"""NRRD against SimpleITK as writer and reader: types, encodings, text, skips."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from qoqdata.errors import UnreadableFile
from qoqdata.readers.volume import nrrd
from tests.readers.itk_images import ELEMENT_TYPES, assert_agrees_with_itk, write_oblique
from tests.readers.nrrd_files import ENCODE, SHORTS, header, write


def test_real_files_agree_with_itk(realdata: Path) -> None:
    files = sorted((realdata / "nrrd").glob("*.nrrd"))
    assert len(files) == 2
    for path in files:
        assert_agrees_with_itk(nrrd.read_nrrd(path), path)


@pytest.mark.parametrize("dtype", ELEMENT_TYPES)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr"])
def test_files_written_by_itk(tmp_path: Path, dtype: str, compressed: bool, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_oblique(path, dtype, compressed=compressed)
    volume = nrrd.read_nrrd(path)
    assert volume.voxels.dtype == np.dtype(dtype)
    assert_agrees_with_itk(volume, path)
    assert volume.repairs == ()
    assert volume.source_format == "nrrd"


def test_two_dimensions_written_by_itk(tmp_path: Path) -> None:
    flat = sitk.GetImageFromArray(np.arange(12, dtype=np.int16).reshape(3, 4))
    flat.SetSpacing((0.5, 2))
    sitk.WriteImage(flat, str(tmp_path / "flat.nrrd"))
    volume = nrrd.read_nrrd(tmp_path / "flat.nrrd")
    assert volume.voxels.shape == (4, 3, 1)
    assert_agrees_with_itk(volume, tmp_path / "flat.nrrd")


@pytest.mark.parametrize("encoding", sorted(ENCODE))
@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("detached", [False, True])
def test_encodings_and_byte_orders(
    tmp_path: Path, encoding: str, endian: str, detached: bool
) -> None:
    data = ENCODE[encoding](SHORTS.astype("<i2" if endian == "little" else ">i2").tobytes())
    head = header(encoding=encoding, endian=endian)
    if detached:
        (tmp_path / "a.bin").write_bytes(data)
        path = write(tmp_path, head + b"data file: ./a.bin\n")
    else:
        path = write(tmp_path, head, data)
    volume = nrrd.read_nrrd(path)
    np.testing.assert_array_equal(volume.voxels.ravel(order="F"), SHORTS)
    assert volume.voxels.dtype == np.int16
    if not encoding.startswith("bz"):
        assert_agrees_with_itk(volume, path)


@pytest.mark.parametrize("name", ["txt", "text", "ascii", "ASCII"])
def test_text_needs_no_byte_order(tmp_path: Path, name: str) -> None:
    head = header(("endian",), encoding=name)
    path = write(tmp_path, head, "\n ".join(map(str, SHORTS)).encode())
    np.testing.assert_array_equal(nrrd.read_nrrd(path).voxels.ravel(order="F"), SHORTS)
    assert_agrees_with_itk(nrrd.read_nrrd(path), path)


def test_text_keeps_64_bits_and_floats(tmp_path: Path) -> None:
    large = [-(2**63), 2**63 - 1, 2**53 + 1]
    head = header(type="int64", sizes="3 1 1", encoding="text")
    path = write(tmp_path, head, " ".join(map(str, large)).encode())
    assert nrrd.read_nrrd(path).voxels.ravel().tolist() == large
    head = header(type="float", sizes="3 1 1", encoding="text")
    floats = nrrd.read_nrrd(write(tmp_path, head, b"0.1 -1e-3 nan")).voxels.ravel()
    np.testing.assert_array_equal(floats, np.array([0.1, -1e-3, np.nan], np.float32))
    with pytest.raises(UnreadableFile, match="do not fit float32"):
        nrrd.read_nrrd(write(tmp_path, head, b"0.1 1e39 0"))


SKIPS = {
    "bytes": ({"byte_skip": "3"}, b"abc" + SHORTS.tobytes()),
    "bytes from the end": ({"byte_skip": "-1"}, b"x" * 99 + SHORTS.tobytes()),
    "lines": ({"line_skip": "2"}, b"P5\n2 3\n" + SHORTS.tobytes()),
    "lines and bytes": ({"line_skip": "1", "byte_skip": "2"}, b"P5\nab" + SHORTS.tobytes()),
    "bytes inside gzip": (
        {"encoding": "gzip", "byte_skip": "3"},
        gzip.compress(b"abc" + SHORTS.tobytes()),
    ),
    "lines before gzip": (
        {"encoding": "gzip", "line_skip": "1"},
        b"P5\n" + gzip.compress(SHORTS.tobytes()),
    ),
    "lines before text": (
        {"encoding": "txt", "line_skip": "1"},
        b"title\n" + " ".join(map(str, SHORTS)).encode(),
    ),
}


@pytest.mark.parametrize("name", SKIPS)
def test_skips_agree_with_itk(tmp_path: Path, name: str) -> None:
    fields, data = SKIPS[name]
    path = write(tmp_path, header(**fields), data)
    np.testing.assert_array_equal(nrrd.read_nrrd(path).voxels.ravel(order="F"), SHORTS)
    assert_agrees_with_itk(nrrd.read_nrrd(path), path)


def test_key_values_and_carriage_returns(tmp_path: Path) -> None:
    head = (header() + b"patient:=DOE^J\nold min: 0\n").replace(b"\n", b"\r\n")
    path = tmp_path / "a.nrrd"
    path.write_bytes(head + b"\r\n" + SHORTS.tobytes())
    np.testing.assert_array_equal(nrrd.read_nrrd(path).voxels.ravel(order="F"), SHORTS)
