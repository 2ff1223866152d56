"""Box geometry: hand-worked values, and round trips for any box and any frame."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata import boxes
from qoqdata.boxes import Box
from qoqdata.errors import InputError
from qoqdata.readers.image.exif import upright

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
    def clip(box: Box) -> Box | None:
        return boxes.with_area(boxes.clipped(box, (20, 10)))

    assert clip(Box(-5, 2, 7, 30)) == Box(0, 2, 7, 10)
    assert clip(Box(20, 0, 25, 5)) is None
    assert clip(Box(1, 1, 2, 2)) == Box(1, 1, 2, 2)


def test_cut_by_hand() -> None:
    """A hand slips over the edge by a tenth of the side at most."""
    assert boxes.cut((-4, 0, 30, 50), (40, 50)) == (0, 0, 30, 50)
    assert boxes.cut((-4.1, 0, 30, 50), (40, 50)) is None
    assert boxes.cut((0, 20, 30, 55), (40, 50)) == (0, 20, 30, 50)
    assert boxes.cut((0, 20, 30, 55.1), (40, 50)) is None
    assert boxes.cut((30, 20, 10, 40), (40, 50)) is None
    assert boxes.cut((40, 20, 42, 40), (40, 50)) is None


def test_scale_by_hand() -> None:
    assert boxes.scale(Box(3, 4, 9, 8), (10, 8), (20, 4)) == Box(6, 2, 18, 4)


def test_iou_by_hand() -> None:
    assert boxes.iou(Box(0, 0, 4, 4), Box(2, 2, 6, 6)) == pytest.approx(4 / 28)
    assert boxes.iou(Box(0, 0, 4, 4), Box(4, 0, 8, 4)) == 0.0


def test_thousandths_by_hand() -> None:
    assert boxes.to_thousandths(Box(64, 48, 320, 479), (640, 480)) == (100, 100, 500, 998)
    assert boxes.from_thousandths((100, 100, 500, 998), (640, 480)) == Box(64, 48, 320, 479.04)
    with pytest.raises(InputError):
        boxes.to_thousandths(Box(0, 0, 641, 480), (640, 480))


@pytest.mark.parametrize("size", [(0, 5), (-1, 5), (math.nan, 5)])
def test_an_impossible_image_size_is_refused(size: tuple[float, float]) -> None:
    with pytest.raises(InputError):
        boxes.scale(Box(0, 0, 1, 1), size, (4, 4))
    with pytest.raises(InputError):
        boxes.from_thousandths((0, 0, 1, 1), size)


@given(_placed(), _SIDE, _SIDE)
def test_scaling_there_and_back(placed: tuple[Box, int, int], wide: int, high: int) -> None:
    box, width, height = placed
    there = boxes.scale(box, (width, height), (wide, high))
    back = boxes.scale(there, (wide, high), (width, height))
    np.testing.assert_allclose(_corners(back), _corners(box), rtol=1e-9, atol=1e-9)
    assert there.area == pytest.approx(box.area * wide * high / (width * height), rel=1e-6)


@given(_placed())
def test_clipping_inside_changes_nothing(placed: tuple[Box, int, int]) -> None:
    box, width, height = placed
    assert boxes.with_area(boxes.clipped(box, (width, height))) == box


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
    corners = boxes.to_thousandths(box, (width, height))
    assert all(isinstance(value, int) and 0 <= value <= 1000 for value in corners)
    back = boxes.from_thousandths(corners, (width, height))
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


SIZES = st.tuples(_SIDE, _SIDE)
CORNERS = st.tuples(*[st.floats(-5000, 5000)] * 4)
FRAMES = st.sampled_from(["pixels", "thousandths"])


@given(CORNERS, SIZES, SIZES, FRAMES)
def test_frames_there_and_back(corners: Any, stored: Any, seen: Any, frame: Any) -> None:
    frames = {"stored_size": stored, "seen_size": seen, "frame": frame}
    there = boxes.to_stored(corners, **frames)
    assert boxes.from_stored(there, **frames) == pytest.approx(corners, rel=1e-12, abs=1e-9)
    again = boxes.from_stored(corners, **frames)
    assert boxes.to_stored(again, **frames) == pytest.approx(corners, rel=1e-12, abs=1e-9)


@given(st.tuples(*[st.integers(0, 999)] * 2, *[st.integers(1, 99)] * 2), SIZES, SIZES)
def test_frames_agree_with_scale_and_thousandths(box: Any, stored: Any, seen: Any) -> None:
    left, top, width, height = box
    corners = (left, top, left + width, top + height)
    read = boxes.from_thousandths(corners, stored)
    expected = (read.x_min, read.y_min, read.x_max, read.y_max)
    ours = boxes.to_stored(corners, stored_size=stored, seen_size=seen, frame="thousandths")
    assert ours == pytest.approx(expected)
    moved = boxes.scale(Box(*corners), seen, stored)
    expected = (moved.x_min, moved.y_min, moved.x_max, moved.y_max)
    assert boxes.to_stored(corners, stored_size=stored, seen_size=seen) == pytest.approx(expected)


@given(SIZES, SIZES, FRAMES)
def test_the_whole_image_stays_whole(stored: Any, seen: Any, frame: Any) -> None:
    width, height = (1000, 1000) if frame == "thousandths" else seen
    ours = boxes.to_stored((0, 0, width, height), stored_size=stored, seen_size=seen, frame=frame)
    assert ours == pytest.approx((0, 0, *stored))


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (float("inf"), 4), (float("nan"), 4)])
def test_impossible_sizes_of_frames_are_refused(size: Any) -> None:
    with pytest.raises(InputError):
        boxes.to_stored((0, 0, 1, 1), stored_size=size, seen_size=(4, 4))
    with pytest.raises(InputError):
        boxes.from_stored((0, 0, 1, 1), stored_size=(4, 4), seen_size=size)


@given(CORNERS, SIZES)
def test_clipping_keeps_what_is_inside(corners: Any, size: Any) -> None:
    x1, y1, x2, y2 = boxes.clipped(boxes.ordered(corners), size)
    assert 0 <= x1 <= x2 <= size[0] and 0 <= y1 <= y2 <= size[1]
    assert boxes.clipped((x1, y1, x2, y2), size) == (x1, y1, x2, y2)


def test_pixel_edges() -> None:
    assert boxes.pixel_edges((65.7, 85, 159.7, 113)) == (65, 85, 160, 114)
    assert boxes.pixel_edges((159, 113, 65, 85)) == (65, 85, 160, 114)
    assert boxes.pixel_edges((65, 85, 65, 113)) == (65, 85, 65, 113)


@given(_placed(), st.tuples(_SIDE, _SIDE), st.sampled_from(["pixels", "thousandths"]))
def test_whole_corners_stay_inside_and_within_half_a_unit_or_one_for_thin_sides(
    placed: tuple[Box, int, int], seen: tuple[int, int], frame: boxes.BoxFrame
) -> None:
    box, width, height = placed
    found = boxes.whole_corners(box, stored_size=(width, height), seen_size=seen, frame=frame)
    size = (1000, 1000) if frame == "thousandths" else seen
    assert 0 <= found[0] < found[2] <= size[0] and 0 <= found[1] < found[3] <= size[1]
    exact = boxes.from_stored(box, stored_size=(width, height), seen_size=seen, frame=frame)
    assert np.abs(np.subtract(found, exact)).max() <= 1.0 + 1e-6


def test_whole_corners_by_hand() -> None:
    sizes: dict[str, Any] = {"stored_size": (200, 100), "seen_size": (100, 40)}
    # Halved in x, 30.5 goes up; times 0.4 in y.
    assert boxes.whole_corners(Box(20, 10, 61, 40), **sizes) == (10, 4, 31, 16)
    thousandths = boxes.whole_corners(Box(20, 10, 61, 40), **sizes, frame="thousandths")
    assert thousandths == (100, 100, 305, 400)
    assert boxes.whole_corners(Box(199.5, 99, 200, 100), **sizes) == (99, 39, 100, 40)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_turns_with_its_image(orientation: int) -> None:
    """The pixels of the box, turned as the image is, are those of the turned box."""
    pixels = np.zeros((5, 7), np.uint8)
    pixels[1:3, 2:6] = 1
    rows, columns = np.nonzero(upright(pixels, orientation))
    expected = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert boxes.turned((2, 1, 6, 3), (7, 5), orientation) == expected


def test_shares_of_an_image_are_no_pixels() -> None:
    """0.1 to 0.4 of an image is a box within its first pixel; a box of a pixel is one."""
    assert boxes.cut((0.1, 0.2, 0.4, 0.9), (1000, 800)) is None
    assert boxes.cut((3.0, 4.0, 4.0, 4.5), (1000, 800)) == (3.0, 4.0, 4.0, 4.5)
    assert boxes.within_pixel((0.0, 0.0, 0.99, 0.99))
    assert not boxes.within_pixel((0.0, 0.0, 0.5, 1.0))
