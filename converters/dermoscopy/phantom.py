"""Made-up photographs of skin with a lesion, for simulators."""

from __future__ import annotations

import cv2
import numpy as np

from qoqdata.simulation import blob


def lesion_on_skin(
    rng: np.random.Generator, shape: tuple[int, int], *, malignant: bool
) -> np.ndarray:
    """(rows, columns, 3) uint8: a lesion of one brown, or of several with an uneven edge."""
    return _photograph(rng, shape, [blob(rng, shape) for _ in range(3 if malignant else 1)])


def skin_around(rng: np.random.Generator, lesion: np.ndarray, *, malignant: bool) -> np.ndarray:
    """(rows, columns, 3) uint8: skin with a lesion where the mask is set, mottled if malignant."""
    spots = [lesion] + [lesion & blob(rng, lesion.shape) for _ in range(2 * malignant)]
    return _photograph(rng, lesion.shape, spots)


def _photograph(
    rng: np.random.Generator, shape: tuple[int, ...], spots: list[np.ndarray]
) -> np.ndarray:
    skin = np.array([224, 178, 152]) + rng.uniform(-25, 15, 3)
    picture = skin + 4 * rng.standard_normal((*shape, 1))
    for spot in spots:
        brown = np.array([120, 72, 48]) + rng.uniform(-45, 35) * np.ones(3)
        picture[spot] = brown + 5 * rng.standard_normal((int(spot.sum()), 1))
    soft = cv2.GaussianBlur(picture.astype(np.float32), (3, 3), 0)
    return np.clip(soft, 0, 255).astype(np.uint8)
