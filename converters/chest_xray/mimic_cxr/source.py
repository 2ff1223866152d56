"""MIMIC-CXR: studies of several films, labels of four states from reports, and the reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from qoqdata.contract.vocabulary import Split
from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingKey
from qoqdata.records import dicoms
from qoqdata.records.content import Image, Record
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask_open
from qoqdata.sources.cells import text
from qoqdata.sources.joining import Row, keyed_rows, rows_by_key
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import read_text

from ..four_states import ask_findings, ask_presence, filled_cells, label_columns, read_states
from ..reports import read_sections
from ..studies import ask_view, show_films

SPLITS: dict[str, Split] = {"train": "train", "validate": "validation", "test": "test"}
SPLIT_TABLE = "mimic-cxr-2.0.0-split.csv.gz"
METADATA = "mimic-cxr-2.0.0-metadata.csv.gz"
LABELS = "mimic-cxr-2.0.0-{}.csv.gz"
REVIEWED = "mimic-cxr-2.1.0-test-set-labeled.csv"
SUFFIXES = {"jpg": ".jpg", "dicom": ".dcm"}
#: Sections that say nothing of what the films show.
CONTEXT = ("INDICATION", "HISTORY", "TECHNIQUE", "COMPARISON")

#: Filled cells of a study's rows in a label table: one row, if all is well.
Cells = dict[str, list[dict[str, str]]]


def plan(job: Job) -> Iterator[Planned]:
    """One unit a study: its films by dicom_id in two tables and on disk, its labels, its report."""
    suffix = SUFFIXES[job.options["images"]]
    columns = ("dicom_id", "study_id", "subject_id", "split")
    table = job.raw.csv(SPLIT_TABLE, columns=columns).select(columns)
    rows = rows_by_key(table, "study_id", where=SPLIT_TABLE)
    del table
    metadata = _views(job)
    labels = _labels(job, LABELS.format(job.options["labeller"]), "findings")
    by_radiologist = job.options["test_labels"] == "radiologist"
    reviewed = _labels(job, REVIEWED, "findings_reviewed") if by_radiologist else None
    films, reports = _by_name(job, f"*{suffix}"), _by_name(job, "s*.txt")
    # What is joined is let go: of 377,000 films memory holds rows or units, and not both.
    for key in list(rows):
        members = rows.pop(key)
        paths = {row["dicom_id"]: _film(films, row, suffix) for row in members}
        report = reports.pop(f"s{key}.txt", ())
        files = (*(path for found in paths.values() for path in found), *report)
        try:
            for found in (*paths.values(), report):
                if len(found) > 1:
                    what = f"{len(found)} files have one name: {' and '.join(found)}"
                    raise DuplicateKey(what, where=key, fix="keep the right one")
            patient, split = _one_owner(members)
            views = metadata.pop(key, {})
            if len(paths) < len(members) or views.keys() != paths.keys():
                raise MissingKey(f"{METADATA} names other images", where=key)
            by_hand = split == "test" and reviewed is not None
            task, rows_of = ("findings_reviewed", reviewed) if by_hand else ("findings", labels)
            facts = {
                "task": task,
                "cells": (rows_of or {}).get(key, []),
                "views": [views[name] for name in paths],
                "report": bool(report),
            }
        except InputError as error:
            yield Refused(key, error, files)
            continue
        yield Unit(key, files, patient, patient, split, facts)
    for name, strays in (*films.items(), *reports.items()):
        for path in strays:
            unnamed = MissingKey(f"{SPLIT_TABLE} does not name {name}", where=path)
            yield Refused(path, unnamed, (path,))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Up to four questions about a study: three show all its films, one a single film."""
    card, facts = job.card, unit.facts
    images, notes = _images(unit, job)
    shown = {"images": images, "notes": notes}
    others = [_impression(unit, job, shown), ask_view(card, images, shown, key=unit.key)]
    try:
        states = read_states(facts["cells"], card.tasks[facts["task"]].labels, where=unit.key)
    except BadTable as error:
        # Report and views say what they say, whatever the label table holds.
        bad = [Skipped(task, error.code, error.what) for task in (facts["task"], "presence")]
        return [*bad, *others]
    who = "a radiologist" if facts["task"] == "findings_reviewed" else job.options["labeller"]
    labelled = {"images": images, "notes": (*notes, f"labels by {who}")}
    findings = ask_findings(card, facts["task"], states, labelled)
    return [findings, ask_presence(card, states, labelled, key=unit.key), *others]


