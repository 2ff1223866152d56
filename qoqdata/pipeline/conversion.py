"""Convert a chunk: each unit into validated rows or its quarantine row, into one shard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from qoqdata.contract.storage import Storage
from qoqdata.errors import InputError, RecordError, UnreadableFile
from qoqdata.layout import Layout
from qoqdata.pipeline import quarantine, raw_keys, receipts
from qoqdata.pipeline.chunks import Chunk
from qoqdata.pipeline.faults import (
    RETRIES,
    UnitFault,
    UnitStopped,
    fault_of,
    given_up,
    may_retry,
    stopped_at,
)
from qoqdata.pipeline.interrupts import is_persons
from qoqdata.pipeline.place import Place, tail_digest
from qoqdata.pipeline.process_resources import converting
from qoqdata.pipeline.receipts import ShardReceipt, SkipCount, Stamps, total_skips
from qoqdata.pipeline.shards import write_shard
from qoqdata.pipeline.unit_limits import TimeIsUp, killing, memory_bound
from qoqdata.pipeline.worker_process import NOWHERE, at_unit
from qoqdata.readers.identifiers import Identifiers, taking_identifiers
from qoqdata.readers.raw_file import DIGEST, taking_digests
from qoqdata.records.content import Record
from qoqdata.records.identity import Salt, keyed, record_id
from qoqdata.records.likeness_table import Shown, write_likeness
from qoqdata.records.rows import RecordFacts, row, shows_something
from qoqdata.records.rules import validate_unit
from qoqdata.records.storage import MediaStore
from qoqdata.sources.conformance import sort_converted
from qoqdata.sources.protocol import Filtered, Job, Skipped, Source, Unit
from qoqdata.sources.raw_roots import is_gone
from qoqdata.sources.raw_stamps import Stamp


@dataclass(frozen=True)
class ChunkTask:
    """One chunk with all that its conversion needs; travels to a worker process."""

    chunk: Chunk
    source: Source
    job: Job
    salt: Salt
    storage: Storage
    place: Place
    #: Of the source, see `receipts`.
    common: str

    @property
    def layout(self) -> Layout:
        """Where its files are on this machine."""
        return self.place.layout

    @property
    def slug(self) -> str:
        """The source's name in the data set."""
        return self.job.card.slug

    def fingerprint(self, stamped: Iterable[Stamps] | None = None) -> str:
        """The fingerprint of the chunk, by default with its files as they are now."""
        return receipts.fingerprint(self.common, self.chunk, self.job.raw, stamped)


@dataclass(frozen=True)
class UnitOutcome:
    """Rows of a converted unit, or the quarantine row of one that gave none; skipped questions,
    and the identifiers in the headers of its files.

    `fault` is why it is worth another try; `stopped` the limit, with its bound, that ended it.
    """

    rows: tuple[dict[str, Any], ...]
    left_out: quarantine.Row | None
    skips: tuple[SkipCount, ...] = ()
    identifiers: Identifiers = field(default_factory=Identifiers)
    shown: tuple[Shown, ...] = ()
    fault: UnitFault | None = None
    stopped: tuple[str, int] | None = None


@dataclass(frozen=True)
class Unfinished:
    """Why a chunk has no receipt: a fault of the machine, of one file or `everywhere`."""

    reason: str
    everywhere: bool


@converting()
def convert_chunk(
    task: ChunkTask, convert: Callable[[Unit], UnitOutcome] | None = None
) -> ShardReceipt:
    """Convert a chunk unit by unit, with one row group in memory, and leave shard and receipt.

    The receipt is about the files as they were before each unit was read. A unit whose files
    changed meanwhile is quarantined, and the receipt never holds: the next build tries again.
    """
    tally = _Tally()
    convert = convert or (lambda unit: convert_unit(unit, task))
    slug, name, stamp = task.job.card.slug, task.chunk.name, task.job.raw.stamper()
    stamped: list[Stamps] = []

    def convert_still(unit: Unit) -> UnitOutcome:
        before = _stamps(unit, stamp)
        outcome = convert(unit)
        after = _stamps(unit, stamp)
        if after != before:
            # No unit has twice its stamps, so no later fingerprint equals this one.
            before += after
            if outcome.left_out is None:
                changed = _changed_row(unit, task.job)
                outcome = replace(outcome, rows=(), left_out=changed, skips=(), shown=())
        stamped.append(before)
        return outcome

    path = task.layout.shard(slug, name)
    shard = write_shard(
        path,
        tally.rows(map(convert_still, task.chunk.units)),
        source=slug,
        split=task.chunk.split,
    )
    if shard is not None:
        write_likeness(task.layout.likeness(slug, name), tally.shown, shard.sha256)
    receipt = ShardReceipt(
        fingerprint=task.fingerprint(stamped),
        shard=shard,
        tail=None if shard is None else tail_digest(path),
        converted=tally.converted,
        records=tally.records,
        annotation_only=tally.annotation_only,
        quarantine=tuple(tally.left_out),
        skipped=total_skips(tally.skips),
        raw_keys=raw_keys.packed(tally.identifiers, task.job.card, task.salt),
        stopped=dict(sorted(tally.stopped)),
    )
    receipts.write_receipt(task.layout.receipt(slug, name), receipt)
    task.place.keep_chunk((path, task.layout.likeness(slug, name)), task.layout.receipt(slug, name))
    return receipt


