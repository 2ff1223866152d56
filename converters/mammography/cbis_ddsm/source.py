"""CBIS-DDSM: film mammograms with a mask for each lesion, grouped by patient."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qoqdata.contract.vocabulary import Split
from qoqdata.errors import (
    BadLabel,
    DuplicateKey,
    InputError,
    Misaligned,
    MissingFile,
    MissingKey,
    TornGroup,
)
from qoqdata.readers import dicom, masks
from qoqdata.readers.dicom.header import DicomHeader, read_dicom_header
from qoqdata.readers.image.exif import upright
from qoqdata.records import dicoms
from qoqdata.records.content import Image, Mask, Record, Region
from qoqdata.records.images import regions_from_boxes
from qoqdata.sources.asking import ask, ask_boxes, translate
from qoqdata.sources.protocol import Job, Planned, Refused, Skipped, Unit

from ..views import Projection, check_projection
from .cases import ASKED, DENSITY, TYPES, Case, patient_of, read_cases, split_of, study_of

#: What a given region is called: its type may be what is asked.
GIVEN = "lesion"
#: A grade that none was given: BI-RADS 0 is incomplete, and no density is 0.
NOT_STATED = "0"
UNPLACED = ("mask_of_other_size", "the mask of a lesion does not have its film's size")

#: The fields of a record, or why the question is not asked.
Asked = dict[str, Any] | Skipped


@dataclass(frozen=True, eq=False)
class Lesion:
    """A lesion of a film and where it lies; its mask may not fit, and then it lies nowhere."""

    facts: Mapping[str, Any]
    codes: np.ndarray | None = None
    region: Region | None = None


def plan(job: Job) -> Iterator[Planned]:
    """One unit a film, with its lesions from all tables; folders are found by their names."""
    cases = read_cases(job)
    folders: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in job.raw.files("*.dcm"):
        name = next((part for part in path.split("/")[:-1] if study_of(part)), "")
        if study := study_of(name):
            folders[study][name].append(path)
        else:
            yield Refused(
                path, MissingKey("no folder says whose file this is", where=path), (path,)
            )
    yield from cases.nameless
    studies = sorted({*cases.films, *folders})
    # Of films that are refused as well: what is lost of a patient moves no other film of theirs.
    splits: dict[str, set[Split]] = defaultdict(set)
    for study in studies:
        names = {*folders[study], *(case.film for case in cases.films.get(study, ()))}
        splits[patient_of(study)] |= set(map(split_of, names))
    for study in studies:
        try:
            if study in cases.faults:
                raise cases.faults[study]
            split = _settled(splits[patient_of(study)], study, job)
            yield _unit(study, split, cases.films.get(study, []), folders[study])
        except InputError as error:
            files = tuple(path for _, paths in sorted(folders[study].items()) for path in paths)
            yield Refused(study, error, files)


def convert(unit: Unit, job: Job) -> list[Record | Skipped]:
    """Questions about the film, about all its lesions, and about each of them."""
    image, notes = _film(unit, job)
    lesions = [_lesion(facts, image, job) for facts in unit.facts["lesions"]]
    asked = [_projection(image, job), _density(unit, job), *_about_all(lesions, job)]
    for lesion in lesions:
        asked += _about_one(lesion, job)
    shown: dict[str, Any] = {"images": (image,), "notes": notes}
    return [one if isinstance(one, Skipped) else Record(**shown | one) for one in asked]


def _settled(splits: set[Split], study: str, job: Job) -> Split:
    """The split of a patient, by the card's rule where tables and folders say two."""
    if len(splits) == 1:
        return next(iter(splits))
    if (conflict := job.card.splits.conflict) == "refuse":
        raise TornGroup("the patient is officially in test and train", where=study)
    return conflict


def _unit(study: str, split: Split, cases: list[Case], folders: Mapping[str, list[str]]) -> Unit:
    """The unit of a film; raises where tables and folders do not name the same lesions, once."""
    cases = sorted(cases, key=lambda case: (case.kind, len(case.number), case.number))
    names, films = [case.folder for case in cases], sorted({case.film for case in cases})
    if strays := sorted(set(folders) - {*names, *films}):
        # A table that lost rows must not leave a film with some of its lesions.
        raise MissingKey("no row of the tables names this folder", where=strays[0])
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DuplicateKey("is listed twice", where=twice, fix="remove the row that is wrong")
    for name in (*films, *names):
        if not folders.get(name):
            raise MissingFile("no file of it is there", where=name, fix="fetch it from TCIA")
        if name in films and len(folders[name]) > 1:
            raise DuplicateKey(f"holds {len(folders[name])} films, not one", where=name)
    lesions = [
        {"kind": case.kind, "item": f"{case.kind}_{case.number}", "folder": case.folder}
        | {"files": folders[case.folder]}
        | {"cells": {column: case.cells[column] for column in ASKED[case.kind].values()}}
        for case in cases
    ]
    facts = {
        "films": {name: folders[name][0] for name in films},
        "lesions": lesions,
        "density": sorted({grade for case in cases if (grade := case.cells[DENSITY])}),
    }
    files = tuple(path for name in (*films, *names) for path in folders[name])
    patient = patient_of(study)
    return Unit(study, files, patient, patient, split, facts)


