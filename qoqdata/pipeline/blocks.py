"""Block lists: the cases of a source that a benchmark uses, kept out of train at planning."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from qoqdata.contract.card import Card
from qoqdata.contract.holdout import Block
from qoqdata.errors import CardError, InputError
from qoqdata.sources.protocol import Filtered, Job
from qoqdata.sources.rawtree import RawTree

BENCHMARK_CASE = "benchmark_case"
#: Which of several lists that name one group has its way.
_STRICTEST = ("filter", "test", "validation")


@dataclass(frozen=True)
class CardBlock:
    """A block list, and the slug of the card that has it."""

    by: str
    block: Block


@dataclass(frozen=True, eq=False)
class BlockOutcome:
    """Units as they stand after a block list, what it filtered, and in words and numbers what it
    did: `counts` are units that left train, by the card that lists them."""

    table: pl.DataFrame
    filtered: tuple[Filtered, ...]
    counts: dict[str, int]
    messages: tuple[str, ...]


def blocked_names(card: Card) -> set[str]:
    """What a block list may call the source of `card`: its slug, and its namespace."""
    return {card.slug, card.keys.namespace or card.slug}


def blocks_of(card: Card, cards: Iterable[Card]) -> tuple[CardBlock, ...]:
    """The lists of any of `cards` that name the source of `card` or its namespace, in fixed order.

    Raises CardError for a list that would move cases of one source of a namespace alone: patients
    must be in one split in all of them.
    """
    names = blocked_names(card)
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


def keep_out(table: pl.DataFrame, blocks: Sequence[CardBlock], job: Job) -> BlockOutcome:
    """Take the groups that a list names out of train; units have their split and group."""
    if not blocks:
        return BlockOutcome(table, (), {}, ())
    hits: dict[str, list[CardBlock]] = defaultdict(list)
    messages: list[str] = []
    counts: dict[str, int] = {}
    for one in blocks:
        n_cases, groups = _cases(table, one.block, job.raw)
        n_units = int(table["group"].is_in(list(groups)).sum())
        counts[one.by] = counts.get(one.by, 0) + n_units
        block = one.block
        listed = len({*block.keys}) + len({*block.patients}) + len({*block.digests})
        goal = "are filtered" if block.to == "filter" else f"go to {block.to}"
        messages.append(
            f"{n_units} units that would be in train {goal}: {one.by} lists their group"
            f" ({n_cases} of its {listed} cases are here; {block.reason})"
        )
        for group in sorted(groups):
            hits[group].append(one)
    strictest = {
        group: min(own, key=lambda one: _STRICTEST.index(one.block.to))
        for group, own in hits.items()
    }
    goals = {group: one.block.to for group, one in strictest.items()}
    goal_of = pl.col("group").replace_strict(goals, default=None, return_dtype=pl.String)
    table = table.with_columns(goal_of.alias("goal"))
    filtered = []
    leaving = table.filter(pl.col("goal") == "filter").select("key", "group", "files")
    for key, group, files in leaving.iter_rows():
        first = strictest[group]
        message = f"a case of {first.by}, or of the group of one: {first.block.reason}"
        filtered.append(Filtered(key, BENCHMARK_CASE, message, tuple(files)))
    kept = table.filter(pl.col("goal").ne_missing("filter"))
    kept = kept.with_columns(pl.coalesce("goal", "split").alias("split")).drop("goal")
    left = {by: count for by, count in counts.items() if count}
    return BlockOutcome(kept, tuple(filtered), left, tuple(messages))


def _cases(table: pl.DataFrame, block: Block, raw: RawTree) -> tuple[int, set[str]]:
    """How many cases of the list are here, and the groups of train that hold one."""
    in_train = table["split"] == "train"
    n_cases, groups = 0, set[str]()
    for column, cases in (("key", block.keys), ("patient", block.patients)):
        hit = table[column].is_in([*cases])
        n_cases += table[column].filter(hit).n_unique()
        groups.update(table["group"].filter(hit & in_train))
    digests, here = set(block.digests), set()
    of_train = table.filter(in_train).select("group", "files") if digests else table.clear()
    for group, files in of_train.select("group", "files").iter_rows():
        if own := digests.intersection(_digests(files, raw)):
            here |= own
            groups.add(group)
    return n_cases + len(here), groups


def _digests(files: Iterable[str], raw: RawTree) -> Iterable[str]:
    for path in files:
        try:
            yield raw.digest([path])
        except InputError:
            # What cannot be read cannot be converted either, and is told there.
            continue
