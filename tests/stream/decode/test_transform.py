"""Boxes between stored and shown images, and the trainer's way back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.boxes import Box, from_stored, to_stored
from qoqdata.errors import InputError, Misaligned
from qoqdata.stream.decode import Budget, ShownImage, Transform
from qoqtrain.rewards import truth_of_record

SIDE = st.integers(1, 4000)
EDGE = st.floats(0, 1, width=32)


def region(image, corners, **more):
    names = ("x_min", "y_min", "x_max", "y_max")
    return {"label": "nodule", "image": image, **dict(zip(names, corners, strict=True)), **more}


def corners(region):
    return tuple(region[name] for name in ("x_min", "y_min", "x_max", "y_max"))


@given(stored=st.tuples(SIDE, SIDE), shown=st.tuples(SIDE, SIDE), edges=st.tuples(*[EDGE] * 4))
def test_there_and_back_and_as_the_rewards_map_it(stored, shown, edges):
    x_min, x_max = sorted((edges[0] * stored[0], edges[2] * stored[0]))
    y_min, y_max = sorted((edges[1] * stored[1], edges[3] * stored[1]))
    if x_max - x_min < 1e-3 or y_max - y_min < 1e-3:
        return
    frame = ShownImage(0, stored, shown)
    box = Box(x_min, y_min, x_max, y_max)
    seen = frame.to_shown(box)
    assert tuple(frame.to_stored(seen)) == pytest.approx(tuple(box), abs=1e-6)
    assert tuple(seen) == pytest.approx(
        from_stored(tuple(box), stored_size=stored, seen_size=shown), rel=1e-12, abs=1e-9
    )
    back = to_stored(tuple(seen), stored_size=stored, seen_size=shown)
    assert back == pytest.approx(tuple(box), abs=1e-6)


def test_numbers_worked_out_by_hand():
    frame = ShownImage(3, (200, 100), (100, 25))
    assert frame.scale == (0.5, 0.25)
    shown = frame.to_shown(Box(20, 40, 60, 80))
    assert tuple(shown) == (10, 10, 30, 20)
    assert frame.thousandths(shown) == (100, 400, 300, 800)
    assert tuple(frame.from_thousandths((100, 400, 300, 800))) == (10, 10, 30, 20)


def test_thousandths_fit_the_rewards_frame():
    frame = ShownImage(0, (640, 480), (252, 196))
    stored = Box(64, 48, 320, 240)
    written = frame.thousandths(frame.to_shown(stored))
    assert written == (100, 100, 500, 500)
    back = to_stored(written, stored_size=frame.stored, seen_size=frame.shown, frame="thousandths")
    assert back == (64, 48, 320, 240)


def test_regions_are_renumbered_scaled_and_restored():
    plan = Transform((ShownImage(0, (100, 100), (50, 50)), ShownImage(4, (100, 200), (50, 50))))
    given_region = region(4, (10, 20, 30, 60), area=80.0, reader="A")
    shown = plan.show(given_region)
    assert shown == region(1, (5, 5, 15, 15), area=10.0, reader="A")
    assert plan.restore(shown) == given_region
    assert plan.show(region(2, (1, 1, 2, 2))) is None
    assert Transform.of([frame.facts() for frame in plan.frames]) == plan


def test_impossible_regions_are_refused():
    plan = Transform.plan([(100, 50)], None)
    with pytest.raises(Misaligned, match="leaves its image"):
        plan.show(region(0, (0, 0, 10, 51)))
    with pytest.raises(Misaligned, match="leaves its image"):
        plan.show(region(0, (-1, 0, 10, 10)))
    with pytest.raises(InputError, match="no area"):
        plan.show(region(0, (0, 0, 0, 0)))
    with pytest.raises(InputError, match="of 1 shown"):
        plan.restore(region(1, (0, 0, 1, 1)))


def test_truth_of_a_stored_record_takes_the_shown_sizes():
    """Rewards keep boxes in stored pixels and map predictions back by the sizes shown."""
    stored = (640, 480)
    plan = Transform.plan([stored], Budget(max_pixels=100 * 784))
    (frame,) = plan.frames
    row = {
        "id": "r",
        "answer": "nodule",
        "kind": "open",
        "regions": [region(0, (64, 48, 320, 240), area=None)],
        "image_info": [{"width": 640, "height": 480}],
    }
    truth = truth_of_record(row, seen_sizes=[frame.shown])
    prediction = corners(plan.show(row["regions"][0]))
    back = to_stored(prediction, stored_size=truth.stored_sizes[0], seen_size=truth.seen_sizes[0])
    assert back == pytest.approx((64, 48, 320, 240), abs=1e-9)
