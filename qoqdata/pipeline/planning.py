"""Plan a source: collect its units, settle their splits, and put them into the build order."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property

import polars as pl

from qoqdata.contract.card import Card
from qoqdata.contract.vocabulary import Split
from qoqdata.errors import DuplicateKey, InputError
from qoqdata.pipeline import quarantine
from qoqdata.pipeline.blocks import CardBlock, keep_out
from qoqdata.pipeline.chunks import in_build_order
from qoqdata.pipeline.faults import (
    RETRIES,
    UnitStopped,
    fault_of,
    machine_fault,
    out_of_reach,
)
from qoqdata.pipeline.interrupts import is_persons
from qoqdata.pipeline.raw_leftovers import leftover_messages, refused_files
from qoqdata.pipeline.splits import Listed, assign_splits, loose
from qoqdata.pipeline.unit_limits import TimeIsUp
from qoqdata.readers.identifiers import Identifiers, taking_identifiers
from qoqdata.sources.conformance import sound_plan
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Source, Unit
from qoqdata.sources.raw_level import with_level
from qoqdata.sources.raw_stamps import Stamp
from qoqdata.sources.unit_table import NO_UNITS, all_files, units_of


@dataclass(frozen=True, eq=False)
class SourcePlan:
    """Units in build order, as a table, and quarantine rows of what planning left out.

    `blocked` counts the units that block lists kept out of train, by card; `ungrouped` those that
    nothing ties to others, so that one patient's may lie in several splits. `messages` say so, and
    what of the raw tree was not looked at. `identifiers` are those that headers and tables held.
    """

    table: pl.DataFrame
    left_out: tuple[quarantine.Row, ...]
    blocked: Mapping[str, int] = field(default_factory=dict)
    ungrouped: int = 0
    messages: tuple[str, ...] = ()
    identifiers: Identifiers = field(default_factory=Identifiers)
    #: Files that planning looked at beside those of units, by path, with their stamps.
    inputs: Mapping[str, Stamp | None] = field(default_factory=dict)

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """The units themselves, for whoever looks at a few."""
        return tuple(units_of(self.table))


NO_PLAN = SourcePlan(NO_UNITS, ())


@dataclass(frozen=True)
class SourceFault:
    """Why a source is refused as a whole: its quarantine row, and the message with full paths."""

    row: quarantine.Row
    told: str


@dataclass(frozen=True)
class PlanStopped:
    """Why there is no plan now, and may be one later: what the raw files lie on fails."""

    reason: str


def plan_or_fault(
    source: Source,
    job: Job,
    limit: int | None,
    blocks: Sequence[CardBlock],
    listed: Listed | None,
) -> SourcePlan | SourceFault | PlanStopped:
    """As `make_plan`; whatever that raises is the source's fault, but for TimeIsUp and a store, a
    disk or a system that fails.

    A plan in which the disk or the system failed is made anew, a few times; then there is none.
    """
    for tries in range(1 + RETRIES):
        try:
            job = replace(job, raw=job.raw.watched())
            with taking_identifiers() as identifiers, job.raw.planning():
                plan = make_plan(source, job, limit=limit, blocks=blocks, listed=listed)
            inputs = job.raw.met()
            for path in all_files(plan.table):
                inputs.pop(path, None)
            return replace(plan, identifiers=identifiers, inputs=inputs)
        except BaseException as error:
            if is_persons(error) or isinstance(error, TimeIsUp):
                raise
            if (lost := out_of_reach(error)) is not None:
                return PlanStopped(str(lost.strerror))
            fault = fault_of(error)
            if isinstance(error, UnitStopped):
                fault = replace(error.fault, message=f"{error.key}: {error.fault.message}")
            again = fault is not None and fault.kind in ("machine", "memory")
            if again and tries < RETRIES:
                continue
            if fault is not None and fault.kind == "machine":
                return PlanStopped(quarantine.without_roots(fault.message, job))
            return source_fault(source, job, error)
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
) -> SourcePlan:
    """Run the source's `plan` and settle keys and splits.

    `listed` tells official splits beside those of the units; `blocks` keep cases out of train.

    Units come in the order of a public hash of their key: independent of listing order, and not
    sorted by class as raw folders are. With `limit`, only the first so many are kept, and nothing
    else is counted. Errors of `plan` itself pass through: they refuse the source as a whole.
    UnitStopped is raised when something is refused because the disk or the system failed; because a
    store did, its error is.
    """
    with _without_collector():
        try:
            table, refusals, filtered = _sort_out(source.plan(job), job.card)
        except InputError as error:
            if (told := with_level(error, job)) is error:
                raise
            raise told from error
        _stop_at_fault(refusals)
        refusals += refused_files(job.raw, _names(table, (*refusals, *filtered)))
        table, duplicates = _refuse_duplicates(table)
        refusals += duplicates
        table = table.with_columns(loose(table, job.card, listed).alias("loose"))
        table, torn_units = assign_splits(table, job.card, listed, refused=refusals)
        outcome = keep_out(table, blocks, job)
        table = in_build_order(outcome.table, job.card.slug)
    if limit is not None:
        table = table.head(limit)
    ungrouped = int(table["loose"].sum())
    table = table.drop("loose")
    messages = (_ungrouped_message(ungrouped, table.height, job),) if ungrouped else ()
    if limit is not None:
        return SourcePlan(table, (), ungrouped=ungrouped, messages=messages)
    rows = [quarantine.refusal_row(item, job) for item in (*refusals, *torn_units)]
    rows += [quarantine.filtered_row(item, job) for item in (*filtered, *outcome.filtered)]
    messages = (*outcome.messages, *messages, *leftover_messages(job.raw))
    return SourcePlan(table, tuple(rows), outcome.counts, ungrouped, messages)


def _stop_at_fault(refusals: Iterable[Refused]) -> None:
    # What a store or a disk does not give now it may give later.
    for item in refusals:
        if out_of_reach(item.error) is not None:
            raise item.error
        if (fault := machine_fault(item.error)) is not None:
            raise UnitStopped(item.key, fault)


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


def _sort_out(
    planned: Iterable[Planned], card: Card
) -> tuple[pl.DataFrame, list[Refused], list[Filtered]]:
    tables: list[pl.DataFrame] = []
    refusals: list[Refused] = []
    filtered: list[Filtered] = []
    for part in sound_plan(planned, card):
        tables.append(part.units)
        for item in part.others:
            if isinstance(item, Refused):
                refusals.append(item)
            else:
                filtered.append(item)
    return pl.concat(tables), refusals, filtered


def _names(table: pl.DataFrame, others: Iterable[Refused | Filtered]) -> Iterator[str]:
    """Keys and files of everything that a plan accounts for."""
    yield from table["key"]
    yield from all_files(table)
    for item in others:
        yield from (item.key, *item.files)


def _refuse_duplicates(table: pl.DataFrame) -> tuple[pl.DataFrame, list[Refused]]:
    """All units of a key that occurs twice are refused: none is known to be the right one.

    Their split still holds for their group where all of them agree on it.
    """
    repeats = table["key"].is_duplicated()
    if not repeats.any():
        return table, []
    by_key: dict[str, list[Unit]] = {}
    for unit in units_of(table.filter(repeats)):
        by_key.setdefault(unit.key, []).append(unit)
    refusals = []
    for key, repeated in by_key.items():
        what = f"occurs {len(repeated)} times in the source"
        fix = "remove the extra rows or files, or use a key that tells them apart"
        splits: set[Split | None] = {unit.split for unit in repeated}
        split = splits.pop() if len(splits) == 1 else None
        refusals += [
            Refused(key, DuplicateKey(what, where=key, fix=fix), unit.files, unit.group, split)
            for unit in repeated
        ]
    return table.filter(~repeats), refusals
