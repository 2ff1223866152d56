"""U2-Bench, disease diagnosis: one class of several on ultrasound images, for evaluation."""

from __future__ import annotations

import json
import re
from ast import literal_eval
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingFile
from qoqdata.records.content import Record
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask_choice, check_choice
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Unit

FOLDER = "disease_diagnosis"
COLUMNS = ("img_data", "options", "class_label", "dataset_name", "classification_task")
TASK = "diagnosis"
#: The sets that the authors' scripts average as diagnosis; names of tables begin with the number.
SETS = ("21", "23", "25", "28", "32", "40", "42", "44", "57", "66", "70", "74", "75")
_NUMBER = re.compile(r"\d+")


def plan(job: Job) -> Iterator[Planned]:
    """One unit an image and question. Rows have no key, so the image's bytes are one.

    A set of which no table is there is refused by its number.
    """
    files = job.raw.files("*.tsv", under=FOLDER)
    if not files:
        raise MissingFile("there is no table", where=f"{FOLDER}/*.tsv", fix="fetch the folder")
    numbers = {match[0] for file in files if (match := _NUMBER.match(PurePosixPath(file).name))}
    for one in SETS:
        if one not in numbers:
            where = f"{FOLDER}/{one}*.tsv"
            error = MissingFile("no table of this set is there", where=where, fix="fetch it")
            yield Refused(f"set {one}", error, split="test")
    for file in files:
        yield from _rows(job, file)


def _rows(job: Job, file: str) -> Iterator[Planned]:
    name = PurePosixPath(file).stem
    table = job.raw.csv(file, columns=COLUMNS, separator="\t").drop("img_data")
    seen: set[str] = set()
    for row, facts in enumerate(table.iter_rows(named=True)):
        member, where = f"{file}#img_data[{row}]", f"{file}, row {row}"
        asked = facts["classification_task"] or ""
        try:
            digest = job.raw.digest([member])[:24]
            key = f"{name}/{digest}/{asked}"
            if key in seen:
                raise DuplicateKey("asks the same of the same image", where=where)
            options = _options(facts["options"], asked, where)
            label = _label(facts["class_label"])
            check_choice(options, label, where=where)
        except InputError as error:
            yield Refused(f"{name}, row {row}", error, (member,), split="test")
            continue
        seen.add(key)
        own = {"options": list(options), "answer": label}
        yield Unit(key, (member,), group=f"{name}/{digest}", split="test", facts=own)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """The record of the row; the question is ours, the options are the row's."""
    image, notes = image_from_file(job.raw.resolve(unit.files[0]), limits=job.limits)
    fields = ask_choice(job.card, TASK, unit.facts["options"], unit.facts["answer"])
    return [Record(**fields, domain=job.card.domain, images=(image,), notes=notes)]


def _options(text: str | None, task: str, where: str) -> tuple[str, ...]:
    """A list of texts or whole numbers, or the list that a mapping has for the row's task."""
    options = _printed(text)
    if isinstance(options, Mapping):
        if task not in options:
            what = f"the options are of {', '.join(map(str, options))}, not of {task!r}"
            raise BadTable(what, where=where, fix="fetch the table again")
        options = options[task]
    if not isinstance(options, list) or not all(type(one) in (str, int) for one in options):
        raise BadTable(f"the options {text!r} are no list", where=where, fix="fetch it again")
    return tuple(str(one).strip() for one in options)


def _label(text: str | None) -> str:
    """A class; some tables print it as a list of one."""
    label = (text or "").strip()
    one = _printed(label) if label.startswith("[") else None
    return str(one[0]).strip() if isinstance(one, list) and len(one) == 1 else label


def _printed(text: str | None) -> Any:
    """What JSON, or Python's printing, says; None where it says nothing."""
    for read in (json.loads, literal_eval):
        try:
            return read(text or "")
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None
