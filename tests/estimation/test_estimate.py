"""What is reckoned from chunks, on costs that hands can add up."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qoqdata.estimation.estimate import Bounded, estimate_build
from qoqdata.estimation.sample import (
    ChunkCost,
    Effort,
    Sample,
    SourceSample,
    SummingUp,
    warm_up,
)

NO_EFFORT = Effort()

#: What a chunk of no unit takes.
EACH = ChunkCost(0, 0, 0, Effort())
NOTHING = SummingUp(0, Effort(), 0)


def chunk(units: int, cpu: float, *, size: int = 0, records: int = 0) -> ChunkCost:
    return ChunkCost(units, records, size, Effort(cpu, 2 * cpu))


def source(*chunks: ChunkCost, units: int, plan: float = 0.0, slug: str = "a") -> SourceSample:
    return SourceSample(slug, units, Effort(plan, plan), chunks, chunk_count=8)


def sample(
    *sources: SourceSample,
    ends: tuple[SummingUp, SummingUp] = (NOTHING, NOTHING),
    each: ChunkCost = EACH,
    warm: Effort = NO_EFFORT,
) -> Sample:
    return Sample(sources, each, ends, Effort(1.0, 1.5), warm)


def test_the_interval_is_students_over_the_chunks() -> None:
    """Two chunks of 10 units, 1 s and 3 s: 0.2 s a unit, residuals of 1 s, one degree of freedom.

    The error is sqrt(2 * 2 * (1 - 20/100)) / 20 * 100 = 8.944 s, and t is 12.706.
    """
    (one,) = estimate_build(sample(source(chunk(10, 1), chunk(10, 3), units=100)), [0]).sources
    assert one.cpu_seconds.value == pytest.approx(20)
    assert one.cpu_seconds.low == 0
    assert one.cpu_seconds.high == pytest.approx(20 + 12.7062 * 8.9443, rel=1e-4)


def test_chunks_that_agree_leave_no_doubt_and_sizes_do_not_matter() -> None:
    chunks = (chunk(10, 1, size=100, records=20), chunk(30, 3, size=300, records=60))
    (one,) = estimate_build(sample(source(*chunks, units=400, plan=5)), [0]).sources
    assert [one.cpu_seconds.low, one.cpu_seconds.high] == pytest.approx([45, 45])
    assert one.bytes.value == pytest.approx(4000) and one.records.value == pytest.approx(800)
    assert one.sampled == 40 and one.wall_seconds.value == pytest.approx(85)


def test_a_chunk_costs_something_beside_its_units() -> None:
    """0.5 s and 100 bytes a chunk: 10 units take 1.5 s in a chunk, and 400 in two take 41 s."""
    each = ChunkCost(0, 0, 100, Effort(0.5, 0.5))
    chunks = tuple(ChunkCost(10, 10, 120, Effort(1.5, 1.5)) for _ in range(3))
    whole = SourceSample("a", 400, Effort(), chunks, chunk_count=2)
    (one,) = estimate_build(sample(whole, each=each), [0]).sources
    assert one.cpu_seconds.value == pytest.approx(41) and one.bytes.value == pytest.approx(1000)


def test_a_source_that_was_sampled_whole_is_known() -> None:
    (one,) = estimate_build(sample(source(chunk(10, 1), chunk(10, 3), units=20)), [0]).sources
    assert one.cpu_seconds == Bounded(4, 4, 4)


def test_one_chunk_of_many_bounds_nothing() -> None:
    (one,) = estimate_build(sample(source(chunk(10, 1), units=100)), [0]).sources
    assert one.cpu_seconds == Bounded(10, 0, math.inf)


def test_a_refused_source_costs_its_plan() -> None:
    refused = SourceSample("a", 0, Effort(3, 3), (), 0, refusal="no table")
    (one,) = estimate_build(sample(refused), [0]).sources
    assert one.cpu_seconds == Bounded(3, 3, 3) and one.refusal == "no table"


def test_the_end_grows_with_the_records() -> None:
    """100 records end in 2 s and 400 in 5 s: 0.01 s a record, so 1,000 records in 11 s."""
    ends = (SummingUp(100, Effort(2, 2), 1000), SummingUp(400, Effort(5, 5), 4000))
    whole = source(*(chunk(20, 0, records=40) for _ in range(10)), units=500)
    result = estimate_build(sample(whole, ends=ends), [0])
    assert result.records.value == pytest.approx(1000)
    assert result.cpu_seconds.value == pytest.approx(11 + 1)  # And one start.
    assert result.bytes.value == pytest.approx(10_000)


def test_by_the_clock_workers_share_the_units_and_not_the_plans() -> None:
    """400 units of 0.2 s in 8 chunks, 10 s of planning, 3 s to start."""
    chunks = tuple(chunk(10, 1) for _ in range(4))
    result = estimate_build(sample(source(*chunks, units=400, plan=10)), [1, 4, 1000])
    one, four, many = (result.wall_seconds[count] for count in (1, 4, 1000))
    assert (one.low, four.low, many.low) == pytest.approx((3 + 80, 3 + 20, 3 + 10))
    longest = 80 / 8
    assert many.high == pytest.approx(3 + 10 + 80 / 1000 + longest)
    assert four.high == pytest.approx(3 + 10 + 20 + longest)
    # The build, who plans, and one worker.
    assert result.cpu_seconds.value == pytest.approx(10 + 40 + 3)


def test_each_worker_warms_up_and_the_clock_waits_for_one() -> None:
    whole = source(chunk(10, 1), chunk(10, 1), units=100, plan=0)
    cold = estimate_build(sample(whole), [0, 2])
    warm = estimate_build(sample(whole, warm=Effort(0.7, 0.9)), [0, 2])
    for count in (0, 2):
        more = warm.wall_seconds[count].value - cold.wall_seconds[count].value
        assert more == pytest.approx(0.9)
    assert warm.cpu_seconds.value - cold.cpu_seconds.value == pytest.approx(0.7)
    two = estimate_build(sample(whole, warm=Effort(0.7, 0.9)), [2])
    assert two.cpu_seconds.value == pytest.approx(10 + 4 + 2 * 0.7)


def test_what_first_units_cost_beyond_later_ones_is_the_warm_up() -> None:
    """Later 0.5 s a chunk and 0.1 s a unit; 16 first ones in two chunks: 3.1 - 2.6 s.

    A source whose first units were cheaper counts for nothing."""
    each = ChunkCost(0, 0, 0, Effort(0.5, 0.5))
    later = {name: {"0": ChunkCost(20, 20, 0, Effort(2.5, 2.5))} for name in "ab"}
    first = {
        "a": {str(n): ChunkCost(8, 8, 0, Effort(1.55, 2.3)) for n in range(2)},
        "b": {"0": ChunkCost(16, 16, 0, Effort(1.0, 1.0))},
        "c": {},
    }
    found = warm_up(first, later, each)
    assert (found.cpu, found.wall) == pytest.approx((3.1 - 2.6, 4.6 - 2.6))


def test_intervals_of_sums_add_by_squares() -> None:
    assert Bounded(10, 7, 14) + Bounded(20, 16, 23) == Bounded(30, 25, 35)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Units of skewed costs, drawn by lot 400 times: some 95 of 100 intervals hold their sum."""
    random = np.random.default_rng(3)
    costs = random.lognormal(0, 1, 5000)
    holds = 0
    for _ in range(400):
        drawn = random.permutation(costs)[:300].reshape(12, 25)
        chunks = [chunk(25, float(row.sum())) for row in drawn]
        (one,) = estimate_build(sample(source(*chunks, units=5000)), [0]).sources
        holds += one.cpu_seconds.low <= costs.sum() <= one.cpu_seconds.high
    assert 0.90 <= holds / 400 <= 0.98
