"""The voxel grid of a volume: where each voxel lies in the patient.

One convention throughout: the affine maps voxel indices (i, j, k, 1) to RAS+ millimetres (x grows
to the patient's right, y to anterior, z to superior), with integer indices at voxel centres. That
is NIfTI's and nibabel's world. ITK, MetaImage and DICOM use LPS; `ras_from_lps` is the one place
where the two meet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import InputError, Misaligned, UnreadableFile

# Voxel edges outside of this range come from damaged headers or from wrong units.
SMALLEST_SPACING_MM, LARGEST_SPACING_MM = 1e-4, 500.0
# The volume of the unit cell over that of a box with the same edges; 0 means axes in one plane.
FLATTEST_CELL = 1e-3
# How far the grids of an image and its mask may be apart, as a share of a voxel edge.
SAME_GRID = 0.05


@dataclass(frozen=True, eq=False)
class Volume:
    """A volume in its file's own index order, with its place in the patient.

    voxels: (i, j, k) or (i, j, k, t), native byte order and the file's dtype; NIfTI scaling, where
        present, gives float32. A 2-D file is (i, j, 1).
    affine: float64 (4, 4), voxel index (i, j, k, 1) -> world RAS+ mm.
    spacing: mm between voxel centres along i, j, k (lengths of the affine's columns).
    source_format: "nifti1", "nifti1 pair", "nifti2", "nifti2 pair", "metaimage" or "nrrd".
    repairs: what the reader had to settle because the file left it open or contradicted itself.
    where: the file, for messages.
    step: what one step of the stored integers is worth where they are scaled, else 0. A value is
        known to half of it.
    sideless: why the file does not tell the patient's left from right, although it is shown as if
        it did; None where it tells. Nothing may be asked of sides then.
    """

    voxels: NDArray[Any]
    affine: NDArray[np.float64]
    spacing: tuple[float, float, float]
    source_format: str
    repairs: tuple[str, ...] = ()
    where: str = ""
    step: float = 0.0
    sideless: str | None = None


def checked_volume(
    voxels: NDArray[Any],
    affine: NDArray[Any],
    *,
    source_format: str,
    repairs: tuple[str, ...] = (),
    where: str,
    step: float = 0.0,
    sideless: str | None = None,
    channel: int | None = None,
) -> Volume:
    """A Volume from voxels (3-D or 4-D) and an RAS+ mm affine (4, 4); of one channel if asked.

    Raises InputError for a channel that is not there, UnreadableFile when the affine is not finite,
    cannot be inverted, or gives voxel edges outside of 0.0001 to 500 mm.
    """
    affine = np.array(affine, dtype=np.float64)
    fault = affine_fault(affine)
    if fault:
        raise UnreadableFile(fault, where=where, fix="fetch the file again or correct its header")
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    spacing = (float(edges[0]), float(edges[1]), float(edges[2]))
    volume = Volume(voxels, affine, spacing, source_format, repairs, where, step, sideless)
    return volume if channel is None else one_channel(volume, channel)


def one_channel(volume: Volume, channel: int) -> Volume:
    """One of the volumes that a file holds along its fourth axis, counted from 0, as (i, j, k).

    A file of one volume has channel 0 only. Raises InputError for a channel that is not there.
    """
    count = volume.voxels.shape[3] if volume.voxels.ndim == 4 else 1
    if not 0 <= channel < count:
        raise InputError(
            f"has no channel {channel}: it holds {count}",
            where=volume.where or None,
            fix=channel_fix(count) if count > 1 else "leave the channel out",
        )
    voxels = volume.voxels[..., channel].copy(order="K") if count > 1 else volume.voxels
    note = f"channel {channel} of {count} taken (counted from 0)"
    return replace(volume, voxels=voxels.reshape(voxels.shape[:3]), repairs=(*volume.repairs, note))


def channel_fix(count: int) -> str:
    """How to choose one of `count` volumes of a file."""
    return (
        f"name the one to take in the mapping, 0 to {count - 1}: `channel: 0` for the image, "
        "`mask_channel: 0` for the mask"
    )


def affine_fault(affine: NDArray[Any]) -> str | None:
    """Why an affine (4, 4) in mm cannot place voxels, or None when it can."""
    if not np.isfinite(affine).all():
        return "the affine (spacing, origin or direction) holds NaN or infinity"
    with np.errstate(over="ignore"):
        edges = np.linalg.norm(affine[:3, :3], axis=0)
    if edges.min() < SMALLEST_SPACING_MM or edges.max() > LARGEST_SPACING_MM:
        lengths = ", ".join(f"{edge:g}" for edge in edges)
        return f"voxel edges of {lengths} mm are not those of a clinical image"
    if abs(np.linalg.det(affine[:3, :3] / edges)) < FLATTEST_CELL:
        return "the affine is singular: the voxel axes lie in one plane"
    return None


def affine_from_axes(
    directions: NDArray[Any], spacing: NDArray[Any], origin: NDArray[Any]
) -> NDArray[np.float64]:
    """Affine (4, 4) from direction columns (3, 3), spacing (3,) and first voxel centre (3,)."""
    affine = np.eye(4)
    with np.errstate(over="ignore", invalid="ignore"):
        affine[:3, :3] = np.asarray(directions, dtype=np.float64) * np.asarray(spacing)
    affine[:3, 3] = origin
    return affine


def ras_from_lps(affine: NDArray[Any]) -> NDArray[np.float64]:
    """The same grid in RAS+ mm, from an LPS+ mm affine (4, 4): x and y change sign."""
    return np.asarray(affine * np.array([[-1.0], [-1.0], [1.0], [1.0]]))


def world_from_voxel(affine: NDArray[Any], ijk: NDArray[Any]) -> NDArray[np.float64]:
    """RAS+ mm (n, 3) of voxel indices `ijk` (n, 3); integer indices are voxel centres."""
    return np.asarray(np.asarray(ijk, np.float64) @ affine[:3, :3].T + affine[:3, 3])


def voxel_from_world(affine: NDArray[Any], xyz: NDArray[Any]) -> NDArray[np.float64]:
    """Fractional voxel indices (n, 3) of RAS+ mm points `xyz` (n, 3); inverse of the above."""
    offsets = np.asarray(xyz, dtype=np.float64) - affine[:3, 3]
    return np.linalg.solve(affine[:3, :3], offsets.T).T


def axis_codes(affine: NDArray[Any]) -> tuple[str, str, str]:
    """Which way each voxel axis points, to the nearest of R L A P S I, as ("R", "A", "S")."""
    import nibabel

    first, second, third = nibabel.aff2axcodes(affine)
    return (first, second, third)


def grid_corners(affine: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """RAS+ mm (8, 3) of the centres of the corner voxels of a grid of `shape` (i, j, k, ...)."""
    ends = [(0, side - 1) for side in shape[:3]]
    return world_from_voxel(affine, np.array(list(product(*ends))))


def grid_difference(a: Volume, b: Volume, *, tolerance_mm: float = 1e-3) -> str | None:
    """What keeps two volumes from sharing one grid, or None when they do.

    They do when the sizes along i, j, k agree and no corner voxel is further than `tolerance_mm`
    from its counterpart, which bounds the distance of every other voxel as well.
    """
    shape_a, shape_b = a.voxels.shape[:3], b.voxels.shape[:3]
    if shape_a != shape_b:
        return f"sizes {shape_a} and {shape_b} differ"
    corners_a, corners_b = (grid_corners(v.affine, shape_a) for v in (a, b))
    apart = float(np.linalg.norm(corners_a - corners_b, axis=1).max())
    if apart <= tolerance_mm:
        return None
    codes = "".join(axis_codes(a.affine)), "".join(axis_codes(b.affine))
    if codes[0] != codes[1]:
        return f"axes point {codes[0]} and {codes[1]}; corner voxels are up to {apart:.4g} mm apart"
    return f"corner voxels are up to {apart:.4g} mm apart"


def check_same_grid(image: Volume, mask: Volume, *, where: str) -> tuple[str, ...]:
    """Raise Misaligned with what differs when a mask and its image do not share one grid.

    Corner voxels may be a twentieth of the image's smallest voxel edge apart, which float32 headers
    and quaternions explain and which moves no label to another pixel; a distance of more than
    0.001 mm is then returned as a note.
    """
    difference = grid_difference(image, mask)
    if difference is None:
        return ()
    tolerance_mm = SAME_GRID * min(image.spacing)
    if grid_difference(image, mask, tolerance_mm=tolerance_mm):
        raise Misaligned(
            f"image and mask do not share a grid: {difference}, {tolerance_mm:.2g} mm may be",
            where=where,
            fix="resample the mask onto the image, or pair it with the image it was drawn on",
        )
    return (f"grids of image and mask taken as one: {difference}",)
