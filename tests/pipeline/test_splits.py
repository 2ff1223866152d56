"""Splits: public, stable, without leaks, and official ones win."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.contract.card import Card
from qoqdata.contract.vocabulary import SPLITS, Split
from qoqdata.errors import TornGroup
from qoqdata.pipeline import splits as splitting
from qoqdata.pipeline.splits import hashed_split
from qoqdata.sources.protocol import Refused, Unit
from qoqdata.sources.unit_table import unit_table, units_of
from tests.contract.test_card import CONTENT

SHARES: dict[Split, float] = {"train": 0.8, "validation": 0.1, "test": 0.1}


def card(**splits: Any) -> Card:
    return Card.model_validate(CONTENT | {"splits": {"rule": "official"} | splits})


def unit(key: str, group: str | None = None, split: Split | None = None) -> Unit:
    return Unit(key, (f"{key}.png",), group, split=split)


def assign_splits(
    units: Iterable[Unit], card: Card, *, refused: Sequence[Refused] = ()
) -> tuple[list[Unit], list[Refused]]:
    table, torn = splitting.assign_splits(unit_table(list(units)), card, refused=refused)
    return list(units_of(table)), torn


def by_hand(namespace: str, group: str) -> Split:
    """The documented rule: 8 bytes of sha256(public salt, "split", namespace, group) on [0, 1)."""
    message = f"qoqdata/1/public\0split\0{namespace}\0{group}".encode()
    place = int(hashlib.sha256(message).hexdigest()[:16], 16) / 2**64
    return "train" if place < 0.8 else "validation" if place < 0.9 else "test"


@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_the_hash_is_the_documented_one(namespace: str, group: str) -> None:
    assert hashed_split(namespace, group, SHARES) == by_hand(namespace, group)


@given(st.sampled_from(SPLITS))
def test_a_refused_film_keeps_its_patient_in_its_split(split: Split) -> None:
    """By hash alone p would be anywhere; a film of p that nobody can read is officially in one."""
    error = TornGroup("cannot be read")
    refused = [Refused("lost", error, (), "p", split), Refused("other", error, (), "q", "train")]
    assigned, torn = assign_splits([unit("kept", "p")], card(), refused=refused)
    assert [one.split for one in assigned] == [split] and torn == []
    # A unit that stands alone is no member of a group that its key names.
    (alone,), _ = assign_splits([unit("p")], card(), refused=refused)
    assert alone.split == by_hand(card().slug, "p")


def test_a_refused_film_can_tear_its_patient() -> None:
    refused = [Refused("lost", TornGroup("cannot be read"), (), "p", "test")]
    assigned, torn = assign_splits([unit("kept", "p", "train")], card(), refused=refused)
    assert assigned == [] and [item.key for item in torn] == ["kept"]


def test_groups_of_one_patient_are_one() -> None:
    """Of scanners A to C, whose groups share patients by chain, and of D, which shares none."""
    rows = [("p", "C"), ("p", "A"), ("q", "C"), ("q", "B"), ("r", "D"), (None, "A"), (None, "D")]
    units = [
        Unit(f"{number}", (f"{number}.png",), group, patient)
        for number, (patient, group) in enumerate(rows)
    ]
    shares: dict[Split, float] = {"train": 0.5, "test": 0.5}
    for slug in ("one", "two", "three", "four", "five"):
        made = card(shares=shares).model_copy(update={"slug": slug})
        assigned, torn = assign_splits(units, made)
        assert torn == []
        found = {unit.key: (unit.split, unit.group) for unit in assigned}
        chain, other = hashed_split(slug, "A", shares), hashed_split(slug, "D", shares)
        assert found == dict.fromkeys("01235", (chain, "A")) | dict.fromkeys("46", (other, "D"))
    official = [replace(units[0], split="train"), *units[1:3], replace(units[3], split="test")]
    assigned, torn = assign_splits(official, card())
    assert assigned == [] and {item.key for item in torn} == set("0123")


def test_splits_never_change() -> None:
    """Written down: a site that built last year holds these."""
    found = [hashed_split("ptb_xl", str(patient), SHARES) for patient in range(14)]
    assert "".join(split[:2] for split in found) == "trtetrtrtrtrtetrtrtrtrtevate"


@pytest.mark.parametrize(
    "shares",
    [
        SHARES,
        {"train": 0.5, "validation": 0.25, "test": 0.25},
        {"train": 0.9, "test": 0.1},
        {"validation": 0.3, "test": 0.7},
    ],
)
def test_shares_are_kept_within_chance(shares: dict[Split, float]) -> None:
    """20,000 groups: the counts are binomial, so five standard deviations bound them."""
    groups = 20_000
    counts = Counter(hashed_split("films", f"patient {n}", shares) for n in range(groups))
    assert set(counts) == {split for split, share in shares.items() if share}
    for split, share in shares.items():
        bound = 5 * math.sqrt(groups * share * (1 - share))
        assert abs(counts[split] - groups * share) < bound


def test_one_split_takes_all() -> None:
    for split in SPLITS:
        assert {hashed_split("films", str(n), {split: 1.0}) for n in range(200)} == {split}
        shares: dict[Split, float] = dict.fromkeys(SPLITS, 0.0) | {split: 1.0}
        assert {hashed_split("films", str(n), shares) for n in range(200)} == {split}


def test_more_training_moves_no_group_out_of_training() -> None:
    less: dict[Split, float] = {"train": 0.6, "validation": 0.2, "test": 0.2}
    for n in range(2000):
        if hashed_split("films", str(n), less) == "train":
            assert hashed_split("films", str(n), SHARES) == "train"


def test_sources_of_the_same_patients_agree_through_their_namespace() -> None:
    units = [unit(str(n)) for n in range(200)]

    def settled(slug: str, namespace: str | None) -> list[Split | None]:
        keys = CONTENT["keys"] | {"namespace": namespace}
        made = Card.model_validate(CONTENT | {"slug": slug, "keys": keys})
        return [unit.split for unit in assign_splits(units, made)[0]]

    assert settled("films", "shared") == settled("reports", "shared")
    assert settled("films", None) == settled("reports", "films")
    assert settled("films", None) != settled("reports", None)


KEYS = st.lists(
    st.tuples(
        st.integers(0, 10**6),
        st.sampled_from([None, "", "p1", "p2", "p3", "p4"]),
        st.sampled_from([None, None, *SPLITS]),
    ),
    unique_by=lambda item: item[0],
    max_size=30,
)
CONFLICTS = st.sampled_from(["refuse", *SPLITS])


def made(items: list[tuple]) -> list[Unit]:
    return [unit(f"k{key}", group, split) for key, group, split in items]


@given(KEYS, CONFLICTS)
def test_no_group_straddles_and_nothing_is_lost(items: list[tuple], conflict: str) -> None:
    units = made(items)
    assigned, refused = assign_splits(units, card(conflict=conflict))
    assert sorted(u.key for u in (*assigned, *refused)) == sorted(u.key for u in units)
    of_group: dict[str, set[Split | None]] = {}
    for one in assigned:
        assert one.split in SPLITS and one.group
        of_group.setdefault(one.group, set()).add(one.split)
    assert all(len(splits) == 1 for splits in of_group.values())
    assert not {item.key for item in refused} & {one.key for one in assigned}


@given(KEYS, CONFLICTS, st.randoms())
def test_listing_order_does_not_matter(items: list[tuple], conflict: str, random: Any) -> None:
    units = made(items)
    turned = list(units)
    random.shuffle(turned)

    def settled(units: list[Unit]) -> tuple:
        assigned, refused = assign_splits(units, card(conflict=conflict))
        reasons = sorted((item.key, str(item.error)) for item in refused)
        return sorted(assigned, key=lambda one: one.key), reasons

    assert settled(turned) == settled(units)


@given(KEYS)
def test_official_splits_win(items: list[tuple]) -> None:
    units = {one.key: one for one in made(items)}
    assigned, _ = assign_splits(units.values(), card())
    for one in assigned:
        given = units[one.key].split
        assert given is None or one.split == given
        assert one == replace(units[one.key], split=one.split, group=one.group)


@given(KEYS)
def test_without_official_splits_the_hash_of_the_group_decides(items: list[tuple]) -> None:
    units = [replace(one, split=None) for one in made(items)]
    assigned, refused = assign_splits(units, card())
    assert refused == []
    for one in assigned:
        assert one.group is not None
        assert one.split == by_hand("films", one.group)


def test_a_unit_without_group_is_its_own() -> None:
    (one,), _ = assign_splits([unit("k")], card())
    assert one.group == "k"


def test_an_official_member_takes_its_group_along() -> None:
    units = [unit("a", "p"), unit("b", "p", "test"), unit("c", "p"), unit("d", "q")]
    assigned, _ = assign_splits(units, card())
    assert {one.key: one.split for one in assigned if one.group == "p"} == dict.fromkeys(
        "abc", "test"
    )


TORN = [unit("a", "p", "train"), unit("b", "p", "test"), unit("c", "p"), unit("d", "q", "train")]


def test_a_torn_group_is_refused_whole() -> None:
    assigned, refused = assign_splits(TORN, card())
    assert [one.key for one in assigned] == ["d"]
    assert [item.key for item in refused] == ["a", "b", "c"]
    for item, torn in zip(refused, TORN, strict=False):
        assert isinstance(item, Refused) and isinstance(item.error, TornGroup)
        assert "'p' is officially in test and train" in str(item.error)
        assert "splits.conflict" in str(item.error)
        assert item.files == torn.files


@pytest.mark.parametrize("wins", SPLITS)
def test_a_torn_group_goes_where_the_card_says(wins: Split) -> None:
    assigned, refused = assign_splits(TORN, card(conflict=wins))
    assert refused == []
    found = {one.key: one.split for one in assigned}
    assert found == {"a": wins, "b": wins, "c": wins, "d": "train"}


def test_a_unit_that_names_its_patient_alone_is_with_it() -> None:
    """Of p: three units, and two of a group; q has one of each."""
    rows = [("p", None)] * 3 + [("p", "ward"), (None, "ward"), ("q", None), ("q", "hall")]
    units = [Unit(f"{n}", (), group, patient) for n, (patient, group) in enumerate(rows)]
    shares: dict[Split, float] = {"train": 0.5, "test": 0.5}
    seen = set()
    for slug in ("one", "two", "three", "four", "five"):
        made = card(shares=shares).model_copy(update={"slug": slug})
        assigned, torn = assign_splits(units, made)
        assert torn == [] and not splitting.loose(unit_table(units), made).any()
        found = {one.key: (one.split, one.group) for one in assigned}
        first, other = hashed_split(slug, "p", shares), hashed_split(slug, "hall", shares)
        assert found == dict.fromkeys("01234", (first, "p")) | dict.fromkeys("56", (other, "hall"))
        seen |= {first, other}
    assert seen == {"train", "test"}


def test_studies_below_a_unit_are_in_its_split() -> None:
    """A record of the unit 7 may name the study 7/a, which is a unit too."""
    keys = ["7/a", "70/a", "7", "7/a/x", "8/a", "9/b/c", "9", "7.b", "8", ".8/q"]
    units = [Unit(key, (), patient="p" if key == "8/a" else None) for key in keys]
    units.append(Unit("p", (), group="p", patient=None))
    for slug in ("one", "two", "three"):
        made = card().model_copy(update={"slug": slug})
        assigned, torn = assign_splits(units, made)
        assert torn == [] and [one.key for one in assigned] == [*keys, "p"]
        assert {one.key: one.group for one in assigned} == {
            **dict.fromkeys(("7", "7/a", "7/a/x"), "7"),
            **dict.fromkeys(("8", "8/a", "p"), "p"),
            **dict.fromkeys(("9", "9/b/c"), "9"),
            **{key: key for key in ("70/a", "7.b", ".8/q")},
        }
        for one in assigned:
            assert one.group is not None
            assert one.split == hashed_split(slug, one.group, SHARES)
    official = [replace(units[0], split="train"), *units[1:3], replace(units[3], split="test")]
    assigned, torn = assign_splits(official, card())
    assert [one.key for one in assigned] == ["70/a"]
    assert [item.key for item in torn] == ["7/a", "7", "7/a/x"]


@given(st.lists(st.text("ab/", min_size=1, max_size=6), unique=True, max_size=12), st.randoms())
def test_nested_keys_by_hand(keys: list[str], random: Any) -> None:
    """Each key follows the shortest key that it lies below."""
    random.shuffle(keys)
    assigned, _ = assign_splits([Unit(key, ()) for key in keys], card())
    for one in assigned:
        above = [key for key in keys if one.key == key or one.key.startswith(f"{key}/")]
        assert one.group == min(above, key=len)
