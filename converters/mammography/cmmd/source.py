"""CMMD: digital mammograms of one or both breasts of a patient, each with its verdict."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingFile, MissingKey
from qoqdata.person import read_age
from qoqdata.records.content import Record
from qoqdata.sources.asking import ask, translate
from qoqdata.sources.cells import integer, text
from qoqdata.sources.joining import Row, rows_by_key
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit

from ..views import SIDES, VIEWS, Mammogram, Projection, examination, read_mammogram

TABLE = "CMMD_clinicaldata_revision"
COLUMNS = ("ID1", "LeftRight", "Age", "number", "abnormality", "classification", "subtype")
#: Tasks about one breast, and the columns that answer them.
ASKED = {"diagnosis": "classification", "abnormality": "abnormality", "subtype": "subtype"}
#: A patient's folder; some tools write the quotes of the manifest into its name.
_PATIENT = re.compile(r'"?(D[12]-\d{4})"?')
BOTH = "both"

#: The fields of a record, or why the question is not asked.
Asked = dict[str, Any] | Skipped


def plan(job: Job) -> Iterator[Planned]:
    """One unit a patient: rows and folders are joined by ID1."""
    table, where = _table(job)
    files: dict[str, list[str]] = defaultdict(list)
    for path in job.raw.files("*.dcm"):
        names = [found[1] for part in path.split("/")[:-1] if (found := _PATIENT.fullmatch(part))]
        if names:
            files[names[-1]].append(path)
        else:
            error = MissingKey("no folder says whose file this is", where=path)
            yield Refused(path, error, (path,))
    rows = rows_by_key(table, "ID1", where=where)
    for patient in sorted({*rows, *files}):
        try:
            yield _unit(patient, rows.get(patient, []), files[patient], where)
        except InputError as error:
            yield Refused(patient, error, tuple(files[patient]), patient)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Questions about each breast that has a row, and which of two is the malignant one."""
    films = _films(unit, job)
    person, notes = examination(films.values())
    if (age := unit.facts["age"]) is not None:
        if person["age"] not in (None, age):
            notes = (*notes, f"the table says the age is {age}, the headers {person['age']}")
        person["age"] = age
    asked: list[Asked] = []
    for place in films:
        fields = ask(job.card, "projection", [place.option]) | {"item": place.item}
        asked.append(fields | {"images": (films[place].unnamed,)})
    for side, facts in unit.facts["breasts"].items():
        shown = [films[place] for view in VIEWS if (place := Projection(side, view)) in films]
        if len(shown) < len(VIEWS) or facts["number"] not in (None, len(shown)):
            what = (
                f"{len(shown)} views of the {side} breast, and the table counts {facts['number']}"
            )
            raise MissingFile(what, where=unit.key, fix="fetch the patient's series again")
        asked += _about_breast(side, facts, shown, job)
    asked.append(_which_side(unit, films, job))
    return [
        one if isinstance(one, Skipped) else Record(**one, **person, notes=notes) for one in asked
    ]


def _table(job: Job) -> tuple[pl.DataFrame, str]:
    """The clinical table, a workbook or its export, wherever it was put."""
    found = job.raw.files(f"{TABLE}.xlsx", f"{TABLE}.csv")
    if len(found) != 1:
        what = "there are two clinical tables" if found else "there is no clinical table"
        fix = "keep one of them" if found else "fetch it from TCIA, beside the manifest"
        raise BadTable(what, where=found[0] if found else f"{TABLE}.xlsx", fix=fix)
    read = job.raw.sheet if found[0].lower().endswith(".xlsx") else job.raw.csv
    return read(found[0], columns=COLUMNS), found[0]


def _unit(patient: str, rows: Sequence[Row], files: Sequence[str], where: str) -> Unit:
    if not rows:
        raise MissingKey(f"{where} has no row for this patient", where=patient)
    if not files:
        raise MissingFile("no mammogram of this patient", where=patient, fix="fetch the series")
    breasts: dict[str, dict[str, Any]] = {}
    for row in rows:
        side = SIDES.get(text(row["LeftRight"]) or "")
        if side is None:
            raise BadTable(f"LeftRight is {row['LeftRight']!r}, not L or R", where=patient)
        if side in breasts:
            raise DuplicateKey(f"has two rows for the {side} breast", where=patient)
        cells = {column: text(row[column]) for column in ASKED.values()}
        breasts[side] = cells | {"number": integer(row["number"])}
    ages = {read_age(age) for row in rows if (age := text(row["Age"])) is not None}
    if len(ages) > 1:
        raise BadTable(f"the rows say two ages: {sorted(map(str, ages))}", where=patient)
    facts = {"breasts": dict(sorted(breasts.items())), "age": next(iter(ages), None)}
    return Unit(patient, tuple(files), patient, patient, None, facts)


def _films(unit: Unit, job: Job) -> dict[Projection, Mammogram]:
    """The patient's mammograms by what their headers say they are, in the order of the views."""
    films: dict[Projection, Mammogram] = {}
    for path in unit.files:
        film = read_mammogram(path, job)
        if film.patient is not None and film.patient != unit.key:
            raise MissingKey(f"is of the patient {film.patient}", where=path, fix="move the file")
        if film.projection is None:
            raise MissingKey("the header says no side and view", where=path)
        if film.projection in films:
            what = f"is a second {film.projection.option} of the patient"
            raise DuplicateKey(what, where=path, fix="keep the one that is meant")
        films[film.projection] = film
    for side in sorted({*unit.facts["breasts"], *(place.side for place in films)}):
        if lost := [view for view in VIEWS if Projection(side, view) not in films]:
            what = f"the {side} breast has no {' and no '.join(lost)}"
            raise MissingFile(what, where=unit.key, fix="fetch the patient's series again")
    return dict(sorted(films.items()))


def _about_breast(
    side: str, facts: Mapping[str, Any], shown: Sequence[Mammogram], job: Job
) -> Iterator[Asked]:
    for task, column in ASKED.items():
        cell = facts[column]
        if cell is None:
            yield Skipped(task, "not_stated", f"{column} is empty", side)
            continue
        words = ("calcification", "mass") if cell == BOTH else (cell,)
        labels = [translate(job.card, word, where=f"{side}, {column}", task=task) for word in words]
        fields = ask(job.card, task, labels) | {"item": side}
        yield fields | {"images": tuple(film.image for film in shown)}


def _which_side(unit: Unit, films: Mapping[Projection, Mammogram], job: Job) -> Asked:
    """Which breast is malignant, where both have a verdict."""
    verdicts = {side: facts["classification"] for side, facts in unit.facts["breasts"].items()}
    if len(verdicts) < len(SIDES) or None in verdicts.values():
        return Skipped("malignant_side", "one_side", "only one breast has a verdict")
    sides = [side for side, verdict in verdicts.items() if verdict == "Malignant"]
    answer = "Both" if len(sides) == 2 else sides[0].capitalize() if sides else "Neither"
    fields = ask(job.card, "malignant_side", [answer])
    return fields | {"images": tuple(film.image for film in films.values())}
