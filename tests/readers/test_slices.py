"""Slice axis, slice policies, and slice pictures: orientation, coordinates and resampling."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.errors import InputError, Misaligned, TooLarge, UsageError
from qoqdata.readers.limits import Limits
from qoqdata.readers.volume import (
    Plane,
    SlicePolicy,
    Volume,
    anatomical_axes,
    axis_of_plane,
    choose,
    choose_slices,
    describe,
    plane_of_axis,
    read,
    slice_frame,
    slice_image,
    stored_from_voxel,
    through_plane_axis,
    voxel_from_stored,
    world_from_voxel,
)

PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
# RAS axis that grows upwards and leftwards in the picture (radiological convention).
UP = {"axial": 1, "coronal": 2, "sagittal": 2}
LEFT = {"axial": 0, "coronal": 0, "sagittal": 1}
ORIENTATIONS = [
    (order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)
]


def grid(
    order: tuple[int, ...], signs: tuple[int, ...], spacing: tuple[float, ...] = (1, 1, 1)
) -> np.ndarray:
    """Affine whose voxel axis n runs along RAS axis order[n], up or down, at spacing[n] mm."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis in range(3):
        affine[order[axis], axis] = signs[axis] * spacing[axis]
    affine[:3, 3] = (-50, 20, 400)
    return affine


def make(shape: tuple[int, ...], affine: np.ndarray) -> Volume:
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    return Volume(np.zeros(shape), affine, tuple(edges), "nifti1")  # type: ignore[arg-type]


def world_images(affine: np.ndarray, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Three volumes that hold each voxel's own R, A and S coordinate."""
    ijk = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, 3)
    return [part.reshape(shape) for part in world_from_voxel(affine, ijk).T]


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
@pytest.mark.parametrize("plane", PLANES)
def test_every_orientation_is_shown_the_radiological_way(
    order: tuple[int, ...], signs: tuple[int, ...], plane: Plane
) -> None:
    affine, shape = grid(order, signs, (2, 3, 4)), (4, 5, 6)
    pictures = [slice_image(part, affine, plane, 1) for part in world_images(affine, shape)]
    up, left = pictures[UP[plane]], pictures[LEFT[plane]]
    assert (np.diff(up, axis=0) < 0).all()
    assert (np.diff(up, axis=1) == 0).all()
    assert (np.diff(left, axis=1) < 0).all()
    assert (np.diff(left, axis=0) == 0).all()
    through = pictures[3 - UP[plane] - LEFT[plane]]
    assert np.unique(through).size == 1
    assert plane_of_axis(affine, axis_of_plane(affine, plane)) == plane


@given(
    orientation=st.sampled_from(ORIENTATIONS),
    plane=st.sampled_from(PLANES),
    spacing=st.tuples(*[st.floats(0.3, 6)] * 3),
    at=st.tuples(*[st.integers(0, 3)] * 3),
    square=st.booleans(),
)
def test_a_voxel_lies_where_the_frame_says(
    orientation: tuple[tuple[int, ...], tuple[int, ...]],
    plane: Plane,
    spacing: tuple[float, ...],
    at: tuple[int, ...],
    square: bool,
) -> None:
    affine, shape = grid(*orientation, spacing), (4, 5, 6)
    mask = np.zeros(shape, np.uint8)
    mask[at] = 7
    index = at[axis_of_plane(affine, plane)]
    frame = slice_frame(shape, affine, plane, index, square=square)
    picture = slice_image(mask, affine, plane, index, square=square, labels=True)
    assert picture.shape == frame.shape
    assert picture.dtype == np.uint8
    x, y = stored_from_voxel(frame, np.array([at]))[0]
    assert picture[int(y), int(x)] == 7
    rows, columns = np.nonzero(picture)
    # The block of pixels is centred on the voxel's place, to within half a pixel.
    assert abs(rows.mean() + 0.5 - y) <= 0.5
    assert abs(columns.mean() + 0.5 - x) <= 0.5


