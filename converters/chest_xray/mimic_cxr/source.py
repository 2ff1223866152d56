"""MIMIC-CXR: studies of several films, labels of four states from reports, and the reports."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qoqdata.contract.card import Card
from qoqdata.contract.vocabulary import Split
from qoqdata.errors import BadTable, InputError, MissingKey
from qoqdata.records import dicoms
from qoqdata.records.content import Image, Record
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask, ask_open, translate
from qoqdata.sources.cells import integer, text
from qoqdata.sources.joining import Row, rows_by_key
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import read_text

SPLITS: dict[str, Split] = {"train": "train", "validate": "validation", "test": "test"}
SPLIT_TABLE = "mimic-cxr-2.0.0-split.csv.gz"
METADATA = "mimic-cxr-2.0.0-metadata.csv.gz"
LABELS = "mimic-cxr-2.0.0-{}.csv.gz"
REVIEWED = "mimic-cxr-2.1.0-test-set-labeled.csv"
SUFFIXES = {"jpg": ".jpg", "dicom": ".dcm"}
FRONTAL = ("PA", "AP")
NO_FINDING = "No finding"
#: A heading of a report: capitals at the start of a line, up to a colon.
HEADING = re.compile(r"^[ \t]*([A-Z][A-Z /,()-]*):", re.MULTILINE)

States = Mapping[str, int]
#: Filled cells of a study's rows in a label table: one row, if all is well.
Cells = dict[str, list[dict[str, str]]]


def plan(job: Job) -> Iterator[Planned]:
    """One unit a study: its films by dicom_id in two tables and on disk, its labels, its report."""
    suffix = SUFFIXES[job.options["images"]]
    columns = ("dicom_id", "study_id", "subject_id", "split")
    rows = job.raw.csv(SPLIT_TABLE, columns=columns)
    table = job.raw.csv(METADATA, columns=("dicom_id", "study_id", "ViewPosition"))
    metadata = rows_by_key(table, "study_id", where=METADATA)
    labels = _labels(job, LABELS.format(job.options["labeller"]), "findings")
    by_radiologist = job.options["test_labels"] == "radiologist"
    reviewed = _labels(job, REVIEWED, "findings_reviewed") if by_radiologist else None
    reports = {path.rpartition("/")[2][1:-4]: path for path in job.raw.files("s*.txt")}
    films = {path.rpartition("/")[2]: path for path in job.raw.files(f"*{suffix}")}
    for key, members in rows_by_key(rows, "study_id", where=SPLIT_TABLE).items():
        paths = {row["dicom_id"]: _film(films, row, suffix) for row in members}
        report = reports.pop(key, None)
        files = (*paths.values(), *((report,) if report else ()))
        try:
            patient, split = _one_owner(members)
            views = {row["dicom_id"]: text(row["ViewPosition"]) for row in metadata.get(key, ())}
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
    for name, path in (*films.items(), *reports.items()):
        yield Refused(path, MissingKey(f"{SPLIT_TABLE} does not name {name}", where=path), (path,))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Up to three questions about a study, which show the same films."""
    images, notes = _images(unit, job)
    card, facts = job.card, unit.facts
    impression = _impression(unit, job, {"images": images, "notes": notes})
    try:
        states = _states(facts["cells"], card.tasks[facts["task"]].labels, where=unit.key)
    except BadTable as error:
        # The report says what it says, whatever the label table holds.
        bad = [Skipped(task, error.code, error.what) for task in (facts["task"], "presence")]
        return [*bad, impression]
    who = "a radiologist" if facts["task"] == "findings_reviewed" else job.options["labeller"]
    labelled = {"images": images, "notes": (*notes, f"labels by {who}")}
    findings = _findings(states, facts["task"], card, labelled)
    return [findings, _presence(states, unit.key, card, labelled), impression]


def _findings(states: States, task: str, card: Card, shown: dict[str, Any]) -> Converted:
    if not states:
        return Skipped(task, "no_label", "no row, or a row of blanks")
    labels, absent, uncertain = (_in_state(states, state) for state in (1, 0, -1))
    if not labels:
        return Skipped(task, "none_present", "what is mentioned is absent or uncertain")
    if NO_FINDING in labels and set(labels) - {NO_FINDING, "Support devices"}:
        return Skipped(task, "contradiction", f"{NO_FINDING} beside {', '.join(labels)}")
    return Record(**ask(card, task, labels, uncertain=uncertain, absent=absent), **shown)


