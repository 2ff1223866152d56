"""Jichi DR: photographs of the posterior pole with two gradings, of the field and of the eye."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from qoqdata.errors import BadTable, InputError, MissingKey
from qoqdata.records.content import Record
from qoqdata.sources.asking import ask, translate
from qoqdata.sources.cells import text
from qoqdata.sources.joining import Row, rows_by_key
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit

from ..photographs import Files, ask_side, eye_image, one_file, one_row, photographs, stem

TABLE = "list.csv"
#: Tasks and the columns that answer them: one photograph graded, or four side by side.
ASKED = {
    "field_grade": "Davis_grading_of_one_figure",
    "wide_grade": "Davis_grading_of_concatenated_figures",
}
SIDES = {"L": "left", "R": "right"}
#: Patient, number of the photograph, eye.
_NAME = re.compile(r"(\d+)_(\d+)_([LR])", re.IGNORECASE)


def plan(job: Job) -> Iterator[Planned]:
    """One unit a photograph, joined by name; the name says patient and eye."""
    found = job.raw.files(TABLE)
    if len(found) != 1:
        what = f"lies there {len(found)} times" if found else "is missing"
        raise BadTable(what, where=found[0] if found else TABLE, fix="unpack dmr.zip once")
    table = job.raw.csv(found[0], columns=("Image", *ASKED.values()))
    rows: dict[str, list[Row]] = {}
    for name, some in rows_by_key(table, "Image", where=found[0]).items():
        rows.setdefault(stem(name), []).extend(some)
    files = photographs(job)
    for key in sorted(rows.keys() | files.keys()):
        try:
            grades = one_row(rows.get(key, []), key, where=TABLE)
            yield _unit(key, {task: grades[column] for task, column in ASKED.items()}, files)
        except InputError as error:
            yield Refused(key, error, tuple(files.get(key, ())))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """The grade of the field, that of the wider retina, and which eye it is."""
    side = unit.facts["side"]
    image, notes = eye_image(unit.files[0], job, side)
    asked: list[Converted] = []
    for task, raw in unit.facts["grades"].items():
        if raw is None:
            asked.append(Skipped(task, "not_stated", f"{ASKED[task]} is empty"))
            continue
        answer = translate(job.card, raw, where=f"{TABLE}, {unit.key}")
        asked.append(Record(**ask(job.card, task, [answer]), images=(image,), notes=notes))
    return [*asked, Record(**ask_side(job, image, side), notes=notes)]


def _unit(key: str, grades: Mapping[str, str | None], files: Files) -> Unit:
    named = _NAME.fullmatch(key)
    if named is None:
        raise MissingKey("the name does not say patient, number and eye", where=key)
    words = {task: (text(grade) or "").lower() or None for task, grade in grades.items()}
    facts = {"side": SIDES[named[3].upper()], "grades": words}
    # A number may be padded in one name of a patient and not in another.
    patient = str(int(named[1]))
    return Unit(key, (one_file(files, key),), patient, patient, None, facts)
