"""Slices of volumes against SimpleITK: orientation, window, square pixels, and what is stored."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from qoqdata.contract.storage import Storage
from qoqdata.contract.vocabulary import StoragePolicy
from qoqdata.readers import dicom
from qoqdata.readers.dicom import Window
from qoqdata.readers.volume import Plane, SlicePolicy, read_volume
from qoqdata.records.content import Image, Mask
from qoqdata.records.dicoms import choose_ordered, ordered_images, series_images
from qoqdata.records.slices import cut_slices
from qoqdata.records.storage import store_image

sitk = pytest.importorskip("SimpleITK")

SPACING = (0.7, 1.1, 3.3)
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")


def oblique(kind: str, seed: int) -> sitk.Image:
    """An image of 14 x 12 x 9 voxels whose axes lie along none of the world's, smooth in space."""
    i, j, k = np.indices((9, 12, 14))
    values = 300 * np.sin(i / 2) + 400 * np.cos(j / 3 + seed) + 25 * k
    image = sitk.GetImageFromArray(values.astype(kind))
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    image.SetDirection(rotation.ravel())
    image.SetSpacing(SPACING)
    image.SetOrigin((-120.5, 33.25, 71))
    return image


def by_itk(image: sitk.Image, plane: Plane, low: float, high: float) -> list[np.ndarray]:
    """Every slice of a plane as float grey 0..255: oriented, windowed and resampled by ITK."""
    upright = sitk.DICOMOrient(image, "LPS")
    grey = sitk.IntensityWindowing(sitk.Cast(upright, sitk.sitkFloat32), low, high, 0.0, 255.0)
    volume = sitk.GetArrayFromImage(grey)
    x, y, z = upright.GetSpacing()
    planes = {
        "axial": (volume, (y, x)),
        "coronal": (volume.transpose(1, 0, 2)[::-1, ::-1], (z, x)),
        "sagittal": (volume.transpose(2, 0, 1)[::-1, ::-1], (z, y)),
    }
    slices, spacing = planes[plane]
    return [_square(np.ascontiguousarray(one), *spacing) for one in slices]


def _square(plane: np.ndarray, down: float, right: float) -> np.ndarray:
    rows, columns = plane.shape
    fine = min(down, right)
    size = (round(rows * down / fine), round(columns * right / fine))
    image = sitk.GetImageFromArray(plane)
    resampler = sitk.ResampleImageFilter()
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.SetUseNearestNeighborExtrapolator(True)
    resampler.SetSize((size[1], size[0]))
    step = (columns / size[1], rows / size[0])
    resampler.SetOutputSpacing(step)
    resampler.SetOutputOrigin([one / 2 - 0.5 for one in step])
    return np.asarray(sitk.GetArrayFromImage(resampler.Execute(image)))


def stored(image: Image, policy: StoragePolicy) -> np.ndarray:
    """The pixels that a record holds under a storage policy."""
    return np.array(Pillow.open(io.BytesIO(store_image(image, Storage(policy=policy)).data)))


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("name", ["v.nii.gz", "v.nrrd", "v.mha", "v.mhd"])
def test_oblique_anisotropic_volumes_agree_with_itk(
    name: str, plane: Plane, tmp_path: Path
) -> None:
    for seed, kind in enumerate(("int16", "float32", "uint16")):
        image = oblique(kind, seed) if kind != "uint16" else oblique("float32", seed) + 800
        image = sitk.Cast(image, sitk.sitkUInt16) if kind == "uint16" else image
        sitk.WriteImage(image, str(tmp_path / name))
        window = Window(300, 1100)
        stack = cut_slices(
            read_volume(tmp_path / name), None, {}, policy=SlicePolicy("all", plane=plane),
            window=window,
        )  # fmt: skip
        # Our order of coronal and sagittal slices: the way RAS coordinates rise.
        wanted = by_itk(image, plane, -250, 850)
        assert stack.images is not None and len(stack.images) == len(wanted)
        for one, other in zip(stack.images, wanted, strict=True):
            native, training = stored(one, "native"), stored(one, "training")
            assert native.shape == training.shape == other.shape
            assert np.abs(native - other.round()).max() <= 1
            assert np.abs(training.astype(float) - native).mean() <= 2
            assert one.spacing is not None
            assert abs(one.spacing[0] - one.spacing[1]) * max(native.shape) <= max(one.spacing[:2])


