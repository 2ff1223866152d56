"""A plane of a volume is cut without a copy of the volume, whatever the order of its voxels."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from qoqdata.readers.volume import slice_image, voxel_plane


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_plane_is_that_of_numpy(order: str, axis: int) -> None:
    array = np.asarray(np.arange(60).reshape(3, 4, 5), order=order)
    plane = voxel_plane(array, axis, 1)
    assert np.array_equal(plane, np.take(array, 1, axis=axis))
    assert plane.flags.c_contiguous


@pytest.mark.parametrize("order", ["C", "F"])
def test_one_plane_costs_the_memory_of_planes(order: str) -> None:
    """NIfTI voxels lie in Fortran order; taking a plane of 128 kB copied 16 MB of them."""
    array = np.zeros((256, 256, 128), np.int16, order=order)  # type: ignore[call-overload]
    tracemalloc.start()
    try:
        slice_image(array, np.eye(4), "axial", 60)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 8 * array[:, :, 60].nbytes
