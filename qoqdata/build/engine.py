"""Build a data set: plan, convert, write, index. Interrupted builds go on where they stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from qoqdata import manifest
from qoqdata.atomic import digest, write_json
from qoqdata.build import progress, quarantine, receipts, summary
from qoqdata.build.chunks import Chunk, cut
from qoqdata.build.config import BuildConfig
from qoqdata.build.engines import run_tasks
from qoqdata.build.jobs import make_job
from qoqdata.build.planning import Plan, make_plan
from qoqdata.build.receipts import Receipt
from qoqdata.build.summary import Summary
from qoqdata.build.work import Task
from qoqdata.errors import UsageError
from qoqdata.layout import Layout
from qoqdata.records.identity import Salt
from qoqdata.sources.protocol import Job, Source
from schemas.manifest import Manifest, SourceEntry


@dataclass(frozen=True)
class Setting:
    """How to run a build. `workers` 0 stays in this process; `resume` False redoes every chunk."""

    salt: Salt
    workers: int = 1
    engine: str = "local"
    resume: bool = True
    listen: progress.Listener = progress.silent


def build(config: BuildConfig, out: Path, setting: Setting) -> Manifest:
    """Build or complete the data set at `out` and return its manifest.

    The same inputs, configuration and version give byte-identical shards for any number of
    workers and any number of kills in between. Raises UsageError for a configuration that does
    not fit and for a second build of the same folder; raw input at fault ends in quarantine.
    """
    layout = Layout(out)
    jobs = [make_job(request, limits=config.limits) for request in config.sources]
    _check(layout, jobs, setting.salt)
    layout.build.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(layout.lock, timeout=0):
            # Until the new manifest is there the data set is unfinished, and must look it.
            layout.manifest.unlink(missing_ok=True)
            for source, job in jobs:
                _build_source(source, job, config, layout, setting)
            name = config.name or out.resolve().name
            result = summary.assemble(layout, name=name, salt_fingerprint=setting.salt.fingerprint)
            manifest.write(layout, result)
            return result
    except Timeout as error:
        raise UsageError(
            "another build is writing this data set", where=str(out), fix="wait for it to end"
        ) from error


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
        present = manifest.read(layout.root)
        others = set(present.sources) - set(slugs)
        if others and present.salt_fingerprint != salt.fingerprint:
            raise UsageError(
                f"holds {', '.join(sorted(others))} built with another salt",
                where=str(layout.root),
                fix="use the same salt file, or another --out",
            )


def _build_source(
    source: Source, job: Job, config: BuildConfig, layout: Layout, setting: Setting
) -> None:
    slug = job.card.slug
    # A summary says that a source is whole; from here until the end it is not.
    layout.summary(slug).unlink(missing_ok=True)
    plan, refused = _plan(source, job, config, setting)
    chunks = cut(plan.units, slug, shard_units=config.shard_units or job.card.shard_units)
    if refused is None:
        event = progress.Planned(slug, len(plan.units), len(chunks), len(plan.left_out))
        setting.listen(event)
    done = dict(_run(chunks, source, job, layout, setting))
    if refused is None:
        _remove_stale(layout, slug, {chunk.name for chunk in chunks})
    rows = [*plan.left_out, *(row for name in sorted(done) for row in done[name].quarantine)]
    quarantine.write(layout.quarantine(slug), rows)
    card = job.card.model_dump(mode="json")
    write_json(layout.card(slug), card)
    counts = summary.count(done.values(), left_out=plan.left_out)
    if counts.annotation_only:
        message = (
            f"{counts.annotation_only} of {counts.records} records carry annotations only, because "
            f"their images are not there; training leaves them out. To get the images: "
            f"{' '.join(job.card.get.split())}"
        )
        setting.listen(progress.Warned(slug, message))
    entry = SourceEntry(
        converter=source.card.slug,
        version=source.card.version,
        domain=job.card.domain,
        licence=job.card.licence.name,
        redistribution=job.card.redistribution,
        card_digest=digest(card),
        code_digest=source.code_digest,
        options=dict(job.options),
        limit=config.limit,
        refused=refused,
        counts=counts,
    )
    shards = tuple(shard for name in sorted(done) if (shard := done[name].shard) is not None)
    summary.write_summary(layout, Summary(slug=slug, entry=entry, shards=shards))


def _plan(
    source: Source, job: Job, config: BuildConfig, setting: Setting
) -> tuple[Plan, str | None]:
    """The plan, or an empty one and why the source was refused as a whole."""
    try:
        return make_plan(source, job, limit=config.limit), None
    except Exception as error:
        row = quarantine.failed("(the whole source)", (), "plan", error, job)
        setting.listen(progress.Refused(job.card.slug, row["reason"], row["message"]))
        return Plan((), (row,)), f"{row['reason']}: {row['message']}"


def _run(
    chunks: list[Chunk], source: Source, job: Job, layout: Layout, setting: Setting
) -> Iterator[tuple[str, Receipt]]:
    """(chunk name, receipt) of every chunk, running those whose receipt does not hold."""
    slug = job.card.slug
    tasks = []
    for chunk in chunks:
        print_ = receipts.fingerprint(chunk, source, job, setting.salt)
        receipt = receipts.read(layout.receipt(slug, chunk.name)) if setting.resume else None
        if receipt is not None and receipts.holds(receipt, print_, layout.root):
            setting.listen(_finished(slug, chunk, receipt, reused=True))
            yield chunk.name, receipt
        else:
            tasks.append(Task(chunk, source, job, setting.salt, layout, print_))
    for task, receipt in run_tasks(tasks, engine=setting.engine, workers=setting.workers):
        setting.listen(_finished(slug, task.chunk, receipt, reused=False))
        yield task.chunk.name, receipt


def _finished(slug: str, chunk: Chunk, receipt: Receipt, *, reused: bool) -> progress.Event:
    failures = len(receipt.quarantine)
    return progress.Finished(slug, chunk.name, len(chunk.units), receipt.records, failures, reused)


def _remove_stale(layout: Layout, slug: str, names: set[str]) -> None:
    """Remove shards, receipts and drafts of chunks that no longer exist."""
    for folder, suffix in ((layout.shards(slug), ".parquet"), (layout.receipts(slug), ".json")):
        for path in folder.glob("*") if folder.is_dir() else ():
            if path.stem not in names or path.suffix != suffix:
                path.unlink()
