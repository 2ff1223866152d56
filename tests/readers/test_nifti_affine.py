"""Where NIfTI voxels lie: sform, qform and units, against nibabel and SimpleITK."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from qoqdata.errors import UnreadableFile
from qoqdata.readers.volume import axis_codes, nifti, world_from_voxel
from tests.readers.nifti_files import patch, ramp, write


def test_sform_goes_before_qform_and_disagreement_is_recorded(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii", ramp((3, 4, 5), "int16"), np.diag([2.0, 2, 2, 1]))
    patch(path, qform_code=1, qoffset_x=30)
    volume = nifti.read_nifti(path)
    np.testing.assert_array_equal(volume.affine, np.diag([2.0, 2, 2, 1]))
    assert volume.repairs == ("sform and qform are up to 30 mm apart: sform taken",)
    patch(path, sform_code=0)
    volume = nifti.read_nifti(path)
    assert volume.affine[0, 3] == 30
    assert volume.repairs == ()


def test_unusable_sform_gives_way_to_qform(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii", ramp((3, 4, 5), "int16"), np.diag([2.0, 2, 2, 1]))
    patch(path, qform_code=1, srow_z=[0, 0, 0, 0])
    volume = nifti.read_nifti(path)
    np.testing.assert_allclose(volume.affine, np.diag([2.0, 2, 2, 1]), atol=1e-6)
    assert volume.repairs[0].startswith("sform (code 2) set aside")
    patch(path, qform_code=0)
    with pytest.raises(UnreadableFile, match="sform"):
        nifti.read_nifti(path)


def test_neither_form_says_that_the_side_is_not_known(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii", ramp((3, 4, 5), "int16"), np.diag([2.0, 3, 4, 1]))
    patch(path, sform_code=0, qform_code=0)
    volume = nifti.read_nifti(path)
    np.testing.assert_allclose(volume.affine, nib.load(path).affine)
    assert any("left and right are not known" in repair for repair in volume.repairs)
    assert volume.sideless == "neither sform nor qform is set"


@pytest.mark.parametrize(("qfac", "mirrored"), [(1, True), (-1, False)])
def test_forms_that_call_different_sides_the_left_one_tell_no_side(
    tmp_path: Path, qfac: int, mirrored: bool
) -> None:
    """The sform leads to the left along i. So does a qform that is turned by half about k; one
    without a turn leads to the right."""
    path = write(tmp_path / "a.nii", ramp((3, 4, 5), "int16"), np.diag([-2.0, 2, 2, 1]))
    assert nifti.read_nifti(path).sideless is None
    turns = {"quatern_b": 0, "quatern_c": 0, "quatern_d": 0 if mirrored else 1}
    patch(path, qform_code=1, pixdim=[qfac, 2, 2, 2, 1, 1, 1, 1], **turns)
    volume = nifti.read_nifti(path)
    assert (volume.sideless is not None) == mirrored
    assert ("sform and qform call different sides the left one" in volume.repairs) == mirrored


@pytest.mark.parametrize(("code", "scale"), [(1, 1000), (3, 0.001), (2, 1), (0, 1)])
def test_lengths_become_millimetres(tmp_path: Path, code: int, scale: float) -> None:
    sizes = np.array([2.0, 3, 4]) / scale
    path = write(tmp_path / "a.nii", ramp((3, 4, 5), "int16"), np.diag([*sizes, 1]))
    patch(path, xyzt_units=code)
    volume = nifti.read_nifti(path)
    assert volume.spacing == pytest.approx((2, 3, 4), rel=1e-5)
    assert bool(volume.repairs) == (scale != 1)


def test_zero_and_negative_pixdim_are_settled_as_nibabel_does(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii", ramp((3, 4, 5), "int16"), np.eye(4))
    patch(path, sform_code=0, qform_code=1, pixdim=[0, -2, 0, 3, 1, 1, 1, 1])
    volume = nifti.read_nifti(path)
    np.testing.assert_allclose(volume.affine[:3, :3], np.diag([2, 1, 3]), atol=1e-6)
    np.testing.assert_allclose(volume.affine, nib.load(path).affine, atol=1e-6)
    assert volume.repairs == ("negative pixdim: sign dropped", "pixdim of 0: 1 taken")


def test_world_coordinates_agree_with_itk(tmp_path: Path) -> None:
    rotation = np.linalg.qr(np.random.default_rng(7).normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = rotation * [0.7, 0.8, 2.5], [-100, 40, 300]
    path = write(tmp_path / "a.nii", ramp((30, 40, 20), "int16"), affine)
    image = sitk.ReadImage(str(path))
    ijk = np.array([[0, 0, 0], [29, 0, 0], [0, 39, 19], [29, 39, 19]])
    lps = np.array([image.TransformIndexToPhysicalPoint(index.tolist()) for index in ijk])
    ours = world_from_voxel(nifti.read_nifti(path).affine, ijk)
    np.testing.assert_allclose(ours, lps * [-1, -1, 1], atol=1e-3)


def test_files_written_by_itk(tmp_path: Path) -> None:
    array = ramp((5, 4, 3), "float32")
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.5, 2, 3))
    image.SetOrigin((10, -20, 30))
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    volume = nifti.read_nifti(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(volume.voxels, array.T)
    np.testing.assert_allclose(world_from_voxel(volume.affine, np.zeros((1, 3))), [[-10, 20, 30]])
    assert axis_codes(volume.affine) == ("L", "P", "S")
    flat = sitk.GetImageFromArray(array[0])
    sitk.WriteImage(flat, str(tmp_path / "flat.nii"))
    np.testing.assert_array_equal(
        nifti.read_nifti(tmp_path / "flat.nii").voxels[..., 0], array[0].T
    )
