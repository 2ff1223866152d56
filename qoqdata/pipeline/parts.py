"""A build in parts: planned once, its chunks converted anywhere and in any order, joined once.

Chunks are dealt out in turn. Whoever builds one leaves its shard and receipt, as a build in one
process does; so parts may overlap, be repeated or be killed, and the joined set is the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from qoqdata.contract.manifest import Manifest
from qoqdata.errors import UnfinishedBuild, UsageError
from qoqdata.pipeline import progress, receipts
from qoqdata.pipeline.build import (
    begin,
    finish_set,
    make_plans,
    run_builds,
    source_builds,
    unfinished,
)
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.pipeline.conversion import ChunkTask
from qoqdata.pipeline.interrupts import telling_interrupts
from qoqdata.pipeline.jobs import job_or_fault, max_quarantine_of, storage_of
from qoqdata.pipeline.place import Place
from qoqdata.pipeline.source_build import SourceBuild
from qoqdata.pipeline.stored_place import open_place
from qoqdata.pipeline.stored_plan import (
    StoredPlan,
    as_planned,
    changed_file,
    changed_input,
    read_plan,
    with_units,
    write_plan,
)
from qoqdata.pipeline.workers import planning_apart
from qoqdata.sources import catalogue
from qoqdata.sources.protocol import Source

#: Finds the source of a slug.
Find = Callable[[str], Source]
_PART = re.compile(r"([0-9]+)/([0-9]+)")
_NOTE = re.compile(r"([0-9]+)-of-([0-9]+)")
#: Files and parts that a message names.
_SHOWN = 5
_PLAN_AGAIN = "run `qoqdata plan` again, then the parts: chunks that are unchanged stay"


@dataclass(frozen=True)
class Part:
    """Part `number` of `of` parts, from 1 on."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


@dataclass(frozen=True)
class PlanCounts:
    """A source of a plan: what there is to build, and why it was refused, if it was."""

    source: str
    units: int
    chunks: int
    left_out: int
    refusal: str | None


@dataclass(frozen=True)
class PartCounts:
    """What a part came to; `reused` are chunks that were there already."""

    part: str
    chunks: int
    reused: int
    records: int
    quarantined: int


