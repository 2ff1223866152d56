"""GMAI-MMBench, validation part: options by letter on images of many sets, for evaluation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from qoqdata.contract.vocabulary import OTHER_DOMAIN
from qoqdata.errors import BadTable, DuplicateKey, MissingFile, MissingKey
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Unit

from ..lettered import convert_choice

NAMES = ("GMAI_mm_bench_VAL.tsv", "GMAI-MMBench_VAL.tsv")
LETTERS = ("A", "B", "C", "D")
#: Of five options, where the copy has the column.
FIFTH = "E"
#: Domains by the column modality, case ignored; all others are of no one domain.
DOMAINS = {
    "ct": "ct",
    "mr": "mri",
    "mri": "mri",
    "ultrasound": "ultrasound",
    "dermoscopy": "dermoscopy",
    "fundus photography": "fundus",
    "histopathology": "pathology",
}


def plan(job: Job) -> Iterator[Planned]:
    """One unit a row; an answer of several letters asks for all that apply."""
    name = next((one for one in NAMES if job.raw.exists(one)), None)
    if name is None:
        raise MissingFile("there is no validation table", where=NAMES[0], fix="fetch it")
    columns = ["index", "image", "question", *LETTERS, "answer", "modality"]
    table = job.raw.csv(name, columns=columns, separator="\t").drop("image")
    letters = (*LETTERS, FIFTH) if FIFTH in table.columns else LETTERS
    seen: set[str] = set()
    for number, row in enumerate(table.iter_rows(named=True)):
        key, where = row["index"], f"{name}, row {number}"
        if not key:
            yield Refused(f"row {number}", MissingKey("the row has no index", where=where))
            continue
        if key in seen:
            # Neither row's image can be told from the other's.
            yield Refused(f"{key}, again", DuplicateKey(f"{key} is there twice", where=where))
            continue
        seen.add(key)
        file = f"{name}#image[{number}]"
        if not row["question"] or not row["answer"] or not row["modality"]:
            error = BadTable("a cell of the row is empty", where=where)
            yield Refused(key, error, (file,), split="validation")
            continue
        options = {letter: row[letter] for letter in letters}
        facts = {
            "question": row["question"].strip(),
            "options": options,
            "answer": _answer(row["answer"].strip(), options),
            "modality": row["modality"],
        }
        yield Unit(key, (file,), split="validation", facts=facts)


def _answer(text: str, options: Mapping[str, str | None]) -> str | list[str]:
    """One option by letter or in its words; several letters, with or without commas, as a list."""
    if text in options.values() or not re.fullmatch(r"[A-Z](?:[\s,;]*[A-Z])+", text):
        return text
    return re.findall("[A-Z]", text)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """The record of the row; the domain is that of its image."""
    return convert_choice(unit, job, domain=domain)


def domain(facts: Mapping[str, Any]) -> str:
    """The domain of an image by its modality; those of no one domain are "other"."""
    return DOMAINS.get(facts["modality"].strip().casefold(), OTHER_DOMAIN)
