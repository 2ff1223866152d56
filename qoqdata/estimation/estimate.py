"""From the costs of samples to those of the whole build, with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from qoqdata.estimation.sample import ChunkCost, Sample, SourceSample, SummingUp

#: Probability that an interval holds the value, as far as drawing the sample goes.
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Bounded:
    """A value with the bounds of its interval."""

    value: float
    low: float
    high: float

    def __add__(self, other: Bounded) -> Bounded:
        """The sum of two that were drawn apart: their half widths add by their squares."""
        value = self.value + other.value
        below = math.hypot(self.value - self.low, other.value - other.low)
        above = math.hypot(self.high - self.value, other.high - other.value)
        return Bounded(value, value - below, value + above)


@dataclass(frozen=True)
class SourceEstimate:
    """What a source will take: units, records, seconds of CPU and bytes on disk.

    sampled      units that were built to know it
    wall_seconds of one process that does all of it, waiting for files included
    plan_seconds by the clock, of those
    longest      seconds by the clock of its slowest chunk, about
    """

    slug: str
    units: int
    sampled: int
    records: Bounded
    cpu_seconds: Bounded
    wall_seconds: Bounded
    plan_seconds: float
    longest: float
    bytes: Bounded
    refusal: str | None


@dataclass(frozen=True)
class BuildEstimate:
    """What a build will take. `wall_seconds` are by the number of workers."""

    sources: tuple[SourceEstimate, ...]
    records: Bounded
    cpu_seconds: Bounded
    bytes: Bounded
    wall_seconds: dict[int, Bounded]


def estimate_build(sample: Sample, workers: Sequence[int]) -> BuildEstimate:
    """Reckon the whole from the sample.

    A source's cost is that of its plan, which was made whole, of its chunks, and of its units: the
    ratio of the sampled chunks' costs to their units (Cochran, Sampling Techniques, chapter 6),
    with the interval of Student's t over the chunks. What is done once all chunks are there grows
    with the records as it did from a quarter of the sample to the whole.

    CPU time is for the first of `workers`, each of which starts and warms up once, beside the
    build's own process and one that plans. By the clock, a build of w
    workers takes at least its work divided by w, or its plans, and at most that, the plans and its
    longest chunk together (Graham's bound), if disk and network serve w workers as they did one.
    """
    sources = tuple(_source(one, sample.each_chunk) for one in sample.sources)
    records = _total(one.records for one in sources)
    end_cpu, end_bytes = _end(sample.ends, records.value)
    start, warm = sample.start_up, sample.warm_up
    bytes_ = _total(one.bytes for one in sources) + _sure(end_bytes)
    first = workers[0] if workers else 0
    processes = 2 + first if first else 1
    starts = start.cpu * processes + warm.cpu * max(1, first)
    cpu = _total(one.cpu_seconds for one in sources) + _sure(end_cpu + starts)
    # Workers start while the first source is planned, and warm up at once.
    serial = end_cpu + 2 * start.wall + warm.wall
    walls = {count: _wall(sources, count, serial) for count in workers}
    return BuildEstimate(sources, records, cpu, bytes_, walls)


def _source(sample: SourceSample, each_chunk: ChunkCost) -> SourceEstimate:
    units = sample.units

    def scaled(of: Callable[[ChunkCost], float]) -> Bounded:
        each = of(each_chunk)
        costs = [max(0.0, of(chunk) - each) for chunk in sample.chunks]
        return _scaled(sample.chunks, costs, units) + _sure(each * sample.chunk_count)

    cpu, wall = scaled(lambda one: one.effort.cpu), scaled(lambda one: one.effort.wall)
    size, records = scaled(lambda one: one.bytes), scaled(lambda one: one.records)
    return SourceEstimate(
        slug=sample.slug,
        units=units,
        sampled=sum(chunk.units for chunk in sample.chunks),
        records=records,
        cpu_seconds=cpu + _sure(sample.plan.cpu),
        wall_seconds=wall + _sure(sample.plan.wall),
        plan_seconds=sample.plan.wall,
        longest=wall.high / max(1, sample.chunk_count),
        bytes=size,
        refusal=sample.refusal,
    )


def _scaled(chunks: Sequence[ChunkCost], costs: Sequence[float], units: int) -> Bounded:
    """The cost of `units` by the ratio of the chunks' costs to their units."""
    sampled = sum(chunk.units for chunk in chunks)
    if not sampled:
        return _sure(0.0)
    ratio = sum(costs) / sampled
    value = ratio * units
    if sampled >= units:
        return _sure(value)
    count = len(chunks)
    if count < 2:
        return Bounded(value, 0.0, math.inf)
    residuals = (cost - ratio * chunk.units for cost, chunk in zip(costs, chunks, strict=True))
    variance = sum(one * one for one in residuals) / (count - 1)
    error = math.sqrt(variance * count * (1 - sampled / units)) / sampled * units
    half = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * error
    return Bounded(value, max(0.0, value - half), value + half)


def _end(ends: tuple[SummingUp, SummingUp], records: float) -> tuple[float, float]:
    """Seconds of CPU and bytes of the end of a build of so many records."""
    small, large = ends
    more = large.records - small.records
    figures = []
    for less, most in ((small.effort.cpu, large.effort.cpu), (small.bytes, large.bytes)):
        each = max(0.0, (most - less) / more) if more else 0.0
        figures.append(most + each * max(0.0, records - large.records))
    return figures[0], figures[1]


def _wall(sources: Sequence[SourceEstimate], workers: int, serial: float) -> Bounded:
    count = max(1, workers)
    plans = sum(one.plan_seconds for one in sources)
    work = _total(one.wall_seconds for one in sources)
    longest = max((one.longest for one in sources), default=0.0)
    low = serial + max(plans, (work.low - plans) / count)
    high = serial + plans + (work.high - plans) / count + longest
    value = serial + max(plans, (work.value - plans) / count)
    return Bounded(value, low, high if workers else max(value, serial + work.high))


def _total(values: Iterable[Bounded]) -> Bounded:
    return sum(values, start=_sure(0.0))


def _sure(value: float) -> Bounded:
    return Bounded(value, value, value)
