"""Rate and duration from time stamps, and what is noted when the header disagrees."""

from __future__ import annotations

import pytest

from qoqdata.readers import video_timing


def test_regular_stamps_confirm_the_header() -> None:
    timing = video_timing.from_stamps([0, 33, 67, 100, 133], 30.0)  # whole milliseconds, as WebM
    assert (timing.fps, timing.repairs) == (30.0, ())
    assert timing.duration_s == pytest.approx(5 / 30)


def test_a_wrong_stated_rate_is_replaced() -> None:
    timing = video_timing.from_stamps([0, 40, 80, 120], 50.0)
    assert timing.fps == pytest.approx(25)
    assert timing.duration_s == pytest.approx(0.16)
    assert timing.repairs == ("header states 50 frames per second, time stamps give 25",)


@pytest.mark.parametrize("stated", [0.0, float("nan"), float("inf"), -5.0, 90000.0])
def test_an_impossible_rate(stated: float) -> None:
    timing = video_timing.from_stamps([0, 40, 80], stated)
    assert timing.fps == pytest.approx(25)
    assert "impossible" in timing.repairs[0]
    alone = video_timing.from_stamps([0], stated)
    assert (alone.fps, alone.duration_s, alone.starts_s) == (None, None, None)


def test_a_variable_rate() -> None:
    timing = video_timing.from_stamps([0, 40, 80, 280, 320], 25.0)
    assert timing.fps == pytest.approx(4 / 0.32)
    assert timing.duration_s == pytest.approx(0.36)
    assert timing.starts_s == (0.0, 0.04, 0.08, 0.28, 0.32)
    assert timing.repairs == ("variable frame rate: 40 to 200 ms between frames",)


def test_missing_stamps() -> None:
    timing = video_timing.from_stamps([0, 40, 80, -7840], 25.0)
    assert (timing.fps, timing.duration_s) == (25.0, 0.16)
    assert timing.repairs == ("time stamps missing or running backwards: 1",)
    none = video_timing.from_stamps([0, 0, 0], 10.0)
    assert (none.fps, none.duration_s) == (10.0, 0.3)