@given(
    orientation=st.sampled_from(ORIENTATIONS),
    plane=st.sampled_from(PLANES),
    spacing=st.tuples(*[st.floats(0.3, 6)] * 3),
    index=st.integers(0, 3),
    square=st.booleans(),
    points=st.lists(st.tuples(st.floats(-5, 50), st.floats(-5, 50)), min_size=1, max_size=5),
)
def test_stored_and_voxel_coordinates_round_trip(
    orientation: tuple[tuple[int, ...], tuple[int, ...]],
    plane: Plane,
    spacing: tuple[float, ...],
    index: int,
    square: bool,
    points: list[tuple[float, float]],
) -> None:
    frame = slice_frame((4, 5, 6), grid(*orientation, spacing), plane, index, square=square)
    ijk = voxel_from_stored(frame, np.array(points))
    np.testing.assert_allclose(stored_from_voxel(frame, ijk), points, atol=1e-9)
    assert (ijk[:, frame.axis] == index).all()


def test_pixel_centres_by_hand() -> None:
    # RAS grid, 4 x 5 x 6: the axial picture has 5 rows from anterior and 4 columns from the right.
    frame = slice_frame((4, 5, 6), np.eye(4), "axial", 2)
    assert frame.shape == (5, 4)
    ijk = np.array([[3, 4, 2], [0, 0, 2], [3.5, 4.5, 2]])
    np.testing.assert_array_equal(stored_from_voxel(frame, ijk), [[0.5, 0.5], [3.5, 4.5], [0, 0]])


def test_without_square_the_values_are_the_arrays_own() -> None:
    array = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
    picture = slice_image(array, np.eye(4), "coronal", 3)
    assert picture.dtype == np.int16
    np.testing.assert_array_equal(picture, array[::-1, 3, ::-1].T)
    assert picture.flags.c_contiguous


@settings(max_examples=40)
@given(
    plane=st.sampled_from(PLANES),
    orientation=st.sampled_from(ORIENTATIONS),
    spacing=st.tuples(*[st.floats(0.5, 5)] * 3),
)
def test_square_pixels_interpolate_at_the_right_places(
    plane: Plane,
    orientation: tuple[tuple[int, ...], tuple[int, ...]],
    spacing: tuple[float, ...],
) -> None:
    affine, shape = grid(*orientation, spacing), (8, 9, 10)
    frame = slice_frame(shape, affine, plane, 4, square=True)
    fine = min(np.delete(spacing, frame.axis))
    assert frame.spacing == pytest.approx((fine, fine), rel=0.5 / min(frame.shape) + 1e-9)
    height = np.array(frame.shape) * frame.spacing
    edges = np.array(spacing)[[frame.row_axis, frame.column_axis]]
    np.testing.assert_allclose(height, np.array(frame.voxel_shape) * edges)

    rows, columns = np.indices(frame.shape)
    xy = np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], -1)
    ijk = voxel_from_stored(frame, xy)
    inside = ((ijk >= 0) & (ijk <= np.array(shape) - 1)).all(axis=1)
    for part, wanted in zip(
        world_images(affine, shape), world_from_voxel(affine, ijk).T, strict=True
    ):
        picture = slice_image(part, affine, plane, 4, square=True)
        np.testing.assert_allclose(picture.ravel()[inside], wanted[inside], atol=1e-3)


def test_square_keeps_labels_and_makes_intensities_float() -> None:
    affine = np.diag([1.0, 1, 5, 1])
    labels = np.random.default_rng(2).integers(0, 4, (6, 7, 3)).astype(np.uint16)
    shown = slice_image(labels, affine, "sagittal", 2, square=True, labels=True)
    assert shown.shape == (15, 7)
    assert shown.dtype == np.uint16
    np.testing.assert_array_equal(shown, np.repeat(labels[2, ::-1, ::-1].T, 5, axis=0))
    assert slice_image(labels, affine, "sagittal", 2, square=True).dtype == np.float32


