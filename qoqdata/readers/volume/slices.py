"""One slice of a volume as an image, in radiological display orientation.

    axial     anterior at the top, the patient's right on the image's left
    coronal   superior at the top, the patient's right on the image's left
    sagittal  superior at the top, anterior on the image's left

The image comes from transposes and flips that the affine calls for: voxel axes are matched to
the nearest anatomical ones, oblique volumes are not resampled. Only `square=True` resamples, once,
by the rule of `qoqdata.readers.square_pixels`.

Stored-image coordinates are (x, y) in pixels from the image's upper left corner, x to the
right, y down; the centre of pixel (0, 0) is at (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import InputError, UsageError
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.readers.square_pixels import resample_linear, resample_nearest, square_size
from qoqdata.readers.volume.orientation import (
    Plane,
    anatomical_axes,
    axis_of_plane,
    plane_of_axis,
)

# RAS axes that run up the image and to its left, by plane.
SHOWN: dict[Plane, tuple[int, int]] = {"axial": (1, 0), "coronal": (2, 0), "sagittal": (2, 1)}


@dataclass(frozen=True)
class SliceFrame:
    """How one slice lies in its volume and in its image.

    axis, index: the slice is array index `index` of voxel axis `axis`.
    row_axis, column_axis: voxel axes that run down the image and to its right; `*_reversed` when
        the image runs against the array index.
    voxel_shape: rows and columns in voxels; shape: rows and columns of the stored image.
    spacing: mm between stored pixels, down and to the right.
    """

    plane: Plane
    axis: int
    index: int
    row_axis: int
    column_axis: int
    row_reversed: bool
    column_reversed: bool
    voxel_shape: tuple[int, int]
    shape: tuple[int, int]
    spacing: tuple[float, float]


def slice_frame(
    shape: tuple[int, ...],
    affine: NDArray[Any],
    plane: Plane | int,
    index: int,
    *,
    square: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> SliceFrame:
    """The frame of slice `index` of a volume of `shape` (i, j, k), along a plane or a voxel axis.

    square: make pixels square by enlarging the coarser direction to the finer spacing; whole pixel
        counts leave a rest, so the spacing given is the one reached.

    Raises InputError for an index beyond the volume, TooLarge for an image beyond the limits,
    UsageError for other arguments.
    """
    if len(shape) != 3:
        raise UsageError(f"a slice of an array of shape {shape}", fix="choose one time point first")
    axis = axis_of_plane(affine, plane) if isinstance(plane, str) else int(plane)
    name = plane_of_axis(affine, axis)
    if not 0 <= index < shape[axis]:
        raise InputError(f"slice {index} of a stack of {shape[axis]}")
    axes = anatomical_axes(affine)
    up, left = SHOWN[name]
    worlds = [world for world, _ in axes]
    row_axis, column_axis = worlds.index(up), worlds.index(left)
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    voxel_shape = (shape[row_axis], shape[column_axis])
    voxel_mm = (float(edges[row_axis]), float(edges[column_axis]))
    image_shape = voxel_shape
    if square:
        image_shape = square_size(*voxel_shape, voxel_mm[0] / voxel_mm[1])
    limits.check_shape("image_pixels", image_shape, where=f"{name} slice {index}")
    return SliceFrame(
        plane=name,
        axis=axis,
        index=index,
        row_axis=row_axis,
        column_axis=column_axis,
        row_reversed=axes[row_axis][1],
        column_reversed=axes[column_axis][1],
        voxel_shape=voxel_shape,
        shape=image_shape,
        spacing=(
            voxel_shape[0] * voxel_mm[0] / image_shape[0],
            voxel_shape[1] * voxel_mm[1] / image_shape[1],
        ),
    )


def slice_image(
    array: NDArray[Any],
    affine: NDArray[Any],
    plane: Plane | int,
    index: int,
    *,
    square: bool = False,
    labels: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> NDArray[Any]:
    """Slice `index` of a 3-D array as an image (rows, columns), oriented as the module says.

    The array is a volume's voxels or a mask on the same grid. Without `square` the values and dtype
    are the array's own. With it, intensities are interpolated linearly to float32 (float64 for
    float64), and masks (`labels=True`) take the nearest voxel and keep their dtype.
    Raises as `slice_frame`, which describes the same image.
    """
    frame = slice_frame(array.shape, affine, plane, index, square=square, limits=limits)
    image = upright(voxel_plane(array, frame.axis, frame.index), frame)
    if frame.shape == frame.voxel_shape:
        return image
    if labels:
        return resample_nearest(image, frame.shape)
    wide = image.dtype == np.float64
    return resample_linear(image.astype(np.float64 if wide else np.float32), frame.shape)


def voxel_plane(array: NDArray[Any], axis: int, index: int) -> NDArray[Any]:
    """The plane at `index` along voxel axis `axis`, in the order of the other two, contiguous.

    `np.take` would copy the whole of a volume in Fortran order first, as those of NIfTI are.
    """
    return np.ascontiguousarray(array[(slice(None),) * axis + (index,)])


def upright(plane: NDArray[Any], frame: SliceFrame) -> NDArray[Any]:
    """A plane of voxels, in the order of their axes, as the image of `frame` before resampling.

    Only transposed and turned over: shape `frame.voxel_shape`, the plane's own values.
    """
    image = plane.T if frame.row_axis > frame.column_axis else plane
    if frame.row_reversed:
        image = image[::-1]
    if frame.column_reversed:
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def stored_from_voxel(frame: SliceFrame, ijk: NDArray[Any]) -> NDArray[np.float64]:
    """Stored-image (x, y) (n, 2) of voxel indices (n, 3); integer indices are voxel centres.

    The coordinate along the slice axis is not used: points are projected onto the slice.
    """
    points = np.asarray(ijk, dtype=np.float64)
    down = _flipped(points[:, frame.row_axis], frame.voxel_shape[0], frame.row_reversed)
    right = _flipped(points[:, frame.column_axis], frame.voxel_shape[1], frame.column_reversed)
    scale_y, scale_x = _stored_per_voxel(frame)
    return np.stack([(right + 0.5) * scale_x, (down + 0.5) * scale_y], axis=1)


def voxel_from_stored(frame: SliceFrame, xy: NDArray[Any]) -> NDArray[np.float64]:
    """Voxel indices (n, 3) of stored-image (x, y) (n, 2), on the slice; inverse of the above."""
    points = np.asarray(xy, dtype=np.float64)
    scale_y, scale_x = _stored_per_voxel(frame)
    down, right = points[:, 1] / scale_y - 0.5, points[:, 0] / scale_x - 0.5
    ijk = np.empty((len(points), 3))
    ijk[:, frame.axis] = frame.index
    ijk[:, frame.row_axis] = _flipped(down, frame.voxel_shape[0], frame.row_reversed)
    ijk[:, frame.column_axis] = _flipped(right, frame.voxel_shape[1], frame.column_reversed)
    return ijk


def _stored_per_voxel(frame: SliceFrame) -> tuple[float, float]:
    return frame.shape[0] / frame.voxel_shape[0], frame.shape[1] / frame.voxel_shape[1]


def _flipped(index: NDArray[Any], count: int, is_reversed: bool) -> NDArray[Any]:
    return count - 1 - index if is_reversed else index
