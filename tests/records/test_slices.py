"""Slices of a small volume whose voxel values tell where they come from."""

from __future__ import annotations

import numpy as np
import pytest

from qoqdata.errors import BadLabel, InputError, Misaligned
from qoqdata.readers.dicom import Window
from qoqdata.readers.volume import Plane, SlicePolicy, Volume
from qoqdata.records.slices import CutSlices, cut_slices

#: 4 x 3 x 5 voxels of 2 x 2 x 4 mm, axes along R, A, S.
AFFINE = np.diag([2.0, 2.0, 4.0, 1.0])
SHAPE = (4, 3, 5)
ALL = SlicePolicy("all", plane="axial")


def volume(
    voxels: np.ndarray, affine: np.ndarray = AFFINE, repairs: tuple[str, ...] = ()
) -> Volume:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return Volume(voxels, affine, tuple(map(float, spacing)), "nifti1", repairs)  # type: ignore[arg-type]


def ramp() -> np.ndarray:
    """Voxel (i, j, k) holds 10 i + j + 50 k."""
    i, j, k = np.indices(SHAPE)
    return (10 * i + j + 50 * k).astype(np.int16)


def axial(plane: np.ndarray) -> np.ndarray:
    """Anterior up, the patient's right on the left: rows are j downwards, columns i downwards."""
    return plane.T[::-1, ::-1]


def test_images_are_windowed_and_upright() -> None:
    # Window 0 to 255: grey is the value itself.
    stack = cut_slices(
        volume(ramp()), None, {}, policy=ALL, window=Window(127.5, 255.0, "LINEAR_EXACT")
    )
    assert stack.masks is None and stack.regions is None and stack.images is not None
    assert [image.index for image in stack.images] == [0, 1, 2, 3, 4]
    for image in stack.images:
        assert image.index is not None
        expected = np.clip(axial(ramp()[:, :, image.index]), 0, 255)
        assert np.array_equal(image.pixels, expected)
        assert (image.width, image.height) == (4, 3)
        assert image.spacing == (2.0, 2.0, 4.0)
        assert image.view == "axial"
    assert stack.notes == ("slices: all slices, axial, of 5", "grey: C127.5 W255")


def test_a_volume_stored_upside_down_gives_the_same_images() -> None:
    turned = np.diag([2.0, 2.0, -4.0, 1.0])
    window = Window(127.5, 255.0, "LINEAR_EXACT")
    one = cut_slices(volume(ramp()), None, {}, policy=ALL, window=window)
    two = cut_slices(volume(ramp()[:, :, ::-1], turned), None, {}, policy=ALL, window=window)
    assert one.images is not None and two.images is not None
    assert [p.pixels.tolist() for p in one.images] == [p.pixels.tolist() for p in two.images]
    assert [p.index for p in two.images] == [4, 3, 2, 1, 0]


def test_the_window_that_a_record_names_is_the_one_applied() -> None:
    """DICOM's LINEAR of width 2 is a step, its LINEAR_EXACT is not; PS3.3 C.11.2.1."""
    voxels = np.zeros(SHAPE, np.float32)
    voxels[0, 0, :] = 0.5
    stack = cut_slices(
        volume(voxels), None, {}, policy=ALL, window=Window(1.0, 2.0, "LINEAR", "narrow")
    )
    assert stack.images is not None
    # (0.5 - 0) * 255 / 2 = 63.75
    assert stack.images[0].pixels.max() == 64
    assert stack.images[0].window == Window(1.0, 2.0, "LINEAR_EXACT", "narrow")


def test_without_a_window_one_range_serves_the_whole_volume() -> None:
    voxels = np.zeros((10, 10, 20), np.float32)
    voxels[:, :, 10:] = 100
    stack = cut_slices(volume(voxels), None, {}, policy=ALL)
    assert stack.images is not None
    # Half the voxels are 0, half are 100: the percentiles are 0 and 100.
    assert [int(p.pixels.mean()) for p in stack.images] == [0] * 10 + [255] * 10
    assert stack.notes[-1] == "grey: percentiles 0.5 to 99.5, 0 to 100"
    assert stack.images[0].window is None


