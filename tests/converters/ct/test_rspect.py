"""RSPECT: studies written down by hand, ten slices each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import InputError
from qoqdata.pipeline.planning import make_plan
from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_dicom
from qoqdata.sources.card import settle_options
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("rspect")
KEYS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
STUDY = (
    *("negative_exam_for_pe", "indeterminate", "qa_motion", "qa_contrast", "flow_artifact"),
    *("rv_lv_ratio_gte_1", "rv_lv_ratio_lt_1", "leftsided_pe", "rightsided_pe", "central_pe"),
    *("chronic_pe", "acute_and_chronic_pe", "true_filling_defect_not_pe"),
)
SLICES = 20


class Tree:
    """Slices of 8 x 8 pixels; slice k lies at k mm and is k * 10 HU, named against that order."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: list[dict[str, Any]] = []

    def study(self, name: str, *set_: str, positive: tuple[int, ...] = ()) -> list[Path]:
        paths = []
        for k in range(SLICES):
            slice_ = f"{name}{SLICES - k:02}"
            row = dict(zip(KEYS, (name, f"9{name}", slice_), strict=True))
            labels = {column: int(column in set_) for column in STUDY}
            self.rows.append(row | {"pe_present_on_image": int(k in positive)} | labels)
            path = self.root / "train" / name / f"9{name}" / f"{slice_}.dcm"
            pixels = np.full((8, 8), k * 10, np.int16)
            write_dicom(path, pixels, modality="CT", study=name, series=f"9{name}",
                        spacing=(1.0, 1.0), position=(0, 0, k), SOPInstanceUID=slice_,
                        RescaleSlope=1, RescaleIntercept=0, RescaleType="HU")  # fmt: skip
            paths.append(path)
        return paths

    def job(self, **options: Any) -> Job:
        write_csv(self.root / "train.csv", self.rows)
        return Job(SOURCE.card, open_raw(self.root), settle_options(SOURCE.card, options))

    def planned(self, **options: Any) -> dict[str, Planned]:
        return {one.key: one for one in SOURCE.plan(self.job(**options))}

    def asked(self, name: str, split: Any = "train", **options: Any) -> dict[str, list[Record]]:
        unit = self.planned(**options)[name]
        assert isinstance(unit, Unit), unit
        found: dict[str, list[Record]] = {}
        for one in SOURCE.convert(replace(unit, split=split), self.job(**options)):
            if isinstance(one, Record):
                found.setdefault(one.task, []).append(one)
        return found

    def skipped(self, name: str) -> dict[str, str]:
        unit = self.planned()[name]
        assert isinstance(unit, Unit), unit
        converted = SOURCE.convert(unit, self.job())
        return {one.task: one.reason for one in converted if isinstance(one, Skipped)}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def shown(record: Record) -> list[int | None]:
    return list(dict.fromkeys(image.index for image in record.images or ()))


def test_no_study_lies_in_two_splits(tree: Tree) -> None:
    """Slices drawn one by one put one patient's neighbours into train and test."""
    for number in range(12):
        tree.study(f"1{number:02}", "negative_exam_for_pe")
    plan = make_plan(SOURCE, tree.job())
    assert len(plan.units) == 12
    assert all(len(unit.files) == SLICES and unit.group == unit.key for unit in plan.units)
    assert len({unit.split for unit in plan.units}) > 1


def test_indeterminate_is_not_negative(tree: Tree) -> None:
    tree.study("11", "indeterminate", "qa_motion", "qa_contrast")
    asked = tree.asked("11")
    assert asked["embolism"][0].answer == "Indeterminate"
    assert asked["quality"][0].answer == "Motion, Poor contrast"
    assert "slice_embolism" not in asked and "acuity" not in asked


@pytest.mark.parametrize(
    ("columns", "answer"),
    [
        ((), "Acute"),
        (("chronic_pe",), "Chronic"),
        (("acute_and_chronic_pe",), "Acute on chronic"),
    ],
)
def test_acuity_is_of_the_study(tree: Tree, columns: tuple[str, ...], answer: str) -> None:
    """It is asked once of the study, and never of a slice; both is not acute alone."""
    tree.study("12", "leftsided_pe", "rv_lv_ratio_gte_1", *columns, positive=(4, 5))
    asked = tree.asked("12")
    assert [one.answer for one in asked["acuity"]] == [answer]
    assert {one.answer for one in asked["slice_embolism"]} == {"Yes", "No"}
    assert asked["location"][0].answer == "Left-sided"
    assert asked["ventricles"][0].answer == "RV/LV 1 or more"


