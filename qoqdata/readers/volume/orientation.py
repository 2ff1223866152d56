"""Which voxel axis runs along which anatomical axis, and which one the slices are stacked along."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import UsageError
from qoqdata.readers.volume.grid import Volume

Plane = Literal["axial", "coronal", "sagittal"]
# Index of the RAS axis that each plane's normal follows.
NORMAL: dict[Plane, int] = {"sagittal": 0, "coronal": 1, "axial": 2}
# A slice spacing this much above the others is a stack of slices, whatever its orientation.
CLEARLY_LARGER = 1.5


def anatomical_axes(affine: NDArray[Any]) -> tuple[tuple[int, bool], ...]:
    """For each voxel axis: the RAS axis (0, 1, 2) it runs along most closely, and whether upwards.

    Each RAS axis is given once, also for oblique grids (nibabel's io_orientation).
    """
    return _axes_of(np.asarray(affine, np.float64).tobytes())


@lru_cache(maxsize=64)
def _axes_of(affine: bytes) -> tuple[tuple[int, bool], ...]:
    """As above, of the 16 float64 of an affine: every slice of a volume asks for them anew."""
    from nibabel.orientations import io_orientation

    matrix = np.frombuffer(affine, np.float64).reshape(4, 4)
    return tuple((int(world), bool(sign > 0)) for world, sign in io_orientation(matrix))


def axis_of_plane(affine: NDArray[Any], plane: Plane) -> int:
    """The voxel axis along which slices of `plane` are stacked; raises UsageError for others."""
    if plane not in get_args(Plane):
        raise UsageError(f"no plane {plane!r}", fix="one of axial, coronal, sagittal")
    return [world for world, _ in anatomical_axes(affine)].index(NORMAL[plane])


def plane_of_axis(affine: NDArray[Any], axis: int) -> Plane:
    """The plane that slices stacked along voxel axis 0, 1 or 2 lie in."""
    if axis not in (0, 1, 2):
        raise UsageError(f"no voxel axis {axis}", fix="one of 0, 1, 2")
    world = anatomical_axes(affine)[axis][0]
    return next(plane for plane, normal in NORMAL.items() if normal == world)


def through_plane_axis(volume: Volume, plane: Plane | None = None) -> int:
    """The voxel axis (0, 1 or 2) along which the slices are stacked. It is never assumed to be 2.

    With `plane`, the axis of that plane. Otherwise the first rule that decides:
    1. the only axis with a single voxel (a 2-D image);
    2. the axis whose spacing is at least 1.5 times each other one (thick slices);
    3. the axis closest to superior-inferior, so that near-isotropic volumes are read axially.
    """
    if plane is not None:
        return axis_of_plane(volume.affine, plane)
    single = [axis for axis in range(3) if volume.voxels.shape[axis] == 1]
    if len(single) == 1:
        return single[0]
    thickest = int(np.argmax(volume.spacing))
    others = [volume.spacing[axis] for axis in range(3) if axis != thickest]
    if volume.spacing[thickest] >= CLEARLY_LARGER * max(others):
        return thickest
    return axis_of_plane(volume.affine, "axial")
