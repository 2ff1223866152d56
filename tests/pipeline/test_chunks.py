"""Chunks: a partition of the plan that a unit more or less hardly moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.contract.vocabulary import SPLITS, Split
from qoqdata.pipeline import chunks as chunking
from qoqdata.pipeline.chunks import Chunk, in_build_order, order_key
from qoqdata.sources.protocol import Unit
from qoqdata.sources.unit_table import unit_table


def units(keys: set[int] | list[int], split: Split | None = "train") -> list[Unit]:
    """Units in build order, as planning hands them over."""
    made = [Unit(f"u{key}", (), split=split or SPLITS[key % 3]) for key in keys]
    return sorted(made, key=lambda unit: (order_key("films", unit.key), unit.key))


def cut_chunks(units: list[Unit], source: str, *, shard_units: int) -> list[Chunk]:
    table = in_build_order(unit_table(units), source)
    return chunking.cut_chunks(table, shard_units=shard_units)


def content(chunks: list[Chunk]) -> dict[str, list[str]]:
    return {chunk.name: [unit.key for unit in chunk.units] for chunk in chunks}


KEYS = st.sets(st.integers(0, 10**9), max_size=60)
SIZES = st.integers(1, 9)


@given(KEYS, SIZES)
def test_every_unit_is_in_one_chunk_of_its_split(keys: set[int], size: int) -> None:
    given = units(keys, None)
    chunks = cut_chunks(given, "films", shard_units=size)
    assert sorted(u.key for c in chunks for u in c.units) == sorted(u.key for u in given)
    for chunk in chunks:
        assert chunk.units
        assert {unit.split for unit in chunk.units} == {chunk.split}
        split, number = chunk.name.split("-")
        assert split == chunk.split and len(number) == 5 and number.isdigit()
    names = [chunk.name for chunk in chunks]
    assert names == sorted(set(names))


@given(KEYS, SIZES)
def test_chunks_one_after_the_other_are_the_build_order(keys: set[int], size: int) -> None:
    given = units(keys)
    assert [
        unit for chunk in cut_chunks(given, "films", shard_units=size) for unit in chunk.units
    ] == given


@given(KEYS, SIZES, st.randoms())
def test_which_chunk_does_not_depend_on_input_order(keys: set[int], size: int, random) -> None:
    given = units(keys, None)
    turned = list(given)
    random.shuffle(turned)
    one, two = (content(cut_chunks(some, "films", shard_units=size)) for some in (given, turned))
    assert {name: set(keys) for name, keys in one.items()} == {
        name: set(keys) for name, keys in two.items()
    }


def power(n: int, size: int) -> int:
    """The smallest power of two of chunks of at most `size` units on average."""
    chunks = 1
    while n > chunks * size:
        chunks *= 2
    return chunks


@given(st.sets(st.integers(0, 10**9), min_size=1, max_size=60), SIZES)
def test_one_unit_more_changes_one_chunk(keys: set[int], size: int) -> None:
    extra = max(keys) + 1
    before = content(cut_chunks(units(keys), "films", shard_units=size))
    after = content(cut_chunks(units(keys | {extra}), "films", shard_units=size))
    if power(len(keys), size) == power(len(keys) + 1, size):
        changed = [name for name in after if after[name] != before.get(name)]
        assert set(before) <= set(after)
        (name,) = changed
        assert set(after[name]) - set(before.get(name, ())) == {f"u{extra}"}


@given(st.sets(st.integers(0, 10**9), min_size=1, max_size=60), SIZES)
def test_units_of_one_split_do_not_move_those_of_another(keys: set[int], size: int) -> None:
    given = units(keys, None)
    of_train = [unit for unit in given if unit.split == "train"]
    whole = content(cut_chunks(given, "films", shard_units=size))
    alone = content(cut_chunks(of_train, "films", shard_units=size))
    assert {name: keys for name, keys in whole.items() if name.startswith("train")} == alone


@given(st.integers(1, 300), SIZES)
def test_there_are_as_many_chunks_as_the_size_asks_for(count: int, size: int) -> None:
    chunks = cut_chunks(units(list(range(count))), "films", shard_units=size)
    assert all(int(chunk.name.split("-")[1]) < power(count, size) for chunk in chunks)
    assert len(chunks) <= power(count, size)


def test_chunks_are_of_like_size() -> None:
    """4096 units over 16 chunks of 256 on average; binomial, so within six deviations."""
    chunks = cut_chunks(units(list(range(4096))), "films", shard_units=256)
    assert len(chunks) == 16
    deviation = (4096 * (1 / 16) * (15 / 16)) ** 0.5
    assert all(abs(len(chunk.units) - 256) < 6 * deviation for chunk in chunks)


def test_nothing() -> None:
    assert cut_chunks([], "films", shard_units=8) == []


def test_a_unit_without_split_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="'a' has no split"):
        cut_chunks([Unit("a", ())], "films", shard_units=8)
