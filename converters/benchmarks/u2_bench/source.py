"""U2-Bench, disease diagnosis: one class of several on ultrasound images, for evaluation."""

from __future__ import annotations

import json
from ast import literal_eval
from collections.abc import Iterator
from pathlib import PurePosixPath

from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingFile
from qoqdata.records.content import Record
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask_choice, check_choice
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Unit

FOLDER = "disease_diagnosis"
COLUMNS = ("img_data", "options", "class_label", "dataset_name", "classification_task")
TASK = "diagnosis"


def plan(job: Job) -> Iterator[Planned]:
    """One unit an image and question. Rows have no key, so the image's bytes are one."""
    files = job.raw.files("*.tsv", under=FOLDER)
    if not files:
        raise MissingFile("there is no table", where=f"{FOLDER}/*.tsv", fix="fetch the folder")
    for file in files:
        number = PurePosixPath(file).stem
        table = job.raw.csv(file, columns=COLUMNS, separator="\t").drop("img_data")
        seen: set[str] = set()
        for row, facts in enumerate(table.iter_rows(named=True)):
            member, where = f"{file}#img_data[{row}]", f"{file}, row {row}"
            try:
                digest = job.raw.digest([member])[:24]
                key = f"{number}/{digest}/{facts['classification_task'] or ''}"
                if key in seen:
                    raise DuplicateKey("asks the same of the same image", where=where)
                options = _options(facts["options"], where)
                label = (facts["class_label"] or "").strip()
                check_choice(options, label, where=where)
            except InputError as error:
                yield Refused(f"{number}, row {row}", error, (member,), split="test")
                continue
            seen.add(key)
            own = {"options": list(options), "answer": label}
            yield Unit(key, (member,), group=f"{number}/{digest}", split="test", facts=own)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """The record of the row; the question is ours, the options are the row's."""
    image, notes = image_from_file(job.raw.resolve(unit.files[0]), limits=job.limits)
    fields = ask_choice(job.card, TASK, unit.facts["options"], unit.facts["answer"])
    return [Record(**fields, domain=job.card.domain, images=(image,), notes=notes)]


def _options(text: str | None, where: str) -> tuple[str, ...]:
    """A list of texts, in JSON or as Python prints one."""
    for read in (json.loads, literal_eval):
        try:
            options = read(text or "")
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(options, list) and all(isinstance(one, str) for one in options):
            return tuple(one.strip() for one in options)
    raise BadTable(f"the options {text!r} are no list", where=where, fix="fetch the table again")
