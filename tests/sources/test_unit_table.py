"""Units as columns: a table holds what its units do, and a faulty one costs no other."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.contract.card import Card
from qoqdata.contract.vocabulary import SPLITS
from qoqdata.errors import ConverterError, MissingFile
from qoqdata.pipeline.chunks import Chunk, in_build_order
from qoqdata.sources import conformance
from qoqdata.sources.conformance import sound_plan
from qoqdata.sources.protocol import Filtered, Planned, Refused, Unit
from qoqdata.sources.rawtree import RawTree
from qoqdata.sources.unit_table import all_files, packed, unit_table, units_of
from tests.contract.test_card import CONTENT

CARD = Card.model_validate(CONTENT)
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=6)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
UNITS = st.builds(
    Unit,
    TEXT.filter(bool),
    st.lists(TEXT, max_size=3).map(tuple),
    st.none() | TEXT.filter(bool),
    st.none() | TEXT.filter(bool),
    st.sampled_from([None, *SPLITS]),
    st.dictionaries(TEXT, JSON, max_size=3),
)


@given(st.lists(UNITS, max_size=6))
def test_a_table_holds_its_units(units: list[Unit]) -> None:
    table = unit_table(units)
    found = list(units_of(table))
    assert found == units
    # Members keep their order, which a converter may go by; 1.0 stays a float, True a truth value.
    assert [repr(unit) for unit in found] == [repr(unit) for unit in units]
    assert all_files(table).to_list() == [path for unit in units for path in unit.files]


@pytest.mark.parametrize("value", ["\x1e", ["a", "\x1e", "b"], {"\x1e": "\x1e"}, ',"\\u001e",'])
def test_facts_may_hold_what_parts_of_json_are_told_apart_by(value: Any) -> None:
    units = [Unit(str(n), (), facts=facts) for n, facts in enumerate(({}, {"of": value}, {"n": 1}))]
    table = unit_table(units)
    assert list(units_of(table)) == units
    assert [json.loads(text) for text in table["facts"]] == [unit.facts for unit in units]


def test_a_chunk_travels_without_the_units_of_others() -> None:
    units = [Unit(f"u{n:06d}", (f"films/{n:06d}.png",), split="train") for n in range(20_000)]
    table = in_build_order(unit_table(units), "films")
    chunk = Chunk("train-00003", "train", table.slice(70, 10))
    sent = pickle.dumps(chunk)
    assert len(sent) < 10_000 < len(packed(table)) / 20
    assert pickle.loads(sent).units == chunk.units
    assert len(chunk.units) == 10


def gathered(planned: Any) -> tuple[list[Unit], list[Refused | Filtered]]:
    found = list(sound_plan(planned, CARD))
    units = [unit for part in found for unit in units_of(part.units)]
    return units, [item for part in found for item in part.others]


class Numbers(dict):  # type: ignore[type-arg]
    """A mapping of another kind."""


PLAIN: list[tuple[Any, Any]] = [
    ({"a": (1, ("x", 2.5))}, {"a": [1, ["x", 2.5]]}),
    (Numbers(a=1), {"a": 1}),
    ({"a": np.int64(61), "b": [np.float64(0.5)]}, {"a": 61, "b": [0.5]}),
    ({"a": {"b": {}}, "c": []}, {"a": {"b": {}}, "c": []}),
]


@pytest.mark.parametrize(("facts", "expected"), PLAIN)
def test_facts_come_as_json_has_them(facts: Any, expected: Any) -> None:
    ((unit,), others) = gathered([Unit("k", (), facts=facts)])
    assert unit.facts == expected and others == []


def test_facts_may_lie_deep() -> None:
    facts: dict[str, Any] = {"end": 1}
    for level in range(80):
        facts = {"in": facts} if level % 2 else {"of": [facts]}
    deep, other = Unit("deep", (), facts=facts), Unit("other", (), facts={"a": [1]})
    assert gathered([deep, other]) == ([deep, other], [])


FAULTY: list[dict[str, Any]] = [
    {"key": 5, "fails": True},
    {"key": "", "fails": True},
    {"key": "\ud800"},
    {"files": ["a.png"]},
    {"files": ("a.png", None)},
    {"files": ("\ud800",)},
    {"group": ""},
    {"patient": 7},
    {"split": "dev"},
    {"facts": {"a": math.nan}},
    {"facts": {"a": [{"b": {1: 2}}]}},
    {"facts": {None: 2}},
    {"facts": {"a": "\ud800"}},
    {"facts": {"a": {1, 2}}},
    {"facts": None},
]


@pytest.mark.parametrize("fault", FAULTY, ids=str)
def test_a_faulty_unit_among_many_is_told_alone(
    fault: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is number 8 of the plan, in the second part that is looked at together."""
    monkeypatch.setattr(conformance, "_AT_ONCE", 5)
    fields = {"key": "k8", "files": (), **fault}
    fails = fields.pop("fails", False)
    other = Filtered("f3", "no_label", "none")
    items: list[Planned] = [Unit(f"k{n}", ()) for n in range(12)]
    items[3], items[8] = other, Unit(**fields)
    if fails:
        with pytest.raises(ConverterError, match="item 8 of plan"):
            gathered(items)
        return
    units, (first, refused) = gathered(items)
    assert first == other
    assert isinstance(refused, Refused) and "item 8 of plan" in str(refused.error)
    assert [unit.key for unit in units] == [f"k{n}" for n in range(12) if n not in (3, 8)]


def test_what_stands_before_an_error_of_the_plan_is_looked_at_first() -> None:
    def planned(first: object) -> Iterator[Any]:
        yield first
        raise MissingFile("no such file")

    with pytest.raises(MissingFile):
        gathered(planned(Unit("k", ())))
    with pytest.raises(ConverterError, match="item 0 of plan"):
        gathered(planned("no unit"))


def test_a_watched_tree_notes_what_it_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.png").write_bytes(b"12345")
    (tmp_path / "labels.csv").write_text("file,label\na,b\n")
    plain = RawTree(tmp_path)
    raw = plain.watched()
    assert raw.met() == {}
    raw.csv("labels.csv", columns=["file"])
    assert raw.exists("films") and not raw.exists("films/b.png")
    raw.files("*.png")
    met = raw.met()
    assert met == {"labels.csv": raw.stamp("labels.csv"), "films/b.png": None}
    # The first look counts: what was read then may be another file by now.
    (tmp_path / "labels.csv").write_text("file,label,more\n")
    raw.exists("labels.csv")
    assert raw.met() == met
    plain.exists("labels.csv")
    assert plain.met() == {} and pickle.loads(pickle.dumps(raw)).met() == {}
