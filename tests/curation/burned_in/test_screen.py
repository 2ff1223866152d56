"""The screen marks lines of text, and little else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.curation.burned_in.screen import CERTAIN, MARKED, marks
from tests.curation.burned_in.films import write
from tests.scenes import scene


@pytest.mark.parametrize("text", ["SMITH^JOHN", "geb. 22.07.1943", "姓名 欧阳建国", "MRN 00483726"])
@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (255, 255, 40)])
def test_a_line_is_marked_where_it_stands(text: str, colour: tuple[int, int, int]) -> None:
    ground = scene(4, 320)
    pixels = write(ground, text, at=(30, 200), colour=colour)
    rows, columns = np.nonzero((pixels != ground).any(axis=2))
    best = marks(pixels)[0]
    assert best.score >= CERTAIN and not best.short
    # Independent of the screen: the pixels that the line changed lie in the box, but for edges.
    inside = (columns >= best.x0) & (columns < best.x1) & (rows >= best.y0) & (rows < best.y1)
    assert inside.mean() > 0.9
    assert best.y1 - best.y0 < 3 * (np.ptp(rows) + 1)


def test_smooth_images_have_no_mark() -> None:
    assert [marks(scene(seed, 320)) for seed in range(8)] == [[]] * 8
    assert marks(np.zeros((64, 64), np.uint8)) == []


def test_a_marker_is_no_line() -> None:
    for letter in ("L", "R"):
        assert [mark for mark in marks(write(scene(5, 320), letter)) if not mark.short] == []


def test_grey_is_seen_as_colour_is() -> None:
    grey = cv2.cvtColor(write(scene(6, 320), "Mary O'Connor"), cv2.COLOR_RGB2GRAY)
    assert marks(grey) == marks(np.repeat(grey[..., None], 3, axis=2))


def test_boxes_of_large_images_are_in_their_own_pixels() -> None:
    small = write(scene(7, 500), "ID 4711-0815", at=(100, 300))
    large = cv2.resize(small, (2000, 2000), interpolation=cv2.INTER_CUBIC)
    near, far = marks(small)[0], marks(large)[0]
    assert np.allclose(np.array(far[:4]) / 4, near[:4], atol=8)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32 - 1), st.booleans())
def test_any_image_can_be_looked_at(rows: int, columns: int, seed: int, colour: bool) -> None:
    shape = (rows, columns, 3) if colour else (rows, columns)
    pixels = np.random.default_rng(seed).integers(0, 2, shape).astype(np.uint8) * 255
    for mark in marks(pixels, MARKED):
        assert 0 <= mark.x0 < mark.x1 <= columns and 0 <= mark.y0 < mark.y1 <= rows
