"""Build a sample of each source in a passing folder, and take the time and bytes of its parts.

The sample goes the way of `qoqdata build`, whole, so that nothing that a build does is forgotten.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from qoqdata.layout import Layout
from qoqdata.pipeline import progress
from qoqdata.pipeline.build import build_requests
from qoqdata.pipeline.chunks import chunk_count, order_key
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.progress import ProgressCallback, silent
from qoqdata.sources.protocol import Job, Planned, Source, Unit

#: Units of a source that tell what one costs, before the sample is drawn.
PILOT = 16
#: Fewest units of a sample, and chunks that it is cut into: their spread is the uncertainty.
LEAST, CHUNKS = 32, 12
#: Builds of the sample: a pilot, a quarter in few and in many chunks, and the whole.
_RUNS = 4

Request = tuple[Source, SourceRequest]

_START_UP = """
import json, sys, time
begin = time.perf_counter()
import qoqdata.pipeline.build
from importlib import import_module
for name in sys.argv[1:]:
    import_module(name)
print(json.dumps([time.process_time(), time.perf_counter() - begin]))
"""


@dataclass(frozen=True)
class Effort:
    """Seconds of CPU, and seconds by the clock, which waiting for a disk or a network adds to."""

    cpu: float = 0.0
    wall: float = 0.0


@dataclass(frozen=True)
class ChunkCost:
    """What a chunk of a sample took, and the bytes of its shard and what lies beside it."""

    units: int
    records: int
    bytes: int
    effort: Effort


@dataclass(frozen=True)
class SourceSample:
    """`units` are those of the whole source; `refusal` is why it gives no record.

    chunk_count  chunks that the build itself will have
    """

    slug: str
    units: int
    plan: Effort
    chunks: tuple[ChunkCost, ...]
    chunk_count: int
    refusal: str | None = None


@dataclass(frozen=True)
class SummingUp:
    """The end of a sample's build, when all chunks are there: metadata, cards, manifest."""

    records: int
    effort: Effort
    bytes: int


@dataclass(frozen=True)
class Sample:
    """The samples of a build's sources.

    each_chunk  what a chunk takes, however few units it has; no units and records
    ends        after a quarter of each sample and after all of it: what grows, and what does not
    start_up    of one process that imports the build and the sources
    warm_up     what a process takes for the first units of each source beyond what others take: by
                then it has brought their readers and codecs
    """

    sources: tuple[SourceSample, ...]
    each_chunk: ChunkCost
    ends: tuple[SummingUp, SummingUp]
    start_up: Effort
    warm_up: Effort


