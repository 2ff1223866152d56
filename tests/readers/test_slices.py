"""Images of slices: orientation, coordinates and resampling."""

from __future__ import annotations

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.errors import InputError, TooLarge, UsageError
from qoqdata.readers.limits import Limits
from qoqdata.readers.volume import (
    Plane,
    anatomical_axes,
    axis_of_plane,
    plane_of_axis,
    slice_frame,
    slice_image,
    stored_from_voxel,
    voxel_from_stored,
    world_from_voxel,
)
from tests.readers.oriented_volumes import grid

PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
# RAS axis that grows upwards and leftwards in the image (radiological convention).
UP = {"axial": 1, "coronal": 2, "sagittal": 2}
LEFT = {"axial": 0, "coronal": 0, "sagittal": 1}
ORIENTATIONS = [
    (order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)
]


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
    images = [slice_image(part, affine, plane, 1) for part in world_images(affine, shape)]
    up, left = images[UP[plane]], images[LEFT[plane]]
    assert (np.diff(up, axis=0) < 0).all()
    assert (np.diff(up, axis=1) == 0).all()
    assert (np.diff(left, axis=1) < 0).all()
    assert (np.diff(left, axis=0) == 0).all()
    through = images[3 - UP[plane] - LEFT[plane]]
    assert np.unique(through).size == 1
    assert plane_of_axis(affine, axis_of_plane(affine, plane)) == plane


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
    image = slice_image(mask, affine, plane, index, square=square, labels=True)
    assert image.shape == frame.shape
    assert image.dtype == np.uint8
    x, y = stored_from_voxel(frame, np.array([at]))[0]
    assert image[int(y), int(x)] == 7
    rows, columns = np.nonzero(image)
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
    # RAS grid, 4 x 5 x 6: the axial image has 5 rows from anterior and 4 columns from the right.
    frame = slice_frame((4, 5, 6), np.eye(4), "axial", 2)
    assert frame.shape == (5, 4)
    ijk = np.array([[3, 4, 2], [0, 0, 2], [3.5, 4.5, 2]])
    np.testing.assert_array_equal(stored_from_voxel(frame, ijk), [[0.5, 0.5], [3.5, 4.5], [0, 0]])


def test_without_square_the_values_are_the_arrays_own() -> None:
    array = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
    image = slice_image(array, np.eye(4), "coronal", 3)
    assert image.dtype == np.int16
    np.testing.assert_array_equal(image, array[::-1, 3, ::-1].T)
    assert image.flags.c_contiguous


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
        image = slice_image(part, affine, plane, 4, square=True)
        np.testing.assert_allclose(image.ravel()[inside], wanted[inside], atol=1e-3)


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