def masked() -> tuple[np.ndarray, CutSlices]:
    """A mask of 2 at (1..2, 0, 3) and of 7 at (3, 2, 3), with its slices."""
    codes = np.zeros(SHAPE, np.float32)
    codes[1:3, 0, 3] = 2
    codes[3, 2, 3] = 7
    stack = cut_slices(volume(ramp()), volume(codes), {2: "kidney", 7: "cyst"}, policy=ALL)
    return codes, stack


def test_masks_follow_their_images() -> None:
    codes, stack = masked()
    assert stack.masks is not None and stack.images is not None
    assert len(stack.masks) == len(stack.images) == 5
    for index, mask in enumerate(stack.masks):
        assert mask.image == index
        assert np.array_equal(mask.codes, axial(codes[:, :, index]))


def test_boxes_in_pixels_of_their_image() -> None:
    _, stack = masked()
    assert stack.regions is not None
    # Columns count from i = 3 down, rows from j = 2 down: i 1..2 are columns 1..2, j 0 is row 2.
    found = {
        region.label: (region.image, region.x_min, region.y_min, region.x_max, region.y_max)
        for region in stack.regions
    }
    assert found == {"kidney": (3, 1, 2, 3, 3), "cyst": (3, 0, 0, 1, 1)}
    assert {region.label: region.area for region in stack.regions} == {"kidney": 2, "cyst": 1}


@pytest.mark.parametrize(
    ("plane", "shape", "spacing"),
    [
        # 3 rows of 2 mm beside 4 columns of 1 mm; 5 x 4 mm over 4 x 1 mm; 5 x 4 mm over 3 x 2 mm.
        ("axial", (6, 4), (1.0, 1.0, 4.0)),
        ("coronal", (20, 4), (1.0, 1.0, 2.0)),
        ("sagittal", (10, 3), (2.0, 2.0, 1.0)),
    ],
)
def test_pixels_are_square_in_every_plane_and_masks_and_boxes_follow(
    plane: Plane, shape: tuple[int, int], spacing: tuple[float, float, float]
) -> None:
    anisotropic = np.diag([1.0, 2.0, 4.0, 1.0])
    codes = np.zeros(SHAPE, np.uint8)
    codes[1, 1, 2] = 1
    stack = cut_slices(
        volume(codes * 200, anisotropic),
        volume(codes, anisotropic),
        {1: "x"},
        policy=SlicePolicy("mask", 1, plane=plane),
        window=Window(100, 200, "LINEAR_EXACT"),
    )
    assert stack.images is not None and stack.masks is not None and stack.regions is not None
    (image,), (mask,), (box,) = stack.images, stack.masks, stack.regions
    assert image.pixels.shape == mask.codes.shape == shape
    assert image.spacing == spacing
    assert (image.original_height, image.original_width) != (None, None)
    # The voxel is as large in mm in the image as it is in the volume, and where it shows.
    size = {"axial": (2, 1), "coronal": (4, 1), "sagittal": (4, 2)}[plane]
    assert ((box.y_max - box.y_min) * spacing[0], (box.x_max - box.x_min) * spacing[1]) == size
    rows, columns = np.nonzero(mask.codes)
    assert (image.pixels[rows, columns] > 100).all()
    assert (box.y_min, box.y_max) == (rows.min(), rows.max() + 1)


@pytest.mark.parametrize("shape", [(4, 1, 5), (4, 3, 1), (1, 3, 5)])
def test_the_only_plane_is_cut_and_a_row_of_voxels_is_no_picture(
    shape: tuple[int, int, int],
) -> None:
    single = volume(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), np.eye(4))
    stack = cut_slices(single, None, {}, policy=SlicePolicy("all"))
    assert stack.images is not None and len(stack.images) == 1
    assert min(stack.images[0].pixels.shape) > 1
    right = stack.images[0].view
    for plane in {"axial", "coronal", "sagittal"} - {right}:
        with pytest.raises(InputError, match=rf"no picture.*set the plane to {right}"):
            cut_slices(single, None, {}, policy=SlicePolicy("all", plane=plane))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="line of voxels"):
        cut_slices(volume(np.zeros((9, 1, 1)), np.eye(4)), None, {}, policy=SlicePolicy("all"))


