"""Box geometry: hand-worked values, and round trips for any box."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.errors import InputError
from qoqdata.readers import boxes
from qoqdata.readers.boxes import Box

_SIDE = st.integers(1, 4000)


@st.composite
def _placed(draw: st.DrawFn) -> tuple[Box, int, int]:
    """A box inside an image, with the image's width and height."""
    width, height = draw(_SIDE), draw(_SIDE)
    x_min, x_max = sorted(draw(st.tuples(st.floats(0, width), st.floats(0, width))))
    y_min, y_max = sorted(draw(st.tuples(st.floats(0, height), st.floats(0, height))))
    if x_max - x_min < 1e-3 or y_max - y_min < 1e-3:
        x_min, y_min, x_max, y_max = 0, 0, width, height
    return Box(x_min, y_min, x_max, y_max), width, height


def _corners(box: Box) -> np.ndarray:
    return np.array([box.x_min, box.y_min, box.x_max, box.y_max])


@pytest.mark.parametrize(
    "corners",
    [
        (math.nan, 0, 1, 1),
        (0, 0, math.inf, 1),
        (5, 0, 4, 1),
        (0, 5, 1, 4),
        (3, 0, 3, 1),
        (0, 2, 1, 2),
    ],
)
def test_a_box_without_area_is_refused(corners: tuple[float, ...]) -> None:
    with pytest.raises(InputError):
        Box(*corners)


def test_clip_by_hand() -> None:
    assert boxes.clip(Box(-5, 2, 7, 30), 20, 10) == Box(0, 2, 7, 10)
    assert boxes.clip(Box(20, 0, 25, 5), 20, 10) is None
    assert boxes.clip(Box(1, 1, 2, 2), 20, 10) == Box(1, 1, 2, 2)


def test_scale_by_hand() -> None:
    assert boxes.scale(Box(3, 4, 9, 8), (10, 8), (20, 4)) == Box(6, 2, 18, 4)


def test_crop_by_hand() -> None:
    assert boxes.crop(Box(3, 4, 9, 8), Box(5, 0, 20, 6)) == Box(0, 4, 4, 6)
    assert boxes.crop(Box(3, 4, 9, 8), Box(9, 0, 20, 6)) is None


def test_flip_moves_the_first_columns_to_the_last() -> None:
    assert boxes.flip(Box(0, 1, 3, 2), 10) == Box(7, 1, 10, 2)


def test_iou_by_hand() -> None:
    assert boxes.iou(Box(0, 0, 4, 4), Box(2, 2, 6, 6)) == pytest.approx(4 / 28)
    assert boxes.iou(Box(0, 0, 4, 4), Box(4, 0, 8, 4)) == 0.0


def test_thousandths_by_hand() -> None:
    assert boxes.to_normalised_1000(Box(64, 48, 320, 479), 640, 480) == (100, 100, 500, 998)
    assert boxes.from_normalised_1000((100, 100, 500, 998), 640, 480) == Box(64, 48, 320, 479.04)
    with pytest.raises(InputError):
        boxes.to_normalised_1000(Box(0, 0, 641, 480), 640, 480)


@pytest.mark.parametrize("size", [(0, 5), (-1, 5), (math.nan, 5)])
def test_an_impossible_image_size_is_refused(size: tuple[float, float]) -> None:
    with pytest.raises(InputError):
        boxes.scale(Box(0, 0, 1, 1), size, (4, 4))
    with pytest.raises(InputError):
        boxes.from_normalised_1000((0, 0, 1, 1), *size)


@given(_placed(), _SIDE, _SIDE)
def test_scaling_there_and_back(placed: tuple[Box, int, int], wide: int, high: int) -> None:
    box, width, height = placed
    there = boxes.scale(box, (width, height), (wide, high))
    back = boxes.scale(there, (wide, high), (width, height))
    np.testing.assert_allclose(_corners(back), _corners(box), rtol=1e-9, atol=1e-9)
    assert there.area == pytest.approx(box.area * wide * high / (width * height), rel=1e-6)


@given(_placed())
def test_flipping_twice_and_clipping_inside_change_nothing(placed: tuple[Box, int, int]) -> None:
    box, width, height = placed
    twice = boxes.flip(boxes.flip(box, width), width)
    np.testing.assert_allclose(_corners(twice), _corners(box), atol=1e-9)
    assert boxes.clip(box, width, height) == box
    assert boxes.crop(box, Box(0, 0, width, height)) == box


@given(_placed(), st.floats(-50, 50), st.floats(-50, 50))
def test_iou_is_symmetric_and_ignores_a_common_shift(
    placed: tuple[Box, int, int], right: float, down: float
) -> None:
    a, width, height = placed
    b = Box(0, 0, width / 2, height)

    def moved(box: Box) -> Box:
        return Box(box.x_min + right, box.y_min + down, box.x_max + right, box.y_max + down)

    assert boxes.iou(a, a) == pytest.approx(1)
    assert boxes.iou(a, b) == boxes.iou(b, a)
    assert 0 <= boxes.iou(a, b) <= 1 + 1e-12
    assert boxes.iou(moved(a), moved(b)) == pytest.approx(boxes.iou(a, b), rel=1e-6, abs=1e-7)


@given(_placed())
def test_thousandths_there_and_back(placed: tuple[Box, int, int]) -> None:
    box, width, height = placed
    corners = boxes.to_normalised_1000(box, width, height)
    assert all(isinstance(value, int) and 0 <= value <= 1000 for value in corners)
    back = boxes.from_normalised_1000(corners, width, height)
    limit = np.array([width, height] * 2) / 1000
    assert (np.abs(_corners(back) - _corners(box)) <= limit + 1e-9).all()
    if min(box.width / width, box.height / height) > 0.002:
        assert (np.abs(_corners(back) - _corners(box)) <= limit / 2 + 1e-9).all()


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_iou_counts_pixels(width: int, height: int, data: st.DataObject) -> None:
    """On whole coordinates the measure is a count of pixels in two drawn rectangles."""

    def drawn() -> tuple[Box, np.ndarray]:
        x_min, y_min = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
        x_max = data.draw(st.integers(x_min + 1, width))
        y_max = data.draw(st.integers(y_min + 1, height))
        grid = np.zeros((height, width), bool)
        grid[y_min:y_max, x_min:x_max] = True
        return Box(x_min, y_min, x_max, y_max), grid

    (a, grid_a), (b, grid_b) = drawn(), drawn()
    expected = (grid_a & grid_b).sum() / (grid_a | grid_b).sum()
    assert boxes.iou(a, b) == pytest.approx(expected)
