"""The build of one source: planned, its chunks run or reused, then summed up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from qoqdata.atomic import digest, write_json
from qoqdata.contract.manifest import SourceEntry
from qoqdata.layout import Layout
from qoqdata.pipeline import progress, quarantine, receipts, summary
from qoqdata.pipeline.chunks import Chunk, cut
from qoqdata.pipeline.config import BuildConfig
from qoqdata.pipeline.planning import SourcePlan, make_plan
from qoqdata.pipeline.receipts import ShardReceipt
from qoqdata.pipeline.setting import BuildSetting
from qoqdata.pipeline.summary import Summary
from qoqdata.pipeline.work import ChunkTask
from qoqdata.sources.protocol import Job, Source

WHOLE_SOURCE = "(the whole source)"


@dataclass
class SourceBuild:
    """`open`, exhaust `tasks` while reporting each as `finished`, then `close`."""

    source: Source
    job: Job
    config: BuildConfig
    layout: Layout
    plan: SourcePlan = field(default_factory=lambda: SourcePlan((), ()))
    refused: str | None = None
    done: dict[str, ShardReceipt] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """The source's name in the data set."""
        return self.job.card.slug

    def open(self) -> None:
        """A summary says that a source is whole; from here until `close` it is not."""
        self.layout.summary(self.slug).unlink(missing_ok=True)

    def tasks(self, setting: BuildSetting) -> Iterator[ChunkTask]:
        """Plan the source, and yield a task for every chunk whose receipt does not hold."""
        self._make_plan(setting.listen)
        shard_units = self.config.shard_units or self.job.card.shard_units
        chunks = cut(self.plan.units, self.slug, shard_units=shard_units)
        if self.refused is not None:
            return
        counts = (len(self.plan.units), len(chunks), len(self.plan.left_out))
        setting.listen(progress.Planned(self.slug, *counts))
        self._remove_stale({chunk.name for chunk in chunks})
        for chunk in chunks:
            print_ = receipts.fingerprint(chunk, self.source, self.job, setting.salt)
            path = self.layout.receipt(self.slug, chunk.name)
            receipt = receipts.read_receipt(path) if setting.resume else None
            if receipt is not None and receipts.holds(receipt, print_, self.layout.root):
                self.finished(chunk, receipt, setting.listen, reused=True)
            else:
                yield ChunkTask(chunk, self.source, self.job, setting.salt, self.layout, print_)

    def finished(
        self,
        chunk: Chunk,
        receipt: ShardReceipt,
        listen: progress.Listener,
        *,
        reused: bool = False,
    ) -> None:
        """Take in the receipt of a chunk."""
        self.done[chunk.name] = receipt
        failures = len(receipt.quarantine)
        units = len(chunk.units)
        listen(progress.Finished(self.slug, chunk.name, units, receipt.records, failures, reused))

    def close(self, listen: progress.Listener) -> None:
        """Write the quarantine table, the card as built, and the summary."""
        receipts_ = [self.done[name] for name in sorted(self.done)]
        rows = [*self.plan.left_out, *(row for receipt in receipts_ for row in receipt.quarantine)]
        quarantine.write_quarantine(self.layout.quarantine(self.slug), rows)
        card = self.job.card.model_dump(mode="json")
        write_json(self.layout.card(self.slug), card)
        counts = summary.count(receipts_, left_out=self.plan.left_out)
        if counts.annotation_only:
            message = (
                f"{counts.annotation_only} of {counts.records} records carry annotations only, "
                f"because their images are not there; training leaves them out. To get the "
                f"images: {' '.join(self.job.card.get.split())}"
            )
            listen(progress.Warned(self.slug, message))
        entry = SourceEntry(
            converter=self.source.card.slug,
            version=self.source.card.version,
            domain=self.job.card.domain,
            licence=self.job.card.licence.name,
            redistribution=self.job.card.redistribution,
            card_digest=digest(card),
            code_digest=self.source.code_digest,
            options=dict(self.job.options),
            limit=self.config.limit,
            shard_units=self.config.shard_units,
            refused=self.refused,
            counts=counts,
        )
        shards = tuple(receipt.shard for receipt in receipts_ if receipt.shard is not None)
        summary.write_summary(self.layout, Summary(slug=self.slug, entry=entry, shards=shards))

    def _make_plan(self, listen: progress.Listener) -> None:
        """Plan, or refuse the source as a whole and say why; the other sources go on."""
        try:
            self.plan = make_plan(self.source, self.job, limit=self.config.limit)
        except Exception as error:
            row = quarantine.failed(WHOLE_SOURCE, (), "plan", error, self.job)
            self.plan = SourcePlan((), (row,))
            self.refused = f"{row['reason']}: {row['message']}"
            listen(progress.SourceRefused(self.slug, row["reason"], row["message"]))

    def _remove_stale(self, names: set[str]) -> None:
        """Remove shards, receipts and drafts of chunks that no longer exist."""
        folders = (self.layout.shards(self.slug), self.layout.receipts(self.slug))
        for folder, suffix in zip(folders, (".parquet", ".json"), strict=True):
            for path in folder.glob("*") if folder.is_dir() else ():
                if path.stem not in names or path.suffix != suffix:
                    path.unlink()