def draw_sample(
    requests: Sequence[Request],
    config: BuildConfig,
    setting: BuildSetting,
    folder: Path,
    *,
    seconds: float,
    listen: ProgressCallback = silent,
) -> Sample:
    """Build samples of the sources in `folder`, which is left to the caller to remove.

    `seconds` of CPU are what the sample of one source may take, about. Its units are as good as
    drawn by lot, and the same each time.
    """
    plans: dict[str, list[Planned]] = {}
    setting = replace(setting, workers=0, engine="local", resume=False)
    pilot = _timed(
        [(_recording(source, plans), request) for source, request in requests],
        config.model_copy(update={"limit": PILOT}),
        setting,
        folder / "pilot",
    )
    units = {slug: _by_lot(slug, items) for slug, items in plans.items()}
    sizes = {
        slug: _sample_size(pilot.chunks.get(slug, {}).values(), len(members), seconds)
        for slug, members in units.items()
    }
    listen(1, _RUNS)
    runs = []
    for name, part, cut in (("few", 4, 1), ("quarter", 4, CHUNKS), ("whole", 1, CHUNKS)):
        drawn = {slug: members[: -(-sizes[slug] // part)] for slug, members in units.items()}
        most = max((len(members) for members in drawn.values()), default=0)
        sampled = config.model_copy(update={"limit": None, "shard_units": max(1, -(-most // cut))})
        replays = [(_replaying(source, drawn), request) for source, request in requests]
        runs.append(_timed(replays, sampled, setting, folder / name))
        listen(1 + len(runs), _RUNS)
    few, quarter, whole = runs
    samples = []
    for slug in pilot.slugs:
        chunks = whole.chunks.get(slug, {})
        kept = sum(chunk.units for chunk in chunks.values())
        members, size = units.get(slug, ()), sizes.get(slug, 0)
        # Block lists and torn groups take of the whole what they take of the sample.
        count = round(len(members) * kept / size) if size else 0
        shard_units = config.shard_units or pilot.shard_units[slug]
        samples.append(
            SourceSample(
                slug=slug,
                units=count,
                plan=pilot.plans.get(slug, Effort()),
                chunks=tuple(chunks.values()),
                chunk_count=_chunk_count(chunks, count, shard_units),
                refusal=pilot.refusals.get(slug) or whole.refusals.get(slug),
            )
        )
    modules = sorted({source.module for source, _ in requests})
    each = _each_chunk(few.costs(), quarter.costs())
    warm = warm_up(pilot.chunks, whole.chunks, each)
    return Sample(tuple(samples), each, (quarter.end, whole.end), _start_up(modules), warm)


@dataclass
class _Run:
    """What one build took, part by part, in the order of its events."""

    folder: Path
    mark: Effort
    slugs: tuple[str, ...] = ()
    plans: dict[str, Effort] = field(default_factory=dict)
    chunks: dict[str, dict[str, ChunkCost]] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    shard_units: dict[str, int] = field(default_factory=dict)
    end: SummingUp = field(default_factory=lambda: SummingUp(0, Effort(), 0))

    def costs(self) -> list[ChunkCost]:
        """Of the chunks of all sources."""
        return [cost for chunks in self.chunks.values() for cost in chunks.values()]

    def lap(self) -> Effort:
        now = _now()
        lap = Effort(now.cpu - self.mark.cpu, now.wall - self.mark.wall)
        self.mark = now
        return lap

    def __call__(self, event: progress.Event) -> None:
        match event:
            case progress.Planned(source=slug):
                self.plans[slug] = self.lap()
            case progress.Finished(source=slug, chunk=name, units=units, records=records):
                layout = Layout(self.folder)
                places = (layout.shard, layout.likeness, layout.receipt)
                paths = [place(slug, name) for place in places]
                cost = ChunkCost(units, records, _bytes(paths), self.lap())
                self.chunks.setdefault(slug, {})[name] = cost
            case progress.SourceRefused(source=slug, message=message):
                self.refusals[slug] = message
                self.lap()


def _timed(
    requests: Sequence[Request], config: BuildConfig, setting: BuildSetting, folder: Path
) -> _Run:
    run = _Run(folder, _now())
    manifest = build_requests(requests, folder, replace(setting, listen=run), config)
    effort = run.lap()
    run.slugs = tuple(manifest.sources)
    units = {source.card.slug: source.card.shard_units for source, _ in requests}
    run.shard_units = {
        slug: units.get(entry.converter, 0) for slug, entry in manifest.sources.items()
    }
    costs = run.costs()
    others = _bytes(path for path in folder.rglob("*") if path.is_file())
    others -= sum(cost.bytes for cost in costs)
    run.end = SummingUp(sum(cost.records for cost in costs), effort, others)
    return run


def _recording(source: Source, plans: dict[str, list[Planned]]) -> Source:
    """The source; what it plans is kept, since a plan may take long."""

    def plan(job: Job) -> Iterable[Planned]:
        plans[job.card.slug] = list(source.plan(job))
        return plans[job.card.slug]

    return replace(source, plan=plan)


def _replaying(source: Source, drawn: Mapping[str, Sequence[Unit]]) -> Source:
    plan: Callable[[Job], Iterable[Planned]] = lambda job: drawn.get(job.card.slug, ())  # noqa: E731
    return replace(source, plan=plan)


def _by_lot(slug: str, items: Iterable[Planned]) -> list[Unit]:
    """The units in the order of a hash, which is not that of the build: that cuts the chunks."""
    units = [item for item in items if isinstance(item, Unit)]
    return sorted(units, key=lambda unit: (order_key(f"sample of {slug}", unit.key), unit.key))


def _sample_size(pilot: Collection[ChunkCost], units: int, seconds: float) -> int:
    """As many units as fit into `seconds`, by what those of the pilot took."""
    took = sum(chunk.effort.cpu for chunk in pilot)
    done = sum(chunk.units for chunk in pilot)
    fit = int(seconds * done / took) if took else LEAST
    return min(units, max(LEAST, fit))


def _each_chunk(few: Sequence[ChunkCost], many: Sequence[ChunkCost]) -> ChunkCost:
    """What a chunk costs beside its units: the same units cost more in many chunks than in few."""
    more = len(many) - len(few)
    if more <= 0:
        return ChunkCost(0, 0, 0, Effort())

    def each(of: Callable[[ChunkCost], float]) -> float:
        return max(0.0, sum(map(of, many)) - sum(map(of, few))) / more

    effort = Effort(each(lambda one: one.effort.cpu), each(lambda one: one.effort.wall))
    return ChunkCost(0, 0, round(each(lambda one: one.bytes)), effort)


def warm_up(
    first: Mapping[str, Mapping[str, ChunkCost]],
    later: Mapping[str, Mapping[str, ChunkCost]],
    each_chunk: ChunkCost,
) -> Effort:
    """What the first units of all sources cost more than later ones of their kind."""

    def more(of: Callable[[Effort], float]) -> float:
        each, total = of(each_chunk.effort), 0.0
        for slug, chunks in first.items():
            rest = later.get(slug, {}).values()
            if units := sum(chunk.units for chunk in rest):
                ratio = sum(max(0.0, of(chunk.effort) - each) for chunk in rest) / units
                usual = sum(each + ratio * chunk.units for chunk in chunks.values())
                took = sum(of(chunk.effort) for chunk in chunks.values())
                total += max(0.0, took - usual)
        return total

    return Effort(more(lambda effort: effort.cpu), more(lambda effort: effort.wall))


def _chunk_count(chunks: Mapping[str, ChunkCost], units: int, shard_units: int) -> int:
    """Chunks of the whole source, where its splits have the shares that they have in the sample."""
    by_split: Counter[str] = Counter()
    for name, chunk in chunks.items():
        by_split[name.rpartition("-")[0]] += chunk.units
    total = by_split.total()
    return sum(chunk_count(round(units * part / total), shard_units) for part in by_split.values())


def _start_up(modules: Sequence[str]) -> Effort:
    command = [sys.executable, "-c", _START_UP, *modules]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return Effort(*json.loads(run.stdout))


def _now() -> Effort:
    return Effort(time.process_time(), time.perf_counter())


def _bytes(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())