def test_windows_cut_off_before_pixels_are_made_square() -> None:
    """Bone beside air: the pixel between them is half of what is shown, not half of the values."""
    voxels = np.full((2, 2, 2), -1000, np.int16)
    voxels[:, 0] = 3000
    stack = cut_slices(
        volume(voxels, np.diag([1.0, 3.0, 1.0, 1.0])),
        None,
        {},
        policy=ALL,
        window=Window(0, 200),
    )
    assert stack.images is not None
    # Anterior is air. Centres of pixels lie at -1/3, 0, 1/3, 2/3, 1, 4/3 of the way.
    assert np.abs(stack.images[0].pixels[:, 0] - np.array([0, 0, 85, 170, 255, 255])).max() <= 1


def test_regions_count_stored_images_not_raw_slices() -> None:
    codes = np.zeros(SHAPE, np.uint8)
    codes[0, 0, 4] = 1
    policy = SlicePolicy("index", indices=(1, 4), plane="axial")
    stack = cut_slices(volume(ramp()), volume(codes), {1: "x"}, policy=policy)
    assert stack.regions is not None and stack.images is not None
    assert [region.image for region in stack.regions] == [1]
    assert [image.index for image in stack.images] == [1, 4]


def test_a_mask_alone() -> None:
    codes = np.zeros(SHAPE, np.uint8)
    codes[0, 0, 0] = 1
    stack = cut_slices(None, volume(codes), {1: "x"}, policy=ALL)
    assert stack.images is None
    assert stack.masks is not None and len(stack.masks) == 5
    assert stack.notes == ("slices: all slices, axial, of 5",)


def test_codes_up_to_16_bits_survive() -> None:
    codes = np.zeros(SHAPE, np.int32)
    codes[0, 0, 0] = 65535
    stack = cut_slices(None, volume(codes), {65535: "x"}, policy=ALL)
    assert stack.masks is not None
    assert stack.masks[0].codes.max() == 65535


def test_repairs_of_the_volume_are_noted() -> None:
    assert (
        "spacing mended"
        in cut_slices(volume(ramp(), repairs=("spacing mended",)), None, {}, policy=ALL).notes
    )


@pytest.mark.parametrize("code", [3, 1.5, -1, np.nan])
def test_a_stray_code(code: float) -> None:
    codes = np.zeros(SHAPE, np.float32)
    codes[0, 0, 0] = code
    with pytest.raises(BadLabel, match="1 kidney, 2 tumor"):
        cut_slices(volume(ramp()), volume(codes), {2: "tumor", 1: "kidney"}, policy=ALL)


@pytest.mark.parametrize("policy", [ALL, SlicePolicy("uniform", 2), SlicePolicy("mask", 2)])
def test_grids_that_differ(policy: SlicePolicy) -> None:
    codes = np.ones(SHAPE, np.uint8)
    shifted = AFFINE.copy()
    shifted[0, 3] = 0.5
    for mask in (volume(codes, shifted), volume(codes[:, :, :4])):
        with pytest.raises(Misaligned):
            cut_slices(volume(ramp()), mask, {1: "x"}, policy=policy)


def test_series_over_time_and_nothing() -> None:
    series = volume(np.zeros((*SHAPE, 2), np.int16))
    for image, mask in ((series, None), (None, series)):
        with pytest.raises(InputError, match="over time"):
            cut_slices(image, mask, {}, policy=ALL)
    with pytest.raises(ValueError, match="neither"):
        cut_slices(None, None, {}, policy=ALL)