@pytest.mark.parametrize("plane", PLANES)
def test_masks_lie_on_the_grid_of_their_images(plane: Plane, tmp_path: Path) -> None:
    """A mask that is the image's own bright part, after both were made square."""
    image = oblique("int16", 4)
    sitk.WriteImage(image, str(tmp_path / "v.nrrd"))
    volume = read_volume(tmp_path / "v.nrrd")
    mask = replace(volume, voxels=(volume.voxels > 300).astype(np.uint8))
    stack = cut_slices(
        volume, mask, {1: "bright"}, policy=SlicePolicy("all", plane=plane), window=Window(300, 400)
    )
    assert stack.images is not None and stack.masks is not None and stack.regions is not None
    for one, codes in zip(stack.images, stack.masks, strict=True):
        assert one.pixels.shape == codes.codes.shape
        # Where the centre of a pixel is that of a voxel both say the same; between, nearly so.
        agree = (one.pixels > 127) == (codes.codes == 1)
        assert agree.mean() > 0.85
    for region in stack.regions:
        rows, columns = np.nonzero(_mask_of(stack.masks, region.image))
        assert (region.x_min, region.x_max) == (columns.min(), columns.max() + 1)
        assert (region.y_min, region.y_max) == (rows.min(), rows.max() + 1)


def _mask_of(masks: tuple[Mask, ...], image: int) -> np.ndarray:
    return next(one.codes for one in masks if one.image == image)


@pytest.mark.parametrize(
    ("name", "plane"),
    [("series_ct_torchio", "axial"), ("series_mr_hippocampus_crop", None)],
)
def test_real_series_agree_with_itk(realdata: Path, name: str, plane: Plane | None) -> None:
    folder = realdata / "dicom" / name
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    images, _ = series_images(
        dicom.read_series(folder), SlicePolicy("all"), [Window(300, 600, "LINEAR_EXACT")]
    )
    shown = plane or images[0].view
    wanted = by_itk(image, shown, 0, 600)  # type: ignore[arg-type]
    for one, other in zip(images, wanted, strict=True):
        assert np.abs(stored(one, "native") - other.round()).max() <= 1


def test_real_volumes_with_a_range_keep_their_shades_in_training_storage(realdata: Path) -> None:
    for path in ("metaimage/HeadMRVolume.mhd", "nrrd/breast1_image.nrrd"):
        stack = cut_slices(read_volume(realdata / path), None, {}, policy=SlicePolicy(count=3))
        assert stack.images is not None
        for one in stack.images:
            training = stored(one, "training").astype(float)
            assert training.shape == one.pixels.shape
            assert np.abs(training - one.pixels).mean() <= 2


def test_slices_read_one_by_one_are_those_of_the_series(realdata: Path) -> None:
    """The order of headers alone gives the images of the volume, upright, at their places."""
    window = Window(300, 600, "LINEAR_EXACT")
    for name in ("series_ct_torchio", "series_mr_hippocampus_crop"):
        folder = realdata / "dicom" / name
        order = dicom.read_series_order(folder)
        whole, _ = series_images(dicom.read_series(folder), SlicePolicy(count=4), [window, None])
        indices = choose_ordered(SlicePolicy(count=4), order)
        images, _ = ordered_images(order, indices, [window, None])
        assert [one.index for one in images] == [one.index for one in whole]
        for one, other in zip(images, whole, strict=True):
            assert (one.view, one.spacing) == (other.view, other.spacing)
            assert one.window == other.window
            if one.window is not None:
                assert np.array_equal(one.pixels, other.pixels)
