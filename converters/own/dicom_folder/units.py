"""Units of a DICOM folder: files with the labels of their headers or of the table's rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from qoqdata.errors import DuplicateKey
from qoqdata.readers.dicom.series_identity import Headers, SeriesFiles
from qoqdata.sources.annotation_table import join, read_annotations, shared_key
from qoqdata.sources.annotations import Annotation, annotated_unit
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Unit

from .mapping import DicomFolder


def labelled_by_header(
    groups: Iterable[SeriesFiles], headers: Headers, mapping: DicomFolder
) -> Iterator[Planned]:
    """Units with the label that their headers name."""
    together = split_groups(headers)
    for one in groups:
        label = _said(one.files, headers, mapping.label_header or "")
        if label is None:
            message = f"the header names no {mapping.label_header}"
            yield Filtered(one.key, "no_label", message, one.files)
        else:
            yield _unit(one, headers, (Annotation((label,)),), together)


def labelled_by_table(
    job: Job, groups: Iterable[SeriesFiles], headers: Headers, refused: Collection[str]
) -> Iterator[Planned]:
    """Units with their rows of the mapping's table; the files that were `refused` are not missing.

    A key that means several patients or exams gives its rows to none of them, unless the table's
    patient column tells whose they are.
    """
    mapping: DicomFolder = job.mapping
    assert mapping.table is not None
    by_key: dict[str, list[SeriesFiles]] = {}
    for one in groups:
        by_key.setdefault(_row_key(one, headers, mapping), []).append(one)
    shared = {key for key, some in by_key.items() if _difference(some, headers, mapping)}
    rows: dict[str, list[SeriesFiles]] = {}
    for key, some in by_key.items():
        for one in some:
            patient = _said(one.files, headers, "patient_id")
            by_patient = key in shared and mapping.table.patient is not None
            rows.setdefault(shared_key(key, patient) if by_patient else key, []).append(one)
    unclear = {key: _difference(some, headers, mapping) for key, some in rows.items()}
    for key, difference in unclear.items():
        if difference is not None:
            yield from _unclear(key, difference, rows[key], mapping)
    files = {
        key: tuple(path for one in some for path in one.files)
        for key, some in rows.items()
        if unclear[key] is None
    }
    # Of what is left out or refused above it is said why, and it is not missing.
    told = {_row_key(SeriesFiles(path, (path,)), headers, mapping) for path in headers}
    told |= {*refused, *by_key, *unclear}
    together = split_groups(headers)
    annotations = read_annotations(job, mapping, shared=shared)
    exact, told = mapping.key != "path", told - files.keys()
    for item in join(annotations, files, table=mapping.table.file, exact=exact, told=told):
        if isinstance(item, tuple):
            for one in rows[item[0]]:
                yield _unit(one, headers, item[2], together)
        else:
            yield item


def _difference(
    some: Sequence[SeriesFiles], headers: Headers, mapping: DicomFolder
) -> tuple[str, str, str] | None:
    """Two files that one key names and that one row cannot mean, and what they differ in."""
    names = {"patient_id": "patient", "study_instance_uid": "study"}
    for name, word in names.items():
        first: tuple[str, str] | None = None
        for one in some:
            value = _said(one.files, headers, name)
            if value is None or name == mapping.key:
                continue
            if first is not None and value != first[0]:
                return word, first[1], one.files[0]
            first = first or (value, one.files[0])
    if mapping.key == "sop_instance_uid" and len(some) > 1:
        return "file", some[0].files[0], some[1].files[0]
    return None


def _unclear(
    key: str, difference: tuple[str, str, str], some: Sequence[SeriesFiles], mapping: DicomFolder
) -> Iterator[Refused]:
    word, one, two = difference
    what = f"is of {len(some)} units, which one row cannot mean: {one} and {two} differ in {word}"
    fix = "name the table's patient column, or give each its own UID"
    for unit in some:
        error = DuplicateKey(f"the {mapping.key} {key} {what}", where=unit.files[0], fix=fix)
        yield Refused(unit.key, error, unit.files)


def _row_key(one: SeriesFiles, headers: Headers, mapping: DicomFolder) -> str:
    """What the table calls the unit; a path where its headers do not say."""
    if mapping.key == "path":
        return one.files[0]
    return _said(one.files, headers, mapping.key) or one.files[0]


def _said(paths: Sequence[str], headers: Headers, name: str) -> str | None:
    """What the first of the files that says it says."""
    return next((value for path in paths if (value := getattr(headers[path], name))), None)


def split_groups(headers: Headers) -> dict[str, str]:
    """What the headers say must stay in one split with each file; a file that says nothing is out.

    The patient, else the only patient of its study, else study, series or frame of reference.
    """
    patients: dict[str | None, set[str]] = defaultdict(set)
    for facts in headers.values():
        if facts.patient_id is not None:
            patients[facts.study_instance_uid].add(facts.patient_id)
    groups = {}
    for path, facts in headers.items():
        study = facts.study_instance_uid
        of_study = patients[study] if study is not None else set()
        group = (
            facts.patient_id
            or (next(iter(of_study)) if len(of_study) == 1 else study)
            or facts.series_instance_uid
            or facts.frame_of_reference_uid
        )
        if group is not None:
            groups[path] = group
    return groups


def _unit(
    one: SeriesFiles,
    headers: Headers,
    annotations: Sequence[Annotation],
    together: Mapping[str, str],
) -> Unit:
    unit = annotated_unit(one.key, one.files, annotations, notes=one.notes)
    patient = unit.patient or _said(one.files, headers, "patient_id")
    said = next((together[path] for path in one.files if path in together), None)
    group = annotations[0].group or patient or said
    return Unit(one.key, one.files, group, patient, unit.split, unit.facts)
