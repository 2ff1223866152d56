"""Build a data set: plan, convert, write, index. Interrupted builds go on where they stopped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError

from qoqdata import manifest
from qoqdata.atomic import remove_drafts
from qoqdata.contract.card import Card
from qoqdata.contract.manifest import Manifest
from qoqdata.contract.record import VERSION as SCHEMA_VERSION
from qoqdata.contract.storage import Storage
from qoqdata.errors import UnfinishedBuild, UsageError
from qoqdata.layout import Layout
from qoqdata.pipeline import patient_splits
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.pipeline.conversion import Unfinished
from qoqdata.pipeline.interrupts import is_persons, telling_interrupts
from qoqdata.pipeline.patient_splits import NamespaceSplits
from qoqdata.pipeline.readme import write_readme
from qoqdata.pipeline.source_build import SourceBuild, read_summary
from qoqdata.pipeline.workers import planning_apart, run_tasks
from qoqdata.readers.limits import Limits
from qoqdata.records.identity import Salt
from qoqdata.settings import load_mapping
from qoqdata.sources import catalogue
from qoqdata.sources.card import settle_options
from qoqdata.sources.protocol import Job, Source
from qoqdata.sources.rawtree import open_raw
from qoqdata.version import VERSION

#: Unfinished chunks that a message names.
_SHOWN = 5


def build(config: BuildConfig, out: Path, setting: BuildSetting) -> Manifest:
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
    out: Path,
    setting: BuildSetting,
    config: BuildConfig | None = None,
) -> Manifest:
    """As `build`, for sources at hand, registered or not; `config` gives the common settings."""
    layout = Layout(out)
    config = config or BuildConfig(sources=tuple(request for _, request in requests))
    made = [_job_or_fault(source, request, config.limits) for source, request in requests]
    jobs = [(source, job) for (source, _), (job, _) in zip(requests, made, strict=True)]
    _check(layout, jobs, setting.salt)
    lists = patient_splits.gather(
        [job for _, job in jobs], config.patient_splits, layout, setting.salt
    )
    _refuse_other_lists(layout, {job.card.slug for _, job in jobs}, lists)
    blocking = (*catalogue.blocking_cards(), *(job.card for _, job in jobs))
    _make_folders(layout)
    try:
        with FileLock(layout.lock, timeout=0):
            # Until the new manifest is there the data set is unfinished, and must look it.
            layout.manifest.unlink(missing_ok=True)
            remove_drafts(layout.root)
            patient_splits.write_lists(lists.values(), layout)
            _run(
                [
                    SourceBuild(
                        source,
                        job,
                        config,
                        _storage(request, job, config, setting),
                        _max_quarantine(request, config, setting),
                        layout,
                        lists.get(job.card.keys.namespace or ""),
                        blocking,
                        fault,
                    )
                    for (source, request), (job, fault) in zip(requests, made, strict=True)
                ],
                setting,
            )
            # Of workers that died in this very build.
            remove_drafts(layout.root)
            name = config.name or out.resolve().name
            result = _assemble(layout, name, setting.salt)
            write_readme(layout.root, result)
            manifest.write_manifest(layout, result)
            return result
    except Timeout as error:
        raise UsageError(
            "another build is writing this data set", where=str(out), fix="wait for it to end"
        ) from error


def _make_folders(layout: Layout) -> None:
    """Those that name raw files and what is in them: for whoever builds, and nobody else."""
    try:
        for folder in (layout.build, layout.quarantine("x").parent):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
    except (FileExistsError, FileNotFoundError, NotADirectoryError, PermissionError) as error:
        what = f"no folder can be made there: {(error.strerror or str(error)).lower()}"
        raise UsageError(what, where=str(layout.root), fix="name another --out") from error


def _storage(
    request: SourceRequest, job: Job, config: BuildConfig, setting: BuildSetting
) -> Storage:
    """How a source's pixels are stored: the first that says so, from the command to the card."""
    mapping: Storage | None = getattr(job.mapping, "storage", None)
    asked = (setting.overrides.storage, mapping, request.storage, config.storage, job.card.storage)
    return next((storage for storage in asked if storage is not None), Storage())


def _max_quarantine(request: SourceRequest, config: BuildConfig, setting: BuildSetting) -> float:
    asked = (setting.overrides.max_quarantine, request.max_quarantine)
    return next((share for share in asked if share is not None), config.max_quarantine)


