"""CT-ICH: head CTs with haemorrhage and fracture by slice, as NIfTI or as JPEG of two windows."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from qoqdata.errors import DuplicateKey, InputError, MissingFile, MissingKey
from qoqdata.readers import masks
from qoqdata.readers.volume import SlicePolicy, choose, describe
from qoqdata.records.content import Mask, Record
from qoqdata.records.images import regions_from_boxes
from qoqdata.sources.asking import ask, ask_boxes, ask_number
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit

from ..views import overview, scale, through
from .scans import Scan, read_jpegs, read_niftis
from .tables import TYPES, labels, read_patients, read_slices

_JPEG = re.compile(r"(?:.*/)?0*(\d+)/(brain|bone)/0*(\d+)(_HGE_Seg)?\.jpe?g", re.IGNORECASE)
_NIFTI = re.compile(r"(?:.*/)?(ct_scans|masks)/0*(\d+)\.nii(?:\.gz)?", re.IGNORECASE)
#: Boxes of fewer pixels of a mask are specks.
LEAST_AREA = 4

#: The fields of a record, or why the question is not asked.
Asked = dict[str, Any] | Skipped


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
        asked += _about_slice(number, facts[number], scan, job)
    asked += [_scan_types(facts, scan, job), _volume(scan, job)]
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


def _about_slice(number: int, said: Mapping[str, Any], scan: Scan, job: Job) -> Iterator[Asked]:
    item = f"slice_{number}"
    drawn = scan.outlines.get(number)
    bleeding = drawn is not None and bool(drawn.any())
    fault = None
    if said["types"] is None:
        fault = ("not_stated" if said["blank"] else "contradiction", "its row says no one thing")
    elif bleeding and not said["types"]:
        fault = ("contradiction", "bleeding is outlined, and the row says there is none")
    shown = scan.shown([number], "haemorrhage") if fault is None else None
    if fault is None and shown is None:
        fault = ("no_brain_window", "the slice is not there in the brain window")
    for task in ("haemorrhage", "types", "bleeding"):
        if fault is not None:
            yield Skipped(task, *fault, item=item)
    if shown is not None:
        label = "Haemorrhage" if said["types"] else "No haemorrhage"
        yield ask(job.card, "haemorrhage", [label]) | shown | {"item": item}
        if said["types"]:
            absent = [one for one in TYPES if one not in said["types"]]
            yield ask(job.card, "types", said["types"], absent=absent) | shown | {"item": item}
            if bleeding:
                yield _bleeding(number, scan, job) | {"item": item}
            else:
                yield Skipped("bleeding", "not_drawn", "no outline of this slice", item)
    bone = scan.shown([number], "skull fracture")
    if said["fracture"] is None or bone is None:
        reason = "not_stated" if said["fracture"] is None else "no_bone_window"
        yield Skipped("fracture", reason, "", item)
    else:
        label = "Yes" if said["fracture"] else "No"
        yield ask(job.card, "fracture", [label]) | bone | {"item": item}


def _bleeding(number: int, scan: Scan, job: Job) -> dict[str, Any]:
    """Boxes of the areas of bleeding, on the brain window."""
    codes = scan.outlines[number]
    found = masks.boxes(codes, job.card.mask_codes, instances=True, min_area=LEAST_AREA)
    found = found or masks.boxes(codes, job.card.mask_codes)
    regions = regions_from_boxes(found, image=0)
    fields = ask_boxes(job.card, "bleeding", regions) | {"regions": regions}
    return fields | {"masks": (Mask(codes),)} | (scan.shown([number], "haemorrhage outline") or {})


def _scan_types(facts: Mapping[int, Mapping[str, Any]], scan: Scan, job: Job) -> Asked:
    """What is on slices spread over the scan, of those that the brain window shows."""
    numbers = [number for number in scan.numbers if scan.has_brain(number) and number in facts]
    if not numbers:
        return Skipped("scan_types", "no_brain_window", "no slice in the brain window")
    policy = overview(job.options, "haemorrhage outline", None)
    chosen = [numbers[at] for at in choose(policy, len(numbers))]
    said = [facts[number]["types"] for number in chosen]
    if None in said:
        return Skipped("scan_types", "contradiction", "the row of a slice says no one thing")
    present = {one for some in said for one in some}
    fields = ask(job.card, "scan_types", present or ["No haemorrhage"])
    return fields | (scan.shown(chosen, "haemorrhage outline", describe(policy)) or {})


def _volume(scan: Scan, job: Job) -> Asked:
    """The volume of all that is outlined, on slices through it."""
    if scan.voxel_ml is None:
        return Skipped("volume", "no_spacing", "JPEG slices have no spacing")
    pixels = {number: int((codes != 0).sum()) for number, codes in scan.outlines.items()}
    bleeding = [number for number in scan.numbers if pixels.get(number)]
    if not bleeding:
        return Skipped("volume", "no_haemorrhage", "nothing is outlined")
    policy = through(job.options, "haemorrhage outline")
    chosen = [
        bleeding[at] for at in choose(SlicePolicy(count=policy.count, inner=0), len(bleeding))
    ]
    volume = round(scan.voxel_ml * sum(pixels.values()), 1)
    fields = ask_number(job.card, "volume", volume, unit="mL")
    shown = scan.shown(chosen, "haemorrhage outline", describe(policy)) or {}
    return fields | shown | {"context": scale(shown["images"])}
