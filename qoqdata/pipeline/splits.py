"""Splits by group: official ones win, the rest follow a public hash, and no group straddles."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from qoqdata.contract.card import Card
from qoqdata.contract.vocabulary import SPLITS, Split
from qoqdata.errors import TornGroup
from qoqdata.records.identity import PUBLIC_SALT
from qoqdata.sources.protocol import Refused, Unit


def hashed_split(namespace: str, group: str, shares: Mapping[Split, float]) -> Split:
    """The split of a raw group key: the same at every site, whatever its secret salt.

    The first 8 bytes of sha256(public salt, namespace, group) place the group in [0, 1), which
    the shares cut in the order train, validation, test.
    """
    message = b"\0".join((PUBLIC_SALT, b"split", namespace.encode(), group.encode()))
    place = int.from_bytes(hashlib.sha256(message).digest()[:8], "big") / 2**64
    bound = 0.0
    given = [split for split in SPLITS if shares.get(split, 0) > 0]
    for split in given:
        bound += shares[split]
        if place < bound:
            return split
    return given[-1]


def assign(units: Iterable[Unit], card: Card) -> tuple[list[Unit], list[Refused]]:
    """Units with their split and group settled, and those whose group official splits tear.

    A group with an official split takes its unassigned members along. Where official splits
    disagree within a group, the card's `conflict` says which wins, or all its units are refused.
    """
    # A unit without a group stands alone, also when its key happens to be some group's name.
    groups: dict[tuple[bool, str], list[Unit]] = defaultdict(list)
    for unit in units:
        groups[(unit.group is None, unit.group or unit.key)].append(unit)
    assigned, refused = [], []
    namespace = card.keys.namespace or card.slug
    for (_, group), members in groups.items():
        official: set[Split] = {unit.split for unit in members if unit.split}
        split: Split
        if not official:
            split = hashed_split(namespace, group, card.splits.shares)
        elif len(official) == 1:
            split = official.pop()
        elif card.splits.conflict != "refuse":
            split = card.splits.conflict
        else:
            refused += [_torn(unit, group, official) for unit in members]
            continue
        assigned += [replace(unit, split=split, group=group) for unit in members]
    return assigned, refused


def _torn(unit: Unit, group: str, splits: set[Split]) -> Refused:
    names = " and ".join(sorted(splits))
    error = TornGroup(
        f"the group {group!r} is officially in {names}",
        where=unit.key,
        fix="say in the card which split such a group goes to (splits.conflict)",
    )
    return Refused(unit.key, error, unit.files)
