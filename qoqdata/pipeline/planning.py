"""Plan a source: collect its units, settle splits, order them, and cut them into chunks.

Splits go by group: official ones win, the rest follow a public hash, and no group straddles.
"""

from __future__ import annotations

import gc
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from qoqdata.contract.card import Card
from qoqdata.contract.vocabulary import SPLITS, Split
from qoqdata.errors import DuplicateKey, InputError, TornGroup
from qoqdata.pipeline import quarantine
from qoqdata.pipeline.blocks import CardBlock, keep_out
from qoqdata.pipeline.faults import RETRIES, UnitStopped, fault_of
from qoqdata.pipeline.interrupts import is_persons
from qoqdata.pipeline.raw_leftovers import leftover_messages, refused_files
from qoqdata.pipeline.unit_limits import TimeIsUp
from qoqdata.readers.identifiers import Identifiers, taking_identifiers
from qoqdata.records.identity import PUBLIC_SALT
from qoqdata.sources.conformance import sound_plan
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Source, Unit
from qoqdata.sources.raw_level import with_level

#: The official splits of a unit by a list of its namespace; none where it is not in it.
Listed = Callable[[Unit], frozenset[Split]]


@dataclass(frozen=True)
class SourcePlan:
    """Units in build order, and quarantine rows of what planning left out.

    `blocked` counts the units that block lists kept out of train, by card; `ungrouped` those that
    nothing ties to others, so that one patient's may lie in several splits. `messages` say so, and
    what of the raw tree was not looked at. `identifiers` are those that headers and tables held.
    """

    units: tuple[Unit, ...]
    left_out: tuple[quarantine.Row, ...]
    blocked: Mapping[str, int] = field(default_factory=dict)
    ungrouped: int = 0
    messages: tuple[str, ...] = ()
    identifiers: Identifiers = field(default_factory=Identifiers)


@dataclass(frozen=True)
class SourceFault:
    """Why a source is refused as a whole: its quarantine row, and the message with full paths."""

    row: quarantine.Row
    told: str


@dataclass(frozen=True)
class Chunk:
    """The units of one shard; `name` is `<split>-<number>`."""

    name: str
    split: Split
    units: tuple[Unit, ...]


def plan_or_fault(
    source: Source,
    job: Job,
    limit: int | None,
    blocks: Sequence[CardBlock],
    listed: Listed | None,
) -> SourcePlan | SourceFault:
    """As `make_plan`; whatever that raises is the source's fault, but for TimeIsUp.

    A plan in which the disk or the system failed is made anew, a few times.
    """
    for tries in range(1 + RETRIES):
        try:
            whole = tries < RETRIES
            with taking_identifiers() as found:
                plan = make_plan(
                    source, job, limit=limit, blocks=blocks, listed=listed, whole=whole
                )
            return replace(plan, identifiers=found)
        except BaseException as error:
            if is_persons(error) or isinstance(error, TimeIsUp):
                raise
            again = isinstance(error, UnitStopped) or _of_the_machine(error)
            if not again or tries == RETRIES:
                return source_fault(source, job, error)
            job = replace(job, raw=replace(job.raw))
    raise AssertionError("the last try returns")


def source_fault(
    source: Source, job: Job, error: BaseException, stage: quarantine.Stage = "plan"
) -> SourceFault:
    """The fault of a source that is refused because of `error`."""
    row = quarantine.failure_row(quarantine.WHOLE_SOURCE, (), stage, error, job, source)
    # What is shown at the site may name its folders; what is written may not.
    return SourceFault(row, quarantine.failure_message(error, source))


