"""Receipts: proof that a chunk was finished, from which inputs, and what became of its units."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from qoqdata.atomic import digest, write_json
from qoqdata.contract.manifest import Shard
from qoqdata.contract.record import VERSION as SCHEMA_VERSION
from qoqdata.contract.storage import Storage
from qoqdata.pipeline.chunks import Chunk
from qoqdata.pipeline.place import Place
from qoqdata.pipeline.unit_limits import memory_bound
from qoqdata.readers.limits import Limits
from qoqdata.records.identity import Salt
from qoqdata.sources.protocol import Job, Source
from qoqdata.sources.raw_stamps import Stamp
from qoqdata.sources.rawtree import RawTree
from qoqdata.sources.unit_table import COLUMNS, all_files
from qoqdata.version import VERSION

_TEXTS = [name for name in COLUMNS if name != "files"]
#: Of files one after the other: of a unit, or of several.
Stamps = tuple[Stamp | None, ...]


class SkipCount(BaseModel):
    """Questions of one task skipped for one reason; `example` is the first of them, in words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    reason: str
    questions: int
    example: str


class ShardReceipt(BaseModel):
    """What one chunk gave; written after its shard, whose last bytes have the digest `tail`.

    `raw_keys` are keyed hashes of identifiers that its files' headers hold (see `raw_keys`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fingerprint: str
    shard: Shard | None
    tail: str | None = None
    converted: int
    records: int
    annotation_only: int
    quarantine: tuple[dict[str, Any], ...]
    skipped: tuple[SkipCount, ...] = ()
    raw_keys: str = ""
    #: Limits, with their bounds, that stopped units for good.
    stopped: dict[str, int] = {}

    @property
    def quarantined(self) -> int:
        """Units that failed; the table also names those that were filtered."""
        return sum(row["outcome"] == "quarantined" for row in self.quarantine)


def common_fingerprint(source: Source, job: Job, salt: Salt, storage: Storage) -> str:
    """A digest of what the shards of all chunks of a source depend on.

    Versions, the card, the converter's code, options, mapping, limits of size, storage, the salt.
    """
    return digest(
        {
            "schema": SCHEMA_VERSION,
            "qoqdata": VERSION,
            "card": job.card.model_dump(mode="json"),
            "code": source.code_digest,
            "options": dict(job.options),
            "mapping": job.mapping and job.mapping.model_dump(mode="json"),
            "limits": job.limits.of_content(),
            "storage": storage.model_dump(mode="json"),
            "salt": salt.fingerprint,
        }
    )


def fingerprint(
    common: str, chunk: Chunk, raw: RawTree, stamped: Iterable[Stamps] | None = None
) -> str:
    """A digest of everything that the chunk's shard depends on.

    That is what all chunks of the source depend on, `common_fingerprint`, and each unit with the
    stamps of its files: those in `stamped`, unit by unit, by default those of this moment.
    """
    table, files = chunk.table, all_files(chunk.table).to_list()
    if stamped is None:
        stamped = [tuple(raw.stamps(files))]
    return digest(
        {
            "common": common,
            "units": {name: table[name].to_list() for name in _TEXTS},
            "files": [files, table["files"].list.len().to_list()],
            "stamps": list(chain.from_iterable(stamped)),
        }
    )


def read_receipt(path: Path) -> ShardReceipt | None:
    """The receipt at `path`, or None when there is none that can be read."""
    try:
        return ShardReceipt.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def total_skips(counts: Iterable[SkipCount]) -> tuple[SkipCount, ...]:
    """Counts of the same task and reason added up, in sorted order, each with its first example."""
    totals: dict[tuple[str, str], SkipCount] = {}
    for one in counts:
        key = (one.task, one.reason)
        before = totals.get(key)
        if before is not None:
            questions = before.questions + one.questions
            one = before.model_copy(update={"questions": questions})
        totals[key] = one
    return tuple(totals[key] for key in sorted(totals))


def write_receipt(path: Path, receipt: ShardReceipt) -> None:
    """Write a receipt atomically."""
    write_json(path, receipt.model_dump(mode="json"))


def holds(receipt: ShardReceipt | None, current: str, place: Place, limits: Limits) -> bool:
    """Whether the chunk needs no work: same fingerprint, and its shard is there, of the same size
    and with the same footer, so that another shard in its place is noticed. It needs work where a
    limit was raised that had stopped one of its units.

    The shard's digest is left to `qoqdata validate`: reading terabytes again is no resume.
    """
    if receipt is None or receipt.fingerprint != current:
        return False
    now = {"unit_seconds": limits.unit_seconds, "unit_bytes": memory_bound(limits)}
    if any(now.get(name, bound) > bound for name, bound in receipt.stopped.items()):
        return False
    if receipt.shard is None:
        return True
    return place.end_of(receipt.shard.path) == (receipt.shard.bytes, receipt.tail)
