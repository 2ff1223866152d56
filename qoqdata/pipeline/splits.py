"""Splits go by group: official ones win, the rest follow a public hash, and no group straddles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Set
from itertools import accumulate

import numpy as np
import polars as pl

from qoqdata.contract.card import Card
from qoqdata.contract.vocabulary import SPLITS, Split
from qoqdata.errors import TornGroup
from qoqdata.records.identity import PUBLIC_SALT, leading_numbers
from qoqdata.sources.protocol import Refused

#: The official splits of a patient by a list of its namespace; none where it is not in it.
Listed = Callable[[str], frozenset[Split]]

#: Whom a list is asked about: where a unit names no patient, its group stands for it.
_PATIENT = pl.coalesce("patient", "group", "key")
#: A unit without a group is with its patient. Without either it stands alone, also when its key
#: happens to be some group's name.
_ALONE = pl.col("group").is_null() & pl.col("patient").is_null()
_GROUP = pl.when(pl.col("group").str.len_bytes() > 0).then("group")
_NAME = pl.coalesce(pl.when(pl.col("group").is_null()).then("patient").otherwise(_GROUP), "key")
_OFFICIAL = pl.col("split").drop_nulls().unique()


def hashed_split(namespace: str, group: str, shares: Mapping[Split, float]) -> Split:
    """The split of a raw group key: the same at every site, whatever its secret salt.

    The first 8 bytes of sha256(public salt, namespace, group) place the group in [0, 1), which
    the shares cut in the order train, validation, test.
    """
    return hashed_splits(namespace, [group], shares)[0]


def hashed_splits(
    namespace: str, groups: Iterable[str], shares: Mapping[Split, float]
) -> list[Split]:
    """As `hashed_split`, of many groups."""
    begin = b"\0".join((PUBLIC_SALT, b"split", namespace.encode(), b""))
    places = leading_numbers(begin + group.encode() for group in groups) / 2.0**64
    offered = [split for split in SPLITS if shares.get(split, 0) > 0]
    # Whatever the shares come to, the last split takes the rest.
    ends = list(accumulate(shares[split] for split in offered))[:-1]
    return [offered[place] for place in np.searchsorted(ends, places, side="right").tolist()]


def loose(table: pl.DataFrame, card: Card, listed: Listed | None = None) -> pl.Series:
    """Of each unit whether the hash puts it into a split on its own.

    Such have neither group, patient nor official split, and there are several units and splits;
    whether two of them are of one patient is not known.
    """
    several = sum(share > 0 for share in card.splits.shares.values()) > 1
    if table.height < 2 or not several:
        return pl.repeat(False, table.height, dtype=pl.Boolean, eager=True)
    found = table.select(_ALONE & pl.col("split").is_null()).to_series()
    if listed is not None:
        found &= pl.Series([not listed(who) for who in table.select(_PATIENT).to_series()])
    return found


def assign_splits(
    table: pl.DataFrame,
    card: Card,
    listed: Listed | None = None,
    *,
    refused: Iterable[Refused] = (),
) -> tuple[pl.DataFrame, list[Refused]]:
    """Units with their split and group settled, and those whose group official splits tear.

    Groups that have a patient in common are one, called by the first of their names: what a source
    keeps together must not tear a patient. So are those of units of which one's key lies below the
    other's, as `7/a` does below `7`: a record of `7` may name the study `7/a`. Official are the
    unit's own split, that of the list of its namespace, and those of `refused` members of its
    group: a film that cannot be read still says where its patient belongs.
    A group with an official split takes its unassigned members along. Where official splits
    disagree within a group, the card's `conflict` says which wins, or all its units are refused.
    """
    named = table.with_columns(_ALONE.alias("alone"), _NAME.alias("name"))
    called: dict[str, str] = {}
    if (joined := _joined(named)) is not None:
        named = _with_joined(named, joined)
        groups = joined.filter(~pl.col("alone")).select("name", "called")
        called = dict(groups.iter_rows())
    witnessed: dict[str, set[str]] = defaultdict(set)
    for item in refused:
        if item.group is not None and item.split is not None:
            witnessed[called.get(item.group, item.group)].add(item.split)
    asked = [_OFFICIAL.alias("official")]
    if listed is not None:
        asked.append(_PATIENT.unique().alias("patients"))
    groups = named.group_by("alone", "name", maintain_order=True).agg(asked)
    namespace = card.keys.namespace or card.slug
    splits: list[str | None] = []
    torn: dict[tuple[bool, str], Set[str]] = {}
    by_hash = hashed_splits(namespace, groups["name"].to_list(), card.splits.shares)
    for (alone, name, own, *patients), hashed in zip(groups.iter_rows(), by_hash, strict=True):
        official = {*own} if alone else {*own, *witnessed.get(name, ())}
        if listed is not None:
            official = official.union(*map(listed, *patients))
        split: str | None
        if not official:
            split = hashed
        elif len(official) == 1:
            (split,) = official
        elif card.splits.conflict != "refuse":
            split = card.splits.conflict
        else:
            split = None
            torn[alone, name] = official
        splits.append(split)
    settled = groups.select("alone", "name", pl.Series("settled", splits, pl.String))
    named = named.join(settled, on=["alone", "name"], how="left", maintain_order="left")
    whole = named.filter(pl.col("settled").is_not_null()) if torn else named
    columns = [pl.col("settled").alias("split"), pl.col("name").alias("group")]
    return whole.with_columns(columns).select(table.columns), _torn(named, torn)


def _joined(named: pl.DataFrame) -> pl.DataFrame | None:
    """Of each group and lone unit (`alone`, `name`) that is one with another, the first of them:
    `called_alone` and `called`. None where there is none such."""
    patients = named.filter(pl.col("patient").is_not_null())
    ties = []
    # In most sources groups are patients, and no key lies below another.
    if not patients.select((pl.col("patient") == pl.col("name")).all()).item():
        ties.append(patients.select("alone", "name", tie="patient", kind=pl.lit("patient")))
    if _are_nested(named["key"]):
        ties.append(_above(named).select("alone", "name", tie="above", kind=pl.lit("key")))
    if not ties:
        return None
    shared = pl.concat(ties).unique(maintain_order=True)
    shared = shared.filter(pl.struct("kind", "tie").is_duplicated())
    if shared.is_empty():
        return None
    return _components(shared)


def _components(shared: pl.DataFrame) -> pl.DataFrame:
    """What hangs together by common ties, directly or by chain."""
    # Needed by few sources, and slow to import.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    node = pl.struct("alone", "name").rank("dense") - 1
    tie = pl.struct("kind", "tie").rank("dense") - 1
    numbered = shared.with_columns(node=node.cast(pl.Int64), number=tie.cast(pl.Int64))
    nodes, numbers = numbered["node"].to_numpy(), numbered["number"].to_numpy() + numbered.height
    size = 2 * numbered.height
    links = coo_array(([True] * numbered.height, (nodes, numbers)), shape=(size, size))
    labels = connected_components(links, directed=False)[1]
    parts = numbered.select("alone", "name", part=pl.Series(labels[nodes])).unique()
    first = pl.struct("alone", "name").sort_by("alone", "name").first().over("part")
    return parts.select(
        "alone",
        "name",
        called_alone=first.struct.field("alone"),
        called=first.struct.field("name"),
    )


def _with_joined(named: pl.DataFrame, joined: pl.DataFrame) -> pl.DataFrame:
    wider = named.join(joined, on=["alone", "name"], how="left", maintain_order="left")
    alone, name = pl.coalesce("called_alone", "alone"), pl.coalesce("called", "name")
    return wider.with_columns(alone=alone, name=name).drop("called_alone", "called")


def _are_nested(keys: pl.Series) -> bool:
    """Whether some key lies below another: in order, it follows that or another one below that."""
    if not keys.str.contains("/", literal=True).any():
        return False
    folders = pl.select(key=(keys + "/").sort())
    return folders.select(pl.col("key").str.starts_with(pl.col("key").shift(1)).any()).item()


def _above(named: pl.DataFrame) -> pl.DataFrame:
    """The units with the highest key, `above`, that theirs lies below or is."""
    found: list[pl.DataFrame] = []
    left = named.select("alone", "name", parts=pl.col("key").str.split("/"))
    keys, depth = named.select(above="key"), 0
    while left.height:
        depth += 1
        head = pl.col("parts").list.head(depth).list.join("/")
        left = left.filter(pl.col("parts").list.len() >= depth).with_columns(above=head)
        found.append(left.join(keys, on="above", how="semi"))
        left = left.join(keys, on="above", how="anti")
    return pl.concat(found)


def _torn(named: pl.DataFrame, torn: Mapping[tuple[bool, str], Set[str]]) -> list[Refused]:
    """The refusals of all units of torn groups, group by group."""
    if not torn:
        return []
    members: dict[tuple[bool, str], list[Refused]] = {group: [] for group in torn}
    fix = "say in the card which split such a group goes to (splits.conflict)"
    rows = named.filter(pl.col("settled").is_null()).select("alone", "name", "key", "files")
    for alone, name, key, files in rows.iter_rows():
        what = f"the group {name!r} is officially in {' and '.join(sorted(torn[alone, name]))}"
        error = TornGroup(what, where=key, fix=fix)
        members[alone, name].append(Refused(key, error, tuple(files)))
    return [item for own in members.values() for item in own]
