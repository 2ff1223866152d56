"""Build a data set: plan, convert, write, index. Interrupted builds go on where they stopped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from qoqdata import manifest
from qoqdata.atomic import remove_drafts
from qoqdata.contract.manifest import Manifest
from qoqdata.contract.record import VERSION as SCHEMA_VERSION
from qoqdata.errors import UnfinishedBuild, UsageError
from qoqdata.layout import Layout
from qoqdata.pipeline import patient_splits
from qoqdata.pipeline.blocks import blocked_names
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.pipeline.conversion import ChunkTask, Unfinished
from qoqdata.pipeline.interrupts import telling_interrupts
from qoqdata.pipeline.jobs import job_or_fault, max_quarantine_of, storage_of
from qoqdata.pipeline.patient_splits import NamespaceSplits
from qoqdata.pipeline.place import Place
from qoqdata.pipeline.planning import NO_PLAN
from qoqdata.pipeline.readme import write_readme
from qoqdata.pipeline.shared_keys import contradicted, said_before
from qoqdata.pipeline.source_build import SourceBuild
from qoqdata.pipeline.source_summary import read_summary
from qoqdata.pipeline.stored_place import open_place
from qoqdata.pipeline.workers import Apart, planning_apart, run_tasks
from qoqdata.records.identity import Salt
from qoqdata.sources import catalogue
from qoqdata.sources.protocol import Job, Source
from qoqdata.verdicts import holds_corrected
from qoqdata.version import VERSION

#: Unfinished chunks that a message names.
_SHOWN = 5


def build(config: BuildConfig, out: str | Path, setting: BuildSetting) -> Manifest:
    """Build or complete the data set at `out` and return its manifest.

    The same inputs, configuration and version give byte-identical shards for any number of
    workers and any number of kills in between. Raises UsageError for a configuration that does
    not fit and for a second build of the same folder, and UnfinishedBuild where a disk or the
    system failed again and again; raw input at fault ends in quarantine.
    """
    sources = [(catalogue.find_source(request.source), request) for request in config.sources]
    return build_requests(sources, out, setting, config)


def build_requests(
    requests: Sequence[tuple[Source, SourceRequest]],
    out: str | Path,
    setting: BuildSetting,
    config: BuildConfig | None = None,
) -> Manifest:
    """As `build`, for sources at hand, registered or not; `config` gives the common settings."""
    config = config or BuildConfig(sources=tuple(request for _, request in requests))
    with open_place(out) as place:
        builds, lists = source_builds(requests, place, config, setting)
        with place.alone():
            begin(place, lists)
            for build in builds:
                build.open()
            _run(builds, setting)
            return finish_set(builds, place, config, setting)


def source_builds(
    requests: Sequence[tuple[Source, SourceRequest]],
    place: Place,
    config: BuildConfig,
    setting: BuildSetting,
) -> tuple[list[SourceBuild], list[NamespaceSplits]]:
    """A build for each request, and the lists of patients' splits that they follow.

    Raises UsageError for what does not fit, one with the other or with what is in the data set.
    """
    made = [job_or_fault(source, request, config.limits) for source, request in requests]
    jobs = [(source, job) for (source, _), (job, _) in zip(requests, made, strict=True)]
    layout = place.layout
    _check(place, jobs, setting.salt)
    lists = patient_splits.gather(
        [job for _, job in jobs], config.patient_splits, layout, setting.salt
    )
    _refuse_other_lists(layout, {job.card.slug for _, job in jobs}, lists)
    cards = [job.card for _, job in jobs]
    blocking = (*catalogue.blocking_cards(set().union(*map(blocked_names, cards))), *cards)
    names = {namespace: one.name for namespace, one in lists.items()}
    builds = [
        SourceBuild(
            source,
            job,
            config,
            storage_of(request, job, config, setting),
            max_quarantine_of(request, config, setting),
            place,
            patients=lists.get(job.card.keys.namespace or ""),
            patient_splits=names.get(job.card.keys.namespace or ""),
            blocking=blocking,
            fault=fault,
        )
        for (source, request), (job, fault) in zip(requests, made, strict=True)
    ]
    return builds, list(lists.values())


def begin(place: Place, lists: Iterable[NamespaceSplits]) -> None:
    """Until the new manifest is there the data set is unfinished, and must look it.

    The plan of an earlier build in parts is no more: parts that still run end themselves.
    """
    layout = place.layout
    place.remove(layout.plan)
    place.remove_below(layout.plan.parent)
    place.remove(layout.manifest)
    remove_drafts(layout.root)
    patient_splits.write_lists(lists, layout)


def finish_set(
    builds: Iterable[SourceBuild], place: Place, config: BuildConfig, setting: BuildSetting
) -> Manifest:
    """Sum the sources up, all of whose chunks are there, and write the manifest."""
    builds, layout = list(builds), place.layout
    place.require_alone()
    for build in builds:
        build.close(setting.salt, setting.listen)
    place.require_alone()
    # Of workers that died in this very build.
    remove_drafts(layout.root)
    result = _assemble(layout, config.name or layout.root.resolve().name, setting.salt)
    write_readme(layout.root, result)
    manifest.write_manifest(layout, result)
    place.keep_rest((build.slug for build in builds), layout.manifest)
    return result


def _run(builds: list[SourceBuild], setting: BuildSetting) -> None:
    """Run the tasks of all sources; planning happens as the engine takes them.

    Raises UnfinishedBuild where chunks have no receipt.
    """
    engine, workers, listen = setting.engine, setting.workers, setting.listen
    with (
        telling_interrupts(),
        planning_apart(engine=engine, workers=workers, listen=listen) as apart,
    ):
        run_builds(builds, _tasks(builds, setting, apart), setting)
    if any(build.unfinished for build in builds):
        raise unfinished(builds)


def _tasks(
    builds: Sequence[SourceBuild], setting: BuildSetting, apart: Apart
) -> Iterator[ChunkTask]:
    for build in builds:
        make_plans(build, builds, setting, apart)
        yield from build.tasks(setting, apart)


def make_plans(
    build: SourceBuild, builds: Iterable[SourceBuild], setting: BuildSetting, apart: Apart
) -> None:
    """Plan a source, and with it those of `builds` that share its namespace; units that contradict
    each other, or what was built before, are refused."""
    if build.refusal is not None or build.unfinished or build.planned is not NO_PLAN:
        return
    namespace = build.job.card.keys.namespace
    own = [one for one in builds if one.job.card.keys.namespace == namespace]
    for one in own if namespace is not None else [build]:
        one.make_plan(setting, apart)
    if namespace is None:
        return
    plans = {one.slug: one.plan.table for one in own if one.planned is not NO_PLAN}
    slugs = {one.slug for one in builds}
    summaries = [read_summary(path) for path in _summaries(build.layout) if path.stem not in slugs]
    before = [one for one in summaries if one.entry.namespace == namespace]
    if not plans or len(plans) + len(before) < 2:
        return
    said = said_before(before, build.place)
    refused = contradicted(plans, said, namespace, setting.salt)
    for one in own:
        if found := refused.get(one.slug):
            one.refuse_units(found)


def run_builds(
    builds: Iterable[SourceBuild], tasks: Iterable[ChunkTask], setting: BuildSetting
) -> None:
    """Run tasks of the builds through one engine, and tell each build what became of them.

    Raises UnfinishedBuild at once where nothing can be written.
    """
    by_slug = {build.slug: build for build in builds}
    results = run_tasks(tasks, setting)
    with closing(results):
        for task, result in results:
            build = by_slug[task.slug]
            if not isinstance(result, Unfinished):
                build.finished(task.chunk, result, setting.listen)
                continue
            build.not_finished(task.chunk, result.reason, setting.listen)
            if result.everywhere:
                raise unfinished(by_slug.values(), ". Nothing more was begun")


def unfinished(builds: Iterable[SourceBuild], end: str = "") -> UnfinishedBuild:
    """What to say of chunks without a receipt, each with its reason."""
    chunks = [
        f"{build.slug}/{name} ({reason})"
        for build in builds
        for name, reason in sorted(build.unfinished.items())
    ]
    shown = "; ".join(chunks[:_SHOWN]) + ("; ..." if len(chunks) > _SHOWN else "")
    return UnfinishedBuild(
        f"unfinished after several tries, because the machine failed: {shown}{end}",
        fix="see to the disk, mount or store, or take a file that it has lost out of the raw files;"
        " then the same command goes on from here",
    )


def _check(place: Place, jobs: list[tuple[Source, Job]], salt: Salt) -> None:
    slugs = [job.card.slug for _, job in jobs]
    if repeated := sorted({slug for slug in slugs if slugs.count(slug) > 1}):
        fix = "give each mapping a slug of its own"
        raise UsageError(f"two sources are called {repeated[0]}", fix=fix)
    layout = place.layout
    for _, job in jobs:
        if place.is_inside(job.raw):
            raise UsageError("lies inside the raw folder", where=place.where, fix="move --out")
    if layout.manifest.is_file():
        before = manifest.read_manifest(layout.root)
        if holds_corrected(layout):
            what = "holds answers that people corrected, which a build would take back"
            fix = "build into the set that it was made from, and run `qoqdata correct` again"
            raise UsageError(what, where=place.where, fix=fix)
        others = set(before.sources) - set(slugs)
        if lost := sorted(others - {path.stem for path in _summaries(layout)}):
            what = f"holds {', '.join(lost)}, which no build made here, so that they would be lost"
            fix = "a release, a rebuilt or a derived set takes no source: name a new folder"
            raise UsageError(what, where=place.where, fix=fix)
        if others and before.salt_fingerprint != salt.fingerprint:
            raise UsageError(
                f"holds {', '.join(sorted(others))} built with another salt",
                where=place.where,
                fix="use the same salt file, or another --out",
            )


def _refuse_other_lists(
    layout: Layout, slugs: set[str], lists: Mapping[str, NamespaceSplits]
) -> None:
    """Sources that stay as they are must have followed the same list of their patients."""
    for path in _summaries(layout):
        if path.stem in slugs:
            continue
        entry = read_summary(path).entry
        own = lists.get(entry.namespace or "")
        if own is None or None in (entry.patient_splits, own.name):
            continue
        if entry.patient_splits != own.name:
            raise UsageError(
                f"{path.stem} was built with other splits of the patients of {own.namespace}",
                where=str(layout.root),
                fix=f"build {path.stem} again in the same command, or use another --out",
            )


def _summaries(layout: Layout) -> list[Path]:
    """Of the sources that were built into the data set, by name."""
    return sorted(layout.summary("x").parent.glob("*.json"))


def _assemble(layout: Layout, name: str, salt: Salt) -> Manifest:
    """The manifest of all sources whose summary is in the data set."""
    summaries = [read_summary(path) for path in _summaries(layout)]
    shards = tuple(
        sorted((s for summary in summaries for s in summary.shards), key=lambda s: s.path)
    )
    sources = {summary.slug: summary.entry for summary in summaries}
    return Manifest(
        name=name,
        schema_version=SCHEMA_VERSION,
        qoqdata_version=VERSION,
        config_digest=manifest.config_digest(sources),
        salt_fingerprint=salt.fingerprint,
        digest=manifest.shards_digest(shards),
        sources=sources,
        shards=shards,
        meta={one.slug: one.metadata for one in summaries if one.metadata is not None},
    )