def test_impossible_slices_are_refused() -> None:
    array, affine = np.zeros((4, 5, 6)), np.eye(4)
    with pytest.raises(InputError):
        slice_image(array, affine, "axial", 6)
    with pytest.raises(InputError):
        slice_image(array, affine, "axial", -1)
    with pytest.raises(UsageError):
        slice_image(array, affine, "oblique", 0)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        slice_image(array, affine, 3, 0)
    with pytest.raises(UsageError):
        slice_image(np.zeros((4, 5, 6, 2)), affine, "axial", 0)
    with pytest.raises(TooLarge):
        slice_image(np.zeros((4, 50, 6)), np.diag([1e-4, 400, 1, 1]), "axial", 0, square=True)
    with pytest.raises(TooLarge):
        slice_image(array, affine, "axial", 0, limits=Limits(image_pixels=19))


@given(
    orientation=st.sampled_from(ORIENTATIONS),
    angles=st.tuples(*[st.floats(-0.3, 0.3)] * 3),
)
def test_oblique_axes_go_to_the_nearest_anatomical_ones(
    orientation: tuple[tuple[int, ...], tuple[int, ...]], angles: tuple[float, ...]
) -> None:
    order, signs = orientation
    tilt = nib.eulerangles.euler2mat(*angles)
    affine = np.eye(4)
    affine[:3, :3] = tilt @ grid(order, signs, (0.7, 0.8, 3))[:3, :3]
    wanted = tuple((order[axis], signs[axis] > 0) for axis in range(3))
    assert anatomical_axes(affine) == wanted


@pytest.mark.parametrize(
    ("order", "shape", "spacing", "axis"),
    [
        ((2, 1, 0), (36, 512, 512), (5, 0.74, 0.74), 0),
        ((0, 1, 2), (512, 512, 40), (0.7, 0.7, 5), 2),
        ((1, 2, 0), (256, 256, 20), (0.9, 0.9, 4), 2),
        ((0, 2, 1), (64, 64, 64), (1, 1, 1), 1),
        ((0, 1, 2), (512, 512, 600), (0.9, 0.9, 0.5), 2),
        ((0, 1, 2), (64, 64, 64), (1, 1.4, 1), 2),
        ((0, 1, 2), (64, 64, 64), (1, 1.5, 1), 1),
        ((2, 0, 1), (64, 1, 64), (1, 1, 9), 1),
        ((0, 1, 2), (1, 1, 64), (1, 1, 1), 2),
    ],
)
def test_the_slice_axis_is_found(
    order: tuple[int, ...], shape: tuple[int, ...], spacing: tuple[float, ...], axis: int
) -> None:
    volume = make(shape, grid(order, (1, -1, 1), spacing))
    assert through_plane_axis(volume) == axis
    for plane, world in (("sagittal", 0), ("coronal", 1), ("axial", 2)):
        assert through_plane_axis(volume, plane) == order.index(world)  # type: ignore[arg-type]


@given(n=st.integers(1, 400), count=st.integers(1, 60), inner=st.floats(0, 0.49))
def test_uniform_slices(n: int, count: int, inner: float) -> None:
    policy = SlicePolicy("uniform", count, inner)
    chosen = choose(policy, n)
    assert len(chosen) == min(count, n)
    assert list(chosen) == sorted(set(chosen))
    assert set(chosen) <= set(range(n))
    if count <= n - 2 * int(inner * n):
        assert chosen[0] >= int(inner * n) and chosen[-1] < n - int(inner * n)
    gaps = np.diff(chosen)
    assert gaps.size == 0 or gaps.max() - gaps.min() <= 1
    assert choose(policy, n, descending=True) == tuple(n - 1 - index for index in chosen)


def test_uniform_by_hand() -> None:
    assert choose(SlicePolicy("uniform", 2, 0), 8) == (2, 6)
    assert choose(SlicePolicy("uniform", 4, 0.1), 100) == (20, 40, 60, 80)
    assert choose(SlicePolicy("uniform", 1, 0.25), 9) == (4,)
    assert choose(SlicePolicy("uniform", 8, 0.4), 8) == tuple(range(8))
    assert choose(SlicePolicy("uniform", 8, 0.4), 3) == (0, 1, 2)