def make_job(source: Source, request: SourceRequest, *, limits: Limits) -> Job:
    """The job of a request; raises UsageError for anything that does not fit."""
    settings = _mapping(request)
    job = _unconfigured_job(source, request, limits)
    where = f"source {source.card.slug}"
    if source.configure is None:
        if settings is not None:
            raise UsageError("takes no mapping", where=where, fix="leave it out")
        return job
    if settings is None:
        fix = f"pass --mapping FILE; `qoqdata sources {source.card.slug}` shows an example"
        raise UsageError("needs a mapping", where=where, fix=fix)
    card, mapping = source.configure(source.card, settings)
    raw = job.raw.ignoring(getattr(mapping, "ignore", ()))
    return replace(job, card=card, raw=raw, mapping=mapping)


def _job_or_fault(
    source: Source, request: SourceRequest, limits: Limits
) -> tuple[Job, BaseException | None]:
    """The job; where the converter itself cannot configure it, one to be refused, and why.

    What a user got wrong is told before anything is built: UsageError passes through.
    """
    try:
        return make_job(source, request, limits=limits), None
    except UsageError:
        raise
    except BaseException as error:
        if is_persons(error):
            raise
        job = _unconfigured_job(source, request, limits)
        # It is to be refused under the name that it would have had.
        slug = (_mapping(request) or {}).get("slug")
        try:
            card = Card.model_validate(job.card.model_dump() | {"slug": slug})
        except ValidationError:
            card = job.card
        return replace(job, card=card), error


def _unconfigured_job(source: Source, request: SourceRequest, limits: Limits) -> Job:
    raw = open_raw(request.raw, request.mounts)
    return Job(source.card, raw, settle_options(source.card, request.options), None, limits)


def _mapping(request: SourceRequest) -> Mapping[str, Any] | None:
    if isinstance(request.mapping, Path):
        return load_mapping(request.mapping)
    return request.mapping


def _run(builds: list[SourceBuild], setting: BuildSetting) -> None:
    """Run the tasks of all sources through one engine; planning happens as it takes them.

    Raises UnfinishedBuild where chunks have no receipt: at once where nothing can be written.
    """
    for build in builds:
        build.open()
    by_slug = {build.slug: build for build in builds}
    engine, workers, listen = setting.engine, setting.workers, setting.listen
    with (
        telling_interrupts(),
        planning_apart(engine=engine, workers=workers, listen=listen) as apart,
    ):
        tasks = (task for build in builds for task in build.tasks(setting, apart))
        results = run_tasks(tasks, engine=engine, workers=workers, listen=listen)
        with closing(results):
            for task, result in results:
                build = by_slug[task.slug]
                if not isinstance(result, Unfinished):
                    build.finished(task.chunk, result, listen)
                    continue
                build.not_finished(task.chunk, result.reason, listen)
                if result.everywhere:
                    raise _unfinished(builds, ". Nothing more was begun")
    for build in builds:
        build.close(setting.salt, listen)
    if any(build.unfinished for build in builds):
        raise _unfinished(builds)


def _unfinished(builds: Iterable[SourceBuild], end: str = "") -> UnfinishedBuild:
    """What to say of chunks without a receipt, each with its reason."""
    chunks = [
        f"{build.slug}/{name} ({reason})"
        for build in builds
        for name, reason in sorted(build.unfinished.items())
    ]
    shown = "; ".join(chunks[:_SHOWN]) + ("; ..." if len(chunks) > _SHOWN else "")
    return UnfinishedBuild(
        f"unfinished after several tries, because the machine failed: {shown}{end}",
        fix="see to the disk or mount, or take a file that it has lost out of the raw folder;"
        " then the same command goes on from here",
    )


def _check(layout: Layout, jobs: list[tuple[Source, Job]], salt: Salt) -> None:
    slugs = [job.card.slug for _, job in jobs]
    if repeated := sorted({slug for slug in slugs if slugs.count(slug) > 1}):
        fix = "give each mapping a slug of its own"
        raise UsageError(f"two sources are called {repeated[0]}", fix=fix)
    root = layout.root.resolve()
    for _, job in jobs:
        if root.is_relative_to(job.raw.root.resolve()):
            raise UsageError("lies inside the raw folder", where=str(layout.root), fix="move --out")
    if layout.manifest.is_file():
        before = manifest.read_manifest(layout.root)
        others = set(before.sources) - set(slugs)
        if others and before.salt_fingerprint != salt.fingerprint:
            raise UsageError(
                f"holds {', '.join(sorted(others))} built with another salt",
                where=str(layout.root),
                fix="use the same salt file, or another --out",
            )


def _refuse_other_lists(
    layout: Layout, slugs: set[str], lists: Mapping[str, NamespaceSplits]
) -> None:
    """Sources that stay as they are must have followed the same list of their patients."""
    for path in sorted(layout.summary("x").parent.glob("*.json")):
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


def _assemble(layout: Layout, name: str, salt: Salt) -> Manifest:
    """The manifest of all sources whose summary is in the data set."""
    summaries = [read_summary(path) for path in sorted(layout.summary("x").parent.glob("*.json"))]
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
