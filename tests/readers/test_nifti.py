"""NIfTI voxels against nibabel: types, byte orders, shapes, pairs and scaling."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from qoqdata.errors import MissingFile, OutsideRoot, UnreadableFile
from qoqdata.readers.volume import axis_codes, grid_difference, nifti
from tests.readers.nifti_files import AFFINE, ramp, write

DATA = Path(nib.__file__).parent / "tests" / "data"


def expected(path: Path, dtype: np.dtype) -> np.ndarray:
    """nibabel's voxels in `dtype`, single axes beyond the third dropped."""
    image = nib.load(path)
    data = image.get_fdata(dtype=dtype) if dtype.kind == "f" else np.asarray(image.dataobj)
    return data.reshape([n for axis, n in enumerate(data.shape) if axis < 3 or n > 1])


def test_real_files_agree_with_nibabel_voxel_for_voxel(realdata: Path) -> None:
    files = sorted((realdata / "nifti").rglob("*.nii*"))
    assert len(files) >= 60
    for path in files:
        volume = nifti.read_nifti(path)
        np.testing.assert_array_equal(volume.voxels, expected(path, volume.voxels.dtype))
        np.testing.assert_array_equal(volume.affine, nib.load(path).affine)


def test_real_images_and_labels_share_a_grid(realdata: Path) -> None:
    root = realdata / "nifti" / "msd_hippocampus" / "TrainingSet"
    for path in sorted((root / "images").glob("*.nii.gz")):
        labels = nifti.read_nifti(root / "labels" / path.name)
        assert grid_difference(nifti.read_nifti(path), labels) is None, path.name


def test_real_kits_slices_lie_on_axis_0(realdata: Path) -> None:
    path = realdata / "nifti/kits23/dataset/case_00534/segmentation.nii.gz"
    volume = nifti.read_nifti(path)
    assert volume.voxels.shape == (36, 512, 512)
    assert axis_codes(volume.affine) == ("I", "P", "L")
    assert volume.spacing == pytest.approx((5.0, 0.7421875, 0.7421875))


@pytest.mark.parametrize(
    "name",
    [
        "anatomical.nii",
        "example4d.nii.gz",
        "example_nifti2.nii.gz",
        "functional.nii",
        "reoriented_anat_moved.nii",
        "resampled_anat_moved.nii",
        "standard.nii.gz",
    ],
)
def test_files_shipped_with_nibabel(name: str) -> None:
    if not (DATA / name).is_file():
        pytest.skip("this nibabel ships without its test data")
    volume = nifti.read_nifti(DATA / name)
    np.testing.assert_array_equal(volume.voxels, expected(DATA / name, volume.voxels.dtype))
    np.testing.assert_allclose(volume.affine, nib.load(DATA / name).affine, atol=1e-9)
    assert volume.voxels.dtype.isnative


@pytest.mark.parametrize(
    ("dtype", "endian", "version", "suffix"),
    [
        *product(
            ["uint8", "int8", "int16", "uint16", "int32", "uint32", "float32", "float64"],
            "<>",
            [1],
            [".nii"],
        ),
        *product(["int64", "uint64", "int16"], "<>", [2], [".nii.gz"]),
    ],
)
def test_every_type_and_byte_order(
    tmp_path: Path, dtype: str, endian: str, version: int, suffix: str
) -> None:
    array = ramp((3, 4, 5), dtype)
    path = write(tmp_path / f"a{suffix}", array, endian=endian, version=version)
    volume = nifti.read_nifti(path)
    assert volume.voxels.dtype == np.dtype(dtype)
    assert volume.source_format == f"nifti{version}"
    np.testing.assert_array_equal(volume.voxels, array)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)
    assert volume.repairs == ()


@pytest.mark.parametrize("shape", [(7, 6), (7, 6, 1), (4, 3, 2, 5), (4, 3, 2, 1), (4, 3, 1, 5)])
def test_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = ramp(shape, "int16")
    volume = nifti.read_nifti(write(tmp_path / "a.nii.gz", array))
    wanted = {(7, 6): (7, 6, 1), (4, 3, 2, 1): (4, 3, 2)}.get(shape, shape)
    np.testing.assert_array_equal(volume.voxels, array.reshape(wanted))
    assert volume.voxels.shape == wanted
    assert bool(volume.repairs) == (shape == (4, 3, 2, 1))


@pytest.mark.parametrize("suffix", [".img", ".img.gz", ".hdr", ".hdr.gz"])
def test_pairs_by_either_name(tmp_path: Path, suffix: str) -> None:
    array = ramp((3, 4, 5), "int16")
    end = ".gz" if suffix.endswith(".gz") else ""
    nib.save(nib.Nifti1Pair(array, AFFINE), tmp_path / f"a.img{end}")
    volume = nifti.read_nifti(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(volume.voxels, array)
    assert volume.source_format == "nifti1 pair"
    (tmp_path / f"a.img{end}").unlink()
    with pytest.raises(MissingFile):
        nifti.read_nifti(tmp_path / f"a.hdr{end}")


def test_pair_image_that_links_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    nib.save(nib.Nifti1Pair(ramp((3, 4, 5), "int16"), AFFINE), inside / "a.img")
    shutil.move(inside / "a.img", tmp_path / "a.img")
    (inside / "a.img").symlink_to(tmp_path / "a.img")
    with pytest.raises(OutsideRoot):
        nifti.read_nifti(inside / "a.hdr")


def test_scaling_is_float32_and_agrees_with_nibabel(tmp_path: Path) -> None:
    array = ramp((3, 4, 5), "int16")
    path = write(tmp_path / "a.nii", array, scl_slope=0.3, scl_inter=-7.25)
    voxels = nifti.read_nifti(path).voxels
    assert voxels.dtype == np.float32
    np.testing.assert_array_equal(voxels, nib.load(path).get_fdata().astype(np.float32))
    by_hand = np.float32(float(np.float32(0.3)) * int(array[2, 1, 3]) - 7.25)
    assert voxels[2, 1, 3] == by_hand


@pytest.mark.parametrize(("slope", "inter"), [(0, 5), (np.nan, 5), (1, 0)])
def test_absent_scaling_keeps_the_type(tmp_path: Path, slope: float, inter: float) -> None:
    array = ramp((3, 4, 5), "int16")
    path = write(tmp_path / "a.nii", array, scl_slope=slope, scl_inter=inter)
    volume = nifti.read_nifti(path)
    assert volume.voxels.dtype == np.int16
    np.testing.assert_array_equal(volume.voxels, array)


@pytest.mark.parametrize(("slope", "inter"), [(np.inf, 0), (1, np.nan), (1, np.inf), (3e38, 0)])
def test_impossible_scaling_is_refused(tmp_path: Path, slope: float, inter: float) -> None:
    path = write(tmp_path / "a.nii", ramp((3, 4, 5), "int16"), scl_slope=slope, scl_inter=inter)
    with pytest.raises(UnreadableFile):
        nifti.read_nifti(path)
