"""Volumes and affines whose voxel axes run along chosen world axes."""

from __future__ import annotations

import numpy as np

from qoqdata.readers.volume import Volume


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


def zero_volume(shape: tuple[int, ...], affine: np.ndarray) -> Volume:
    """Zeros on the grid of `affine`."""
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    return Volume(np.zeros(shape), affine, tuple(edges), "nifti1")
