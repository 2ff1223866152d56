"""Choosing a reader by content and name, and the geometry of the grid."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.errors import (
    InputError,
    Misaligned,
    MissingFile,
    TooLarge,
    UnreadableFile,
    UnsupportedFormat,
)
from qoqdata.readers.limits import Limits
from qoqdata.readers.volume import (
    Volume,
    axis_codes,
    check_same_grid,
    grid_difference,
    read_volume,
    voxel_from_world,
    world_from_voxel,
)
from qoqdata.readers.volume.grid import checked_volume, ras_from_lps

ARRAY = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


@st.composite
def affines(draw: st.DrawFn) -> np.ndarray:
    """Rotations of any angle, turned and mirrored axes, spacing 0.05 to 20 mm, far origins."""
    quaternion = np.array(draw(st.tuples(*[st.floats(-1, 1)] * 4)))
    length = np.linalg.norm(quaternion)
    rotation = nib.quaternions.quat2mat(quaternion / length) if length > 0.1 else np.eye(3)
    spacing = draw(st.tuples(*[st.floats(0.05, 20)] * 3))
    signs = draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
    affine = np.eye(4)
    affine[:3, :3] = rotation[:, draw(st.permutations(range(3)))] * signs * spacing
    affine[:3, 3] = draw(st.tuples(*[st.floats(-2000, 2000)] * 3))
    return affine


def volume(affine: np.ndarray, shape: tuple[int, ...] = (4, 5, 6)) -> Volume:
    return checked_volume(np.zeros(shape), affine, source_format="nifti1", where="test")


@given(affine=affines(), points=st.lists(st.tuples(*[st.floats(-600, 600)] * 3), max_size=5))
def test_world_and_voxel_round_trip(affine: np.ndarray, points: list) -> None:
    ijk = np.array(points).reshape(-1, 3)
    xyz = world_from_voxel(affine, ijk)
    assert xyz.shape == ijk.shape
    np.testing.assert_allclose(xyz, nib.affines.apply_affine(affine, ijk), atol=1e-6)
    np.testing.assert_allclose(voxel_from_world(affine, xyz), ijk, atol=1e-6)


@given(affine=affines())
def test_a_volume_knows_its_spacing_and_its_codes(affine: np.ndarray) -> None:
    built = volume(affine)
    np.testing.assert_allclose(built.spacing, nib.affines.voxel_sizes(affine))
    assert axis_codes(built.affine) == nib.aff2axcodes(affine)
    np.testing.assert_array_equal(ras_from_lps(ras_from_lps(affine)), affine)


def test_lps_by_hand() -> None:
    lps = np.array([[1.0, 0, 0, 10], [0, 2, 0, 20], [0, 0, 3, 30], [0, 0, 0, 1]])
    assert axis_codes(lps) == ("R", "A", "S")
    ras = ras_from_lps(lps)
    assert axis_codes(ras) == ("L", "P", "S")
    assert world_from_voxel(ras, np.array([[1, 1, 1]])).tolist() == [[-11, -22, 33]]


@pytest.mark.parametrize(
    "affine",
    [
        np.diag([np.nan, 1, 1, 1]),
        np.diag([np.inf, 1, 1, 1]),
        np.diag([0.0, 1, 1, 1]),
        np.diag([1e-9, 1, 1, 1]),
        np.diag([1e9, 1, 1, 1]),
        np.array([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
    ],
)
def test_affines_that_place_nothing_are_refused(affine: np.ndarray) -> None:
    with pytest.raises(UnreadableFile):
        volume(affine)


def test_grids_are_compared_by_where_voxels_lie() -> None:
    image = volume(np.diag([0.7, 0.7, 5, 1]))
    assert grid_difference(image, volume(np.diag([0.7, 0.7, 5, 1]), (4, 5, 6, 3))) is None
    near, far = np.diag([0.7, 0.7, 5, 1]), np.diag([0.7, 0.7, 5, 1])
    near[0, 3], far[0, 3] = 0.0009, 0.0011
    assert grid_difference(image, volume(near)) is None
    assert grid_difference(image, volume(far)) is not None
    assert grid_difference(image, volume(far), tolerance_mm=0.01) is None
    # A spacing error of 0.0004 mm grows to 0.002 mm at the sixth slice.
    assert grid_difference(image, volume(np.diag([0.7, 0.7, 5.0004, 1]))) is not None


def test_the_difference_is_named() -> None:
    image = volume(np.eye(4))
    assert grid_difference(image, volume(np.eye(4), (4, 5, 7))) == (
        "sizes (4, 5, 6) and (4, 5, 7) differ"
    )
    flipped = grid_difference(image, volume(np.diag([-1.0, 1, 1, 1])))
    assert flipped == "axes point RAS and LAS; corner voxels are up to 6 mm apart"
    check_same_grid(image, image, where="case 1")
    with pytest.raises(Misaligned, match="LAS"):
        check_same_grid(image, volume(np.diag([-1.0, 1, 1, 1])), where="case 1")


def test_content_decides(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(ARRAY, np.eye(4)), tmp_path / "a.nii")
    plain = (tmp_path / "a.nii").read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(plain)
    (tmp_path / "c.nii").write_bytes(gzip.compress(plain))
    (tmp_path / "d").write_bytes(plain)
    image = sitk.GetImageFromArray(ARRAY.T)
    for name in ("e.mha", "f.nrrd", "g.nhdr", "h.mhd"):
        sitk.WriteImage(image, str(tmp_path / name))
    formats = {}
    for name in ("a.nii", "b.nii.gz", "c.nii", "d", "e.mha", "f.nrrd", "g.nhdr", "h.mhd"):
        got = read_volume(tmp_path / name)
        np.testing.assert_array_equal(got.voxels, ARRAY)
        formats[name] = got.source_format
    assert set(formats.values()) == {"nifti1", "metaimage", "nrrd"}
    assert formats["d"] == "nifti1"


def test_names_that_contradict_the_content_are_refused(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(ARRAY, np.eye(4)), tmp_path / "a.nii")
    (tmp_path / "a.nii").rename(tmp_path / "a.nrrd")
    with pytest.raises(UnreadableFile, match="named as nrrd, but holds nifti"):
        read_volume(tmp_path / "a.nrrd")


def test_other_formats_are_not_claimed(tmp_path: Path) -> None:
    nib.save(nib.MGHImage(ARRAY, np.eye(4)), tmp_path / "a.mgz")
    (tmp_path / "a.bin").write_bytes(b"\0" * 1000)
    for name in ("a.mgz", "a.bin"):
        with pytest.raises(UnsupportedFormat):
            read_volume(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha", "a.mhd", "a.nrrd", "a.nhdr"])
@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x1f\x8b", b"\0" * 2000, b"text\n" * 99])
def test_garbage_under_our_names_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableFile):
        read_volume(tmp_path / name)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        read_volume(tmp_path / "none.nii")
    os.mkfifo(tmp_path / "pipe.nii")
    (tmp_path / "folder.nii").mkdir()
    for name in ("pipe.nii", "folder.nii"):
        with pytest.raises(UnreadableFile, match="regular"):
            read_volume(tmp_path / name)
    with pytest.raises(InputError):
        read_volume(tmp_path / "nul\0.nii")


def test_file_limits_hold_for_every_format(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(ARRAY)
    for name in ("a.nii", "a.mha", "a.nrrd"):
        sitk.WriteImage(image, str(tmp_path / name))
        for limits in (Limits(file_bytes=100), Limits(voxels=59), Limits(inflated_bytes=119)):
            with pytest.raises(TooLarge):
                read_volume(tmp_path / name, limits=limits)


def test_the_same_bytes_give_the_same_volume(realdata: Path) -> None:
    for name in ("metaimage/HeadMRVolume.mhd", "nrrd/breast1_image.nrrd"):
        one, two = read_volume(realdata / name), read_volume(realdata / name)
        np.testing.assert_array_equal(one.voxels, two.voxels)
        assert grid_difference(one, two) is None
    image = read_volume(realdata / "nrrd/breast1_image.nrrd")
    assert grid_difference(image, read_volume(realdata / "nrrd/breast1_label.nrrd")) is None
