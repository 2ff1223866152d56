"""OmniMedVQA: questions with two to four options on images of many sets, for evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qoqdata.contract.vocabulary import OTHER_DOMAIN
from qoqdata.errors import DuplicateKey, MissingFile
from qoqdata.sources.protocol import Converted, Filtered, Job, Planned, Refused, Unit

from ..lettered import convert_choice, json_rows

FIELDS = dict.fromkeys(
    ("question_id", "question", "gt_answer", "image_path", "modality_type", "dataset"), str
)
ALL = "all"
#: Domains by modality_type, whose case differs between files. A radiograph may be of any part of
#: the body, and microscopy of cells as of tissue.
DOMAINS = {
    "ct(computed tomography)": "ct",
    "mr (mangetic resonance imaging)": "mri",
    "mri": "mri",
    "ultrasound": "ultrasound",
    "dermoscopy": "dermoscopy",
    "fundus photography": "fundus",
}


def plan(job: Job) -> Iterator[Planned]:
    """One unit a question of all files of the open and the restricted part."""
    wanted = str(job.options["modality"]).casefold()
    seen: set[str] = set()
    unasked = set(job.raw.files(under="Images"))
    files = job.raw.files("*.json", under="QA_information")
    if not files:
        raise MissingFile("there is no file of questions", where="QA_information")
    for file in files:
        for number, row in enumerate(json_rows(job, file, FIELDS)):
            key, path = row["question_id"], row["image_path"]
            where = f"{file}, question {number}"
            if key in seen:
                yield Refused(f"{key}, again", DuplicateKey(f"{key} is there twice", where=where))
                continue
            seen.add(key)
            unasked.discard(path)
            if wanted not in (ALL, row["modality_type"].strip().casefold()):
                what = f"the image is {row['modality_type']}"
                yield Filtered(key, "other_modality", what, (path,))
                continue
            if not job.raw.exists(path):
                error = MissingFile("the image is not there", where=path, fix="fetch its source")
                yield Refused(key, error, (path,), split="test")
                continue
            options = {name[-1]: row.get(name) for name in map("option_{}".format, "ABCD")}
            facts = {
                "question": row["question"].strip(),
                "options": options,
                "answer": row["gt_answer"],
                "modality": row["modality_type"],
            }
            yield Unit(key, (path,), group=path, split="test", facts=facts)
    for path in sorted(unasked):
        yield Filtered(path, "not_asked", "no question names this image", (path,))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """The record of the question; the domain is that of the image."""
    return convert_choice(unit, job, domain=domain)


def domain(facts: Mapping[str, Any]) -> str:
    """The domain of an image by its modality; those of no one domain are "other"."""
    return DOMAINS.get(facts["modality"].strip().casefold(), OTHER_DOMAIN)
