"""Images against Pillow's filter, label maps against Pillow's nearest neighbour."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from qoqdata.stream.decode.transform import lost_codes, resize_image, resize_labels

SIDE = st.integers(1, 300)


def noise(seed, rows, columns, high=256, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, high, (rows, columns)).astype(dtype)


@settings(max_examples=300)
@given(stored=st.tuples(SIDE, SIDE), shown=st.tuples(SIDE, SIDE), seed=st.integers(0, 9))
def test_labels_come_from_the_pixel_under_the_centre(stored, shown, seed):
    codes = noise(seed, stored[1], stored[0], 7)
    found = resize_labels(codes, shown)
    assert found.shape == shown[::-1] and found.dtype == np.uint8
    for row in {0, shown[1] // 3, shown[1] - 1}:
        for column in {0, shown[0] // 2, shown[0] - 1}:
            # The centre in stored pixels is (column + 1/2) * stored / shown.
            x = (2 * column + 1) * stored[0] // (2 * shown[0])
            y = (2 * row + 1) * stored[1] // (2 * shown[1])
            assert found[row, column] == codes[y, x]


def off_edges(stored, shown):
    """Shown pixels whose centre does not lie on the edge between two stored ones."""
    return np.array([((2 * j + 1) * stored) % (2 * shown) != 0 for j in range(shown)])


@pytest.mark.parametrize("shown", [(30, 25), (128, 128), (401, 333), (7, 512)])
def test_labels_agree_with_opencv_and_pillow(shown):
    codes = noise(1, 255, 340, 60000, np.uint16)
    sure = np.ix_(off_edges(255, shown[1]), off_edges(340, shown[0]))
    assert sure[0].size > shown[1] // 2 and sure[1].size > shown[0] // 2
    found = resize_labels(codes, shown)
    exact = cv2.resize(codes, shown, interpolation=cv2.INTER_NEAREST_EXACT)
    assert found.dtype == np.uint16 and np.array_equal(found[sure], exact[sure])
    small = (codes % 251).astype(np.uint8)
    pillow = np.asarray(Image.fromarray(small).resize(shown, Image.Resampling.NEAREST))
    assert np.array_equal(resize_labels(small, shown)[sure], pillow[sure])


def test_integer_factors_are_exact():
    codes = noise(2, 24, 36)
    assert np.array_equal(resize_labels(codes, (12, 8)), codes[1::3, 1::3])
    assert np.array_equal(resize_labels(codes, (72, 48)), codes.repeat(2, 0).repeat(2, 1))
    assert resize_labels(codes, (36, 24)) is codes


def test_lost_codes_are_named():
    codes = np.zeros((100, 100), np.uint16)
    codes[10:60, 10:60] = 3
    codes[80, 80] = 40000
    assert lost_codes(codes, resize_labels(codes, (10, 10))) == [40000]
    assert lost_codes(codes, codes) == []


@pytest.mark.parametrize("ratio", [0.5, 0.9, 1.016, 1.05, 1.2, 1.5, 2, 3, 5])
def test_images_stay_near_the_policies_own_filter(ratio):
    y, x = np.mgrid[0:360, 0:300]
    image = np.stack([128 + 90 * np.sin(x / 9 + c) * np.cos(y / 13) for c in range(3)], -1)
    image = image.astype(np.uint8)
    size = round(300 / ratio), round(360 / ratio)
    found = resize_image(image, size)
    expected = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    assert found.shape == expected.shape and found.dtype == np.uint8
    assert np.abs(found.astype(int) - expected).mean() < 1.5


def test_shrinking_by_whole_factors_is_the_mean_of_each_block():
    image = noise(3, 64, 96)
    means = image.reshape(16, 4, 32, 3).mean(axis=(1, 3))
    found = resize_image(image, (32, 16))
    assert np.abs(found - means).max() <= 0.5 + 1e-6


def test_a_image_that_shrinks_one_way_and_grows_the_other_is_averaged_first():
    stripes = np.tile(np.array([0, 255], np.uint8), (8, 200))
    found = resize_image(stripes, (100, 16))
    assert found.shape == (16, 100)
    assert found.min() >= 127 and found.max() <= 128  # sampling alone would leave stripes


@pytest.mark.parametrize("size", [(160, 160), (61, 61), (160, 64), (61, 160)])
def test_growing_or_shrinking_by_little_is_bicubic(size):
    """Bicubic convolution overshoots beside an edge in either direction; averaging cannot."""
    step = np.full((64, 64), 100, np.uint8)
    step[:, 32:] = 150
    found = resize_image(step, size)
    assert found.max() > 151 and found.min() < 99
    assert resize_image(step, (40, 40)).max() == 150


def test_the_right_size_is_passed_on_untouched():
    image = noise(4, 20, 30)
    assert resize_image(image, (30, 20)) is image


def test_very_long_images():
    strip = np.repeat(noise(5, 1, 40000), 300, axis=0)
    assert resize_image(strip, (1400, 28)).shape == (28, 1400)
    assert np.array_equal(resize_labels(strip, (400, 3))[0], strip[0, 50::100])
