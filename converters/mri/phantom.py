"""Made-up heads, for simulators: slices, and volumes on a grid."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

#: Centre and radii of an ellipsoid in mm of the world, x to the patient's right.
Lesion = tuple[Sequence[float], Sequence[float]]


def head_slice(
    rng: np.random.Generator, shape: tuple[int, int], lesion: np.ndarray | None = None
) -> np.ndarray:
    """(rows, columns) uint8: scalp, skull, brain with two dark ventricles, a bright lesion."""
    rows, columns = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    tall, wide = rng.uniform(0.82, 0.92), rng.uniform(0.7, 0.8)
    radius = np.sqrt((rows / tall) ** 2 + (columns / wide) ** 2)
    coarse = rng.standard_normal((5, 5)).astype(np.float32)
    clouds = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    picture = np.where(radius < 0.86, 95 + 12 * clouds, 0.0)
    picture = np.where((radius >= 0.93) & (radius < 1), 190.0, picture)
    for side in (-1, 1):
        ventricle = ((columns - side * 0.13) / 0.08) ** 2 + ((rows + 0.05) / 0.3) ** 2
        picture = np.where(ventricle < 1, 35.0, picture)
    if lesion is not None:
        picture = np.where(lesion, 215.0, picture)
    picture = picture + 4 * rng.standard_normal(shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


def lesion_slice(rng: np.random.Generator, shape: tuple[int, int], depth: float) -> np.ndarray:
    """An ellipse in the brain of `head_slice`, bool; `depth` 0 is its middle, 1 its rim."""
    rows, columns = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    down, right = 0.62 * depth * np.sin(angle), 0.5 * depth * np.cos(angle)
    tall, wide = rng.uniform(0.1, 0.2, 2)
    return ((rows - down) / tall) ** 2 + ((columns - right) / wide) ** 2 < 1


def head_volume(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    affine: np.ndarray,
    lesions: Sequence[Lesion],
    contrast: Sequence[float],
) -> tuple[np.ndarray, np.ndarray]:
    """A head on the grid of `shape` and `affine`, and where its lesions are (bool).

    The head is one of the world, so that grids of any place and direction show the same. `contrast`
    is the brightness of air, brain, ventricles and lesions; grain is 3 % of the brain's.
    """
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    world = index @ affine[:3, :3].T + affine[:3, 3]
    air, brain, ventricle, lesion = contrast
    inside = _ellipsoid(world, (0, 0, 0), (66, 82, 58))
    values = np.where(inside, brain, air).astype(np.float64)
    for side in (-1, 1):
        values[_ellipsoid(world, (side * 12, 0, 8), (6, 26, 14))] = ventricle
    drawn = np.zeros(shape, bool)
    for centre, radii in lesions:
        drawn |= _ellipsoid(world, centre, radii) & inside
    values[drawn] = lesion
    grain = 0.03 * brain * rng.standard_normal(shape)
    return np.where(inside, np.maximum(values + grain, 1), air).round(), drawn


def _ellipsoid(world: np.ndarray, centre: Sequence[float], radii: Sequence[float]) -> np.ndarray:
    return (((world - np.array(centre)) / np.array(radii)) ** 2).sum(axis=-1) < 1