@given(
    profile=st.lists(st.integers(0, 3), min_size=1, max_size=60),
    count=st.integers(1, 10),
    descending=st.booleans(),
)
def test_mask_slices(profile: list[int], count: int, descending: bool) -> None:
    policy = SlicePolicy("mask", count)
    touched = [index for index, area in enumerate(profile) if area]
    if not touched:
        with pytest.raises(InputError, match="no slice"):
            choose(policy, len(profile), mask_profile=profile, descending=descending)
        return
    chosen = choose(policy, len(profile), mask_profile=profile, descending=descending)
    assert set(chosen) <= set(touched)
    assert len(chosen) == min(count, len(touched))
    assert list(chosen) == sorted(chosen, reverse=descending)


def test_all_and_index() -> None:
    assert choose(SlicePolicy("all"), 3) == (0, 1, 2)
    assert choose(SlicePolicy("all"), 3, descending=True) == (2, 1, 0)
    named = SlicePolicy("index", indices=(7, 2, 5))
    assert choose(named, 8) == (2, 5, 7)
    assert choose(named, 8, descending=True) == (7, 5, 2)
    with pytest.raises(InputError, match="slice 7"):
        choose(named, 7)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": "random"},
        {"count": 0},
        {"inner": 0.5},
        {"inner": -0.1},
        {"inner": float("nan")},
        {"kind": "index"},
        {"indices": (1,)},
        {"kind": "index", "indices": (1, 1)},
        {"kind": "index", "indices": (-1,)},
        {"plane": "oblique"},
    ],
)
def test_impossible_policies_are_refused(arguments: dict) -> None:
    with pytest.raises(UsageError):
        SlicePolicy(**arguments)


def test_mask_policy_needs_its_profile() -> None:
    for profile in (None, [1, 2]):
        with pytest.raises(UsageError):
            choose(SlicePolicy("mask", 2), 3, mask_profile=profile)
    with pytest.raises(UsageError):
        choose(SlicePolicy(), 0)


def test_descriptions_name_the_rule() -> None:
    assert describe(SlicePolicy()) == "uniform, 8 slices, ends 10 % left out, through-plane"
    assert describe(SlicePolicy("all", plane="coronal")) == "all slices, coronal"
    assert describe(SlicePolicy("mask", 4)) == "mask, up to 4 slices through it, through-plane"
    assert describe(SlicePolicy("index", indices=(3, 9))) == "index 3, 9, through-plane"


@pytest.mark.parametrize(
    "policy", [SlicePolicy(count=3), SlicePolicy("mask", 3), SlicePolicy("all")]
)
def test_the_order_of_the_file_plays_no_part(policy: SlicePolicy) -> None:
    rng = np.random.default_rng(4)
    affine = np.diag([1.0, 1, 4, 1])
    image = Volume(rng.normal(size=(4, 5, 11)), affine, (1, 1, 4), "nifti1")
    labels = Volume((rng.random((4, 5, 11)) > 0.97).astype(np.uint8), affine, (1, 1, 4), "nifti1")

    def pictures(image: Volume, labels: Volume) -> list[np.ndarray]:
        axis, indices = choose_slices(policy, image, mask=labels)
        return [slice_image(image.voxels, image.affine, axis, index) for index in indices]

    def stored_otherwise(volume: Volume) -> Volume:
        """The same volume with slices first, from superior to inferior, and rows turned round."""
        voxels = volume.voxels[::-1, :, ::-1].transpose(2, 1, 0)
        to_old = np.zeros((4, 4))
        to_old[0, 2], to_old[1, 1], to_old[2, 0], to_old[3, 3] = -1, 1, -1, 1
        to_old[[0, 2], 3] = 3, 10
        return Volume(voxels, volume.affine @ to_old, (4, 1, 1), "nifti1")

    ours = pictures(image, labels)
    theirs = pictures(stored_otherwise(image), stored_otherwise(labels))
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_slices_come_from_inferior_to_superior() -> None:
    volume = make((9, 4, 4), grid((2, 1, 0), (-1, -1, -1), (5, 1, 1)))
    axis, indices = choose_slices(SlicePolicy("uniform", 3, 0), volume)
    assert (axis, indices) == (0, (7, 4, 1))
    heights = world_from_voxel(volume.affine, np.array([[index, 0, 0] for index in indices]))[:, 2]
    assert (np.diff(heights) > 0).all()


