"""Plans: everything discovered is a unit or accounted for, in an order of its own."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.contract.card import Card
from qoqdata.contract.vocabulary import SPLITS
from qoqdata.errors import BadTable, MissingFile
from qoqdata.pipeline.chunks import order_key
from qoqdata.pipeline.planning import SourcePlan, make_plan
from qoqdata.sources import catalogue
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Unit
from qoqdata.sources.rawtree import RawTree
from tests.contract.test_card import CONTENT

JOB = Job(Card.model_validate(CONTENT), RawTree(Path("/nowhere")))


def plan(items: Iterable[Planned], **options: Any) -> SourcePlan:
    source = replace(catalogue.find_source("ham10000"), plan=lambda job: iter(items))
    return make_plan(source, JOB, **options)


def test_the_build_order_is_the_documented_one() -> None:
    digest = hashlib.sha256(b"qoqdata/1/public\0order\0films\0a.png").hexdigest()
    assert order_key("films", "a.png") == int(digest[:16], 16)
    assert order_key("films", "a.png") != order_key("others", "a.png")


UNIT = st.builds(
    Unit,
    st.integers(0, 12).map(lambda n: f"k{n}"),
    st.just(("a.png",)),
    st.sampled_from([None, "p1", "p2"]),
    split=st.sampled_from([None, *SPLITS]),
)
REFUSED = st.builds(
    Refused,
    st.integers(0, 12).map(lambda n: f"r{n}"),
    st.just(MissingFile("no such file")),
    st.just(("b.png",)),
)
FILTERED = st.builds(
    Filtered, st.integers(0, 12).map(lambda n: f"f{n}"), st.just("no_label"), st.just("no label")
)
ITEMS = st.lists(UNIT | REFUSED | FILTERED, min_size=1, max_size=25)


@given(ITEMS)
def test_everything_discovered_is_counted_once(items: list[Planned]) -> None:
    made = plan(items)
    assert len(made.units) + len(made.left_out) == len(items)
    accounted = Counter([*(u.key for u in made.units), *(row["unit"] for row in made.left_out)])
    assert accounted == Counter(item.key for item in items)


@given(ITEMS, st.randoms())
def test_the_plan_does_not_depend_on_the_order_of_the_listing(items: list, random: Any) -> None:
    turned = list(items)
    random.shuffle(turned)
    one, two = plan(items), plan(turned)
    assert one.units == two.units
    assert sorted(map(str, one.left_out)) == sorted(map(str, two.left_out))


@given(ITEMS)
def test_units_come_in_build_order_with_a_split(items: list[Planned]) -> None:
    made = plan(items).units
    places = [order_key("films", unit.key) for unit in made]
    assert places == sorted(places)
    assert all(unit.split in SPLITS for unit in made)


@given(ITEMS)
def test_all_of_a_repeated_key_are_refused(items: list[Planned]) -> None:
    made = plan(items)
    counts = Counter(item.key for item in items if isinstance(item, Unit))
    repeated = {key for key, count in counts.items() if count > 1}
    rows = [row for row in made.left_out if row["reason"] == "duplicate_key"]
    assert Counter(row["unit"] for row in rows) == {key: counts[key] for key in repeated}
    assert not repeated & {unit.key for unit in made.units}
    for row in rows:
        assert f"occurs {counts[row['unit']]} times" in row["message"]


def test_a_repeated_key_does_not_tear_its_group() -> None:
    """Rows of one key that disagree on its split say nothing about the split of their group."""
    items = [
        Unit("a", (), "p", split="test"),
        Unit("a", (), "p"),
        Unit("b", (), "p", split="train"),
    ]
    made = plan(items)
    assert [(unit.key, unit.split) for unit in made.units] == [("b", "train")]
    assert [row["reason"] for row in made.left_out] == ["duplicate_key"] * 2


def test_rows_of_what_is_left_out() -> None:
    error = MissingFile("no such file", where="x.png", fix="fetch it")
    made = plan([Refused("x", error, ("x.png",)), Filtered("y", "no_label", "none", ("y.png",))])
    assert made.left_out == (
        {
            "source": "films",
            "unit": "x",
            "raw": ["x.png"],
            "outcome": "quarantined",
            "stage": "plan",
            "reason": "missing_file",
            "error": "MissingFile",
            "message": "x.png: no such file. Fix: fetch it",
            "converter_version": "1",
        },
        {
            "source": "films",
            "unit": "y",
            "raw": ["y.png"],
            "outcome": "filtered",
            "stage": "plan",
            "reason": "no_label",
            "error": None,
            "message": "none",
            "converter_version": "1",
        },
    )


@given(ITEMS, st.integers(1, 10))
def test_a_limit_takes_the_first_units_and_counts_nothing_else(items: list, limit: int) -> None:
    whole, cut = plan(items), plan(items, limit=limit)
    assert cut.units == whole.units[:limit]
    assert cut.left_out == ()


def test_a_limit_does_not_move_splits() -> None:
    """The official member lies beyond the limit, and still decides its group."""
    items = [Unit(f"k{n}", (), "p", split="test" if n == 0 else None) for n in range(20)]
    assert {unit.split for unit in plan(items, limit=3).units} == {"test"}


def test_faults_of_planning_itself_refuse_the_source() -> None:
    def broken(job: Job) -> Iterable[Planned]:
        yield Unit("a", ())
        raise BadTable("lacks a column")

    with pytest.raises(BadTable):
        make_plan(replace(catalogue.find_source("ham10000"), plan=broken), JOB)
