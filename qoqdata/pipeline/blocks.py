"""Block lists: the cases of a source that a benchmark uses, kept out of train at planning."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from qoqdata.contract.card import Card
from qoqdata.contract.holdout import Block
from qoqdata.contract.vocabulary import Split
from qoqdata.errors import CardError, InputError
from qoqdata.sources.protocol import Filtered, Job, Unit
from qoqdata.sources.rawtree import RawTree

BENCHMARK_CASE = "benchmark_case"
#: Which of several lists that name one group has its way.
_STRICTEST = ("filter", "test", "validation")


@dataclass(frozen=True)
class CardBlock:
    """A block list, and the slug of the card that has it."""

    by: str
    block: Block


@dataclass(frozen=True)
class BlockOutcome:
    """Units as they stand after a block list, what it filtered, and in words and numbers what it
    did: `counts` are units that left train, by the card that lists them."""

    units: tuple[Unit, ...]
    filtered: tuple[Filtered, ...]
    counts: dict[str, int]
    messages: tuple[str, ...]


def blocks_of(card: Card, cards: Iterable[Card]) -> tuple[CardBlock, ...]:
    """The lists of any of `cards` that name the source of `card` or its namespace, in fixed order.

    Raises CardError for a list that would move cases of one source of a namespace alone: patients
    must be in one split in all of them.
    """
    names = {card.slug, card.keys.namespace} - {None}
    found = [
        CardBlock(one.slug, block)
        for one in sorted({one.slug: one for one in cards}.values(), key=lambda one: one.slug)
        for block in one.block
        if block.source in names
    ]
    namespace = card.keys.namespace
    for one in found:
        block = one.block
        alone = block.source != namespace or block.keys or block.digests
        if namespace is not None and block.to != "filter" and alone:
            raise CardError(
                f"moves cases of {card.slug} alone, whose patients are those of {namespace}",
                where=f"card {one.by}, block",
                fix=f"name patients with `source: {namespace}`, or filter the cases",
            )
    return tuple(found)


def keep_out(units: Sequence[Unit], blocks: Sequence[CardBlock], job: Job) -> BlockOutcome:
    """Take the groups that a list names out of train; `units` have their split and group."""
    if not blocks:
        return BlockOutcome(tuple(units), (), {}, ())
    hits: dict[str, list[CardBlock]] = defaultdict(list)
    messages: list[str] = []
    counts: dict[str, int] = {}
    for one in blocks:
        found, groups = _cases(units, one.block, job.raw)
        n_units = sum(unit.group in groups for unit in units)
        counts[one.by] = counts.get(one.by, 0) + n_units
        block = one.block
        listed = len({*block.keys}) + len({*block.patients}) + len({*block.digests})
        goal = "are filtered" if block.to == "filter" else f"go to {block.to}"
        messages.append(
            f"{n_units} units that would be in train {goal}: {one.by} lists their group"
            f" ({found} of its {listed} cases are here; {block.reason})"
        )
        for group in sorted(groups):
            hits[group].append(one)
    kept, filtered = [], []
    for unit in units:
        own = hits.get(unit.group or "", [])
        if not own:
            kept.append(unit)
            continue
        first = min(own, key=lambda one: _STRICTEST.index(one.block.to))
        to = first.block.to
        if to == "filter":
            message = f"a case of {first.by}, or of the group of one: {first.block.reason}"
            filtered.append(Filtered(unit.key, BENCHMARK_CASE, message, unit.files))
        else:
            kept.append(replace(unit, split=to))
    left = {by: count for by, count in counts.items() if count}
    return BlockOutcome(tuple(kept), tuple(filtered), left, tuple(messages))


def _cases(units: Sequence[Unit], block: Block, raw: RawTree) -> tuple[int, set[str]]:
    """How many cases of the list are here, and the groups of train that hold one."""
    keys, patients, digests = set(block.keys), set(block.patients), set(block.digests)
    found: set[tuple[str, str]] = set()
    groups: set[str] = set()
    train: Split = "train"
    for unit in units:
        own = {("key", unit.key)} if unit.key in keys else set()
        if unit.patient in patients:
            own.add(("patient", str(unit.patient)))
        if digests and unit.split == train:
            own |= {("digest", one) for one in _digests(unit, raw) if one in digests}
        found |= own
        if own and unit.split == train:
            groups.add(unit.group or unit.key)
    return len(found), groups


def _digests(unit: Unit, raw: RawTree) -> Iterable[str]:
    for path in unit.files:
        try:
            yield raw.digest([path])
        except InputError:
            # What cannot be read cannot be converted either, and is told there.
            continue
