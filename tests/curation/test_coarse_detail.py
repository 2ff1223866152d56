"""The detail of small images rules out what larger ones would, and nothing that they would not."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from qoqdata.curation import coarse_detail
from qoqdata.curation.coarse_detail import coarse_details, may_be_of_detail
from qoqdata.curation.details import detail_of, small_grey
from qoqdata.records.likeness import WAYS, image_likeness, turned
from tests.scenes import scene

_LEAST = 0.85


def _small(pixels: np.ndarray) -> np.ndarray:
    return np.frombuffer(image_likeness(np.ascontiguousarray(pixels)).thumbnail, np.uint8)


def _jpeg(pixels: np.ndarray) -> np.ndarray:
    encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


_CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "jpeg": _jpeg,
    "smaller": lambda one: cv2.resize(one, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA),
    "window": lambda one: np.clip(one * 1.4 - 30, 0, 255).astype(np.uint8),
    "darker": lambda one: (255 * (one / 255) ** 1.4).astype(np.uint8),
    "low contrast": lambda one: np.rint(100 + one / 20).astype(np.uint8),
    "cut": lambda one: one[4:-4, 4:-4],
}


def test_the_coarse_shades_that_are_taken_off_are_those_of_a_binomial_window() -> None:
    small = np.random.default_rng(1).integers(0, 256, (5, 16, 16), np.uint8)
    window = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]).astype(np.float64)
    around = cv2.BORDER_REFLECT_101
    expected = [
        256.0 * one - cv2.filter2D(one.astype(np.float64), -1, window, borderType=around)
        for one in small
    ]
    given = coarse_details(small.reshape(5, 256))
    np.testing.assert_array_equal(given.reshape(5, 16, 16), expected)


@pytest.mark.parametrize("change", _CHANGES)
def test_no_copy_is_ruled_out_whose_detail_correlates(change: str) -> None:
    """Whichever way it lies."""
    kept = 0
    for number in range(6):
        whole = scene(number)
        for way in range(len(WAYS)):
            copy = _CHANGES[change](np.rot90(whole, way // 2)[:, :: -1 if way % 2 else 1])
            small = np.stack([_small(whole), _small(copy)])
            for back in range(len(WAYS)):
                lies = turned(small_grey(np.ascontiguousarray(copy)))[back]
                detail = float(detail_of(small_grey(whole)) @ detail_of(lies))
                one, other = np.array([0]), np.array([1])
                if detail >= _LEAST:
                    kept += 1
                    assert may_be_of_detail(one, other, np.array([back]), small, _LEAST).all()
    assert kept >= 6 * len(WAYS) * (0.5 if change == "cut" else 1)


def test_what_is_alike_in_coarse_shades_alone_is_ruled_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coarse_detail, "_AT_ONCE", 7)
    rng = np.random.default_rng(2)
    shades = 60 * cv2.resize(rng.normal(0, 1, (3, 3)), (16, 16), interpolation=cv2.INTER_CUBIC)
    own = rng.normal(0, 8, (20, 16, 16))
    small = np.clip(128 + shades + own, 0, 255).astype(np.uint8).reshape(20, 256)
    units = small - small.mean(axis=1, keepdims=True)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    assert (units @ units.T).min() > 0.95
    one, other = np.triu_indices(20)
    way = np.zeros(len(one), np.int64)
    possible = may_be_of_detail(one, other, way, small, _LEAST)
    np.testing.assert_array_equal(possible, one == other)


def test_hardly_any_detail_rules_nothing_out() -> None:
    """Values are rounded: what is left of them is chance."""
    rng = np.random.default_rng(3)
    ramp = np.linspace(100, 108, 256).reshape(16, 16)
    small = np.rint(ramp + rng.uniform(-0.5, 0.5, (30, 16, 16))).astype(np.uint8).reshape(30, 256)
    one, other = np.triu_indices(30, 1)
    assert may_be_of_detail(one, other, np.zeros(len(one), np.int64), small, _LEAST).all()
    flat = np.full((2, 256), 7, np.uint8)
    assert may_be_of_detail(np.array([0]), np.array([1]), np.array([3]), flat, 1.0).all()
