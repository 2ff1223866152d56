"""Shares partition the draws; plans open what a record needs before it and close it afterwards."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.dataset import Dataset
from qoqdata.stream.draws import DrawSegment, units
from qoqdata.stream.index import build
from qoqdata.stream.mixing import Mix
from qoqdata.stream.plan import ReadPlan, Share
from qoqdata.stream.sequence import RecordSequence, sequence
from qoqdata.stream.settings import StreamSettings

N = 143


@given(
    st.integers(1, 64),
    st.integers(1, 16),
    st.integers(1, 9),
    st.integers(0, 500),
    st.integers(1, 3),
)
def test_shares_partition_the_draws(
    world: int, workers: int, batch: int, start: int, turns: int
) -> None:
    """All workers of all ranks after the same number of batches: every position once."""
    own = [
        Share(rank, world, worker, workers, batch).positions(start, 0, turns * batch)
        for rank in range(world)
        for worker in range(workers)
    ]
    together = np.sort(np.concatenate(own))
    assert together.tolist() == list(range(start, start + world * workers * batch * turns))


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))
def test_batches_in_turn_are_the_ranks_own_order(world: int, workers: int, batch: int) -> None:
    plain = Share(0, world).positions(7, 0, 4 * workers * batch)
    batches = [
        Share(0, world, number % workers, workers, batch).positions(
            7, number // workers * batch, batch
        )
        for number in range(4 * workers)
    ]
    assert np.concatenate(batches).tolist() == plain.tolist()


def both(dataset: Dataset) -> list[tuple[RecordSequence, DrawSegment | None]]:
    found: list[tuple[RecordSequence, DrawSegment | None]] = []
    for mix in (None, Mix("source", "uniform")):
        asked = StreamSettings(mix=mix, lanes=8, window=2)
        index = build(dataset.files, dataset.manifest, asked)
        made = sequence(index, asked, digest="d", group_bytes=1.0)
        chances = units(np.ones(len(made.members)))
        segment = DrawSegment(made.key, 0, np.zeros_like(made.sizes), chances) if mix else None
        found.append((made, segment))
    return found


@settings(max_examples=25)
@given(
    st.integers(1, 64),
    st.integers(0, 63),
    st.integers(0, 2 * N),
    st.integers(1, 2000),
    st.integers(1, 40),
    st.booleans(),
)
def test_row_groups_are_open_while_needed(
    mixed: Dataset, world: int, rank: int, start: int, count: int, size: int, mix: bool
) -> None:
    made, segment = both(mixed)[mix]
    share = Share(rank % world, world)
    plan = ReadPlan(made, segment, share, start, 0, start + count, size)
    users: Counter[int] = Counter()
    positions: list[int] = []
    groups = made.index.groups.group
    for task in plan.tasks():
        assert 1 <= len(task) <= size
        users.update(task.opens)
        part = slice(task.first, task.stop)
        positions += task.stretch.positions[part].tolist()
        for record in task.stretch.records[part].tolist():
            assert users[int(groups[record])] > 0
        users.subtract(task.closes)
        assert min(users.values(), default=0) >= 0
    assert positions == list(range(start + share.rank, start + count, world))


def test_row_groups_close(mixed: Dataset) -> None:
    """Twenty epochs keep no more open than there is, and not all of it."""
    made, _ = both(mixed)[0]
    held, most = Counter[int](), 0
    for task in ReadPlan(made, None, Share(), 0, 0, 20 * N, 4).tasks():
        held.update(task.opens)
        held.subtract(task.closes)
        most = max(most, max(held.values()))
    assert most <= 2


def test_what_a_stretch_says_of_itself(mixed: Dataset) -> None:
    """Turn j of a component is element j of its passes, one after another."""
    for made, segment in both(mixed):
        stretch = made.stretch(np.arange(3 * N), segment)
        assert stretch.turns_after.sum() == 3 * N
        for component, size in enumerate(made.sizes.tolist()):
            own = stretch.records[stretch.components == component]
            turns = stretch.turns[stretch.components == component]
            assert (
                turns.tolist() == list(range(len(own)))
                and len(own) == stretch.turns_after[component]
            )
            for number in range(len(own) // size):
                one = own[number * size : (number + 1) * size]
                assert one.tolist() == made.pass_of(component, number).records.tolist()
                assert len(set(one.tolist())) == size


def test_components_share_what_may_be_open(mixed: Dataset) -> None:
    """Lanes x window row groups over all components, and at most one more for each."""
    made, _ = both(mixed)[1]
    together = 0
    for component in range(len(made.members)):
        one = made.pass_of(component, 0)
        first = np.full(len(one.last), len(one.records))
        np.minimum.at(first, one.parts, np.arange(len(one.records)))
        together += max(
            int(((first <= at) & (at <= one.last)).sum()) for at in range(len(one.records))
        )
    assert together <= made.lanes * made.window + len(made.members)


@pytest.mark.parametrize("memory", [1, 10, 100])
def test_memory_bounds_lanes_times_window(mixed: Dataset, memory: int) -> None:
    asked = StreamSettings(memory=memory, lanes=64, window=4)
    index = build(mixed.files, mixed.manifest, asked)
    made = sequence(index, asked, digest="d", group_bytes=1.0)
    assert made.lanes * made.window <= memory
