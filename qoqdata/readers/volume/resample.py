"""A volume on the grid of another: series of one examination that were acquired on grids of their
own are brought together by what their affines say, and by nothing else.

The world of both affines must be the same scanner's; nothing is registered, so a patient who moved
between two series stays moved.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qoqdata.errors import Misaligned
from qoqdata.readers.volume.grey_range import finite
from qoqdata.readers.volume.grid import Volume, grid_difference

#: Of the target's voxels, the least that must lie inside of the moved volume.
LEAST_COVERED = 0.5


def resample_onto(moving: Volume, grid: Volume) -> Volume:
    """`moving` at the voxel centres of `grid`: float32 of the grid's shape, with its affine.

    Linear between voxels. Along an axis on which the grid is the coarser one, `moving` is smoothed
    first (a Gaussian of half the excess, in voxels), or detail would alias. Voxels of the grid
    outside of `moving` get its lowest value. `repairs` says how much of the grid is covered; a
    volume that is on the grid already comes back as it is. Raises Misaligned where less than half
    is covered, as when the two are not of one examination, and UnreadableFile for NaN and infinity.
    """
    if moving.voxels.ndim != 3 or grid.voxels.ndim != 3:
        raise Misaligned("one of them holds several volumes", where=moving.where or None)
    if grid_difference(moving, grid) is None:
        return moving
    from scipy import ndimage

    voxels = finite(moving.voxels).astype(np.float32)
    # From indices of the grid to fractional indices of `moving`.
    step = np.linalg.solve(moving.affine, grid.affine)
    matrix, offset = step[:3, :3], step[:3, 3]
    excess = np.maximum(np.linalg.norm(matrix, axis=1) - 1, 0) / 2
    smooth = ndimage.gaussian_filter(voxels, excess, mode="nearest") if excess.any() else voxels
    shape = grid.voxels.shape
    out = ndimage.affine_transform(smooth, matrix, offset, shape, order=1, mode="nearest")
    inside = _inside(matrix, offset, shape, voxels.shape)
    covered = float(inside.mean())
    if covered < LEAST_COVERED:
        raise Misaligned(
            f"covers {covered:.0%} of the grid that it is to be shown on",
            where=moving.where or None,
            fix="check that both are of one examination, and that their headers are the scanner's",
        )
    out[~inside] = voxels.min()
    note = f"resampled by affine onto another series' grid, {covered:.0%} of which it covers"
    return replace(
        moving,
        voxels=out,
        affine=grid.affine,
        spacing=grid.spacing,
        repairs=(*moving.repairs, note),
        step=0.0,
    )


def _inside(
    matrix: np.ndarray, offset: np.ndarray, shape: tuple[int, ...], source: tuple[int, ...]
) -> np.ndarray:
    """Which voxels of a grid of `shape` have their centre in a voxel of the source: bool."""
    axes = [np.arange(side, dtype=np.float64) for side in shape]
    inside = np.ones(shape, bool)
    for axis, side in enumerate(source):
        parts = [matrix[axis, n] * along for n, along in enumerate(axes)]
        place = parts[0][:, None, None] + parts[1][None, :, None] + parts[2][None, None, :]
        place += offset[axis]
        # A thousandth of a voxel is what headers in float32 explain.
        inside &= (place >= -0.501) & (place <= side - 0.499)
    return inside