def test_evaluation_sees_slices_that_were_chosen_without_labels(tree: Tree) -> None:
    tree.study("13", "central_pe", "rv_lv_ratio_lt_1", positive=(16, 17))
    uniform = tree.asked("13", "test", slices=4)["embolism"][0]
    assert shown(uniform) == [4, 8, 12, 16]
    assert shown(tree.asked("13", "test", slices=4, policy="mask")["embolism"][0]) == [4, 8, 12, 16]
    assert shown(tree.asked("13", "train", slices=4, policy="mask")["embolism"][0]) == [16, 17]
    # What takes embolism for granted shows it, in every split.
    assert shown(tree.asked("13", "test")["location"][0]) == [16, 17]


def test_slices_are_ordered_by_place(tree: Tree) -> None:
    """Names run the other way; 0 to 190 HU in the mediastinal window are 102 to 223."""
    tree.study("14", "negative_exam_for_pe")
    images = tree.asked("14", slices=2)["embolism"][0].images or ()
    assert [(one.index, one.window.name if one.window else None) for one in images] == [
        (6, "pe"), (6, "mediastinum"), (14, "pe"), (14, "mediastinum"),
    ]  # fmt: skip
    greys = [int(one.pixels[0, 0]) for one in images]
    # LINEAR: (x - (c - 0.5)) / (w - 1) + 0.5, of 60 and 140 HU.
    expected = [((x - c + 0.5) / (w - 1) + 0.5) * 255
                for x in (60, 140) for c, w in ((400, 1000), (40, 400))]  # fmt: skip
    assert greys == pytest.approx(expected, abs=0.51)


def test_few_slices_stand_for_all(tree: Tree) -> None:
    """Not 1.79 million near-duplicates; and none without the label close to one that has it."""
    tree.study("15", "rightsided_pe", "rv_lv_ratio_lt_1", positive=(8, 9, 10))
    slices = tree.asked("15")["slice_embolism"]
    places = {one.answer: [] for one in slices}
    for one in slices:
        places[one.answer] += shown(one)
    assert len(places["Yes"]) == 2 and set(places["Yes"]) <= {8, 9, 10}
    assert len(places["No"]) == 2 and not set(places["No"]) & set(range(5, 14))


@pytest.mark.parametrize(
    ("columns", "positive", "reason"),
    [
        (("negative_exam_for_pe",), (3,), "contradiction"),
        (("negative_exam_for_pe", "indeterminate"), (), "contradiction"),
        ((), (), "contradiction"),
    ],
)
def test_contradictions_are_not_asked(
    tree: Tree, columns: tuple[str, ...], positive: tuple[int, ...], reason: str
) -> None:
    tree.study("16", *columns, positive=positive)
    skipped = tree.skipped("16")
    assert {skipped[task] for task in ("embolism", "acuity", "slice_embolism")} == {reason}


def test_missing_files_are_told_and_never_assumed(tree: Tree) -> None:
    tree.study("17", "negative_exam_for_pe")[3].unlink()
    for path in tree.study("18", "negative_exam_for_pe"):
        path.unlink()
    planned = tree.planned()
    for key in ("17", "18"):
        assert isinstance(planned[key], Refused) and planned[key].error.code == "missing_file"


def test_rows_that_cannot_be_a_study(tree: Tree) -> None:
    for name in ("21", "22", "23", "24", "25"):
        tree.study(name, "negative_exam_for_pe")
    tree.rows[0]["qa_motion"] = None
    tree.rows[SLICES]["indeterminate"] = 1
    del tree.rows[2 * SLICES + 1]
    tree.rows.append(dict(tree.rows[3 * SLICES]))
    write_dicom(tree.root / "test/31/931/311.dcm", np.zeros((8, 8), np.int16), modality="CT")
    codes = {
        key: one.error.code if isinstance(one, Refused) else type(one)
        for key, one in tree.planned().items()
    }
    assert codes == {
        "21": "bad_table",
        "22": "bad_table",
        "23": "missing_key",
        "24": "duplicate_key",
        "25": Unit,
        "31": Filtered,
    }


def test_a_file_under_another_slices_name_is_refused(tree: Tree) -> None:
    first, second, *_ = tree.study("19", "negative_exam_for_pe")
    first.rename(first.with_name("x"))
    second.rename(first)
    first.with_name("x").rename(second)
    with pytest.raises(InputError, match="holds another slice"):
        tree.asked("19")