def parse_part(text: str) -> Part:
    """The part that `3/16` means; raises UsageError for anything else."""
    match = _PART.fullmatch(text.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        fix = "write it as 3/16, from 1/16 to 16/16"
        raise UsageError(f"{text!r} is no part", where="--part", fix=fix)
    return Part(int(match[1]), int(match[2]))


def plan(
    requests: Sequence[tuple[Source, SourceRequest]],
    out: str | Path,
    setting: BuildSetting,
    config: BuildConfig,
) -> list[PlanCounts]:
    """Plan sources, and leave the plan in the folder of the data set.

    Raises UsageError as `build` does. What was built before stays, as far as it is as planned.
    """
    engine, workers, listen = setting.engine, setting.workers, setting.listen
    with open_place(out) as place:
        builds, lists = source_builds(requests, place, config, setting)
        with place.alone():
            begin(place, lists)
            with (
                telling_interrupts(),
                planning_apart(engine=engine, workers=workers, listen=listen) as apart,
            ):
                for build in builds:
                    make_plans(build, builds, setting, apart)
                    build.cut(setting.listen)
            if any(build.unfinished for build in builds):
                raise unfinished(builds)
            write_plan(builds, place, config, setting)
    return [
        PlanCounts(
            build.slug,
            build.plan.table.height,
            len(build.chunks),
            len(build.plan.left_out),
            build.refusal,
        )
        for build in builds
    ]


def build_part(
    out: str | Path, part: Part, setting: BuildSetting, find: Find = catalogue.find_source
) -> PartCounts:
    """Build the chunks of a part of the plan at `out`, but for those that are there already.

    Raises UsageError where there is no plan, or one of another installation or salt, or where a
    raw folder is not there; and UnfinishedBuild where raw files are not as they were planned, where
    the plan is replaced meanwhile, and where a disk or the system failed again and again.
    """
    with open_place(out) as place:
        return _build_part(read_plan(place, setting.salt), part, setting, find)


def _build_part(plan: StoredPlan, part: Part, setting: BuildSetting, find: Find) -> PartCounts:
    builds, layout = _planned_builds(plan, setting, find), plan.layout
    for build in builds:
        if (path := changed_input(build, plan.sources[build.slug])) is not None:
            raise _changed([f"{build.slug}: {path}"])
    layout.parts.mkdir(parents=True, exist_ok=True)
    note = layout.parts / f"{part.number}-of-{part.of}"
    note.touch()
    plan.place.keep([note])
    by_slug = {build.slug: build for build in builds}
    changed: list[str] = []
    own = [pair for n, pair in enumerate(plan.in_turn()) if n % part.of == part.number - 1]
    for slug, source in plan.sources.items():
        units = [source.chunks[place].units for one, place in own if one == slug]
        setting.listen(progress.Planned(slug, sum(units), len(units), 0))
        if setting.resume:
            by_slug[slug].look_at(source.chunks[place].name for one, place in own if one == slug)
    with telling_interrupts():
        run_builds(builds, _tasks(plan, by_slug, own, setting, changed), setting)
    if any(build.unfinished for build in builds):
        raise unfinished(builds)
    if changed:
        raise _changed(changed)
    built = [receipt for build in builds for receipt in build.receipts.values()]
    return PartCounts(
        str(part),
        len(built),
        sum(build.reused for build in builds),
        sum(receipt.records for receipt in built),
        sum(receipt.quarantined for receipt in built),
    )


def finish(out: str | Path, setting: BuildSetting, find: Find = catalogue.find_source) -> Manifest:
    """Join the parts of the plan at `out`, and return the manifest of the data set.

    Raises UsageError as `build_part` does and where another command is writing the set, and
    UnfinishedBuild, which names the parts to be built, where chunks are missing.
    """
    with open_place(out) as place:
        read_plan(place, setting.salt)  # No folder is made where there is none.
        with place.alone():
            return _finish(read_plan(place, setting.salt), setting, find)


def _finish(plan: StoredPlan, setting: BuildSetting, find: Find) -> Manifest:
    builds = _planned_builds(plan, setting, find)
    by_slug = {build.slug: build for build in builds}
    for build in builds:
        with_units(build, plan)
        build.look_at(chunk.name for chunk in build.chunks)
    missing = []
    for turn, (slug, place) in enumerate(plan.in_turn()):
        build, planned = by_slug[slug], plan.sources[slug].chunks[place]
        receipt = build.receipt(planned.name)
        limits = build.job.limits
        if receipt is not None and receipts.holds(receipt, planned.fingerprint, plan.place, limits):
            build.finished(build.chunks[place], receipt, setting.listen, reused=True)
        else:
            missing.append(turn)
    if missing:
        raise _missing(plan.place, missing, sum(1 for _ in plan.in_turn()))
    plan.place.remove(plan.layout.manifest)
    for build in builds:
        build.open()
        build.remove_stale()
    return finish_set(builds, plan.place, plan.document.config, setting)


def _planned_builds(plan: StoredPlan, setting: BuildSetting, find: Find) -> list[SourceBuild]:
    config = plan.document.config
    setting = replace(setting, overrides=plan.document.overrides)
    builds = []
    for request in config.sources:
        for folder in (request.raw, *request.mounts.values()):
            if isinstance(folder, Path) and not folder.is_dir():
                fix = "mount it at the same path on this machine, or plan again"
                raise UsageError("the raw folder is not there", where=str(folder), fix=fix)
        job, fault = job_or_fault(find(request.source), request, config.limits)
        build = SourceBuild(
            find(request.source),
            job,
            config,
            storage_of(request, job, config, setting),
            max_quarantine_of(request, config, setting),
            plan.place,
            fault=fault,
        )
        as_planned(build, plan, setting.salt)
        builds.append(build)
    return builds


def _tasks(
    plan: StoredPlan,
    builds: Mapping[str, SourceBuild],
    own: Iterable[tuple[str, int]],
    setting: BuildSetting,
    changed: list[str],
) -> Iterator[ChunkTask]:
    """The tasks of chunks without a receipt; of those whose files changed, a file to name."""
    for slug, place in own:
        if plan.is_replaced():
            what = "another plan or build has begun here, or the folder is gone"
            raise UnfinishedBuild(what, where=plan.place.where, fix="build the parts of that plan")
        build, chunk = builds[slug], plan.chunk(slug, place)
        receipt = build.receipt(chunk.name) if setting.resume else None
        planned, limits = plan.sources[slug].chunks[place].fingerprint, build.job.limits
        if receipt is not None and receipts.holds(receipt, planned, plan.place, limits):
            build.finished(chunk, receipt, setting.listen, reused=True)
        elif (path := changed_file(build, chunk)) is not None:
            changed.append(f"{build.slug}: {path}")
        else:
            yield build.task(chunk, setting.salt)


def _changed(paths: Sequence[str]) -> UnfinishedBuild:
    shown = ", ".join(paths[:_SHOWN]) + (", ..." if len(paths) > _SHOWN else "")
    what = f"raw files are not as they were planned: {shown}"
    return UnfinishedBuild(what, fix=_PLAN_AGAIN)


def _missing(place: Place, places: Sequence[int], chunks: int) -> UnfinishedBuild:
    """What to say of chunks that nobody has built: whose they are, by the parts begun last."""
    notes = place.names(place.layout.parts)
    found = [match for note in notes if (match := _NOTE.fullmatch(note))]
    of = int(found[-1][2]) if found else 1
    parts = sorted(Counter(number % of + 1 for number in places).items())
    shown = ", ".join(f"{number}/{of} ({count})" for number, count in parts[:_SHOWN])
    more = f" and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else ""
    command = f"qoqdata build --part {parts[0][0]}/{of} --out {place.where}"
    others = ", the same for the other parts" if len(parts) > 1 else ""
    return UnfinishedBuild(
        f"{len(places)} of {chunks} chunks are missing: of part {shown}{more}",
        where=place.where,
        fix=f"run `{command}`{others}, then finish again",
    )
