"""What the mask of a case says beyond its codes: which kidney, and how large a tumour is."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from qoqdata.readers import volume
from qoqdata.readers.volume import Volume

TUMOUR = 2
RIGHT, LEFT, BOTH = "Right kidney", "Left kidney", "Both kidneys"
#: A body of fewer voxels than this share of the largest is no kidney.
LEAST_SHARE = 0.1
#: mm between the centres of two kidneys, sideways, at least.
APART_MM = 40.0


def side_of_tumour(mask: Volume) -> str | None:
    """Which kidney bears the tumour; None where the mask does not show two, or it lies in neither.

    The affine says which way the patient's right is (RAS, x grows to the right).
    """
    voxels, begin = _drawn_part(mask.voxels)
    bodies, count = ndimage.label(voxels != 0, structure=np.ones((3, 3, 3)))
    if count < 2:
        return None
    sizes = np.bincount(bodies.ravel())[1:]
    kidneys = [int(at) + 1 for at in np.flatnonzero(sizes >= LEAST_SHARE * sizes.max())]
    tumour = set(np.unique(bodies[voxels == TUMOUR]).tolist())
    if len(kidneys) != 2 or not tumour <= set(kidneys) or not tumour:
        return None
    centres = np.array([np.argwhere(bodies == one).mean(axis=0) + begin for one in kidneys])
    across = volume.world_from_voxel(mask.affine, centres)[:, 0]
    if abs(across[0] - across[1]) < APART_MM:
        return None
    right = kidneys[int(np.argmax(across))]
    return BOTH if len(tumour) == 2 else RIGHT if tumour == {right} else LEFT


def largest_extent_cm(mask: Volume) -> float:
    """The diameter of the smallest circle around a body of tumour in an axial slice, at most."""
    axis = volume.axis_of_plane(mask.affine, "axial")
    rest = [mask.spacing[a] for a in range(3) if a != axis]
    largest = 0.0
    for plane in np.moveaxis(mask.voxels == TUMOUR, axis, 0):
        if not plane.any():
            continue
        count, parts = cv2.connectedComponents(plane.astype(np.uint8))
        for part in range(1, count):
            corners = np.argwhere(parts == part).astype(np.float32) * np.array(rest, np.float32)
            _, radius = cv2.minEnclosingCircle(corners)
            largest = max(largest, 2 * radius + min(rest))
    return largest / 10


def separate_tumours(mask: Volume) -> tuple[np.ndarray, int]:
    """Bodies of tumour numbered from 1, and how many there are."""
    part, begin = _drawn_part(mask.voxels == TUMOUR)
    labels, count = ndimage.label(part, structure=np.ones((3, 3, 3)))
    bodies = np.zeros(mask.voxels.shape, np.int32)
    bodies[tuple(slice(a, a + n) for a, n in zip(begin, part.shape, strict=True))] = labels
    return bodies, int(count)


def _drawn_part(voxels: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """The box around all that is drawn, and where it begins; most of a scan holds nothing."""
    axes = range(voxels.ndim)
    used = [np.flatnonzero(voxels.any(axis=tuple(set(axes) - {a}))) for a in axes]
    if not used[0].size:
        return voxels, [0] * voxels.ndim
    box = tuple(slice(int(one[0]), int(one[-1]) + 1) for one in used)
    return voxels[box], [one.start for one in box]
