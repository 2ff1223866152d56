"""Draws of a mix: counted in closed form, as often as their probability says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.stream.draws import BLOCK, UNITS, DrawSegment, _floor_sum, units

chances = st.lists(st.floats(0, 1), min_size=1, max_size=12).filter(lambda p: sum(p) > 1e-3)


def segment(p: list[float], start: int = 0) -> DrawSegment:
    return DrawSegment(("d", 1), start, np.arange(len(p)), units(np.array(p) / sum(p)))


@given(st.integers(0, 60), st.integers(1, 50), st.integers(0, 200), st.integers(0, 200))
def test_floor_sum(n: int, m: int, a: int, b: int) -> None:
    assert _floor_sum(n, m, a, b) == sum((a * i + b) // m for i in range(n))


@given(chances)
def test_units_are_the_probabilities(p: list[float]) -> None:
    exact = np.array(p) / sum(p)
    whole = units(exact)
    assert int(whole.sum()) == UNITS
    assert (np.abs(whole / UNITS - exact) < 20 / UNITS).all()
    assert ((whole > 0) == (exact > 0)).all()


@settings(max_examples=40)
@given(chances, st.integers(0, 10**6), st.integers(0, 5000))
def test_counts_are_those_of_the_draws(p: list[float], start: int, length: int) -> None:
    one = segment(p, start)
    drawn = one.components(start, start + length)
    want = one.before + np.bincount(drawn, minlength=len(p))
    assert one.counts(start + length).tolist() == want.tolist()


@settings(max_examples=40)
@given(chances, st.integers(0, 9000), st.integers(0, 3000))
def test_any_stretch_at_once(p: list[float], first: int, length: int) -> None:
    one = segment(p)
    whole = one.components(0, first + length)
    assert one.components(first, first + length).tolist() == whole[first:].tolist()


@settings(max_examples=30)
@given(chances, st.integers(1, 2**40))
def test_frequencies_stay_within_a_few_draws(p: list[float], blocks: int) -> None:
    """At the ends of blocks; the discrepancy of the golden ratio's sequence grows like a log."""
    one = segment(p)
    draws = blocks * BLOCK
    expected = one.units.astype(object) * draws / UNITS
    off = np.abs((one.counts(draws) - one.before - expected).astype(float))
    assert off.max() <= 2 + np.log2(draws)
    assert ((one.counts(draws) > one.before) <= (one.units > 0)).all()


@pytest.mark.parametrize("world", [1, 2, 3, 8, 13, 21, 34, 55, 64])
def test_each_process_sees_the_mix(world: int) -> None:
    """Every W-th point of the plain sequence would sweep slowly where W is a Fibonacci number."""
    p = [0.5, 0.3, 0.15, 0.05]
    drawn = segment(p).components(0, 64 * 200 * world)[::world]
    for batch in drawn.reshape(-1, 200):
        found = np.bincount(batch, minlength=4) / 200
        assert (np.abs(found - p) < 6 * np.sqrt(np.array(p) * (1 - np.array(p)) / 200)).all()


def test_no_weight_no_draw() -> None:
    drawn = segment([0, 1, 0, 2, 0]).components(0, 20_000)
    assert set(drawn.tolist()) == {1, 3}
    assert set(segment([0, 1]).components(0, 3000).tolist()) == {1}
