"""CT-ICH: head CTs with haemorrhage and fracture by slice, as NIfTI or as JPEG of two windows."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from qoqdata.errors import DuplicateKey, InputError, MissingFile, MissingKey
from qoqdata.records.content import Record
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit

from .questions import Asked, about_slice, blood_volume, scan_types
from .scans import read_jpegs, read_niftis
from .tables import labels, read_patients, read_slices

_JPEG = re.compile(r"(?:.*/)?0*(\d+)/(brain|bone)/0*(\d+)(_HGE_Seg)?\.jpe?g", re.IGNORECASE)
_NIFTI = re.compile(r"(?:.*/)?(ct_scans|masks)/0*(\d+)\.nii(?:\.gz)?", re.IGNORECASE)


def plan(job: Job) -> Iterator[Planned]:
    """One unit a patient; a slice without a row, or a row without a file, is refused by itself."""
    rows, people = read_slices(job), read_patients(job)
    scans: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    slices: dict[int, dict[tuple[int, str], list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in job.raw.files("*.nii", "*.nii.gz", "*.jpg", "*.jpeg"):
        if match := _NIFTI.fullmatch(path):
            scans[int(match[2])][match[1].lower()].append(path)
        elif match := _JPEG.fullmatch(path):
            kind = "mask" if match[4] else match[2].lower()
            slices[int(match[1])][int(match[3]), kind].append(path)
        else:
            error = MissingKey("no folder says whose slice this is", where=path)
            yield Refused(path, error, (path,))
    for patient in sorted({*rows, *scans, *slices}):
        key = str(patient)
        try:
            if len(people.get(patient, ())) != 1:
                count = len(people.get(patient, ()))
                raise MissingKey(f"the table of patients has {count} rows of it", where=key)
            unit, strays = _unit(key, rows.get(patient, {}), scans[patient], slices[patient])
            yield replace(unit, facts={**unit.facts, **people[patient][0]})
            yield from strays
        except InputError as error:
            every = [*scans[patient].values(), *slices[patient].values()]
            yield Refused(key, error, tuple(one for some in every for one in some), key)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Questions about each slice, about slices spread over the scan, and about its blood."""
    read = read_niftis if "scan" in unit.facts else read_jpegs
    scan = read(unit, job)
    facts = {int(number): one for number, one in unit.facts["slices"].items()}
    asked: list[Asked] = []
    for number in sorted(facts):
        asked += about_slice(number, facts[number], scan, job)
    asked += [scan_types(facts, scan, job), blood_volume(scan, job)]
    person: dict[str, Any] = {"age": unit.facts["age"], "sex": unit.facts["sex"]}
    return [one if isinstance(one, Skipped) else Record(**one, **person) for one in asked]


def _unit(
    key: str,
    rows: Mapping[int, list[Any]],
    scans: Mapping[str, list[str]],
    slices: Mapping[tuple[int, str], list[str]],
) -> tuple[Unit, list[Refused]]:
    if not rows:
        raise MissingKey("the table of slices has no row of it", where=key)
    every = [*scans.values(), *slices.values()]
    if twice := next((paths for paths in every if len(paths) > 1), None):
        raise DuplicateKey(f"lies there {len(twice)} times", where=twice[1], fix="keep one of them")
    if double := next((number for number, some in rows.items() if len(some) > 1), None):
        raise DuplicateKey(f"has {len(rows[double])} rows", where=f"{key}, slice {double}")
    said = {str(number): labels(some[0]) for number, some in sorted(rows.items())}
    if scans:
        if absent_part := {"ct_scans", "masks"} - set(scans):
            raise MissingFile(f"{absent_part.pop()} has no file of it", where=key)
        paths = (scans["ct_scans"][0], scans["masks"][0])
        return Unit(key, paths, key, key, facts={"scan": True, "slices": said}), []
    strays = []
    shown: dict[str, dict[str, str]] = defaultdict(dict)
    for (number, kind), (path,) in sorted(slices.items()):
        if str(number) in said:
            shown[str(number)][kind] = path
        else:
            error = MissingKey("the table has no row of this slice", where=path)
            strays.append(Refused(path, error, (path,), key))
    for lost in sorted(set(said) - set(shown), key=int):
        absent = MissingFile("neither window of it is there", where=f"{key}, slice {lost}")
        strays.append(Refused(f"{key}/{lost}", absent, (), key))
        del said[lost]
    if not shown:
        raise MissingFile("no slice of it is there", where=key)
    files = tuple(path for kinds in shown.values() for path in kinds.values())
    return Unit(key, files, key, key, facts={"files": dict(shown), "slices": said}), strays
