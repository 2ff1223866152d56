"""Which frames a policy takes, and its words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.errors import InputError
from qoqdata.readers.video import FramePolicy
from qoqdata.readers.video_frames import choose, describe
from tests.readers.video_clips import ALL


def test_uniform_takes_the_centres_of_equal_parts() -> None:
    assert choose(FramePolicy("uniform", count=2), 10) == (2, 7)
    assert choose(FramePolicy("uniform", count=4), 100) == (12, 37, 62, 87)
    assert choose(FramePolicy("uniform", count=1), 9) == (4,)
    assert choose(FramePolicy("uniform", count=8), 3) == (0, 1, 2)


def test_other_policies() -> None:
    assert choose(ALL, 3) == (0, 1, 2)
    assert choose(FramePolicy("every", step=4), 10) == (0, 4, 8)
    assert choose(FramePolicy("index", indices=(5, 1, 5)), 6) == (1, 5)
    with pytest.raises(InputError, match="frame 6 is asked for, the clip has 6"):
        choose(FramePolicy("index", indices=(6,)), 6)
    assert choose(ALL, 0) == choose(FramePolicy("uniform", count=3), 0) == ()


@given(st.integers(1, 40), st.integers(1, 3000))
def test_uniform_spreads_evenly(count: int, n: int) -> None:
    got = choose(FramePolicy("uniform", count=count), n)
    assert len(got) == len(set(got)) == min(count, n)
    assert list(got) == sorted(got)
    assert got[0] >= 0 and got[-1] < n
    if count < n:  # each frame lies in its own part, and the ends weigh alike
        for part, index in enumerate(got):
            assert part * n <= index * count + count
            assert index * count < (part + 1) * n
        assert abs(got[0] - (n - 1 - got[-1])) <= 1


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "uniform"},
        {"kind": "every", "step": 0},
        {"kind": "index"},
        {"kind": "index", "indices": (-1,)},
        {"kind": "middle"},
    ],
)
def test_impossible_policies(fields: dict) -> None:
    with pytest.raises(ValueError, match=r"policy"):
        FramePolicy(**fields)


def test_policies_in_words() -> None:
    assert describe(FramePolicy("uniform", count=8)) == "centres of 8 equal parts"
    assert describe(FramePolicy("every", step=3)) == "every 3. frame from the first"
    assert describe(FramePolicy("index", indices=(0, 4))) == "frames 0, 4"
    assert describe(ALL) == "all frames"
