"""The work of one process: convert a chunk, write its shard, then its receipt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from qoqdata.layout import Layout
from qoqdata.pipeline import quarantine, receipts
from qoqdata.pipeline.chunks import Chunk
from qoqdata.pipeline.conversion import UnitOutcome, convert_unit
from qoqdata.pipeline.receipts import ShardReceipt
from qoqdata.pipeline.shards import write_shard
from qoqdata.records.identity import Salt
from qoqdata.records.rows import shows_something
from qoqdata.sources.protocol import Job, Source, Unit


@dataclass(frozen=True)
class ChunkTask:
    """One chunk with all that its conversion needs; travels to a worker process."""

    chunk: Chunk
    source: Source
    job: Job
    salt: Salt
    layout: Layout
    fingerprint: str


def prepare_process() -> None:
    """One core a worker: the pool is the parallelism."""
    import cv2

    cv2.setNumThreads(1)


def run(task: ChunkTask, convert: Callable[[Unit], UnitOutcome] | None = None) -> ShardReceipt:
    """Convert a chunk unit by unit, with one row group in memory, and leave shard and receipt."""
    tally = _Tally()
    convert = convert or (lambda unit: convert_unit(unit, task.source, task.job, task.salt))
    slug, name = task.job.card.slug, task.chunk.name
    shard = write_shard(
        task.layout.shard(slug, name),
        tally.rows(map(convert, task.chunk.units)),
        source=slug,
        split=task.chunk.split,
    )
    receipt = ShardReceipt(
        fingerprint=task.fingerprint,
        shard=shard,
        converted=tally.converted,
        records=tally.records,
        annotation_only=tally.annotation_only,
        quarantine=tuple(tally.failures),
    )
    receipts.write_receipt(task.layout.receipt(slug, name), receipt)
    return receipt


class _Tally:
    """Counts outcomes while their rows stream into the shard."""

    def __init__(self) -> None:
        self.converted = self.records = self.annotation_only = 0
        self.failures: list[quarantine.Row] = []

    def rows(self, outcomes: Iterable[UnitOutcome]) -> Iterator[dict[str, Any]]:
        for outcome in outcomes:
            if outcome.failure is not None:
                self.failures.append(outcome.failure)
                continue
            self.converted += 1
            for row in outcome.rows:
                self.records += 1
                self.annotation_only += not shows_something(row)
                yield row