def make_plan(
    source: Source,
    job: Job,
    *,
    limit: int | None = None,
    blocks: Sequence[CardBlock] = (),
    listed: Listed | None = None,
    whole: bool = False,
) -> SourcePlan:
    """Run the source's `plan` and settle keys and splits.

    `listed` tells official splits beside those of the units; `blocks` keep cases out of train.

    Units come in the order of a public hash of their key: independent of listing order, and not
    sorted by class as raw folders are. With `limit`, only the first so many are kept, and nothing
    else is counted. Errors of `plan` itself pass through: they refuse the source as a whole. With
    `whole`, UnitStopped is raised when something is refused because the disk or the system failed.
    """
    with _without_collector():
        try:
            units, refusals, filtered = _sort_out(sound_plan(source.plan(job), job.card))
        except InputError as error:
            if (told := with_level(error, job)) is error:
                raise
            raise told from error
        if whole:
            _stop_at_fault(refusals)
        refusals += refused_files(job.raw, (*units, *refusals, *filtered))
        units, duplicates = _refuse_duplicates(units)
        refusals += duplicates
        loose = loose_keys(units, job.card, listed)
        units, torn_units = assign_splits(units, job.card, listed, refused=refusals)
        outcome = keep_out(units, blocks, job)
        units = list(outcome.units)
        units = _in_order(units, job.card.slug)
    if limit is not None:
        units = units[:limit]
    ungrouped = sum(unit.key in loose for unit in units)
    messages = (_ungrouped_message(ungrouped, len(units), job),) if ungrouped else ()
    if limit is not None:
        return SourcePlan(tuple(units), (), ungrouped=ungrouped, messages=messages)
    rows = [quarantine.refusal_row(item, job) for item in (*refusals, *torn_units)]
    rows += [quarantine.filtered_row(item, job) for item in (*filtered, *outcome.filtered)]
    messages = (*outcome.messages, *messages, *leftover_messages(job.raw))
    return SourcePlan(tuple(units), tuple(rows), outcome.counts, ungrouped, messages)


def order_key(source: str, key: str) -> int:
    """The 64-bit place of a unit in the build order of its source."""
    return next(_order_keys(source, [key]))


def _order_keys(source: str, keys: Iterable[str]) -> Iterator[int]:
    begin = b"\0".join((PUBLIC_SALT, b"order", source.encode(), b""))
    for key in keys:
        yield int.from_bytes(hashlib.sha256(begin + key.encode()).digest()[:8], "big")


def _in_order(units: Sequence[Unit], source: str) -> list[Unit]:
    keys = [unit.key for unit in units]
    places = zip(_order_keys(source, keys), keys, range(len(units)), strict=True)
    return [units[number] for _, _, number in sorted(places)]


def cut_chunks(units: Iterable[Unit], source: str, *, shard_units: int) -> list[Chunk]:
    """Chunks by split and by the leading bits of the units' place in the build order.

    Each split gets the smallest power of two of chunks whose mean size is at most `shard_units`,
    so that a unit more or less changes one chunk and not all that follow it.
    """
    by_split: dict[Split, list[Unit]] = defaultdict(list)
    for unit in units:
        if unit.split is None:
            raise ValueError(f"unit {unit.key!r} has no split yet")
        by_split[unit.split].append(unit)
    chunks = []
    for split, members in sorted(by_split.items()):
        bits = chunk_count(len(members), shard_units).bit_length() - 1
        buckets: dict[int, list[Unit]] = defaultdict(list)
        places = _order_keys(source, (unit.key for unit in members))
        for unit, place in zip(members, places, strict=True):
            buckets[place >> (64 - bits)].append(unit)
        chunks += [
            Chunk(f"{split}-{number:05d}", split, tuple(bucket))
            for number, bucket in sorted(buckets.items())
        ]
    return chunks


