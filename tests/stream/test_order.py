"""The order of a pass: a permutation, in windows, on lanes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.stream.order import (
    Pass,
    RecordPlaces,
    in_place,
    lane_starts,
    lanes_within,
    random_bits,
    random_permutation,
    shuffled,
)


@st.composite
def layouts(draw: st.DrawFn) -> RecordPlaces:
    """Row groups of 1 to 9 rows in shards of 1 to 4 row groups."""
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=40))
    shards = np.cumsum(draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes))))
    group = np.repeat(np.arange(len(sizes)) * 3 + 7, sizes)
    return RecordPlaces(group.astype(np.int64), np.repeat(shards, sizes).astype(np.int64))


def test_the_generator_does_not_change_between_versions() -> None:
    """Numbers once drawn: a run must resume under a later NumPy."""
    assert random_bits(2, "digest", 7, "rows").tolist() == [
        15578694282331517371,
        6680651652752863123,
    ]
    assert random_permutation(8, "digest", 7).tolist() == [7, 0, 6, 3, 2, 1, 5, 4]


@given(layouts(), st.integers(1, 70), st.integers(1, 6), st.booleans(), st.integers(0, 3))
def test_every_record_once(
    groups: RecordPlaces, lanes: int, window: int, by_shard: bool, seed: int
) -> None:
    one = shuffled(groups, "d", seed, lanes=lanes, window=window, by_shard=by_shard)
    assert sorted(one.records.tolist()) == list(range(len(groups)))
    check_parts(one, groups)


@given(layouts())
def test_in_place(groups: RecordPlaces) -> None:
    one = in_place(groups)
    assert one.records.tolist() == list(range(len(groups)))
    check_parts(one, groups)


def check_parts(one: Pass, groups: RecordPlaces) -> None:
    """Parts name the row group of their records and when each is needed last."""
    assert (one.group[one.parts] == groups.group[one.records]).all()
    for part in range(len(one.last)):
        assert one.last[part] == np.flatnonzero(one.parts == part).max()


@given(layouts(), st.integers(1, 70), st.integers(1, 6))
def test_few_row_groups_are_open(groups: RecordPlaces, lanes: int, window: int) -> None:
    """A lane is within one window at a time, whatever the sizes of its row groups."""
    one = shuffled(groups, "d", lanes=lanes, window=window)
    lanes = min(lanes, len(groups))
    first = np.full(len(one.last), len(groups))
    np.minimum.at(first, one.parts, np.arange(len(groups)))
    for lane in range(lanes):
        own = np.unique(one.parts[lane::lanes])
        for at in range(lane, len(groups), lanes):
            held = (first[own] <= at) & (at <= one.last[own])
            assert held.sum() <= window


@given(layouts(), st.integers(1, 64), st.integers(1, 64))
def test_processes_that_divide_the_lanes_read_disjoint_parts(
    groups: RecordPlaces, world: int, lanes: int
) -> None:
    one = shuffled(groups, "d", lanes=lanes, window=2)
    if min(lanes, len(groups)) % world == 0:
        own = [set(one.parts[rank::world].tolist()) for rank in range(world)]
        assert sum(map(len, own)) == len(set().union(*own))


def test_key_and_shape_are_all_that_matters() -> None:
    groups = RecordPlaces(np.arange(60) // 4, np.arange(60) // 20)
    ones = [shuffled(groups, "d", seed, lanes=4, window=2).records.tolist() for seed in (0, 0, 1)]
    assert ones[0] == ones[1] != ones[2]


def test_by_shard_keeps_a_shard_together() -> None:
    """With one lane, shards follow each other; row groups of a window mix at their borders."""
    groups = RecordPlaces(np.arange(400) // 4, np.arange(400) // 40)
    near, far = (
        shuffled(groups, "d", lanes=1, window=1, by_shard=by).records // 40 for by in (True, False)
    )
    assert (np.diff(near) != 0).sum() == 9
    assert (np.diff(far) != 0).sum() > 60


@given(st.integers(0, 500), st.integers(1, 64))
def test_lanes_are_even(count: int, lanes: int) -> None:
    sizes = np.diff(lane_starts(count, lanes))
    assert sizes.sum() == count and sizes.max() - sizes.min() <= 1
    assert (np.diff(sizes) <= 0).all()


@pytest.mark.parametrize(
    ("most", "groups", "lanes"),
    [(64, 1000, 64), (63.9, 1000, 32), (1000, 256, 64), (1000, 255, 32), (1000, 3, 1), (0, 9, 1)],
)
def test_lanes_within_bounds(most: float, groups: int, lanes: int) -> None:
    assert lanes_within(most, groups, lanes=64, window=4) == lanes