def convert_unit(unit: Unit, task: ChunkTask) -> UnitOutcome:
    """Run the source's `convert` on a unit; whatever it raises ends in the quarantine row."""
    with taking_identifiers() as identifiers:
        return _outcome(unit, task, identifiers)


def _outcome(unit: Unit, task: ChunkTask, identifiers: Identifiers) -> UnitOutcome:
    job = task.job
    stage: quarantine.Stage = "convert"
    try:
        with job.raw.holding(unit.files):
            with taking_digests() as digests:
                converted = task.source.convert(unit, job)
            # Refuses missing files and paths that leave the root also where no converter looked.
            digest = job.raw.digest(unit.files, digests, limits=job.limits)
        stage = "validate"
        records, skipped = sort_converted(converted, unit, job.card)
        skips = total_skips(_skip(one, unit, job) for one in skipped)
        rows, shown = _rows(records, unit, task, digest)
        validate_unit(rows, job.card.role)
    # A converter that calls `exit`, or a decoder that panics, ends its unit and not the build.
    except BaseException as error:
        if is_persons(error):
            raise
        fault = fault_of(error)
        if fault is None and any(map(is_gone, (job.raw.root, *job.raw.mounts.values()))):
            # Files that went with their mount are not missing from the source.
            fault = UnitFault("machine", "the raw folder is empty or gone, and was there before")
        row = quarantine.failure_row(unit.key, unit.files, stage, error, job, task.source)
        return UnitOutcome((), row, identifiers=identifiers, fault=fault)
    if not rows:
        return UnitOutcome((), _skipped_row(unit, skips, job), skips, identifiers)
    return UnitOutcome(rows, None, skips, identifiers, shown)


def convert_here(
    unit: Unit, task: ChunkTask, in_time: AbstractContextManager[object]
) -> UnitOutcome:
    """As `convert_unit`, within the time that a unit has: see `unit_limits.raising`."""
    try:
        with in_time:
            return convert_unit(unit, task)
    except TimeIsUp as error:
        return UnitOutcome((), None, fault=fault_of(error))


def convert_killing(unit: Unit, task: ChunkTask) -> UnitOutcome:
    """As `convert_unit`, in a worker process that dies when the unit's time is up."""
    limits = task.job.limits
    with killing(limits.unit_seconds, memory_bound(limits)):
        return convert_unit(unit, task)


def stopping(task: ChunkTask) -> ShardReceipt:
    """Convert a chunk in a worker process; raises UnitStopped at the first fault of a unit."""
    places = {unit.key: place for place, unit in enumerate(task.chunk.units)}

    def convert(unit: Unit) -> UnitOutcome:
        at_unit(places[unit.key])
        outcome = convert_killing(unit, task)
        at_unit(NOWHERE)
        if outcome.fault is not None:
            raise UnitStopped(unit.key, outcome.fault)
        return outcome

    return convert_chunk(task, convert)


def persistently(
    unit: Unit,
    task: ChunkTask,
    attempt: Callable[[Unit], UnitOutcome],
    before: Sequence[UnitFault] = (),
) -> UnitOutcome:
    """Attempt a unit until it meets no fault or may not be tried again; `before` are faults so far.

    Then it is quarantined, with what stopped it as the reason. Raises UnitStopped where that is the
    machine: nothing is known of the unit.
    """
    faults = list(before)
    while True:
        outcome = attempt(unit)
        if (fault := outcome.fault) is None:
            return outcome
        faults.append(fault)
        if not may_retry(faults):
            break
    limits = task.job.limits
    if (error := given_up(fault, unit.key, limits)) is None:
        raise UnitStopped(unit.key, fault)
    row = quarantine.failure_row(unit.key, unit.files, "convert", error, task.job)
    return UnitOutcome((), row, stopped=stopped_at(fault, limits))


def _stamps(unit: Unit, stamp: Callable[[str], Stamp | None]) -> Stamps:
    """The stamps of a unit's files; UnitStopped where a disk or mount gives none."""
    for tries in range(1 + RETRIES):
        try:
            return tuple(map(stamp, unit.files))
        except OSError as error:
            fault = fault_of(error)
            if fault is None:
                raise
            if tries == RETRIES:
                raise UnitStopped(unit.key, fault) from error
    raise AssertionError("the last try returns")


def _skip(item: Skipped, unit: Unit, job: Job) -> SkipCount:
    asked = unit.key if item.item is None else f"{unit.key}, {item.item}"
    example = quarantine.without_roots(f"{asked}: {item.message}", job)
    return SkipCount(task=item.task, reason=item.reason, questions=1, example=example)