def chunk_count(units: int, shard_units: int) -> int:
    """Chunks of a split of so many units: the smallest power of two that keeps their mean size."""
    return 1 << max(0, (units - 1) // shard_units).bit_length()


def hashed_split(namespace: str, group: str, shares: Mapping[Split, float]) -> Split:
    """The split of a raw group key: the same at every site, whatever its secret salt.

    The first 8 bytes of sha256(public salt, namespace, group) place the group in [0, 1), which
    the shares cut in the order train, validation, test.
    """
    message = b"\0".join((PUBLIC_SALT, b"split", namespace.encode(), group.encode()))
    place = int.from_bytes(hashlib.sha256(message).digest()[:8], "big") / 2**64
    end = 0.0
    offered = [split for split in SPLITS if shares.get(split, 0) > 0]
    for split in offered:
        end += shares[split]
        if place < end:
            return split
    return offered[-1]


def loose_keys(units: Sequence[Unit], card: Card, listed: Listed | None = None) -> frozenset[str]:
    """Keys of units that the hash puts into a split each on its own.

    They have neither group nor official split, and there are several units and splits; whether two
    of them are of one patient is not known.
    """
    if len(units) < 2 or sum(share > 0 for share in card.splits.shares.values()) < 2:
        return frozenset()
    return frozenset(
        unit.key
        for unit in units
        if unit.group is None and unit.split is None and not (listed and listed(unit))
    )


def assign_splits(
    units: Iterable[Unit],
    card: Card,
    listed: Listed | None = None,
    *,
    refused: Iterable[Refused] = (),
) -> tuple[list[Unit], list[Refused]]:
    """Units with their split and group settled, and those whose group official splits tear.

    Official are the unit's own split, that of the list of its namespace, and those of `refused`
    members of its group: a film that cannot be read still says where its patient belongs.
    A group with an official split takes its unassigned members along. Where official splits
    disagree within a group, the card's `conflict` says which wins, or all its units are refused.
    """
    # A unit without a group stands alone, also when its key happens to be some group's name.
    groups: dict[tuple[bool, str], list[Unit]] = defaultdict(list)
    for unit in units:
        groups[(unit.group is None, unit.group or unit.key)].append(unit)
    witnessed: dict[str, set[Split]] = defaultdict(set)
    for item in refused:
        if item.group is not None and item.split is not None:
            witnessed[item.group].add(item.split)
    with_split, refusals = [], []
    namespace = card.keys.namespace or card.slug
    for (alone, group), members in groups.items():
        official: set[Split] = {unit.split for unit in members if unit.split}
        if not alone:
            official |= witnessed.get(group, set())
        if listed is not None:
            official = official.union(*map(listed, members))
        split: Split
        if not official:
            split = hashed_split(namespace, group, card.splits.shares)
        elif len(official) == 1:
            split = official.pop()
        elif card.splits.conflict != "refuse":
            split = card.splits.conflict
        else:
            refusals += [_torn(unit, group, official) for unit in members]
            continue
        settled = (split, group)
        with_split += [
            unit if (unit.split, unit.group) == settled else replace(unit, split=split, group=group)
            for unit in members
        ]
    return with_split, refusals


def _stop_at_fault(refusals: Iterable[Refused]) -> None:
    for item in refusals:
        fault = fault_of(item.error)
        if fault is not None and fault.kind == "machine":
            raise UnitStopped(item.key, fault)


def _of_the_machine(error: BaseException) -> bool:
    fault = fault_of(error)
    return fault is not None and fault.kind in ("machine", "memory")


def _ungrouped_message(ungrouped: int, units: int, job: Job) -> str:
    message = (
        f"{ungrouped} of {units} units name no patient, study or group: their splits cannot be kept"
        " apart, and one patient may be in several"
    )
    if job.mapping is None:
        return message
    return f"{message}. Fix: name the table's patient or group column in the mapping"


@contextmanager
def _without_collector() -> Iterator[None]:
    """No garbage collection: a plan only grows, and to walk it again and again doubles its time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _sort_out(planned: Iterable[Planned]) -> tuple[list[Unit], list[Refused], list[Filtered]]:
    units: list[Unit] = []
    refusals: list[Refused] = []
    filtered: list[Filtered] = []
    for item in planned:
        match item:
            case Unit():
                units.append(item)
            case Refused():
                refusals.append(item)
            case Filtered():
                filtered.append(item)
    return units, refusals, filtered


def _refuse_duplicates(units: list[Unit]) -> tuple[list[Unit], list[Refused]]:
    """All units of a key that occurs twice are refused: none is known to be the right one.

    Their split still holds for their group where all of them agree on it.
    """
    counts = Counter(unit.key for unit in units)
    if len(counts) == len(units):
        return units, []
    by_key: dict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        if counts[unit.key] > 1:
            by_key[unit.key].append(unit)
    refusals = []
    for key, repeated in by_key.items():
        what = f"occurs {len(repeated)} times in the source"
        fix = "remove the extra rows or files, or use a key that tells them apart"
        splits = {unit.split for unit in repeated}
        split = splits.pop() if len(splits) == 1 else None
        refusals += [
            Refused(key, DuplicateKey(what, where=key, fix=fix), unit.files, unit.group, split)
            for unit in repeated
        ]
    return [unit for unit in units if counts[unit.key] == 1], refusals


def _torn(unit: Unit, group: str, splits: set[Split]) -> Refused:
    names = " and ".join(sorted(splits))
    error = TornGroup(
        f"the group {group!r} is officially in {names}",
        where=unit.key,
        fix="say in the card which split such a group goes to (splits.conflict)",
    )
    return Refused(unit.key, error, unit.files)
