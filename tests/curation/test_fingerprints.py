"""Fingerprints and thumbnails: what changes them, and what does not."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from qoqdata.curation.fingerprints import THUMBNAIL, fingerprint, thumbnail
from tests.curation.scenes import scene


def encoded(pixels: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "encoded again": lambda one: encoded(one, 60),
    "half the size": lambda one: cv2.resize(
        one, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA
    ),
    "brighter": lambda one: np.clip(one * 1.1 + 8, 0, 255).astype(np.uint8),
    "another gamma": lambda one: (255 * (one / 255) ** 0.85).astype(np.uint8),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("seed", range(8))
def test_a_changed_copy_is_still_known(change: str, seed: int) -> None:
    one = scene(seed)
    other = CHANGES[change](one)
    first, second = fingerprint(one), fingerprint(other)
    assert first is not None and second is not None
    assert (first ^ second).bit_count() <= 7
    assert thumbnail(one) @ thumbnail(other) > 0.98


def test_other_images_are_far() -> None:
    found = [fingerprint(scene(seed)) for seed in range(60)]
    apart = [
        (one ^ other).bit_count()
        for n, one in enumerate(found)
        for other in found[:n]
        if one is not None and other is not None
    ]
    assert len(apart) == 60 * 59 // 2
    assert min(apart) > 7
    assert 28 < np.mean(apart) < 36  # half of 64 bits by chance


def test_half_of_the_bits_are_set() -> None:
    bits = fingerprint(scene(1))
    assert bits is not None
    assert bits.bit_count() == 32


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_uniform_image_has_none(level: int) -> None:
    assert fingerprint(np.full((50, 70, 3), level, np.uint8)) is None


def test_a_thumbnail_is_a_unit_vector_without_mean() -> None:
    found = thumbnail(scene(2))
    assert found.shape == (THUMBNAIL**2,)
    assert float(found @ found) == pytest.approx(1.0, abs=1e-5)
    assert float(found.sum()) == pytest.approx(0.0, abs=1e-3)
    assert not thumbnail(np.zeros((9, 9, 3), np.uint8)).any()