def _film(unit: Unit, job: Job) -> tuple[Image, tuple[str, ...]]:
    """The film; one that stands in two tables must be the same twice."""
    films = unit.facts["films"]
    for name, path in films.items():
        _header(path, name, job)
    places = [job.raw.resolve(path) for path in films.values()]
    if len(places) > 1:
        # Stored values: shown from lowest to highest, different films can look the same.
        values, *others = (dicom.read_values(place, limits=job.limits)[0] for place in places)
        if not all(np.array_equal(values, other) for other in others):
            raise Misaligned("the two copies of the film differ", where=" and ".join(films))
    images, notes, header = dicoms.file_images(places[0], [None], frames=1, limits=job.limits)
    _, side, view = unit.key.rsplit("_", 2)
    stated = Projection(side.lower(), view)
    notes = (*notes, *check_projection(stated, images[0], header, where=next(iter(films.values()))))
    return replace(images[0], view=view, laterality=stated.side), notes


def _lesion(facts: Mapping[str, Any], image: Image, job: Job) -> Lesion:
    """The lesion's mask: of its files, the one of the film's size."""
    fitting, stored = [], (image.height, image.width)
    if image.turn >= 5:  # rows of the file became columns
        stored = stored[::-1]
    for path in facts["files"]:
        header = _header(path, facts["folder"], job)
        if (header.rows, header.columns) == stored:
            fitting.append(path)
    if len(fitting) > 1:
        raise DuplicateKey("holds two files of its film's size", where=facts["folder"])
    if not fitting and len(facts["files"]) == 1:
        raise MissingFile(
            "mask or crop is missing", where=facts["folder"], fix="fetch it from TCIA"
        )
    if not fitting:
        return Lesion(facts)
    values = dicom.read_values(job.raw.resolve(fitting[0]), limits=job.limits)[0][0]
    white = values.max()
    if white <= 0 or not ((values == 0) | (values == white)).all():
        raise BadLabel("a mask is white on black", where=fitting[0])
    table = job.card.mask_codes
    code = next(code for code, label in table.items() if label == TYPES[facts["kind"]])
    masks.check_background(values == white, where=fitting[0])
    # Drawn on the film as it is stored.
    codes = upright((values == white).astype(np.uint8) * np.uint8(code), image.turn)
    return Lesion(facts, codes, regions_from_boxes(masks.boxes(codes, table), image=0)[0])


def _header(path: str, folder: str, job: Job) -> DicomHeader:
    """The header; raises MissingKey where it names another film or lesion than its folder."""
    header = read_dicom_header(job.raw.resolve(path), limits=job.limits)
    stated = header.patient_id
    if stated is not None and stated != folder and study_of(stated):
        raise MissingKey("the file is of another film or lesion than its folder", where=path)
    return header


def _projection(image: Image, job: Job) -> Asked:
    """Side and view, of the film without either in its caption."""
    place = Projection(image.laterality or "", image.view or "")
    unnamed = replace(image, view=None, laterality=None)
    return ask(job.card, "projection", [place.option]) | {"images": (unnamed,)}


def _density(unit: Unit, job: Job) -> Asked:
    grades = [grade for grade in unit.facts["density"] if grade != NOT_STATED]
    if len(grades) > 1:
        return Skipped("density", "disputed", f"the rows of the film say {' and '.join(grades)}")
    return _closed("density", grades[0] if grades else None, job, unit.key)


def _about_all(lesions: Sequence[Lesion], job: Job) -> list[Asked]:
    """Where the lesions are, and whether any is malignant; all of them must be placed."""
    regions = [lesion.region for lesion in lesions if lesion.region]
    if len(regions) < len(lesions):
        return [Skipped(task, *UNPLACED) for task in ("lesions", "any_malignancy")]
    found = tuple(
        Mask(lesion.codes, instance=number)
        for number, lesion in enumerate(lesions, start=1)
        if lesion.codes is not None
    )
    boxes = ask_boxes(job.card, "lesions", regions) | {"regions": tuple(regions), "masks": found}
    verdicts = {lesion.facts["cells"]["pathology"] for lesion in lesions}
    if None in verdicts:
        return [boxes, Skipped("any_malignancy", "not_stated", "a lesion has no pathology")]
    answers = {
        translate(job.card, verdict, where="pathology", task="any_malignancy")
        for verdict in verdicts
    }
    answer = ask(job.card, "any_malignancy", ["Yes" if "Yes" in answers else "No"])
    return [boxes, answer | {"regions": tuple(map(_given, regions))}]


def _about_one(lesion: Lesion, job: Job) -> Iterator[Asked]:
    """The questions that the lesion's table answers, about the lesion in its box."""
    facts = lesion.facts
    for task, column in ASKED[facts["kind"]].items():
        if lesion.region is None:
            yield Skipped(task, *UNPLACED)
            continue
        fields = _closed(task, facts["cells"][column], job, facts["folder"])
        if not isinstance(fields, Skipped):
            fields |= {"item": facts["item"], "regions": (_given(lesion.region),)}
        yield fields


def _closed(task: str, cell: str | None, job: Job, where: str) -> Asked:
    """A question answered by a cell, whose words are joined by hyphens."""
    if cell is None or cell == NOT_STATED:
        return Skipped(task, "not_stated", f"{where}: the table says {cell or 'nothing'}")
    words = dict.fromkeys(cell.split("-"))
    return ask(
        job.card, task, [translate(job.card, word, where=where, task=task) for word in words]
    )


def _given(region: Region) -> Region:
    return replace(region, label=GIVEN, role="given")