def _impression(unit: Unit, job: Job, shown: dict[str, Any]) -> Converted:
    if not unit.facts["report"]:
        return Skipped("impression", "no_report", "the study's report is not there")
    sections = read_sections(read_text(job.raw, unit.files[-1]))
    if not (impression := sections.get("IMPRESSION")):
        return Skipped("impression", "no_impression", "the report has no such section")
    told = [f"{name.capitalize()}: {said}" for name in CONTEXT if (said := sections.get(name))]
    context = "\n".join(told) or None
    return Record(**ask_open(job.card, "impression", impression), context=context, **shown)


def _images(unit: Unit, job: Job) -> tuple[tuple[Image, ...], tuple[str, ...]]:
    views = unit.facts["views"]
    films = list(zip(unit.files[: len(views)], views, strict=True))
    return show_films(films, lambda path: _read(path, job), most=job.options["most_images"])


def _read(relative: str, job: Job) -> tuple[Image, tuple[str, ...]]:
    path = job.raw.resolve(relative)
    if job.options["images"] == "jpg":
        return image_from_file(path, limits=job.limits)
    images, notes, _ = dicoms.file_images(path, [None], frames=1, part="CHEST", limits=job.limits)
    return images[0], notes


def _labels(job: Job, name: str, task: str) -> Cells:
    """Filled label cells of each study's rows; BadTable where a label of the task has no column."""
    table = job.raw.csv(name, columns=("study_id",))
    columns = label_columns(job, table, task, where=name)
    cells: Cells = {}
    for study, row in keyed_rows(table, "study_id", where=name):
        cells.setdefault(study, []).append(filled_cells(row, columns))
    return cells


def _views(job: Job) -> dict[str, dict[str | None, str | None]]:
    """The view of each film of a study."""
    columns = ("dicom_id", "study_id", "ViewPosition")
    table = job.raw.csv(METADATA, columns=columns).select(columns)
    views: dict[str, dict[str | None, str | None]] = {}
    for study, row in keyed_rows(table, "study_id", where=METADATA):
        views.setdefault(study, {})[row["dicom_id"]] = text(row["ViewPosition"])
    return views


def _by_name(job: Job, pattern: str) -> dict[str, tuple[str, ...]]:
    """Where files of each name lie, whatever their folders."""
    found: dict[str, tuple[str, ...]] = {}
    for path in job.raw.files(pattern):
        name = path.rpartition("/")[2]
        found[name] = (*found.get(name, ()), path)
    return found


def _film(films: dict[str, tuple[str, ...]], row: Row, suffix: str) -> tuple[str, ...]:
    """Where a film lies, or where it belongs."""
    name, patient = f"{row['dicom_id']}{suffix}", row["subject_id"] or ""
    folder = f"files/p{patient[:2]}/p{patient}/s{row['study_id']}"
    return films.pop(name, None) or (f"{folder}/{name}",)


def _one_owner(members: Sequence[Row]) -> tuple[str, Split]:
    """The patient and the part of a study, which all its rows share."""
    owners = {(row["subject_id"] or "", row["split"] or "") for row in members}
    patient, part = min(owners)
    if len(owners) > 1 or not patient or part not in SPLITS:
        raise BadTable(f"is of {sorted(owners)}", where=members[0]["study_id"])
    return patient, SPLITS[part]
