"""ISIC 2020: dermatoscopic images with verdict, diagnosis and site, grouped by patient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qoqdata.errors import BadLabel, BadTable, DuplicateKey, InputError, MissingKey
from qoqdata.person import read_age
from qoqdata.readers.dicom.header import read_dicom_header
from qoqdata.records import dicoms
from qoqdata.records.content import Image, Record
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask, translate
from qoqdata.sources.cells import integer, sex, text
from qoqdata.sources.joining import Row, rows_by_key
from qoqdata.sources.protocol import Converted, Filtered, Job, Planned, Refused, Skipped, Unit

from ..photographs import only, photographs, stem
from .duplicates import Duplicates, read_duplicates

TABLES = (
    "ISIC_2020_Training_GroundTruth_v2.csv",
    "ISIC_2020_Training_GroundTruth.csv",
    "train.csv",
)
SITE = "anatom_site_general_challenge"
#: Task and column.
ASKED = {"malignancy": "benign_malignant", "diagnosis": "diagnosis", "site": SITE}
COLUMNS = ("image_name", "patient_id", "sex", "age_approx", *ASKED.values(), "target")
SUFFIXES = {"jpeg": (".jpg", ".jpeg"), "dicom": (".dcm",)}
VERDICTS = {"benign": 0, "malignant": 1}


def plan(job: Job) -> Iterator[Planned]:
    """One unit an image that is no duplicate; rows and files are joined by image_name."""
    name = next((name for name in TABLES if job.raw.exists(name)), None)
    if name is None:
        fix = "fetch it from the challenge's page"
        raise BadTable("there is no table of labels", where=TABLES[0], fix=fix)
    rows = rows_by_key(job.raw.csv(name, columns=COLUMNS), "image_name", where=name)
    verdicts = {key: text(members[0]["benign_malignant"]) for key, members in rows.items()}
    duplicates = read_duplicates(job, verdicts)
    images = photographs(job, *SUFFIXES[job.options["images"]])
    for key, members in rows.items():
        yield _planned(key, members, images.pop(key, []), duplicates)
    for path in sorted(path for paths in images.values() for path in paths):
        if any("test" in part.lower() for part in path.split("/")[:-1]):
            message = "an image of the challenge's test, whose labels are not public"
            yield Filtered(path, "no_label", message, (path,))
            continue
        yield Refused(path, MissingKey(f"no row of {name} names it", where=stem(path)), (path,))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Up to three questions about an image; the first two are told its site."""
    image, notes = _image(unit, job)
    facts = unit.facts
    shared: dict[str, Any] = {"images": (image,), "notes": notes}
    shared |= {"age": facts["age"], "sex": facts["sex"]}
    site = facts[SITE]
    asked: list[Converted] = []
    for task, column in ASKED.items():
        if facts[column] is None:
            asked.append(Skipped(task, "not_stated", f"{column} is unknown or blank"))
            continue
        option = translate(job.card, facts[column], where=unit.key, task=task)
        context = f"Site: {site}." if site and task != "site" else None
        asked.append(Record(**ask(job.card, task, [option]), context=context, **shared))
    return asked


def _planned(key: str, members: list[Row], paths: list[str], duplicates: Duplicates) -> Planned:
    try:
        if key in duplicates.disputed:
            what = "its duplicates do not have one verdict"
            raise BadLabel(what, where=key, fix="none of them can be trusted: leave them out")
        if len(members) > 1:
            what = f"has {len(members)} rows"
            raise DuplicateKey(what, where=key, fix="keep the one that is right")
        if (first := duplicates.first.get(key)) is not None:
            return Filtered(key, "duplicate", f"shows the same as {first}", tuple(paths))
        facts = _facts(key, members[0])
        patient = text(members[0]["patient_id"])
        if patient is None:
            raise BadTable("its row names no patient", where=key)
        return Unit(key, (only(paths, key),), patient, patient, facts=facts)
    except InputError as error:
        return Refused(key, error, tuple(paths))


def _facts(key: str, row: Row) -> dict[str, Any]:
    """What the row says, once its three columns of verdicts agree."""
    verdict, target = text(row["benign_malignant"]), integer(row["target"])
    diagnosis = text(row["diagnosis"])
    if verdict not in VERDICTS or VERDICTS[verdict] != target:
        raise BadTable(f"is {verdict} by one column and {row['target']} by another", where=key)
    if diagnosis is not None and (diagnosis == "melanoma") != (verdict == "malignant"):
        raise BadTable(f"is a {diagnosis}, and {verdict}", where=key)
    said = {"benign_malignant": verdict, "diagnosis": diagnosis, SITE: text(row[SITE])}
    return said | {"age": read_age(row["age_approx"]), "sex": sex(row["sex"])}


def _image(unit: Unit, job: Job) -> tuple[Image, tuple[str, ...]]:
    path = job.raw.resolve(unit.files[0])
    if job.options["images"] == "jpeg":
        return image_from_file(path, limits=job.limits)
    stated = read_dicom_header(path, limits=job.limits).patient_id
    if stated and stated.startswith("IP_") and stated != unit.patient:
        raise MissingKey(f"the file is of {stated}, its row of {unit.patient}", where=unit.key)
    images, notes, _ = dicoms.file_images(path, [None], frames=1, limits=job.limits)
    return images[0], notes
