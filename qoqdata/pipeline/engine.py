"""Build a data set: plan, convert, write, index. Interrupted builds go on where they stopped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from qoqdata import manifest
from qoqdata.contract.manifest import Manifest
from qoqdata.errors import UsageError
from qoqdata.layout import Layout
from qoqdata.pipeline import summary
from qoqdata.pipeline.config import BuildConfig, SourceRequest
from qoqdata.pipeline.engines import run_tasks
from qoqdata.pipeline.jobs import make_job
from qoqdata.pipeline.setting import BuildSetting
from qoqdata.pipeline.source_build import SourceBuild
from qoqdata.records.identity import Salt
from qoqdata.sources import catalogue
from qoqdata.sources.protocol import Job, Source


def build(config: BuildConfig, out: Path, setting: BuildSetting) -> Manifest:
    """Build or complete the data set at `out` and return its manifest.

    The same inputs, configuration and version give byte-identical shards for any number of
    workers and any number of kills in between. Raises UsageError for a configuration that does
    not fit and for a second build of the same folder; raw input at fault ends in quarantine.
    """
    found = [(catalogue.find_source(request.source), request) for request in config.sources]
    return build_requests(found, out, setting, config)


def build_requests(
    requests: Sequence[tuple[Source, SourceRequest]],
    out: Path,
    setting: BuildSetting,
    config: BuildConfig | None = None,
) -> Manifest:
    """As `build`, for sources at hand, registered or not; `config` gives the common settings."""
    layout = Layout(out)
    config = config or BuildConfig(sources=tuple(request for _, request in requests))
    jobs = [
        (source, make_job(source, request, limits=config.limits)) for source, request in requests
    ]
    _check(layout, jobs, setting.salt)
    layout.build.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(layout.lock, timeout=0):
            # Until the new manifest is there the data set is unfinished, and must look it.
            layout.manifest.unlink(missing_ok=True)
            _run([SourceBuild(source, job, config, layout) for source, job in jobs], setting)
            name = config.name or out.resolve().name
            result = summary.assemble(layout, name=name, salt_fingerprint=setting.salt.fingerprint)
            manifest.write_manifest(layout, result)
            return result
    except Timeout as error:
        raise UsageError(
            "another build is writing this data set", where=str(out), fix="wait for it to end"
        ) from error


def _run(builds: list[SourceBuild], setting: BuildSetting) -> None:
    """Run the tasks of all sources through one engine; planning happens as it takes them."""
    for build in builds:
        build.open()
    by_slug = {build.slug: build for build in builds}
    tasks = (task for build in builds for task in build.tasks(setting))
    for task, receipt in run_tasks(tasks, engine=setting.engine, workers=setting.workers):
        by_slug[task.job.card.slug].finished(task.chunk, receipt, setting.listen)
    for build in builds:
        build.close(setting.listen)


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
        present = manifest.read_manifest(layout.root)
        others = set(present.sources) - set(slugs)
        if others and present.salt_fingerprint != salt.fingerprint:
            raise UsageError(
                f"holds {', '.join(sorted(others))} built with another salt",
                where=str(layout.root),
                fix="use the same salt file, or another --out",
            )
