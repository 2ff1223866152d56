"""NIfTI files that are damaged, that lie about their size, or that hold no grey levels."""

from __future__ import annotations

import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.errors import InputError, TooLarge, UnreadableFile, UnsupportedFormat
from qoqdata.readers.limits import Limits
from qoqdata.readers.volume import nifti
from tests.readers.nifti_files import AFFINE, patch, ramp, write


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.zeros((3, 3, 3), np.complex64), "complex64"),
        (np.zeros((3, 3, 3), np.complex128), "complex128"),
        (np.zeros((3, 3, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "RGB"),
        (np.zeros((3, 3, 3, 1, 3), np.float32), "vectors"),
        (np.zeros((3, 1, 1, 2, 2), np.float32), "vectors"),
    ],
)
def test_types_without_grey_levels_are_refused(
    tmp_path: Path, array: np.ndarray, word: str
) -> None:
    nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(UnsupportedFormat, match=word):
        nifti.read_nifti(tmp_path / "a.nii")


def test_analyze_is_refused(tmp_path: Path) -> None:
    nib.save(nib.AnalyzeImage(ramp((3, 4, 5), "int16"), np.eye(4)), tmp_path / "a.img")
    with pytest.raises(UnsupportedFormat, match="Analyze"):
        nifti.read_nifti(tmp_path / "a.img")


def test_hundred_gigavoxels_are_refused_before_memory_goes(tmp_path: Path) -> None:
    for suffix in (".nii", ".nii.gz"):
        path = write(tmp_path / f"a{suffix}", ramp((3, 4, 5), "int16"))
        patch(path, dim=[3, 5000, 5000, 4000, 1, 1, 1, 1])
        with pytest.raises(TooLarge, match="voxels"):
            nifti.read_nifti(path)
        patch(path, dim=[3, 1000, 1000, 1000, 1, 1, 1, 1])
        with pytest.raises(UnreadableFile, match="cannot hold"):
            nifti.read_nifti(path)


def test_limits_are_the_callers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz", ramp((3, 4, 5), "int16"))
    for limits in (Limits(voxels=59), Limits(inflated_bytes=119), Limits(file_bytes=50)):
        with pytest.raises(TooLarge):
            nifti.read_nifti(path, limits=limits)
    nifti.read_nifti(path, limits=Limits(voxels=60, inflated_bytes=120 + 352))


@pytest.mark.parametrize(
    "fields",
    [
        {"dim": [0, 3, 4, 5, 1, 1, 1, 1]},
        {"dim": [3, -3, 4, 5, 1, 1, 1, 1]},
        {"dim": [3, 0, 4, 5, 1, 1, 1, 1]},
        {"dim": [9, 3, 4, 5, 1, 1, 1, 1]},
        {"datatype": 77},
        {"datatype": 64},
        {"vox_offset": 0},
        {"vox_offset": np.nan},
        {"vox_offset": 1e30},
        {"vox_offset": 352.5},
        {"srow_x": [np.nan, 0, 0, 0]},
        {"srow_x": [0, 0, 0, 0]},
        {"srow_x": [1e30, 0, 0, 0]},
        {"sform_code": 0, "qform_code": 1, "quatern_b": 9},
        {"sform_code": 0, "qform_code": 1, "pixdim": [1, np.nan, 1, 1, 1, 1, 1, 1]},
    ],
)
def test_damaged_headers_are_refused(tmp_path: Path, fields: dict[str, object]) -> None:
    path = write(tmp_path / "a.nii", ramp((3, 4, 5), "int16"), np.eye(4), **fields)
    with pytest.raises(UnreadableFile):
        nifti.read_nifti(path)


def test_other_magic_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii", ramp((3, 4, 5), "int16"), magic=b"nope")
    with pytest.raises(UnsupportedFormat, match="Analyze"):
        nifti.read_nifti(path)
    patch(path, sizeof_hdr=347)
    with pytest.raises(UnreadableFile, match="no NIfTI header"):
        nifti.read_nifti(path)


def test_truncation_is_refused_at_every_length(tmp_path: Path) -> None:
    for suffix in (".nii", ".nii.gz"):
        whole = write(tmp_path / f"a{suffix}", ramp((3, 4, 5), "int16")).read_bytes()
        path = tmp_path / f"cut{suffix}"
        for length in range(0, len(whole), 7):
            path.write_bytes(whole[:length])
            with pytest.raises(UnreadableFile):
                nifti.read_nifti(path)


def test_padding_is_recorded_and_a_wrong_size_is_not_padding(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii", ramp((3, 4, 5), "int16"))
    path.write_bytes(path.read_bytes() + b"\0" * 10)
    assert nifti.read_nifti(path).repairs == ("10 bytes after the voxels of a.nii were ignored",)
    path.write_bytes(path.read_bytes() + b"\0" * 14)
    with pytest.raises(UnreadableFile, match="more data"):
        nifti.read_nifti(path)


def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz", ramp((3, 4, 5), "int16"))
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(UnreadableFile, match="gzip"):
        nifti.read_nifti(path)


@pytest.mark.slow
@settings(max_examples=150)
@given(flips=st.lists(st.tuples(st.integers(0, 471), st.integers(1, 255)), max_size=6))
def test_flipped_bits_give_a_volume_or_our_error(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.mktemp("flip") / "a.nii"
    data = bytearray(write(path, ramp((3, 4, 5), "int16")).read_bytes())
    for at, mask in flips:
        data[at] ^= mask
    path.write_bytes(bytes(data))
    try:
        volume = nifti.read_nifti(path, limits=Limits(voxels=100_000))
    except InputError:
        return
    assert np.isfinite(volume.affine).all()
    assert volume.voxels.ndim in (3, 4)


def test_huge_offset_in_a_pair_is_refused(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(ramp((3, 4, 5), "int16"), AFFINE), tmp_path / "a.img")
    header = bytearray((tmp_path / "a.hdr").read_bytes())
    header[108:112] = struct.pack("<f", 1e9)
    (tmp_path / "a.hdr").write_bytes(bytes(header))
    with pytest.raises(UnreadableFile, match="cannot hold"):
        nifti.read_nifti(tmp_path / "a.hdr")
