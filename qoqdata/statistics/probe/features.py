"""Frozen features of what a record shows: nothing in them is learnt, so nothing can leak.

Images: a thumbnail, colour histograms and histograms of oriented gradients (Dalal and Triggs,
CVPR 2005). ECGs: spectrum and amplitude by lead name. Text: counts of hashed words.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqdata.readers.ecg.leads import TWELVE

Features = NDArray[np.float32]

_THUMBNAIL, _SIDE, _CELLS, _ANGLES = 16, 64, 8, 8
_LEVELS = 16
#: Edges in Hz of the bands of an ECG's spectrum, between baseline wander and muscle noise.
_BANDS = np.geomspace(0.5, 40.0, 17)
_AMPLITUDES = 5
_WORDS = 512

IMAGE = _THUMBNAIL**2 + 3 * _LEVELS + _CELLS**2 * _ANGLES
ECG = len(TWELVE) * (len(_BANDS) - 1 + _AMPLITUDES)
TEXT = _WORDS


def of_record(record: Mapping[str, Any]) -> Features:
    """float32 (IMAGE + ECG + TEXT,) of a decoded record; parts that it lacks are 0.

    Several images are their mean. `record` has `images` as uint8 (rows, columns, 3) arrays, `ecg`
    as the stream decodes it, and `context`.
    """
    images = [of_image(image) for image in record.get("images") or ()]
    ecg = record.get("ecg")
    return np.concatenate(
        [
            np.mean(images, axis=0) if images else np.zeros(IMAGE, np.float32),
            np.zeros(ECG, np.float32) if ecg is None else of_ecg(ecg),
            of_text(record.get("context") or ""),
        ]
    )


def of_image(pixels: NDArray[np.uint8]) -> Features:
    """float32 (IMAGE,) of uint8 RGB (rows, columns, 3)."""
    import cv2

    small = cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    thumbnail = cv2.resize(grey, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    levels = small.astype(np.int64) * _LEVELS // 256 + np.arange(3) * _LEVELS
    colours = np.bincount(levels.ravel(), minlength=3 * _LEVELS) / small[..., 0].size
    parts = (thumbnail.ravel(), colours, _gradients(grey))
    return np.concatenate(parts).astype(np.float32)


def of_ecg(ecg: Mapping[str, Any]) -> Features:
    """float32 (ECG,) of a decoded ECG: `leads`, `fs` in Hz, `signal` in mV and `valid`, both
    (leads, samples). Leads outside the twelve are left out, absent ones are 0."""
    by_lead = np.zeros((len(TWELVE), ECG // len(TWELVE)), np.float32)
    for name, signal, valid in zip(ecg["leads"], ecg["signal"], ecg["valid"], strict=True):
        if name in TWELVE and valid.any():
            by_lead[TWELVE.index(name)] = _lead(signal, valid, float(ecg["fs"]))
    return by_lead.ravel()


def of_text(text: str) -> Features:
    """float32 (TEXT,): log counts of the words, each at the place that its hash names."""
    counts = np.zeros(_WORDS)
    for word in re.findall(r"\w+", text.lower()):
        counts[_place(word)] += 1
    return np.log1p(counts).astype(np.float32)


def _gradients(grey: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Orientation histograms of square cells, weighted by the gradient, of length 1 together."""
    down, across = np.gradient(grey)
    strength = np.hypot(down, across)
    turn = (np.arctan2(down, across) / np.pi) % 1.0  # a gradient and its opposite are one edge
    angle = np.minimum((turn * _ANGLES).astype(int), _ANGLES - 1)
    cell = np.arange(_SIDE) * _CELLS // _SIDE
    place = (cell[:, None] * _CELLS + cell) * _ANGLES + angle
    histogram = np.bincount(place.ravel(), strength.ravel(), minlength=_CELLS**2 * _ANGLES)
    return histogram / max(float(np.linalg.norm(histogram)), 1e-6)


def _lead(signal: Features, valid: NDArray[np.bool_], fs: float) -> NDArray[np.float64]:
    """Log power by band, and the size and shape of the amplitude, of one lead."""
    usable = signal[valid].astype(np.float64)
    wave = np.where(valid, signal - np.median(usable), 0.0)
    power = np.abs(np.fft.rfft(wave)) ** 2 / len(wave)
    hertz = np.fft.rfftfreq(len(wave), 1 / fs)
    bands = [power[(hertz >= low) & (hertz < high)].sum() for low, high in pairwise(_BANDS)]
    low, middle, high = np.percentile(usable, (1, 50, 99))
    steps = np.abs(np.diff(usable, prepend=usable[0])).mean()
    shape = (low - middle, high - middle, usable.std(), steps, valid.mean())
    return np.array([*np.log(np.array(bands) + 1e-6), *shape])


@lru_cache(maxsize=1 << 16)
def _place(word: str) -> int:
    return int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") % _WORDS
