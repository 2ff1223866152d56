"""Messidor-2: both eyes of a person, joined by names that tables and disk spell differently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import BadTable, InputError
from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_jpeg
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("messidor2")
GRADES = ("image_id", "adjudicated_dr_grade", "adjudicated_dme", "adjudicated_gradable")


class Person:
    """Two photographs: the left eye of grade 1 with macular oedema, the right one of grade 3."""

    def __init__(self, root: Path) -> None:
        self.root, self.renamed = root, False
        self.pairs = [{"left": "IM000001.JPG", "right": "IM000002.JPG"}]
        self.rows: list[dict[str, Any]] = [
            dict(zip(GRADES, ("IM000002.jpg", "3.0", "0.0", "1"), strict=True)),
            dict(zip(GRADES, ("IM000001.jpg", "1.0", "1.0", "1"), strict=True)),
        ]
        for number in (1, 2):
            self.photograph(f"IM00000{number}.JPG")

    def photograph(self, name: str) -> Path:
        grey = np.full((16, 16, 3), 90 if "1" in name else 180, np.uint8)
        write_jpeg(self.root / "IMAGES" / name, grey)
        return self.root / "IMAGES" / name

    def planned(self) -> dict[str, Planned]:
        write_csv(
            self.root / "messidor-2.csv", self.pairs, columns=("left", "right"), separator=";"
        )
        names = {"image_id": "id_code", "adjudicated_dr_grade": "diagnosis"} if self.renamed else {}
        rows = [{names.get(k, k): v for k, v in row.items()} for row in self.rows]
        columns = [names.get(k, k) for k in GRADES]
        write_csv(self.root / "messidor_data.csv", rows, columns=columns)
        return {one.key: one for one in SOURCE.plan(Job(SOURCE.card, open_raw(self.root)))}

    def converted(self) -> list[Record | Skipped]:
        unit = self.planned()["im000001+im000002"]
        assert isinstance(unit, Unit), unit
        return list(SOURCE.convert(unit, Job(SOURCE.card, open_raw(self.root))))

    def answers(self) -> dict[tuple[str, str | None], str]:
        return {(r.task, r.item): r.answer for r in self.converted() if isinstance(r, Record)}


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path)


@pytest.mark.parametrize("renamed", [False, True])
def test_grades_meet_their_eye(person: Person, renamed: bool) -> None:
    """By name, whatever case and order; copies on Kaggle rename two columns."""
    person.renamed = renamed
    assert person.answers() == {
        ("gradable", "left"): "Yes",
        ("gradable", "right"): "Yes",
        ("dr_grade", "left"): "Mild NPDR",
        ("dr_grade", "right"): "Severe NPDR",
        ("dme", "left"): "Yes",
        ("dme", "right"): "No",
        ("referable", "left"): "Yes",
        ("referable", "right"): "Yes",
        ("laterality", "left"): "Left",
        ("laterality", "right"): "Right",
        ("worse_eye", None): "Right",
    }


def test_each_question_shows_its_eye_and_tells_no_answer(person: Person) -> None:
    """The left photograph is the darker one; which side it is is not told where it is asked."""
    for record in person.converted():
        assert isinstance(record, Record)
        shown = [(int(i.pixels.mean()) > 130, i.laterality) for i in record.images or ()]
        if record.task == "worse_eye":
            assert shown == [(False, "left"), (True, "right")]
        elif record.task == "laterality":
            assert shown == [(record.item == "right", None)]
        else:
            assert shown == [(record.item == "right", record.item)]


def test_both_eyes_of_a_person_are_one_group(person: Person) -> None:
    """A left eye in train and its fellow in test would be a leak."""
    (unit,) = person.planned().values()
    assert isinstance(unit, Unit)
    assert unit.group == unit.patient == unit.key and len(unit.files) == 2


def test_a_photograph_that_cannot_be_graded_answers_that_alone(person: Person) -> None:
    """Its quality is asked; no stage is made up, and nobody can see which eye it is."""
    person.rows[0] |= dict(zip(GRADES[1:], ("", "", "0"), strict=True))
    answers = person.answers()
    assert answers["gradable", "right"] == "No"
    assert ("dr_grade", "right") not in answers and ("worse_eye", None) not in answers
    assert answers["dr_grade", "left"] == "Mild NPDR"
    skipped = {(s.task, s.item): s.reason for s in person.converted() if isinstance(s, Skipped)}
    assert set(skipped) == {
        ("dr_grade", "right"),
        ("dme", "right"),
        ("referable", "right"),
        ("laterality", "right"),
        ("worse_eye", None),
    }


@pytest.mark.parametrize(
    ("break_it", "code"),
    [
        (lambda p: p.rows.pop(), "missing_key"),
        (lambda p: p.rows.append(p.rows[0] | {GRADES[1]: "0.0"}), "duplicate_key"),
        (lambda p: p.rows[0].update({GRADES[3]: "0"}), "bad_table"),
        (lambda p: p.rows[0].update({GRADES[3]: ""}), "bad_table"),
        (lambda p: p.rows[0].update({GRADES[2]: ""}), "bad_table"),
        (lambda p: (p.root / "IMAGES/IM000002.JPG").unlink(), "missing_file"),
        (lambda p: p.photograph("copy/im000001.jpg"), "duplicate_key"),
        (lambda p: p.pairs.append({"left": "IM000001.JPG", "right": "x.JPG"}), "duplicate_key"),
    ],
)
def test_a_pair_that_is_not_whole_is_refused(
    person: Person, break_it: Callable[[Person], Any], code: str
) -> None:
    break_it(person)
    refused = person.planned()["im000001+im000002"]
    assert isinstance(refused, Refused) and refused.error.code == code


def test_a_photograph_in_no_pair_is_named(person: Person) -> None:
    """Nobody knows whose it is, so it is in no split."""
    person.photograph("IM000009.JPG")
    refused = person.planned()["im000009"]
    assert isinstance(refused, Refused) and refused.error.code == "missing_key"


def test_a_copy_without_pairs_or_with_other_labels_is_refused(person: Person) -> None:
    """Pairs are never guessed from names, and labels of EyePACS are no pairs."""
    person.planned()
    pairs = person.root / "messidor-2.csv"
    pairs.unlink()
    job = Job(SOURCE.card, open_raw(person.root))
    with pytest.raises(BadTable, match=r"messidor-2\.csv: is missing"):
        list(SOURCE.plan(job))
    write_csv(pairs, [{"image": "10_left", "level": 0}])
    with pytest.raises(BadTable, match="lacks the column 'left'"):
        list(SOURCE.plan(Job(SOURCE.card, open_raw(person.root))))


def test_a_grade_beyond_the_scale_is_refused(person: Person) -> None:
    person.rows[0][GRADES[1]] = "5.0"
    with pytest.raises(InputError, match="'5' is not mapped"):
        person.converted()
