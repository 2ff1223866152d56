"""KiTS23: CT volumes of kidney tumours with masks; annotation-only where imaging is not fetched."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from qoqdata.errors import BadTable, MissingKey
from qoqdata.person import read_age, read_sex
from qoqdata.readers import volume
from qoqdata.readers.dicom import Window
from qoqdata.records import slices
from qoqdata.records.content import Record
from qoqdata.sources.asking import ask, translate
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Unit
from qoqdata.sources.rawtree import read_text

TABLES = ("kits23.json", "dataset/kits23.json")
MEMBERS = ("malignant", "gender", "age_at_nephrectomy")
IMAGING, MASK = "imaging.nii.gz", "segmentation.nii.gz"
#: Genders of the table beside male and female.
GENDERS = {"transgender_male_to_female": "other", "transgender_female_to_male": "other"}


def plan(job: Job) -> Iterator[Planned]:
    """One unit a case of kits23.json; imaging is listed when it is there."""
    table = next((name for name in TABLES if job.raw.exists(name)), TABLES[0])
    base = table.rpartition("/")[0]
    cases = _cases(job, table)
    for case in cases:
        key = case["case_id"]
        folder = f"{base}/{key}" if base else key
        imaging, mask = f"{folder}/{IMAGING}", f"{folder}/{MASK}"
        files = (mask, imaging) if job.raw.exists(imaging) else (mask,)
        if case.get("malignant") is None:
            yield Filtered(key, "no_label", "malignancy is not stated", files)
            continue
        yield Unit(key, files, patient=key, facts=_facts(case))
    keys = {case["case_id"] for case in cases}
    for path in job.raw.files(MASK, under=base):
        key = path.split("/")[-2]
        if key not in keys:
            yield Refused(key, MissingKey(f"{table} has no such case", where=path), (path,))


def convert(unit: Unit, job: Job) -> list[Record]:
    """Axial slices with masks and boxes; without imaging, masks and boxes alone."""
    options, facts = job.options, unit.facts
    mask = volume.read_volume(job.raw.resolve(unit.files[0]), limits=job.limits)
    image = None
    if len(unit.files) > 1:
        image = volume.read_volume(job.raw.resolve(unit.files[1]), limits=job.limits)
    # Without imaging nothing is shown, so slices through the mask give nothing away.
    policy = volume.SlicePolicy(
        options["policy"] if image else "mask", count=options["slices"], plane="axial"
    )
    window = Window(options["window_centre"], options["window_width"], "LINEAR_EXACT")
    stack = slices.cut_slices(image, mask, job.card.mask_codes, policy=policy, window=window)
    label = translate(job.card, facts["malignant"], where=unit.key)
    return [
        Record(
            **ask(job.card, "diagnosis", [label]),
            images=stack.images,
            masks=stack.masks,
            regions=stack.regions,
            age=facts["age"],
            sex=facts["sex"],
            notes=stack.notes if image else (*stack.notes, "imaging not fetched: annotation only"),
        )
    ]


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


def _facts(case: Mapping[str, Any]) -> dict[str, Any]:
    gender = case.get("gender")
    return {
        "malignant": str(bool(case["malignant"])).lower(),
        "age": read_age(case.get("age_at_nephrectomy")),
        "sex": read_sex(gender) or GENDERS.get(str(gender)),
    }