def _skipped_row(unit: Unit, skips: Iterable[SkipCount], job: Job) -> quarantine.Row:
    """A unit of which nothing can be asked is left out by that rule, and is no failure."""
    reasons = ", ".join(f"{one.task} ({one.reason})" for one in skips)
    message = f"every question is skipped: {reasons}"
    item = Filtered(unit.key, quarantine.ALL_SKIPPED, message, unit.files)
    return quarantine.filtered_row(item, job, "convert")


def _changed_row(unit: Unit, job: Job) -> quarantine.Row:
    error = UnreadableFile(
        "its files changed while they were read",
        where=unit.key,
        fix="build again once nothing writes to the raw folder",
    )
    return quarantine.failure_row(unit.key, unit.files, "convert", error, job)


def _rows(
    records: Iterable[Record], unit: Unit, task: ChunkTask, digest: str
) -> tuple[tuple[dict[str, Any], ...], tuple[Shown, ...]]:
    """The rows of a unit's records, and what they show."""
    card, salt = task.job.card, task.salt
    namespace = card.keys.namespace or card.slug
    common = _common_facts(unit, task, digest)
    keyed_paths = card.raw_paths == "keyed"
    store = MediaStore(task.storage)
    rows: dict[str, dict[str, Any]] = {}
    shown: list[Shown] = []
    for record in records:
        study = record.study or unit.key
        if study != unit.key and not study.startswith(f"{unit.key}/"):
            raise InputError(
                f"the study {study!r} does not begin with the unit's key", where=unit.key
            )
        facts = common._replace(
            id=record_id(card.slug, study, record.task, record.item, salt=_path_salt(task)),
            study=keyed("study", namespace, study, salt=salt),
        )
        if facts.id in rows:
            rule = "one record a study, task and item"
            raise RecordError("occurs twice", record=facts.id, column="id", rule=rule)
        if keyed_paths and record.notes:
            record = replace(record, notes=_without_names(record.notes, unit))
        shown += (Shown(len(rows), *one) for one in store.likenesses(record))
        rows[facts.id] = row(record, store.store(record), facts)
    return tuple(rows.values()), tuple(shown)


def _without_names(notes: Iterable[str], unit: Unit) -> tuple[str, ...]:
    """Notes of readers without the names of raw files, where these do not enter records."""
    names = {path.rpartition("/")[2] for path in unit.files} | set(unit.files)
    for name in sorted(names, key=len, reverse=True):
        notes = [note.replace(name, "the file") for note in notes]
    return tuple(notes)


def _common_facts(unit: Unit, task: ChunkTask, digest: str) -> RecordFacts:
    """What all records of a unit have in common; `id` and `study` are each record's own."""
    card, salt, path_salt = task.job.card, task.salt, _path_salt(task)
    raw = unit.files
    if path_salt is not None:
        raw = tuple([keyed("path", card.slug, path, salt=path_salt) for path in raw])
    namespace = card.keys.namespace or card.slug
    return RecordFacts(
        id="",
        source=card.slug,
        domain=card.domain,
        modality=card.modality,
        split=str(unit.split),
        patient=unit.patient and keyed("patient", namespace, unit.patient, salt=salt),
        study="",
        licence=card.licence.name,
        redistribution=card.redistribution,
        raw=raw,
        digest=digest,
        algorithm=DIGEST,
        converter=task.source.card.slug,
        version=str(card.version),
    )


def _path_salt(task: ChunkTask) -> Salt | None:
    """The salt of record ids and raw paths, None where both are public."""
    return task.salt if task.job.card.raw_paths == "keyed" else None


def failed_chunk(task: ChunkTask, error: BaseException) -> ShardReceipt:
    """The receipt, which nobody keeps, of a chunk that failed as a whole: all its units are
    quarantined, and the next build tries again."""
    task.layout.shard(task.job.card.slug, task.chunk.name).unlink(missing_ok=True)
    rows = (
        quarantine.failure_row(unit.key, unit.files, "validate", error, task.job, task.source)
        for unit in task.chunk.units
    )
    return ShardReceipt(
        fingerprint="",
        shard=None,
        converted=0,
        records=0,
        annotation_only=0,
        quarantine=tuple(rows),
    )


class _Tally:
    """Counts outcomes while their rows stream into the shard."""

    def __init__(self) -> None:
        self.converted = self.records = self.annotation_only = 0
        self.left_out: list[quarantine.Row] = []
        self.skips: list[SkipCount] = []
        self.identifiers = Identifiers()
        self.shown: list[Shown] = []
        self.stopped: set[tuple[str, int]] = set()

    def rows(self, outcomes: Iterable[UnitOutcome]) -> Iterator[dict[str, Any]]:
        for outcome in outcomes:
            self.skips += outcome.skips
            self.identifiers.add(outcome.identifiers)
            if outcome.stopped is not None:
                self.stopped.add(outcome.stopped)
            if outcome.left_out is not None:
                self.left_out.append(outcome.left_out)
                continue
            self.converted += 1
            self.shown += (one._replace(row=self.records + one.row) for one in outcome.shown)
            self.records += len(outcome.rows)
            self.annotation_only += sum(not shows_something(one) for one in outcome.rows)
            yield from outcome.rows
