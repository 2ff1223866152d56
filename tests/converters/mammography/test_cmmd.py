"""CMMD: patients written down by hand, with one or both breasts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from qoqdata.contract.vocabulary import SPLITS
from qoqdata.errors import InputError
from qoqdata.pipeline.planning import make_plan
from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_dicom
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("cmmd")
TABLE = "CMMD_clinicaldata_revision.csv"
CODES = {"CC": "399162004", "MLO": "399368009"}
Cells = dict[str, Any]


class Tree:
    """Films of 12 x 10 pixels, of a grey of their own each."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: list[Cells] = []

    def row(self, patient: str, side: str, verdict: str = "Benign", **cells: Any) -> Cells:
        row = {"ID1": patient, "LeftRight": side, "Age": 44, "number": 2, "abnormality": "mass"}
        self.rows.append(row | {"classification": verdict, "subtype": ""} | cells)
        return self.rows[-1]

    def film(
        self, patient: str, side: str, view: str, name: str, *, of: str = "", folder: str = ""
    ) -> Path:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = CODES[view], "SCT", view
        path = self.root / "CMMD" / (folder or patient) / "07-18-2010" / "1.0" / f"{name}.dcm"
        pixels = np.arange(120, dtype=np.uint8).reshape(12, 10)
        codes = Sequence([code])
        write_dicom(
            path,
            pixels,
            modality="MG",
            patient=of or patient,
            laterality=side or None,
            ViewCodeSequence=codes,
        )
        return path

    def patient(self, patient: str, *sides: str, folder: str = "") -> None:
        """Both views of each side, MLO first and the right breast first."""
        for number, (side, view) in enumerate(
            (side, view) for side in sorted(sides, reverse=True) for view in ("MLO", "CC")
        ):
            self.film(patient, side, view, f"1-{number + 1}", folder=folder)

    @property
    def job(self) -> Job:
        return Job(SOURCE.card, open_raw(self.root))

    def planned(self) -> dict[str, Planned]:
        write_csv(self.root / TABLE, self.rows)
        return {one.key: one for one in SOURCE.plan(self.job)}

    def converted(self, patient: str) -> list[Record | Skipped]:
        unit = self.planned()[patient]
        assert isinstance(unit, Unit), unit
        return list(SOURCE.convert(unit, self.job))

    def asked(self, patient: str, task: str) -> dict[str | None, Record]:
        found = [r for r in self.converted(patient) if isinstance(r, Record) and r.task == task]
        return {record.item: record for record in found}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_a_verdict_is_of_one_breast_and_shows_that_breast(tree: Tree) -> None:
    """Two rows that differ are two questions, each with the two views of its side."""
    tree.patient("D1-0001", "L", "R")
    tree.row("D1-0001", "L", "Malignant", abnormality="both", subtype="triple negative")
    tree.row("D1-0001", "R", "Benign", abnormality="calcification")
    verdicts = tree.asked("D1-0001", "diagnosis")
    assert {side: one.answer for side, one in verdicts.items()} == {
        "left": "Malignant",
        "right": "Benign",
    }
    for side, one in verdicts.items():
        assert [(i.laterality, i.view) for i in one.images or ()] == [(side, "CC"), (side, "MLO")]
        assert one.age == 44
    kinds = tree.asked("D1-0001", "abnormality")
    assert (kinds["left"].answer, kinds["right"].answer) == ("Calcification, Mass", "Calcification")
    assert {k: r.answer for k, r in tree.asked("D1-0001", "subtype").items()} == {
        "left": "Triple negative"
    }
    (side_asked,) = tree.asked("D1-0001", "malignant_side").values()
    assert side_asked.answer == "Left"
    shown = [(i.laterality, i.view) for i in side_asked.images or ()]
    assert shown == [("left", "CC"), ("left", "MLO"), ("right", "CC"), ("right", "MLO")]


@pytest.mark.parametrize(
    ("left", "right", "answer"),
    [
        ("Malignant", "Malignant", "Both"),
        ("Benign", "Benign", "Neither"),
        ("Benign", "Malignant", "Right"),
    ],
)
def test_sides_are_compared(tree: Tree, left: str, right: str, answer: str) -> None:
    """Both rows decide."""
    tree.patient("D2-0001", "L", "R")
    tree.row("D2-0001", "L", left)
    tree.row("D2-0001", "R", right)
    (asked,) = tree.asked("D2-0001", "malignant_side").values()
    assert asked.answer == answer


