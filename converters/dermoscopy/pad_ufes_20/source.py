"""PAD-UFES-20: smartphone photographs of skin lesions with what their patients reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingKey
from qoqdata.person import read_age
from qoqdata.records.content import Record
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask, translate
from qoqdata.sources.cells import integer, number, sex, text
from qoqdata.sources.joining import Row, rows_by_key
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit

from ..photographs import only, photographs, stem

TABLE = "metadata.csv"
#: What the patient says of the lesion, if so and if not.
SYMPTOMS = {
    "itch": ("itches", "does not itch"),
    "grew": ("has grown", "has not grown"),
    "hurt": ("hurts", "does not hurt"),
    "changed": ("has changed", "has not changed"),
    "bleed": ("bleeds", "does not bleed"),
}
HISTORY = {
    "skin_cancer_history": ("skin cancer before", "no skin cancer before"),
    "cancer_history": ("cancer before", "no cancer before"),
    "smoke": ("smokes", "does not smoke"),
    "drink": ("drinks alcohol", "drinks no alcohol"),
    "pesticide": ("exposed to pesticides", "not exposed to pesticides"),
    "has_piped_water": ("piped water at home", "no piped water at home"),
    "has_sewage_system": ("sewage system at home", "no sewage system at home"),
}
ORIGINS = ("background_father", "background_mother")
DIAMETERS = ("diameter_1", "diameter_2")
#: Task and column; the first three are about the lesion, and are told what is known of it.
ASKED = {
    "diagnosis": "diagnostic",
    "group": "diagnostic",
    "biopsy": "biopsed",
    "elevated": "elevation",
    "site": "region",
    "skin_type": "fitspatrick",
}
INFORMED = ("diagnosis", "group", "biopsy")
KEYS = ("img_id", "patient_id", "lesion_id")
COLUMNS = (*KEYS, "age", "gender", *ASKED.values(), *SYMPTOMS, *HISTORY, *ORIGINS, *DIAMETERS)
YES_OR_NO = {"true": True, "false": False, "unk": None}


def plan(job: Job) -> Iterator[Planned]:
    """One unit a photograph; rows and files are joined by img_id, with or without its suffix."""
    table = job.raw.csv(TABLE, columns=tuple(dict.fromkeys(COLUMNS)))
    images = photographs(job, ".png")
    by_name: dict[str, list[Row]] = {}
    for key, rows in rows_by_key(table, "img_id", where=TABLE).items():
        by_name.setdefault(key.removesuffix(".png"), []).extend(rows)
    for key, rows in by_name.items():
        paths = images.pop(key, [])
        try:
            path = only(paths, key)
            patient = _owner(key, rows)
            if _said(rows[0]["biopsed"]) is None:
                # The last column, filled in every row: a row without it was cut.
                raise BadTable("its row does not say whether there was a biopsy", where=key)
            facts: dict[str, Any] = {column: text(rows[0][column]) for column in COLUMNS}
            facts |= {"age": read_age(rows[0]["age"]), "sex": sex(rows[0]["gender"])}
        except InputError as error:
            yield Refused(key, error, tuple(paths))
            continue
        yield Unit(key, (path,), patient, patient, facts=facts)
    for path in sorted(path for paths in images.values() for path in paths):
        what = f"no row of {TABLE} names it"
        yield Refused(path, MissingKey(what, where=stem(path)), (path,))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Up to six questions about a photograph; answers of others are never told."""
    image, notes = image_from_file(job.raw.resolve(unit.files[0]), limits=job.limits)
    facts = unit.facts
    biopsied = _said(facts["biopsed"])
    how = "by biopsy" if biopsied else "by clinical consensus"
    shared: dict[str, Any] = {"images": (image,), "age": facts["age"], "sex": facts["sex"]}
    shared["notes"] = (*notes, f"diagnosis {how}")
    asked: list[Converted] = []
    for task, column in ASKED.items():
        if (label := _label(task, facts[column])) is None:
            asked.append(Skipped(task, "not_stated", f"{column} is {facts[column] or 'blank'}"))
            continue
        option = translate(job.card, label, where=unit.key, task=task)
        context = _context(facts, task, job.options["context"])
        asked.append(Record(**ask(job.card, task, [option]), context=context, **shared))
    return asked


def _owner(key: str, rows: list[Row]) -> str:
    """The patient, whom the name of the photograph and its one row both name."""
    if len(rows) > 1:
        raise DuplicateKey(f"has {len(rows)} rows in {TABLE}", where=key, fix="keep the right one")
    patient, lesion = text(rows[0]["patient_id"]), text(rows[0]["lesion_id"])
    if patient is None or lesion is None:
        raise BadTable("its row names no patient or no lesion", where=key)
    if not key.startswith(f"{patient}_{lesion}_"):
        what = f"its row is of {patient}, lesion {lesion}, whom its name contradicts"
        raise BadTable(what, where=key, fix="fetch the table again")
    return patient


def _label(task: str, cell: str | None) -> str | None:
    """The cell as the card's labels spell it; None where it says nothing."""
    if cell is None or cell.upper() == "UNK":
        return None
    if task == "skin_type":
        grade = integer(cell)
        return cell if grade is None else str(grade)
    return cell.lower() if task in ("biopsy", "elevated") else cell.upper()


def _said(cell: str | None) -> bool | None:
    """Yes or no, None where it is unknown; BadTable for another word."""
    word = (text(cell) or "unk").lower()
    if word not in YES_OR_NO:
        raise BadTable(f"a cell is {cell!r}, where True, False or UNK is expected", where=TABLE)
    return YES_OR_NO[word]


def _context(facts: Mapping[str, Any], task: str, how_much: str) -> str | None:
    """What is known of the lesion beside its picture, without what is asked anywhere else."""
    if how_much == "none" or task not in INFORMED:
        return None
    told = []
    if (site := _label("site", facts["region"])) is not None:
        told.append(f"Site: {site.lower()}.")
    if symptoms := _answers(facts, SYMPTOMS):
        told.append(f"The patient says that the lesion {', '.join(symptoms)}.")
    if how_much == "history" and task != "biopsy":
        sides = [number(facts[column]) for column in DIAMETERS]
        if None not in sides:
            told.append(f"Size: {sides[0]:g} x {sides[1]:g} mm.")
        if history := _answers(facts, HISTORY):
            told.append(f"History: {', '.join(history)}.")
        origins = [cell.title() for c in ORIGINS if (cell := _label("origin", facts[c]))]
        if origins:
            told.append(f"Family from {', '.join(dict.fromkeys(origins))}.")
    return " ".join(told) or None


def _answers(facts: Mapping[str, Any], words: Mapping[str, tuple[str, str]]) -> list[str]:
    said = {column: _said(facts[column]) for column in words}
    return [words[column][not yes] for column, yes in said.items() if yes is not None]
