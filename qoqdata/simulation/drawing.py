"""Pixels and signals that look a little like real ones, and no two alike."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

#: The limb leads as sums of I and II; the others are waves of their own.
_LIMB = {
    "I": (1.0, 0.0),
    "II": (0.0, 1.0),
    "III": (-1.0, 1.0),
    "AVR": (-0.5, -0.5),
    "AVL": (1.0, -0.5),
    "AVF": (-0.5, 1.0),
}
#: Waves of a beat: place in the beat, width (both in s), height in mV.
_WAVES = ((-0.16, 0.025, 0.12), (-0.02, 0.008, -0.1), (0, 0.011, 1.0), (0.025, 0.009, -0.2))
_T_WAVE = (0.26, 0.05, 0.3)
#: Beyond so many widths a wave is below 1e-13 of its height.
_REACH = 8


def film(rng: np.random.Generator, shape: tuple[int, int], *, bits: int = 8) -> np.ndarray:
    """A grey picture of (rows, columns): two dark fields in a bright body, clouds and grain.

    uint8 up to 8 bits, uint16 above; the values use all of `bits`.
    """
    rows, columns = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    picture = 0.75 - 0.35 * (rows**2 + columns**2)
    for side in (-1, 1):
        centre = side * rng.uniform(0.35, 0.5)
        field = ((columns - centre) / 0.3) ** 2 + ((rows - rng.uniform(-0.1, 0.1)) / 0.7) ** 2
        picture = picture - rng.uniform(0.3, 0.4) / (1 + np.exp(8 * (field - 1)))
    picture = picture + 0.15 * _clouds(rng, shape) + 0.02 * rng.standard_normal(shape)
    return _quantised(picture, bits)


def photograph(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """A colour picture, (rows, columns, 3) uint8: stained clouds of two hues."""
    ink, paper = rng.uniform(40, 150, 3), rng.uniform(150, 240, 3)
    share = 0.5 + 0.5 * np.clip(_clouds(rng, shape), -1, 1)[..., None]
    grain = 6 * rng.standard_normal((*shape, 1))
    return np.clip(share * paper + (1 - share) * ink + grain, 0, 255).astype(np.uint8)


def scan(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """A CT-like volume of `shape`, int16 in HU: an ellipse of tissue in air along the last axis."""
    first, second = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    body = (first / rng.uniform(0.75, 0.9)) ** 2 + (second / rng.uniform(0.6, 0.8)) ** 2 < 1
    clouds = np.stack([_clouds(rng, shape[:2]) for _ in range(shape[2])], axis=2)
    values = np.where(body[..., None], 40 + 60 * clouds, -1000)
    return (values + 12 * rng.standard_normal(shape)).astype(np.int16)


def blob(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """An ellipse well inside (rows, columns), as bool: a lesion, an organ, a box to be found.

    At least 2 pixels in each direction; `shape` is of at least 8 x 8 pixels.
    """
    rows, columns = shape
    radii = [max(2.0, size * rng.uniform(0.08, 0.22)) for size in shape]
    centre = [rng.uniform(0.3, 0.7) * (size - 1) for size in shape]
    y, x = np.ogrid[:rows, :columns]
    return ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 <= 1


def ecg(rng: np.random.Generator, fs: float, seconds: float, leads: Sequence[str]) -> np.ndarray:
    """Beats in mV, (leads, samples) float64, with wander and noise.

    Limb leads obey Einthoven and Goldberger: III = II - I, and the augmented ones accordingly.
    """
    times = np.arange(round(fs * seconds)) / fs
    starts = np.arange(rng.uniform(0, 0.5), seconds + 1, 60 / rng.uniform(50, 110))
    waves = (*_WAVES, _T_WAVE)
    # All leads have the same beats; only the heights of the waves are a lead's own.
    trains = np.stack([_train(times, starts + place, width) for place, width, _ in waves])
    heights = np.array([height for _, _, height in waves])
    first, second = (_beats(rng, times, trains, heights) for _ in range(2))
    rows = []
    for lead in leads:
        limb = _LIMB.get(lead.upper())
        if limb is None:
            rows.append(_beats(rng, times, trains, heights))
        else:
            rows.append(limb[0] * first + limb[1] * second)
    return np.stack(rows)


def _train(times: np.ndarray, centres: np.ndarray, width: float) -> np.ndarray:
    """Bell curves of unit height about `centres`, added up at `times` (ascending)."""
    train = np.zeros(len(times))
    begins = np.searchsorted(times, centres - _REACH * width)
    ends = np.searchsorted(times, centres + _REACH * width)
    for centre, begin, end in zip(centres, begins, ends, strict=True):
        train[begin:end] += np.exp(-(((times[begin:end] - centre) / width) ** 2) / 2)
    return train


def _beats(
    rng: np.random.Generator, times: np.ndarray, trains: np.ndarray, heights: np.ndarray
) -> np.ndarray:
    """One lead: wander, noise, and the waves `trains` (waves, samples) in heights of its own."""
    wander = 0.05 * np.sin(2 * np.pi * (0.3 * times + rng.uniform()))
    noise = 0.01 * rng.standard_normal(len(times))
    scale = rng.uniform(0.5, 1.3)
    sizes = heights * scale * rng.uniform(0.8, 1.2, len(heights))
    return wander + noise + (sizes[:, None] * trains).sum(axis=0)


def _clouds(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Smooth noise of about unit spread, (rows, columns)."""
    rows, columns = shape
    coarse = rng.standard_normal((6, 6)).astype(np.float32)
    return cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC).astype(np.float64)


def _quantised(picture: np.ndarray, bits: int) -> np.ndarray:
    low, high = picture.min(), picture.max()
    levels = (picture - low) / (high - low) * (2**bits - 1)
    return np.round(levels).astype(np.uint8 if bits <= 8 else np.uint16)
