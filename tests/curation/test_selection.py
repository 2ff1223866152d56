"""Selections: as good as the best of all subsets, within their bounds, and the same every time."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qoqdata
from qoqdata.curation.decisions import decide
from qoqdata.curation.selection import SelectionTarget, select, undo_selection
from qoqdata.curation.selection.program import NoSelection, Program, solve
from qoqdata.dataset import Dataset
from qoqdata.errors import UsageError
from qoqdata.verdicts import dropped
from tests.records.sound_rows import image_row
from tests.validation.written_set import write

#: Records of four patients: sex, labels, age.
PEOPLE = (
    ("p0", "female", "Opacity", 30),
    ("p0", "female", "Clear", 30),
    ("p1", "male", "Opacity", 70),
    ("p1", "male", "Opacity", 70),
    ("p1", "male", "Clear", 70),
    ("p2", "female", "Clear", 90),
    ("p3", "male", "Clear", None),
    ("p3", "male", "Opacity", None),
)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    rows = [
        image_row(
            id=f"r{number}",
            patient=patient,
            study=f"s{number}",
            sex=sex,
            age=age,
            answer=label,
            labels=[label],
        )
        for number, (patient, sex, label, age) in enumerate(PEOPLE)
    ]
    held_out = image_row(id="t0", patient="p9", study="s9", split="test")
    return write(tmp_path / "set", [*rows, held_out])


def kept(dataset: Dataset, split: str = "train") -> list[str]:
    return dataset.kept(["id", "split"]).filter(split=split)["id"].sort().to_list()


def chosen(dataset: Dataset, **target: Any) -> list[str]:
    select(dataset, SelectionTarget.model_validate(target))
    return kept(dataset)


def people(ids: list[str]) -> list[tuple[Any, ...]]:
    return [PEOPLE[int(id_[1:])] for id_ in ids]


def test_size_and_bounds_are_met(dataset: Dataset) -> None:
    bounds = [
        {"by": "sex", "value": "female", "at_least": 2},
        {"by": "label", "value": "Opacity", "at_least": 0.5},
        {"by": "age", "range": [65, 90], "at_most": 1},
    ]
    ids = chosen(dataset, size=4, bounds=bounds)
    mine = people(ids)
    assert len(ids) == 4
    assert sum(sex == "female" for _, sex, _, _ in mine) >= 2
    assert sum(label == "Opacity" for _, _, label, _ in mine) >= 2
    # An age that is not told is in no range; 90, which is the largest, is in this one.
    assert sum(age is not None and age >= 65 for *_, age in mine) <= 1
    assert kept(dataset, "test") == ["t0"]


def test_balance_by_stated_and_by_equal_shares(dataset: Dataset) -> None:
    """Of three women and five men: 3 and 1 by stated shares, 2 and 2 by equal ones."""
    for shares, women in ({"female": 3.0, "male": 1.0}, 3), ("equal", 2):
        ids = chosen(dataset, size=4, balance={"by": "sex", "shares": shares})
        assert sum(sex == "female" for _, sex, _, _ in people(ids)) == women


def test_patients_are_kept_whole(dataset: Dataset) -> None:
    ids = chosen(dataset, size=5, whole="patient", within=0.0)
    patients = {patient for patient, *_ in people(ids)}
    assert len(ids) == 5
    assert ids == [f"r{n}" for n, (patient, *_) in enumerate(PEOPLE) if patient in patients]


def test_whole_patients_that_give_no_such_size(dataset: Dataset) -> None:
    """p0 and p1 have 2 and 3 records; without p2, which has one, there are 2, 3, 5 and so on."""
    bounds = [{"by": "age", "range": [80, 90], "at_most": 0}]
    with pytest.raises(UsageError, match="by whole patient"):
        chosen(dataset, size=6, whole="patient", within=0.0, bounds=bounds)
    assert len(chosen(dataset, size=6, whole="patient", within=0.2, bounds=bounds)) in (5, 7)


def test_bounds_that_cannot_be_met_are_named_with_what_they_miss(dataset: Dataset) -> None:
    bounds = [
        {"by": "sex", "value": "female", "at_least": 5},
        {"by": "label", "value": "Opacity", "at_least": 1},
    ]
    with pytest.raises(UsageError) as raised:
        chosen(dataset, size=6, bounds=bounds)
    said = str(raised.value)
    assert "sex female: at least 5 (missed by 2; there are 3)" in said
    assert "label Opacity" not in said and "\n" not in said
    with pytest.raises(UsageError, match=r"size 9 \(missed by 1; there are 8\)"):
        chosen(dataset, size=9)
    assert len(kept(dataset)) == 8  # nothing was written


def test_a_selection_is_replaced_taken_back_and_outlives_other_verdicts(dataset: Dataset) -> None:
    decide(dataset, "r0", False, "cut off", "ana")
    first = chosen(dataset, size=3)
    assert "r0" not in first and first == chosen(dataset, size=3)
    assert len(chosen(dataset, size=5)) == 5
    rules = dropped(dataset.layout, "rule")["rule"].value_counts().sort("rule").rows()
    assert rules == [("person", 1), ("selection", 2)]
    recipe = {"duplicates": {"equal": "report"}, "quality": {"drop": []}}
    qoqdata.curate(
        dataset.root, burned_in=False, recipe=recipe | {"leakage": {"on_finding": "skip"}}
    )
    assert len(kept(dataset)) == 5
    assert undo_selection(dataset) == 2
    assert len(kept(dataset)) == 7


def test_the_order_of_records_does_not_matter(dataset: Dataset, tmp_path: Path) -> None:
    rows = list(dataset)
    turned = write(tmp_path / "turned", rows[::-1])
    for size in (2, 3, 5):
        assert chosen(turned, size=size, seed=1) == chosen(dataset, size=size, seed=1)
    seeds = {tuple(chosen(dataset, size=3, seed=seed)) for seed in range(6)}
    assert len(seeds) > 1


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({"size": 0}, "size"),
        ({"size": 2, "bounds": [{"by": "label", "at_least": 1}]}, "needs a value"),
        ({"size": 2, "bounds": [{"by": "age", "value": "3", "at_least": 1}]}, "needs a range"),
        ({"size": 2, "bounds": [{"by": "sex", "value": "male"}]}, "at_least, at_most"),
        (
            {"size": 2, "bounds": [{"by": "sex", "value": "male", "at_least": 1, "at_most": 0.5}]},
            "the other a share",
        ),
        (
            {"size": 2, "bounds": [{"by": "difficulty", "range": [0, 0.5], "at_least": 1}]},
            "no difficulty to select by",
        ),
        ({"size": 2, "balance": {"by": "domain", "shares": {"ct": 1.0}}}, "of the domain 'ct'"),
        ({"size": 2, "split": "validation"}, "no record of validation"),
    ],
)
def test_targets_at_fault(dataset: Dataset, target: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        qoqdata.select(dataset.root, target)


UNIT = st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(0, 3))


@given(
    st.lists(UNIT, min_size=1, max_size=7),
    st.integers(1, 12),
    st.integers(0, 3),
    st.integers(0, 6),
)
def test_as_good_as_the_best_of_all_subsets(
    units: list[tuple[int, int, int]], size: int, low: int, high: int
) -> None:
    """Units of some records, of one of three groups, some of whose records a bound is about: the
    program against every subset there is."""
    units = [(n, group, min(n, meant)) for n, group, meant in units]
    shares = np.array([0.5, 0.25, 0.25])

    def distance(subset: tuple[tuple[int, int, int], ...]) -> float:
        counts = [sum(n for n, group, _ in subset if group == g) for g in range(3)]
        return float(sum(abs(c - share * size) for c, share in zip(counts, shares, strict=True)))

    fitting = [
        subset
        for count in range(len(units) + 1)
        for subset in combinations(units, count)
        if sum(n for n, _, _ in subset) == size and low <= sum(m for *_, m in subset) <= high
    ]
    kinds = sorted(set(units))
    program = Program(
        units=np.array([units.count(kind) for kind in kinds]),
        records=np.array([n for n, _, _ in kinds]),
        members=np.array([[m for *_, m in kinds]]),
        low=np.array([float(low)]),
        high=np.array([float(high)]),
        shared=np.array([False]),
        groups=np.array([[n * (group == g) for n, group, _ in kinds] for g in range(3)]),
        wanted=shares,
        size=(size, size, size),
    )
    if not fitting:
        with pytest.raises(NoSelection):
            solve(program)
        return
    found = solve(program)
    assert (found >= 0).all() and (found <= program.units).all()
    subset = tuple(kind for kind, n in zip(kinds, found, strict=True) for _ in range(n))
    assert sum(n for n, _, _ in subset) == size
    assert low <= sum(m for *_, m in subset) <= high
    # The distance of kinds weighs a thousandth, and there are at most 21 records.
    assert distance(subset) <= min(map(distance, fitting)) + 0.001 * 2 * 21 + 0.01
