"""Made-up sonograms, for simulators."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np


def sonogram(
    rng: np.random.Generator, shape: tuple[int, int], dark: Sequence[np.ndarray] = ()
) -> np.ndarray:
    """(rows, columns) uint8: speckle in layers, dark where a mask of `dark` is set."""
    rows, columns = shape
    layers = cv2.resize(rng.uniform(60, 150, (6, 1)).astype(np.float32), (columns, rows))
    speckle = rng.rayleigh(0.8, shape).astype(np.float32)
    picture = layers * cv2.GaussianBlur(speckle, (3, 3), 0)
    for mask in dark:
        picture[mask] *= 0.25
    return np.clip(picture, 0, 255).astype(np.uint8)