def test_a_mask_on_another_grid_is_refused() -> None:
    image, mask = make((4, 4, 9), np.eye(4)), make((4, 4, 9), np.diag([1.0, 1, 1.1, 1]))
    with pytest.raises(Misaligned):
        choose_slices(SlicePolicy("mask", 2), image, mask=mask)


def centre(mask: np.ndarray) -> np.ndarray:
    """Mean (row, column) of a mask picture."""
    return np.argwhere(mask).mean(axis=0)


def test_real_ct_shows_organs_where_a_radiologist_expects_them(realdata: Path) -> None:
    root = realdata / "nifti" / "totalsegmentator_ct"
    organs = {
        name: read(root / "segmentations" / f"{name}.nii.gz")
        for name in ("liver", "spleen", "aorta", "kidney_left", "kidney_right")
    }
    image = read(root / "example_ct_sm.nii.gz")
    assert through_plane_axis(image) == 2

    def at(name: str, plane: Plane, index: int) -> np.ndarray:
        organ = organs[name]
        return centre(slice_image(organ.voxels, organ.affine, plane, index))

    axial = {name: at(name, "axial", 10) for name in organs}
    assert axial["liver"][1] < axial["aorta"][1] < axial["spleen"][1]
    assert axial["kidney_right"][1] < axial["aorta"][1] < axial["kidney_left"][1]
    assert axial["liver"][0] < axial["kidney_right"][0]
    picture = slice_image(image.voxels, image.affine, "axial", 10)
    # Bone above 400 HU is mostly the spine, behind the aorta: lower in the picture.
    middle = slice(int(axial["aorta"][1]) - 12, int(axial["aorta"][1]) + 12)
    assert centre(picture[:, middle] > 400)[0] > axial["aorta"][0]
    coronal = at("liver", "coronal", 50), at("spleen", "coronal", 50)
    assert coronal[0][1] < coronal[1][1]
    assert at("liver", "coronal", 50)[0] < at("kidney_right", "coronal", 50)[0]


def test_real_kits_mask_is_cut_along_its_own_slice_axis(realdata: Path) -> None:
    mask = read(realdata / "nifti/kits23/dataset/case_00550/segmentation.nii.gz")
    axis, indices = choose_slices(SlicePolicy("mask", 4), mask, mask=mask)
    assert axis == 0
    assert list(indices) == sorted(indices, reverse=True)
    for index in indices:
        picture = slice_image(mask.voxels, mask.affine, axis, index)
        assert picture.shape == (512, 512)
        assert picture.any()
        # Kidneys lie in the posterior half of the body: the lower half of the picture.
        assert centre(picture > 0)[0] > 256


def test_real_hippocampus_head_lies_before_its_body(realdata: Path) -> None:
    root = realdata / "nifti" / "msd_hippocampus" / "TrainingSet" / "labels"
    files = sorted(root.glob("*.nii.gz"))
    assert files
    for path in files:
        label = read(path)
        axis = axis_of_plane(label.affine, "sagittal")
        index = int(np.argmax((label.voxels == 1).sum(axis=(1, 2))))
        assert axis == 0
        picture = slice_image(label.voxels, label.affine, "sagittal", index)
        # Label 1 is the anterior part; anterior is on the left of a sagittal picture.
        if (picture == 2).any():
            assert centre(picture == 1)[1] < centre(picture == 2)[1], path.name
