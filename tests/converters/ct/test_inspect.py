"""INSPECT: two studies written down by hand, joined by keys that differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import InputError
from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_nifti
from qoqdata.sources.card import settle_options
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("inspect")
PE = ("pe_positive_nlp", "pe_positive", "pe_acute", "pe_subsegmentalonly")
Cells = dict[str, Any]


class Tree:
    """Volumes of 6 x 7 x 30 voxels: the axial slice k is k * 10 HU, around it is air."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.mapping: list[Cells] = []
        self.labels: list[Cells] = []
        self.splits: list[Cells] = []

    def study(
        self, image: str, person: int, *values: Any, split: str = "train", **cells: Any
    ) -> None:
        impression = f"7{image}"
        self.mapping.append({"person_id": person, "image_id": image, "impression_id": impression})
        row = {"impression_id": impression} | dict(zip(PE, (values[0], *values), strict=True))
        self.labels.append(row | cells)
        self.splits.append({"impression_id": impression, "split": split})
        voxels = np.full((6, 7, 30), -1000, np.int16)
        voxels[1:5, 1:6] = np.arange(30) * 10
        write_nifti(self.root / "CTPA" / f"{image}.nii.gz", voxels, np.diag([-1.0, -1, 2, 1]))

    def planned(self) -> dict[str, Planned]:
        for name, rows in (
            ("study_mapping", self.mapping), ("labels", self.labels), ("splits", self.splits)
        ):  # fmt: skip
            columns = dict.fromkeys(column for row in rows for column in row)
            whole = [dict.fromkeys(columns) | row for row in rows]
            write_csv(self.root / f"{name}_20250611.tsv", whole)
        return {one.key: one for one in SOURCE.plan(self.job)}

    @property
    def job(self) -> Job:
        return Job(SOURCE.card, open_raw(self.root), settle_options(SOURCE.card, {}))

    def answers(self, image: str) -> dict[str, str]:
        """Answers by task; of skipped ones the reason in brackets."""
        unit = self.planned()[image]
        assert isinstance(unit, Unit), unit
        return {
            one.task: one.answer if isinstance(one, Record) else f"({one.reason})"
            for one in SOURCE.convert(unit, self.job)
        }


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_slices_are_axial(tree: Tree) -> None:
    """The last axis of an x, y, z array; the first one gives sagittal planes of 7 x 30."""
    tree.study("PE1", 1, True, True, False)
    unit = tree.planned()["PE1"]
    assert isinstance(unit, Unit)
    record = next(one for one in SOURCE.convert(unit, tree.job) if isinstance(one, Record))
    images = record.images or ()
    assert {(one.view, one.height, one.width) for one in images} == {("axial", 7, 6)}
    # 24 inner slices of 30 in eight parts, none at an end of the body, each in two windows.
    places = [4, 7, 10, 13, 16, 19, 22, 25]
    assert [one.index for one in images] == [place for place in places for _ in range(2)]
    names = {one.window.name for one in images if one.window}
    assert names == {"pe", "mediastinum"}


@pytest.mark.parametrize(
    ("values", "answers"),
    [
        ((True, True, False), ("Embolism", "Acute", "Beyond subsegmental arteries")),
        ((True, False, True), ("Embolism", "Not acute", "Subsegmental arteries only")),
        ((True, None, None), ("Embolism", "(not_stated)", "(not_stated)")),
        ((False, None, None), ("No embolism", "(no_embolism)", "(no_embolism)")),
        ((None, True, True), ("(not_stated)",) * 3),
    ],
)
def test_chronic_is_never_inferred(
    tree: Tree, values: tuple[bool | None, ...], answers: tuple[str, ...]
) -> None:
    """Positive and not called acute is no class of its own; unknown is no denial."""
    tree.study("PE1", 1, *values)
    found = tree.answers("PE1")
    assert tuple(found[task] for task in ("embolism", "acuity", "extent")) == answers
    assert not any(
        "hronic" in option for t in SOURCE.card.tasks.values() for option in t.options or ()
    )


def test_columns_that_disagree_are_disputed(tree: Tree) -> None:
    tree.study("PE1", 1, True, True, False)
    tree.labels[0]["pe_positive"] = "0"
    assert tree.answers("PE1")["embolism"] == "(disputed)"


def test_outcomes_are_answers_and_censored_is_not_one(tree: Tree) -> None:
    cells = {
        "1_month_mortality": "FALSE",
        "12_month_mortality": "True",
        "6_month_readmission": "Censored",
    }
    tree.study("PE1", 1, False, False, False, **cells)
    found = tree.answers("PE1")
    assert found["mortality_1_month"] == "Survived" and found["mortality_12_month"] == "Died"
    assert found["readmission_6_month"] == "(censored)"
    assert found["mortality_6_month"] == found["hypertension_12_month"] == "(not_stated)"
    unit = tree.planned()["PE1"]
    assert isinstance(unit, Unit)
    records = [one for one in SOURCE.convert(unit, tree.job) if isinstance(one, Record)]
    assert {one.context for one in records} == {None}


def test_official_splits_by_person(tree: Tree) -> None:
    """Not the order of rows: two studies of a person stay together."""
    tree.study("PE1", 5, True, True, False, split="test")
    tree.study("PE2", 6, False, None, None, split="valid")
    tree.study("PE3", 5, False, None, None, split="test")
    units = [one for one in tree.planned().values() if isinstance(one, Unit)]
    assert [(one.key, one.group, one.split) for one in units] == [
        ("PE1", "5", "test"), ("PE2", "6", "validation"), ("PE3", "5", "test"),
    ]  # fmt: skip


def test_files_are_found_by_image_and_a_miss_is_told(tree: Tree) -> None:
    """A file named after the impression is not the study's."""
    tree.study("PE1", 1, True, True, False)
    (tree.root / "CTPA/PE1.nii.gz").rename(tree.root / "CTPA/7PE1.nii.gz")
    tree.study("PE2", 2, True, True, False)
    tree.mapping[1]["image_id"] = "PE2.nii.gz"
    planned = tree.planned()
    codes = {key: one.error.code for key, one in planned.items() if isinstance(one, Refused)}
    assert codes == {"PE1": "missing_file", "7PE1": "missing_key"}
    assert isinstance(planned["PE2"], Unit)


def test_a_row_that_stands_twice_is_one_and_rows_that_differ_are_none(tree: Tree) -> None:
    tree.study("PE1", 1, True, True, False)
    tree.splits.append(dict(tree.splits[0]))
    tree.study("PE2", 2, True, True, False)
    tree.splits.append(tree.splits[-1] | {"split": "test"})
    planned = tree.planned()
    assert isinstance(planned["PE1"], Unit)
    assert isinstance(planned["PE2"], Refused) and planned["PE2"].error.code == "duplicate_key"


def test_values_that_are_no_hounsfield_units_are_refused(tree: Tree) -> None:
    tree.study("PE1", 1, True, True, False)
    path = tree.root / "CTPA/PE1.nii.gz"
    write_nifti(path, np.full((6, 7, 30), 24, np.int16), np.eye(4))
    with pytest.raises(InputError, match="near -1000 HU"):
        tree.answers("PE1")
    unit = tree.planned()["PE1"]
    assert isinstance(unit, Unit) and not isinstance(unit, Skipped)
