"""Made-up CT volumes in HU: a chest, a head, an abdomen, with lesions where labels say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: HU of what phantoms are made of.
AIR, LUNG, FAT, WATER, MUSCLE, BLOOD, CONTRAST, BONE = -1000, -850, -90, 0, 50, 75, 350, 900


@dataclass(frozen=True)
class Ball:
    """A ball of `hu`: centre in voxels (x, y, z), radius in mm."""

    centre: tuple[float, float, float]
    radius: float
    hu: int


def chest(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    balls: Sequence[Ball] = (),
) -> np.ndarray:
    """(x, y, z) int16: two lungs in a body, a bright heart between them, a spine behind.

    Axes run as in a DICOM volume, x to the patient's left, y to the back, z upwards.
    """
    x, y = _axes(rng, shape)
    body = (x / 0.9) ** 2 + (y / 0.7) ** 2 < 1
    plane = np.where(body, MUSCLE, AIR)
    for side in (-1, 1):
        plane[((x - 0.42 * side) / 0.3) ** 2 + (y / 0.5) ** 2 < 1] = LUNG
    plane[(x / 0.16) ** 2 + ((y + 0.1) / 0.25) ** 2 < 1] = CONTRAST
    plane[(x / 0.1) ** 2 + ((y - 0.5) / 0.1) ** 2 < 1] = BONE
    return _volume(rng, plane, shape, spacing, balls)


def head(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    balls: Sequence[Ball] = (),
) -> np.ndarray:
    """(x, y, z) int16: a skull around a brain with two dark ventricles."""
    x, y = _axes(rng, shape)
    ring = (x / 0.75) ** 2 + (y / 0.9) ** 2
    plane = np.where(ring < 1, BONE, AIR)
    plane[ring < 0.84] = 35
    for side in (-1, 1):
        plane[((x - 0.12 * side) / 0.06) ** 2 + (y / 0.25) ** 2 < 1] = WATER
    return _volume(rng, plane, shape, spacing, balls)


def abdomen(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    balls: Sequence[Ball] = (),
) -> np.ndarray:
    """(x, y, z) int16: a body with fat, a liver on the patient's right and a spine behind."""
    x, y = _axes(rng, shape)
    plane = np.where((x / 0.92) ** 2 + (y / 0.75) ** 2 < 1, FAT, AIR)
    plane[((x + 0.45) / 0.35) ** 2 + ((y + 0.1) / 0.4) ** 2 < 1] = 110
    plane[(x / 0.12) ** 2 + ((y - 0.45) / 0.12) ** 2 < 1] = BONE
    return _volume(rng, plane, shape, spacing, balls)


def inside(
    ball: Ball, shape: tuple[int, int, int], spacing: tuple[float, float, float]
) -> np.ndarray:
    """The voxels of a ball, bool (x, y, z); at least the one that its centre lies in."""
    grid = np.ogrid[: shape[0], : shape[1], : shape[2]]
    far = sum(
        ((axis - centre) * mm) ** 2
        for axis, centre, mm in zip(grid, ball.centre, spacing, strict=True)
    )
    voxels = np.asarray(far <= ball.radius**2)
    voxels[tuple(round(one) for one in ball.centre)] = True
    return voxels


def _axes(rng: np.random.Generator, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Places (x, y) of a plane in a person's own frame, from about -1 to 1.

    Built, lying and turned otherwise than others, no two people show the same. What `rng` draws
    next does not depend on it.
    """
    own = rng.spawn(1)[0]
    x, y = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    (x_size, y_size), (right, back) = own.uniform(0.8, 1.05, 2), own.uniform(-0.07, 0.07, 2)
    angle = own.uniform(-0.25, 0.25)
    x, y = x - right, y - back
    cos, sin = np.cos(angle), np.sin(angle)
    return (cos * x + sin * y) / x_size, (cos * y - sin * x) / y_size


def _volume(
    rng: np.random.Generator,
    plane: np.ndarray,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    balls: Sequence[Ball],
) -> np.ndarray:
    voxels = np.repeat(plane[..., None], shape[2], axis=2).astype(np.float64)
    for ball in balls:
        voxels[inside(ball, shape, spacing)] = ball.hu
    return (voxels + 8 * rng.standard_normal(shape)).astype(np.int16)
