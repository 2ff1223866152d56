"""Files of several volumes: SimpleITK and nibabel say what each channel holds."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from qoqdata.errors import InputError, Misaligned, UnsupportedFormat
from qoqdata.readers.limits import Limits
from qoqdata.readers.volume import SlicePolicy, Volume, check_same_grid, read_volume
from qoqdata.records.slices import cut_slices

SHAPE = (5, 4, 3)
RNG = np.random.default_rng(4)
PARTS = [RNG.integers(-90, 90, SHAPE).astype(np.int16) for _ in range(3)]
AFFINE = np.diag([-0.8, -0.8, 3.0, 1.0])


def vector(path: Path) -> Path:
    """The three parts as components of one image, by SimpleITK."""
    parts = [sitk.GetImageFromArray(part.T) for part in PARTS]
    image = sitk.Compose(parts)
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((11.0, -5.0, 3.0))
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha", "a.mhd", "a.nrrd", "a.nhdr"])
def test_components_are_refused_by_name_until_one_is_chosen(tmp_path: Path, name: str) -> None:
    path = vector(tmp_path / name)
    with pytest.raises(UnsupportedFormat) as caught:
        read_volume(path)
    assert caught.value.where == str(path)
    assert "0 to 2" in str(caught.value.fix) and "`channel: 0`" in str(caught.value.fix)
    sitk.WriteImage(sitk.GetImageFromArray(PARTS[0].T), str(tmp_path / "single.mha"))
    for channel, part in enumerate(PARTS):
        one = read_volume(path, channel=channel)
        np.testing.assert_array_equal(one.voxels, part)
        assert one.voxels.dtype == np.int16
        np.testing.assert_allclose(one.spacing, (0.7, 0.8, 2.5))
        np.testing.assert_allclose(one.affine[:3, 3], (-11, 5, 3))
        assert one.repairs[-1] == f"channel {channel} of 3 taken (counted from 0)"
    with pytest.raises(InputError, match="no channel 3: it holds 3"):
        read_volume(path, channel=3)


@pytest.mark.parametrize("names", ["RGB", "RGBA"])
def test_colours_of_a_nifti(tmp_path: Path, names: str) -> None:
    array = np.zeros(SHAPE, [(name, "u1") for name in names])
    for name in names:
        array[name] = RNG.integers(0, 255, SHAPE)
    path = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(array, AFFINE), path)
    with pytest.raises(UnsupportedFormat, match="RGB") as caught:
        read_volume(path)
    assert f"0 to {len(names) - 1}" in str(caught.value.fix)
    for number, name in enumerate(names):
        np.testing.assert_array_equal(read_volume(path, channel=number).voxels, array[name])


def test_a_flat_colour_nifti_keeps_its_slice_axis(tmp_path: Path) -> None:
    array = np.zeros((4, 6), [(name, "u1") for name in "RGB"])
    array["G"] = RNG.integers(0, 255, (4, 6))
    nib.save(nib.Nifti1Image(array, AFFINE), tmp_path / "a.nii")
    one = read_volume(tmp_path / "a.nii", channel=1)
    np.testing.assert_array_equal(one.voxels[..., 0], array["G"])
    assert one.voxels.shape == (4, 6, 1)


def test_contrasts_on_the_fourth_axis(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(np.stack(PARTS, axis=-1), AFFINE), path)
    series = read_volume(path)
    assert series.voxels.shape == (*SHAPE, 3)
    with pytest.raises(InputError, match="holds 3 volumes, over time") as caught:
        cut_slices(series, None, {}, policy=SlicePolicy("all"))
    assert caught.value.where == str(path) and "0 to 2" in str(caught.value.fix)
    np.testing.assert_array_equal(read_volume(path, channel=2).voxels, PARTS[2])
    # A scaled series: each channel keeps what a step is worth.
    image = nib.Nifti1Image(np.stack(PARTS, axis=-1), AFFINE)
    image.header.set_slope_inter(0.5, 1)
    nib.save(image, path)
    one = read_volume(path, channel=1)
    np.testing.assert_array_equal(one.voxels, PARTS[1] * 0.5 + 1)
    assert one.step == 0.5


@pytest.mark.parametrize("shape", [SHAPE, (*SHAPE, 1), (*SHAPE, 1, 1)])
def test_one_volume_is_channel_0_only(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "a.nii"
    nib.save(nib.Nifti1Image(PARTS[0].reshape(shape), AFFINE), path)
    np.testing.assert_array_equal(read_volume(path, channel=0).voxels, PARTS[0])
    with pytest.raises(InputError, match="no channel 1: it holds 1"):
        read_volume(path, channel=1)


def test_several_axes_of_channels_are_no_choice_of_one(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    nib.save(nib.Nifti1Image(np.zeros((*SHAPE, 2, 3), np.float32), AFFINE), path)
    with pytest.raises(UnsupportedFormat, match="vectors") as caught:
        read_volume(path, channel=0)
    assert caught.value.fix == "split it into volumes"


def test_channels_count_against_the_limits(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "a.mha", "a.nrrd"):
        with pytest.raises(InputError, match="180 voxels, the limit is 100"):
            read_volume(vector(tmp_path / name), channel=0, limits=Limits(voxels=100))


# --- grids ---------------------------------------------------------------------------------------


def shifted(by: float) -> Volume:
    affine = AFFINE.copy()
    affine[0, 3] += by
    return Volume(PARTS[0], affine, (0.8, 0.8, 3.0), "nifti1")


def test_a_twentieth_of_a_voxel_is_one_grid_with_a_note() -> None:
    image = shifted(0)
    assert check_same_grid(image, shifted(0.0005), where="m") == ()
    (note,) = check_same_grid(image, shifted(0.039), where="m")
    assert note == "grids of image and mask taken as one: corner voxels are up to 0.039 mm apart"
    with pytest.raises(Misaligned, match=r"0.041 mm apart, 0.04 mm may be"):
        check_same_grid(image, shifted(0.041), where="m")


def test_the_qform_of_a_mask_and_the_sform_of_its_image(tmp_path: Path) -> None:
    """Quaternions in float32, of an oblique grid, are not the matrix to the last digit."""
    turn = sitk.VersorTransform((0.3, -0.2, 1.0), 0.4).GetMatrix()
    affine = np.eye(4)
    affine[:3, :3] = np.array(turn).reshape(3, 3) * [0.7, 0.7, 1.5]
    affine[:3, 3] = (-120, 80, 33)
    for name, form in (("image", "sform"), ("mask", "qform")):
        image = nib.Nifti1Image(np.zeros((64, 64, 40), np.uint8), None)
        getattr(image, f"set_{form}")(affine, 1)
        other = "qform" if form == "sform" else "sform"
        getattr(image, f"set_{other}")(None, 0)
        nib.save(image, tmp_path / f"{name}.nii.gz")
    one, two = (read_volume(tmp_path / f"{name}.nii.gz") for name in ("image", "mask"))
    assert not np.array_equal(one.affine, two.affine)
    check_same_grid(one, two, where="m")


@pytest.mark.parametrize("edge", [7e-4, 3e-3])
def test_no_unit_and_voxels_too_small_for_millimetres(tmp_path: Path, edge: float) -> None:
    path = tmp_path / "a.nii"
    image = nib.Nifti1Image(PARTS[0], np.diag([edge, edge, edge, 1]))
    for unit in ("unknown", "meter"):
        image.header.set_xyzt_units(unit)
        nib.save(image, path)
        if unit == "meter":
            np.testing.assert_allclose(read_volume(path).spacing, [edge * 1000] * 3, rtol=1e-6)
            continue
        with pytest.raises(InputError, match="no stated unit") as caught:
            read_volume(path)
        assert "xyzt_units" in str(caught.value.fix)
