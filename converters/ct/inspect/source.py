"""INSPECT: CT pulmonary angiograms with embolism by the report, and outcomes over a year."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from qoqdata.contract.vocabulary import Split
from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingFile, MissingKey
from qoqdata.readers import volume
from qoqdata.records.content import Record
from qoqdata.records.slices import cut_slices
from qoqdata.sources.asking import ask, ask_open
from qoqdata.sources.cells import text
from qoqdata.sources.joining import Row
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit

from ..views import check_hounsfield, overview, windows_of
from .tables import (
    CENSORED,
    DETAILS,
    EMBOLISM,
    IMAGE,
    IMPRESSION,
    LABELS,
    MAPPING,
    OUTCOMES,
    PERSON,
    REPORTS,
    SPLITS,
    ReleaseTable,
    asserted,
    read_table,
)

SUFFIX = ".nii.gz"
SPLIT_NAMES: Mapping[str | None, Split] = {"train": "train", "valid": "validation", "test": "test"}

#: The fields of a record, or why the question is not asked.
Asked = dict[str, Any] | Skipped


def plan(job: Job) -> Iterator[Planned]:
    """One unit an image: file and rows are joined by image_id, rows of tables by impression_id."""
    mapping = read_table(job, MAPPING, PERSON, IMAGE)
    labels, splits = read_table(job, LABELS, *DETAILS.values()), read_table(job, SPLITS, "split")
    known = [column for column in EMBOLISM if column in labels.columns]
    if not known:
        raise BadTable(f"has neither of {' and '.join(EMBOLISM)}", where=labels.path)
    reports = read_table(job, REPORTS, "impressions") if job.options["reports"] == "yes" else None
    columns = [column for column in OUTCOMES.values() if column in labels.columns]
    files: dict[str, list[str]] = defaultdict(list)
    for path in job.raw.files(f"*{SUFFIX}"):
        files[path.rpartition("/")[2].removesuffix(SUFFIX)].append(path)
    images: dict[str, list[str]] = defaultdict(list)
    for impression, rows in mapping.rows.items():
        # One row at least; several are refused below, by all their images.
        for row in rows:
            images[_image(row) or f"impression {impression}"].append(impression)
    for image in sorted({*images, *files}):
        own, person, split = tuple(files.get(image, ())), None, None
        try:
            impression = _impression(image, images.get(image, ()), own)
            row = mapping.row(impression)
            person = text(row[PERSON])
            split = _split(splits, impression, person)
            facts = _facts(labels.row(impression), [*known, *DETAILS.values(), *columns])
            if reports is not None:
                facts["impression"] = text(reports.row(impression)["impressions"])
            yield Unit(image, own, person, person, split, facts)
        except InputError as error:
            yield Refused(image, error, own, person, split)
    for name, table in (("labels", labels), ("splits", splits)):
        for impression in sorted(set(table.rows) - set(mapping.rows)):
            stray = MissingKey(f"{mapping.path} has no row of it", where=impression)
            yield Refused(f"{name} {impression}", stray)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Questions about the study, all of the same axial slices."""
    scan = volume.read_volume(job.raw.resolve(unit.files[0]), limits=job.limits)
    check_hounsfield(scan)
    policy = overview(job.options, "embolism", unit.split)
    cut = cut_slices(scan, None, {}, policy=policy, window=windows_of("embolism"))
    asked = [*_embolism(unit.facts, job), *_outcomes(unit.facts, job)]
    if "impression" in unit.facts:
        words = unit.facts["impression"]
        asked.append(
            ask_open(job.card, "impression", words)
            if words
            else Skipped("impression", "not_stated", "the report has no impression")
        )
    return [
        one if isinstance(one, Skipped) else Record(**one, images=cut.images, notes=cut.notes)
        for one in asked
    ]


def _image(row: Row) -> str | None:
    """The image of a row, with or without the suffix of its file."""
    name = text(row[IMAGE])
    return None if name is None else name.removesuffix(SUFFIX)


def _impression(
    image: str, impressions: tuple[str, ...] | list[str], files: tuple[str, ...]
) -> str:
    if not impressions:
        raise MissingKey("no impression is mapped to this image", where=image)
    if len(impressions) > 1 or len(files) > 1:
        what = f"has {len(impressions)} impressions and {len(files)} files"
        raise DuplicateKey(what, where=image, fix="keep the right one")
    if not files:
        raise MissingFile(f"the file {image}{SUFFIX} is not there", where=image, fix="fetch it")
    return impressions[0]


def _split(splits: ReleaseTable, impression: str, person: str | None) -> Split:
    row = splits.row(impression)
    if person is None or text(row.get(PERSON)) not in (None, person):
        raise MissingKey("the tables do not name one person for it", where=impression)
    name = text(row["split"])
    if name not in SPLIT_NAMES:
        raise BadTable(f"its split is {name}, not train, valid or test", where=impression)
    return SPLIT_NAMES[name]


def _facts(row: Row, columns: list[str]) -> dict[str, Any]:
    if text(row[IMPRESSION]) is None:
        raise MissingKey("the row of labels names no impression")
    return {column: asserted(row, column) for column in columns}


def _embolism(facts: Mapping[str, Any], job: Job) -> Iterator[Asked]:
    """Whether there is embolism; what is asked of it further only where there is."""
    said = {facts[column] for column in EMBOLISM if column in facts} - {None}
    if len(said) != 1 or not said <= {True, False}:
        reason = "disputed" if len(said) > 1 else "not_stated"
        for task in ("embolism", *DETAILS):
            yield Skipped(task, reason, f"{' and '.join(EMBOLISM)} say {sorted(map(str, said))}")
        return
    present = said == {True}
    yield _closed("embolism", present, job)
    for task, column in DETAILS.items():
        if not present:
            yield Skipped(task, "no_embolism", "")
        elif facts[column] in (True, False):
            yield _closed(task, facts[column], job)
        else:
            yield Skipped(task, "not_stated", f"{column} is empty")


def _outcomes(facts: Mapping[str, Any], job: Job) -> Iterator[Asked]:
    for task, column in OUTCOMES.items():
        value = facts.get(column)
        if value in (True, False):
            yield _closed(task, value, job)
        else:
            reason = CENSORED if value == CENSORED else "not_stated"
            yield Skipped(task, reason, f"{column} is {value}")


def _closed(task: str, value: bool, job: Job) -> dict[str, Any]:
    """The second option of the task for what is so, the first for what is not."""
    return ask(job.card, task, [(job.card.tasks[task].options or ())[value]])