def test_a_breast_without_a_row_is_in_no_question_about_verdicts(tree: Tree) -> None:
    """Four images and one row: the other breast is neither shown nor taken for healthy."""
    tree.patient("D1-0002", "L", "R")
    tree.row("D1-0002", "R", "Malignant")
    converted = tree.converted("D1-0002")
    for one in converted:
        if isinstance(one, Record) and one.task != "projection":
            assert {image.laterality for image in one.images or ()} == {"right"}
    reasons = {one.task: one.reason for one in converted if isinstance(one, Skipped)}
    assert reasons == {"subtype": "not_stated", "malignant_side": "one_side"}
    assert len(tree.asked("D1-0002", "projection")) == 4


def test_a_projection_is_not_told_where_it_is_asked(tree: Tree) -> None:
    """Captions name side and view, which are the answer here."""
    tree.patient("D1-0003", "L")
    tree.row("D1-0003", "L")
    asked = tree.asked("D1-0003", "projection")
    assert {one.answer for one in asked.values()} == {"Left CC", "Left MLO"}
    assert {(i.view, i.laterality) for one in asked.values() for i in one.images or ()} == {
        (None, None)
    }


def test_folders_in_quotes_are_the_same_patient(tree: Tree) -> None:
    """Some tools keep the quotes of the manifest."""
    tree.patient("D1-0004", "L", folder='"D1-0004"')
    tree.row("D1-0004", "L")
    assert isinstance(tree.planned()["D1-0004"], Unit)


@pytest.mark.parametrize(
    ("break_it", "code"),
    [
        (lambda t: t.rows.clear() or t.row("D1-0009", "L"), "missing_key"),
        (lambda t: t.row("D1-0001", "L", "Malignant"), "duplicate_key"),
        (lambda t: t.rows[0].update(LeftRight="B"), "bad_table"),
        (lambda t: t.row("D1-0001", "R", Age=61), "bad_table"),
    ],
)
def test_rows_that_cannot_be_a_patient(
    tree: Tree, break_it: Callable[[Tree], Any], code: str
) -> None:
    tree.patient("D1-0001", "L", "R")
    tree.row("D1-0001", "L")
    break_it(tree)
    refused = tree.planned()["D1-0001"]
    assert isinstance(refused, Refused) and refused.error.code == code


@pytest.mark.parametrize(
    ("break_it", "code"),
    [
        (lambda t: t.film("D1-0001", "L", "CC", "1-9"), "duplicate_key"),
        (lambda t: t.film("D1-0001", "L", "CC", "1-2", of="D1-0007"), "missing_key"),
        (lambda t: t.film("D1-0001", "", "CC", "1-2"), "missing_key"),
        (lambda t: (t.root / "CMMD/D1-0001/07-18-2010/1.0/1-2.dcm").unlink(), "missing_file"),
        (lambda t: t.rows[0].update(number=4), "missing_file"),
        (lambda t: t.rows[0].update(classification="malign"), "bad_label"),
    ],
)
def test_films_that_are_not_those_of_the_row(
    tree: Tree, break_it: Callable[[Tree], Any], code: str
) -> None:
    """A film of another patient, of no side, twice or lost: nothing stands in for it."""
    tree.patient("D1-0001", "L")
    tree.row("D1-0001", "L")
    break_it(tree)
    with pytest.raises(InputError) as caught:
        tree.converted("D1-0001")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("cell", "age", "note"),
    [(44, 44, "the table says the age is 44, the headers 61"), (61, 61, None), ("", 61, None)],
)
def test_the_table_knows_the_age(tree: Tree, cell: object, age: int, note: str | None) -> None:
    """A header stands in where the table is silent, and is told where it differs."""
    for number, view in enumerate(("CC", "MLO")):
        path = tree.film("D1-0001", "L", view, f"1-{number}")
        dataset = pydicom.dcmread(path)
        dataset.PatientAge = "061Y"
        dataset.save_as(path)
    tree.row("D1-0001", "L", Age=cell)
    for one in tree.converted("D1-0001"):
        if isinstance(one, Record):
            told = [text for text in one.notes if "age is" in text]
            assert (one.age, told) == (age, [note] if note else [])


def test_two_tables_are_one_too_many(tree: Tree) -> None:
    """Whose rows would count?"""
    tree.patient("D1-0001", "L")
    tree.row("D1-0001", "L")
    write_csv(tree.root / "old" / TABLE, tree.rows)
    with pytest.raises(InputError, match="two clinical tables"):
        tree.planned()


def test_no_split_is_of_one_verdict(tmp_path: Path) -> None:
    """Rows are sorted by cohort; a cut in their order leaves a test set of cancers alone."""
    assert SOURCE.simulate is not None
    SOURCE.simulate(tmp_path / "raw", 60, seed=2, quirks=False)
    plan = make_plan(SOURCE, Job(SOURCE.card, open_raw(tmp_path / "raw")))
    assert {(unit.key[:2], unit.split) for unit in plan.units} == {
        (cohort, split) for cohort in ("D1", "D2") for split in SPLITS
    }