def _presence(states: States, key: str, card: Card, shown: dict[str, Any]) -> Converted:
    """One finding with a value, picked by a hash of the study's number."""
    names = sorted(set(states) - {NO_FINDING})
    if not names:
        return Skipped("presence", "no_label", "no finding has a value")
    finding = names[int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % len(names)]
    state = translate(card, str(states[finding]), where=key, task="presence")
    fields = ask(card, "presence", [state])
    fields["forms"] = tuple(form.format(finding=finding.lower()) for form in fields["forms"])
    return Record(**fields, item=finding, **shown)


def _impression(unit: Unit, job: Job, shown: dict[str, Any]) -> Converted:
    if not unit.facts["report"]:
        return Skipped("impression", "no_report", "the study's report is not there")
    sections = _sections(read_text(job.raw, unit.files[-1]))
    if not (impression := sections.get("IMPRESSION")):
        return Skipped("impression", "no_impression", "the report has no such section")
    reason = sections.get("INDICATION")
    context = f"Indication: {reason}" if reason else None
    return Record(**ask_open(job.card, "impression", impression), context=context, **shown)


def _images(unit: Unit, job: Job) -> tuple[tuple[Image, ...], tuple[str, ...]]:
    """At most `most_images` films, frontal before others, then by name."""
    views = unit.facts["views"]
    order = sorted(range(len(views)), key=lambda n: (views[n] not in FRONTAL, unit.files[n]))
    images, notes = [], list[str]()
    for number in order[: job.options["most_images"]]:
        image, repairs = _read(job.raw.resolve(unit.files[number]), job)
        images.append(replace(image, view=views[number]))
        notes += repairs
    if len(order) > len(images):
        notes.append(f"{len(images)} of {len(order)} films of the study")
    return tuple(images), tuple(dict.fromkeys(notes))


def _read(path: Path, job: Job) -> tuple[Image, tuple[str, ...]]:
    if job.options["images"] == "jpg":
        return image_from_file(path, limits=job.limits)
    images, notes, _ = dicoms.file_images(path, [None], frames=1, limits=job.limits)
    return images[0], notes


def _labels(job: Job, name: str, task: str) -> Cells:
    """Filled label cells of each study's rows; BadTable where a label of the task has no column."""
    table = job.raw.csv(name, columns=("study_id",))
    definition = job.card.tasks[task]
    columns = [raw for raw in definition.labels if raw in table.columns]
    offered = {definition.labels[raw] for raw in columns}
    if missing := sorted(set(definition.options or ()) - offered):
        raise BadTable(f"has no column for {missing[0]!r}", where=name, fix="fetch it again")
    return {
        study: [{raw: cell for raw in columns if (cell := row[raw])} for row in rows]
        for study, rows in rows_by_key(table, "study_id", where=name).items()
    }


def _states(
    rows: Sequence[Mapping[str, str]], labels: Mapping[str, str], *, where: str
) -> dict[str, int]:
    """1, 0 or -1 by label; a blank label is not among them."""
    if len(rows) > 1:
        raise BadTable(f"has {len(rows)} rows of labels", where=where)
    states: dict[str, int] = {}
    for raw, cell in rows[0].items() if rows else ():
        if (value := integer(cell)) not in (1, 0, -1):
            raise BadTable(f"{raw} is {cell!r}, not 1, 0, -1 or blank", where=where)
        states[labels[raw]] = value
    return states


def _film(films: dict[str, str], row: Row, suffix: str) -> str:
    """Where a film lies, or where it belongs."""
    name, patient = f"{row['dicom_id']}{suffix}", row["subject_id"] or ""
    folder = f"files/p{patient[:2]}/p{patient}/s{row['study_id']}"
    return films.pop(name, f"{folder}/{name}")


def _one_owner(members: Sequence[Row]) -> tuple[str, Split]:
    """The patient and the part of a study, which all its rows share."""
    owners = {(row["subject_id"] or "", row["split"] or "") for row in members}
    patient, part = min(owners)
    if len(owners) > 1 or not patient or part not in SPLITS:
        raise BadTable(f"is of {sorted(owners)}", where=members[0]["study_id"])
    return patient, SPLITS[part]


def _in_state(states: States, state: int) -> tuple[str, ...]:
    return tuple(option for option, value in states.items() if value == state)


def _sections(report: str) -> dict[str, str]:
    """Sections of a report by heading, white space as single blanks; the last of a name wins."""
    parts = HEADING.split(report)
    return {
        name.strip(): " ".join(body.split())
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }
