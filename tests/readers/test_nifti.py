"""NIfTI: voxels and places against nibabel (writer and reader) and SimpleITK; damage refused."""

from __future__ import annotations

import gzip
import shutil
import struct
from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.errors import (
    InputError,
    MissingFile,
    OutsideRoot,
    TooLarge,
    UnreadableFile,
    UnsupportedFormat,
)
from qoqdata.readers.limits import Limits
from qoqdata.readers.volume import axis_codes, nifti, same_grid, world_from_voxel

DATA = Path(nib.__file__).parent / "tests" / "data"
TILTED = np.array([[0.0, -0.6, 2.0, 11.0], [0.8, 0.1, 0.3, -20.0], [0.1, 0.7, -0.4, 5.0]])
AFFINE = np.vstack([TILTED, [0, 0, 0, 1]])


def ramp(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Values that differ from voxel to voxel and use negative numbers where the type has them."""
    lowest = 0 if np.dtype(dtype).kind == "u" else -63
    return (np.arange(np.prod(shape)) % 127 + lowest).astype(dtype).reshape(shape)


def write(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE, **fields: object) -> Path:
    """Write with nibabel, then set header fields byte by byte as asked."""
    kind = nib.Nifti2Image if fields.pop("version", 1) == 2 else nib.Nifti1Image
    endian = fields.pop("endian", "<")
    header = kind.header_class(endianness=endian)
    header.set_data_dtype(np.dtype(array.dtype).newbyteorder(str(endian)))
    nib.save(kind(array, affine, header), path)
    if fields:
        patch(path, **fields)
    return path


def patch(path: Path, **fields: object) -> None:
    """Overwrite fields of a NIfTI-1 header on disk."""
    raw = path.read_bytes()
    zipped = raw[:2] == b"\x1f\x8b"
    data = bytearray(gzip.decompress(raw) if zipped else raw)
    endian = "<" if data[:4] == b"\x5c\x01\0\0" else ">"
    header = nib.Nifti1Header(bytes(data[:348]), endianness=endian, check=False)
    for name, value in fields.items():
        header[name] = value
    data[:348] = header.binaryblock
    path.write_bytes(gzip.compress(bytes(data)) if zipped else bytes(data))


def realdata_files(realdata: Path) -> list[Path]:
    return sorted((realdata / "nifti").rglob("*.nii*"))


def expected(path: Path, dtype: np.dtype) -> np.ndarray:
    """nibabel's voxels in `dtype`, single axes beyond the third dropped."""
    image = nib.load(path)
    data = image.get_fdata(dtype=dtype) if dtype.kind == "f" else np.asarray(image.dataobj)
    return data.reshape([n for axis, n in enumerate(data.shape) if axis < 3 or n > 1])


def test_real_files_agree_with_nibabel_voxel_for_voxel(realdata: Path) -> None:
    files = realdata_files(realdata)
    assert len(files) >= 60
    for path in files:
        volume = nifti.read(path)
        np.testing.assert_array_equal(volume.voxels, expected(path, volume.voxels.dtype))
        np.testing.assert_array_equal(volume.affine, nib.load(path).affine)


def test_real_images_and_labels_share_a_grid(realdata: Path) -> None:
    root = realdata / "nifti" / "msd_hippocampus" / "TrainingSet"
    for path in sorted((root / "images").glob("*.nii.gz")):
        assert same_grid(nifti.read(path), nifti.read(root / "labels" / path.name)), path.name


def test_real_kits_slices_lie_on_axis_0(realdata: Path) -> None:
    path = realdata / "nifti/kits23/dataset/case_00534/segmentation.nii.gz"
    volume = nifti.read(path)
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
    volume = nifti.read(DATA / name)
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
    volume = nifti.read(path)
    assert volume.voxels.dtype == np.dtype(dtype)
    assert volume.source_format == f"nifti{version}"
    np.testing.assert_array_equal(volume.voxels, array)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)
    assert volume.repairs == ()


@pytest.mark.parametrize("shape", [(7, 6), (7, 6, 1), (4, 3, 2, 5), (4, 3, 2, 1), (4, 3, 1, 5)])
def test_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = ramp(shape, "int16")
    volume = nifti.read(write(tmp_path / "a.nii.gz", array))
    wanted = {(7, 6): (7, 6, 1), (4, 3, 2, 1): (4, 3, 2)}.get(shape, shape)
    np.testing.assert_array_equal(volume.voxels, array.reshape(wanted))
    assert volume.voxels.shape == wanted
    assert bool(volume.repairs) == (shape == (4, 3, 2, 1))


