"""KiTS23: CT volumes of kidney tumours with masks; annotation-only where imaging is not fetched."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from qoqdata.errors import BadTable, MissingKey
from qoqdata.person import read_age, read_sex
from qoqdata.readers import volume
from qoqdata.readers.volume import SlicePolicy
from qoqdata.records import slices
from qoqdata.records.content import Record
from qoqdata.records.mosaic import mosaic
from qoqdata.sources.asking import ask, translate
from qoqdata.sources.protocol import Converted, Filtered, Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import read_text

from ..views import check_hounsfield, overview
from .masses import Asked, about_masses, cut_masses, shown_fields

TABLES = ("kits23.json", "dataset/kits23.json")
MEMBERS = (
    *("malignant", "gender", "age_at_nephrectomy", "radiographic_size", "tumor_necrosis"),
    *("tumor_histologic_subtype", "pathology_t_stage", "tumor_isup_grade"),
)
_TUMOUR = re.compile(r"tumor_instance-(\d+)_annotation-\d+\.nii\.gz")
IMAGING, MASK = "imaging.nii.gz", "segmentation.nii.gz"
#: Genders of the table beside male and female.
GENDERS = {"transgender_male_to_female": "other", "transgender_female_to_male": "other"}


def plan(job: Job) -> Iterator[Planned]:
    """One unit a case of kits23.json; imaging is listed when it is there."""
    table = next((name for name in TABLES if job.raw.exists(name)), TABLES[0])
    base = table.rpartition("/")[0]
    cases = _cases(job, table)
    parts: dict[str, list[str]] = {}
    for path in job.raw.files("*_instance-*_annotation-*.nii.gz", under=base):
        parts.setdefault(path.split("/")[-3], []).append(path)
    for case in cases:
        key = case["case_id"]
        folder = f"{base}/{key}" if base else key
        imaging, mask = f"{folder}/{IMAGING}", f"{folder}/{MASK}"
        there = job.raw.exists(imaging)
        instances = parts.get(key, [])
        files = (mask, *((imaging,) if there else ()), *instances)
        if case.get("malignant") is None:
            yield Filtered(key, "no_label", "malignancy is not stated", files)
            continue
        facts = _facts(case) | {"imaging": there, "tumours": _tumours(instances)}
        yield Unit(key, files, patient=key, facts=facts)
    keys = {case["case_id"] for case in cases}
    for path in job.raw.files(MASK, under=base):
        key = path.split("/")[-2]
        if key not in keys:
            yield Refused(key, MissingKey(f"{table} has no such case", where=path), (path,))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Questions about the mass and its pathology; without imaging, the diagnosis annotated."""
    mask = volume.read_volume(job.raw.resolve(unit.files[0]), limits=job.limits)
    mask = volume.label_volume(mask, job.card.mask_codes)
    person: dict[str, Any] = {"age": unit.facts["age"], "sex": unit.facts["sex"]}
    label = translate(job.card, unit.facts["malignant"], where=unit.key)
    diagnosis = ask(job.card, "diagnosis", [label])
    if not unit.facts["imaging"]:
        policy = SlicePolicy("mask", count=job.options["slices"], plane="axial")
        # Nothing is shown, so slices through the mask give nothing away.
        bare = slices.cut_slices(None, mask, job.card.mask_codes, policy=policy)
        notes = (*bare.notes, "imaging not fetched: annotation only")
        skipped = [
            Skipped(task, "no_imaging", "imaging was not fetched")
            for task in job.card.tasks
            if task != "diagnosis"
        ]
        fields: dict[str, Any] = {"masks": bare.masks, "regions": bare.regions, "notes": notes}
        return [Record(**diagnosis, **fields, **person), *skipped]
    scan = volume.read_volume(job.raw.resolve(unit.files[1]), limits=job.limits)
    check_hounsfield(scan)
    uniform = overview(job.options, "kidney mass", unit.split)
    whole = cut_masses(scan, mask, uniform, job)
    if job.options["layout"] == "mosaic":
        whole = mosaic(whole)
    asked: list[Asked] = [diagnosis | shown_fields(whole)]
    asked += about_masses(unit.facts, scan, mask, job)
    return [one if isinstance(one, Skipped) else Record(**one, **person) for one in asked]


def _cases(job: Job, table: str) -> list[Mapping[str, Any]]:
    try:
        cases = json.loads(read_text(job.raw, table))
    except json.JSONDecodeError as error:
        raise BadTable(f"is not JSON: {error}", where=table) from error
    if not isinstance(cases, list) or not cases:
        raise BadTable("holds no list of cases", where=table, fix="fetch it again")
    if any(not isinstance(case, dict) or not case.get("case_id") for case in cases):
        raise BadTable("a case has no case_id", where=table)
    for name in MEMBERS:
        if not any(name in case for case in cases):
            raise BadTable(f"no case has the member {name!r}", where=table, fix="fetch it again")
    return cases


def _tumours(instances: list[str]) -> int | None:
    """How many tumours the annotators told apart; None where the instances are not there."""
    if not instances:
        return None
    names = (_TUMOUR.fullmatch(path.rpartition("/")[2]) for path in instances)
    return len({match[1] for match in names if match})


def _facts(case: Mapping[str, Any]) -> dict[str, Any]:
    gender, size = case.get("gender"), case.get("radiographic_size")
    necrosis, malignant = case.get("tumor_necrosis"), case["malignant"]
    if malignant not in (True, False):
        # Of a text, "False" as well, Python says that it is true.
        what = f"malignant is {malignant!r}, not true or false"
        raise BadTable(what, where=case["case_id"], fix="fetch the table again")
    return {
        "malignant": str(bool(malignant)).lower(),
        "age": read_age(case.get("age_at_nephrectomy")),
        "sex": read_sex(gender) or GENDERS.get(str(gender)),
        "size": size if isinstance(size, int | float) and size > 0 else None,
        "subtype": case.get("tumor_histologic_subtype"),
        "stage": case.get("pathology_t_stage"),
        "grade": case.get("tumor_isup_grade"),
        "necrosis": necrosis if isinstance(necrosis, bool) else None,
    }
