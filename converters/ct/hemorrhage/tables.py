"""The tables of CT-ICH: labels by slice, age and sex by patient."""

from __future__ import annotations

import re
from typing import Any

from qoqdata.errors import BadTable, MissingFile
from qoqdata.person import read_age
from qoqdata.sources.cells import integer, sex, text
from qoqdata.sources.joining import Row
from qoqdata.sources.protocol import Job

DIAGNOSIS, DEMOGRAPHICS = "hemorrhage_diagnosis*.csv", "*patient_demographics*.csv"
PATIENT, SLICE = "PatientNumber", "SliceNumber"
TYPES = ("Intraventricular", "Intraparenchymal", "Subarachnoid", "Epidural", "Subdural")
NONE, FRACTURE = "No_Hemorrhage", "Fracture_Yes_No"
#: First words of the columns of patients, whose names have spaces, breaks and units.
_PATIENT, _AGE, _SEX = "patientnumber", "age", "gender"


def read_slices(job: Job) -> dict[int, dict[int, list[Row]]]:
    """Rows by patient and slice number; raises BadTable for one that names no slice."""
    path = _only(job, DIAGNOSIS)
    table = job.raw.csv(path, columns=(PATIENT, SLICE, *TYPES, NONE, FRACTURE))
    found: dict[int, dict[int, list[Row]]] = {}
    for row in table.iter_rows(named=True):
        patient, number = integer(row[PATIENT]), integer(row[SLICE])
        if patient is None or number is None:
            what = f"a row is of patient {row[PATIENT]}, slice {row[SLICE]}"
            raise BadTable(what, where=path, fix="fetch the table again")
        found.setdefault(patient, {}).setdefault(number, []).append(row)
    return found


def read_patients(job: Job) -> dict[int, list[dict[str, Any]]]:
    """Age and sex of the rows of each patient; rows without a number are a second header."""
    path = _only(job, DEMOGRAPHICS)
    table = job.raw.csv(path)
    names = {}
    for wanted in (_PATIENT, _AGE, _SEX):
        fitting = [
            column
            for column in table.columns
            if re.sub(r"[^a-z]", "", column.lower()).startswith(wanted)
        ]
        if len(fitting) != 1:
            what = f"{len(fitting)} columns begin with {wanted}"
            raise BadTable(what, where=path, fix="fetch the table again")
        names[wanted] = fitting[0]
    found: dict[int, list[dict[str, Any]]] = {}
    for row in table.iter_rows(named=True):
        if (patient := integer(row[names[_PATIENT]])) is not None:
            person = {"age": read_age(text(row[names[_AGE]])), "sex": sex(row[names[_SEX]])}
            found.setdefault(patient, []).append(person)
    return found


def labels(row: Row) -> dict[str, Any]:
    """What a row says: types present and absent, fracture, and whether it says one thing."""
    cells = {column: integer(row[column]) for column in (*TYPES, NONE, FRACTURE)}
    present = [one for one in TYPES if cells[one] == 1]
    blank = any(cells[one] not in (0, 1) for one in (*TYPES, NONE))
    sound = not blank and bool(present) != bool(cells[NONE])
    fracture = cells[FRACTURE] if cells[FRACTURE] in (0, 1) else None
    return {"types": present if sound else None, "blank": blank, "fracture": fracture}


def _only(job: Job, pattern: str) -> str:
    found = job.raw.files(pattern)
    if len(found) != 1:
        what = f"there are {len(found)} such tables"
        raise MissingFile(what, where=pattern, fix="unpack one version into the raw folder")
    return found[0]
