"""PMC-VQA: four-option questions on figures of articles, for evaluation."""

from __future__ import annotations

from collections.abc import Iterator

from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingFile
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Unit

from ..lettered import convert_choice

#: Where figures lie, by the copies of the archives that people unpack.
FOLDERS = ("figures", "images", "images_2", "images/figures", "images_2/figures")
CHOICES = ("Choice A", "Choice B", "Choice C", "Choice D")
#: Its text may be the answer, in words; where the letter has a column, that is read.
ANSWERS = ("Answer_label", "Answer")


def plan(job: Job) -> Iterator[Planned]:
    """One unit a row of the chosen test table. Captions, which often tell the answer, stay out."""
    name = f"{job.options['test']}.csv"
    table = job.raw.csv(name, columns=["Figure_path", "Question", *CHOICES])
    column = next((one for one in ANSWERS if one in table.columns), None)
    if column is None:
        raise BadTable(f"has no column {' or '.join(ANSWERS)}", where=name, fix="fetch it again")
    folders = [folder for folder in FOLDERS if job.raw.exists(folder)]
    seen: set[str] = set()
    for number, row in enumerate(table.iter_rows(named=True)):
        # Only the newer table numbers its rows itself.
        key = f"{job.options['test']}/{row.get('index') or number}"
        if key in seen:
            error: InputError = DuplicateKey(f"{key} is there twice", where=f"{name}, row {number}")
            yield Refused(f"{key}, again", error)
            continue
        seen.add(key)
        figure, question, answer = (row[one] for one in ("Figure_path", "Question", column))
        if not figure or not question or not answer:
            yield Refused(
                key, BadTable("a cell of the row is empty", where=f"{name}, row {number}")
            )
            continue
        paths = [f"{folder}/{figure}" for folder in folders if job.raw.exists(f"{folder}/{figure}")]
        if not paths:
            error = MissingFile("the figure is not there", where=figure, fix="unpack the archives")
            yield Refused(key, error, group=figure, split="test")
            continue
        options = {choice[-1]: row[choice] for choice in CHOICES}
        facts = {"question": question.strip(), "options": options, "answer": answer}
        yield Unit(key, (paths[0],), group=figure, split="test", facts=facts)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """The record of the row."""
    return convert_choice(unit, job)