@pytest.mark.parametrize("suffix", [".img", ".img.gz", ".hdr", ".hdr.gz"])
def test_pairs_by_either_name(tmp_path: Path, suffix: str) -> None:
    array = ramp((3, 4, 5), "int16")
    end = ".gz" if suffix.endswith(".gz") else ""
    nib.save(nib.Nifti1Pair(array, AFFINE), tmp_path / f"a.img{end}")
    volume = nifti.read(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(volume.voxels, array)
    assert volume.source_format == "nifti1 pair"
    (tmp_path / f"a.img{end}").unlink()
    with pytest.raises(MissingFile):
        nifti.read(tmp_path / f"a.hdr{end}")


def test_pair_image_that_links_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    nib.save(nib.Nifti1Pair(ramp((3, 4, 5), "int16"), AFFINE), inside / "a.img")
    shutil.move(inside / "a.img", tmp_path / "a.img")
    (inside / "a.img").symlink_to(tmp_path / "a.img")
    with pytest.raises(OutsideRoot):
        nifti.read(inside / "a.hdr")


def test_scaling_is_float32_and_agrees_with_nibabel(tmp_path: Path) -> None:
    array = ramp((3, 4, 5), "int16")
    path = write(tmp_path / "a.nii", array, scl_slope=0.3, scl_inter=-7.25)
    voxels = nifti.read(path).voxels
    assert voxels.dtype == np.float32
    np.testing.assert_array_equal(voxels, nib.load(path).get_fdata().astype(np.float32))
    by_hand = np.float32(float(np.float32(0.3)) * int(array[2, 1, 3]) - 7.25)
    assert voxels[2, 1, 3] == by_hand


@pytest.mark.parametrize(("slope", "inter"), [(0, 5), (np.nan, 5), (1, 0)])
def test_absent_scaling_keeps_the_type(tmp_path: Path, slope: float, inter: float) -> None:
    array = ramp((3, 4, 5), "int16")
    path = write(tmp_path / "a.nii", array, scl_slope=slope, scl_inter=inter)
    volume = nifti.read(path)
    assert volume.voxels.dtype == np.int16
    np.testing.assert_array_equal(volume.voxels, array)


@pytest.mark.parametrize(("slope", "inter"), [(np.inf, 0), (1, np.nan), (1, np.inf), (3e38, 0)])
def test_impossible_scaling_is_refused(tmp_path: Path, slope: float, inter: float) -> None:
    path = write(tmp_path / "a.nii", ramp((3, 4, 5), "int16"), scl_slope=slope, scl_inter=inter)
    with pytest.raises(UnreadableFile):
        nifti.read(path)


def test_sform_goes_before_qform_and_disagreement_is_recorded(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii", ramp((3, 4, 5), "int16"), np.diag([2.0, 2, 2, 1]))
    patch(path, qform_code=1, qoffset_x=30)
    volume = nifti.read(path)
    np.testing.assert_array_equal(volume.affine, np.diag([2.0, 2, 2, 1]))
    assert volume.repairs == ("sform and qform are up to 30 mm apart: sform taken",)
    patch(path, sform_code=0)
    volume = nifti.read(path)
    assert volume.affine[0, 3] == 30
    assert volume.repairs == ()


def test_unusable_sform_gives_way_to_qform(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii", ramp((3, 4, 5), "int16"), np.diag([2.0, 2, 2, 1]))
    patch(path, qform_code=1, srow_z=[0, 0, 0, 0])
    volume = nifti.read(path)
    np.testing.assert_allclose(volume.affine, np.diag([2.0, 2, 2, 1]), atol=1e-6)
    assert volume.repairs[0].startswith("sform (code 2) set aside")
    patch(path, qform_code=0)
    with pytest.raises(UnreadableFile, match="sform"):
        nifti.read(path)


def test_neither_form_says_that_the_side_is_not_known(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii", ramp((3, 4, 5), "int16"), np.diag([2.0, 3, 4, 1]))
    patch(path, sform_code=0, qform_code=0)
    volume = nifti.read(path)
    np.testing.assert_allclose(volume.affine, nib.load(path).affine)
    assert any("left and right are not known" in repair for repair in volume.repairs)


@pytest.mark.parametrize(("code", "scale"), [(1, 1000), (3, 0.001), (2, 1), (0, 1)])
def test_lengths_become_millimetres(tmp_path: Path, code: int, scale: float) -> None:
    sizes = np.array([2.0, 3, 4]) / scale
    path = write(tmp_path / "a.nii", ramp((3, 4, 5), "int16"), np.diag([*sizes, 1]))
    patch(path, xyzt_units=code)
    volume = nifti.read(path)
    assert volume.spacing == pytest.approx((2, 3, 4), rel=1e-5)
    assert bool(volume.repairs) == (scale != 1)


def test_world_coordinates_agree_with_itk(tmp_path: Path) -> None:
    rotation = np.linalg.qr(np.random.default_rng(7).normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = rotation * [0.7, 0.8, 2.5], [-100, 40, 300]
    path = write(tmp_path / "a.nii", ramp((30, 40, 20), "int16"), affine)
    image = sitk.ReadImage(str(path))
    ijk = np.array([[0, 0, 0], [29, 0, 0], [0, 39, 19], [29, 39, 19]])
    lps = np.array([image.TransformIndexToPhysicalPoint(index.tolist()) for index in ijk])
    ours = world_from_voxel(nifti.read(path).affine, ijk)
    np.testing.assert_allclose(ours, lps * [-1, -1, 1], atol=1e-3)


def test_files_written_by_itk(tmp_path: Path) -> None:
    array = ramp((5, 4, 3), "float32")
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.5, 2, 3))
    image.SetOrigin((10, -20, 30))
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    volume = nifti.read(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(volume.voxels, array.T)
    np.testing.assert_allclose(world_from_voxel(volume.affine, np.zeros((1, 3))), [[-10, 20, 30]])
    assert axis_codes(volume.affine) == ("L", "P", "S")
    flat = sitk.GetImageFromArray(array[0])
    sitk.WriteImage(flat, str(tmp_path / "flat.nii"))
    np.testing.assert_array_equal(nifti.read(tmp_path / "flat.nii").voxels[..., 0], array[0].T)


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
        nifti.read(tmp_path / "a.nii")


def test_analyze_is_refused(tmp_path: Path) -> None:
    nib.save(nib.AnalyzeImage(ramp((3, 4, 5), "int16"), np.eye(4)), tmp_path / "a.img")
    with pytest.raises(UnsupportedFormat, match="Analyze"):
        nifti.read(tmp_path / "a.img")


def test_hundred_gigavoxels_are_refused_before_memory_goes(tmp_path: Path) -> None:
    for suffix in (".nii", ".nii.gz"):
        path = write(tmp_path / f"a{suffix}", ramp((3, 4, 5), "int16"))
        patch(path, dim=[3, 5000, 5000, 4000, 1, 1, 1, 1])
        with pytest.raises(TooLarge, match="voxels"):
            nifti.read(path)
        patch(path, dim=[3, 1000, 1000, 1000, 1, 1, 1, 1])
        with pytest.raises(UnreadableFile, match="cannot hold"):
            nifti.read(path)


def test_limits_are_the_callers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz", ramp((3, 4, 5), "int16"))
    for limits in (Limits(voxels=59), Limits(inflated_bytes=119), Limits(file_bytes=50)):
        with pytest.raises(TooLarge):
            nifti.read(path, limits=limits)
    nifti.read(path, limits=Limits(voxels=60, inflated_bytes=120 + 352))


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
        nifti.read(path)


def test_other_magic_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii", ramp((3, 4, 5), "int16"), magic=b"nope")
    with pytest.raises(UnsupportedFormat, match="Analyze"):
        nifti.read(path)
    patch(path, sizeof_hdr=347)
    with pytest.raises(UnreadableFile, match="no NIfTI header"):
        nifti.read(path)


def test_zero_and_negative_pixdim_are_settled_as_nibabel_does(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii", ramp((3, 4, 5), "int16"), np.eye(4))
    patch(path, sform_code=0, qform_code=1, pixdim=[0, -2, 0, 3, 1, 1, 1, 1])
    volume = nifti.read(path)
    np.testing.assert_allclose(volume.affine[:3, :3], np.diag([2, 1, 3]), atol=1e-6)
    np.testing.assert_allclose(volume.affine, nib.load(path).affine, atol=1e-6)
    assert volume.repairs == ("negative pixdim: sign dropped", "pixdim of 0: 1 taken")


def test_truncation_is_refused_at_every_length(tmp_path: Path) -> None:
    for suffix in (".nii", ".nii.gz"):
        whole = write(tmp_path / f"a{suffix}", ramp((3, 4, 5), "int16")).read_bytes()
        path = tmp_path / f"cut{suffix}"
        for length in range(0, len(whole), 7):
            path.write_bytes(whole[:length])
            with pytest.raises(UnreadableFile):
                nifti.read(path)


def test_padding_is_recorded_and_a_wrong_size_is_not_padding(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii", ramp((3, 4, 5), "int16"))
    path.write_bytes(path.read_bytes() + b"\0" * 10)
    assert nifti.read(path).repairs == ("10 bytes after the voxels of a.nii were ignored",)
    path.write_bytes(path.read_bytes() + b"\0" * 14)
    with pytest.raises(UnreadableFile, match="more data"):
        nifti.read(path)


def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz", ramp((3, 4, 5), "int16"))
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(UnreadableFile, match="gzip"):
        nifti.read(path)


@settings(max_examples=150, deadline=None)
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
        volume = nifti.read(path, limits=Limits(voxels=100_000))
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
        nifti.read(tmp_path / "a.hdr")
