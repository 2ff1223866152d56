"""APTOS 2019: fundus photographs with a grade of diabetic retinopathy; the test part has none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from qoqdata.errors import BadLabel, InputError, MissingKey
from qoqdata.records.content import Record
from qoqdata.sources.asking import ask, translate
from qoqdata.sources.cells import integer, text
from qoqdata.sources.joining import Row, rows_by_key
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Unit

from ..photographs import eye_image, one_file, one_row, photographs

TRAIN, TEST = "train.csv", "test.csv"


def plan(job: Job) -> Iterator[Planned]:
    """One unit a photograph; rows and files are joined by id_code."""
    table = job.raw.csv(TRAIN, columns=["id_code", "diagnosis"])
    unlabelled = _unlabelled(job)
    files, units = photographs(job), []
    graded = rows_by_key(table, "id_code", where=TRAIN)
    for key, rows in graded.items():
        path = (files.get(key.lower()) or [f"train_images/{key}.png"])[0]
        try:
            row = one_row(rows, key, where=TRAIN)
            path = one_file(files, key.lower())
            if key in unlabelled:
                raise BadLabel(f"stands in {TRAIN} and in {TEST}", where=key)
        except InputError as error:
            yield Refused(key, error, (path,))
        else:
            if text(row["diagnosis"]) is None:
                yield Filtered(key, "no_label", f"{TRAIN} leaves its grade open", (path,))
            else:
                units.append(_unit(key, path, row))
        files.pop(key.lower(), None)
    yield from _grouped(units, job)
    for key in sorted(unlabelled - set(graded)):
        there = tuple(files.pop(key.lower(), ()))
        yield Filtered(key, "no_label", "grades of the test part are not published", there)
    for key, paths in sorted(files.items()):
        unknown = MissingKey(f"neither {TRAIN} nor {TEST} names this file", where=paths[0])
        yield Refused(key, unknown, tuple(paths))


def convert(unit: Unit, job: Job) -> list[Record]:
    """The grade, and whether it is at least moderate."""
    image, notes = eye_image(unit.files[0], job)
    raw = unit.facts["grade"]
    answers = {
        task: translate(job.card, raw, where=f"{TRAIN}, {unit.key}", task=task)
        for task in ("dr_grade", "moderate_or_worse")
    }
    return [
        Record(**ask(job.card, task, [answer]), images=(image,), notes=notes)
        for task, answer in answers.items()
    ]


def _unlabelled(job: Job) -> frozenset[str]:
    """Codes of the test part; none in a copy without its table, whose files are then refused."""
    if not job.raw.exists(TEST):
        return frozenset()
    table = job.raw.csv(TEST, columns=["id_code"])
    return frozenset(rows_by_key(table, "id_code", where=TEST))


def _unit(key: str, path: str, row: Row) -> Unit:
    grade = integer(row["diagnosis"])
    return Unit(key, (path,), facts={"grade": row["diagnosis"] if grade is None else str(grade)})


def _grouped(units: Sequence[Unit], job: Job) -> Iterator[Planned]:
    """Units by the length of their files, since no patient is named and copies occur.

    Files that are the same have the same length: they share a group whatever else lies there. The
    same picture with two grades has none.
    """
    stamps = job.raw.stamps([unit.files[0] for unit in units])
    by_length: dict[str, list[Unit]] = defaultdict(list)
    for unit, stamp in zip(units, stamps, strict=True):
        by_length[f"{stamp[0] if stamp else 0} bytes"].append(unit)
    for length, some in by_length.items():
        grades = _grades_of_copies(some, job)
        for unit in some:
            if len(said := grades.get(unit.key, {unit.facts["grade"]})) > 1:
                what = (
                    f"the same file is there under other names, graded {' and '.join(sorted(said))}"
                )
                yield Refused(unit.key, BadLabel(what, where=unit.key), unit.files, length)
            else:
                yield Unit(unit.key, unit.files, group=length, facts=unit.facts)


def _grades_of_copies(units: Sequence[Unit], job: Job) -> Mapping[str, set[str]]:
    """By key, the grades of all files with the same bytes; nothing is read of a single file."""
    if len({unit.facts["grade"] for unit in units}) < 2:
        return {}
    by_content: dict[str, set[str]] = defaultdict(set)
    contents = {unit.key: job.raw.digest(unit.files) for unit in units}
    for unit in units:
        by_content[contents[unit.key]].add(unit.facts["grade"])
    return {key: by_content[content] for key, content in contents.items()}
