"""Frames: what the policy saw and what is stored."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.errors import InputError
from qoqdata.readers import boxes as stored_boxes
from qoqtrain.rewards import score
from qoqtrain.rewards.coordinates import clipped, from_stored, ordered, pixel_edges, to_stored

SIDES = st.integers(1, 5000)
SIZES = st.tuples(SIDES, SIDES)
CORNERS = st.tuples(*[st.floats(-5000, 5000)] * 4)
FRAMES = st.sampled_from(["pixels", "thousandths"])


@given(CORNERS, SIZES, SIZES, FRAMES)
def test_there_and_back(corners: Any, stored: Any, seen: Any, frame: Any) -> None:
    frames = {"stored": stored, "seen": seen, "frame": frame}
    there = to_stored(corners, **frames)
    assert from_stored(there, **frames) == pytest.approx(corners, rel=1e-12, abs=1e-9)
    again = from_stored(corners, **frames)
    assert to_stored(again, **frames) == pytest.approx(corners, rel=1e-12, abs=1e-9)


@given(st.tuples(*[st.integers(0, 999)] * 2, *[st.integers(1, 99)] * 2), SIZES, SIZES)
def test_agrees_with_the_readers(box: Any, stored: Any, seen: Any) -> None:
    left, top, width, height = box
    corners = (left, top, left + width, top + height)
    read = stored_boxes.from_normalised_1000(corners, *stored)
    expected = (read.x_min, read.y_min, read.x_max, read.y_max)
    ours = to_stored(corners, stored=stored, seen=seen, frame="thousandths")
    assert ours == pytest.approx(expected)
    moved = stored_boxes.scale(stored_boxes.Box(*corners), seen, stored)
    expected = (moved.x_min, moved.y_min, moved.x_max, moved.y_max)
    assert to_stored(corners, stored=stored, seen=seen) == pytest.approx(expected)


@given(SIZES, SIZES, FRAMES)
def test_the_whole_image_stays_whole(stored: Any, seen: Any, frame: Any) -> None:
    width, height = (1000, 1000) if frame == "thousandths" else seen
    ours = to_stored((0, 0, width, height), stored=stored, seen=seen, frame=frame)
    assert ours == pytest.approx((0, 0, *stored))


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (float("inf"), 4), (float("nan"), 4)])
def test_impossible_sizes_are_refused(size: Any) -> None:
    with pytest.raises(InputError):
        to_stored((0, 0, 1, 1), stored=size, seen=(4, 4))
    with pytest.raises(InputError):
        from_stored((0, 0, 1, 1), stored=(4, 4), seen=size)


@given(CORNERS, SIZES)
def test_clipping_keeps_what_is_inside(corners: Any, size: Any) -> None:
    x1, y1, x2, y2 = clipped(ordered(corners), size)
    assert 0 <= x1 <= x2 <= size[0] and 0 <= y1 <= y2 <= size[1]
    assert clipped((x1, y1, x2, y2), size) == (x1, y1, x2, y2)


def test_pixel_edges() -> None:
    assert pixel_edges((65.7, 85, 159.7, 113)) == (65, 85, 160, 114)
    assert pixel_edges((159, 113, 65, 85)) == (65, 85, 160, 114)
    assert pixel_edges((65, 85, 65, 113)) == (65, 85, 65, 113)


@pytest.mark.parametrize("frame", ["pixels", "thousandths"])
def test_a_resized_image_is_scored_in_its_stored_pixels(frame: Any) -> None:
    """Stored 1000 x 400, shown at 504 x 196: not one ratio for both sides."""
    stored, seen = (1000, 400), (504, 196)
    true = (100.0, 40.0, 500.0, 200.0)
    mask = np.zeros((400, 1000), np.uint8)
    mask[40:200, 100:500] = 1
    written = from_stored(true, stored=stored, seen=seen, frame=frame)
    items = [{"bbox_2d": list(written), "label": "x"}]
    response = f"```json\n{json.dumps(items)}\n```\\boxed{{A}}"
    edges = dict(zip(("x_min", "y_min", "x_max", "y_max"), true, strict=True))
    sizes = {"answer": "A", "stored_sizes": [stored], "seen_sizes": [seen], "frame": frame}
    for truth in (
        {**sizes, "regions": [{"label": "x", "image": 0, **edges}]},
        {**sizes, "masks": [mask]},
    ):
        assert score([response], [truth])[0]["grounding"] == pytest.approx(1.0)
        unmapped = {**truth, "seen_sizes": [stored], "frame": "pixels"}
        assert score([response], [unmapped])[0]["grounding"] < 0.5
