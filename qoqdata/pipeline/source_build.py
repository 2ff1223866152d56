"""The build of one source: planned, its chunks run or reused, then summed up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from qoqdata.atomic import digest, file_digest, write_json
from qoqdata.contract.card import Card
from qoqdata.contract.manifest import Comparison, Counts, MetadataFile, Shard, SourceEntry
from qoqdata.contract.storage import Storage
from qoqdata.errors import OverLimit, QoqdataError, UnfinishedBuild, WorkerDied
from qoqdata.layout import Layout
from qoqdata.manifest import is_as_built
from qoqdata.metadata import write_source_metadata
from qoqdata.pipeline import progress, quarantine, raw_keys, receipts
from qoqdata.pipeline.blocks import blocks_of
from qoqdata.pipeline.chunks import Chunk, cut_chunks
from qoqdata.pipeline.config import BuildConfig, BuildSetting
from qoqdata.pipeline.containers import container_digests
from qoqdata.pipeline.conversion import ChunkTask
from qoqdata.pipeline.expectations import compare_counts
from qoqdata.pipeline.faults import death, machine_fault
from qoqdata.pipeline.interrupts import is_persons
from qoqdata.pipeline.one_id_each import require_one_id_each
from qoqdata.pipeline.patient_splits import NamespaceSplits
from qoqdata.pipeline.place import Place
from qoqdata.pipeline.planning import (
    NO_PLAN,
    PlanStopped,
    SourceFault,
    SourcePlan,
    plan_or_fault,
    source_fault,
)
from qoqdata.pipeline.receipts import ShardReceipt, total_skips
from qoqdata.pipeline.source_summary import SourceSummary, count_of, read_summary
from qoqdata.pipeline.unit_limits import TimeIsUp
from qoqdata.pipeline.worker_process import ProcessDied
from qoqdata.pipeline.workers import Apart
from qoqdata.records.identity import Salt
from qoqdata.sources.protocol import Job, Refused, Source
from qoqdata.sources.unit_table import NO_UNITS


class _Refusal(Exception):
    """A source is refused, for a fault that was found where it was planned."""

    def __init__(self, fault: SourceFault) -> None:
        super().__init__(fault.told)
        self.fault = fault


class _Stopped(Exception):
    """A source is not planned now, and may be later."""

    def __init__(self, stopped: PlanStopped) -> None:
        super().__init__(stopped.reason)
        self.reason = stopped.reason


@dataclass
class SourceBuild:
    """`open`, exhaust `tasks` while reporting each as `finished`, then `close`."""

    source: Source
    job: Job
    config: BuildConfig
    storage: Storage
    max_quarantine: float
    place: Place
    #: The splits of the patients of its namespace, where its card needs them, and their name.
    patients: NamespaceSplits | None = None
    patient_splits: str | None = None
    #: Cards whose block lists may name the source.
    blocking: tuple[Card, ...] = ()
    fault: BaseException | None = None
    plan: SourcePlan = NO_PLAN
    refusal: str | None = None
    receipts: dict[str, ShardReceipt] = field(default_factory=dict)
    #: How many of them were there before.
    reused: int = 0
    #: As it was made, whatever became of the source: its raw keys are to be known again.
    planned: SourcePlan = NO_PLAN
    #: In the order of their names, once it is planned.
    chunks: tuple[Chunk, ...] = ()
    #: See `receipts`.
    common: str = ""
    #: Raw keys that a plan left which is not at hand as a whole.
    plan_keys: np.ndarray | None = None
    #: Of the last build, where that came to its end.
    before: SourceSummary | None = None
    #: Why chunks have no receipt, by name.
    unfinished: dict[str, str] = field(default_factory=dict)

    @property
    def layout(self) -> Layout:
        """Where its files are on this machine."""
        return self.place.layout

    @property
    def slug(self) -> str:
        """The source's name in the data set."""
        return self.job.card.slug

    def open(self) -> None:
        """A summary says that a source is whole; from here until `close` it is not."""
        path = self.layout.summary(self.slug)
        with suppress(OSError, UnfinishedBuild):
            self.before = read_summary(path)
        self.place.remove(path)

    def tasks(self, setting: BuildSetting, apart: Apart) -> Iterator[ChunkTask]:
        """Plan the source, where that is not done, and yield a task for every chunk whose receipt
        does not hold."""
        self.make_plan(setting, apart)
        self.cut(setting.listen)
        if self.refusal is not None or self.unfinished:
            return
        self.remove_stale()
        if setting.resume:
            self.look_at(chunk.name for chunk in self.chunks)
        for chunk in self.chunks:
            self.place.require_alone()
            task = self.task(chunk, setting.salt)
            receipt = self.receipt(chunk.name) if setting.resume else None
            with self._refusing("plan", setting.listen):
                try:
                    current = task.fingerprint()
                except OSError:
                    # On a disk that fails: whoever reads the files tells.
                    receipt = None
                else:
                    if not receipts.holds(receipt, current, self.place, self.job.limits):
                        receipt = None
            if self.refusal is not None:
                return
            if receipt is not None:
                self.finished(chunk, receipt, setting.listen, reused=True)
            else:
                yield task

    def make_plan(self, setting: BuildSetting, apart: Apart) -> None:
        """Plan the source, where that is not done.

        A source whose `fault` is known, or that cannot be planned, is refused as a whole; one whose
        raw files are out of reach is unfinished. `apart` runs its plan, see
        `workers.planning_apart`.
        """
        if self.refusal is not None or self.unfinished or self.planned is not NO_PLAN:
            return
        if self.fault is not None:
            self.refuse(self.fault, "plan", setting.listen)
            return
        with self._refusing("plan", setting.listen):
            try:
                self.plan = self.planned = self._planned(apart)
            except _Stopped as stopped:
                self.unfinished["plan"] = stopped.reason
                setting.listen(progress.ChunkUnfinished(self.slug, "plan", stopped.reason))
                return
            self.common = receipts.common_fingerprint(
                self.source, self.job, setting.salt, self.storage
            )

    def refuse_units(self, refused: Sequence[Refused]) -> None:
        """Take units out of the plan, which is not cut yet, into quarantine."""
        keys = pl.Series([one.key for one in refused], dtype=pl.String)
        table = self.plan.table.filter(~pl.col("key").is_in(keys.implode()))
        rows = (quarantine.refusal_row(one, self.job) for one in refused)
        plan = replace(self.plan, table=table, left_out=(*self.plan.left_out, *rows))
        self.plan = self.planned = plan

    def cut(self, listen: progress.Listener) -> None:
        """Cut the plan into chunks, and tell of it."""
        if self.refusal is not None or self.unfinished:
            return
        shard_units = self.config.shard_units or self.job.card.shard_units
        self.chunks = tuple(cut_chunks(self.plan.table, shard_units=shard_units))
        counts = (self.plan.table.height, len(self.chunks), len(self.plan.left_out))
        listen(progress.Planned(self.slug, *counts))
        for message in self.plan.messages:
            listen(progress.Warned(self.slug, message))

    def task(self, chunk: Chunk, salt: Salt) -> ChunkTask:
        """The task of a chunk."""
        common, place = self.common, self.place
        return ChunkTask(chunk, self.source, self.job, salt, self.storage, place, common)

    def look_at(self, names: Iterable[str]) -> None:
        """Learn of chunks by name, whose receipts are asked for next."""
        names = list(names)
        self.place.bring(self.layout.receipt(self.slug, name) for name in names)
        found = (self.receipt(name) for name in names)
        self.place.look_at(one.shard for one in found if one is not None and one.shard is not None)

    def receipt(self, name: str) -> ShardReceipt | None:
        """The receipt of the chunk of that name, whether or not it holds."""
        return receipts.read_receipt(self.layout.receipt(self.slug, name))

    def _planned(self, apart: Apart) -> SourcePlan:
        """The plan; raises what stands against it, and `_Refusal` for what its process found."""
        if self.patients is not None:
            self.patients.refuse_guess(self.job.card)
        blocks = blocks_of(self.job.card, self.blocking)
        listed = None if self.patients is None else self.patients.of
        seconds = self.job.limits.plan_seconds
        arguments = (self.job, self.config.limit, blocks, listed)
        try:
            plan = apart(plan_or_fault, self.source, seconds, *arguments)
        except (ProcessDied, TimeIsUp) as error:
            raise _plan_error(error, self.slug, seconds) from error
        if isinstance(plan, SourceFault):
            raise _Refusal(plan)
        if isinstance(plan, PlanStopped):
            raise _Stopped(plan)
        return plan

    def finished(
        self,
        chunk: Chunk,
        receipt: ShardReceipt,
        listen: progress.Listener,
        *,
        reused: bool = False,
    ) -> None:
        """Take in the receipt of a chunk."""
        self.receipts[chunk.name] = receipt
        self.reused += reused
        counts = (chunk.table.height, receipt.records, receipt.quarantined)
        listen(progress.Finished(self.slug, chunk.name, *counts, reused))

    def not_finished(self, chunk: Chunk, reason: str, listen: progress.Listener) -> None:
        """Take in that a chunk has no receipt, and why."""
        reason = quarantine.without_roots(reason, self.job)
        self.unfinished[chunk.name] = reason
        listen(progress.ChunkUnfinished(self.slug, chunk.name, reason))

    def close(self, salt: Salt, listen: progress.Listener) -> None:
        """Write the quarantine table, the card as built, the metadata and the summary.

        A source that cannot be summed up is refused, and its shards stay out of the manifest. One
        with unfinished chunks is left as it is, for the next build.
        """
        if self.unfinished:
            return
        counts = None
        with self._refusing("validate", listen):
            counts = self._sum_up(salt)
        # Once refused there is little to write; what fails again is the disk.
        counts = counts or self._sum_up(salt)
        if counts.annotation_only:
            message = (
                f"{counts.annotation_only} of {counts.records} records carry annotations only, "
                f"because their images are not there; training leaves them out. To get the "
                f"images: {' '.join(self.job.card.get.split())}"
            )
            listen(progress.Warned(self.slug, message))

    def refuse(
        self, error: BaseException, stage: quarantine.Stage, listen: progress.Listener
    ) -> None:
        """Refuse the source as a whole and say why; the other sources go on."""
        if isinstance(error, _Refusal):
            fault = error.fault
        else:
            fault = source_fault(self.source, self.job, error, stage)
        row = fault.row
        self.plan, self.chunks = SourcePlan(NO_UNITS, (row,)), ()
        self.refusal = f"{row['reason']}: {row['message']}"
        listen(progress.SourceRefused(self.slug, row["reason"], fault.told))

    @contextmanager
    def _refusing(self, stage: quarantine.Stage, listen: progress.Listener) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            # A disk that fails is no fault of the source.
            if is_persons(error) or machine_fault(error) is not None:
                raise
            self.refuse(error, stage, listen)

    def _sum_up(self, salt: Salt) -> Counts:
        names = sorted(self.receipts) if self.refusal is None else ()
        receipts_ = [self.receipts[name] for name in names]
        rows = [*self.plan.left_out, *(row for receipt in receipts_ for row in receipt.quarantine)]
        quarantine.write_quarantine(self.layout.quarantine(self.slug), rows)
        keys = self._write_raw_keys(receipts_, salt)
        # Block lists name raw keys and patients: they stay with the source that has them.
        card = self.job.card.model_copy(update={"block": ()}).model_dump(mode="json")
        write_json(self.layout.card(self.slug), card)
        counts = count_of(receipts_, left_out=self.plan.left_out)
        entry = SourceEntry(
            role=self.job.card.role,
            converter=self.source.card.slug,
            version=self.source.card.version,
            domain=self.job.card.domain,
            licence=self.job.card.licence.name,
            redistribution=self.job.card.redistribution,
            card_digest=digest(card),
            code_digest=self.source.code_digest,
            options=dict(self.job.options),
            storage=self.storage,
            limit=self.config.limit,
            shard_units=self.config.shard_units,
            refused=self.refusal,
            counts=counts,
            max_quarantine=self.max_quarantine,
            expected=self._compared(counts),
            blocked=dict(self.plan.blocked),
            ungrouped=self.plan.ungrouped,
            namespace=self.job.card.keys.namespace,
            patient_splits=None if self.refusal else self.patient_splits,
            containers=self._containers(),
        )
        shards = tuple(receipt.shard for receipt in receipts_ if receipt.shard is not None)
        metadata = self._write_metadata(shards)
        if metadata is not None:
            path = self.layout.metadata(self.slug)
            require_one_id_each(path, shards, self.chunks, self.job.card, salt)
        # Later builds of other sources list this one from its summary.
        summary = SourceSummary(
            slug=self.slug,
            entry=entry,
            shards=shards,
            metadata=metadata,
            skipped=total_skips(one for receipt in receipts_ for one in receipt.skipped),
            raw_keys=keys,
        )
        write_json(self.layout.summary(self.slug), summary.model_dump(mode="json"))
        return counts

    def _write_metadata(self, shards: tuple[Shard, ...]) -> MetadataFile | None:
        """The metadata of the shards; those of the last build where it had the same shards."""
        path = self.layout.metadata(self.slug)
        self.place.bring([path])
        if self.before is not None and self.before.shards == shards:
            metadata = self.before.metadata
            with suppress(FileNotFoundError):
                if metadata is not None and is_as_built(path, metadata):
                    return metadata
        if not shards:
            path.unlink(missing_ok=True)
            return None
        return write_source_metadata(self.layout.root, self.slug, self.place.metadata(shards))

    def _write_raw_keys(
        self, receipts_: Sequence[ShardReceipt], salt: Salt
    ) -> tuple[str, str] | None:
        """The raw keys of plan and receipts; the file of the last build where they are the same."""
        plan, path = self.planned, self.layout.raw_keys(self.slug)
        in_receipts = (receipt.raw_keys for receipt in receipts_)
        if self.plan_keys is not None:
            raw_keys.write_raw_keys(path, self.plan_keys, in_receipts)
            return None
        content = {
            "salt": salt.fingerprint,
            "raw_paths": self.job.card.raw_paths,
            "chunks": [(receipt.fingerprint, receipt.raw_keys) for receipt in receipts_],
            "units": None if receipts_ else plan.table["key"].to_list(),
            "left_out": [(row["unit"], row["raw"]) for row in plan.left_out],
            "persons": sorted(plan.identifiers.persons),
            "objects": sorted(plan.identifiers.objects),
        }
        made_from = digest(content)
        with suppress(FileNotFoundError):
            if self.before is not None and self.before.raw_keys == (made_from, file_digest(path)):
                return self.before.raw_keys
        entries = raw_keys.plan_keys(plan, plan.identifiers, self.job.card, salt)
        raw_keys.write_raw_keys(path, entries, in_receipts)
        return made_from, file_digest(path)

    def _containers(self) -> dict[str, str]:
        if self.job.card.raw_paths == "keyed":
            return {}
        stored = self.layout.containers(self.slug)
        return container_digests(self.plan.table, self.job, stored)

    def _compared(self, counts: Counts) -> Comparison | None:
        skipped = None
        if self.refusal is not None:
            skipped = "the source was refused"
        elif self.config.limit is not None:
            skipped = f"only the first {self.config.limit} units were built"
        return compare_counts(self.job.card, counts, self.plan.table, self.job.raw, skipped=skipped)

    def remove_stale(self) -> None:
        """Remove shards, likenesses, receipts and drafts of chunks that no longer exist."""
        names = {chunk.name for chunk in self.chunks}
        layout, slug = self.layout, self.slug
        folders = (layout.shards(slug), layout.likenesses(slug), layout.receipts(slug))
        for folder, suffix in zip(folders, (".parquet", ".parquet", ".json"), strict=True):
            for path in map(folder.joinpath, self.place.names(folder)):
                if path.stem not in names or path.suffix != suffix:
                    self.place.remove(path)


def _plan_error(error: ProcessDied | TimeIsUp, slug: str, seconds: int) -> QoqdataError:
    """Why a plan was not made whose process ended before it."""
    if isinstance(error, TimeIsUp) or (fault := death(error.exit_code)).kind == "time":
        what = f"planning took longer than {seconds:,} seconds, and was stopped"
        return OverLimit(what, where=slug, fix="raise limits.plan_seconds, or mend its plan")
    what = f"planning ended its process ({fault.message})"
    return WorkerDied(what, where=slug, fix="mend its plan, which may raise and never exit")
