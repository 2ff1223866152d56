"""Draws of a step go to the processes that have their row groups, and the step stays the same."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qoqdata
from qoqdata.dataset import Dataset
from qoqdata.errors import UsageError
from qoqdata.stream.homes import homes, preferences
from qoqdata.stream.row_groups import RowGroups
from tests.stream.sets import Part, write


def test_preferences_are_these_everywhere() -> None:
    """Worked out in Python's whole numbers."""

    def key(group: int, rank: int) -> int:
        value = (group * 0x9E3779B97F4A7C15 ^ (rank + 1) * 0xD1B54A32D192ED03) % 2**64
        value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
        return value ^ value >> 31

    groups = [0, 1, 5 << 32, (7 << 32) | 3]
    wanted = [sorted(range(6), key=lambda rank, own=group: key(own, rank)) for group in groups]
    # Products of rank and constant wrap round in 64 bits, as above.
    assert preferences(np.array(groups), 6).tolist() == wanted


@given(st.integers(1, 8), st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_all_take_as_many_of_every_step(world: int, each: int, steps: int, seed: int) -> None:
    step = world * each
    groups = np.random.default_rng(seed).integers(0, 9, step * steps)
    taken = homes(groups, step=step, world=world)
    counts = [np.bincount(part, minlength=world) for part in taken.reshape(steps, step)]
    assert np.array(counts).tolist() == [[each] * world] * steps


def test_a_draw_goes_to_the_first_that_has_room() -> None:
    taken = homes(np.array([4, 4, 4, 4]), step=4, world=2)
    one, other = preferences(np.array([4]), 2)[0]
    assert taken.tolist() == [one, one, other, other]
    # The second step has room again.
    again = homes(np.array([4, 4, 4, 4] * 2), step=4, world=2)
    assert again.tolist() == [one, one, other, other] * 2


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """1,440 records of two domains in 180 row groups."""
    parts = (
        Part("films", "chest_xray", (600, 600), labels=("Opacity", "Effusion", "Edema")),
        Part("scans", "ct", (240,), labels=("Mass", "Nodule")),
    )
    return write(tmp_path_factory.mktemp("large"), parts, row_group=8)


MIX = {"by": "domain/label", "weights": "target", "exponents": (0.0, 0.5), "max_repeats": 10.0}
STEP = 32


def stream(dataset: Dataset, **settings: Any) -> Any:
    mix = qoqdata.stream.Mix(**MIX)
    return dataset.stream("train", mix=mix, workers=0, lanes=8, window=2, **settings)


def taken(dataset: Dataset, world: int, steps: int, **settings: Any) -> list[list[list[int]]]:
    """Positions by rank and step."""
    streams = [iter(stream(dataset, rank=rank, world=world, **settings)) for rank in range(world)]
    return [
        [[next(one)["position"] for _ in range(STEP // world)] for _ in range(steps)]
        for one in streams
    ]


@pytest.mark.parametrize("world", [2, 4, 8])
def test_the_steps_are_the_same_for_any_number_of_processes(large: Dataset, world: int) -> None:
    by_rank = taken(large, world, 5, step=STEP)
    for number in range(5):
        together = sorted(position for own in by_rank for position in own[number])
        assert together == list(range(number * STEP, (number + 1) * STEP))
    assert by_rank != taken(large, world, 5)


def test_each_process_reads_its_own_row_groups(
    large: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row groups read by four processes in 40 steps of a mix, which one process reads once as
    often as all of them."""
    reads: Counter[tuple[int, int]] = Counter()
    real = RowGroups._read

    def counted(self: RowGroups, number: int, row_group: int) -> Any:
        reads[number, row_group] += 1
        return real(self, number, row_group)

    monkeypatch.setattr(RowGroups, "_read", counted)

    def total(world: int, **settings: Any) -> tuple[int, list[int]]:
        """Of all processes, and how many different ones of each."""
        different = []
        counts = 0
        for rank in range(world):
            reads.clear()
            records = iter(stream(large, rank=rank, world=world, **settings))
            for _ in range(40 * STEP // world):
                next(records)
            counts += sum(reads.values())
            different.append(len(reads))
        return counts, different

    alone, _ = total(1)
    in_turn, of_turns = total(4)
    at_home, of_homes = total(4, step=STEP)
    assert at_home < 0.65 * in_turn
    assert at_home < 1.25 * alone
    assert max(of_homes) < min(of_turns)


def test_another_number_of_processes_goes_on_from_a_state_to_the_same_steps(large: Dataset) -> None:
    begun = stream(large, rank=1, world=2, step=STEP)
    records = iter(begun)
    for _ in range(3 * STEP // 2):
        next(records)
    state = begun.state_dict()
    later = []
    for rank in range(4):
        one = stream(large, rank=rank, world=4, step=STEP)
        one.load_state_dict(state)
        later += [next(iter(one))["position"] for _ in range(STEP // 4)]
    assert sorted(later) == list(range(3 * STEP, 4 * STEP))
    next(records)
    with pytest.raises(UsageError, match="within a step"):
        begun.state_dict()
    # Left within a step, a loop goes on with what is left of it.
    rest = [next(iter(begun))["position"] for _ in range(STEP // 2 - 1)]
    assert len({*rest}) == STEP // 2 - 1 and all(3 * STEP <= one < 4 * STEP for one in rest)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"step": 30, "world": 4}, "30 draws cannot be shared by 4"),
        ({"step": 0}, "at least 1"),
        ({"step": 8, "epochs": 1}, "without end"),
    ],
)
def test_impossible_steps_are_refused(large: Dataset, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        stream(large, **settings)
